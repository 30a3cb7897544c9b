"""A classifier's card shows the figures of that very classifier, and what keeps them from being misread."""

import copy
import re

import pytest

from smoothclap_trainer.clep_dg.cards.figures import SavedClassifier, eval_results, figures, judged_on
from tests.trainer.clep_dg import judged_classifiers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return judged_classifiers.results(tmp_path_factory.mktemp("results"))


@pytest.fixture
def results(made):
    return copy.deepcopy(made)


def classifier(results) -> SavedClassifier:
    return SavedClassifier(results, results["encoders"][0])


def flat(blocks) -> str:
    return re.sub(r"\s+", " ", " ".join(blocks))


def test_the_table_has_the_figures_of_the_first_seed(results):
    _, rows, _ = figures(classifier(results))
    assert [row.replace(", below chance", " (below)") for row in rows.splitlines()[2:]] == [
        "| One | as recorded | 0.710 | 0.710 | 0.750 | 0.760 |",
        "| One | in noise | 0.710, at chance | 0.710, at chance | 0.520, at chance | 0.530 |",
        "| two (SYNTHETIC) | as recorded | 0.710 † | 0.710 † | 0.700 † | 0.710 |",
        "| two (SYNTHETIC) | in noise | 0.710 (below) † | 0.710 (below) † | 0.410 (below) † | 0.420 |",
    ]
    results["settings"]["seeds"] = [7, 4]
    _, rows, _ = figures(classifier(results))
    assert rows.splitlines()[2] == "| One | as recorded | 0.710 | 0.810 | 0.700 | 0.710 |"


def test_what_must_be_known_beside_the_table(results):
    intro, _, notes = (flat([block]) for block in figures(classifier(results)))
    assert "Guessing gives a UAR of 0.500." in intro and "this very classifier, with seed 4." in intro
    assert "- At chance: the 95% interval that spans those of all seeds holds what guessing gives." in notes
    assert "- Below chance: the 95% interval that spans those of all seeds lies below what guessing gives." in notes
    assert "- One: zero-shot. It was never seen." in notes
    assert "- two (SYNTHETIC) †: not zero-shot. It was trained on it." in notes
    assert "with the seeds 4, 7 goes from 0.700 to 0.750 on One; from 0.650 to 0.700 on two (SYNTHETIC)." in notes
    assert (
        "- The zero-shot prototypes, which need no training, do as well as this one, or better, as recorded, on two"
        in notes
    )
    assert "- The classifier without contexts does as well as this one, or better, as recorded, on two (SYN" in notes
    assert "known speakers" not in notes


def test_what_does_not_hold_is_not_said(results):
    results["generalisation"] = [judged_classifiers.entry("one", "clean", 0.9, "unknown")]
    results["settings"]["seeds"] = [4]
    notes = flat([figures(classifier(results))[2]])
    assert notes == "- One ‡: unknown whether zero-shot. Nobody knows."


@pytest.mark.parametrize(("low", "high", "above"), [(0.51, 0.9, True), (0.5, 0.9, False), (0.1, 0.4, False)])
def test_above_chance_is_what_is_so_with_every_seed_on_a_corpus_as_recorded(results, low, high, above):
    elsewhere = judged_classifiers.entry("one", "noise", 0.9, low=0.8, high=0.95)
    results["generalisation"] = [judged_classifiers.entry("two", "clean", 0.7, low=low, high=high), elsewhere]
    assert classifier(results).is_above_chance is above


def test_of_the_supervised_protocol_alone_its_figures_are_shown(results):
    results["supervised"] = [results["generalisation"][0] | {"clips": 3}, {"corpus": "two", "refused": "2 are known"}]
    results["generalisation"] = []
    _, rows, notes = figures(classifier(results))
    assert rows.splitlines()[2:] == ["| One | as recorded | 0.710 | 0.710 | 0.750 | 0.760 |"]
    assert "The clips are those of known speakers" in notes
    results["supervised"] = results["supervised"][1:]
    assert figures(classifier(results)) == ["No figure was measured. two (SYNTHETIC): 2 are known."]
    assert not classifier(results).is_above_chance and list(eval_results(classifier(results))) == []


def test_another_encoders_corpora_are_not_its_own(results):
    results["encoders"][0]["corpora"] = ["two"]
    mine = classifier(results)
    assert [each["corpus"] for each in mine.entries] == ["two", "two"] and mine.synthetic == ["two (SYNTHETIC)"]
    assert "One" not in flat([*figures(mine), *judged_on(mine)])


def test_clips_are_told_with_their_licences(results):
    rows, sources = judged_on(classifier(results))
    assert rows.splitlines()[2] == "| One | en | free | 1,234 | unknown | `aaaaaaaaaaaa` |"
    assert sources.splitlines() == ["- One: Said.", "- two (SYNTHETIC): Said."]
    results["corpora"][0]["data"]["speakers"] = 1000
    assert "| 1,234 | 1,000 |" in judged_on(classifier(results))[0]


def test_the_hub_gets_each_figure_under_its_corpus_and_condition(results):
    told = {
        (each.dataset_type, each.dataset_config, each.metric_name): each for each in eval_results(classifier(results))
    }
    assert len(told) == 8
    uar = told["one", "clean", "UAR"]
    assert (uar.task_type, uar.metric_type, uar.metric_value) == ("audio-classification", "recall", 0.75)
    assert uar.metric_args == {"average": "macro"} and uar.dataset_name == "One"
    assert told["two", "noise", "Accuracy (not zero-shot)"].metric_value == pytest.approx(0.42)
