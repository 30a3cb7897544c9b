import numpy as np
import pandas as pd
import pytest

from smoothclap_trainer.evaluation.comparison_page import comparison_page, describe_clips, mean_and_half_width


def clips(count, **columns):
    return pd.DataFrame(
        {"language": "en", "corpus": "plays", "speaker": "she", "transcript": None} | columns, index=range(count)
    )


def results() -> pd.DataFrame:
    rows = []
    for objective, shift in (("one-hot", 0.0), ("soft", 0.1)):
        for seed, noise in enumerate((0.0, 0.1, 0.2)):
            row = {"objective": objective, "seed": seed, "steps": 1200, "train_clips": 1900}
            row |= {"uar_de": 0.2 + shift + noise, "uar_en": 0.4, "chance_uar": 1 / 7}
            row |= {"intensity": np.nan, "egemaps": -0.1 + noise, "valence_arousal": 0.5}
            for k in (1, 5, 10):
                row |= {f"audio_to_text_r@{k}": k / 100 + shift, f"text_to_audio_r@{k}": k / 50}
                row |= {f"chance_r@{k}": k / 1000}
            rows.append(row)
    return pd.DataFrame(rows)


def page(config=None) -> str:
    expressive = clips(1900, synthetic=True, corpus="rendered", speaker=["a", "b"] * 950, transcript=["x", "y"] * 950)
    train = clips(2000, synthetic=True, transcript=["y", "z"] * 1000)
    config = {"per_device_train_batch_size": 64} if config is None else config
    return comparison_page(results(), config, "python this.py", train, expressive, clips(300))


def cells(text: str, start: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {start}")]


def test_interval_of_five_seeds_by_hand():
    # Mean 3, deviation sqrt(2.5), error sqrt(.5), t(4) = 2.776.
    assert mean_and_half_width([1, 2, 3, 4, 5]) == pytest.approx((3, 2.776 * np.sqrt(0.5)))


def test_quantiles_are_students():
    stats = pytest.importorskip("scipy.stats")
    for n in range(2, 31):
        values = np.resize([0.0, 1.0], n)
        error = values.std(ddof=1) / np.sqrt(n)
        assert mean_and_half_width(values)[1] / error == pytest.approx(stats.t.ppf(0.975, n - 1), abs=6e-4)


def test_more_seeds_than_the_table_has_get_a_little_wide_interval():
    values = np.resize([0.0, 1.0], 100)
    assert mean_and_half_width(values)[1] == pytest.approx(2.045 * values.std(ddof=1) / 10)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="two values or more, got 1"):
        mean_and_half_width([0.5])


def test_entries_are_means_and_half_widths_and_chance():
    text = page()
    # Deviation .1 over three seeds: 4.303 * .1 / sqrt(3) = .248
    emotions, degrees, retrieval = cells(text, "soft")
    assert emotions == ["soft", "0.400 ± 0.248", "0.400 ± 0.000"]
    assert degrees == ["soft", "undefined", "0.000 ± 0.248", "0.500 ± 0.000"]
    assert retrieval[1:4] == ["0.110 ± 0.000", "0.150 ± 0.000", "0.200 ± 0.000"]
    assert retrieval[4:] == ["0.020 ± 0.000", "0.100 ± 0.000", "0.200 ± 0.000"]
    assert cells(text, "one-hot")[0][1] == "0.300 ± 0.248"
    assert cells(text, "chance") == [
        ["chance", "0.143", "0.143"],
        ["chance", "0.001", "0.005", "0.010", "0.001", "0.005", "0.010"],
    ]
    assert cells(text, "objective") == [
        ["objective", "UAR, de", "UAR, en"],
        ["objective", "intensity", "eGeMAPS", "valence-arousal"],
        ["objective", *(f"{way} R@{k}" for way in ("audio to text", "text to audio") for k in (1, 5, 10))],
    ]
    # Every line of a table has as many cells.
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert widths == [4] * 5 + [5] * 4 + [8] * 5


def test_the_page_says_what_was_measured():
    lines = page().splitlines()
    assert max(len(line) for line in lines if not line.startswith("|")) <= 120
    text = " ".join(line.strip() for line in lines)
    assert "    python this.py" in lines
    assert "Training: 2,000 clips of SYNTHETIC speech in en by 1 voice (plays); 1,900 of them" in text
    assert "1,200 steps of 64 pairs" in text
    assert "Seeds: 3 for each" in text
    assert "1,900 clips of SYNTHETIC speech in en by 2 voices (rendered)" in text
    assert "Of these, 0 voices and 1 sentences were trained on." in text
    assert "Retrieval: 300 clips of real speech" in text
    assert "## Emotions of SYNTHETIC speech" in text and "## Retrieval of real speech" in text
    assert "steps of 32 pairs" in page({})
    assert "steps of 96 pairs" in page({"gradient_accumulation_steps": 3})


def test_clips_are_synthetic_as_far_as_the_rows_say_so():
    assert describe_clips(clips(3)) == "3 clips of real speech in en by 1 voice (plays)"
    mixed = clips(2, language=["en", "de"], corpus=["x", "y"], synthetic=[True, None])
    assert describe_clips(mixed) == "2 clips of partly SYNTHETIC speech in de and en by 1 voice (x and y)"
