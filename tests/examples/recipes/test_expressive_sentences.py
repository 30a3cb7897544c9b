"""The voices and sentences of the expressive corpus."""

from collections import Counter
from itertools import product

from expressive.sentences import SENTENCE_ROLES, SENTENCES, VOICES, sentence_id, split_of


def test_there_are_enough_voices_of_both_genders_in_every_role():
    counts = Counter((voice.role, voice.gender) for voice in VOICES.values())
    assert counts == {
        ("train", "male"): 10,
        ("train", "female"): 10,
        ("validation", "male"): 1,
        ("validation", "female"): 1,
        ("test", "male"): 2,
        ("test", "female"): 2,
    }


def test_sentences_are_distinct_and_short():
    assert set(SENTENCES) == {"en", "de"}
    said = [sentence for sentences in SENTENCES.values() for sentence in sentences]
    assert len(set(said)) == len(said) == 40
    assert {len(sentences) for sentences in SENTENCES.values()} == {20} == {len(SENTENCE_ROLES)}
    assert all(6 <= len(sentence.split()) <= 12 and sentence.endswith(".") for sentence in said)


def test_sentence_ids_name_the_language():
    assert [sentence_id("en", 0), sentence_id("de", 19)] == ["en01", "de20"]


def test_splits_share_neither_voice_nor_sentence():
    members = {}
    for language, voice, index in product(SENTENCES, VOICES, range(20)):
        members.setdefault(split_of(language, voice, index), []).append((language, voice, sentence_id(language, index)))
    assert {split: len(clips) for split, clips in members.items()} == {
        "train": 20 * 12,
        "validation": 2 * 3,
        "test": 4 * 5 + 4 * 20,
        None: 26 * 40 - 240 - 6 - 100,
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        for place in (1, 2):
            assert not {clip[place] for clip in members[one]} & {clip[place] for clip in members[other]}
    assert {clip[0] for clip in members["train"] + members["validation"]} == {"en"}
    assert Counter(clip[0] for clip in members["test"]) == {"en": 20, "de": 80}
