"""Published weights as a checkpoint of this package: converted, with a record of where they come from, and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from huggingface_hub.constants import REPOCARD_NAME

from modeling_smoothclap.convert_to_hf import Conversion, convert

from ..files import Record, write_json, write_text
from ..templating import render, with_front_matter
from .privacy import shareable


TAGS = ["audio", "speech", "paralinguistics", "contrastive", "smoothclap"]


def convert_with_card(source: str | Path, output: str | Path, **options: Any) -> Conversion:
    """Convert published weights, see [`~convert_to_hf.convert`], and write the record of it and a card beside them."""
    conversion = convert(source, output, **options)
    record: dict[str, Any] = shareable(asdict(conversion) | asdict(conversion.model))
    del record["model"], record["hub_id"], record["extra_tensors"]
    write_json(Path(output) / Record.CONVERSION, record)
    name = Path(output).resolve().name
    body = render("conversion_card.md.jinja", conversion=record, name=name)
    data = ModelCardData(library_name="transformers", tags=TAGS, model_name=name, **conversion_front_matter(record))
    write_text(Path(output) / REPOCARD_NAME, with_front_matter(data, body))
    return conversion


def conversion_front_matter(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a card that follow from the record of a conversion."""
    return {
        "base_model": [record["source"]] if record["revision"] else None,
        "language": "en",
        "license": record["weights_licence"] or "unknown",
        "pipeline_tag": "zero-shot-audio-classification",
    }
