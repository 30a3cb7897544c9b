"""Labels of data sets and the categories they mean."""

import pytest

from smoothclap_trainer.data.captions.labels import (
    CLASSLESS,
    EMOTION_ALIASES,
    GENDER_ALIASES,
    WORDINGS,
    category,
    emotion_class,
)


@pytest.mark.parametrize(
    ("label", "group", "expected"),
    [
        ("happy", "emotion", "happy"),
        (" Anger ", "emotion", "angry"),
        ("Tenderness", "emotion", "tender"),
        ("anxiety", "emotion", "anxious"),
        ("F", "gender", "female"),
        ("male", "gender", "male"),
    ],
)
def test_labels_are_found(label, group, expected):
    assert category(label, group) == expected


def test_aliases_lead_to_wordings_and_are_none_themselves():
    for group, aliases in (("emotion", EMOTION_ALIASES), ("gender", GENDER_ALIASES)):
        assert set(aliases.values()) <= set(WORDINGS[group])
        assert not set(aliases) & set(WORDINGS[group])


@pytest.mark.parametrize(
    ("label", "group"), [("hapy", "emotion"), ("f", "emotion"), ("happy", "gender"), ("", "gender")]
)
def test_unknown_labels_are_named_with_the_known_ones(label, group):
    with pytest.raises(ValueError, match=f"'{label}'.*'{min(WORDINGS[group])}'"):
        category(label, group)


def test_emotions_that_nobody_knows_are_no_class():
    assert set(CLASSLESS) <= set(WORDINGS["emotion"])
    classes = {emotion_class(emotion) for emotion in WORDINGS["emotion"]}
    assert classes == set(WORDINGS["emotion"]) - {"no agreement", "other"} | {None}
    assert emotion_class(None) is None
