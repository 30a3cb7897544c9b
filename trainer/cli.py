"""The console command `smoothclap`: every job of the package, from one clip to a model on the Hub."""

import sys
from pathlib import Path
from typing import Annotated


try:
    import typer

    from .cli_options import BadClips, BatchSize, Device, Model, RemoteCode, Texts, Workers
    from .command_line import (
        MANIFESTS,
        Command,
        Commands,
        alone,
        clips_at,
        examine,
        load_encoder,
        next_step,
        quiet,
        read_texts,
        run_train,
        same_model,
        show_found,
        show_index,
        show_left_out,
        show_replaced,
        show_settings,
        show_tasks,
        trusted,
    )
    from .files import Record, held
    from .listening import embed, rank, timeline
except KeyboardInterrupt:
    sys.stderr.write("Interrupted.\n")
    sys.exit(130)


# What follows imports its libraries where it needs them: they take seconds, and a light install has not all of them.


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="How well do descriptions fit the way something is said? Rank them for a clip, train, evaluate and share.",
)
search = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Find clips by description, and the reverse.")
app.add_typer(search, name="search")

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
for command in (rank, timeline, embed):
    app.command(cls=Command)(command)


@app.command(cls=Command, context_settings=SETTINGS)
def train(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Argument(help="YAML file with the settings of the run.")] = None,
    init: Annotated[Path | None, typer.Option(help="Write a starting YAML for this manifest, and stop.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="List all settings with their defaults.")] = False,
) -> None:
    """
    Train a model with the settings of a YAML file.

    `--name value` changes a setting, as in `--seed 3`. To go on with a run that was interrupted, add
    `--resume_from_checkpoint true`. Several processes:
    `torchrun --nproc_per_node 2 -m smoothclap_trainer.cli train CONFIG.yaml`.
    """
    words = ([] if config is None else [str(config)]) + ctx.args
    named = bool(words) and not words[0].startswith("-")
    overrides = words[named:]
    if settings:
        alone("--settings", ctx)
        show_settings()
    elif init is not None:
        from .starting_config import write_starting_config

        path = write_starting_config(init, config if named else None, overrides)
        typer.echo(f"Wrote {path}, which explains its settings.")
        next_step("train", path)
    elif config is None or not named:
        raise typer.BadParameter(
            "name the YAML file first: smoothclap train CONFIG.yaml --seed 3. To write one for your clips: "
            "smoothclap train --init clips.csv. To list the settings: smoothclap train --settings."
        )
    elif config.suffix.lower() in MANIFESTS:
        raise ValueError(
            f"{str(config)!r} is a manifest, not a YAML file. To write one for it: smoothclap train --init {config}"
        )
    else:
        run_train(config, overrides)


@app.command(cls=Command)
def evaluate(
    ctx: typer.Context,
    model: Annotated[
        list[str] | None, typer.Option(help="Hub ids or folders, as [NAME=]MODEL[@REVISION], or smoothclap-tiny.")
    ] = None,
    tasks: Annotated[list[str] | None, typer.Option(help="Names from --list, or YAML files.")] = None,
    data_root: Annotated[
        list[str] | None, typer.Option(help="A folder of corpora, CORPUS=FOLDER, CORPUS=USER/NAME@COMMIT, or several.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("build/zero-shot"),
    batch_size: BatchSize = 16,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    bootstrap_samples: Annotated[int, typer.Option(help="Draws for the intervals.")] = 2000,
    device: Device = None,
    trust_remote_code: RemoteCode = False,
    list_tasks: Annotated[bool, typer.Option("--list", help="List the tasks and where to get their data.")] = False,
) -> None:
    """
    Test models zero-shot on emotional speech.

    Several models are compared side by side. The output folder gets results.json, report.md, its plots, and
    predictions.csv with the answer for each clip.
    """
    if list_tasks:
        alone("--list", ctx)
        return show_tasks()
    if not model or not tasks:
        raise typer.BadParameter("give --model and --tasks, or --list")
    from modeling_smoothclap.checkpoint_smoothclap import SMOOTHCLAP_TINY, parse_model

    from .evaluation.evaluator import evaluate as evaluate_models
    from .evaluation.report import summary_table

    quiet()  # what the evaluator warns of is in the report
    replaced = (output / Record.RESULTS).exists()
    results = evaluate_models(
        model,
        tasks,
        data_root=data_root,
        output=output,
        batch_size=batch_size,
        seed=seed,
        bootstrap_samples=bootstrap_samples,
        device=device,
        trust_remote_code=trust_remote_code,
    )
    typer.echo(summary_table(results))
    show_replaced(output, replaced)
    typer.echo(f"The results are in {output / Record.RESULTS}, the report is {output / Record.REPORT}.")
    first = parse_model(model[0])
    if first.revision is None:
        is_tiny = first.checkpoint == str(SMOOTHCLAP_TINY)
        next_step("rank", *same_model("smoothclap-tiny" if is_tiny else first.checkpoint, trust_remote_code))


@app.command("clep-dg", cls=Command, context_settings=SETTINGS)
def clep_dg(ctx: typer.Context, config: Annotated[Path, typer.Argument(help="See docs/clep-dg.md.")]) -> None:
    """
    Run stages 2 and 3 of CLEP-DG: fit acoustic contexts and a classifier from text alone, and test them on speech.

    `--name value` changes a setting. A run that was interrupted goes on with the contexts that it had fitted.
    """
    from .clep_dg.experiment import fit_clep_dg
    from .clep_dg.report import generalisation_table
    from .clep_dg.settings import ExperimentSettings
    from .config import read_yaml

    quiet()
    settings = read_yaml(config, ExperimentSettings, ctx.args)
    output = Path(settings.output)
    replaced = (output / Record.RESULTS).exists()
    results = fit_clep_dg(settings)
    if results.generalisation:
        typer.echo(f"UAR, leave one corpus out:\n\n{generalisation_table(results)}")
    show_replaced(output, replaced)
    typer.echo(f"The results, the report, the classifier and the contexts are in {output}.")
    for config_file in sorted((output / "classifier").rglob("config.json"))[:1]:
        next_step("push", config_file.parent, "user/my-classifier")


Index = Annotated[Path, typer.Option(help="Folder of the index.")]
IndexModel = Annotated[str | None, typer.Option(help="Where the checkpoint of the index is now, if it has moved.")]
Clips = Annotated[Path | None, typer.Option(help="Where the clips are now, if they have moved.")]
Count = Annotated[int, typer.Option("--k", "-k", min=1, help="Number of answers.")]
INDEX = Path("build/speech-index")


@search.command("index", cls=Command)
def index_folder(
    folder: Annotated[Path, typer.Argument(help="Folder of clips, with those below it, or a manifest.")],
    index: Index = INDEX,
    model: Model = "smoothclap-tiny",
    texts: Texts = None,
    bad_clips: BadClips = "raise",
    batch_size: BatchSize = 16,
    num_workers: Workers = 2,
    device: Device = None,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Index a folder of clips. Indexing it again embeds only what is new in it."""
    from .search import INDEX_FILE, SpeechIndex

    encoder = load_encoder(model, device, trust_remote_code)
    read = read_texts(texts) if texts else None
    clips = clips_at(folder) if folder.is_file() else folder
    with held(index):
        earlier = SpeechIndex.load(index, encoder) if (index / INDEX_FILE).is_file() else None
        made = SpeechIndex.build(encoder, clips, read, bad_clips, earlier, batch_size, num_workers)
        made.save(index)
    show_left_out(made.left_out)
    show_index(index, made, earlier)
    next_step("search", "find", "a low voice", "--index", index, *trusted(trust_remote_code))


@search.command(cls=Command)
def find(
    texts: Annotated[list[str], typer.Argument(help="Descriptions.")],
    index: Index = INDEX,
    k: Count = 10,
    model: IndexModel = None,
    folder: Clips = None,
    device: Device = None,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Find the clips that fit descriptions best."""
    from .search import SpeechIndex

    found = SpeechIndex.load(index, model, folder, trust_remote_code, device).find_clips(texts, k)
    show_found(texts, found)


@search.command(cls=Command)
def describe(
    clips: Annotated[list[str], typer.Argument(help="Audio files, in the index or not.")],
    index: Index = INDEX,
    k: Count = 10,
    model: IndexModel = None,
    folder: Clips = None,
    device: Device = None,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Find the descriptions of the index that fit clips best."""
    from .search import SpeechIndex

    found = SpeechIndex.load(index, model, folder, trust_remote_code, device).find_texts(clips, k)
    show_found(clips, found)


@app.command(cls=Command)
def convert(
    source: Annotated[str, typer.Argument(help="Hub id of a known model, such as KeiKinn/paraclap, or its file.")],
    output: Annotated[Path, typer.Argument(help="Folder to write to.")],
    kind: Annotated[str | None, typer.Option(help="What a file is, such as paraspeechclap-combined.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit. Default: the latest commit.")] = None,
    audio_config: Annotated[str | None, typer.Option(help="Hub id or folder of the audio tower's.")] = None,
    text_config: Annotated[str | None, typer.Option(help="The text tower's, with its tokenizer.")] = None,
) -> None:
    """Convert ParaCLAP or ParaSpeechCLAP, which were trained on emotions, to a folder for Transformers."""
    from .hub.conversion import convert_with_card

    given = {"kind": kind, "revision": revision, "audio_config": audio_config, "text_config": text_config}
    done = convert_with_card(source, output, **given)
    licence = done.weights_licence or "not stated"
    typer.echo(f"Wrote {done.source}, its processor and a card to {output}. Licence of the weights: {licence}.")
    next_step("rank", "--model", output, "--labels", *done.model.labels, "--template", done.model.template)


@app.command(cls=Command)
def card(
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint.")],
    name: Annotated[str | None, typer.Option(help="Hub id or name of the model. Default: the folder's name.")] = None,
) -> None:
    """
    Write the model card of a checkpoint: README.md in its folder, made from the records there.

    Put what only you know into notes.md, results.json of `smoothclap evaluate` as zero_shot.json, plots into pictures/.
    """
    from .hub.card import write_model_card

    typer.echo(f"Wrote {write_model_card(folder, name)}.")
    next_step("push", folder, name or "user/name")


@app.command(cls=Command)
def push(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint, with its card.")],
    repo_id: Annotated[str, typer.Argument(metavar="USER/NAME", help="Repository; made if it does not exist.")],
    upload: Annotated[bool, typer.Option("--push", help="Upload. Without it nothing is changed.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch. Default: main.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that is there.")] = False,
) -> None:
    """
    Show what would go to the Hub; with --push, upload it.

    Everything is one commit. Log in with `hf auth login` first, or set HF_TOKEN.
    """
    from .hub.push import push as push_folder

    wish = True if private else None  # without it an existing repository stays as it is
    result = push_folder(folder, repo_id, private=wish, revision=revision, overwrite=overwrite, dry_run=not upload)
    typer.echo(result.describe().rstrip())
    if not upload:
        typer.echo(f"Nothing was changed. The next command uploads it{' once that is solved' * bool(result.problem)}.")
        next_step("push", *ctx.obj, "--push")


@app.command(cls=Command)
def doctor() -> None:
    """Check the installation: versions, extras, devices, Hub."""
    typer.echo("\n".join(examine()))


if __name__ == "__main__":
    app(prog_name="smoothclap")
