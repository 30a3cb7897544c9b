"""A whole card, a bare one, and that the example in it runs."""

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from smoothclap_trainer.model_card import model_card, write_model_card
from tests import tiny
from tests.trainer.clep_dg import judged_classifiers
from tests.trainer.model_card import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


def headings(card):
    return re.findall(r"^## (.*)$", card, re.M)


def test_a_whole_card_has_every_section_once(whole):
    assert headings(model_card(whole)) == [
        "How to use it",
        "Notes",
        "Intended use",
        "Cautions",
        "Zero-shot figures",
        "Attributes, zero-shot",
        "Validation figures",
        "Training data",
        "Model",
        "Objective",
        "Training",
        "Versions",
        "Citation",
    ]


def test_a_bare_checkpoint_leaves_out_what_nobody_measured(tmp_path):
    card = model_card(folders.bare(tmp_path / "my-model"))
    assert headings(card) == [
        "How to use it",
        "Intended use",
        "Cautions",
        "Training data",
        "Model",
        "Versions",
        "Citation",
    ]
    assert "# my-model\n" in card
    assert "Which corpora it was trained on is not recorded" in card
    assert ModelCard(card).data.eval_results is None
    assert "None" not in card and "nan" not in card


def test_the_cautions_are_in_every_card(tmp_path):
    card = re.sub(r"\s+", " ", model_card(folders.bare(tmp_path)))
    for caution in (
        "Expressed, not felt",
        "Culture, language, gender, age",
        "Not for decisions about people",
        "Consent",
        "Article 5(1)(f) of the AI Act",
        "workplaces and in education, except for medical or safety reasons, since 2 February 2025",
        "Out of scope",
    ):
        assert caution in card
    assert "arXiv:2601.12591" in card and "arXiv:2406.07203" in card and "CLEP" not in card


def test_the_same_folder_gives_the_same_card(whole):
    assert model_card(whole, "user/x") == model_card(whole, "user/x")


def test_where_the_card_lies_changes_nothing_but_its_pictures(whole):
    here, there = model_card(whole), model_card(whole, at="some/where/")
    assert "![ravdess map](pictures/ravdess-map.png)" in here
    assert there == here.replace("(pictures/", "(some/where/pictures/")


def test_notes_stand_where_a_reader_looks_first(whole):
    card = model_card(whole, "user/tiny")
    assert card.index("# tiny\n\nIt is *tiny*.") < card.index("## How to use it") < card.index("## Notes\n\n- One.")


def test_it_is_written_beside_the_weights(whole):
    path = write_model_card(whole, "user/tiny", {"license": "apache-2.0"})
    assert path == whole / "README.md"
    assert path.read_text() == model_card(whole, "user/tiny", {"license": "apache-2.0"})
    path.unlink()


def run(card, folder, monkeypatch, capsys):
    """The card's example, in this process."""
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    exec(compile(code, "card", "exec"), {})
    return code, capsys.readouterr().out


def test_the_example_runs_and_names_the_model(tmp_path, monkeypatch, capsys):
    folders.bare(tmp_path / "user" / "tiny")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    card = model_card(tmp_path / "user" / "tiny", "user/tiny")
    code, printed = run(card, tmp_path, monkeypatch, capsys)
    assert 'checkpoint = "user/tiny"  # on the Hub, or a folder' in code
    assert code.count("trust_remote_code=True") == 3
    assert "'label': 'a low voice'" in printed


def test_a_model_of_transformers_needs_no_code_of_ours(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clap"}')
    folders.write(tmp_path, preprocessor_config_json={"sampling_rate": 48000})
    card = model_card(tmp_path, "a/clap")
    assert "trust_remote_code" not in card
    assert "normal(0, 0.1, 48000)" in card and "sampling_rate=48000" in card


def test_an_opening_takes_the_place_of_the_name(whole):
    opening = "from modeling_smoothclap import SMOOTHCLAP_TINY as checkpoint"
    card = model_card(whole, opening=opening)
    assert f"pipeline\n{opening}\n\nmodel = AutoModel.from_pretrained(checkpoint" in card
    assert "checkpoint = " not in card


def test_lines_of_prose_are_readable(whole):
    text = re.sub(r"```.*?```", "", model_card(whole), flags=re.S).split("---\n", 2)[2]
    long = [line for line in text.splitlines() if len(line) > 120 and not line.startswith(("|", "!"))]
    # The table's own notes come from the report.
    assert [line for line in long if not line.startswith(("†", "‡", "*"))] == []


def test_links_of_a_card_lead_into_its_folder(whole):
    targets = re.findall(r"\]\(([^)]+)\)", model_card(whole))
    assert targets and all((Path(whole) / target).is_file() for target in targets)


def test_a_classifier_is_refused_and_keeps_the_card_that_it_has(tmp_path):
    folder = judged_classifiers.save(tiny.checkpoint(tmp_path / "encoder"), tmp_path / "classifier")
    (folder / "README.md").write_text("the experiment's")
    with pytest.raises(ValueError, match=r"holds a classifier, which ranks no descriptions\. examples/run_clep"):
        write_model_card(folder)
    assert (folder / "README.md").read_text() == "the experiment's"
