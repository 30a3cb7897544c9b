"""Options that several commands of `smoothclap` share."""

from pathlib import Path
from typing import Annotated, Literal

import typer


Model = Annotated[str, typer.Option(help="Hub id or folder of a checkpoint, or smoothclap-tiny.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ... Default: a GPU if there is one.")]
RemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Let the checkpoint run its own code.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Clips per batch; results do not depend on it.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that read audio files.")]
Texts = Annotated[Path | None, typer.Option(help="Text file with one description per line.")]

BadClips = Annotated[
    Literal["raise", "skip"], typer.Option(help="Silent, too short or unreadable clips: stop, or leave them out.")
]
