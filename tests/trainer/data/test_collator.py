"""Batches for training and evaluation, and how clips are divided into joint batches."""

import dataclasses
import pickle
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import soundfile as sf
import torch
from datasets import Dataset
from transformers.audio_utils import load_audio

from smoothclap_trainer.data.acoustic_conditions import CONDITIONS, Augmentation, apply_condition
from smoothclap_trainer.data.captions import LANGUAGES, condition_phrases, full_caption, row_levels, tag_text
from smoothclap_trainer.data.captions.thresholds import ACOUSTIC_GROUPS, CorpusThresholds
from smoothclap_trainer.data.clips import Crops
from smoothclap_trainer.data.collator import JointBatchSampler
from smoothclap_trainer.data.functionals import Standardisation
from tests import tiny
from tests.trainer import rows


@pytest.fixture
def data(tmp_path):
    return rows.dataset(tmp_path / "audio")


def batch(collator, data, *indices):
    return collator([data[index] for index in indices])


def texts(ids):
    return tiny.tokenizer().batch_decode(ids, skip_special_tokens=True)


def test_a_batch_has_all_that_training_needs(data):
    made = batch(rows.collator(data, crops=Crops(0.1)), data, 0, 1, 2)
    assert made["input_values"].shape == (3, 1600)
    assert made["audio_attention_mask"].sum() == 3 * 1600
    assert made["local_features"].shape == (3, rows.LOCAL_WIDTH)
    assert made["input_ids"].shape == made["attention_mask"].shape
    assert made["tag_input_ids"].shape == made["tag_attention_mask"].shape


def test_tags_are_the_rows_tag_texts(data):
    collator = rows.collator(data)
    made = batch(collator, data, 0, 5)
    expected = [tag_text(row_levels(data[index], collator.thresholds)) for index in (0, 5)]
    assert texts(made["tag_input_ids"]) == expected


def test_a_tokenizer_need_not_know_the_longest_text(data, monkeypatch):
    collator = rows.collator(data)
    known = batch(collator, data, 0)["input_ids"]
    monkeypatch.setattr(collator.processor.tokenizer, "model_max_length", int(1e30))  # as if it was never given one
    assert torch.equal(batch(collator, data, 0)["input_ids"], known)


def test_each_epoch_and_seed_draws_anew_whatever_else_is_in_the_batch(data):
    collator = rows.collator(data, crops=Crops(0.05))
    first, among_others = batch(collator, data, 0), batch(collator, data, 3, 0)
    assert torch.equal(first["input_values"][0], among_others["input_values"][1])
    assert texts(first["input_ids"])[0] == texts(among_others["input_ids"])[1]
    for changes in ({"epoch": 1}, {"crops": Crops(0.05, seed=1)}):
        other = batch(dataclasses.replace(collator, **changes), data, 0)
        assert not torch.equal(first["input_values"], other["input_values"])


@pytest.mark.parametrize("wrapped", [False, True])
def test_rows_may_hold_a_waveform(data, wrapped):
    samples = load_audio(data[3]["path"], sampling_rate=16000)
    waveform = {"array": samples.tolist() if wrapped else samples, "sampling_rate": 16000}
    row = {name: value for name, value in data[3].items() if name != "path"}
    made = rows.collator(data, training=False)([row | ({"audio": waveform} if wrapped else waveform)])
    np.testing.assert_array_equal(made["input_values"][0].numpy(), samples)


def test_crops_are_pieces_of_the_clip(data):
    made = batch(rows.collator(data, crops=Crops(0.05)), data, 3)["input_values"][0].numpy()
    whole = load_audio(data[3]["path"], sampling_rate=16000)
    windows = np.lib.stride_tricks.sliding_window_view(whole, len(made))
    assert (np.abs(windows - made).max(axis=1) == 0).sum() == 1


def test_training_hears_crops_under_the_condition_of_the_epoch(data):
    """Whatever else is in the batch, and also where every epoch hears the same crop."""
    augmentation = Augmentation(("noise-0db", "noise-10db"), seed=2)
    crops = Crops(0.1, per_clip=1)
    plain, augmented = rows.collator(data, crops=crops), rows.collator(data, crops=crops, augmentation=augmentation)
    heard = []
    for epoch in range(3):
        plain.epoch = augmented.epoch = epoch
        recorded = batch(plain, data, 3)["input_values"][0].numpy()
        expected = augmentation.apply(recorded, 16000, "clip-3", epoch)
        made = batch(augmented, data, 0, 3)
        np.testing.assert_array_equal(made["input_values"][1].numpy(), expected)
        assert not np.array_equal(expected, recorded)
        heard.append(expected)
    assert not np.array_equal(heard[0], heard[1]) and not np.array_equal(heard[1], heard[2])


def test_what_else_a_batch_says_is_of_the_clip_as_recorded(data):
    functionals = Standardisation.fit(data.to_pandas(), ["duration", "loudnessPeaksPerSec"])
    collator = rows.collator(data, functionals=functionals, augmentation=Augmentation(("noise-0db",)))
    made = batch(collator, data, *range(8))
    recorded = batch(dataclasses.replace(collator, augmentation=None), data, *range(8))
    assert {name for name in made if not torch.equal(made[name], recorded[name])} == {"input_values"}


def ending(plain, named):
    """What a caption says after what it says without conditions."""
    before = plain.removesuffix(".")
    assert named.startswith(before) and named.endswith(".") == plain.endswith(".")
    return named.removesuffix(".")[len(before) :].lstrip(", ")


def by_ear(crop, clip):
    """Which condition a clip is heard in: of effects that sound alike each time by comparing, of noise by its level."""
    for name in ("clean", "telephone", "clipping"):
        if np.array_equal(apply_condition(CONDITIONS[name], crop, 16000, ""), clip):
            return name
    return "noise-0db" if np.var(clip - crop) > np.var(crop) / 10 else "noise-20db"


@pytest.mark.parametrize("language", ["en", "de"])
def test_captions_name_what_is_heard(data, language):
    names = ("clean", "noise-0db", "noise-20db", "telephone", "clipping")
    plain = rows.collator(data, crops=Crops(0.1), languages=(language,))
    named = dataclasses.replace(plain, augmentation=Augmentation(names, seed=2), name_conditions=True)
    heard = Counter()
    for plain.epoch in range(12):
        named.epoch = plain.epoch
        recorded, made = (batch(each, data, *range(8)) for each in (plain, named))
        assert torch.equal(made["tag_input_ids"], recorded["tag_input_ids"])
        ends = map(ending, texts(recorded["input_ids"]), texts(made["input_ids"]))
        pairs = zip(recorded["input_values"].numpy(), made["input_values"].numpy(), strict=True)
        for end, applied in zip(ends, [by_ear(*pair) for pair in pairs], strict=True):
            assert end == "" if applied == "clean" else end in condition_phrases(applied, language)
            heard[applied] += 1
    assert min(heard[name] for name in names) > 5


def test_what_captions_name_is_drawn_alike_in_every_batch_and_process(data):
    made = [
        rows.collator(data, augmentation=Augmentation(("clean", "codec", "clipping")), name_conditions=True, epoch=4)
    ]
    made.append(pickle.loads(pickle.dumps(made[0])))
    whole = batch(made[0], data, *range(8))["caption_ids"]
    alone = torch.cat([batch(made[1], data, index)["caption_ids"] for index in reversed(range(8))]).flip(0)
    assert torch.equal(whole, alone)


def test_a_rows_own_condition_is_named_too_and_in_evaluation(data):
    telephone = data.add_column("acoustic_condition", [" Telephone"] * 8)
    named = rows.collator(telephone, augmentation=Augmentation(("codec",)), name_conditions=True)
    own, applied = condition_phrases("telephone"), condition_phrases("codec")
    both = {f"{one}{joint}{other}" for one in own for other in applied for joint in (" ", ", ")}
    for training, expected in ((True, both), (False, set(own))):
        named = dataclasses.replace(named, training=training)
        unnamed = dataclasses.replace(named, name_conditions=False)
        pairs = zip(*(texts(batch(each, telephone, *range(8))["input_ids"]) for each in (unnamed, named)), strict=True)
        assert {ending(*pair) for pair in pairs} <= expected
    with pytest.raises(ValueError, match="'rain'"):
        named([data[0] | {"acoustic_condition": "rain"}])


def test_a_rows_own_condition_is_named_without_augmentation_and_beside_the_output_of_a_cached_tower(data):
    cached = data.add_column("pooled_audio", list(np.ones((8, 32), dtype=np.float32)))
    for each in (data, cached):
        telephone = each.add_column("acoustic_condition", ["telephone"] * 8)
        named = rows.collator(telephone, name_conditions=True)
        pairs = zip(
            *(texts(batch(made, telephone, *range(8))["input_ids"]) for made in (rows.collator(data), named)),
            strict=True,
        )
        assert {ending(*pair) for pair in pairs} <= set(condition_phrases("telephone"))


def test_names_of_conditions_need_captions_that_are_drawn(data, monkeypatch):
    with pytest.raises(ValueError, match="`name_conditions`"):
        rows.collator(data, name_conditions=True, augmentation=Augmentation(("codec",)), captions="full")
    monkeypatch.setitem(CONDITIONS, "rain", CONDITIONS["codec"])
    with pytest.raises(ValueError, match="'rain'"):
        rows.collator(data, name_conditions=True, augmentation=Augmentation(("rain",)))


def test_a_pause_in_a_clip_does_not_stop_training(data, tmp_path):
    """Its crops that lie in the pause stay silent."""
    path = tmp_path / "pause.wav"
    sf.write(path, np.append(tiny.clips(0.08)[0], np.zeros(4000)), 16000, subtype="FLOAT")
    collator = rows.collator(data, crops=Crops(0.06), augmentation=Augmentation(("noise-0db", "room-small", "codec")))
    named = dataclasses.replace(collator, name_conditions=True)
    row = data[0] | {"path": str(path)}
    silent = []
    for collator.epoch in range(12):
        named.epoch = collator.epoch
        made, unnamed = named([row]), collator([row])
        crop = made["input_values"]
        assert torch.equal(made["caption_ids"], unnamed["caption_ids"]) != bool(crop.any())
        assert torch.isfinite(crop).all()
        silent.append(not crop.any())
    assert any(silent) and not all(silent)


def test_cached_tower_output_takes_the_place_of_audio_and_cannot_be_augmented(data):
    cached = data.add_column("pooled_audio", list(np.ones((8, 32), dtype=np.float32)))
    collator = rows.collator(cached, augmentation=Augmentation(("clean",)))
    with pytest.raises(ValueError, match="`pooled_audio`"):
        batch(collator, cached, 0)
    made = batch(dataclasses.replace(collator, training=False), cached, 0, 1)
    assert made["pooled_audio"].shape == (2, 32) and "input_values" not in made


def test_evaluation_takes_whole_clips_and_one_caption_per_clip(data):
    collator = rows.collator(data, training=False, crops=Crops(0.05), augmentation=Augmentation(("noise-0db",)))
    alone, among_others = batch(collator, data, 2), batch(collator, data, 5, 2)
    recorded = load_audio(data[2]["path"], sampling_rate=16000)
    np.testing.assert_array_equal(alone["input_values"][0].numpy(), recorded)
    assert texts(alone["input_ids"])[0] == texts(among_others["input_ids"])[1]


def test_of_several_cached_crops_each_epoch_takes_the_one_it_would_hear(data):
    crops = Crops(0.05, per_clip=3)
    cached = data.add_column("pooled_audio", [np.eye(3, 5).tolist()] * 8)
    for epoch in range(4):
        made = batch(rows.collator(cached, crops=crops, epoch=epoch), cached, *range(8))["pooled_audio"]
        assert made.argmax(dim=1).tolist() == [crops.number(f"clip-{index}", epoch) for index in range(8)]
    whole = batch(rows.collator(cached, crops=crops, epoch=3, training=False), cached, 0)
    assert whole["pooled_audio"].argmax() == 0


def test_full_captions_say_everything_and_always_the_same(data):
    collator = rows.collator(data, captions="full", languages=("de",))
    expected = [full_caption(row_levels(data[index], collator.thresholds), "de") for index in (1, 2)]
    for epoch in (0, 1):
        assert texts(batch(dataclasses.replace(collator, epoch=epoch), data, 1, 2)["input_ids"]) == expected


def test_captions_of_some_groups_speak_of_nothing_else(data):
    collator = rows.collator(data, captions="full", caption_groups=("rate",))
    made = texts(batch(collator, data, *range(8))["input_ids"])
    assert set(made) == {"slow speech", "a normal speaking rate", "fast speech"}
    with pytest.raises(ValueError, match="'taste'"):
        rows.collator(data, caption_groups=("taste",))
    with pytest.raises(ValueError, match=r"'clip-0'.*'emotion'"):
        batch(rows.collator(data, caption_groups=("emotion",)), data, 0)


def test_sampled_captions_are_as_short_and_as_emotional_as_is_said(data):
    sad, words = data.add_column("emotion", ["sad"] * 8), LANGUAGES["en"]
    persons = words.persons["unknown"]
    spoken = [phrase.format(person=word) for phrase in words.wordings["emotion"]["sad"] for word in persons]
    alone = {frame.format(phrase) for frame in (*words.frames, *words.noun_frames) for phrase in spoken}

    def drawn(**changes):
        collators = [rows.collator(sad, epoch=epoch, **changes) for epoch in range(3)]
        return [text for each in collators for text in texts(batch(each, sad, *range(8))["input_ids"])]

    assert not set(drawn()) <= alone and set(drawn(max_phrases=1)) <= alone
    free = [text in alone for text in drawn(max_phrases=1, always_emotion=False)]
    assert 0 < sum(free) < 12  # of 24
    with pytest.raises(ValueError, match="0"):
        drawn(max_phrases=0)


def test_thresholds_may_be_those_of_a_clips_corpus(data):
    """The words of a batch of two corpora are those that each would have alone."""
    louder = [row | {"id": f"loud-{row['id']}", "corpus": "loud", **raised(row)} for row in data]
    both = Dataset.from_list([*data, *louder])
    collator = rows.collator(data, captions="full")
    collator = dataclasses.replace(collator, thresholds=CorpusThresholds.fit(both))
    made = batch(collator, both, *range(16))
    plain = batch(rows.collator(data, captions="full"), data, *range(8))
    for name in ("input_ids", "tag_input_ids"):
        assert texts(made[name]) == texts(plain[name]) * 2
    with pytest.raises(ValueError, match="'quiet'"):
        collator([data[0] | {"corpus": "quiet"}])


def raised(row):
    return {column: row[column] + 50 for columns in ACOUSTIC_GROUPS.values() for column in columns}


def test_rows_may_bring_their_own_captions(data):
    own = data.add_column("caption", [f"caption {index % 2}" for index in range(8)])
    collator = rows.collator(own, captions="given")
    for each in (collator, dataclasses.replace(collator, thresholds=None)):
        made = batch(each, own, 0, 1, 2)
        assert texts(made["input_ids"]) == ["caption 0", "caption 1", "caption 0"]
        assert ("tag_input_ids" in made) == (each is collator)
    first, second, third = made["caption_ids"].tolist()
    assert first == third != second
    with pytest.raises(ValueError, match="'clip-0'"):
        batch(collator, data, 0)


def test_what_makes_no_captions_is_refused(data):
    with pytest.raises(ValueError, match="'fr'"):
        rows.collator(data, languages=("en", "fr"))
    with pytest.raises(ValueError, match=r"\('en',\)"):
        rows.collator(data, languages="en")
    with pytest.raises(ValueError, match="`id`"):
        rows.collator(data)([{"path": data[0]["path"]}])
    with pytest.raises(ValueError, match="'poem'"):
        rows.collator(data, captions="poem")
    with pytest.raises(ValueError, match=r"Thresholds\.fit"):
        dataclasses.replace(rows.collator(data), thresholds=None)


def test_labels_are_places_among_their_names(data):
    labelled = data.add_column("label", ["sad", "happy", None, "other", *["sad"] * 4])
    made = batch(rows.collator(labelled, label_names=("happy", "sad")), labelled, 0, 1, 2, 3)
    assert made["labels"].tolist() == [1, 0, -1, -1]
    assert batch(rows.collator(data), data, 0)["labels"].tolist() == [-1]


def test_functionals_are_standardised(data):
    fitted = Standardisation.fit(data.to_pandas(), ["duration", "loudnessPeaksPerSec"])
    made = batch(rows.collator(data, functionals=fitted), data, *range(8))["functionals"]
    assert made.shape == (8, 2)
    torch.testing.assert_close(made.mean(dim=0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(made.std(dim=0, correction=0), torch.ones(2), atol=1e-6, rtol=0)


def test_a_caption_that_the_text_tower_cannot_take_is_refused(data):
    own = data.add_column("caption", ["short", "long " * 300, *["short"] * 6])
    with pytest.raises(ValueError, match=r"'clip-1' has 1203 tokens.*254"):
        batch(rows.collator(own, captions="given"), own, 0, 1)


def shares(clips, batch_size, num_processes, epoch=0, **changes):
    """Per joint batch, each process's share."""
    samplers = [JointBatchSampler(clips, batch_size, num_processes, rank, **changes) for rank in range(num_processes)]
    for sampler in samplers:
        sampler.epoch = epoch
    found = [list(sampler) for sampler in samplers]
    assert {len(one) for one in found} == {len(sampler) for sampler in samplers}
    return list(zip(*found, strict=True))


def joint(batches):
    return [sorted(index for share in batch for index in share) for batch in batches]


@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_every_clip_once_and_no_process_waits(num_processes):
    for clips in range(3, 40):
        batches = shares(clips, 4, num_processes)
        assert sorted(chain.from_iterable(joint(batches))) == list(range(clips))
        for batch in batches:
            sizes = [len(share) for share in batch]
            assert min(sizes) >= 1
            assert max(sizes) - min(sizes) <= 1
            assert sum(sizes) >= 2  # a clip alone has no negatives


@pytest.mark.parametrize("clips", [16, 21, 17, 31])
def test_several_processes_see_the_joint_batches_of_one(clips):
    assert joint(shares(clips, 8, 1)) == joint(shares(clips, 4, 2))


def test_what_is_too_little_joins_the_batch_before():
    assert [len(batch[0]) for batch in shares(9, 4, 1)] == [4, 5]
    assert [[len(share) for share in batch] for batch in shares(10, 2, 4)] == [[3, 3, 2, 2]]
    assert [[len(share) for share in batch] for batch in shares(12, 2, 4)] == [[2, 2, 2, 2], [1, 1, 1, 1]]


def test_an_incomplete_batch_can_be_left_out():
    assert [len(batch[0]) for batch in shares(11, 4, 1, drop_last=True)] == [4, 4]


def test_order_is_by_seed_and_epoch():
    orders = {str(shares(20, 4, 1, epoch, seed=seed)) for epoch in (0, 1) for seed in (0, 1)}
    assert len(orders) == 4
    assert shares(20, 4, 1, 1, seed=1) == shares(20, 4, 1, 1, seed=1)


@pytest.mark.parametrize(("clips", "num_processes", "drop_last"), [(1, 1, False), (2, 3, False), (3, 1, True)])
def test_too_few_clips(clips, num_processes, drop_last):
    with pytest.raises(ValueError, match=f"^{clips} "):
        JointBatchSampler(clips, 4, num_processes, drop_last=drop_last)
