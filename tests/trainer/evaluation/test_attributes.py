import itertools

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.data.captions import LANGUAGES
from smoothclap_trainer.evaluation.attributes import (
    ATTRIBUTE_QUERIES,
    AttributeQuery,
    attribute_table,
    auc,
    measured_attributes,
    weighted_auc,
)
from tests import tiny


def test_auc_counts_won_pairs():
    positives, negatives = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0, 2.5, -1.0])
    pairs = [(p > n) + 0.5 * (p == n) for p, n in itertools.product(positives, negatives)]
    assert auc(positives, negatives) == pytest.approx(sum(pairs) / len(pairs))


def test_auc_needs_both_sides():
    with pytest.raises(ValueError, match="0 and 2"):
        auc(np.array([]), np.ones(2))


def test_weighted_auc_is_that_of_repeated_clips():
    rng = np.random.default_rng(0)
    scores, positive, weights = rng.integers(0, 4, 30) / 4, rng.random(30) < 0.5, rng.integers(0, 3, 30)
    of = weighted_auc(scores, positive)
    again = np.repeat(scores, weights), np.repeat(positive, weights)
    assert of(weights) == pytest.approx(auc(again[0][again[1]], again[0][~again[1]]))
    assert np.isnan(of(weights * positive))


def test_each_attribute_is_asked_in_captions_words_and_in_held_out_ones():
    groups = [levels for language in LANGUAGES.values() for levels in language.wordings.values()]
    seen = {phrase for levels in groups for phrases in levels.values() for phrase in phrases}
    for attribute in ("pitch", "loudness", "rate", "pitch variation"):
        queries = [query for query in ATTRIBUTE_QUERIES if query.attribute == attribute]
        assert [query.language for query in queries] == ["en", "de", "en", "en", "en", "de", "de"]
        assert [query.held_out for query in queries] == [False] * 2 + [True] * 5
        for query in queries:
            assert {query.high, query.low} <= seen if not query.held_out else not {query.high, query.low} & seen


def test_table_finds_a_planted_attribute_within_each_corpus():
    model, processor = tiny.model(), tiny.processor()
    query = AttributeQuery("pitch", "f0", "en", "a high voice", "a low voice")
    high, low = SmoothCLAPEncoder(model, processor).encode_text([query.high, query.low])
    f0 = np.tile(np.arange(9.0), 2)
    # Clips lie along the direction from low to high by their f0; in the second corpus, against it.
    signs = np.repeat([1.0, -1.0], 9)
    embeds = (signs * f0)[:, None] * (high - low)[None]
    rows = pd.DataFrame({"corpus": np.repeat(["one", "two"], 9), "f0": f0}, index=np.arange(100, 118))
    table = attribute_table(rows, embeds, model, processor, (query,)).set_index("corpus")
    assert table.loc["one", "auc"] == 1.0
    assert table.loc["two", "auc"] == 0.0
    assert table["positives"].tolist() == [3, 3]
    with pytest.raises(ValueError, match=r"18 .*17 "):
        attribute_table(rows, embeds[1:], model, processor, (query,))


def test_labels_are_a_truth_beside_numbers():
    model, processor = tiny.model(), tiny.processor()
    query = AttributeQuery("arousal", "marked", "en", "an excited voice", "a calm voice")
    high, low = SmoothCLAPEncoder(model, processor).encode_text([query.high, query.low])
    marked = ["high", "low", None, "unclear", "high", "low", None]
    rows = pd.DataFrame({"corpus": ["one"] * 6 + ["unmarked"], "marked": marked, "speaker": [*"abcdef", None]})
    embeds = np.array([3.0, 1, 9, 9, 0, 2, 5])[:, None] * (high - low)[None]
    (row,) = attribute_table(rows, embeds, model, processor, (query,)).to_dict("records")
    assert (row["positives"], row["negatives"], row["auc"]) == (2, 2, 0.5)  # 3 beats both, 0 neither
    assert (row["interval_unit"], row["interval_units"]) == ("clips", 4)  # four speakers are too few
    assert row["shuffled_mean"] == row["shuffled_largest"] == 0.5  # one clip a speaker: nothing can be swapped


def test_without_functionals_there_are_no_attribute_metrics_and_nothing_is_wrong(tmp_path, logs):
    rows = DatasetDict(validation=Dataset.from_dict({"id": ["a"]}))
    assert measured_attributes(tiny.checkpoint(tmp_path / "model"), rows, str(tmp_path)).empty
    assert "openSMILE" in logs.text and "F0semitone" not in logs.text
