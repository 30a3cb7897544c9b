"""A protocol: its texts, its own checks, and the clips that it judges."""

import json
from dataclasses import replace

import pytest

from smoothclap_trainer.evaluation.corpora import ABSENT
from smoothclap_trainer.evaluation.protocols import PROTOCOLS, Protocol, read_task
from tests.corpus_trees import build_tree


PROTOCOL = Protocol(
    name="two",
    title="Two",
    corpus="tess",
    language="en",
    text_language="en",
    words={"sad": "sadness", "happy": "joy {}"},
    template="he feels {}.",
    other_words=({"happy": "happy", "sad": "sad"},),
    other_templates=("{}!",),
    split="all",
    labels={"sad": "sad", "happy": "happy"},
    grouped_by=None,
    published={"CLAP": 0.5},
    source="made up",
)


def test_texts_come_in_the_order_of_the_classes():
    assert PROTOCOL.classes == ("sad", "happy")
    assert PROTOCOL.texts(PROTOCOL.words, PROTOCOL.template) == ["he feels sadness.", "he feels joy {}."]
    assert PROTOCOL.texts(PROTOCOL.other_words[0], "{}!") == ["sad!", "happy!"]


def test_the_description_is_all_of_it_in_json():
    described = PROTOCOL.describe()
    assert json.loads(json.dumps(described)) == described
    assert list(described) == list(Protocol.__dataclass_fields__)
    assert described["words"] == {"sad": "sadness", "happy": "joy {}"}
    assert described["other_words"] == [{"happy": "happy", "sad": "sad"}]
    assert described["other_templates"] == ["{}!"]
    assert described["grouped_by"] is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"words": {"sad": "sad"}, "labels": {}, "other_words": ()}, "`words` names 1 classes, but there must be two"),
        ({"words": {"sad": "low", "happy": "low"}}, "two classes are both called 'low'"),
        ({"other_words": ({"sad": "low", "happy": "low"},)}, "two classes are both called 'low'"),
        ({"other_words": ({"sad": "low"},)}, r"`other_words` has \['sad'\], but the classes are \['sad', 'happy'\]"),
        ({"template": "he feels"}, r"the template 'he feels' must have one \{\}"),
        ({"other_templates": ("{} {}",)}, r"the template '\{\} \{\}' must have one \{\}"),
        ({"labels": {"x": "calm"}}, r"`labels` leads to the classes \['calm'\], which `words` does not name"),
    ],
)
def test_protocols_with_faults(change, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        replace(PROTOCOL, **change)
    assert len(str(caught.value).splitlines()) == 1


def test_all_faults_of_a_protocol_are_told():
    with pytest.raises(ValueError, match=r"template 'a'(.|\n)*template 'b'(.|\n)*\['calm'\]"):
        replace(PROTOCOL, template="a", other_templates=("b",), labels={"x": "calm"})


def test_clips_of_other_labels_are_left_out_and_counted(tmp_path):
    rows = read_task(PROTOCOL, build_tree("tess", tmp_path, takes=1))
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
    tree = build_tree("tess", tmp_path, takes=1)
    for path in tree.rglob("*_sad.wav"):
        path.unlink()
    with pytest.raises(ValueError, match=r"Two: of the classes \['sad', 'happy'\], \['sad'\] have no clip in .*/tess'"):
        read_task(PROTOCOL, tree)


def test_iemocap_merges_excitement_and_groups_by_session(tmp_path):
    rows = read_task(PROTOCOLS["iemocap-4"], build_tree("iemocap", tmp_path, takes=1))
    # In each of 10 dialogues one clip of every label: neutral, happy, excited, angry, sad, frustrated and no agreement.
    assert rows["label"].value_counts().to_dict() == {"happy": 20, "neutral": 10, "angry": 10, "sad": 10}
    assert rows.attrs["left_out"] == {ABSENT: 10039 - 70, "label 'fru'": 10, "label 'xxx'": 10}
    assert rows["group"].value_counts().to_dict() == {f"Session{session}": 10 for session in range(1, 6)}
    assert set(rows["speaker"]) == {f"Ses0{session}{who}" for session in range(1, 6) for who in "FM"}
