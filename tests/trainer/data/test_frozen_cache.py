from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest
import soundfile
import torch
from datasets import Dataset, concatenate_datasets

from smoothclap_trainer.data import cache as frozen_cache
from smoothclap_trainer.data.cache import FrozenSpeechEncoder, add_features, cached_features
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
    assert array(features).shape == (7, 1, 32)
    np.testing.assert_array_equal(array(features)[:, 0], one([read(row) for row in rows]))


def test_the_result_is_memory_mapped_and_float32(tmp_path, rows):
    features = cached_features(rows, encoder(), CROPS, tmp_path / "cache")
    assert {file["filename"] for file in features.cache_files} == {
        str(path) for path in (tmp_path / "cache").glob("*.arrow")
    }
    assert features.column_names == ["features"]
    assert features[0]["features"].dtype == np.float32 and features[0]["features"].shape == (3, 32)


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
    assert str(shard) in message and "computed again" in message


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
    with pytest.raises(ValueError, match=r"Part 2 of 3 is not in '.*cache', although every process has finished"):
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


def test_an_id_decides_where_a_clip_is_cut(tmp_path, rows):
    before = array(cached_features(rows, encoder(), CROPS, tmp_path / "cache"))
    renamed = rows.map(lambda row: {"id": f"new-{row['id']}"})
    after = array(cached_features(renamed, encoder(), CROPS, tmp_path / "cache"))
    assert not np.array_equal(before, after)


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


def test_an_audio_column_that_names_a_file_is_read(tmp_path, rows):
    held = [{"id": row["id"], "audio": {"bytes": None, "path": row["path"]}} for row in rows]
    keys = frozen_cache._keys(Dataset.from_list(held), [range(7)], "encoder", CROPS)
    assert keys == frozen_cache._keys(rows, [range(7)], "encoder", CROPS)


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


def test_features_follow_selected_rows(tmp_path, rows):
    chosen = rows.select([5, 0, 3])
    joined = add_features(chosen, cached_features(chosen, encoder(OneAtATime), None, tmp_path / "cache"), "pooled")
    expected = encoder(OneAtATime)([read(rows[index]) for index in (5, 0, 3)])
    np.testing.assert_array_equal(np.stack([row["pooled"][0] for row in joined]), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crops": Crops(seconds=5.0)}, "A new crop of 5.0 s in every epoch leaves nothing to cache; set `per_clip`"),
        ({"process_index": 2, "num_processes": 2, "wait": print}, "`process_index` is 2, but 2 process"),
        ({"process_index": -1}, "`process_index` is -1"),
        ({"num_processes": 2}, "2 processes share the work; pass `wait`"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, rows, changes, message):
    with pytest.raises(ValueError, match=message):
        cached_features(rows, encoder(), **{"crops": CROPS, "cache_dir": tmp_path / "cache"} | changes)
    assert not (tmp_path / "cache").exists()


def test_rows_that_cannot_be_encoded_are_refused(tmp_path, rows):
    folder = tmp_path / "cache"
    with pytest.raises(ValueError, match=r"Rows lack `id`.*\['path'\]"):
        cached_features(rows.remove_columns("id"), encoder(), CROPS, folder)
    with pytest.raises(ValueError, match="no rows to encode"):
        cached_features(rows.select([]), encoder(), CROPS, folder)
    with pytest.raises(ValueError, match="Clip 'clip-0' has neither `path` nor `audio`"):
        cached_features(Dataset.from_dict({"id": ["clip-0"], "path": [None]}), encoder(), CROPS, folder)
    gone = concatenate_datasets([rows, Dataset.from_dict({"id": ["lost"], "path": [str(tmp_path / "lost.wav")]})])
    with pytest.raises(ValueError, match=r"The audio of clip 'lost' cannot be read: .*lost\.wav"):
        cached_features(gone, encoder(), CROPS, folder)


def test_features_that_are_not_finite_are_not_kept(tmp_path, rows):
    broken = tiny.model()
    with torch.no_grad():
        broken.audio_model.encoder.layer_norm.bias[0] = float("nan")
    with pytest.raises(ValueError, match="features of clip 'clip-0' are not finite"):
        cached_features(rows, encoder(model=broken), CROPS, tmp_path / "cache")
    assert files(tmp_path / "cache") == set()
