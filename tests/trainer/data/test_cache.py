"""What a frozen encoder gives of clips, computed live and taken from the cache."""

import json
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoModel

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.data import cache as frozen_cache
from smoothclap_trainer.data.cache import FrozenSpeechEncoder, add_features, cached_embeddings, cached_features
from smoothclap_trainer.data.clips import Crops
from tests import tiny


SECONDS = (0.3, 0.1, 0.25, 0.2, 0.32, 0.15, 0.28)
CROPS = Crops(seconds=0.12, per_clip=3)


class CountingEncoder(FrozenSpeechEncoder):
    """Counts the clips it encodes; dies, as if killed, before it would encode more than `limit`."""

    encoded, limit = 0, 1000

    def __call__(self, clips, batch_size=8):
        if self.encoded + len(clips) > self.limit:
            raise KeyboardInterrupt
        self.encoded += len(clips)
        return super().__call__(clips, batch_size)


class OneAtATime(FrozenSpeechEncoder):
    def __call__(self, clips, batch_size=1):
        return super().__call__(clips, 1)


def encoder(kind=CountingEncoder, model=None, family="wav2vec2", **changes):
    extractor = tiny.processor(family).feature_extractor
    for name, value in changes.items():
        setattr(extractor, name, value)
    return kind.from_model(tiny.model(family) if model is None else model, extractor)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(frozen_cache, "SHARD_CLIPS", 3)
    monkeypatch.setattr(frozen_cache, "WINDOW_CLIPS", 2)


@pytest.fixture
def rows(tmp_path):
    paths = [str(tmp_path / f"{index}.wav") for index in range(len(SECONDS))]
    for path, clip in zip(paths, tiny.clips(*SECONDS), strict=True):
        soundfile.write(path, clip, 16000, subtype="FLOAT")
    return Dataset.from_dict({"id": [f"clip-{index}" for index in range(len(SECONDS))], "path": paths})


def read(row):
    return soundfile.read(row["path"], dtype="float32")[0]


def array(features):
    return np.stack([row["features"] for row in features])


def files(folder):
    return {path.name for path in folder.rglob("*")}


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_cached_equals_live(tmp_path, rows, family):
    """Crop by crop: to 1e-5 in batches, bit for bit one at a time."""
    model = tiny.model(family)
    batched = cached_features(rows, encoder(model=model, family=family), CROPS, tmp_path / "batched")
    alone = cached_features(rows, encoder(OneAtATime, model, family), CROPS, tmp_path / "alone")
    extractor = tiny.processor(family).feature_extractor
    for index, row in enumerate(rows):
        for number in range(3):
            piece = CROPS.cut(read(row), 16000, row["id"], number)
            with torch.no_grad():
                live = model.get_audio_features(**extractor([piece], sampling_rate=16000, return_tensors="pt"))
                one = model.get_audio_features(pooled_audio=torch.tensor(alone[index]["features"][[number]]))
                other = model.get_audio_features(pooled_audio=torch.tensor(batched[index]["features"][[number]]))
            assert torch.equal(one.pooler_output, live.pooler_output)
            torch.testing.assert_close(other.pooler_output, live.pooler_output, atol=1e-5, rtol=0)


@pytest.mark.parametrize("crops", [None, Crops(seconds=None), Crops(seconds=None, per_clip=4)])
def test_whole_clips(tmp_path, rows, crops):
    one = encoder(OneAtATime)
    features = cached_features(rows, one, crops, tmp_path / "cache")
    assert array(features).shape == (7, 1, 32) and features[0]["features"].dtype == np.float32
    assert {file["filename"] for file in features.cache_files} == set(map(str, (tmp_path / "cache").glob("*.arrow")))
    np.testing.assert_array_equal(array(features)[:, 0], one([read(row) for row in rows]))


def test_the_second_time_nothing_is_computed(tmp_path, rows):
    first, second = encoder(), encoder()
    before = cached_features(rows, first, CROPS, tmp_path / "cache")
    after = cached_features(rows, second, CROPS, tmp_path / "cache")
    np.testing.assert_array_equal(array(before), array(after))
    # Clip 1 is shorter than a crop: it is encoded once, and stands for all its crops.
    assert (first.encoded, second.encoded) == (6 * 3 + 1, 0)
    assert (array(before)[1] == array(before)[1, 0]).all()


def test_a_killed_run_goes_on_where_it_was(tmp_path, rows):
    whole = cached_features(rows, encoder(), None, tmp_path / "whole")
    killed = encoder()
    killed.limit = 5  # in the middle of the second of three files
    with pytest.raises(KeyboardInterrupt):
        cached_features(rows, killed, None, tmp_path / "cache")
    assert len(files(tmp_path / "cache")) == 1
    resumed = encoder()
    features = cached_features(rows, resumed, None, tmp_path / "cache")
    assert resumed.encoded == 7 - 3
    np.testing.assert_array_equal(array(features), array(whole))
    assert files(tmp_path / "cache") == files(tmp_path / "whole")


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:-500] + b"?" + data[-499:]])
def test_a_damaged_file_is_reported_and_computed_again(tmp_path, rows, logs, damage):
    before = array(cached_features(rows, encoder(), None, tmp_path / "cache"))
    shard = sorted((tmp_path / "cache").iterdir())[1]
    held = shard.read_bytes()
    shard.write_bytes(damage(held))
    again = encoder()
    after = cached_features(rows, again, None, tmp_path / "cache")
    np.testing.assert_array_equal(array(after), before)
    assert again.encoded in (1, 3) and shard.read_bytes() == held
    (message,) = [record.getMessage() for record in logs.records if "damaged" in record.getMessage()]
    assert str(shard) in message


def test_several_processes_share_the_work(tmp_path, rows):
    alone = cached_features(rows, encoder(), CROPS, tmp_path / "alone")
    barrier, parts, encoders = Barrier(2), {}, [encoder(), encoder()]

    def process(index):
        parts[index] = cached_features(
            rows, encoders[index], CROPS, tmp_path / "shared", process_index=index, num_processes=2, wait=barrier.wait
        )

    threads = [Thread(target=process, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for index in range(2):
        np.testing.assert_array_equal(array(parts[index]), array(alone))
    # Rows 0-2 and 6 are the first process's, one of them shorter than a crop; rows 3-5 are the second's.
    assert [each.encoded for each in encoders] == [3 + 1 + 3 + 3, 9]


def test_a_share_that_was_not_done_is_named(tmp_path, rows):
    with pytest.raises(ValueError, match=r"2 of 3.*cache'"):
        cached_features(rows, encoder(), CROPS, tmp_path / "cache", 0, 2, wait=lambda: None)


def other_weights():
    return encoder(model=tiny.model(seed=1))


@pytest.mark.parametrize(
    ("make", "crops"),
    [
        (other_weights, CROPS),
        (lambda: encoder(do_normalize=True), CROPS),
        (encoder, Crops(seconds=0.12, per_clip=2)),
        (encoder, Crops(seconds=0.12, per_clip=3, seed=1)),
        (encoder, Crops(seconds=0.11, per_clip=3)),
        (encoder, None),
    ],
)
def test_another_encoder_or_other_crops_are_computed_anew(tmp_path, rows, make, crops):
    before = array(cached_features(rows, encoder(), CROPS, tmp_path / "cache"))
    after = array(cached_features(rows, make(), crops, tmp_path / "cache"))
    assert after.shape != before.shape or not np.allclose(after, before, atol=1e-5)
    assert len(files(tmp_path / "cache")) == 6


def test_changed_audio_is_computed_anew_and_nothing_else(tmp_path, rows):
    before = array(cached_features(rows, encoder(), None, tmp_path / "cache"))
    soundfile.write(rows[4]["path"], tiny.clips(0.32, seed=9)[0], 16000, subtype="FLOAT")
    again = encoder()
    after = array(cached_features(rows, again, None, tmp_path / "cache"))
    assert again.encoded == 3
    assert [index for index in range(7) if not np.array_equal(before[index], after[index])] == [4]


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: {"bytes": data, "path": None}])
def test_encoded_audio_in_the_rows_counts_as_the_file_it_came_from(tmp_path, rows, wrap):
    before = array(cached_features(rows, encoder(), CROPS, tmp_path / "cache"))
    held = [{"id": row["id"], "audio": wrap(Path(row["path"]).read_bytes())} for row in rows]
    again = encoder()
    after = cached_features(Dataset.from_list(held), again, CROPS, tmp_path / "cache")
    np.testing.assert_array_equal(array(after), before)
    assert again.encoded == 0
    cached_features(Dataset.from_list(held), again, CROPS, tmp_path / "other")
    assert files(tmp_path / "cache") == files(tmp_path / "other")


def test_a_segment_has_features_of_its_own(tmp_path, rows):
    whole = cached_features(rows.select([0]), encoder(), None, tmp_path / "cache")["features"][0]
    for start, end in ((0.0, 0.1), (0.1, None)):
        part = rows.select([0]).add_column("start", [start]).add_column("end", pa.array([end], pa.float64()))
        again = encoder()
        found = cached_features(part, again, None, tmp_path / "cache")["features"][0]
        assert again.encoded == 1 and not np.allclose(found, whole)
        live = encoder(OneAtATime)([read(rows[0])[round(16000 * start) : end and round(16000 * end)]])
        np.testing.assert_allclose(found, live, atol=1e-5)


def test_long_clips_share_no_batch_with_short_ones(monkeypatch):
    sizes = []
    run = frozen_cache.run_audio_tower

    def noting(tower, batch, mask):
        sizes.append(len(batch))
        return run(tower, batch, mask)

    monkeypatch.setattr(frozen_cache, "run_audio_tower", noting)
    monkeypatch.setattr(frozen_cache, "longest_batch", lambda batch_size, rate: batch_size * rate // 10)
    encoder(FrozenSpeechEncoder)(tiny.clips(0.1, 0.1, 2.0, 0.1, 0.1), 4)
    assert sizes == [4, 1]


def test_features_stand_beside_their_rows(tmp_path, rows):
    whole = cached_features(rows, encoder(), None, tmp_path / "cache")
    crops = cached_features(rows, encoder(), CROPS, tmp_path / "cache")
    joined = add_features(add_features(rows, whole, "local_features"), crops, "pooled_audio")
    assert joined.column_names == ["id", "path", "local_features", "pooled_audio"]
    for index, row in enumerate(joined.select(range(2, 5)), start=2):
        assert row["id"] == f"clip-{index}"
        np.testing.assert_array_equal(row["local_features"], array(whole)[index])
        np.testing.assert_array_equal(row["pooled_audio"], array(crops)[index])
        assert row["pooled_audio"].dtype == np.float32


def test_rows_that_cannot_be_encoded_are_refused(tmp_path, rows):
    folder = tmp_path / "cache"
    with pytest.raises(ValueError, match=r"\['path'\]"):
        cached_features(rows.remove_columns("id"), encoder(), CROPS, folder)
    with pytest.raises(ValueError, match=r"5\.0"):
        cached_features(rows, encoder(), Crops(seconds=5.0), folder)
    with pytest.raises(ValueError, match="no rows"):
        cached_features(rows.select([]), encoder(), CROPS, folder)
    with pytest.raises(ValueError, match="'clip-0'"):
        cached_features(Dataset.from_dict({"id": ["clip-0"], "path": [None]}), encoder(), CROPS, folder)
    gone = concatenate_datasets([rows, Dataset.from_dict({"id": ["lost"], "path": [str(tmp_path / "lost.wav")]})])
    with pytest.raises(ValueError, match=r"'lost'.*lost\.wav"):
        cached_features(gone, encoder(), CROPS, folder)


def test_features_that_are_not_finite_are_not_kept(tmp_path, rows):
    broken = tiny.model()
    with torch.no_grad():
        broken.audio_model.encoder.layer_norm.bias[0] = float("nan")
    with pytest.raises(ValueError, match="'clip-0'"):
        cached_features(rows, encoder(model=broken), CROPS, tmp_path / "cache")
    assert files(tmp_path / "cache") == set()


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_embeddings_by_way_of_the_cache_are_those_of_each_clip_alone(tmp_path, rows, family):
    model, extractor = tiny.model(family), tiny.processor(family).feature_extractor
    embeds = cached_embeddings(model, extractor, rows, tmp_path / "cache")
    assert embeds.shape == (7, 16) and embeds.dtype == np.float32
    for row, embed in zip(rows, embeds, strict=True):
        with torch.no_grad():
            alone = model.get_audio_features(**extractor(read(row), sampling_rate=16000, return_tensors="pt"))
        np.testing.assert_allclose(embed, alone.pooler_output[0], atol=1e-5)


def test_heads_on_one_tower_share_its_features(tmp_path, rows):
    model, other = tiny.model(), tiny.model(seed=1)
    extractor, cache = tiny.processor().feature_extractor, tmp_path / "cache"
    foreign = cached_embeddings(other, extractor, rows, cache)
    other.audio_model.load_state_dict(model.audio_model.state_dict())
    first, second = (cached_embeddings(each, extractor, rows, cache) for each in (model, other))
    assert len(files(cache)) == 2 * 3
    assert np.abs(first - second).max() > 0.01
    assert np.abs(foreign - second).max() > 0.001


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


@pytest.mark.parametrize(
    ("preprocessor", "normalize", "expected"),
    [
        (None, None, False),
        ({}, None, False),
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


def test_what_an_encoder_refuses():
    model = tiny.model()
    encoder = of_model(model)
    assert encoder.tower is model.audio_model
    model.train()
    with pytest.raises(ValueError, match="eval"):
        encoder(tiny.clips(0.1))
    with pytest.raises(ValueError, match=r"input_features.*input_values"):
        FrozenSpeechEncoder.from_model(model, tiny.processor("whisper").feature_extractor)
