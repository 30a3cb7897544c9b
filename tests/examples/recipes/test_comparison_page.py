from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from comparison.page import TINY_RATES, ClipSet, Origin, comparison_page
from comparison.runs import INFONCE, SOFT


CONFIGS = Path(__file__).parents[3] / "examples" / "configs"


def clips(count, **columns):
    return pd.DataFrame(
        {"language": "en", "corpus": "plays", "speaker": "she", "transcript": None} | columns, index=range(count)
    )


def results() -> pd.DataFrame:
    rows = []
    for objective, shift in ((INFONCE.name, 0.0), (SOFT[0].name, 0.1)):
        for seed, noise in enumerate((0.0, 0.1, 0.2)):
            row = {"objective": objective, "seed": seed, "steps": 1200, "train_clips": 1900}
            row |= {"uar_de": 0.2 + shift + noise, "uar_en": 0.4, "chance_uar": 1 / 7}
            row |= {"intensity": np.nan, "egemaps": -0.1 + noise, "valence_arousal": 0.5}
            for k in (1, 5, 10):
                row |= {f"audio_to_text_r@{k}": k / 100 + shift, f"text_to_audio_r@{k}": k / 50}
                row |= {f"own_audio_to_text_r@{k}": shift, f"own_text_to_audio_r@{k}": shift}
                row |= {f"chance_r@{k}": k / 1000, f"own_chance_r@{k}": k / 2000, "captions": 40, "own_captions": 200}
            rows.append(row)
    return pd.DataFrame(rows)


def page(config=None) -> str:
    expressive = clips(1900, synthetic=True, corpus="rendered", speaker=["a", "b"] * 950, transcript=["x", "y"] * 950)
    train = clips(2000, synthetic=True, transcript=["y", "z"] * 1000)
    config = {"per_device_train_batch_size": 64} if config is None else config
    return comparison_page(results(), config, "python this.py", train, expressive, clips(300))


def cells(text: str, start: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {start}")]


def test_entries_are_means_and_half_widths_and_chance():
    text = page()
    # Deviation .1 over three seeds: 4.303 * .1 / sqrt(3) = .248
    emotions, degrees, retrieval, own = cells(text, "soft targets")
    assert own[1:] == ["0.100 ± 0.000"] * 6
    assert emotions == [SOFT[0].name, "0.400 ± 0.248", "0.400 ± 0.000"]
    assert degrees == [SOFT[0].name, "undefined", "0.000 ± 0.248", "0.500 ± 0.000"]
    assert retrieval[1:4] == ["0.110 ± 0.000", "0.150 ± 0.000", "0.200 ± 0.000"]
    assert retrieval[4:] == ["0.020 ± 0.000", "0.100 ± 0.000", "0.200 ± 0.000"]
    assert cells(text, "InfoNCE")[0][1] == "0.300 ± 0.248"
    assert cells(text, "chance") == [
        ["chance", "0.143", "0.143"],
        ["chance", "0.001", "0.005", "0.010", "0.001", "0.005", "0.010"],
        ["chance", "0.001", "0.003", "0.005", "0.001", "0.003", "0.005"],
    ]
    assert cells(text, "objective") == [
        ["objective", "UAR, de", "UAR, en"],
        ["objective", "intensity", "eGeMAPS", "valence-arousal"],
        ["objective", *(f"{way} R@{k}" for way in ("audio to text", "text to audio") for k in (1, 5, 10))],
        ["objective", *(f"{way} R@{k}, own" for way in ("audio to text", "text to audio") for k in (1, 5, 10))],
    ]


def test_the_page_shows_what_was_measured():
    text = " ".join(page().split())
    for fact in ("python this.py", "2,000 clips of SYNTHETIC speech", "1,200 steps of 64 pairs", "Seeds: 3",
                 "0 voices and 1 sentences", "300 clips of real speech in en by 1 voice (plays)"):  # fmt: skip
        assert fact in text
    assert "steps of 32 pairs" in page({})
    assert "steps of 96 pairs" in page({"gradient_accumulation_steps": 3})


def test_clips_are_synthetic_as_far_as_the_rows_say_so():
    assert ClipSet.of(clips(3)) == ClipSet(3, Origin.REAL, ("en",), ("plays",), 1)
    mixed = clips(2, language=["en", "de"], corpus=["x", "y"], synthetic=[True, None])
    assert ClipSet.of(mixed) == ClipSet(2, Origin.MIXED, ("de", "en"), ("x", "y"), 1)
    assert ClipSet.of(clips(2, synthetic=True)).origin == Origin.SYNTHETIC


def test_the_page_defines_the_objectives_that_were_compared():
    text = " ".join(line.strip() for line in page().splitlines())
    for one in (INFONCE, SOFT[0]):
        assert f"- {one.name}: {one.meaning}" in text
    assert SOFT[1].name not in text and "label equality:" not in text


def test_the_page_names_the_rates_and_whose_they_were():
    shared = yaml.safe_load((CONFIGS / "comparison.yaml").read_text())
    assert {name: shared[name] for name in TINY_RATES} == TINY_RATES
    assert "learning_rate 0.001 and text_learning_rate 0.0001" in page(shared) and "smoothclap-tiny's" in page(shared)
    assert "learning_rate 0.002," in page({"learning_rate": 0.002})
    assert "smoothclap-tiny's" not in page({"learning_rate": 0.002})


def test_the_page_ends_with_a_reading():
    reading = page().split("## Reading")[1]
    # Metrics: see `results`. Deviation .1 over three seeds gives a half-width of .248, and none gives 0.
    assert cells(reading, "UAR, de") == [
        ["UAR, de", SOFT[0].name, "0.400 ± 0.248", "0.300 ± 0.248", "overlap", "yes"],
    ]
    assert cells(reading, "audio to text R@1 ") == [
        ["audio to text R@1", SOFT[0].name, "0.110 ± 0.000", "0.010 ± 0.000", "apart", "yes"],
    ]
    assert "intensity: undefined." in reading
    assert "eGeMAPS: higher in 0 of 1 settings, intervals apart in 0; lower in 0, intervals apart in 0." in reading
