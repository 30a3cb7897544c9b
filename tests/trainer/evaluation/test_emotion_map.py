import numpy as np
import pytest
from sklearn.decomposition import PCA

from smoothclap_trainer.evaluation.embed import unit_rows
from smoothclap_trainer.evaluation.plots import project


def cones(clips: int = 60, classes: int = 5, width: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Clips and texts in cones far apart."""
    rng = np.random.default_rng(0)
    away = np.eye(width)[0] * 8
    return rng.normal(size=(clips, width)) + away, rng.normal(size=(classes, width)) - away


def test_axes_and_shares_are_scikit_learns():
    audio, texts = cones()
    parts = [unit_rows(each, "x") - unit_rows(each, "x").mean(axis=0) for each in (audio, texts)]
    pca = PCA(n_components=2).fit(np.concatenate(parts))
    found_clips, found_texts, shares = project(audio, texts)
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, rtol=1e-9)
    for found, part in zip((found_clips, found_texts), parts, strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(pca.transform(part)), atol=1e-9)
    assert found_clips.shape == (60, 2) and found_texts.shape == (5, 2)


def test_the_gap_between_clips_and_texts_is_not_in_the_map():
    clips, texts, _ = project(*cones())
    np.testing.assert_allclose(clips.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(texts.mean(axis=0), 0, atol=1e-12)


def test_signs_are_settled():
    audio, texts = cones()
    clips, places, _ = project(audio, texts)
    again, _, _ = project(audio[::-1], texts)
    np.testing.assert_allclose(again[::-1], clips, atol=1e-12)
    # Along the first axis the largest entry is positive: moving a clip along that coordinate moves its place forwards.
    parts = [unit_rows(each, "x") - unit_rows(each, "x").mean(axis=0) for each in (audio, texts)]
    axes = np.linalg.lstsq(np.concatenate(parts), np.concatenate([clips, places]), rcond=None)[0]
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in axes.T)


def test_lengths_do_not_count_and_equal_embeddings_have_no_variance():
    audio, texts = cones()
    np.testing.assert_allclose(project(audio * 3, texts)[0], project(audio, texts)[0], atol=1e-12)
    clips, places, shares = project(np.ones((3, 2)), np.ones((2, 2)))
    assert not clips.any() and not places.any() and shares == (0, 0)


@pytest.mark.parametrize(
    ("audio", "texts", "message"),
    [
        (np.ones((3, 4)), np.ones((2, 5)), r"shape \(3, 4\) and classes \(2, 5\); a map needs"),
        (np.ones((3, 1)), np.ones((2, 1)), "one width, 2 or more"),
        (np.ones(3), np.ones(3), r"shape \(3,\)"),
        (np.ones((0, 2)), np.ones((2, 2)), "0 clips and 2 classes"),
        (np.ones((2, 2)), np.ones((0, 2)), "2 clips and 0 classes"),
        (np.full((1, 2), np.inf), np.ones((1, 2)), "1 of 1 rows of audio_embeds are not finite"),
        (np.ones((1, 2)), np.full((1, 2), np.nan), "1 of 1 rows of class_embeds are not finite"),
    ],
)
def test_what_has_no_map_is_refused(audio, texts, message):
    with pytest.raises(ValueError, match=message):
        project(audio, texts)
