import numpy as np
import pytest
import soundfile as sf
import torch
from datasets import Dataset

from smoothclap_trainer.evaluation.embed import embed_clips, embed_texts, unit_rows
from tests import tiny


@pytest.fixture
def rows(tmp_path):
    clips = tiny.clips(0.4, 0.1, 0.3, 0.2, 0.25)
    paths = [str(tmp_path / f"{index}.wav") for index in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        sf.write(path, clip, 16000, subtype="FLOAT")
    return clips, Dataset.from_dict({"id": [f"clip {index}" for index in range(len(clips))], "path": paths})


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_clips_are_embedded_in_their_order_as_each_alone(tmp_path, rows, family):
    model, extractor = tiny.model(family), tiny.processor(family).feature_extractor
    clips, dataset = rows
    embeds = embed_clips(model, extractor, dataset, tmp_path / "cache")
    assert embeds.shape == (5, 16) and embeds.dtype == np.float32
    for clip, embed in zip(clips, embeds, strict=True):
        with torch.no_grad():
            batch = extractor(clip, sampling_rate=16000, return_tensors="pt")
            alone = model.get_audio_features(**batch).pooler_output[0]
        np.testing.assert_allclose(embed, alone, atol=1e-5)


def test_heads_on_one_tower_share_what_it_said(tmp_path, rows):
    model, other = tiny.model(), tiny.model(seed=1)
    extractor, cache = tiny.processor().feature_extractor, tmp_path / "cache"
    foreign = embed_clips(other, extractor, rows[1], cache)
    other.audio_model.load_state_dict(model.audio_model.state_dict())
    first, second = (embed_clips(each, extractor, rows[1], cache) for each in (model, other))
    assert len(list(cache.iterdir())) == 2
    assert np.abs(first - second).max() > 0.01
    assert np.abs(foreign - second).max() > 0.001


def test_texts_are_embedded_in_their_order_whatever_the_batch():
    model, processor = tiny.model(), tiny.processor()
    texts = ["a low voice", "eine leise, traurige Stimme", "a", "a high voice", "sad"]
    embeds = embed_texts(model, processor, texts, batch_size=2)
    for text, embed in zip(texts, embeds, strict=True):
        with torch.no_grad():
            alone = model.get_text_features(**processor(text=[text], return_tensors="pt")).pooler_output[0]
        np.testing.assert_allclose(embed, alone, atol=1e-6)


def test_unit_rows():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]], dtype=np.float16), "clips")
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, -1]], atol=1e-7)
    assert rows.dtype == np.float32
    with pytest.raises(ValueError, match="2 of 3 rows of clips are not finite"):
        unit_rows(np.array([[np.nan, 0.0], [1.0, 1.0], [np.inf, 0.0]]), "clips")
