import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from comparison.graded import graded_correlations
from comparison.scores import chance_recall, score_checkpoint
from transformers.audio_utils import load_audio

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.data.captions import full_caption, row_levels
from smoothclap_trainer.data.captions.thresholds import Thresholds
from smoothclap_trainer.evaluation.metrics import recall_at_k
from tests.examples.recipes import comparison_data


@pytest.fixture
def sets(tmp_path):
    folder = tmp_path / "data"
    english = comparison_data.expressive(folder, "made-en", "en", 18)
    german = comparison_data.expressive(folder, "made-de", "de", 12, seed=100)
    speech = comparison_data.clips(folder, "real", "cs", 12, seed=200)
    # Two clips of all the same functionals, and so of one caption.
    speech.iloc[1, speech.columns.get_loc("duration") :] = speech.iloc[0, speech.columns.get_loc("duration") :]
    return [
        rows.assign(path=[str(folder / path) for path in rows["path"]])
        for rows in (pd.concat([english, german], ignore_index=True), speech)
    ]


def live(model, processor, rows):
    """Embeddings, one clip at a time."""
    found = []
    for path in rows["path"]:
        batch = processor(audio=load_audio(path, sampling_rate=16000), sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            found.append(model.get_audio_features(**batch).pooler_output[0].numpy())
    return np.stack(found)


def test_scores_are_the_figures_of_their_definitions(tmp_path, sets):
    expressive, speech = sets
    folder = comparison_data.checkpoint(tmp_path / "model")
    own = Thresholds.fit(pd.concat([speech, expressive[speech.columns.intersection(expressive.columns)]]))
    scores = score_checkpoint(folder, expressive, speech, own, tmp_path / "cache")

    model, processor = SmoothCLAPModel.from_pretrained(folder), SmoothCLAPProcessor.from_pretrained(folder)
    embeds = live(model, processor, expressive)
    classes = SmoothCLAPEncoder(model, processor).encode_text(["a happy voice", "a neutral voice", "a sad voice"])
    chosen = np.array(["happy", "neutral", "sad"])[(embeds @ classes.T).argmax(axis=1)]
    for language in ("en", "de"):
        recalls = [
            np.mean(chosen[(expressive["label"] == label) & (expressive["language"] == language)] == label)
            for label in comparison_data.EMOTIONS
        ]
        assert scores[f"uar_{language}"] == pytest.approx(np.mean(recalls))
    assert {name: scores[name] for name in ("intensity", "egemaps", "valence_arousal")} == pytest.approx(
        graded_correlations(embeds, expressive), abs=1e-3
    )

    thresholds = Thresholds.load(folder / "thresholds.json")
    captions = [full_caption(row_levels(row, thresholds)) for row in speech.to_dict("records")]
    assert captions[0] == captions[1]
    recalls = recall_at_k(
        live(model, processor, speech),
        SmoothCLAPEncoder(model, processor).encode_text(captions),
        np.array([captions.index(text) for text in captions]),
    )
    assert {name: scores[name] for name in recalls} == recalls
    assert scores["captions"] == len(set(captions))
    assert scores["own_captions"] == len({full_caption(row_levels(row, own)) for row in speech.to_dict("records")})
    assert scores["chance_uar"] == pytest.approx(1 / 3)
    assert 1 / 12 < scores["chance_r@1"] < scores["chance_r@5"] < scores["chance_r@10"] <= 1
    assert scores["train_clips"] == 20


def test_chance_is_the_mean_over_all_orders():
    ids = np.array([4, 4, 9, 2])
    orders = list(itertools.permutations(range(4)))
    found = [ids[query] in ids[list(order[:1])] for query in range(4) for order in orders]
    assert chance_recall(ids) == pytest.approx({1: np.mean(found)})  # the others are more than there are
