import copy
import re

import pytest

from smoothclap_trainer.evaluation.report import card_table, summary_table, write_report
from smoothclap_trainer.evaluation.report_cells import (
    NO_WIDTH,
    against_chance,
    doubtful_clips,
    image,
    judged,
    table,
    with_interval,
)
from tests.trainer.evaluation.made_up_results import made_up_arrays, made_up_results


RESULTS = made_up_results()


def cells(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new"
    paths = write_report(RESULTS, made_up_arrays(), folder)
    return folder, paths, (folder / "report.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    return re.split(r"\n##+ ", text.split(f"# {heading}\n")[1])[0]


def test_summary_has_ours_beside_the_published_figures():
    assert cells(summary_table(RESULTS)) == [
        ["task", "clips", "chance", "`user/name`", "`/a/b`", "CLAP, published", "SmoothCLAP, published"],
        ["---", "---:", "---:", "---:", "---:", "---:", "---:"],
        [
            "Sessions 4 (en)", "40", "0.250", "0.500 [0.410, 0.620]", "0.260 [0.200, 0.310], at chance †", "0.353",
            "0.606",
        ],
        [
            "Made up 2 (SYNTHETIC) (de)", "40", "0.500", "0.380 [0.300, 0.450], below chance", "0.700 [0.610, 0.800] ‡",
            "–", "–",
        ],
    ]  # fmt: skip


def test_summary_explains_its_marks_once_each():
    results = copy.deepcopy(RESULTS)
    results["tasks"][0]["results"][0]["zero_shot"] = {"status": "not zero-shot", "why": "It records sessions."}
    assert summary_table(results).split("\n\n")[1].splitlines() == [
        "- Figures are UAR with 95% intervals, by the protocol's own words and template.",
        "- Published: UAR printed in the SmoothCLAP paper, without intervals, of weights that were not evaluated here.",
        "- † `user/name` in Sessions 4, `/a/b` in Sessions 4: not zero-shot. It records sessions.",
        "- ‡ `/a/b` in Made up 2 (SYNTHETIC): unknown whether it is zero-shot. It records nothing.",
        "- At chance: the interval holds chance; this does not show more than guessing.",
        "- Below chance: the whole interval is; the model takes the classes for each other.",
    ]


def test_summary_has_no_published_columns_where_nothing_is_published_and_others_after_the_papers():
    results = copy.deepcopy(RESULTS)
    results["tasks"] = results["tasks"][1:]
    text = summary_table(results)
    assert "ublished" not in text and len(cells(text)[0]) == 5
    results["tasks"][0]["protocol"]["published"] = {"Another": 0.4, "Pengi": 0.5}
    assert cells(summary_table(results))[0][5:] == ["Pengi, published", "Another, published"]


def test_summary_of_plain_figures_needs_no_words():
    results = copy.deepcopy(RESULTS)
    results["models"] = results["models"][:1]
    results["tasks"] = results["tasks"][:1]
    results["tasks"][0]["results"] = results["tasks"][0]["results"][:1]
    notes = summary_table(results).split("\n\n")[1]
    assert [line[:10] for line in notes.splitlines()] == ["- Figures ", "- Publishe"]


def test_card_has_one_model():
    text = card_table(RESULTS, "/a/b")
    assert cells(text) == [
        ["task", "zero-shot?", "clips", "UAR [95% interval]", "interval over", "chance", "UAR by prompt"],
        ["---", "---", "---:", "---:", "---:", "---:", "---:"],
        [
            "Sessions 4 (en)", "not zero-shot †", "40", "0.260 [0.200, 0.310], at chance †", "5 groups by session",
            "0.250", "0.210 to 0.260 in 6",
        ],
        [
            "Made up 2 (SYNTHETIC) (de)", "unknown ‡", "40", "0.700 [0.610, 0.800] ‡", "40 clips", "0.500",
            "0.690 to 0.700 in 2",
        ],
    ]  # fmt: skip
    assert "- † Sessions 4: not zero-shot. It records sessions.\n" in text
    assert "- ‡ Made up 2 (SYNTHETIC): unknown whether it is zero-shot. It records nothing.\n" in text
    assert text.endswith("than guessing.\n")


def test_card_of_plain_figures_ends_with_its_table():
    results = copy.deepcopy(RESULTS)
    results["tasks"] = results["tasks"][:1]
    assert card_table(results, "user/name").endswith(" in 6 |\n")


def test_card_of_an_unknown_model_is_refused():
    with pytest.raises(ValueError, match=r"no results of 'name'; these are of \['user/name', '/a/b'\]"):
        card_table(RESULTS, "name")


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [
        (0.26, 0.4, "above chance"),
        (0.25, 0.4, "at chance"),
        (0.1, 0.25, "at chance"),
        (0.1, 0.24, "below chance"),
        (None, None, "no interval"),
    ],
)
def test_a_figure_is_at_chance_if_its_interval_holds_chance(low, high, place):
    assert against_chance({"value": 0.25, "low": low, "high": high}, 0.25) == place


def test_a_figure_without_an_interval_says_so():
    figure = {"value": 0.4, "low": None, "high": None}
    assert with_interval(figure) == "0.400" and with_interval(figure | {"value": None}) == "–"
    result = {"figures": {"uar": figure}, "chance": 0.25, "zero_shot": {"status": "unknown"}}
    assert judged(result) == "0.400, no interval ‡"


def test_cells_cannot_break_a_table():
    assert table(["a"], [["x | y\nz"]]) == "| a |\n| --- |\n| x \\| y z |\n"


def test_a_picture_keeps_its_link_and_its_words():
    assert image("Map [1]", "a b/(c).png") == "![Map (1)](a%20b/%28c%29.png)"


def test_doubtful_clips_are_told_where_they_were_counted():
    assert doubtful_clips({}) == ""
    assert doubtful_clips({"doubtful": {}}) == "Doubtful clips, judged all the same: none."
    found = doubtful_clips({"doubtful": {"silent": 1, "too short": 2000}})
    assert found == "Doubtful clips, judged all the same: silent: 1; too short: 2,000."


def report_of(results, folder):
    write_report(results, made_up_arrays(), folder)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_report_tells_of_doubtful_clips_and_of_labels_that_are_the_classes_names(tmp_path):
    results = copy.deepcopy(RESULTS)
    results["tasks"][0]["data"]["doubtful"] = {"silent": 1}
    results["tasks"][1]["data"]["doubtful"] = {}
    results["tasks"][0]["protocol"]["labels"] = {"sadness": "sadness", "hap": "happy"}
    results["tasks"][1]["protocol"]["labels"] = {"intoxicated": "intoxicated", "not intoxicated": "not intoxicated"}
    text = report_of(results, tmp_path)
    first, second = section(text, "Sessions 4"), section(text, "Made up 2 (SYNTHETIC)")
    assert "Clips left out: frustration: 3. Doubtful clips, judged all the same: silent: 1.\n" in first
    assert "- Labels of the corpus: `hap` is happy; others are the classes' names.\n" in first
    assert "Clips left out: none. Doubtful clips, judged all the same: none.\n" in second
    assert "- Labels of the corpus: they are the classes' names.\n" in second


def test_intervals_without_width_are_explained_under_their_table(tmp_path):
    assert NO_WIDTH not in report_of(RESULTS, tmp_path / "as it was")
    results = copy.deepcopy(RESULTS)
    first, second = (task["results"][0] for task in results["tasks"])
    first["per_class_recall"]["anger"] = {"value": 0.0, "low": 0.0, "high": 0.0}
    first["per_class_recall"]["happy"] = {"value": None, "low": None, "high": None}
    second["figures"]["uar"] = {"value": 1.0, "low": 1.0, "high": 1.0}
    text = report_of(results, tmp_path)
    recalls = section(text, "`user/name` in Sessions 4").split("| class | clips | recall |")[1]
    assert recalls.split("\n\n")[1] == NO_WIDTH and text.count(NO_WIDTH) == 3
    figures = section(text, "`user/name` in Made up 2 (SYNTHETIC)").split("| figure | value")[1]
    assert figures.split("\n\n")[1] == NO_WIDTH
    assert summary_table(results).endswith(f"- {NO_WIDTH}\n")
    assert card_table(results, "user/name").endswith(f"- {NO_WIDTH}\n")
    assert NO_WIDTH not in card_table(results, "/a/b")


def test_tasks_that_share_a_title_are_told_apart_by_name(tmp_path):
    results = copy.deepcopy(RESULTS)
    results["tasks"][1]["protocol"]["title"] = "Sessions 4"
    summary, card = summary_table(results), card_table(results, "/a/b")
    assert [row[0] for row in cells(summary)[2:]] == ["Sessions 4 `sessions-4` (en)", "Sessions 4 `Made up/2` (de)"]
    assert "† `/a/b` in Sessions 4 `sessions-4`: not zero-shot" in summary
    assert [row[0] for row in cells(card)[2:]] == ["Sessions 4 `sessions-4` (en)", "Sessions 4 `Made up/2` (de)"]
    assert "‡ Sessions 4 `Made up/2`: unknown" in card
    text = report_of(results, tmp_path)
    assert "\n## Sessions 4 `Made up/2`\n" in text and "\n### `/a/b` in Sessions 4 `sessions-4`\n" in text


def test_too_few_pairs_get_no_correlation(tmp_path):
    results = copy.deepcopy(RESULTS)
    found = results["tasks"][0]["results"][0]["valence_arousal"]
    found["classes"] = found["classes"][:3]
    said = section(report_of(results, tmp_path), "`user/name` in Sessions 4")
    assert "3 classes have a published place. That is too few pairs to mean anything (3), so no correlation" in said
    assert "Spearman" not in said and "so left out: sadness." in said


def test_report_is_written_with_its_pictures(written):
    folder, paths, text = written
    assert paths[0] == folder / "report.md" and all(path.stat().st_size for path in paths)
    kinds = ["confusion", "reliability", "map", "valence-arousal"]
    assert (
        [path.relative_to(folder).as_posix() for path in paths[1:]]
        == [
            *[f"pictures/sessions-4-user-name-{kind}.png" for kind in kinds],
            *[f"pictures/sessions-4-a-b-{kind}.png" for kind in kinds],
            *[f"pictures/Made-up-2-user-name-{kind}.png" for kind in kinds[:3]],  # no class has a published place
            *[f"pictures/Made-up-2-a-b-{kind}.png" for kind in kinds[:3]],
        ]
    )
    links = re.findall(r"^!\[([^\]]+)\]\(([^)]+)\)$", text, flags=re.MULTILINE)
    assert [link for _, link in links] == [path.relative_to(folder).as_posix() for path in paths[1:]]
    assert links[0][0] == "Confusion matrix of user/name in Sessions 4: rows are true classes, columns predicted"


def test_report_begins_with_the_summary_and_the_models(written):
    text = written[2]
    assert summary_table(RESULTS) in section(text, "Zero-shot evaluation")
    assert cells(section(text, "Models"))[2:] == [
        ["`user/name`", "SmoothCLAPModel", "c0ffee", "`0123456789ab`", "queen, drascula", "16,000 Hz", "whole"],
        ["`/a/b`", "SmoothCLAPModel", "–", "`0123456789ab`", "not recorded", "16,000 Hz", "whole"],
    ]


def test_report_says_what_was_asked_of_which_clips(written):
    said = section(written[2], "Sessions 4")
    assert cells(said)[2:] == [
        ["neutral", "`this person is feeling neutral.`", "10"],
        ["happy", "`this person is feeling happy.`", "10"],
        ["anger", "`this person is feeling anger.`", "10"],
        ["sadness", "`this person is feeling sadness.`", "10"],
    ]
    for words in (
        "template `this person is feeling {}.`;",
        "- Corpus: sessions. Licence: none.\n",
        "- Languages: speech en, text queries en.\n",
        "- Split: all clips.\n",
        "`hap` is happy, `exc` is happy,",
        "- Clips: 40. Speakers: 10. Clips left out: frustration: 3.\n",
        f"`{'f' * 64}`",
        "- Source: Made up.\n",
        "- words 0: neutral, happy, anger, sadness (the protocol)\n- words 1: calm, joyful, angry, sad\n",
    ):
        assert words in said
    assert "Clips: 40. Speakers: unknown. Clips left out: none.\n" in section(written[2], "Made up 2 (SYNTHETIC)")


def test_report_gives_the_figures_of_a_model(written):
    said = section(written[2], "`user/name` in Sessions 4")
    assert said.startswith("\nZero-shot: It records other corpora.\n")
    found = cells(said)
    assert found[:5] == [
        ["figure", "value [95% interval]"],
        ["---", "---:"],
        ["UAR", "0.500 [0.410, 0.620]"],
        ["accuracy", "0.450 [0.400, 0.500]"],
        ["macro F1", "0.400 [0.350, 0.450]"],
    ]
    assert ["session", "UAR"] in found and ["Session5", "0.500"] in found
    assert ["sadness", "10", "0.300 [0.200, 0.400]"] in found
    assert "The UAR is above chance, 0.250:" in said
    assert "Intervals: 95%, by 2,000 bootstrap samples of 5 groups by session. 5 units make a rough interval.\n" in said


def test_report_gives_the_whole_grid_of_prompts(written):
    said = section(written[2], "`user/name` in Sessions 4")
    assert cells(said)[-5:] == [
        ["template", "words 0 (the protocol)", "words 1"],
        ["---", "---:", "---:"],
        ["`this person is feeling {}.` (the protocol)", "0.500", "0.470"],
        ["`{}`", "0.490", "0.460"],
        ["`a {} voice`", "0.480", "0.450"],
    ]
    # Six figures at steps of .01 deviate by .01 * sqrt(35 / 12).
    assert "over 6 ways to ask, the UAR lies between 0.450 and 0.500, mean 0.475, standard deviation 0.017." in said


def test_report_calls_chance_chance(written):
    text = written[2]
    at = section(text, "`/a/b` in Sessions 4")
    assert at.startswith("\nNot zero-shot (†): It records sessions.\n") and "**At chance**: the interval" in at
    below = section(text, "`user/name` in Made up 2 (SYNTHETIC)")
    assert "**Below chance**, 0.500, with its whole interval" in below
    assert "Intervals: 95%, by 2,000 bootstrap samples of 40 clips.\n" in below and "plain means" not in below
    assert section(text, "`/a/b` in Made up 2 (SYNTHETIC)").startswith("\nUnknown whether this is zero-shot (‡): It")


def test_report_says_how_scores_and_similarities_did(written):
    text = written[2]
    result = RESULTS["tasks"][0]["results"][0]
    true, probabilities = (
        getattr(made_up_arrays()["sessions-4", "user/name"], name) for name in ("true", "probabilities")
    )
    confidence, accuracy = probabilities.max(axis=1).mean(), (probabilities.argmax(axis=1) == true).mean()
    assert confidence < accuracy
    said = section(text, "`user/name` in Sessions 4")
    assert f"confidence is {confidence:.3f} at an accuracy of {accuracy:.3f} over all clips: scores claim less" in said
    assert f"error is {result['reliability']['expected_calibration_error']:.3f} in 10 bins." in said
    assert "scores claim more than they keep" in section(text, "`user/name` in Made up 2 (SYNTHETIC)")
    correlations = result["valence_arousal"]
    texts, clips = (f"{correlations[name]:.2f}" for name in ("texts", "clips"))
    assert f"over 6 pairs, which share classes: texts {texts}, centres of clips {clips}." in said
    assert "so left out: intoxicated, not intoxicated." in section(text, "`/a/b` in Made up 2 (SYNTHETIC)")
    assert "left out: " not in said


def test_report_ends_with_how_it_was_run_and_not_with_when(written):
    assert section(written[2], "How it was run").splitlines()[1:] == [
        "- Settings: seed 0, bootstrap samples 2000, batch size 16.",
        "- Versions: smoothclap 0.1, torch 2.13.",
    ]
    assert "yesterday" not in written[2]


def test_report_without_intervals_says_so(tmp_path):
    results = copy.deepcopy(RESULTS)
    results["models"], results["tasks"] = results["models"][:1], results["tasks"][1:]
    results["tasks"][0]["results"] = results["tasks"][0]["results"][:1]
    results["tasks"][0]["results"][0]["figures"]["uar"] = {"value": 0.4, "low": None, "high": None}
    write_report(results, made_up_arrays(), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "There is no interval, so whether the UAR differs from chance, 0.500, is open." in text


def test_report_needs_the_embeddings_that_belong_to_it(tmp_path):
    arrays = made_up_arrays()
    swapped = arrays | {("sessions-4", "user/name"): arrays["Made up/2", "/a/b"]}
    with pytest.raises(
        ValueError, match=r"'user/name' in 'sessions-4' are of \[20, 20, 0, 0\] clips .* \[10, 10, 10, 10\]"
    ):
        write_report(RESULTS, swapped, tmp_path)
    del arrays["Made up/2", "/a/b"]
    with pytest.raises(ValueError, match=r"no embeddings of \[\('Made up/2', '/a/b'\)\]"):
        write_report(RESULTS, arrays, tmp_path)
    assert not (tmp_path / "report.md").exists()
