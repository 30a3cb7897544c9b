import itertools

import numpy as np
import pytest

from smoothclap_trainer.evaluation import metrics as retrieval
from smoothclap_trainer.evaluation.metrics import chance_recall, recall_at_k


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_ranks_worked_out_by_hand():
    # Angles from clip 0 to the texts are 10, 100, 60; from clip 1 40, 50, 10; from clip 2 170, 80, 120.
    audio, text = on_circle(0, 50, 180), on_circle(10, 100, 60)
    recalls = recall_at_k(audio, text, np.arange(3), ks=(1, 2, 3))
    assert recalls == pytest.approx(
        {
            "audio_to_text_r@1": 1 / 3,
            "audio_to_text_r@2": 2 / 3,
            "audio_to_text_r@3": 1,
            # Read downwards: 10, 40, 170; 100, 50, 80; 60, 10, 120.
            "text_to_audio_r@1": 2 / 3,
            "text_to_audio_r@2": 2 / 3,
            "text_to_audio_r@3": 1,
        }
    )


def test_clips_with_the_same_caption_are_hits():
    audio, text = on_circle(0, 90), on_circle(90, 0)  # each clip lies on the other's text
    assert recall_at_k(audio, text, np.array([0, 1]), ks=(1,)) == {"audio_to_text_r@1": 0.0, "text_to_audio_r@1": 0.0}
    assert recall_at_k(audio, text, np.array([7, 7]), ks=(1,)) == {"audio_to_text_r@1": 1.0, "text_to_audio_r@1": 1.0}


def test_ties_count_against_the_model():
    same = np.random.default_rng(0).normal(size=(1, 48)).astype(np.float32).repeat(37, axis=0)
    recalls = recall_at_k(same, same, np.arange(37), ks=(1, 36, 37))
    assert list(recalls.values()) == [0.0, 0.0, 1.0] * 2


def test_ties_are_ties_within_rounding():
    for degrees, found in ((0.01, 0.0), (1.0, 1.0)):  # cosines that differ by 1.5e-8 and by 1.5e-4
        recalls = recall_at_k(on_circle(0, 180), on_circle(0, degrees), np.arange(2), ks=(1,))
        assert recalls["audio_to_text_r@1"] == found


def test_blocks_do_not_show_and_it_is_what_sorting_gives(monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK_ROWS", 7)
    rng = np.random.default_rng(0)
    audio, text, ids = rng.normal(size=(30, 4)), rng.normal(size=(30, 4)), rng.integers(12, size=30)
    cosines = (audio / np.linalg.norm(audio, axis=1)[:, None]) @ (text / np.linalg.norm(text, axis=1)[:, None]).T
    recalls = recall_at_k(audio, text, ids)
    for k in (1, 5, 10):
        for name, scores in (("audio_to_text", cosines), ("text_to_audio", cosines.T)):
            found = [ids[row] in ids[np.argsort(-scores[row])[:k]] for row in range(30)]
            assert recalls[f"{name}_r@{k}"] == pytest.approx(np.mean(found))


def test_k_beyond_the_set_is_dropped():
    assert list(recall_at_k(np.eye(3), np.eye(3), np.arange(3))) == ["audio_to_text_r@1", "text_to_audio_r@1"]
    assert list(chance_recall(np.arange(3))) == [1]


def test_chance_is_the_mean_over_all_orders():
    ids = np.array([4, 4, 9, 2])
    for k in (1, 2, 3):
        orders = list(itertools.permutations(range(4)))
        found = [ids[query] in ids[list(order[:k])] for query in range(4) for order in orders]
        assert chance_recall(ids, (k,)) == pytest.approx({k: np.mean(found)})


def test_faulty_input_is_named():
    with pytest.raises(ValueError, match="3 clips, 2 texts and 3 caption ids"):
        recall_at_k(np.eye(3), np.eye(3)[:2], np.arange(3))
    with pytest.raises(ValueError, match="0 clips"):
        recall_at_k(np.ones((0, 2)), np.ones((0, 2)), np.arange(0))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        recall_at_k(np.eye(3), np.eye(3), np.arange(3), ks=(1, 0))
    with pytest.raises(ValueError, match="1 of 3 rows of text_embeds are not finite"):
        recall_at_k(np.eye(3), np.diag([1.0, 1.0, np.inf]), np.arange(3))
