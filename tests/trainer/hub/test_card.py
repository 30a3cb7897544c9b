"""What a card says of a checkpoint, what the Hub reads of it, and that its example runs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from modeling_smoothclap.checkpoint_smoothclap import weights_sha256
from smoothclap_trainer.evaluation.report import write_report
from smoothclap_trainer.evaluation.results import Metric, Standardised, ValueRecall
from smoothclap_trainer.evaluation.shuffling import Shuffled
from smoothclap_trainer.hub.card import model_card, write_model_card
from tests import tiny
from tests.trainer.clep_dg import judged_classifiers
from tests.trainer.evaluation.made_up_results import made_up_results, with_result, with_task
from tests.trainer.hub import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def headings(card):
    return re.findall(r"^## (.*)$", card, re.M)


def flat(text):
    return re.sub(r"\s+", " ", text)


def test_a_whole_card_has_every_fact_once(whole):
    card = model_card(whole)
    assert headings(card) == [
        *("How to use it", "Notes", "Intended use", "Cautions", "Zero-shot results", "Attributes, zero-shot"),
        *("Validation results", "Training data", "Licences", "Model", "Objective", "Training", "Versions", "Citation"),
    ]
    for fact in (
        *("0.500 [0.410, 0.620]", "0.250", "0.450 to 0.500 in 6", '"this person is feeling neutral."', "2,000"),
        '| pitch | "a high voice" / "a low voice" | 0.81 (0.70-0.90)* | 0.96 (0.95-0.97)* |',
        '| rate | "fast speech" / "slow speech" | | 0.50 (0.40-0.60)* |',
        *("`F0semitoneFrom27.5Hz_sma3nz_amean`", "1,500 with 1,500 to 1,502", "| loss | 1.2500 |", "| uar | 0.6250 |"),
        *("| train | queen | 1,200 | 61.5 | 7 | en | free | |", "| cs | | fillets-ng 1.0 |", "1,234 clips, 64 minutes"),
        *("`made-up`, `queen`, `unrecorded`", "acted English", "`someone/speech` at revision c0ffee", "`e5` on 5,678"),
        *("| beta | 0.2 |", "| target: labels | weight 1.0 | ours, it says |", "1,400 steps, 2.5 epochs, 10 minutes"),
        *("loss from 3.50 to 2.25", "text_encoder: towers/text", "smoothclap 0.1.0, python 3.11.0", "**synthetic**"),
    ):
        assert fact in flat(card), fact
    assert "0.26" not in card and "loudness_sma3_amean" not in card  # the other model's, and not asked for


def test_a_short_run_is_timed_in_seconds(folder):
    data = {"train": {"mine": {"clips": 3, "minutes": 0.02}}}
    folders.write(
        folder, data_json=data, training_log_yaml=[folders.LOG[-1] | {"train_runtime": 24.4, "first_step": 700}]
    )
    card = flat(model_card(folder))
    assert "since it was last resumed, at step 700, 24 seconds" in card
    assert "3 clips, 1 seconds" in card and "| train | mine | 3 | 0.02 |" in card


def test_thresholds_by_corpus_are_told_with_their_clips(folder):
    own = folders.THRESHOLDS
    folders.write(folder, thresholds_json={"corpora": {"queen": own, "made-up": own | {"num_rows": 56}}})
    card = flat(model_card(folder))
    assert "0.7 quantile of the training clips of its own corpus: `queen` has 1,234, `made-up` has 56." in card


def test_a_bare_checkpoint_leaves_out_what_was_not_measured(tmp_path):
    card = model_card(folders.bare(tmp_path / "my-model"))
    assert headings(card) == [
        *("How to use it", "Intended use", "Cautions", "Training data", "Model", "Versions", "Citation"),
    ]
    assert "# my-model\n" in card and "does not record which corpora" in card
    assert ModelCard(card).data.eval_results is None
    assert "None" not in card and "nan" not in card and "\n\n\n" not in card


def test_what_builders_note_of_corpora_and_of_their_labels_is_in_the_section_on_data(whole):
    lines = model_card(whole).partition("## Training data")[2].partition("\n## ")[0].splitlines()
    assert "- `queen`: acted English. Speakers: from file names." in lines
    assert "- `drascula`: Arousal: By rule. Emotion: Nobody rated it." in lines
    assert not any(line.startswith("- `made-up`") for line in lines)


def test_the_place_of_the_card_changes_nothing_but_its_images(whole):
    here, there = model_card(whole), model_card(whole, folder_url="some/where/")
    assert "![ravdess map](pictures/ravdess-map.png)" in here
    assert there == here.replace("(pictures/", "(some/where/pictures/")
    targets = re.findall(r"\]\(([^)]+)\)", here)
    assert targets and all((Path(whole) / target).is_file() for target in targets)


def test_images_have_words(tmp_path):
    folder = folders.whole(tmp_path)
    for path in (folder / "pictures").iterdir():
        path.unlink()
    for name in ("sessions-4-user-name-confusion.png", "my own [1]-plot_of_it.png"):
        (folder / "pictures" / name).write_bytes(b"")
    card = model_card(folder)
    assert "![my own (1) plot of it](pictures/my%20own%20%5B1%5D-plot_of_it.png)" in card
    assert re.search(r"!\[Confusion .* Sessions 4.*\]\(pictures/sessions-4-user-name-confusion\.png\)", card)


def test_it_is_written_next_to_the_weights(whole):
    path = write_model_card(whole, "user/tiny", {"license": "apache-2.0"})
    assert path == whole / "README.md"
    assert path.read_text() == model_card(whole, "user/tiny", {"license": "apache-2.0"})
    path.unlink()


def test_the_example_runs_and_names_the_model(tmp_path, monkeypatch, capsys):
    folders.bare(tmp_path / "user" / "tiny")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", model_card(tmp_path / "user" / "tiny", "user/tiny"), re.S)
    exec(compile(code, "card", "exec"), {})
    assert 'checkpoint = "user/tiny"' in code and code.count("trust_remote_code=True") == 3
    assert "'label': 'a low voice'" in capsys.readouterr().out


def test_a_model_of_transformers_needs_no_code_of_ours(folder):
    folders.write(folder, config_json={"model_type": "clap"}, preprocessor_config_json={"sampling_rate": 48000})
    card = model_card(folder, "a/clap")
    assert "trust_remote_code" not in card
    assert "normal(0, 0.1, 48000)" in card and "sampling_rate=48000" in card


def test_an_opening_takes_the_place_of_the_name(whole):
    opening = "from modeling_smoothclap import SMOOTHCLAP_TINY as checkpoint"
    card = model_card(whole, opening=opening)
    assert f"pipeline\n{opening}\n\nmodel = AutoModel.from_pretrained(checkpoint" in card
    assert "checkpoint = " not in card


def test_a_classifier_is_refused_and_keeps_its_card(tmp_path):
    folder = judged_classifiers.save(tiny.checkpoint(tmp_path / "encoder"), tmp_path / "classifier")
    (folder / "README.md").write_text("the experiment's")
    with pytest.raises(ValueError, match="classifier' holds a classifier"):
        write_model_card(folder)
    assert (folder / "README.md").read_text() == "the experiment's"


def test_labels_held_out_words_and_the_version_before(tmp_path):
    folder = folders.whole(tmp_path)
    table = pd.read_csv(folder / "attributes.csv")
    pd.concat([table, pd.DataFrame([folders.LABELLED])]).to_csv(folder / "attributes.csv", index=False)
    (folder / "previous").mkdir()
    table.assign(auc=0.125)[:2].to_csv(folder / "previous" / "attributes.csv", index=False)
    before = made_up_results()
    before = with_result(before, 0, 0, metrics={"uar": Metric(0.33, 0.22, 0.44)})
    before = with_task(before, 1, data=replace(before.tasks[1].data, sha256="0" * 64))
    before.save(folder / "previous" / "zero_shot.json")
    card = flat(model_card(folder))
    for fact in (
        *('"a fiery voice" / "a tame voice", held out | | 0.75 (0.60-0.90) |', "0.96 (0.95-0.97)*, was 0.12 |"),
        *("`arousal_intent`", "0.51 to 0.51", "0.58", "0.330 [0.220, 0.440]", "occur in no training caption"),
    ):
        assert fact in card, fact
    assert card.count("The version before: UAR") == 1 and card.count(", was") == 2
    same = replace(before, models=tuple(replace(each, weights_sha256=weights_sha256(folder)) for each in before.models))
    same.save(folder / "previous" / "zero_shot.json")
    card = flat(model_card(folder))
    assert ", was" not in card and "ersion before" not in card  # it would be compared with itself


def test_results_beside_a_result(tmp_path):
    folder = folders.whole(tmp_path)
    shuffled, value = Shuffled(0.251, 0.282, 0.319, 1000), ValueRecall("happy", 12, 0.417)
    recalls = dict.fromkeys(("neutral", "happy", "anger", "sadness"), Metric(0.111, 0.1, 0.122))
    standardised = Standardised(
        metrics={"uar": Metric(0.371, 0.352, 0.393)},
        per_class_recall=recalls,
        confusion=[[1]],
        shuffled={"word": shuffled},
        by_value={"Victory": replace(value, recall=0.625)},
    )
    values = {"Victory": value}
    found = with_result(made_up_results(), 0, 0, by_speaker=standardised, shuffled={"word": shuffled}, by_value=values)
    found = with_task(found, 0, confounded_by="word", averaged=True)
    found = replace(found, models=tuple(replace(each, weights_sha256=weights_sha256(folder)) for each in found.models))
    found.save(folder / "zero_shot.json")
    for text in (flat(model_card(folder)), flat(written_report(found, tmp_path))):
        for fact in (
            *("0.371 [0.352, 0.393]", "0.251 on average", "0.282", "0.319", "| Victory | happy | 12 | 0.417 | 0.625 |"),
            *("1,000 times", "`word`", "mean embedding"),
        ):
            assert fact in text, fact


def written_report(results, folder):
    write_report(results, folder / "report", plots=False)
    return (folder / "report" / "report.md").read_text()


def test_cautions_hold_for_the_data_that_they_are_about(tmp_path):
    folder = folders.whole(tmp_path)
    card = model_card(folder)
    assert "may not be usable" not in card and "Synthetic" in card
    results = json.loads((folder / "zero_shot.json").read_text())
    results["tasks"][0]["data"]["doubtful"] = {"silent": 1}
    data = {"train": {"mine": {"clips": 3}}}
    folders.write(folder, zero_shot_json=results, training_config_yaml={"captions": "given"}, data_json=data)
    card = flat(model_card(folder))
    assert "silent: 1" in card and "Synthetic" not in card
    assert "3 clips." in card and "test split" not in card


# What the Hub reads


def test_the_hub_reads_files_and_notes(whole):
    data = ModelCard(model_card(whole, "user/tiny")).data
    assert (data.license, data.language, data.library_name) == ("mit", ["en", "de"], "transformers")
    assert data.pipeline_tag == "zero-shot-audio-classification"
    assert data.base_model == ["someone/speech"]  # the other encoder is a folder
    assert data.datasets == ["someone/emotions"]
    assert data.tags == ["audio", "speech", "paralinguistics", "contrastive", "smoothclap", "tiny"]


def test_what_is_given_takes_precedence_and_tags_are_added(whole):
    given = {"license": "cc0-1.0", "language": "cs", "base_model": None, "tags": "smoothclap"}
    data = ModelCard(model_card(whole, front_matter=given)).data
    assert (data.license, data.language, data.base_model) == ("cc0-1.0", "cs", ["someone/speech"])
    assert data.tags.count("smoothclap") == 1


def test_front_matter_keeps_what_is_not_ascii(folder):
    (folder / "notes.md").write_text("---\nlicense: other\nlicense_name: Größe – 音声\n---\n", encoding="utf-8")
    attribute = folders.ATTRIBUTES[1][:1] + ("eine höhere Stimme", "ein tiefer Baß") + folders.ATTRIBUTES[1][3:]
    (folder / "attributes.csv").write_text(
        ",".join(folders.ATTRIBUTE_COLUMNS) + "\n" + ",".join(map(str, attribute)) + "\n", encoding="utf-8"
    )
    text = write_model_card(folder).read_text(encoding="utf-8")
    data = ModelCard(text).data
    assert data.license_name == "Größe – 音声" and "Größe – 音声" in text
    assert data.eval_results[0].metric_name == 'AUC of pitch: "eine höhere Stimme" / "ein tiefer Baß"'


def test_results_come_back_from_the_model_index(whole):
    data = ModelCard(model_card(whole, "user/tiny")).data
    assert data.model_name == "tiny"
    found = {(each.dataset_config, each.dataset_split, each.metric_name): each for each in data.eval_results}
    uar = found["sessions-4", "all clips", "UAR"]
    assert (uar.metric_type, uar.metric_value, uar.metric_args) == ("recall", 0.5, {"average": "macro"})
    assert (uar.dataset_type, uar.dataset_name) == ("sessions", "Sessions 4")
    assert found["Made up/2", "test", "Accuracy"].metric_value == 0.45
    assert found["Made up/2", "test", "Macro F1"].metric_type == "f1"
    auc = found[None, "test", 'AUC of pitch: "a high voice" / "a low voice"']
    assert (auc.dataset_type, auc.metric_type, auc.metric_value) == ("fillets", "roc_auc", 0.96)
    assert len(found) == len(data.eval_results) == 2 * 3 + 2  # nothing of the validation split


@pytest.mark.parametrize("status", ["not zero-shot", "unknown"])
def test_a_result_that_is_not_zero_shot_says_so(tmp_path, status):
    folder = folders.bare(tmp_path)
    results = folders.evaluated(folder)
    results["tasks"][0]["results"][0]["zero_shot"]["status"] = status
    data = ModelCard(model_card(folders.write(folder, zero_shot_json=results))).data
    names = [each.metric_name for each in data.eval_results]
    assert all(status in name and "zero-shot" in name for name in names[:3]) and names[3] == "UAR"


def test_tasks_of_one_corpus_stay_apart(tmp_path):
    """The Hub's client joins results of equal data sets under the name of the first."""
    folder = folders.bare(tmp_path)
    results = folders.evaluated(folder)
    for task in results["tasks"]:
        task["protocol"] |= {"corpus": "fau-aibo", "split": "school Mont"}
    data = ModelCard(model_card(folders.write(folder, zero_shot_json=results))).data
    assert {each.dataset_name for each in data.eval_results} == {"Sessions 4", "Made up 2 (SYNTHETIC)"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"seed": 1}, ["en"]), ({"languages": ["de"]}, ["de"]), ({"captions": "given"}, None), (None, None)],
)
def test_languages_are_those_of_the_captions(folder, settings, expected):
    if settings is not None:
        folders.write(folder, training_config_yaml=settings)
    assert ModelCard(model_card(folder)).data.language == expected
