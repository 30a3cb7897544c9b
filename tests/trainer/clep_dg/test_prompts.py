"""The wordings: what the defaults say, and templates and class names that do not do."""

import pytest

from smoothclap_trainer.clep_dg.prompts import ENGLISH, GERMAN, PromptTemplates


@pytest.mark.parametrize(
    ("templates", "joint", "content"),
    [
        (ENGLISH, "sad speech recorded in a <ctx> acoustic environment", "sad speech"),
        (
            GERMAN,
            "Sprache, die sad klingt, aufgenommen in einer <ctx> akustischen Umgebung",
            "Sprache, die sad klingt",
        ),
    ],
)
def test_each_class_gets_its_prompts_in_order(templates, joint, content):
    names = ["sad", "very {happy}"]
    assert templates.joint_prompts(names) == [joint, joint.replace("sad", "very {happy}")]
    assert templates.content_prompts(names) == [content, content.replace("sad", "very {happy}")]


@pytest.mark.parametrize(("joint", "prompt"), [("<ctx> {emotion}", "<ctx> sad"), ("{emotion}, <ctx>.", "sad, <ctx>.")])
def test_the_slot_may_stand_anywhere(joint, prompt):
    assert PromptTemplates(joint=joint).joint_prompts(["sad"]) == [prompt]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"context": "a room"}, "`context` must have one <ctx> and no {emotion}"),
        ({"context": "{emotion} <ctx>"}, "`context` must have one <ctx> and no {emotion}"),
        ({"joint": "{emotion} <ctx> <ctx>"}, "`joint` must have one <ctx> and one {emotion}"),
        ({"joint": "a <ctx>"}, "`joint` must have one <ctx> and one {emotion}"),
        ({"content": "speech"}, "`content` must have no <ctx> and one {emotion}"),
        ({"content": "{emotion} <ctx>"}, "`content` must have no <ctx> and one {emotion}"),
    ],
)
def test_a_template_with_other_slots_is_refused(changes, wanted):
    with pytest.raises(ValueError) as caught:
        PromptTemplates(**changes)
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], r"at least one name, got \[\]"),
        ("sad", "a list of at least one name, got 'sad'"),
        (["sad", " "], r"these are not: \[' '\]"),
        ([1, "sad", None], r"these are not: \[1, None\]"),
        (["sad", "in <ctx>"], r"these are not: \['in <ctx>'\]"),
        (["sad", "sad"], "more than one is called 'sad'"),
    ],
)
def test_class_names_that_do_not_do(names, wanted):
    for prompts in (ENGLISH.joint_prompts, ENGLISH.content_prompts):
        with pytest.raises(ValueError, match=wanted):
            prompts(names)
