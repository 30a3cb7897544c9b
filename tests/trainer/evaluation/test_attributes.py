import itertools

import numpy as np
import pandas as pd
import pytest

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.data.captions import LANGUAGES
from smoothclap_trainer.evaluation.attributes import (
    ATTRIBUTE_QUERIES,
    AttributeQuery,
    attribute_table,
    auc,
    bootstrap_interval,
)
from tests import tiny


def test_auc_counts_won_pairs():
    positives, negatives = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0, 2.5, -1.0])
    pairs = [(p > n) + 0.5 * (p == n) for p, n in itertools.product(positives, negatives)]
    assert auc(positives, negatives) == pytest.approx(sum(pairs) / len(pairs))


def test_auc_needs_both_sides():
    with pytest.raises(ValueError, match="0 and 2"):
        auc(np.array([]), np.ones(2))


def test_interval_holds_the_metric_and_narrows_with_more_clips():
    rng = np.random.default_rng(0)
    few = (rng.normal(1, 1, 20), rng.normal(0, 1, 20))
    many = (rng.normal(1, 1, 200), rng.normal(0, 1, 200))
    for positives, negatives in (few, many):
        low, high = bootstrap_interval(positives, negatives)
        assert low < auc(positives, negatives) < high
    assert np.diff(bootstrap_interval(*many)) < np.diff(bootstrap_interval(*few))


def test_each_attribute_is_asked_in_seen_and_unseen_words_and_in_german():
    groups = [levels for language in LANGUAGES.values() for levels in language.wordings.values()]
    seen = {phrase for levels in groups for phrases in levels.values() for phrase in phrases}
    for attribute in ("pitch", "loudness", "rate", "pitch variation"):
        queries = [query for query in ATTRIBUTE_QUERIES if query.attribute == attribute]
        assert [query.language for query in queries] == ["en", "en", "de"]
        assert [{query.high, query.low} <= seen for query in queries] == [True, False, True]
        assert not {queries[1].high, queries[1].low} & seen


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
