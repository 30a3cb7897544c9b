"""The map of contexts: every mark where its embedding is."""

import numpy as np
import pytest
import torch

from smoothclap_trainer.clep_dg.methods import Contexts, TextStages
from smoothclap_trainer.clep_dg.plots import MAPPED, contexts_plot, draw_contexts
from smoothclap_trainer.clep_dg.results import TextMeasures


@pytest.mark.parametrize("similarity", [0.25, None])
def test_distances_are_those_of_the_embeddings(similarity, figure, tmp_path):
    # On a plane, spread along the first coordinate most, so that the plot is a turn and a shift of it.
    content = torch.tensor([[4.0, 1.0], [-4.0, -1.0]])
    kinds: list[Contexts] = [method.contexts for method in MAPPED]
    joint = {kind: content + torch.tensor([[0.1 * n, 0.0], [-0.1 * n, 0.0]]).expand(3, 2, 2)
             for n, kind in enumerate(kinds)}  # fmt: skip
    measures = {each.name: TextMeasures(0, each.name, similarity, 0.5, None, 1.0) for each in MAPPED}
    draw_contexts(TextStages(content, joint, {}, measures), ["sad", "glad"], "it", tmp_path / "new" / "map.png")
    panels = figure[0].axes
    assert len(panels) == 3
    for number, axes in enumerate(panels):
        small_sad, large_sad, small_glad, large_glad = (np.asarray(each.get_offsets()) for each in axes.collections)
        assert small_sad.shape == small_glad.shape == (3, 2) and large_sad.shape == large_glad.shape == (1, 2)
        assert np.linalg.norm(large_sad - large_glad) == pytest.approx(68**0.5)
        assert np.linalg.norm(small_sad - large_sad, axis=1) == pytest.approx(0.1 * number)
        assert np.linalg.norm(small_glad - large_sad, axis=1) == pytest.approx(np.hypot(8 + 0.1 * number, 2))


def test_each_checkpoint_has_a_map():
    assert (contexts_plot(), contexts_plot("emodb")) == ("pictures/contexts.png", "pictures/contexts-emodb.png")
