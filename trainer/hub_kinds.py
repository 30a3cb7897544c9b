"""The kinds of checkpoints that can be shared: what each needs beside its weights, and how it is tried."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor

from modeling_smoothclap import SmoothCLAPForAudioClassification  # importing the package registers what is tried here


EXTRACTOR_FILES = ("processor_config.json", "preprocessor_config.json")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model")


@dataclass(frozen=True)
class CheckpointKind:
    """
    One kind.

    Args:
        model, processor: The Auto classes that load it.
        parts (`Mapping[str, tuple[str, ...]]`): Part of the processor to the files of which one holds it.
        code (`frozenset[str]`): The Auto classes whose code `auto_map` must name, if transformers has no such model.
        card (`str`): Where its card comes from, as a cure.
    """

    model: Any
    processor: Any
    parts: Mapping[str, tuple[str, ...]]
    code: frozenset[str]
    card: str

    def check_loading(self, folder: Path) -> None:
        """
        Load everything once, with the package's own classes, as a user would.

        Raises:
            ValueError: Something does not load, or weights and configuration do not fit each other.
        """
        locally: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            with torch.random.fork_rng(devices=[]):  # loading draws numbers, which training may be in the midst of
                _, found = self.model.from_pretrained(folder, output_loading_info=True, **locally)
            self.processor.from_pretrained(folder, **locally)
        except Exception as error:  # of truncated and foreign files: too many classes to name
            raise ValueError(f"{str(folder)!r} cannot be loaded, so nothing is uploaded: {error}") from error
        for problem in ("missing_keys", "unexpected_keys"):
            if names := sorted(found[problem]):
                raise ValueError(
                    f"The weights in {str(folder)!r} do not fit its configuration: {problem.replace('_', ' ')} "
                    f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}. Save the model again."
                )


DUAL_ENCODER = CheckpointKind(
    AutoModel,
    AutoProcessor,
    {"feature extractor": EXTRACTOR_FILES, "tokenizer": VOCABULARIES},
    frozenset({"AutoConfig", "AutoModel", "AutoProcessor", "AutoFeatureExtractor"}),
    "write its card with examples/write_model_card.py",
)
CLASSIFIER = CheckpointKind(
    AutoModelForAudioClassification,
    AutoFeatureExtractor,
    {"feature extractor": EXTRACTOR_FILES},
    frozenset({"AutoConfig", "AutoModelForAudioClassification", "AutoFeatureExtractor"}),
    "examples/run_clep_dg.py writes those of its classifiers; write that of another one yourself",
)


def kind_of(config: Mapping[str, Any]) -> CheckpointKind:
    """
    Which kind a checkpoint is of, by the class that its configuration names.

    Args:
        config (`Mapping[str, Any]`): The content of `config.json`.

    Example:

    ```python
    >>> from smoothclap_trainer.hub_kinds import CLASSIFIER, kind_of
    >>> kind_of({"architectures": ["SmoothCLAPForAudioClassification"]}) is CLASSIFIER
    True

    ```
    """
    classes = config.get("architectures") or ()
    return CLASSIFIER if SmoothCLAPForAudioClassification.__name__ in classes else DUAL_ENCODER
