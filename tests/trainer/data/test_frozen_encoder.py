import numpy as np
import pytest
import soundfile as sf
import torch
from transformers import AutoModel

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.data.frozen_encoder import FrozenSpeechEncoder
from tests import tiny


@pytest.fixture
def encoder_folder(tmp_path):
    AutoModel.from_config(tiny.audio_config()).save_pretrained(tmp_path / "encoder")
    return str(tmp_path / "encoder")


def test_features_are_the_masked_mean_of_the_last_hidden_states(encoder_folder):
    clips = tiny.clips(0.3, 0.2)
    features = FrozenSpeechEncoder(encoder_folder)(clips)
    encoder = AutoModel.from_pretrained(encoder_folder).eval()
    for clip, feature in zip(clips, features, strict=True):
        with torch.no_grad():
            expected = encoder(torch.from_numpy(clip)[None]).last_hidden_state.mean(dim=1)[0]
        np.testing.assert_allclose(feature, expected, atol=1e-5)


def test_cached_equals_live(tmp_path, encoder_folder):
    """A model fed the frozen encoder's features gives what it gives fed the audio files."""
    tower = AutoModel.from_config(tiny.text_config())
    tower.save_pretrained(tmp_path / "text")
    tiny.tokenizer().save_pretrained(tmp_path / "text")
    towers = (encoder_folder, str(tmp_path / "text"))
    model = SmoothCLAPModel.from_audio_text_pretrained(*towers, projection_dim=16)
    processor = SmoothCLAPProcessor.from_audio_text_pretrained(*towers)
    clips = tiny.clips(0.3, 0.2)
    paths = [str(tmp_path / f"{index}.wav") for index in range(2)]
    for path, clip in zip(paths, clips, strict=True):
        sf.write(path, clip, 16000, subtype="FLOAT")

    cached = torch.from_numpy(FrozenSpeechEncoder(encoder_folder).of_files(paths))
    with torch.no_grad():
        live = model.get_audio_features(**processor(audio=clips, sampling_rate=16000, return_tensors="pt"))
        from_cache = model.get_audio_features(pooled_audio=cached)
    torch.testing.assert_close(from_cache.pooler_output, live.pooler_output, atol=1e-5, rtol=0)
