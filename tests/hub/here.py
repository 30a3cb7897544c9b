"""The Hub of the tests for code in this process, and a checkpoint to push to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub.constants
import pytest
import transformers.utils.hub

from smoothclap_trainer.data.captions.thresholds import Thresholds
from tests import tiny
from tests.hub.server import ANN, Hub, hub


CARD = "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n\n# A tiny model\n"
FILES = {
    *("README.md", "config.json", "model.safetensors", "thresholds.json"),
    *("processor_config.json", "tokenizer.json", "tokenizer_config.json"),
    *(
        f"{name}_smoothclap.py"
        for name in (
            *("audio", "batching", "checkpoint", "configuration", "decoding", "encoding", "feature_extraction"),
            *("lengths", "loss", "modeling", "pipeline", "processing", "scores", "streaming", "timeline", "towers"),
        )
    ),
}
"""What goes to the Hub of [`whole_checkpoint`]."""


@contextmanager
def hub_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that this process's client talks to, as Ann."""
    with hub() as server:
        talk_to(server.url, monkeypatch)
        yield server


def talk_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process's client talk to a Hub, as Ann."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(transformers.utils.hub, "_hf_api", None)
    monkeypatch.setenv("HF_TOKEN", ANN)


def whole_checkpoint(folder: Path) -> Path:
    """A tiny checkpoint with a card and thresholds, and what training leaves beside it."""
    tiny.checkpoint(folder)
    (folder / "README.md").write_text(CARD)
    Thresholds({"duration": 1.0}, {"duration": 2.0}, num_rows=10).save(folder / "thresholds.json")
    for name in ("checkpoint-2", "work"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(b"not for the Hub")
    for name in ("training_args.bin", "optimizer.pt", "trainer_state.json", "rows.parquet"):
        (folder / name).write_bytes(b"not for the Hub")
    (folder / "notes.json").write_text('"not for the Hub, unless the card links to it"')
    return folder
