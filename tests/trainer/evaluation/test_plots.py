import importlib
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from PIL import Image

from smoothclap_trainer.evaluation import plots as pictures
from smoothclap_trainer.evaluation.metrics import reliability
from smoothclap_trainer.evaluation.plots import (
    check_matplotlib,
    circumplex_picture,
    confusion_picture,
    emotion_map_picture,
    reliability_picture,
    spread,
    wrapped,
)
from smoothclap_trainer.evaluation.valence_arousal import Pair, class_pairs, pair_correlation


LONG = ["intoxicated with alcohol", "not intoxicated with alcohol"]
RELIABILITY = reliability(np.array([[0.65, 0.35], [0.9, 0.1], [0.85, 0.15]]), np.array([0, 0, 1]))
EMOTIONS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "surprised"]
PAIRS = class_pairs(np.random.default_rng(0).normal(size=(7, 6)), EMOTIONS)
CLIPS, TEXTS = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), np.array([[0.5, 0.5], [1.5, 0.2]])
DRAWN = {
    "confusion": lambda path: confusion_picture([[3, 1], [0, 4]], LONG, "Title", path),
    "reliability": lambda path: reliability_picture(RELIABILITY, "Title", path),
    "map": lambda path: emotion_map_picture(CLIPS, TEXTS, (0.5, 0.25), np.array([0, 1, 1]), LONG, "Title", path),
    "circumplex": lambda path: circumplex_picture(PAIRS[:3], PAIRS[3:6], "Title", path),
}


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_is_a_png_whose_bytes_repeat(draw, tmp_path):
    draw(tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):  # a user's own settings
        draw(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.format == "PNG" and min(image.size) > 500
        assert set(image.info) == {"dpi"}  # no version and no date


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_has_its_title(draw, figure, tmp_path):
    draw(tmp_path / "x.png")
    assert figure[0].get_suptitle() == "Title"


def test_confusions_are_written_with_their_share_of_the_row(figure, tmp_path):
    confusion_picture([[3, 1, 0], [0, 1200, 300], [0, 0, 0]], ["sad", *LONG], "Title", tmp_path / "x.png")
    axes = figure[0].axes[0]
    assert words(axes) == [
        "3\n75%", "1\n25%", "0\n0%", "0\n0%", "1,200\n80%", "300\n20%", *["0\nno clips"] * 3,
    ]  # fmt: skip
    places = [text.get_position() for text in axes.texts]
    assert places[:4] == [(0, 0), (1, 0), (2, 0), (0, 1)]  # columns are predicted classes
    assert axes.get_xlabel() == "predicted" and axes.get_ylabel() == "true"
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 0.8, 0.2], [0, 0, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()][1] == "intoxicated with\nalcohol"
    # Dark cells have light words.
    assert [text.get_color() for text in axes.texts[:2]] == ["white", "black"]


def test_names_of_classes_do_not_overlap(figure, tmp_path):
    confusion_picture(np.ones((8, 8), dtype=int), ["pleasant surprise"] * 8, "Title", tmp_path / "x.png")
    axes = figure[0].axes[0]
    labels = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert not any(one.overlaps(other) for one, other in pairwise(labels))
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {40.0}
    confusion_picture(np.ones((2, 2), dtype=int), ["sad", "happy"], "Title", tmp_path / "x.png")
    assert {label.get_rotation() for label in figure[1].axes[0].get_xticklabels()} == {0.0}


def test_long_titles_are_wrapped_into_the_picture(figure, tmp_path):
    confusion_picture(
        [[3, 1], [0, 4]], ["sad", "happy"], f"Confusion\n{'organisation/name-' * 9}\nUAR", tmp_path / "x.png"
    )
    extent = figure[0]._suptitle.get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure[0].bbox.x1
    lines = figure[0].get_suptitle().splitlines()
    assert lines[0] == "Confusion" and lines[-1] == "UAR" and len(lines) > 3


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("two short words", ["two short", "words"]),
        ("user/some-model_name", ["user/some-", "model_name"]),
        ("in user/model@main", ["in user/", "model@main"]),
        ("C:\\models\\speech", ["C:\\models\\", "speech"]),
        ("abcdefghijklmnopqrstuvw", ["abcdefghij", "klmnopqrst", "uvw"]),
        ("a abcdefghijklm", ["a", "abcdefghij", "klm"]),
        ("exactly/10 more", ["exactly/10", "more"]),
        ("", [""]),
    ],
)
def test_lines_break_at_separators(text, lines):
    assert wrapped(text, 10).split("\n") == lines


def test_names_in_titles_break_behind_a_separator(figure, tmp_path):
    name = "organisation/model" * 7
    confusion_picture([[3, 1], [0, 4]], ["sad", "happy"], f"Confusion\n{name}", tmp_path / "x.png")
    lines = figure[0].get_suptitle().splitlines()
    assert "".join(lines[1:]) == name and all(line.endswith("/") for line in lines[1:-1]) and len(lines) > 3


def test_dollars_in_names_are_no_formula(figure, tmp_path):
    confusion_picture([[3, 1], [0, 4]], [r"a $\nonsense$", "b"], r"$HOME/model $\x$", tmp_path / "x.png")
    assert figure[0].get_suptitle() == r"$HOME/model $\x$"


def test_reliability_draws_the_bins_that_have_clips(figure, tmp_path):
    reliability_picture(RELIABILITY, "Title", tmp_path / "x.png")
    upper, lower = figure[0].axes
    assert [(bar.get_x(), bar.get_height()) for bar in upper.patches] == [(0.6, 1.0), (0.8, 0.5)]
    assert [bar.get_height() for bar in lower.patches] == [1, 2] and words(lower) == ["1", "2"]
    np.testing.assert_allclose(upper.collections[-1].get_offsets(), [[0.65, 1], [0.875, 0.5]])
    # (0.35 + 2 * 0.375) / 3
    assert upper.get_title() == "expected calibration error 0.367"


def large_marks(axes: Axes) -> tuple[list, list]:
    """Faces and outlines of texts."""
    large = [each for each in axes.collections if each.get_sizes()[0] > 100]
    return [each for each in large if len(each.get_facecolor())], [
        each for each in large if not len(each.get_facecolor())
    ]


def test_texts_of_a_map_that_fall_together_all_show(figure, tmp_path):
    places = np.zeros((8, 2))
    emotion_map_picture(places, places, (1, 0), np.arange(8), [str(i) for i in range(8)], "Title", tmp_path / "x.png")
    faces, outlines = large_marks(figure[0].axes[0])
    assert len(faces) == len(outlines) == 8
    sizes = [each.get_sizes()[0] for each in faces]
    assert all(one > other for one, other in pairwise(sizes))  # drawn in this order, the larger first
    assert all(each.get_facecolor()[0, 3] < 1 for each in faces)
    assert min(each.get_zorder() for each in outlines) > max(each.get_zorder() for each in faces)
    shapes = {each.get_paths()[0].vertices.tobytes() for each in outlines}
    assert len(shapes) == 8 and {tuple(each.get_edgecolor()[0]) for each in outlines} == {(0, 0, 0, 1)}


def test_no_colour_is_too_faint_on_white():
    """At least 1.6 to 1 by the formula of the WCAG, as pale sand on white was not."""

    def luminance(colour: str) -> float:
        channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    assert 1.05 / (luminance("#DDCC77") + 0.05) < 1.65
    assert min(1.05 / (luminance(colour) + 0.05) for colour in pictures.COLOURS) > 1.65


def test_a_map_has_small_clips_and_large_texts_of_the_same_look(figure, tmp_path):
    DRAWN["map"](tmp_path / "x.png")
    axes = figure[0].axes[0]
    (large, _), small = large_marks(axes), [each for each in axes.collections if each.get_sizes()[0] < 100]
    assert [each.get_offsets().tolist() for each in large] == [[[0.5, 0.5]], [[1.5, 0.2]]]
    assert [sorted(each.get_offsets().tolist()) for each in small] == [[[0, 0]], [[1, 1], [2, 0]]]
    for one, other in zip(large, small, strict=True):
        assert (one.get_facecolor()[0, :3] == other.get_facecolor()[0, :3]).all()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "intoxicated with\nalcohol", "not intoxicated\nwith alcohol",
    ]  # fmt: skip
    assert "small: 3 clips;" in axes.get_title() and "centred by their own mean" in axes.get_title()
    assert axes.get_xlabel() == "first axis, 50% of the variance"


def test_a_map_of_many_clips_draws_some_and_says_so(figure, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_POINTS", 40)
    monkeypatch.setattr(pictures, "LAYER", 15)
    clips = np.random.default_rng(0).normal(size=(1200, 2))
    emotion_map_picture(clips, TEXTS, (0.5, 0.25), np.arange(1200) % 2, LONG, "Title", tmp_path / "x.png")
    axes = figure[0].axes[0]
    drawn = np.concatenate([each.get_offsets() for each in axes.collections if each.get_sizes()[0] < 100])
    assert len(drawn) == len({tuple(place) for place in drawn}) == 40
    assert {tuple(place) for place in drawn} < {tuple(place) for place in clips}
    assert "small: 40 of 1,200 clips, drawn;" in axes.get_title()
    # Layers of both classes, one above the other, and all below the texts.
    orders = [(each.get_zorder(), each.get_sizes()[0]) for each in axes.collections]
    assert len({order for order, size in orders if size < 100}) == 3
    assert max(order for order, size in orders if size < 100) < min(order for order, size in orders if size > 100)


def test_as_many_classes_as_there_are_looks_look_different(figure, tmp_path):
    classes = [f"class {label}" for label in range(12)]
    places = np.random.default_rng(0).normal(size=(12, 2))
    emotion_map_picture(places, places, (0.5, 0.25), np.arange(12), classes, "Title", tmp_path / "x.png")
    large, _ = large_marks(figure[0].axes[0])
    looks = {(each.get_paths()[0].vertices.tobytes(), each.get_facecolor().tobytes()) for each in large}
    assert len(looks) == 12


def test_similarities_stand_against_distances_each_with_its_name(figure, tmp_path):
    far = [pair._replace(distance=1.0) for pair in PAIRS]
    circumplex_picture(PAIRS, far[:6], "Title", tmp_path / "x.png")
    texts, clips = figure[0].axes
    assert sorted(words(texts)) == sorted(f"{pair.first} – {pair.second}" for pair in PAIRS)
    np.testing.assert_allclose(texts.collections[0].get_offsets(), [(pair.distance, pair.cosine) for pair in PAIRS])
    for note in texts.texts:
        pair = next(pair for pair in PAIRS if note.get_text() == f"{pair.first} – {pair.second}")
        assert note.xy == (pair.distance, pair.cosine)
    # An annotation's own extent would have its line in it.
    extents = sorted((Text.get_window_extent(note) for note in texts.texts), key=lambda box: box.y0)
    assert len(extents) == 21
    assert not any(one.overlaps(other) for one, other in pairwise(extents))
    assert texts.get_title().startswith("texts: Spearman's ρ = ") and texts.get_title().endswith(", 21 pairs")
    assert clips.get_title() == "centres of clips: Spearman's ρ = undefined, 6 pairs"


def test_of_too_few_pairs_no_correlation_is_shown(figure, tmp_path):
    circumplex_picture(PAIRS[5:11], PAIRS[5:10], "Title", tmp_path / "x.png")
    texts, clips = figure[0].axes
    assert texts.get_title() == f"texts: Spearman's ρ = {pair_correlation(PAIRS[5:11]):.2f}, 6 pairs"
    assert clips.get_title() == "centres of clips: too few pairs to mean anything (5)"


def test_labels_move_apart_no_more_than_they_must():
    assert spread(np.array([0.1, 0.5]), 0.2).tolist() == [0.1, 0.5]
    np.testing.assert_allclose(spread(np.array([0.5, 0.5, 0.5]), 0.2), [0.3, 0.5, 0.7])
    np.testing.assert_allclose(spread(np.array([0.0, 0.0]), 0.2), [0, 0.2])
    np.testing.assert_allclose(spread(np.full(6, 0.9), 0.2), [0, 0.2, 0.4, 0.6, 0.8, 1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        placed = spread(np.sort(rng.uniform(size=18)), 0.05)
        assert (np.diff(placed) >= 0.05 - 1e-9).all() and placed[0] >= 0 and placed[-1] <= 1 + 1e-9


def test_what_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(ValueError, match=r"shape \(2, 2\), but there are 3 classes"):
        confusion_picture([[1, 0], [0, 1]], ["a", "b", "c"], "Title", path)
    with pytest.raises(ValueError, match="3 places for 2 clips and 2 for 2 classes; give one for each"):
        emotion_map_picture(CLIPS, TEXTS, (0.5, 0.5), np.array([0, 1]), LONG, "Title", path)
    with pytest.raises(ValueError, match="3 places for 3 clips and 2 for 1 classes"):
        emotion_map_picture(CLIPS, TEXTS, (0.5, 0.5), np.array([0, 0, 0]), LONG[:1], "Title", path)
    with pytest.raises(ValueError, match="1 pairs of texts and 0 of clips"):
        circumplex_picture([Pair("happy", "sad", 1.9, 0.1)], [], "Title", path)
    assert not path.exists()


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'smoothclap\[plots\]'"):
        check_matplotlib()
    with pytest.raises(ImportError, match="Pictures need matplotlib"):
        DRAWN["confusion"](tmp_path / "x.png")


def test_matplotlibs_global_state_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # an import of it would fail
    before = dict(matplotlib.rcParams.copy())
    DRAWN["confusion"](tmp_path / "x.png")
    assert dict(matplotlib.rcParams.copy()) == before


def test_matplotlib_is_imported_only_to_draw(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    importlib.reload(pictures)
