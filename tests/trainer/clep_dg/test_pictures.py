"""What the pictures show: every mark where it belongs."""

import numpy as np
import pytest
import torch

from smoothclap_trainer.clep_dg.methods import METHODS, RANDOM_CONTEXTS, TextStages
from smoothclap_trainer.clep_dg.plots import BY_CONDITION, MAPPED, contexts_picture, draw_conditions, draw_contexts


@pytest.fixture
def stages():
    # On a plane, spread along the first coordinate most: the picture is a shift of it.
    content = torch.tensor([[4.0, 1.0], [-4.0, -1.0]])
    joint = {kind: content + torch.tensor([[0.1 * n], [-0.1 * n]]).expand(3, 2, 1) * torch.tensor([1.0, 0])
             for n, kind in enumerate(method.contexts for method in MAPPED)}  # fmt: skip
    measures = {method.name: {"similarity": 0.25 * n, "emotions_kept": 0.5} for n, method in enumerate(MAPPED)}
    return TextStages(content, joint, {}, measures)


def test_a_map_for_each_kind_on_one_plane(stages, figure, tmp_path):
    draw_contexts(stages, ["sad", "glad"], "it", tmp_path / "new" / "map.png")
    (drawn,) = figure
    assert "it; large" in drawn.get_suptitle() and "each of 3 contexts" in drawn.get_suptitle().replace("\n", " ")
    panels = drawn.axes
    assert [axes.get_title().splitlines() for axes in panels] == [
        ["untrained", "mean |cosine| of contexts 0.00, classes kept 50%"],
        ["fitted by the content loss alone", "mean |cosine| of contexts 0.25, classes kept 50%"],
        ["fitted by both losses", "mean |cosine| of contexts 0.50, classes kept 50%"],
    ]
    for number, axes in enumerate(panels):
        small_sad, large_sad, small_glad, large_glad = (np.asarray(each.get_offsets()) for each in axes.collections)
        assert small_sad.shape == small_glad.shape == (3, 2) and large_sad.shape == large_glad.shape == (1, 2)
        # Distances are those of the embeddings, whichever way the axes turn.
        assert np.linalg.norm(large_sad - large_glad) == pytest.approx(68**0.5)
        assert np.linalg.norm(small_sad - large_sad, axis=1) == pytest.approx(0.1 * number)
        assert np.linalg.norm(small_glad - large_sad, axis=1) == pytest.approx(np.hypot(8 + 0.1 * number, 2))
    assert panels[0].get_ylim() == panels[2].get_ylim()
    assert [text.get_text() for text in panels[2].get_legend().get_texts()] == ["sad", "glad"]


def test_a_single_context_has_no_similarity(stages, figure, tmp_path):
    stages.measures[RANDOM_CONTEXTS.name]["similarity"] = None
    draw_contexts(stages, ["sad", "glad"], "it", tmp_path / "map.png")
    assert figure[0].axes[0].get_title() == "untrained\nclasses kept 50%"


def test_each_checkpoint_has_a_map():
    assert (contexts_picture(), contexts_picture("emodb")) == ("pictures/contexts.png", "pictures/contexts-emodb.png")


def test_figures_by_condition(figure, tmp_path):
    def entry(condition, shift):
        found = [{"value": shift + n / 100, "sd": None if n == 0 else 0.02} for n in range(len(METHODS))]
        methods = [{"method": method.name, "figures": {"uar": uar}} for method, uar in zip(METHODS, found, strict=True)]
        return {"corpus": "one", "condition": condition, "methods": methods}

    results = {
        "generalisation": [entry("clean", 0.6), entry("noise", 0.4), entry("clean", 0) | {"corpus": "two"}],
        "methods": [{"name": method.name, "title": method.title} for method in METHODS],
        "corpora": [{"name": "one", "title": "The One"}],
        "conditions": [{"name": "clean", "title": "as recorded"}, {"name": "noise", "title": "in noise"}],
        "chance": 0.25,
    }
    draw_conditions(results, "one", tmp_path / "conditions.png")
    (axes,) = figure[0].axes
    assert figure[0].get_suptitle() == "Leave one corpus out, UAR on The One"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["as recorded", "in noise"]
    handles, labels = axes.get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True))
    assert shown["guessing"].get_xdata() == [0.25, 0.25]
    for name in BY_CONDITION:
        place = [method.name for method in METHODS].index(name)
        values, rows = shown[METHODS[place].title].lines[0].get_data()
        assert values == pytest.approx([0.6 + place / 100, 0.4 + place / 100])
        assert rows == pytest.approx([rows[0], rows[0] + 1]) and abs(rows[0]) < 0.5
        (bars,) = shown[METHODS[place].title].lines[2]
        widths = [np.ptp(segment[:, 0]) for segment in bars.get_segments()]
        assert widths == pytest.approx([0, 0] if place == 0 else [0.04, 0.04])
    assert axes.yaxis_inverted()  # the first condition on top
