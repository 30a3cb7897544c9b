import importlib
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image
from sklearn.decomposition import PCA

from modeling_smoothclap.scores_smoothclap import unit_rows
from smoothclap_trainer import plotting
from smoothclap_trainer.evaluation import plots
from smoothclap_trainer.evaluation.metrics import reliability
from smoothclap_trainer.evaluation.plots import (
    circumplex_plot,
    confusion_plot,
    emotion_map_plot,
    file_stems,
    project,
    reliability_plot,
)
from smoothclap_trainer.evaluation.valence_arousal import class_pairs
from smoothclap_trainer.plotting import check_matplotlib, spread, wrapped


LONG = ["intoxicated with alcohol", "not intoxicated with alcohol"]
RELIABILITY = reliability(np.array([[0.65, 0.35], [0.9, 0.1], [0.85, 0.15]]), np.array([0, 0, 1]))
EMOTIONS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "surprised"]
PAIRS = class_pairs(np.random.default_rng(0).normal(size=(7, 6)), EMOTIONS)
CLIPS, TEXTS = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), np.array([[0.5, 0.5], [1.5, 0.2]])
DRAWN = {
    "confusion": lambda path: confusion_plot([[3, 1], [0, 4]], LONG, "Title", path),
    "reliability": lambda path: reliability_plot(RELIABILITY, "Title", path),
    "map": lambda path: emotion_map_plot(CLIPS, TEXTS, (0.5, 0.25), np.array([0, 1, 1]), LONG, "Title", path),
    "circumplex": lambda path: circumplex_plot(PAIRS[:3], PAIRS[3:6], "Title", path),
}


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    monkeypatch.setattr(plotting, "DOTS_PER_INCH", 30)  # which takes less time


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_plot_is_a_png_whose_bytes_repeat(draw, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # an import of it would fail
    before = dict(matplotlib.rcParams.copy())
    draw(tmp_path / "one.png")
    assert dict(matplotlib.rcParams.copy()) == before
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):  # a user's own settings
        draw(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.format == "PNG"
        assert set(image.info) == {"dpi"}  # no version and no date


def test_confusions_are_written_with_their_share_of_the_row(figure, tmp_path):
    confusion_plot([[3, 1, 0], [0, 1200, 300], [0, 0, 0]], ["sad", *LONG], r"$HOME/model $\x$", tmp_path / "x.png")
    axes = figure[0].axes[0]
    assert words(axes) == ["3\n75%", "1\n25%", "0\n0%", "0\n0%", "1,200\n80%", "300\n20%"]  # no clips: an empty row
    assert [text.get_position() for text in axes.texts[:4]] == [(0, 0), (1, 0), (2, 0), (0, 1)]  # columns: predicted
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 0.8, 0.2], [np.nan] * 3])
    assert ["no clips" in label.get_text() for label in axes.get_yticklabels()] == [False, False, True]
    assert figure[0].get_suptitle() == r"$HOME/model $\x$"  # dollars are not a formula


def test_a_map_of_many_clips_draws_some_in_layers(figure, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "MAX_POINTS", 40)
    monkeypatch.setattr(plots, "LAYER", 15)
    clips = np.random.default_rng(0).normal(size=(1200, 2))
    emotion_map_plot(clips, TEXTS, (0.5, 0.25), np.arange(1200) % 2, LONG, "Title", tmp_path / "x.png")
    collections = figure[0].axes[0].collections
    drawn = np.concatenate([each.get_offsets() for each in collections if each.get_sizes()[0] < 100])
    assert len(drawn) == len({tuple(place) for place in drawn}) == 40
    assert {tuple(place) for place in drawn} < {tuple(place) for place in clips}
    orders = [(each.get_zorder(), each.get_sizes()[0]) for each in collections]
    assert len({order for order, size in orders if size < 100}) == 3
    assert max(order for order, size in orders if size < 100) < min(order for order, size in orders if size > 100)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("two short words", ["two short", "words"]),
        ("user/some-model_name", ["user/some-", "model_name"]),
        ("in user/model@main", ["in user/", "model@main"]),
        ("C:\\models\\speech", ["C:\\models\\", "speech"]),
        ("abcdefghijklmnopqrstuvw", ["abcdefghij", "klmnopqrst", "uvw"]),
        ("exactly/10 more", ["exactly/10", "more"]),
        ("", [""]),
    ],
)
def test_lines_break_at_separators(text, lines):
    assert wrapped(text, 10).split("\n") == lines


def test_labels_move_apart_only_as_far_as_they_must():
    assert spread(np.array([0.1, 0.5]), 0.2).tolist() == [0.1, 0.5]
    np.testing.assert_allclose(spread(np.array([0.5, 0.5, 0.5]), 0.2), [0.3, 0.5, 0.7])
    np.testing.assert_allclose(spread(np.full(6, 0.9), 0.2), [0, 0.2, 0.4, 0.6, 0.8, 1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        placed = spread(np.sort(rng.uniform(size=18)), 0.05)
        assert (np.diff(placed) >= 0.05 - 1e-9).all() and placed[0] >= 0 and placed[-1] <= 1 + 1e-9


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    importlib.reload(plots)  # which needs it only to draw
    with pytest.raises(ImportError, match=r"smoothclap\[plots\]"):
        check_matplotlib()
    with pytest.raises(ImportError, match=r"smoothclap\[plots\]"):
        DRAWN["confusion"](tmp_path / "x.png")


@pytest.mark.parametrize(
    ("pairs", "stems"),
    [
        ([("iemocap-4", "user/name")], ["iemocap-4-user-name"]),
        ([("t", "/a/b"), ("t", "a/b"), ("t", "A-b")], ["t-a-b", "t-a-b-2", "t-A-b-3"]),
        ([("t", "../../etc"), ("t", "C:\\x y?*.pt")], ["t-etc", "t-C-x-y-.pt"]),
        ([("Ärger", "日本"), ("日本", "語")], ["rger", "task"]),
        ([("t", "a-2"), ("t", "a"), ("t", "a/")], ["t-a-2", "t-a", "t-a-3"]),
        ([("t", "x" * 5000)], [f"t-{'x' * 118}"]),
    ],
)
def test_names_of_files_are_safe_and_differ(pairs, stems):
    assert list(file_stems(pairs).items()) == list(zip(pairs, stems, strict=True))


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
    np.testing.assert_allclose(found_clips.mean(axis=0), 0, atol=1e-12)  # so the gap is not in the map
    np.testing.assert_allclose(found_texts.mean(axis=0), 0, atol=1e-12)
    for found, part in zip((found_clips, found_texts), parts, strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(pca.transform(part)), atol=1e-9)
    assert found_clips.shape == (60, 2) and found_texts.shape == (5, 2)


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


def test_embeddings_that_are_not_finite_have_no_map():
    with pytest.raises(ValueError, match=r"1 of 1 .*class_embeds"):
        project(np.ones((1, 2)), np.full((1, 2), np.nan))


def test_dots_of_reliability_are_inside_the_frame(figure, tmp_path):
    sure = reliability(np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]]), np.array([0, 0, 1]))
    reliability_plot(sure, "Title", tmp_path / "x.png")
    axes = figure[0].axes[0]
    [dots] = axes.collections[1:]
    assert dots.get_offsets().tolist() == [[0.5, 0.0], [1.0, 1.0]]
    for (low, high), values in zip((axes.get_xlim(), axes.get_ylim()), dots.get_offsets().T, strict=True):
        assert low < values.min() and values.max() < high


def test_texts_of_a_map_have_one_size(figure, tmp_path):
    DRAWN["map"](tmp_path / "x.png")
    assert len({each.get_sizes()[0] for each in figure[0].axes[0].collections if each.get_sizes()[0] > 100}) == 1
