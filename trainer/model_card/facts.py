"""What is known of a checkpoint: the files of its folder, read once."""

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from safetensors import safe_open

from ..evaluation.results import FORMAT


NOTES = "notes.md"
SETTINGS = "training_config.yaml"
ZERO_SHOT = "zero_shot.json"
PARTS = {"audio_model": "audio tower", "text_model": "text tower", "classifier": "classifier"}


@dataclass(frozen=True)
class Facts:
    """
    The folder of a checkpoint. What has no file there is `None` or empty, and never guessed.

    Args:
        folder (`Path`): With `config.json`, weights, and as many of the files of a training run as there are.
        name (`str`): Of the model: a Hub id or a plain name.

    Raises:
        ValueError: There is no `config.json`, or, when it is read, a file is damaged.
    """

    folder: Path
    name: str

    def __post_init__(self) -> None:
        if not (self.folder / "config.json").is_file():
            raise ValueError(
                f"{str(self.folder)!r} holds no config.json: save the model there first, its card is written from what "
                "lies beside it."
            )

    @property
    def title(self) -> str:
        """The name without its owner."""
        return self.name.rsplit("/", 1)[-1]

    def json(self, name: str) -> Any:
        """The content of a JSON file of the folder, or `None`."""
        return self._read(name, json.loads)

    def _read(self, name: str, parse: Any) -> Any:
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            return parse(path.read_text(encoding="utf-8"))
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{str(path)!r} is damaged: {error}. Mend it, or take it away.") from error

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's configuration."""
        return self.json("config.json")

    @cached_property
    def extractor(self) -> dict[str, Any]:
        """The feature extractor's configuration."""
        processor = self.json("processor_config.json") or {}
        return processor.get("feature_extractor") or self.json("preprocessor_config.json") or {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the user said of the training run."""
        return self._read(SETTINGS, yaml.safe_load) or {}

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """What was logged in training."""
        return self._read("training_log.yaml", yaml.safe_load) or []

    @cached_property
    def data(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By split and corpus, what was trained and validated on."""
        return self.json("data.json") or {}

    @cached_property
    def attributes(self) -> pd.DataFrame | None:
        """Zero-shot attribute figures, a row for each pair of texts and corpus."""
        path = self.folder / "attributes.csv"
        return pd.read_csv(path, dtype={"corpus": str}) if path.is_file() else None

    @cached_property
    def notes(self) -> tuple[dict[str, Any], str, str]:
        """What only a person can say: front matter, what introduces the model, and sections."""
        path = self.folder / NOTES
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        front: dict[str, Any] = {}
        if text.startswith("---\n"):
            block, closed, text = text.removeprefix("---\n").partition("\n---\n")
            try:
                front = yaml.safe_load(block)
            except yaml.YAMLError as error:
                raise ValueError(f"The front matter of {str(path)!r} is no YAML: {error}.") from error
            if not closed or not isinstance(front, dict):
                raise ValueError(f"The front matter of {str(path)!r} is YAML, `name: value`, between two lines of ---.")
        introduction, heading, sections = f"\n{text}".partition("\n## ")
        return front, introduction.strip(), (f"## {sections}" if heading else "").strip()

    @cached_property
    def parameters(self) -> Counter[str]:
        """How many parameters each part of the model has, by what the files of weights say."""
        count: Counter[str] = Counter()
        for path in sorted(self.folder.glob("model*.safetensors")):
            with safe_open(path, framework="numpy") as weights:
                for name in weights.keys():  # noqa: SIM118, this is no dictionary
                    part = PARTS.get(name.split(".")[0], "projection heads and scale")
                    count[part] += prod(weights.get_slice(name).get_shape())
        return count

    @cached_property
    def pictures(self) -> list[str]:
        """Pictures for the card, as paths in the folder."""
        return sorted(f"pictures/{path.name}" for path in (self.folder / "pictures").glob("*.png"))

    @cached_property
    def zero_shot(self) -> dict[str, Any] | None:
        """
        Results of the zero-shot evaluation, if these weights are what was evaluated.

        Raises:
            ValueError: They are of other weights, or no results of an evaluation.
        """
        results = self.json(ZERO_SHOT)
        if results is not None and not (isinstance(results, dict) and results.get("format") == FORMAT):
            raise ValueError(
                f"{str(self.folder / ZERO_SHOT)!r} is no results.json of format {FORMAT}: evaluate this checkpoint "
                "with examples/run_zero_shot_evaluation.py and copy its results.json there, or take the file away."
            )
        if results is not None and self._evaluated(results) is None:
            raise ValueError(
                f"{str(self.folder / ZERO_SHOT)!r} holds figures of other weights than those beside it: evaluate this "
                "checkpoint and copy its results.json there, or take the file away."
            )
        return results

    @cached_property
    def evaluated_as(self) -> str | None:
        """What the zero-shot results call this model."""
        return None if self.zero_shot is None else self._evaluated(self.zero_shot)

    def _evaluated(self, results: dict[str, Any]) -> str | None:
        from modeling_smoothclap.checkpoint_smoothclap import weights_sha256

        own = weights_sha256(self.folder)
        return next((model["name"] for model in results["models"] if model["weights_sha256"] == own), None)
