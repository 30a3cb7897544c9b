import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from smoothclap_trainer.evaluation.evaluator import distinct_texts, prompt_sensitivity, prompts_of
from smoothclap_trainer.evaluation.protocols import Protocol


def protocol(**changes):
    fields = {
        "name": "two",
        "title": "Two",
        "corpus": "made",
        "language": "en",
        "text_language": "en",
        "words": {"sad": "sad", "happy": "happy"},
        "template": "{}",
        "other_words": ({"happy": "joyful", "sad": "sorrowful"},),
        "other_templates": ("a {} voice", "{}"),
        "split": "all",
        "labels": {"s": "sad", "h": "happy"},
        "grouped_by": None,
        "published": {},
        "source": "a test",
    }
    return Protocol(**fields | changes)


def test_every_wording_in_every_template_the_protocols_own_first():
    assert [tuple(prompt) for prompt in prompts_of(protocol())] == [
        (0, "{}", ["sad", "happy"]),
        (0, "a {} voice", ["a sad voice", "a happy voice"]),
        (1, "{}", ["sorrowful", "joyful"]),
        (1, "a {} voice", ["a sorrowful voice", "a joyful voice"]),
    ]
    alone = protocol(other_words=(), other_templates=())
    assert [prompt.texts for prompt in prompts_of(alone)] == [["sad", "happy"]]


def test_texts_of_several_protocols_come_once():
    first = protocol(other_words=(), other_templates=())
    second = protocol(
        words={"sad": "sad", "angry": "angry"}, labels={}, other_words=(), other_templates=("a {} voice",)
    )
    assert distinct_texts([first, second]) == ["a angry voice", "a sad voice", "angry", "happy", "sad"]


EMBEDS = {
    "sad": [1.0, 0.0],
    "happy": [0.0, 1.0],
    "a sad voice": [0.0, 1.0],  # just the wrong way round
    "a happy voice": [1.0, 0.0],
    "sorrowful": [1.0, 0.0],
    "joyful": [1.0, 0.0],  # no difference: all clips are sorrowful
    "a sorrowful voice": [2.0, 0.1],
    "a joyful voice": [0.1, 2.0],
}
AUDIO = np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.7], [0.3, 0.9], [0.1, 0.6]])
TRUE = np.array([0, 0, 0, 1, 1])
TEXT_EMBEDS = {text: np.array(embed) for text, embed in EMBEDS.items()}


def test_how_far_the_figure_moves():
    found = prompt_sensitivity(protocol(), AUDIO, TEXT_EMBEDS, TRUE)
    figures = [5 / 6, 1 / 6, 1 / 2, 5 / 6]
    assert [variant["uar"] for variant in found["variants"]] == pytest.approx(figures)
    assert found["variants"][1] == {"words": 0, "template": "a {} voice", "texts": ["a sad voice", "a happy voice"]} | {
        "uar": found["variants"][1]["uar"]
    }
    assert found["lowest"] == pytest.approx(1 / 6) and found["highest"] == pytest.approx(5 / 6)
    assert found["mean"] == pytest.approx(7 / 12)
    assert found["deviation"] == pytest.approx(np.sqrt((1 / 16 + 25 / 144 + 1 / 144 + 1 / 16) / 4))


def test_a_grouped_figure_is_the_mean_over_groups():
    groups = ["first", "second", "first", "second", "first"]
    found = prompt_sensitivity(protocol(grouped_by="session"), AUDIO, TEXT_EMBEDS, TRUE, groups)
    predicted = np.array([0, 0, 1, 1, 1])
    by_group = [
        balanced_accuracy_score(TRUE[members], predicted[members])
        for members in (np.array(groups) == "first", np.array(groups) == "second")
    ]
    assert by_group == [0.75, 1.0]
    assert found["variants"][0]["uar"] == pytest.approx(0.875)
