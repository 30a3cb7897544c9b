"""Results of an earlier version are read, and written as they were."""

import json

import pytest

from smoothclap_trainer.clep_dg.results import ExperimentResults, MetricOverSeeds, Refusal
from smoothclap_trainer.evaluation.corpus_names import ZeroShotStatus
from smoothclap_trainer.evaluation.results import AgainstChance
from tests.trainer.clep_dg import written_before


def without_additions(content):
    """The same without what later versions added, which is empty here."""
    added = {"seen": [], "recordings": 0, "alone": 0, "classes": [], "differences": {}}
    return json.loads(
        json.dumps(content),
        object_hook=lambda each: {key: value for key, value in each.items() if added.get(key, object) != value},
    )


def test_what_an_earlier_version_wrote_is_read_and_written_the_same():
    content = written_before.content()
    results = ExperimentResults.from_json(content)
    for entry in content["generalisation"]:  # the words are made when they are shown
        assert (
            next(map(results.why, [each for each in results.generalisation if each.corpus == entry["corpus"]]))
            == (entry["zero_shot"]["why"])
        )
    for entry in content["generalisation"] + content["supervised"]:
        del entry["zero_shot"]["why"]
    assert json.dumps(without_additions(results.to_json())) == json.dumps(content)  # with the keys in the same order
    assert ExperimentResults.from_json(results.to_json()) == results


def test_each_value_is_typed():
    results = written_before.results()
    (emodb, tess), (folds, refused) = results.generalisation, results.supervised
    assert (emodb.corpus, tess.corpus, folds.folds) == ("emodb", "tess", 5)
    assert emodb.zero_shot.status is ZeroShotStatus.UNKNOWN
    assert isinstance(refused, Refusal) and refused.corpus == "tess" and results.refused == [refused]
    assert emodb.of_method("zero-shot").uar.sd is None and emodb.of_method("clep-dg").seeds[0].seed == 4
    assert [encoder.class_name for encoder in results.encoders] == ["SmoothCLAPModel", "ClapModel"]
    assert [results.subfolder(encoder) for encoder in results.encoders] == ["emodb", "tess"]
    assert results.synthetic == []


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [(0.4, 0.6, AgainstChance.AT), (0.51, 0.6, AgainstChance.ABOVE), (0.1, 0.49, AgainstChance.BELOW)],
)
def test_a_metric_is_compared_with_chance_by_its_interval(low, high, place):
    assert MetricOverSeeds(0.5, None, low, high).against(0.5) is place


def test_other_content_is_refused():
    with pytest.raises(ValueError, match="chance"):
        ExperimentResults.from_json(
            {name: value for name, value in written_before.content().items() if name != "chance"}
        )
