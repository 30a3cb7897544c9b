"""What the commands of `smoothclap` read and print: arguments, errors, rankings, the state of an installation."""

import errno
import json
import logging
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from packaging.requirements import Requirement
from typer.core import TyperCommand, TyperGroup

from . import EXTRAS
from .files import Record


if TYPE_CHECKING:
    from modeling_smoothclap.encoding_smoothclap import SmoothCLAPEncoder

    from .data.clips import BadClip
    from .search import SpeechIndex


NOT_ALLOWED = "Name another place, or get the right to write there."
CURES = {
    errno.ENOSPC: "Free some space on the disk, and run it again.",
    errno.EDQUOT: "Free some of your space on the disk, and run it again.",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), NOT_ALLOWED),
}
"""What to do about errors of the operating system."""
UNWRITTEN = re.compile("No space left on device|Disk quota exceeded|inline_container|PytorchStreamWriter")
"""What safetensors and torch say of a full disk, in errors of their own classes."""
MANIFESTS = (".csv", ".tsv", ".jsonl", ".parquet")
INTERRUPTED = 128 + 2
"""Exit status of a process that Ctrl-C ended, as shells have it."""
STOPPED = 128 + 15
"""Of one that SIGTERM ended."""


class Command(TyperCommand):
    """A command that prints expected errors in one line, and whose options take several values: `--labels a b c`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the name of an option before each of its values, which is how Typer takes several."""
        ctx.obj = list(args)  # as they were written
        several = {name for each in self.params if getattr(each, "multiple", False) for name in each.opts}
        words: list[str] = []
        option = None
        for word in args:
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                if not ctx.ignore_unknown_options:  # --batch_size is --batch-size, as settings of training have _
                    word = name.replace("_", "-") + equals + value
                option = word if word in several else None
            elif option is not None and words[-1] != option:
                words.append(option)
            words.append(word)
        return super().parse_args(ctx, words)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Exit with 1 after an error that a user can do something about, without a traceback."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # of `smoothclap ... | head`
            raise
        except ModuleNotFoundError as error:
            library = (error.name or "").partition(".")[0]
            if library not in EXTRAS:
                fail(str(error), error)
            fail(f'{library} is not installed: pip install "smoothclap[{EXTRAS[library]}]"', error)
        except (ValueError, ImportError) as error:
            fail(str(error), error)
        except OSError as error:
            where, cure = f"{error.filename}: " if error.filename else "", CURES.get(error.errno or 0, "")
            fail(f"{where}{error.strerror or error}. {cure}".rstrip(), error)
        except Exception as error:
            if not UNWRITTEN.search(str(error)):
                raise
            fail(f"A file could not be written ({error}). {CURES[errno.ENOSPC]}", error)


class Commands(TyperGroup):
    """Commands that Ctrl-C ends without a traceback, also while one is still chosen."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer would end an interrupted one without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            typer.echo(str(interrupt) or "Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None


def fail(message: str, error: Exception) -> NoReturn:
    """Print an error and exit with 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1) from error


def program() -> str:
    """Return how this command was started, so that the commands that it prints work as printed."""
    started = Path(sys.argv[0])
    if started.name == "cli.py":
        return "python -m smoothclap_trainer.cli"
    on_path = shutil.which("smoothclap")
    if started.stem != "smoothclap" or (on_path and started.exists() and started.samefile(on_path)):
        return "smoothclap"
    return os.path.relpath(started)


def next_step(*words: Any) -> None:
    """Print a command that could come next, and that works as it is printed."""
    typer.echo(f"Next: {program()} {shlex.join(map(str, words))}")


def same_model(model: str, trust_remote_code: bool) -> list[str]:
    """Return the options that load the same model in another command."""
    return ["--model", model, *trusted(trust_remote_code)]


def trusted(trust_remote_code: bool) -> list[str]:
    """Return the option that lets code of a checkpoint run, if it may."""
    return ["--trust-remote-code"] if trust_remote_code else []


def alone(option: str, ctx: typer.Context) -> None:
    """Refuse what would be ignored next to an option that only lists something."""
    if ignored := [word for word in ctx.obj if word != option]:
        raise typer.BadParameter(f"{option} only prints a list: leave out {shlex.join(ignored)!r}.")


def read_texts(path: Path) -> list[str]:
    """Read descriptions from a text file, one per line; blank lines are left out."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a plain file")  # reading a pipe or a device might never end
        texts = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a UTF-8 text file of descriptions: {error}") from error
    if not texts:
        raise ValueError(f"{str(path)!r} holds no descriptions: write one per line.")
    return texts


def clips_at(path: Path) -> Sequence[Any]:
    """Return the audio files in a folder, the clips of a manifest, or the one file that `path` is."""
    from modeling_smoothclap.audio_smoothclap import clip_source

    from .data.clips import clip_columns, find_audio

    if path.suffix.lower() not in MANIFESTS or path.is_dir():
        return find_audio(path) if path.is_dir() else [path]
    from .data.manifest import load_manifest  # with libraries that a light install lacks

    rows = [row for part in load_manifest(path, missing_files="keep").values() for row in clip_columns(part)]
    return [clip_source(row) for row in rows]


def quiet() -> None:
    """Show errors of Transformers only, and all of what this project logs."""
    from transformers.utils import logging

    logging.set_verbosity_error()


def load_encoder(model: str, device: str | None, trust_remote_code: bool) -> "SmoothCLAPEncoder":
    """Load a model without a bar for its weights."""
    from transformers.utils import logging

    from modeling_smoothclap.encoding_smoothclap import SmoothCLAPEncoder

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SmoothCLAPEncoder.from_pretrained(model, device, trust_remote_code=trust_remote_code)
    finally:
        if shown:
            logging.enable_progress_bar()


def show_left_out(bad: Sequence["BadClip"]) -> None:
    """Print which clips were left out, and why."""
    for clip in bad:
        typer.echo(f"left out: {clip.line()}", err=True)


def show_index(folder: Path, index: "SpeechIndex", earlier: "SpeechIndex | None") -> None:
    """Print how many clips and texts an index has, and what is new since an earlier one."""
    known = set(earlier.clips.values()) if earlier else set()
    new = sum(digest not in known for digest in index.clips.values())
    gone = len(earlier.clips.keys() - index.clips.keys()) if earlier else 0
    typer.echo(f"{folder}: {len(index.clips)} clips ({new} new, {gone} no longer there), {len(index.texts)} texts")


def show_replaced(place: Path, replaced: bool) -> None:
    """Print that results replaced earlier ones, if they did."""
    if replaced:
        typer.echo(f"Replaced the earlier results in {place}.")


def run_train(config: Path, overrides: list[str]) -> None:
    """Train with the settings of a YAML file, and print the metrics or how to go on after an interrupt."""
    import datasets

    from .config import read_yaml
    from .settings import TrainingRun
    from .train import run_training

    datasets.disable_progress_bars()  # of files that are written on the way
    logging.basicConfig(format="%(message)s")
    for name in ("smoothclap_trainer", "transformers.trainer"):  # not every configuration that is loaded
        logging.getLogger(name).setLevel(logging.INFO)
    go_on = ("train", config, *overrides, "--resume_from_checkpoint", "true")
    try:
        trainer = run_training(read_yaml(config, TrainingRun, overrides))
    except KeyboardInterrupt as interrupt:
        if not interrupt.args:  # there is no checkpoint to go on from
            raise
        typer.echo(str(interrupt), err=True)
        next_step(*go_on)
        raise typer.Exit(INTERRUPTED) from None
    if trainer.stop.stopped:
        typer.echo(f"Stopped by SIGTERM at step {trainer.state.global_step}.")
        next_step(*go_on)
        raise typer.Exit(STOPPED)
    if trainer.args.process_index == 0:
        output = Path(str(trainer.args.output_dir))
        show_metrics(output)
        typer.echo(f"The model, its processor and its metrics are in {output}.")
        next_step("rank", "--model", output)


def show_metrics(folder: Path) -> None:
    """Print the metrics of a training run."""
    for name, value in json.loads((folder / Record.METRICS).read_text()).items():
        if not name.endswith(("_runtime", "_per_second")):
            typer.echo(f"{name}: {value:.4f}")
    if (folder / Record.ATTRIBUTES).is_file():
        import pandas as pd

        typer.echo(pd.read_csv(folder / Record.ATTRIBUTES).to_string(index=False, float_format="%.3f"))


def show_settings() -> None:
    """Print all settings of training, with their defaults and what they do."""
    from .settings import TrainingRun

    for name, each in TrainingRun.yaml_fields().items():
        value = json.dumps(each.get_default(call_default_factory=True), default=str)
        shown = "required" if each.is_required() else f"default: {value}"
        typer.echo(f"--{name}  ({shown})\n    {' '.join((each.description or '').split())}")


def show_tasks() -> None:
    """Print the tasks of each corpus of emotional speech, and where the corpus comes from."""
    from .evaluation.corpora import EMOTION_CORPORA
    from .evaluation.protocols import PROTOCOLS

    for name, corpus in EMOTION_CORPORA.items():
        typer.echo(f"{corpus.title} ({name}), {corpus.language}\n  licence: {corpus.licence}\n  from: {corpus.ask}")
        for protocol in PROTOCOLS.values():
            if protocol.corpus == name:
                typer.echo(f"  --tasks {protocol.name}: {', '.join(protocol.classes)}")


def show_found(queries: list[str], answers: Sequence[Sequence[tuple[Any, float]]]) -> None:
    """Print the answers of a search, with their cosines."""
    for query, found in zip(queries, answers, strict=True):
        typer.echo(f"\n{query}")
        for answer, cosine in found:
            typer.echo(f"  {cosine:6.3f}  {answer}")


def examine() -> list[str]:
    """Return a report of the installation, line by line. It imports none of the extras."""
    import torch
    from huggingface_hub import constants

    devices = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    ffmpeg = shutil.which("ffmpeg") or "not found. It reads m4a, webm, amr and wma, and files for pipelines."
    caches = {"models": constants.HF_HUB_CACHE, "clips and features of training": "~/.cache/smoothclap"}
    places = {what: Path(folder).expanduser() for what, folder in caches.items()}
    return [
        f"Python {platform.python_version()} ({sys.executable}), {platform.platform()}",
        *_packages(),
        f"ffmpeg: {ffmpeg}",
        f"Devices: {', '.join([*devices, f'cpu ({os.cpu_count()} cores)'])}",
        f"Hub: {_hub()}",
        *(f"Cache of {what}: {path}{'' if path.is_dir() else ' (not there yet)'}" for what, path in places.items()),
    ]


def _packages() -> Iterator[str]:
    """Report the versions of what is required, and for each extra what it lacks."""
    from modeling_smoothclap import __version__

    try:
        listed = [Requirement(each) for each in requires("smoothclap") or []]
    except PackageNotFoundError:
        yield f'smoothclap {__version__} is not installed, only found by its path: pip install -e "." in its folder.'
        return
    yield f"smoothclap {version('smoothclap')}"
    for each in [each for each in listed if each.marker is None]:
        found = _installed(each.name)
        fits = found is not None and each.specifier.contains(found, prereleases=True)
        wanted = "" if fits else f"  <- {str(each.specifier) or 'it'} is needed: pip install --upgrade smoothclap"
        yield f"  {each.name} {found or 'is missing'}{wanted}"
    for extra in metadata("smoothclap").get_all("Provides-Extra") or []:
        of_it = [each.name for each in listed if each.marker is not None and each.marker.evaluate({"extra": extra})]
        missing = [name for name in of_it if _installed(name) is None]
        lacks = f'lacks {", ".join(missing)}: pip install "smoothclap[{extra}]"'
        yield f"Extra {extra}: {lacks if missing else 'installed'}"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _hub() -> str:
    from huggingface_hub import constants, get_session, get_token

    if constants.HF_HUB_OFFLINE:
        return "offline, because HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
        reached = "can be reached"
    except Exception as error:  # of the network: classes of the client that huggingface_hub uses
        reached = f"cannot be reached ({error})"
    return f"{constants.ENDPOINT} {reached}; {'logged in' if get_token() else 'not logged in'}"
