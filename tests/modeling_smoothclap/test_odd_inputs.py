"""Each door of model and processor answers odd input with a right result or a ValueError, and soon."""

import io
import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from modeling_smoothclap import (
    SmoothCLAPConfig,
    SmoothCLAPEncoder,
    SmoothCLAPFeatureExtractor,
    SmoothCLAPForAudioClassification,
    SmoothCLAPModel,
)
from tests import tiny


ROUNDS = 60
SECONDS = 5.0
CLIP = np.zeros(800, np.float32)
WAV = io.BytesIO()
soundfile.write(WAV, CLIP, 8000, format="WAV")
# fmt: off
ODD = [
    None, True, False, 0, 1, -1, 3, 2**70, -(2**40), 0.5, float("inf"), float("nan"), 1e-45, 16000, 16000.0, 1 + 2j,
    np.int64(16000), np.float32(3), np.datetime64("2020"), "", "a", "16000", "longest", "max_length", "pt", "np", "tf",
    "\ud800", "a\0b", "/", "http://x.invalid/a.wav", Path("/nope"), np.str_("a"), b"", b"RIFF", WAV.getvalue(),
    WAV.getvalue()[:60], bytearray(b"a"), memoryview(b"ab"), object(), len, type, range(5), iter([1]), [], [[]], [None],
    {}, {"a": 1}, (), ["a", 1], [[1.0], [1.0, 2.0]], [CLIP, None], [CLIP, [1.0, "a"]], [0.1] * 800, CLIP, CLIP * np.nan,
    np.zeros(0), np.zeros((2, 3)), np.array(5), np.array("a"), np.array([None, 1], dtype=object),
    np.zeros(800, np.int16), np.zeros(800, np.complex64), torch.zeros(800), torch.zeros(2, 800), torch.tensor(3),
    torch.zeros(0), torch.zeros(800, dtype=torch.bfloat16), {"array": CLIP, "sampling_rate": 16000}, {"array": CLIP},
    {"path": "/nope"}, {"audio": 5}, {"array": "x", "sampling_rate": 8000},
]
TENSORS = [
    torch.zeros(2, 800), torch.zeros(2, 800).double(), torch.zeros(2, 800).half(), torch.zeros(2, 800).bool(),
    torch.ones(2, 800).long(), torch.ones(2, 800).int(), torch.zeros(2, 40, 20), torch.zeros(2, 40, 20).bfloat16(),
    torch.ones(2, 40), torch.zeros(0, 800), torch.zeros(2, 0), torch.zeros(2, 5), torch.ones(2, 5).long(),
    torch.ones(1, 5).int(), -torch.ones(2, 5).long(), torch.full((2, 5), 10**6), torch.ones(2, 100).long(),
    torch.zeros(2, 32), torch.zeros(2, 5, 24), torch.zeros(2, 5, 24).double(), torch.zeros(2).long(),
    torch.tensor([0, 5]), torch.zeros(2, 3), torch.zeros(2, 2, dtype=torch.complex64), torch.full((2, 3), torch.nan),
]
# fmt: on
OPTIONS = ("padding", "max_length", "truncation", "pad_to_multiple_of", "return_attention_mask", "return_tensors")
AUDIO = ("input_values", "input_features", "audio_attention_mask", "attention_mask", "pooled_audio")
TEXT = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds", "audio_attention_mask")
EXTRACTOR = ("sampling_rate", "num_mel_bins", "max_frequency", "do_normalize", "minimum_samples", "n_fft", "hop_length")
CONFIG = ("projection_dim", "projection_dropout", "logit_scale_init_value", "training_corpora", "num_labels")
PROCESSORS = [tiny.processor(family) for family in ("wav2vec2", "whisper")]
MODELS = [tiny.model(family) for family in ("wav2vec2", "whisper")]
CLASSIFIER = SmoothCLAPForAudioClassification(tiny.config(num_labels=3)).eval()


def some(rng: random.Random, names: tuple[str, ...], values: list[Any], share: float = 0.3) -> dict[str, Any]:
    return {name: rng.choice(values) for name in names if rng.random() < share}


def an_array(rng: random.Random) -> Any:
    odd = rng.choice(ODD)
    return rng.choice([odd, [odd, rng.choice(ODD)], [CLIP, odd], CLIP])


def a_text(rng: random.Random) -> Any:
    odd = rng.choice(ODD)
    return rng.choice([odd, [odd, "a"], ["a", "bc"], "abc"])


def extract(rng: random.Random) -> None:
    batch = rng.choice(PROCESSORS).feature_extractor(
        an_array(rng), sampling_rate=rng.choice([16000, None, rng.choice(ODD)]), **some(rng, OPTIONS, ODD, 0.1)
    )
    for rows in batch.values():
        for row in rows:
            assert np.isfinite(np.asarray(row, dtype=np.float64)).all()


def pad(rng: random.Random) -> None:
    values = [CLIP, CLIP[:500], np.zeros((40, 20), np.float32), np.ones(800, int), rng.choice(ODD)]
    rows = [some(rng, ("input_values", "input_features", "audio_attention_mask"), values, 0.6)] * 2
    rng.choice(PROCESSORS).feature_extractor.pad(rng.choice([rows, rng.choice(ODD)]), **some(rng, OPTIONS, ODD, 0.1))


def process(rng: random.Random) -> None:
    texts, rate = a_text(rng), rng.choice([{}, {"sampling_rate": 16000}, {"sampling_rate": rng.choice(ODD)}])
    rng.choice(PROCESSORS)(text=texts, audio=rng.choice([None, an_array(rng)]), **rate, **some(rng, OPTIONS, ODD, 0.2))


def build_extractor(rng: random.Random) -> None:
    SmoothCLAPFeatureExtractor(**some(rng, (*EXTRACTOR, "padding_value", "padding_side"), ODD))(
        CLIP, sampling_rate=16000
    )


def configure(rng: random.Random) -> None:
    config = SmoothCLAPConfig(**some(rng, (*CONFIG, "problem_type", "id2label", "audio_config", "text_config"), ODD))
    config.projection_dim = rng.choice(ODD)


def build_tower(rng: random.Random) -> None:
    family = rng.choice(tiny.AUDIO_FAMILIES)
    audio, text = tiny.audio_config(family).to_dict(), tiny.text_config().to_dict()
    part = rng.choice([audio, text])
    numbers = sorted(name for name, value in part.items() if isinstance(value, int | float | list | str))
    part[rng.choice([name for name in numbers if "version" not in name and name != "dtype"])] = rng.choice(ODD[:34])
    SmoothCLAPModel(SmoothCLAPConfig(audio_config=audio, text_config=text, projection_dim=16))


def embed_audio(rng: random.Random) -> None:
    names = rng.choice([AUDIO, AUDIO[:1], AUDIO[1:2], AUDIO[-1:]])
    rng.choice(MODELS).get_audio_features(**some(rng, names, [*TENSORS, rng.choice(ODD)], 0.7))


def embed_text(rng: random.Random) -> None:
    names = rng.choice([TEXT, TEXT[:1], TEXT[:2], TEXT[4:5]])
    rng.choice(MODELS).get_text_features(**some(rng, names, [*TENSORS, rng.choice(ODD)], 0.7))


def classify(rng: random.Random) -> None:
    problems = ("regression", "single_label_classification", "multi_label_classification")
    CLASSIFIER.config.problem_type = rng.choice([None, *problems])
    loss = CLASSIFIER(pooled_audio=torch.ones(2, 32), labels=rng.choice([*TENSORS, rng.choice(ODD)])).loss
    assert loss is None or loss.isfinite()


def encode_texts(rng: random.Random) -> None:
    embeds = SmoothCLAPEncoder(MODELS[0], PROCESSORS[0]).encode_text(a_text(rng))
    assert np.isfinite(embeds).all()


DOORS = [
    extract, pad, process, build_extractor, configure, build_tower, embed_audio, embed_text, classify, encode_texts,
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_odd_input_gives_a_right_result_or_a_value_error_soon(door: Callable[[random.Random], None]):
    passed = 0
    for seed in range(ROUNDS):
        started = time.monotonic()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                door(random.Random(seed))
                passed += 1
            except ValueError as error:
                assert "Linear(" not in str(error), "a module is printed"
            except Exception as error:
                pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
        assert time.monotonic() - started < SECONDS, seed
    assert passed, "no input was right"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_frequency": 8000}, "max_frequency"),
        ({"n_fft": 512}, "n_fft"),
        ({"hop_length": 80}, "hop_length"),
        ({"feature_size": 3}, "feature_size"),
        ({"num_mel_bins": 10**6}, "num_mel_bins"),
        ({"minimum_samples": 10**12}, "minimum_samples"),
    ],
    ids=str,
)
def test_arguments_of_an_extractor_without_effect_or_measure_are_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        SmoothCLAPFeatureExtractor(**changes)


def test_options_of_a_processor_that_nothing_takes_are_refused():
    processor = tiny.processor()
    for options in ({"lenght": 3}, {"audio_kwargs": {"lenght": 3}}, {"padding_side": "left"}):
        with pytest.raises(ValueError, match=r"lenght|right"):
            processor(text=["a"], audio=tiny.clips(0.1), sampling_rate=16000, **options)


def test_bytes_of_a_dataset_that_does_not_decode_are_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", tiny.clips(0.1)[0], 16000)
    row = {"bytes": (tmp_path / "a.wav").read_bytes(), "path": "elsewhere.wav"}
    assert tiny.processor()(audio=[row])["input_values"].shape == (1, 1600)


@pytest.mark.parametrize("targets", [[[1.0]], torch.tensor([[float("nan")]]), torch.tensor([[2.0]])], ids=str)
def test_soft_targets_that_are_no_distribution_or_have_no_loss_are_refused(targets):
    batch = tiny.processor()(text=["a"], audio=tiny.clips(0.1), sampling_rate=16000, return_tensors="pt")
    with pytest.raises(ValueError, match="targets"):
        tiny.model()(**batch, soft_targets=targets, return_loss=True)
    with pytest.raises(ValueError, match="return_loss"):
        tiny.model()(**batch, soft_targets=torch.ones(1, 1))


def test_classes_are_numbered_from_zero_and_a_single_one_has_nothing_to_learn():
    fields = tiny.config().to_dict()
    with pytest.raises(ValueError, match="id2label"):
        SmoothCLAPForAudioClassification(SmoothCLAPConfig(**fields | {"id2label": {0: "low", 5: "high"}}))
    one = {"num_labels": 1, "problem_type": "single_label_classification"}
    model = SmoothCLAPForAudioClassification(SmoothCLAPConfig(**fields | one))
    with pytest.raises(ValueError, match="num_labels"):
        model(input_values=torch.zeros(1, 1600), labels=torch.tensor([0]))
