"""A protocol: its texts, its own checks and its clips; the named ones against what is published."""

import re
from dataclasses import replace

import pytest

from smoothclap_trainer.evaluation.corpora import ABSENT, EMOTION_CORPORA, read_task
from smoothclap_trainer.evaluation.protocols import PROTOCOLS, Prompt
from tests.corpus_trees import build_tree
from tests.trainer.evaluation.made_up_results import protocol


# From the SmoothCLAP paper's table: CLAP, Pengi, ParaCLAP, SmoothCLAP.
PUBLISHED = {
    "iemocap-4": (0.353, 0.345, 0.600, 0.606),
    "ravdess-8": (0.199, 0.148, 0.228, 0.175),
    "crema-d-6": (0.230, 0.245, 0.177, 0.266),
    "tess-7": (0.232, 0.177, 0.170, 0.275),
    "fau-aibo-2": (0.500, 0.470, 0.526, 0.555),
    "fau-aibo-5": (0.211, 0.185, 0.197, 0.204),
    "alc-2": (0.511, 0.473, 0.537, 0.541),
    "sld-2": (0.472, 0.485, 0.507, 0.496),
}
# What ParaCLAP's evaluation asks, in its order.
ASKED = {
    "iemocap-4": [f"this person is feeling {word}." for word in ("neutral", "happy", "anger", "sadness")],
    "ravdess-8": ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"],
    "crema-d-6": ["sad", "angry", "disgust", "fear", "happy", "neutral"],
    "tess-7": ["neutral", "happy", "sadness", "angry", "fear", "disgust", "pleasant surprise"],
    "fau-aibo-2": ["non-negative", "negative"],
    "fau-aibo-5": ["angry", "emphatic", "neutral", "motherese", "rest"],
    "alc-2": ["intoxicated with alcohol", "not intoxicated with alcohol"],
    "sld-2": ["likeable", "not likeable"],
}
GERMAN_WORDS = ("wütend", "negativ", "nüchtern", "sympathisch")


def test_the_published_tasks_come_first_in_the_order_of_the_table():
    assert list(PROTOCOLS) == [*PUBLISHED, "msp-podcast-8", "emodb-7"]
    assert all(each.name == name for name, each in PROTOCOLS.items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_results_and_texts(name):
    named = PROTOCOLS[name]
    assert tuple(named.published.values()) == PUBLISHED[name]
    assert list(named.published) == ["CLAP", "Pengi", "ParaCLAP", "SmoothCLAP"]
    assert named.texts(named.words, named.template) == ASKED[name]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_named_protocols_fit_their_corpora(tree, name):
    named = PROTOCOLS[name]
    corpus = EMOTION_CORPORA[named.corpus]
    assert name == f"{named.corpus}-{len(named.classes)}" and named.language == corpus.language
    assert any(set(named.labels) <= set(reader.labels) for reader in corpus.readers)
    rows = read_task(named, tree(named.corpus))
    assert set(rows["label"]) == set(named.classes)
    assert rows["group"].notna().all() if name == "iemocap-4" else rows["group"].isna().all()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_variants_are_different_and_english_and_german_do_not_mix(name):
    named = PROTOCOLS[name]
    templates = (named.template, *named.other_templates)
    words = [tuple(named.texts(each, "{}")) for each in (named.words, *named.other_words)]
    assert len(set(templates)) == len(templates) == len(set(words)) == len(words) == 3
    german = any(word in GERMAN_WORDS for row in words for word in row)
    assert german == (named.language == "de")
    if german:  # no word of a template is English alone
        assert {word for each in templates for word in re.findall(r"\w+", each)} <= {"Emotion", "Person"}


def test_labels_of_file_names_lead_to_the_right_classes(tree):
    told = {
        "ravdess-8": {"03-01-06-01-01-01-06": "fearful", "03-01-08-01-01-01-08": "surprised"},
        "crema-d-6": {"1003_DFA_FEA_XX": "fearful", "1001_DFA_ANG_XX": "angry"},
        "tess-7": {"OAF_back_ps": "pleasant surprise", "YAF_back_fear": "fearful"},
        "emodb-7": {"03a01Aa": "fearful", "08a01Eb": "disgusted", "09a01Fc": "happy", "16a01Fc": "happy"},
        "msp-podcast-8": {"MSP-PODCAST_0004_0000": "surprised", "MSP-PODCAST_0007_0000": "contemptuous"},
        "alc-2": {"TE_00000": "intoxicated", "TE_00001": "not intoxicated"},
        "sld-2": {"test_000": "likeable", "test_001": "not likeable"},
        "fau-aibo-2": {"Mont_01_000_01": "negative", "Mont_01_000_04": "non-negative"},
        "fau-aibo-5": {"Mont_01_000_01": "emphatic", "Mont_01_000_03": "motherese"},
    }
    for name, expected in told.items():
        labels = read_task(PROTOCOLS[name], tree(PROTOCOLS[name].corpus)).set_index("id")["label"]
        assert {clip: labels[clip] for clip in expected} == expected


PROTOCOL = protocol(
    "two",
    {"sad": "sadness", "happy": "joy {}"},
    corpus="tess",
    template="he feels {}.",
    other_words=({"happy": "happy", "sad": "sad"},),
    other_templates=("{}!",),
)


def test_texts_come_in_the_order_of_the_classes():
    assert PROTOCOL.classes == ("sad", "happy")
    assert PROTOCOL.texts(PROTOCOL.words, PROTOCOL.template) == ["he feels sadness.", "he feels joy {}."]
    assert PROTOCOL.texts(PROTOCOL.other_words[0], "{}!") == ["sad!", "happy!"]


def test_every_wording_in_every_template_the_protocols_own_first():
    repeated = replace(PROTOCOL, other_templates=("{}!", "he feels {}."))
    assert repeated.prompts() == [
        Prompt(0, "he feels {}.", ("he feels sadness.", "he feels joy {}.")),
        Prompt(0, "{}!", ("sadness!", "joy {}!")),
        Prompt(1, "he feels {}.", ("he feels sad.", "he feels happy.")),
        Prompt(1, "{}!", ("sad!", "happy!")),
    ]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({"words": {"sad": "sad"}, "labels": {}, "other_words": ()}, " 1 "),
        ({"words": {"sad": "low", "happy": "low"}}, "'low'"),
        ({"other_words": ({"sad": "low", "happy": "low"},)}, "'low'"),
        ({"other_words": ({"sad": "low"},)}, r"\['sad'\]"),
        ({"template": "he feels"}, "'he feels'"),
        ({"other_templates": ("{} {}",)}, r"'\{\} \{\}'"),
        ({"labels": {"x": "calm"}}, r"\['calm'\]"),
        ({"template": "a", "other_templates": ("b",), "labels": {"x": "calm"}}, r"'a'(.|\n)*'b'(.|\n)*\['calm'\]"),
    ],
)
def test_protocols_with_faults(change, value):
    with pytest.raises(ValueError, match=value):
        replace(PROTOCOL, **change)


def test_clips_of_other_labels_are_left_out_and_counted(tree):
    rows = read_task(PROTOCOL, tree("tess"))
    assert rows[["id", "label", "speaker", "group"]].values.tolist() == [
        ["OAF_back_happy", "happy", "OA", None],
        ["OAF_back_sad", "sad", "OA", None],
        ["YAF_back_happy", "happy", "YA", None],
        ["YAF_back_sad", "sad", "YA", None],
    ]
    assert list(rows.index) == [0, 1, 2, 3]
    assert rows.columns.tolist() == ["id", "path", "label", "speaker", "group"]
    others = ("angry", "disgust", "fear", "neutral", "ps")
    assert rows.attrs["left_out"] == {ABSENT: 2800 - 14} | {f"label {label!r}": 2 for label in others}


def test_a_class_without_clips_is_a_fault(tmp_path):
    folder = build_tree("tess", tmp_path, takes=1)
    for path in folder.rglob("*_sad.wav"):
        path.unlink()
    with pytest.raises(ValueError, match=r"\['sad'\]"):
        read_task(PROTOCOL, folder)


def test_iemocap_merges_excitement_and_groups_by_session(tree):
    rows = read_task(PROTOCOLS["iemocap-4"], tree("iemocap"))
    # In each of 10 dialogues one clip of every label: neutral, happy, excited, angry, sad, frustrated and no agreement.
    assert rows["label"].value_counts().to_dict() == {"happy": 20, "neutral": 10, "angry": 10, "sad": 10}
    assert rows.attrs["left_out"] == {ABSENT: 10039 - 70, "label 'fru'": 10, "label 'xxx'": 10}
    assert rows["group"].value_counts().to_dict() == {f"Session{session}": 10 for session in range(1, 6)}
    assert set(rows["speaker"]) == {f"Ses0{session}{who}" for session in range(1, 6) for who in "FM"}
