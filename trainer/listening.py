"""The commands of `smoothclap` that listen: rank, timeline and embed."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from .cli_options import BadClips, BatchSize, Device, Model, RemoteCode, Texts, Workers
from .command_line import (
    clips_at,
    load_encoder,
    next_step,
    read_texts,
    same_model,
    show_left_out,
    show_replaced,
)


QUESTIONS = (
    ["a low and quiet voice", "a low and loud voice", "a high and quiet voice", "a high and loud voice"],
    ["an excited voice", "a calm voice"],
    ["a happy voice", "an angry voice", "a sad voice", "a fearful voice"],
)
CAVEAT = (
    "The last four are emotions, which smoothclap-tiny knows from SYNTHETIC speech and from labels that a rule gave. "
    "Of a real voice that answer is hardly better than a guess."
)
BAR = 30  # characters
BEST, OTHERS = "#332288", "#a9a3d1"
MANY = 20
"""More clips than this get a line each instead of bars."""

Template = Annotated[str, typer.Option(help="Text that each description is put into, at {}.")]


def rank(
    ctx: typer.Context,
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="Audio files, folders of them, or manifests. Default: two clips of this package."),
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option(help="Descriptions, in any language. Default: of voice, arousal and emotion.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Table to write, .csv or .jsonl, a row for each clip. Goes on after a kill.")
    ] = None,
    model: Model = "smoothclap-tiny",
    template: Template = "{}",
    plot: Annotated[Path | None, typer.Option(help="Draw the ranking as a PNG. Needs the extra plots.")] = None,
    bad_clips: BadClips = "raise",
    device: Device = None,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Rank descriptions: which fits best how a clip is said?"""
    from modeling_smoothclap import DEMO_CLIPS

    refuse_labels(labels or [], clips or [])
    found = {str(each): each for path in clips or map(Path, DEMO_CLIPS) for each in clips_at(path)}
    if output is None and bad_clips != "raise":
        raise typer.BadParameter("--bad-clips goes with --output: there such clips get a row that says what is wrong")
    if output is not None and (not labels or plot is not None):
        raise typer.BadParameter("--output needs --labels, and goes without --plot")
    encoder = load_encoder(model, device, trust_remote_code)
    if output is not None and labels:
        from .ranking_file import rank_to_file

        replaced = output.exists()
        rows = rank_to_file(encoder, found, labels, output, template, bad_clips)
        show_replaced(output, replaced)
        good = [row["clip"] for row in rows if row["problem"] is None]
        typer.echo(f"{output}: {len(rows)} clips, {len(rows) - len(good)} of them with a problem.")
        for clip in good[:1]:
            next_step("rank", clip, *same_model(model, trust_remote_code), "--labels", *labels)
        return
    sources = list(found.values())
    answers = [encoder.rank(sources, question, template) for question in ([labels] if labels else QUESTIONS)]
    ranked = dict(zip(found, zip(*answers, strict=True), strict=True))
    (show_best if len(found) > MANY else show_rankings)(ranked)
    if not labels and model == "smoothclap-tiny":
        typer.echo(CAVEAT)
    if not clips:
        typer.echo("These clips come with the package. To rank your own, write them after `rank`.")
    if plot is not None:
        draw_rankings(ranked, plot)
        typer.echo(f"Plot: {plot}")
    if plot is None and find_spec("matplotlib"):
        next_step("rank", *ctx.obj, "--plot", "ranking.png")
    else:
        next_step("embed", *found, *same_model(model, trust_remote_code))


def timeline(
    recording: Annotated[Path, typer.Argument(help="An audio file of any length.")],
    labels: Annotated[list[str], typer.Option(help="Two or more descriptions, in any language.")],
    output: Annotated[
        Path, typer.Option(help="A table, .csv or .jsonl; .TextGrid for Praat, .txt for Audacity, .vtt: subtitles.")
    ] = Path("timeline.csv"),
    plot: Annotated[Path | None, typer.Option(help="Draw the curves as a PNG. Needs the extra plots.")] = None,
    window: Annotated[float, typer.Option(help="Seconds of a window.")] = 4.0,
    hop: Annotated[float | None, typer.Option(help="Seconds between starts of windows. Default: half of one.")] = None,
    segments: Annotated[
        Path | None, typer.Option(help="Segments instead of the whole: .rttm, .TextGrid, or .csv with start and end.")
    ] = None,
    tier: Annotated[str | None, typer.Option(help="Tier of a TextGrid. Default: each tier is a speaker.")] = None,
    voice: Annotated[bool, typer.Option("--voice", help="Only where somebody speaks. Needs the extra app.")] = False,
    relative: Annotated[
        bool, typer.Option("--relative", help="Compare with the average of the recording, or of the speaker.")
    ] = False,
    smooth: Annotated[float, typer.Option(help="Seconds to average over.")] = 0.0,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Say how much a score depends on which half is heard.")
    ] = False,
    model: Model = "smoothclap-tiny",
    template: Template = "{}",
    batch_size: BatchSize = 16,
    device: Device = None,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Score descriptions along a recording, in windows of a few seconds."""
    from .timeline_files import check_ending, draw_timeline, read_segments, write_timeline

    refuse_labels(labels, [recording])
    check_ending(output)
    if tier is not None and segments is None:
        raise typer.BadParameter("--tier is of the TextGrid that --segments names")
    if voice and segments is not None:
        raise typer.BadParameter("--voice finds the segments, so leave out --segments")
    parts = None if segments is None else read_segments(segments, tier)
    if voice:
        from .voice_activity import voice_segments

        parts = voice_segments(recording)
    replaced = output.exists()
    found = load_encoder(model, device, trust_remote_code).timeline(
        recording,
        labels,
        window=window,
        hop=hop,
        segments=parts,
        templates=[template],
        relative=relative,
        smooth=smooth,
        uncertainty=uncertainty,
        batch_size=batch_size,
    )
    write_timeline(found, output)
    show_replaced(output, replaced)
    silent = sum(problem is not None for problem in found.problems)
    typer.echo(f"{output}: {len(found.windows)} windows, {silent} of them without a voice.")
    if plot is not None:
        draw_timeline(found, plot, recording.name)
        typer.echo(f"Plot: {plot}")
    else:
        next_step("timeline", recording, "--labels", *labels, "--plot", "timeline.png")


def embed(
    paths: Annotated[list[Path], typer.Argument(help="Audio files, folders of them, or manifests.")],
    output: Annotated[Path, typer.Option(help="File to write, in NumPy's .npz format.")] = Path("embeddings.npz"),
    texts: Texts = None,
    model: Model = "smoothclap-tiny",
    bad_clips: BadClips = "raise",
    batch_size: BatchSize = 16,
    num_workers: Workers = 2,
    device: Device = None,
    trust_remote_code: RemoteCode = False,
) -> None:
    """Write embeddings of clips and texts to a file, of unit length: their dot products are cosines."""
    import numpy as np

    from .data.clips import apply_policy, encode_good_clips
    from .files import whole_file

    if output.suffix != ".npz":
        raise ValueError(f"{str(output)!r} has to end in .npz: embeddings are written in NumPy's format.")
    replaced = output.exists()
    found = {str(each): each for path in paths for each in clips_at(path)}
    read = read_texts(texts) if texts else []
    encoder = load_encoder(model, device, trust_remote_code)
    embeds, bad = encode_good_clips(encoder, found, batch_size, num_workers)
    apply_policy(bad, len(found), bad_clips)
    show_left_out(bad)
    good = [path for path in found if path in embeds]
    arrays: dict[str, Any] = {"audio": np.stack([embeds[path] for path in good]), "paths": np.array(good)}
    if read:
        arrays |= {"text": encoder.encode_text(read), "texts": np.array(read)}
    with whole_file(output) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)
    show_replaced(output, replaced)
    typer.echo(f"{output}: {', '.join(f'{name} {array.shape}' for name, array in arrays.items())}")
    typer.echo(f"Read it with numpy.load({str(output)!r}).")
    next_step("rank", good[0], *same_model(model, trust_remote_code))


def refuse_labels(labels: Sequence[str], clips: Sequence[Path]) -> None:
    """Refuse clips among the descriptions, and descriptions among the clips."""
    if files := [label for label in labels if Path(label).is_file()]:
        raise ValueError(f"{files[0]!r} is a file, not a description: write the clips before --labels.")
    for clip in clips:
        if not clip.exists() and (not clip.suffix or " " in clip.name):
            raise ValueError(f"There is no file {str(clip)!r}. If it is a description, write it after --labels.")


def show_rankings(rankings: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Print the `RankedText`s of each question about each clip as a bar chart."""
    for path, answers in rankings.items():
        width = max(len(each.text) for ranking in answers for each in ranking)
        typer.echo(f"\n{path}")
        for number, ranking in enumerate(answers):
            if number:
                typer.echo()
            for each in ranking:
                typer.echo(f"  {each.text:<{width}}  {each.score:.2f}  {'█' * round(BAR * each.score)}")
    typer.echo("\nThe scores of descriptions that stand together add up to 1: they are compared with each other.")


def show_best(rankings: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Print the best `RankedText` of each question about each clip, a line for a clip."""
    for path, answers in rankings.items():
        typer.echo(f"{path}  {', '.join(f'{ranking[0].text} ({ranking[0].score:.2f})' for ranking in answers)}")


def draw_rankings(rankings: Mapping[str, Sequence[Sequence[Any]]], path: Path) -> None:
    """Draw a bar chart for each question about each clip, and save all as one PNG."""
    from .plotting import canvas

    charts = [
        (clip if number == 0 else "", ranking)
        for clip, answers in rankings.items()
        for number, ranking in enumerate(answers)
    ]
    rows = [len(ranking) + 1 for _, ranking in charts]
    with canvas(7, 0.3 * sum(rows) + 0.4, "", path) as figure:
        panels = figure.subplots(len(rows), squeeze=False, sharex=True, height_ratios=rows)[:, 0]
        for axes, (clip, ranking) in zip(panels, charts, strict=True):
            colours = [BEST, *[OTHERS] * (len(ranking) - 1)]
            bars = axes.barh([each.text for each in ranking], [each.score for each in ranking], color=colours)
            axes.bar_label(bars, fmt="%.2f", padding=4)
            axes.set_title(Path(clip).name, loc="left", fontweight="bold", fontsize="medium")
            axes.set(xlim=(0, 1.05), xticks=[])
            axes.invert_yaxis()
            axes.tick_params(left=False)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
        panels[-1].set_xlabel("score: descriptions that stand together add up to 1", loc="left")
