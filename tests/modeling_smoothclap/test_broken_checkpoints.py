"""Each file of a checkpoint is cut, flipped, deleted or filled with something else: a right model or a ValueError."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modeling_smoothclap import SmoothCLAPEncoder
from tests import tiny


ROUNDS = 10
SECONDS = 5.0
# fmt: off
VALUES = [
    None, True, 0, -1, 10**7, 2**70, 0.5, float("nan"), float("inf"), "", "a", "\ud800", "../x", [], {}, [1], {"a": 1},
]
# fmt: on
CONTENTS = [b"", b"[]", b"null", b"5", b"[" * 100_000, b"\xff\xfe", b"{}", b"\xef\xbb\xbf{}", b'{"a":' * 50_000]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("broken") / "checkpoint")


def places(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of keys to every value in JSON."""
    keys = content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield (*above, key)
        yield from places(content[key], (*above, key))


def damage(rng: random.Random, path: Path) -> str:
    data = path.read_bytes()
    kind = rng.choice(["cut", "flip", "delete", "folder", "fill", *["swap", "drop"] * (path.suffix == ".json")])
    if kind == "cut":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == "flip":  # of weights their header, because other weights are weights
        changed = bytearray(data)
        changed[rng.randrange(min(len(data), 4000))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
    elif kind == "fill":
        path.write_bytes(rng.choice(CONTENTS))
    elif kind in ("delete", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
    else:
        content = json.loads(data)
        *above, key = rng.choice([*places(content)])
        part = content
        for each in above:
            part = part[each]
        if kind == "swap":
            part[key] = rng.choice(VALUES)
        else:
            del part[key]
        path.write_text(json.dumps(content))
        return f"{kind} {[*above, key]}: {part.get(key) if isinstance(part, dict) else ''}"
    return kind


@pytest.mark.parametrize(
    "name", ["config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"]
)
def test_a_broken_file_gives_a_right_result_or_a_value_error_soon(checkpoint, tmp_path, name):
    clip = tiny.clips(0.2)
    right = SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu").encode_audio(clip)
    for seed in range(ROUNDS):
        folder, started = shutil.copytree(checkpoint, tmp_path / str(seed)), time.monotonic()
        done = damage(random.Random(f"{name} {seed}"), folder / name)
        try:
            encoder = SmoothCLAPEncoder.from_pretrained(folder, "cpu")
            embeds, texts = encoder.encode_audio(clip), encoder.encode_text(["a low voice"])
            assert np.allclose(embeds, right, atol=1e-5) and np.isfinite(texts).all(), (seed, done)
        except Exception as error:
            named = type(error) is ValueError and (str(folder) in str(error) or "smoothclap" in str(error).lower())
            assert named, (seed, done, repr(error))
        assert time.monotonic() - started < SECONDS, (seed, done)
