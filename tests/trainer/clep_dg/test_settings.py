"""Experiments as YAML: what a file becomes, and that everything wrong with it is reported at once."""

import re

import pytest

from smoothclap_trainer.clep_dg.acpt import ACPTSettings
from smoothclap_trainer.clep_dg.classifier import ClassifierSettings
from smoothclap_trainer.clep_dg.prompts import ENGLISH, PromptTemplates
from smoothclap_trainer.clep_dg.settings import CorpusSettings, ExperimentSettings
from smoothclap_trainer.config import SettingsError, read_yaml


SMALL = """
encoder: folder
corpora:
  - {name: ravdess, data_root: data/ravdess}
  - {name: "007", manifest: clips.csv, where: {session: 1, room: [2, 3]}, language: "no", licence: mine}
output: out
"""


def read(tmp_path, text):
    (tmp_path / "it.yaml").write_text(text)
    return read_yaml(tmp_path / "it.yaml", ExperimentSettings)


def problem(tmp_path, text):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_a_small_file_and_the_defaults(tmp_path):
    settings = read(tmp_path, SMALL)
    ravdess, own = settings.corpora
    assert ravdess == CorpusSettings(name="ravdess", data_root="data/ravdess")
    assert (own.name, own.language, own.where) == ("007", "no", {"session": "1", "room": ["2", "3"]})
    assert (own.split, own.labels, own.synthetic, own.label_column) == ("test", {}, False, None)
    assert settings == ExperimentSettings(encoder="folder", corpora=[ravdess, own], output="out")
    assert (settings.templates, settings.acpt, settings.classifier) == (ENGLISH, ACPTSettings(), ClassifierSettings())
    assert (settings.seeds, settings.protocols) == ([0, 1, 2], ["generalisation", "supervised"])
    assert (settings.conditions, settings.words, settings.device) == (["clean"], {}, "cpu")
    assert settings.encoder == "folder"


def test_templates_of_ones_own(tmp_path):
    templates = "templates: {context: a <ctx>, joint: '{emotion} <ctx>', content: '{emotion}'}"
    assert read(tmp_path, SMALL + templates).templates == PromptTemplates(
        context="a <ctx>", joint="{emotion} <ctx>", content="{emotion}"
    )


def test_all_faults_come_at_once_with_their_paths(tmp_path):
    message = problem(
        tmp_path,
        """
corpora:
  - {name: ravdess, data_root: x, split: train, labels: {a: b}, synthetic: true}
  - {name: mine, manifest: x.csv, thirds_of: duration, label_column: emotion, labels: {hgh: a}, protocol: tess-7}
  - {name: fau-aibo, data_root: x}
  - {name: alc, data_root: x, protocol: tess-7}
  - {name: unheard-of, data_root: x}
  - {name: neither}
  - {name: both, data_root: x, manifest: y}
classifier: {epochs: 0, lr: 1}
sedes: [1]
""",
    )
    for path, part in (
        ("corpora[0].labels", "'ravdess'"),
        ("corpora[0].split", "'ravdess'"),
        ("corpora[0].synthetic", "'ravdess'"),
        ("corpora[1].language", "missing"),
        ("corpora[1].licence", "missing"),
        ("corpora[1].protocol", "'tess-7'"),
        ("corpora[1].thirds_of", "'duration'"),
        ("corpora[1].labels", "['hgh']"),
        ("corpora[2].protocol", "['fau-aibo-2', 'fau-aibo-5']"),
        ("corpora[3].protocol", "'tess-7'"),
        ("corpora[4].name", "'unheard-of'"),
        ("corpora[5].manifest", "'neither'"),
        ("corpora[6].manifest", "'y'"),
        ("classifier.epochs", "0"),
        ("classifier.lr", "'learning_rate'"),
        ("sedes", "'seeds'"),
        ("encoder", "missing"),
        ("output", "missing"),
    ):
        assert any(line.startswith(f"  `{path}` ") and part in line for line in message.splitlines()), path
    assert len(message.splitlines()) == 19


TEXT = ["", " ", 3]
BAD_CORPUS = {
    "name": ["", " ", ".", "..", "../../escaped", "a\\b", 3],
    **dict.fromkeys(("data_root", "protocol", "manifest", "audio_root", "label_column", "thirds_of", "licence"), TEXT),
    "columns": ["emotion", {"a": 1}],
    "labels": [["a"], {"a": ""}],
    "where": [[1], {"a": 1}, {"a": [1]}],
    "split": ["testing"],
    "bad_clips": ["trust", 3],
    "language": ["en_US"],
    "synthetic": ["maybe"],
    "note": TEXT,
}
BAD_EXPERIMENT = {
    "encoder": [["a"], "", {"ravdess": " ", "007": "a"}, {"ravdess": "a"}],
    "corpora": ["ravdess", [], [{"name": "tess", "data_root": "a"}, {"name": "tess", "data_root": "b"}]],
    "output": TEXT,
    "words": [{"high": "starke", "loud": "starke"}, {"high": ""}, "high"],
    "templates": ["fr", {"context": "a"}, {"joint": "<ctx>"}, {"content": "b"}, {"other": "c"}],
    "written_contexts": ["fr", 3],
    "acpt": ["fast", {"seed": 1}, {"style_loss": False}, {"content_loss": False}],
    "classifier": [3, {"seed": 1}],
    "seeds": [3, [], [-1], [1, 1], [0.5], ["a"]],
    "protocols": ["zero-shot", [], ["supervised", "supervised"]],
    "conditions": ["telephone", [], ["clean", "clean"], ["clean", "room"], ["clean", "telphone"]],
    "device": TEXT,
}
BAD_ACPT = {
    **dict.fromkeys(("num_contexts", "context_length", "steps"), (0, -1, 1.5)),
    **dict.fromkeys(("learning_rate", "init_std"), (0, -1, float("nan"), float("inf"))),
    "momentum": [1, 1.5, -0.1],
    **dict.fromkeys(("style_loss", "content_loss"), ("maybe", 1)),
    "content_temperature": [0, -0.07, "cold", float("inf"), None],
    "seed": [-1, 0.5],
}
BAD_CLASSIFIER = {
    "loss": ["hinge"],
    "scale": [0, 101.0],
    "margin": [2.0, -0.1],
    **dict.fromkeys(("epochs", "batch_size"), (0, 1.5)),
    "learning_rate": [0, float("nan"), float("inf")],
    "momentum": [1, -0.1],
    "seed": [-1],
}
LEAST = {
    CorpusSettings: {"name": "tess", "data_root": "tess"},
    ExperimentSettings: {"encoder": "e", "output": "o", "corpora": {"name": "tess", "data_root": "t"}},
}


@pytest.mark.parametrize(
    ("schema", "bad"),
    [
        (CorpusSettings, BAD_CORPUS),
        (ExperimentSettings, BAD_EXPERIMENT),
        (ACPTSettings, BAD_ACPT),
        (ClassifierSettings, BAD_CLASSIFIER),
    ],
)
def test_each_field_refuses_bad_values(schema, bad):
    assert bad.keys() == schema.model_fields.keys()
    for name, values in bad.items():
        for value in values:
            with pytest.raises(SettingsError) as caught:
                schema(**LEAST.get(schema, {}) | {name: value})
            assert {re.split(r"[.[]", path)[0] for path, _ in caught.value.faults} == {name}, (name, value)


def test_columns_and_audio_root_are_for_manifests():
    with pytest.raises(SettingsError, match="'tess'") as caught:
        CorpusSettings(name="tess", data_root="x", columns={"path": "file"}, audio_root="wav")
    assert {name for name, _ in caught.value.faults} == {"columns", "audio_root"}
    CorpusSettings(name="tess", data_root="x", columns={})
    own = CorpusSettings(name="my corpus.v1", manifest="x", language="en", licence="mine")
    assert own.name == "my corpus.v1"


def test_a_corpus_is_a_mapping_whose_fields_have_their_types(tmp_path):
    text = "encoder: e\noutput: o\ncorpora: {name: no, manifest: 1, language: no, labels: {on: off}, synthetic: yes, "
    (corpus,) = read(tmp_path, text + "licence: 2024-05-01}").corpora
    assert corpus == CorpusSettings(
        name="no", manifest="1", language="no", licence="2024-05-01", labels={"on": "off"}, synthetic=True
    )


def test_the_results_go_to_a_folder_and_to_no_file(tmp_path):
    (tmp_path / "out").touch()
    message = problem(tmp_path, SMALL.replace("output: out", f"output: {tmp_path}/out"))
    assert f"'{tmp_path}/out'" in message


def test_the_language_of_hand_written_contexts_is_that_of_the_templates_unless_said(tmp_path):
    assert read(tmp_path, SMALL).language_of_written == "en"
    assert read(tmp_path, SMALL + "templates: de").language_of_written == "de"
    own = "templates: {context: <ctx>, joint: '{emotion} <ctx>', content: '{emotion}'}\n"
    assert read(tmp_path, SMALL + own).language_of_written == "en"
    assert read(tmp_path, SMALL + own + "written_contexts: de").language_of_written == "de"


def test_what_classes_are_called(tmp_path):
    settings = read(tmp_path, SMALL + "words: {happy: sad, sad: low}")
    assert settings.called(["sad", "angry", "happy"]) == {"sad": "low", "angry": "angry", "happy": "sad"}
    with pytest.raises(ValueError, match=r"\['happy'\].*\['sad', 'angry'\]"):
        settings.called(["sad", "angry"])
    with pytest.raises(ValueError, match="'sad' and 'low'"):
        settings.called(["sad", "happy", "low"])
