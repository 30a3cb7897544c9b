"""Quantile thresholds: values by hand, edges, and an exact round trip."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from sklearn.preprocessing import QuantileTransformer

from smoothclap_trainer.data.captions.thresholds import (
    ACOUSTIC_GROUPS,
    CorpusThresholds,
    Thresholds,
    load_thresholds,
)


PITCH = "F0semitoneFrom27.5Hz_sma3nz_amean"
LEVEL, LOUDNESS = ACOUSTIC_GROUPS["intensity"]


def test_quantiles_by_hand():
    # Eleven values 0, 2, ..., 20: the 0.3 quantile is the 4th smallest, the 0.7 quantile the 8th.
    rows = pd.DataFrame({PITCH: np.float32([20, 0, 2, 18, 4, 16, 6, 14, 8, 12, 10])})
    thresholds = Thresholds.fit(rows)
    assert thresholds.low == {PITCH: 6.0}
    assert thresholds.high == {PITCH: 14.0}
    assert thresholds.num_rows == 11


def test_quantiles_between_values_are_linear():
    # Four values: position 0.3 * 3 = 0.9 lies nine tenths from 0 to 10, position 2.1 a tenth from 20 to 40.
    thresholds = Thresholds.fit(pd.DataFrame({"duration": [0.0, 10.0, 20.0, 40.0]}))
    assert thresholds.low["duration"] == pytest.approx(9.0)
    assert thresholds.high["duration"] == pytest.approx(22.0)


def test_edges_belong_to_low_and_high():
    thresholds = Thresholds(low={"duration": 2.0}, high={"duration": 5.0}, num_rows=9)
    below, above = math.nextafter(5.0, 0), math.nextafter(2.0, 9)
    found = [thresholds.levels({"duration": value})["duration"] for value in (2.0, above, below, 5.0)]
    assert found == ["low", "normal", "normal", "high"]


@pytest.mark.parametrize(
    ("level", "loudness", "expected"),
    [
        (-10, 2.0, "high"),
        (-40, 2.0, "high"),
        (-10, 0.1, "high"),
        (-40, 1.0, "low"),
        (-20, 0.1, "low"),
        (-20, 1.0, "normal"),
    ],
)
def test_intensity_is_high_if_either_is_high_then_low_if_either_is_low(level, loudness, expected):
    thresholds = Thresholds(low={LEVEL: -30, LOUDNESS: 0.5}, high={LEVEL: -15, LOUDNESS: 1.5}, num_rows=9)
    assert thresholds.levels({LEVEL: level, LOUDNESS: loudness}) == {"intensity": expected}


def test_rated_dimensions_may_have_gaps_and_acoustic_values_may_not():
    rows = pd.DataFrame({"arousal": [1.0, 2.0, None, 3.0, 4.0, 5.0], "duration": [1.0, 2, 3, 4, 5, 6]})
    thresholds = Thresholds.fit(rows)
    assert thresholds.low["arousal"] == pytest.approx(2.2)  # of 1 to 5
    assert thresholds.levels({"duration": 1.0, "arousal": None}) == {"duration": "low"}
    assert thresholds.levels({"duration": 1.0, "arousal": 5.0}) == {"duration": "low", "arousal": "high"}
    with pytest.raises(ValueError, match="duration"):
        thresholds.levels({"duration": float("nan"), "arousal": 5.0})
    with pytest.raises(ValueError, match="duration"):
        thresholds.levels({"arousal": 5.0})
    with pytest.raises(ValueError, match=r"'duration'.*1 of 6"):
        Thresholds.fit(rows.assign(duration=[1.0, 2, None, 4, 5, 6]))


def paraclap(values):
    """ParaCLAP's rule: the ranks of scikit-learn's transformer, binned."""
    transformer = QuantileTransformer(n_quantiles=len(values), subsample=None)
    ranks = transformer.fit_transform(np.array(values, dtype=float)[:, None])[:, 0]
    return ["low" if rank <= 0.3 else "high" if rank >= 0.7 else "normal" for rank in ranks]


def binned(values, column="arousal"):
    thresholds = Thresholds.fit(pd.DataFrame({column: np.array(values, dtype=float)}))
    return [thresholds.levels({column: float(value)})[column] for value in values]


@pytest.mark.parametrize(
    ("scale", "counts", "expected"),
    [
        ([1, 4, 7], [10, 60, 30], ["low", "normal", "high"]),
        ([1, 4, 7], [35, 40, 25], ["low", "normal", "high"]),
        ([1, 2, 3, 4, 5], [5, 15, 55, 20, 5], ["low", "low", "normal", "high", "high"]),
        ([1, 7], [80, 20], ["low", "high"]),
        ([1, 2, 7], [2, 96, 2], ["low", "normal", "high"]),
        ([1, 2, 3, 4, 5], [30, 20, 20, 20, 10], ["low", "normal", "normal", "high", "high"]),
    ],
)
def test_ratings_on_coarse_scales_are_binned_as_in_paraclap(scale, counts, expected):
    ratings = np.repeat(scale, counts)
    assert [binned(ratings)[np.flatnonzero(ratings == value)[0]] for value in scale] == expected
    assert binned(ratings) == paraclap(ratings)


def test_random_scales_and_continuous_ratings_are_binned_as_in_paraclap():
    generator = np.random.default_rng(0)
    for points in (3, 5, 7, 9):
        ratings = generator.choice(points, size=203, p=generator.dirichlet(np.ones(points)))
        assert binned(ratings) == paraclap(ratings)
    ratings = generator.normal(size=400)
    assert binned(ratings) == paraclap(ratings)
    low, high = np.quantile(ratings, [0.3, 0.7])
    assert binned(ratings) == ["low" if value <= low else "high" if value >= high else "normal" for value in ratings]


def test_clips_of_one_length_have_no_long_and_short_ones(logs):
    durations = pd.DataFrame({"duration": [3.0] * 9 + [1.0], "valence": range(10)})
    assert set(Thresholds.fit(durations).low) == {"valence"}
    assert "duration" in logs.text
    assert set(binned([1.0, *[2.0] * 8, 3.0], "duration")) == {"low", "normal", "high"}


def test_saved_and_loaded_thresholds_are_equal(tmp_path):
    generator = np.random.default_rng(0)
    columns = [column for columns in ACOUSTIC_GROUPS.values() for column in columns]
    thresholds = Thresholds.fit(pd.DataFrame({column: generator.normal(size=97) for column in columns}))
    thresholds.save(tmp_path / "thresholds.json")
    assert Thresholds.load(tmp_path / "thresholds.json") == thresholds


def test_the_rate_of_the_functionals_is_kept_and_earlier_files_load(tmp_path):
    fitted = Thresholds.fit(pd.DataFrame({"duration": [1.0, 2.0, 3.0]}), sampling_rate=16000)
    fitted.save(tmp_path / "t.json")
    assert Thresholds.load(tmp_path / "t.json").sampling_rate == 16000
    content = json.loads((tmp_path / "t.json").read_text())
    del content["sampling_rate"]
    (tmp_path / "t.json").write_text(json.dumps(content))
    assert Thresholds.load(tmp_path / "t.json").sampling_rate is None


@pytest.mark.parametrize(
    "content",
    [None, "", "[]", '{"columns": {"duration": 3}}', '{"num_rows": 3}'],
)
def test_other_files_are_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "thresholds.json").write_text(content)
    with pytest.raises(ValueError, match=r"thresholds\.json"):
        Thresholds.load(tmp_path / "thresholds.json")


@pytest.mark.parametrize(
    ("column", "low", "high", "quantiles"),
    [
        ("duration", math.nan, 2.0, [0.3, 0.7]),
        ("duration", 1.0, math.inf, [0.3, 0.7]),
        ("duration", 3.0, 2.0, [0.3, 0.7]),
        ("duration", 1.0, 2.0, [0.7, 0.3]),
        ("length", 1.0, 2.0, [0.3, 0.7]),
    ],
)
def test_impossible_thresholds_are_refused(tmp_path, column, low, high, quantiles):
    content = {"num_rows": 3, "quantiles": quantiles, "columns": {column: {"low": low, "high": high}}}
    (tmp_path / "thresholds.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"thresholds\.json"):
        Thresholds.load(tmp_path / "thresholds.json")


@pytest.mark.parametrize(
    "change",
    [
        *({"num_rows": value} for value in (0, -1, 2.5, math.inf, True, "3", None)),
        *({"sampling_rate": value} for value in (0, -1, math.nan, True, "16000", [])),
        *({"quantiles": value} for value in ("37", [0.3], [0.3, 0.5, 0.7], {}, [math.nan, 0.7])),
        *({"columns": value} for value in ({}, [], "a", {"duration": 3})),
    ],
)
def test_nonsense_in_a_file_of_thresholds_is_refused(tmp_path, change):
    content = {"num_rows": 3, "quantiles": [0.3, 0.7], "columns": {"duration": {"low": 1.0, "high": 2.0}}}
    (tmp_path / "thresholds.json").write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=r"thresholds\.json"):
        Thresholds.load(tmp_path / "thresholds.json")


def test_thresholds_nested_too_deeply_are_refused(tmp_path):
    (tmp_path / "thresholds.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"thresholds\.json"):
        Thresholds.load(tmp_path / "thresholds.json")


@pytest.mark.parametrize("columns", [{"duration": [3.0] * 10}, {"x": [3.0] * 10}, {"duration": []}])
def test_what_cannot_be_binned_is_refused(columns):
    with pytest.raises(ValueError):
        Thresholds.fit(pd.DataFrame(columns))


def test_rows_may_be_a_dataset_or_a_table():
    generator = np.random.default_rng(0)
    names = [*ACOUSTIC_GROUPS["pitch"], *ACOUSTIC_GROUPS["intensity"], "duration"]
    table = pd.DataFrame({name: generator.normal(size=97).astype(np.float32) for name in names})
    table["valence"] = [None, *generator.normal(size=96)]
    fitted = Thresholds.fit(Dataset.from_pandas(table))
    assert fitted == Thresholds.fit(table)
    assert len(fitted.low) == 5


def test_other_quantiles_are_remembered(tmp_path):
    thresholds = Thresholds.fit(pd.DataFrame({"duration": [float(n) for n in range(11)]}), quantiles=(0.1, 0.9))
    thresholds.save(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["quantiles"] == [0.1, 0.9]
    assert Thresholds.load(tmp_path / "t.json").high == {"duration": 9.0}


def test_what_does_not_vary_is_not_spoken_of(logs):
    rows = pd.DataFrame({"duration": [3.0] * 10, "loudnessPeaksPerSec": range(10), "valence": [None] * 10})
    fitted = Thresholds.fit(rows)
    assert set(fitted.low) == {"loudnessPeaksPerSec"}
    assert fitted.levels({"duration": 3.0, "loudnessPeaksPerSec": 0.0}) == {"rate": "low"}
    assert "duration is left out" in logs.text and "valence is left out" in logs.text


def two_corpora():
    """Clips of a real corpus, and louder ones of a synthetic corpus whose rate is always the same, mixed."""
    generator = np.random.default_rng(0)
    real, made = generator.normal(size=(41, 3)), generator.normal(size=(23, 3)) * 3 + 20
    made[:, 2] = 4.0
    rows = pd.DataFrame(np.concatenate([real, made]), columns=[PITCH, "duration", "loudnessPeaksPerSec"])
    return rows.assign(corpus=["real"] * 41 + ["made"] * 23).sample(frac=1, random_state=0)


def test_a_clip_is_high_or_low_among_those_of_its_corpus(logs):
    rows = two_corpora()
    thresholds = CorpusThresholds.fit(rows)
    said = pd.DataFrame([thresholds.levels(row) for row in rows.to_dict("records")], index=rows.index)
    for corpus, members in rows.groupby("corpus"):
        for group, column in (("pitch", PITCH), ("duration", "duration"), ("rate", "loudnessPeaksPerSec")):
            found = said.loc[members.index, group]
            if (corpus, group) == ("made", "rate"):
                assert found.isna().all()
                continue
            low, high = np.quantile(members[column], [0.3, 0.7])
            expected = np.where(members[column] <= low, "low", np.where(members[column] >= high, "high", "normal"))
            assert found.tolist() == expected.tolist(), (corpus, group)
    assert "rate is left out of captions and tags of corpus 'made'" in logs.text and "'real'" not in logs.text
    assert (thresholds.num_rows, thresholds.quantiles) == (64, (0.3, 0.7))


def test_of_one_corpus_thresholds_are_those_of_all_rows():
    rows = two_corpora().assign(corpus="one")
    options = {"quantiles": (0.2, 0.9), "sampling_rate": 16000}
    assert CorpusThresholds.fit(Dataset.from_pandas(rows), **options).corpora == {
        "one": Thresholds.fit(rows, **options)
    }


def test_thresholds_of_either_kind_are_saved_and_loaded(tmp_path):
    rows = two_corpora()
    for thresholds in (CorpusThresholds.fit(rows, sampling_rate=8000), Thresholds.fit(rows)):
        thresholds.save(tmp_path / "t.json")
        assert load_thresholds(tmp_path / "t.json") == thresholds
    CorpusThresholds.fit(rows).save(tmp_path / "t.json")
    assert set(json.loads((tmp_path / "t.json").read_text())["corpora"]) == {"real", "made"}
    with pytest.raises(ValueError, match=r"t\.json.*load_thresholds"):
        Thresholds.load(tmp_path / "t.json")


def test_rows_without_a_corpus_and_corpora_too_small_are_refused():
    rows = two_corpora()
    thresholds = CorpusThresholds.fit(rows)
    for unknown in ({"corpus": "other"}, {}, {"corpus": None}):
        with pytest.raises(ValueError, match=r"'other'|None"):
            thresholds.levels(rows.iloc[0].drop("corpus").to_dict() | unknown)
    with pytest.raises(ValueError, match="64 of 64"):
        CorpusThresholds.fit(rows.drop(columns="corpus"))
    with pytest.raises(ValueError, match="23 of 64"):
        CorpusThresholds.fit(rows.assign(corpus=rows["corpus"].where(rows["corpus"] == "real", None)))
    with pytest.raises(ValueError, match=r"'tiny'.* 1 rows"):
        CorpusThresholds.fit(pd.concat([rows, rows.iloc[:1].assign(corpus="tiny")]))


@pytest.mark.parametrize("corpora", [{}, [], None, 3, {"a": 3}, {"a": {"num_rows": 3}}, {"a": "b"}])
def test_nonsense_in_a_file_of_thresholds_by_corpus_is_refused(tmp_path, corpora):
    (tmp_path / "thresholds.json").write_text(json.dumps({"corpora": corpora}))
    with pytest.raises(ValueError, match=r"thresholds\.json"):
        load_thresholds(tmp_path / "thresholds.json")


def test_corpora_share_their_quantiles():
    one = Thresholds({"duration": 1.0}, {"duration": 2.0}, 3)
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        CorpusThresholds({"a": one, "b": Thresholds({"duration": 1.0}, {"duration": 2.0}, 3, (0.2, 0.8))})
