"""Experiments as YAML: what a file becomes, and that everything wrong with it is told at once."""

import json

import pytest

from smoothclap_trainer.clep_dg.acpt import ACPTSettings
from smoothclap_trainer.clep_dg.classifier import ClassifierSettings
from smoothclap_trainer.clep_dg.prompts import ENGLISH, GERMAN, PromptTemplates
from smoothclap_trainer.clep_dg.settings import CorpusSettings, ExperimentSettings, read_settings


SMALL = """
encoder: folder
corpora:
  - {name: ravdess, data_root: data/ravdess}
  - {name: "007", manifest: clips.csv, where: {session: 1, room: [2, 3]}, language: "no", licence: mine}
output: out
"""


def read(tmp_path, text):
    (tmp_path / "it.yaml").write_text(text)
    return read_settings(tmp_path / "it.yaml")


def problem(tmp_path, text):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_a_small_file_and_the_defaults(tmp_path):
    settings = read(tmp_path, SMALL)
    ravdess, own = settings.corpora
    assert ravdess == CorpusSettings("ravdess", data_root="data/ravdess")
    assert (own.name, own.language, own.where) == ("007", "no", {"session": "1", "room": ["2", "3"]})
    assert (own.split, own.labels, own.synthetic, own.label_column) == ("test", {}, False, None)
    assert settings == ExperimentSettings("folder", [ravdess, own], "out")
    assert (settings.templates, settings.acpt, settings.classifier) == (ENGLISH, ACPTSettings(), ClassifierSettings())
    assert (settings.seeds, settings.protocols) == ([0, 1, 2], ["generalisation", "supervised"])
    assert (settings.conditions, settings.words, settings.device) == (["clean"], {}, "cpu")
    assert settings.encoder_of("ravdess") == settings.encoder_of("007") == "folder"


def test_everything_that_there_is_to_say(tmp_path):
    settings = read(
        tmp_path,
        """
encoder: {fau-aibo: one, mine: two}
corpora:
  - {name: fau-aibo, data_root: a, protocol: fau-aibo-2}
  - {name: mine, manifest: m, thirds_of: duration, labels: {high: negative}, split: all, language: de, licence: mine,
     synthetic: true}
words: {negative: no, non-negative: 1}
templates: de
acpt: {num_contexts: 2, learning_rate: 1e-3}
classifier: {loss: softmax, epochs: 3}
seeds: [4]
protocols: supervised
conditions: [telephone, clean]
device: cuda
output: out
""",
    )
    assert settings.words == {"negative": "no", "non-negative": "1"}
    assert settings.templates == GERMAN
    assert settings.acpt == ACPTSettings(num_contexts=2, learning_rate=1e-3)
    assert settings.classifier == ClassifierSettings(loss="softmax", epochs=3)
    assert (settings.seeds, settings.protocols, settings.device) == ([4], ["supervised"], "cuda")
    assert settings.encoder_of("mine") == "two"
    described = json.loads(json.dumps(settings.describe()))
    assert "output" not in described and described["corpora"][1]["thirds_of"] == "duration"
    assert described["templates"]["content"] == GERMAN.content and described["acpt"]["num_contexts"] == 2


def test_templates_of_ones_own(tmp_path):
    templates = "templates: {context: a <ctx>, joint: '{emotion} <ctx>', content: '{emotion}'}"
    assert read(tmp_path, SMALL + templates).templates == PromptTemplates("a <ctx>", "{emotion} <ctx>", "{emotion}")


def test_all_faults_are_told_at_once(tmp_path):
    told = problem(
        tmp_path,
        """
encoder: [a]
corpora:
  - {name: ravdess, data_root: x, split: train, labels: {a: b}, synthetic: true}
  - {name: mine, manifest: x.csv, thirds_of: duration, label_column: emotion, labels: {hgh: a}, protocol: tess-7}
  - {nme: tess, data_root: x}
  - {name: fau-aibo, data_root: x}
  - {name: alc, data_root: x, protocol: tess-7}
  - {name: unheard-of, data_root: x}
  - {name: neither}
  - {name: both, data_root: x, manifest: y}
  - {name: wrong, manifest: x, where: [1]}
templates: fr
acpt: {num_contexts: 0, style_loss: false, seed: 1}
classifier: {epochs: 0, lr: 1}
sedes: [1]
seeds: [a]
""",
    )
    for part in (
        "`encoder` takes text or a mapping of texts to texts, not ['a'].",
        "['labels', 'split', 'synthetic'] are for manifests; those of 'ravdess' are known",
        "'mine' is a manifest, so say its `language`",
        "'mine' is a manifest, so say its `licence`",
        "'mine' is a manifest, which has no `protocol`",
        "'mine' takes its labels from `label_column` or `thirds_of`, not from both",
        "`corpora[1].thirds_of` gives the labels high and low, but `labels` of 'mine' has ['hgh']",
        "unknown key 'corpora[2].nme'; did you mean 'name'?",
        "'fau-aibo' has several sets of classes, so name its `protocol`, one of ['fau-aibo-2', 'fau-aibo-5']",
        "'tess-7' is no protocol of 'alc', which has ['alc-2']",
        "'unheard-of' is no known corpus; known are ['iemocap',",
        "'neither' needs either `data_root`, for a known corpus, or `manifest`",
        "'both' needs either `data_root`",
        "`corpora[8].where` takes a mapping of texts to texts or lists of texts, not [1].",
        "`templates` is one of ['en', 'de'] or a mapping, not 'fr'",
        "`acpt.seed` is not to be said: the experiment sets it",
        "`acpt.style_loss` is not to be said",
        "unknown key 'classifier.lr'; keys: ['loss', 'scale',",
        "unknown key 'sedes'; did you mean 'seeds'?",
        "`seeds` takes a list of whole numbers, not ['a'].",
        "these keys are missing: ['output']",
    ):
        assert f"\n  {part}" in told, part
    assert told.startswith(f"The experiment '{tmp_path / 'it.yaml'}' cannot be used:\n")


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("acpt: {steps: 0}", "`acpt.steps` counts from 1, got 0."),
        ("classifier: {scale: 0}", "`classifier.scale` must be positive and at most 100, got 0."),
        ("templates: {context: a}", "The context template must have one <ctx> and no {emotion}; got 'a'."),
        ("seeds: [1, 1]", "`seeds` are different numbers from 0, at least one, not [1, 1]"),
        ("seeds: [-1]", "`seeds` are different numbers from 0, at least one, not [-1]"),
        ("seeds: []", "`seeds` are different numbers from 0, at least one, not []"),
        ("seeds: 3", "`seeds` takes a list, not 3: not how many but which, such as [0, 1, 2]"),
        ("protocols: [zero-shot]", "`protocols` has 'zero-shot'; known are ['generalisation', 'supervised']"),
        ("protocols: generalization", "`protocols` has 'generalization'; did you mean 'generalisation'?"),
        ("protocols: []", "`protocols` is empty; name some of ['generalisation', 'supervised']"),
        ("conditions: [clean, clean]", "`conditions` has 'clean' more than once"),
        ("conditions: [clean, room]", "`conditions` has 'room'; did you mean 'room-small' or 'room-large'?"),
        ("conditions: telephone", "`conditions` must have 'clean', which the others are compared with"),
    ],
)
def test_faults_of_the_whole(more, wanted, tmp_path):
    assert problem(tmp_path, SMALL + more).splitlines()[1:] == [f"  {wanted}"]


def test_faults_of_a_part_are_all_told_and_say_which_part(tmp_path):
    told = problem(tmp_path, SMALL + "acpt: {steps: 0, momentum: 2}\nclassifier: {momentum: 2, epochs: 0, scale: 0}")
    assert sorted(told.splitlines()[1:]) == [
        "  `acpt.momentum` is at least 0 and less than 1, got 2.",
        "  `acpt.steps` counts from 1, got 0.",
        "  `classifier.epochs` counts from 1, got 0.",
        "  `classifier.momentum` is at least 0 and less than 1, got 2.",
        "  `classifier.scale` must be positive and at most 100, got 0.",
    ]
    told = problem(tmp_path, SMALL + "templates: {context: a, content: b}")
    assert told.splitlines()[1:] == [
        "  The context template must have one <ctx> and no {emotion}; got 'a'.",
        "  The content template must have no <ctx> and one {emotion}; got 'b'.",
    ]


def test_numbers_are_finite_and_checkpoints_and_folders_have_names(tmp_path):
    told = problem(tmp_path, SMALL + "acpt: {learning_rate: .inf, init_std: .nan}\nclassifier: {scale: -.inf}")
    assert told.splitlines()[1:] == [
        "  `acpt.learning_rate` must be finite, got inf",
        "  `acpt.init_std` must be finite, got nan",
        "  `classifier.scale` must be finite, got -inf",
    ]
    for encoder in ("''", "{ravdess: a, '007': ' '}"):
        told = problem(tmp_path, SMALL.replace("folder", encoder).replace("output: out", "output: ''"))
        assert told.splitlines()[1:] == [
            "  `encoder` has an empty name; name a folder or what is on the Hub",
            "  `output` is empty; name a folder",
        ]


def test_a_corpus_is_a_mapping_whose_fields_have_their_types(tmp_path):
    text = "encoder: e\noutput: o\ncorpora: {name: no, manifest: 1, language: no, labels: {on: off}, synthetic: yes, "
    (corpus,) = read(tmp_path, text + "licence: 2024-05-01}").corpora
    assert corpus == CorpusSettings(
        "no", manifest="1", language="no", licence="2024-05-01", labels={"on": "off"}, synthetic=True
    )
    told = problem(tmp_path, "encoder: e\noutput: o\ncorpora: [ravdess]")
    keys = "name, data_root, protocol, manifest, columns, audio_root, label_column, thirds_of, labels, where, split, "
    assert (
        f"`corpora` takes a list of mappings with the keys {keys}language, licence, synthetic, not ['ravdess']." in told
    )


def test_corpora_and_checkpoints_must_correspond(tmp_path):
    told = problem(
        tmp_path,
        "encoder: {tess: a}\noutput: o\ncorpora: [{name: emodb, data_root: x}, {name: emodb, data_root: y}]",
    )
    assert "the corpus 'emodb' comes more than once" in told
    assert "`encoder` names checkpoints for ['tess'], but the corpora are ['emodb', 'emodb']" in told
    assert "`corpora` is empty" in problem(tmp_path, "encoder: a\noutput: o\ncorpora: []")


def test_the_results_go_to_a_folder_and_to_no_file(tmp_path):
    (tmp_path / "out").touch()
    told = problem(tmp_path, SMALL.replace("output: out", f"output: {tmp_path}/out"))
    assert told.splitlines()[1:] == [f"  `output` is a file, '{tmp_path}/out'; name a folder"]


def test_two_classes_with_one_word_are_refused(tmp_path):
    told = problem(tmp_path, SMALL + "words: {high: starke, loud: starke, low: leise}")
    assert told.splitlines()[1:] == ["  `words` calls the classes 'high' and 'loud' the same: 'starke'"]


def test_what_classes_are_called(tmp_path):
    settings = read(tmp_path, SMALL + "words: {happy: sad, sad: low}")
    assert settings.called(["sad", "angry", "happy"]) == {"sad": "low", "angry": "angry", "happy": "sad"}
    with pytest.raises(ValueError, match=r"`words` has \['happy'\], but the classes .* have are \['sad', 'angry'\]\.$"):
        settings.called(["sad", "angry"])
    with pytest.raises(ValueError, match=r"^`words` calls the classes 'sad' and 'low' the same: 'low'$"):
        settings.called(["sad", "happy", "low"])


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"There is no file 'nowhere\.yaml'; examples/configs/clep_dg\.yaml shows one"):
        read_settings("nowhere.yaml")
    assert "it is no YAML: " in problem(tmp_path, "a: [")
    assert "it holds no keys and values" in problem(tmp_path, "- a")
    assert "these keys are missing: ['encoder', 'corpora', 'output']" in problem(tmp_path, "device: cpu")
