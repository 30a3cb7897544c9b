import json

import numpy as np
import pytest
import torch
from transformers import AutoModel

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.data.cache import FrozenSpeechEncoder
from tests import tiny
from tests.clean_process import run_python


@pytest.fixture
def encoder_folder(tmp_path):
    AutoModel.from_config(tiny.audio_config()).save_pretrained(tmp_path / "encoder")
    return str(tmp_path / "encoder")


def of_model(model, **changes):
    extractor = SmoothCLAPFeatureExtractor.from_audio_config(model.config.audio_config, **changes)
    return FrozenSpeechEncoder.from_model(model, extractor)


def test_features_are_the_masked_mean_of_the_last_hidden_states(encoder_folder):
    clips = tiny.clips(0.3, 0.2)
    features = FrozenSpeechEncoder(encoder_folder)(clips)
    encoder = AutoModel.from_pretrained(encoder_folder).eval()
    for clip, feature in zip(clips, features, strict=True):
        with torch.no_grad():
            expected = encoder(torch.from_numpy(clip)[None]).last_hidden_state.mean(dim=1)[0]
        np.testing.assert_allclose(feature, expected, atol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("family", tiny.AUDIO_FAMILIES)
def test_a_models_tower_gives_what_the_model_gives(family, normalize):
    """One at a time bit for bit, in a batch to 1e-5."""
    model = tiny.model(family)
    encoder = of_model(model, do_normalize=normalize)
    clips = tiny.clips(0.3, 0.1, 0.2)
    alone, batched = encoder(clips, batch_size=1), encoder(clips)
    for index, clip in enumerate(clips):
        inputs = encoder.extractor([clip], sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            live = model.get_audio_features(**inputs).pooler_output
            cached = model.get_audio_features(pooled_audio=torch.from_numpy(alone[[index]])).pooler_output
        assert torch.equal(cached, live)
    np.testing.assert_allclose(batched, alone, atol=1e-5)


def test_the_models_weights_are_not_copied():
    model = tiny.model()
    assert of_model(model).tower is model.audio_model
    assert all(parameter.requires_grad for parameter in model.audio_projection.parameters())


@pytest.mark.parametrize(
    ("preprocessor", "normalize", "expected"),
    [
        (None, None, False),
        ({}, None, False),
        ({"do_normalize": False}, None, False),
        ({"do_normalize": True}, None, True),
        ({"do_normalize": True}, False, False),
        (None, True, True),
    ],
)
def test_waveforms_are_normalised_where_the_encoder_was_pretrained_so(
    tmp_path, encoder_folder, preprocessor, normalize, expected
):
    if preprocessor is not None:
        (tmp_path / "encoder" / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    encoder = FrozenSpeechEncoder(encoder_folder, normalize=normalize)
    (clip,) = tiny.clips(0.3)
    quiet, loud = encoder([clip, 4 * clip + 0.1])
    assert np.allclose(quiet, loud, atol=1e-4) == expected


def test_clips_of_like_length_share_a_batch(monkeypatch):
    encoder, shapes = of_model(tiny.model()), []
    extractor = encoder.extractor

    class Spy:
        def __getattr__(self, name):
            return getattr(extractor, name)

        def __call__(self, clips, **kwargs):
            shapes.append([len(clip) for clip in clips])
            return extractor(clips, **kwargs)

    encoder.extractor = Spy()
    clips = tiny.clips(0.2, 0.1, 0.3, 0.11, 0.21)
    features = encoder(clips, batch_size=2)
    assert shapes == [[1600, 1760], [3200, 3360], [4800]]
    np.testing.assert_allclose(features, [encoder([clip])[0] for clip in clips], atol=1e-5)


def test_a_tower_that_padding_disturbs_gets_one_length_at_a_time(logs):
    model = tiny.model(audio_config=tiny.audio_config(feat_extract_norm="group"))
    encoder = of_model(model)
    clips = tiny.clips(0.2, 0.1, 0.2, 0.3)
    features = encoder(clips)
    np.testing.assert_allclose(features, encoder(clips, batch_size=1), atol=1e-5)
    assert not [record for record in logs.records if "group" in record.message]


def test_the_fingerprint_is_the_same_wherever_the_encoder_came_from(tmp_path, encoder_folder):
    AutoModel.from_config(tiny.text_config()).save_pretrained(tmp_path / "text")
    tiny.tokenizer().save_pretrained(tmp_path / "text")
    towers = (encoder_folder, str(tmp_path / "text"))
    model = SmoothCLAPModel.from_audio_text_pretrained(*towers, projection_dim=16)
    processor = SmoothCLAPProcessor.from_audio_text_pretrained(*towers)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    loaded = SmoothCLAPModel.from_pretrained(tmp_path / "model")
    extractor = SmoothCLAPProcessor.from_pretrained(tmp_path / "model").feature_extractor
    fingerprint = FrozenSpeechEncoder(encoder_folder).fingerprint
    assert FrozenSpeechEncoder.from_model(model, processor.feature_extractor).fingerprint == fingerprint
    assert FrozenSpeechEncoder.from_model(loaded, extractor).fingerprint == fingerprint
    code = "import sys\nfrom smoothclap_trainer.data.cache import FrozenSpeechEncoder\n"
    printed = run_python(["-c", code + "print(FrozenSpeechEncoder(sys.argv[1]).fingerprint)", encoder_folder], tmp_path)
    assert printed.split()[-1] == fingerprint


def test_the_fingerprint_tells_weights_configuration_and_extractor_apart():
    def changed_weight():
        model = tiny.model()
        with torch.no_grad():
            model.audio_model.encoder.layers[1].final_layer_norm.bias[3] += 1e-3
        return of_model(model)

    encoders = [
        of_model(tiny.model()),
        changed_weight(),
        of_model(tiny.model(audio_config=tiny.audio_config(layer_norm_eps=1e-4))),
        of_model(tiny.model(), do_normalize=True),
        of_model(tiny.model().bfloat16()),
    ]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)
    assert of_model(tiny.model(projection_dim=8, seed=0)).fingerprint == encoders[0].fingerprint  # no part of the tower
    noisy = tiny.audio_config(layerdrop=0.1, apply_spec_augment=True)  # in training alone
    assert of_model(tiny.model(audio_config=noisy)).fingerprint == encoders[0].fingerprint


def test_the_towers_type_is_kept_and_features_are_float32():
    features = of_model(tiny.model().bfloat16())(tiny.clips(0.1))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, of_model(tiny.model())(tiny.clips(0.1)), atol=0.05)


def test_a_tower_in_training_mode_is_refused():
    model = tiny.model()
    encoder = of_model(model)
    model.train()
    with pytest.raises(ValueError, match=r"in training mode.*model\.eval\(\)"):
        encoder(tiny.clips(0.1))


def test_an_extractor_of_another_kind_is_refused():
    extractor = tiny.processor("whisper").feature_extractor
    with pytest.raises(ValueError, match="gives `input_features`, but the model's audio tower takes `input_values`"):
        FrozenSpeechEncoder.from_model(tiny.model(), extractor)
