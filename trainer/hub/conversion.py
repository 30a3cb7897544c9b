"""Published weights as a checkpoint of this package: converted, with records of what they are and were made from."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2  # noqa: F401, so that its absence is noticed before anything is downloaded
from huggingface_hub import ModelCardData
from huggingface_hub.constants import REPOCARD_NAME
from transformers.utils import logging

from modeling_smoothclap.convert_to_hf import KNOWN, Conversion, convert

from ..files import Record, write_json, write_text
from ..templating import render, with_front_matter
from .licences import UNKNOWN, InputKind, LicensedInput, RollUp, as_text, corpora_inputs, known_licence, write_licences
from .privacy import shareable


logger = logging.get_logger(__name__)

TAGS = ["audio", "speech", "paralinguistics", "contrastive", "smoothclap"]


def convert_with_card(source: str | Path, output: str | Path, **options: Any) -> Conversion:
    """
    Convert published weights, see [`~convert_to_hf.convert`], and write beside them `conversion.json`, `licences.json`
    and a card. The card states the licence of the weights, unless what they were made from rules that out.
    """
    conversion = convert(source, output, **options)
    record: dict[str, Any] = shareable(asdict(conversion) | asdict(conversion.model))
    del record["model"], record["hub_id"], record["extra_tensors"]
    write_json(Path(output) / Record.CONVERSION, record)
    licences = RollUp(_inputs(conversion))
    write_licences(output, licences.inputs)
    if refusal := licences.refusal(conversion.weights_licence):
        logger.warning(f"{refusal} The authors have the say; the card of the result has license: {UNKNOWN}.")
    front, name = conversion_front_matter(record, licences), Path(output).resolve().name
    about = {"conversion": record, "licences": licences, "stated": front["license"]}
    body = render("conversion_card.md.jinja", name=name, **about)
    data = ModelCardData(library_name="transformers", tags=TAGS, model_name=name, **front)
    write_text(Path(output) / REPOCARD_NAME, with_front_matter(data, body))
    return conversion


def _inputs(conversion: Conversion) -> list[LicensedInput]:
    """The weights, and what their authors made them from, wherever the configurations were read."""
    known = next(each for each in KNOWN if each.kind == conversion.model.kind)
    towers = {InputKind.AUDIO_ENCODER: known.audio_encoder, InputKind.TEXT_ENCODER: known.text_encoder}
    return [
        LicensedInput(InputKind.WEIGHTS, conversion.source, as_text(conversion.weights_licence)),
        *(LicensedInput(kind, name, known_licence(name)) for kind, name in towers.items()),
        *corpora_inputs({}, known.training_corpora),
    ]


def conversion_front_matter(record: Mapping[str, Any], licences: RollUp) -> dict[str, Any]:
    """Return the entries of a card that follow from the record of a conversion."""
    stated = record["weights_licence"]
    return {
        "base_model": [record["source"]] if record["revision"] else None,
        "language": "en",
        "license": UNKNOWN if not stated or licences.refusal(stated) else stated,
        "pipeline_tag": "zero-shot-audio-classification",
    }
