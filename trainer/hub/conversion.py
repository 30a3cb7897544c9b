"""Published weights as a checkpoint of this package: converted, with records of what they are and were made from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2  # noqa: F401, so that its absence is noticed before anything is downloaded
from huggingface_hub import ModelCardData
from huggingface_hub.constants import REPOCARD_NAME
from transformers.utils import logging

from modeling_smoothclap.convert_to_hf import Conversion, convert

from ..files import Record, write_text
from ..templating import render, with_front_matter
from .licences import UNKNOWN, RollUp, inputs_of_conversion, write_licences
from .records import read_record


logger = logging.get_logger(__name__)

TAGS = ["audio", "speech", "paralinguistics", "contrastive", "smoothclap"]


def convert_with_card(source: str | Path, output: str | Path, **options: Any) -> Conversion:
    """
    Convert published weights, see [`~convert_to_hf.convert`], and write beside them `licences.json` and a card.

    The card states the licence of the weights, unless what they were made from rules that out.
    """
    conversion = convert(source, output, **options)
    record = read_record(Path(output) / Record.CONVERSION)
    licences = RollUp(inputs_of_conversion(record))
    write_licences(output, licences.inputs)
    if refusal := licences.refusal(conversion.weights_licence):
        logger.warning(f"{refusal} The authors have the say; the card of the result has license: {UNKNOWN}.")
    front, name = conversion_front_matter(record, licences), Path(output).resolve().name
    about = {"conversion": record, "licences": licences, "stated": front["license"]}
    body = render("conversion_card.md.jinja", name=name, **about)
    data = ModelCardData(library_name="transformers", tags=TAGS, model_name=name, **front)
    write_text(Path(output) / REPOCARD_NAME, with_front_matter(data, body))
    return conversion


def conversion_front_matter(record: Mapping[str, Any], licences: RollUp) -> dict[str, Any]:
    """Return the entries of a card that follow from the record of a conversion."""
    stated = record["weights_licence"]
    return {
        "base_model": [record["source"]] if record["revision"] else None,
        "language": "en",
        "license": UNKNOWN if not stated or licences.refusal(stated) else stated,
        "pipeline_tag": "zero-shot-audio-classification",
    }
