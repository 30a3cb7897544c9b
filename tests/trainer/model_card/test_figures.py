"""What a card says was measured, and how it is not to be misread."""

import json
import re

import pytest

from smoothclap_trainer.model_card import figures
from tests.trainer.model_card import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


def flat(blocks):
    return re.sub(r"\s+", " ", "\n".join(blocks))


def test_zero_shot_tasks_come_with_intervals_prompts_and_status(whole):
    told = flat(figures.zero_shot_tasks(folders.facts(whole)))
    assert "| Sessions 4 (en) | zero-shot | 40 | 0.500 [0.410, 0.620]" in told
    assert 'asked as "this person is feeling neutral.", "this person is feeling happy.",' in told
    assert (
        "Over 6 stated wordings and templates UAR goes from 0.450 to 0.500. It records other corpora. 5 units make"
        in told
    )
    assert "from 2,000 bootstrap samples; seed 0, transformers 5.23.0" in told
    assert "0.26" not in told  # the other model's


def test_only_doubtful_clips_that_there_are_are_told(tmp_path):
    folder = folders.whole(tmp_path)
    assert "Doubtful" not in flat(figures.zero_shot_tasks(folders.facts(folder)))
    results = json.loads((folder / "zero_shot.json").read_text())
    results["tasks"][0]["data"]["doubtful"] = {"silent": 1}
    results["tasks"][1]["data"]["doubtful"] = {}
    (folder / "zero_shot.json").write_text(json.dumps(results))
    told = flat(figures.zero_shot_tasks(folders.facts(folder)))
    assert "5 units make a rough interval. Doubtful clips, judged all the same: silent: 1." in told
    assert told.count("Doubtful") == 1


def test_pictures_are_told_in_words_and_found(tmp_path):
    folder = folders.whole(tmp_path)
    for path in (folder / "pictures").iterdir():
        path.unlink()
    for name in ("sessions-4-user-name-confusion.png", "my own [1]-plot_of_it.png"):
        (folder / "pictures" / name).write_bytes(b"")
    assert figures.pictures(folders.facts(folder), "at/").split("\n\n") == [
        "![my own (1) plot of it](at/pictures/my%20own%20%5B1%5D-plot_of_it.png)",
        "![Confusion matrix of user/name in Sessions 4: rows are true classes, columns predicted]"
        "(at/pictures/sessions-4-user-name-confusion.png)",
    ]


def test_without_an_evaluation_there_are_no_tasks(tmp_path):
    assert figures.zero_shot_tasks(folders.facts(folders.bare(tmp_path))) == []
    assert figures.results_of(folders.facts(tmp_path)) == []


def test_attributes_stand_by_pair_of_texts_and_corpus(whole):
    how, rows, note = figures.attribute_figures(folders.facts(whole))
    assert rows.splitlines() == [
        "| attribute | texts | queen, validation | fillets, cs, test |",
        "| --- | --- | ---: | ---: |",
        '| pitch | "a high voice" / "a low voice" | 0.81 (0.70-0.90) | 0.96 (0.95-0.97) |',
        '| rate | "fast speech" / "slow speech" |  | 0.50 (0.40-0.60) |',
    ]
    assert "pitch: `F0semitoneFrom27.5Hz_sma3nz_amean`; rate: `loudnessPeaksPerSec`)" in flat([how])
    assert "loudness_sma3_amean" not in how
    assert "queen (validation): 10 against 11; fillets (test): 1,500 against 1,500 to 1,502." in flat([note])


def test_only_of_captions_of_ours_is_said_what_they_word(whole, tmp_path):
    assert "worded as no caption in training was" in flat(figures.attribute_figures(folders.facts(whole)))
    folders.whole(tmp_path / "given")
    folders.write(tmp_path / "given", training_config_yaml={"captions": "given"})
    assert "worded as" not in flat(figures.attribute_figures(folders.facts(tmp_path / "given")))


@pytest.mark.parametrize(
    ("settings", "caution"),
    [
        ({}, "They may have guided choices before this run, and are no test."),
        (
            {"load_best_model_at_end": True, "metric_for_best_model": "uar"},
            "**Selected on**: of all checkpoints of the run this is the best on these clips by `uar`.",
        ),
        ({"load_best_model_at_end": True}, "the best on these clips by `loss`."),
        (
            {"early_stopping_patience": 2, "metric_for_best_model": "uar"},
            "**Selected on**: these clips said, by `uar`, when training stopped.",
        ),
    ],
)
def test_validation_figures_say_whether_they_were_selected_on(tmp_path, settings, caution):
    (tmp_path / "config.json").write_text("{}")
    metrics = {"eval_loss": 1.25, "eval_uar": 0.625, "eval_runtime": 3.0, "eval_steps_per_second": 9.0}
    folders.write(tmp_path, metrics_json=metrics, training_config_yaml=settings)
    intro, rows = figures.validation_figures(folders.facts(tmp_path))
    assert caution in flat([intro])
    assert rows.splitlines()[2:] == ["| loss | 1.2500 |", "| uar | 0.6250 |"]


def test_without_validation_clips_there_are_no_such_figures(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    folders.write(tmp_path, metrics_json={})
    assert figures.validation_figures(folders.facts(tmp_path)) == []
