import re
from dataclasses import replace
from pathlib import Path

import pytest

from smoothclap_trainer import plotting
from smoothclap_trainer.evaluation.plots import captions
from smoothclap_trainer.evaluation.report import card_table, summary_table, write_report
from smoothclap_trainer.evaluation.results import Metric
from smoothclap_trainer.templating import NO_WIDTH
from tests.trainer.evaluation.made_up_results import made_up_results, with_result, with_task


RESULTS = made_up_results()


def cells(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def section(text: str, heading: str) -> str:
    return re.split(r"\n##+ ", text.split(f"# {heading}\n")[1])[0]


def report_of(results, folder) -> str:
    (path,) = write_report(results, folder, plots=False)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return report_of(RESULTS, tmp_path_factory.mktemp("report"))


def test_summary_has_ours_next_to_the_published_results():
    head, _, sessions, synthetic = cells(summary_table(RESULTS))
    assert head == ["task", "clips", "chance", "`user/name`", "`/a/b`", "CLAP, published", "SmoothCLAP, published"]
    assert sessions == [
        "Sessions 4 (en)", "40", "0.250", "0.500 [0.410, 0.620]", "0.260 [0.200, 0.310], at chance †", "0.353", "0.606",
    ]  # fmt: skip
    assert synthetic[3:] == ["0.380 [0.300, 0.450], below chance", "0.700 [0.610, 0.800] ‡", "–", "–"]


def test_summary_explains_each_mark_once():
    both = replace(RESULTS, models=tuple(replace(each, training_corpora=["sessions"]) for each in RESULTS.models))
    seen = RESULTS.tasks[0].results[1].zero_shot
    both, why = with_result(both, 0, 0, zero_shot=seen), both.why(both.tasks[0], both.tasks[0].results[1])
    text = summary_table(both)
    notes = text.split("\n\n")[1]
    assert notes.count("- †") == notes.count("- ‡") == 1
    assert f"† `user/name` in Sessions 4, `/a/b` in Sessions 4: not zero-shot. {why}\n" in notes
    assert NO_WIDTH not in notes


def test_published_systems_are_in_the_papers_order_and_others_behind():
    results = replace(RESULTS, tasks=RESULTS.tasks[1:])
    assert "ublished" not in summary_table(results)
    results = with_task(results, 0, published={"Another": 0.4, "Pengi": 0.5})
    assert cells(summary_table(results))[0][5:] == ["Pengi, published", "Another, published"]


def test_card_has_one_model():
    found = cells(card_table(RESULTS, "/a/b"))
    assert found[2] == [
        "Sessions 4 (en)", "not zero-shot †", "40", "0.260 [0.200, 0.310], at chance †", "5 groups by session", "0.250",
        "0.210 to 0.260 in 6",
    ]  # fmt: skip
    assert found[3][4] == "40 clips" and len(found) == 4
    plain = replace(RESULTS, tasks=RESULTS.tasks[:1])
    assert card_table(plain, "user/name").endswith(" in 6 |\n")  # nothing to explain
    with pytest.raises(ValueError, match="'name'"):
        card_table(RESULTS, "name")


def test_tasks_that_share_a_title_are_told_apart_by_name(tmp_path):
    results = with_task(RESULTS, 1, title="Sessions 4")
    titles = ["Sessions 4 `sessions-4` (en)", "Sessions 4 `Made up/2` (de)"]
    assert [row[0] for row in cells(summary_table(results))[2:]] == titles
    assert [row[0] for row in cells(card_table(results, "/a/b"))[2:]] == titles
    text = report_of(results, tmp_path)
    assert "\n## Sessions 4 `Made up/2`\n" in text and "\n### `/a/b` in Sessions 4 `sessions-4`\n" in text


def test_intervals_without_width_are_explained(tmp_path, text):
    assert NO_WIDTH not in text
    sure, absent = Metric(0.0, 0.0, 0.0), Metric(None, None, None)
    recalls = RESULTS.tasks[0].results[0].per_class_recall | {"anger": sure, "happy": absent}
    metrics = RESULTS.tasks[1].results[0].metrics | {"uar": Metric(1.0, 1.0, 1.0)}
    results = with_result(with_result(RESULTS, 0, 0, per_class_recall=recalls), 1, 0, metrics=metrics)
    assert report_of(results, tmp_path).count(NO_WIDTH) == 1
    assert NO_WIDTH in card_table(results, "user/name") and NO_WIDTH not in card_table(results, "/a/b")


def test_report_says_what_was_asked_of_which_clips(text):
    said = section(text, "Sessions 4")
    assert ["anger", "`this person is feeling anger.`", "10"] in cells(said)
    for part in ("`this person is feeling {}.`", "`hap` is happy", "frustration: 3", "f" * 64, "calm, joyful, angry"):
        assert part in said
    assert "Doubtful" not in said  # nothing is known of them
    assert "Speakers: 10." in said and "Speakers: unknown." in section(text, "Made up 2 (SYNTHETIC)")


def test_report_gives_the_results_of_a_model(text):
    said = section(text, "`user/name` in Sessions 4")
    found = cells(said)
    for row in (
        ["UAR", "0.500 [0.410, 0.620]"],
        ["accuracy", "0.450 [0.400, 0.500]"],
        ["macro F1", "0.400 [0.350, 0.450]"],
        ["Session5", "0.500"],
        ["sadness", "10", "0.300 [0.200, 0.400]"],
        ["`this person is feeling {}.` (the protocol)", "0.500", "0.470"],
        ["`{}`", "0.490", "0.460"],
        ["`a {} voice`", "0.480", "0.450"],
    ):
        assert row in found
    result = RESULTS.tasks[0].results[0]
    assert RESULTS.why(RESULTS.tasks[0], result) in said and "2,000 bootstrap samples of 5 groups by session" in said
    for value in (result.prompts.deviation, result.calibration.expected_calibration_error):
        assert f"{value:.3f}" in said
    assert f"texts {result.valence_arousal.texts:.2f}, centres of clips {result.valence_arousal.clips:.2f}" in said
    assert "intoxicated, not intoxicated" in section(text, "`/a/b` in Made up 2 (SYNTHETIC)")  # without a place


def test_report_of_unusual_results(tmp_path):
    clips = {f"clip-{number}": "silent" for number in range(25)}
    data = replace(RESULTS.tasks[0].data, doubtful={"silent": 1234}, doubtful_clips=clips)
    found = RESULTS.tasks[0].results[0]
    placed = replace(found.valence_arousal, classes=found.valence_arousal.classes[:3])  # too few pairs
    metrics = found.metrics | {"uar": Metric(0.4, None, None)}
    results = with_result(with_task(RESULTS, 0, data=data), 0, 0, valence_arousal=placed, metrics=metrics)
    text = report_of(results, tmp_path)
    assert "silent: 1,234 (`clip-0`, `clip-1`" in section(text, "Sessions 4")
    assert "`clip-19` and 5 more)" in section(text, "Sessions 4")
    said = section(text, "`user/name` in Sessions 4")
    assert ["UAR", "0.400"] in cells(said) and "Spearman" not in said and "sadness." in said


def test_report_with_one_way_to_ask_has_no_prompt_sensitivity(tmp_path):
    prompts = RESULTS.tasks[0].results[0].prompts
    one = replace(prompts, variants=prompts.variants[:1], highest=prompts.lowest)
    results = with_result(RESULTS, 0, 0, prompts=one)
    said = section(report_of(results, tmp_path), "`user/name` in Sessions 4")
    assert "only one wording" in said and "deviation" not in said
    assert cells(card_table(results, "user/name"))[2][-1] == "–"


def test_report_shows_its_plots_by_relative_links(figure, tmp_path, monkeypatch):
    monkeypatch.setattr(plotting, "DOTS_PER_INCH", 30)  # which takes less time
    results = replace(RESULTS, tasks=(replace(RESULTS.tasks[0], results=RESULTS.tasks[0].results[1:]),))
    kinds = ("confusion", "reliability", "map", "valence-arousal")
    names = [f"sessions-4-a-b-{kind}.png" for kind in kinds]
    paths = write_report(results, tmp_path / "new")
    assert [path.relative_to(tmp_path / "new") for path in paths[1:]] == [Path("pictures") / name for name in names]
    shown = re.findall(r"^!\[([^\]]+)\]\(pictures/([^)]+)\)$", paths[0].read_text("utf-8"), flags=re.MULTILINE)
    assert {name: alt for alt, name in shown} == captions(results) and list(captions(results)) == names
    assert all("UAR 0.260 [0.200, 0.310], chance 0.250" in each.get_suptitle() for each in figure)


def test_plots_need_answers(tmp_path):
    pair = "sessions-4", "user/name"
    with pytest.raises(ValueError, match=r"\('sessions-4', '/a/b'\)"):
        write_report(replace(RESULTS, answers={pair: RESULTS.answers[pair]}), tmp_path)
    assert not (tmp_path / "report.md").exists()
