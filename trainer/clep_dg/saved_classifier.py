"""A classifier that was trained on texts, kept for use on audio."""

import copy
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from modeling_smoothclap import SmoothCLAPForAudioClassification, SmoothCLAPModel

from ..evaluation.dual_encoders import DualEncoder


WEIGHTS_FILE, RECORD_FILE = "classifier.safetensors", "classifier.json"


def check_no_adapters(encoder: DualEncoder) -> None:
    """
    Finds out early whether [`save_classifier`] can take an encoder's audio half along.

    Raises:
        ValueError: it is a SmoothCLAP with adapters beside its weights.
    """
    if isinstance(encoder.model, SmoothCLAPModel) and getattr(encoder.model, "peft_config", None):
        raise ValueError(
            f"The encoder {encoder.name!r} has adapters apart from its weights, and a classifier takes its audio tower "
            "along as one. Train it with `lora_save: merged`, or merge the adapters with PEFT's `merge_and_unload` and "
            "save the result."
        )


def save_classifier(
    encoder: DualEncoder, weights: torch.Tensor, classes: list[str], scale: float, folder: str | Path
) -> None:
    """
    Saves a classifier with what it needs.

    Of a SmoothCLAP encoder it becomes a model with its feature extractor, which
    `pipeline("audio-classification", model=folder)` loads. Of any other, such as transformers' ClapModel, two files are
    written: `classifier.safetensors` with the tensor `weights`, one vector per class, whose cosines with the encoder's
    audio embeddings say which class it is; and `classifier.json` with `id2label`, `scale`, and the encoder's name and
    SHA-256.

    Args:
        encoder ([`DualEncoder`]): In whose space the classifier was trained.
        weights (`torch.Tensor` of shape `(classes, width)`): One vector per class.
        classes (`list[str]`): Their names.
        scale (`float`): The factor between cosine and logit.
        folder (`str` or `Path`): It is created if need be.
    """
    folder = Path(folder)
    id2label = dict(enumerate(classes))
    if isinstance(encoder.model, SmoothCLAPModel):
        model = SmoothCLAPForAudioClassification.from_dual_encoder(encoder.model, weights, id2label, scale)
        model.save_pretrained(folder)
        extractor = copy.copy(encoder.processor.feature_extractor)
        extractor.auto_map = None  # names the processor's code, which does not go along; saving names its own
        extractor.save_pretrained(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    described = encoder.describe()
    record = {"id2label": id2label, "scale": scale}
    record |= {"encoder": {name: described[name] for name in ("name", "revision", "weights_sha256", "class")}}
    save_file({"weights": weights.contiguous()}, folder / WEIGHTS_FILE)
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
