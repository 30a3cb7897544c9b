"""Captions and tags: wording tables, reproducibility, and what is always said."""

import re
from itertools import permutations
from math import prod

import pytest
import torch

from smoothclap_trainer.clep_dg.prompts import written_contexts
from smoothclap_trainer.data.acoustic_conditions import CONDITIONS
from smoothclap_trainer.data.captions import (
    CAPTION_GROUPS,
    CLEAN_SHARE,
    LANGUAGES,
    caption,
    condition_phrases,
    full_caption,
    heard_conditions,
    language_data,
    phrases,
    row_levels,
    select_levels,
    tag_text,
)
from smoothclap_trainer.data.captions.labels import EMOTION_ALIASES
from smoothclap_trainer.data.captions.thresholds import GROUPS, Thresholds
from tests.held_out_words import held_out_words


LEVELS = {"pitch": "low", "pitch variation": "high", "intensity": "normal", "rate": "high", "duration": "low"}
EMOTIONS = ["neutral", "happy", "angry", "sad", "fearful", "disgusted", "surprised", "calm", "bored", "excited"]
EMOTIONAL = {"emotion": "sad", "gender": "female", **LEVELS}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def many(levels, language="en", count=300, **options):
    source = generator()
    return [caption(levels, language, source, **options) for _ in range(count)]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_level_has_wordings_in_every_language(language):
    for group in GROUPS:
        assert set(language_data(language).wordings[group]) == {"low", "normal", "high"}
    for group in GROUPS:
        enough = 20 if group in ("pitch", "pitch variation", "intensity", "rate", "arousal") else 8
        assert min(len(set(phrases(group, level, language))) for level in ("low", "high")) >= enough
    for emotion in EMOTIONS:
        assert len(set(phrases("emotion", emotion, language))) >= 12
    for group in ("emotion", "gender"):
        assert set(LANGUAGES[language].wordings[group]) == set(LANGUAGES["en"].wordings[group])
    assert set(LANGUAGES[language].wordings) == set(CAPTION_GROUPS)
    assert set(LANGUAGES[language].persons) == {"unknown", *LANGUAGES["en"].wordings["gender"]}
    assert set(EMOTION_ALIASES.values()) <= set(LANGUAGES[language].wordings["emotion"])


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_phrase_means_two_things(language):
    meanings = {}
    for group, levels in LANGUAGES[language].wordings.items():
        for level, wordings in levels.items():
            for phrase in wordings:
                assert meanings.setdefault(phrase, (group, level)) == (group, level)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_captions_hold_no_word_that_evaluations_ask_for_as_unseen(language):
    data = LANGUAGES[language]
    said = [phrase for levels in data.wordings.values() for wordings in levels.values() for phrase in wordings]
    said += [phrase for wordings in data.conditions.values() for phrase in wordings]
    assert not [phrase for phrase in (*said, *data.frames, *data.noun_frames) if held_out_words(phrase)]


def test_stems_find_words_in_any_inflection():
    for text in (
        "a squeaky voice",
        "she yelled",
        "mit brummiger Stimme",
        "das Falsett",
        "under their breath",
        "tiny snails",
    ):
        assert held_out_words(text), text
    for text in ("a breathy voice", "eine traurige Stimme", "a dark voice", "erträglich"):
        assert not held_out_words(text), text


def test_a_seed_reproduces_captions_and_another_does_not():
    assert many(LEVELS) == many(LEVELS)
    torch.manual_seed(3)
    first = [caption(LEVELS, "de") for _ in range(20)]
    state = torch.get_rng_state()
    second = [caption(LEVELS, "de") for _ in range(20)]
    torch.set_rng_state(state)
    assert [caption(LEVELS, "de") for _ in range(20)] == second
    assert first != second
    torch.manual_seed(3)
    assert [caption(LEVELS, "de") for _ in range(20)] == first


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_emotion_is_always_said(language):
    persons = LANGUAGES[language].persons["female"]
    said = [phrase.format(person=word) for phrase in phrases("emotion", "sad", language) for word in persons]
    for text in [*many(EMOTIONAL, language), *many(EMOTIONAL, language, max_phrases=1, count=50)]:
        assert any(phrase in text for phrase in said)


def says(texts, group, level, person):
    said = [phrase.format(person=word) for phrase in phrases(group, level) for word in LANGUAGES["en"].persons[person]]
    return [any(phrase in text for phrase in said) for text in texts]


def chance_of(group, levels, max_phrases):
    """The probability that a group is among 1 to `max_phrases` that are drawn one after the other, by hand."""
    weights = {name: 0.5 if level == "normal" else 1.0 for name, level in levels.items()}
    most, chance = min(max_phrases, len(levels)), 0.0
    for count in range(1, most + 1):
        for drawn in permutations(weights, count):
            rest = [sum(weights[name] for name in weights if name not in drawn[:place]) for place in range(count)]
            way = prod(weights[name] / left for name, left in zip(drawn, rest, strict=True))
            chance += way / most if group in drawn else 0
    return chance


def test_emotion_may_be_drawn_like_any_other_group():
    levels = {"emotion": "sad", "pitch": "low", "intensity": "normal", "rate": "high"}
    for max_phrases in (1, 2, 5):
        expected = chance_of("emotion", levels, max_phrases)
        texts = many(levels, count=1000, max_phrases=max_phrases, always_emotion=False)
        share = sum(says(texts, "emotion", "sad", "unknown")) / 1000
        assert share == pytest.approx(expected, abs=3 * (expected * (1 - expected) / 1000) ** 0.5), max_phrases
    assert chance_of("emotion", levels, 1) == pytest.approx(1 / 3.5)
    assert chance_of("intensity", levels, 1) == pytest.approx(0.5 / 3.5)


def test_known_gender_decides_the_word_for_the_speaker():
    texts = [f" {text}" for text in many(EMOTIONAL)]
    assert any(" she " in text for text in texts)
    assert not any(" he " in text or "this person" in text for text in texts)
    neutral = [f" {text}" for text in many({**EMOTIONAL, "gender": "non-binary"})]
    assert not any(" he " in text or " she " in text for text in neutral)


def test_noun_frames_take_noun_phrases_only():
    texts = many(LEVELS, count=2000)
    framed = [text.removeprefix("This is a sound of ") for text in texts if text.startswith("This is a sound of ")]
    assert framed
    assert all(text.startswith(("a ", "an ")) for text in framed)


def test_full_captions_by_hand():
    levels = {"rate": "high", "valence": "low", "pitch": "low", "gender": "female", "emotion": "sad"}
    english = "a sad voice, a woman speaking, a low voice, fast speech, a negative feeling"
    german = "eine traurige Stimme, eine Frau spricht, eine tiefe Stimme, schnelles Sprechen, ein negatives Gefühl"
    assert full_caption(levels) == full_caption(dict(reversed(levels.items()))) == english
    assert full_caption(levels, "de") == german
    assert full_caption({"pitch": "low"}) == "a low voice"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_full_captions_speak_of_every_level_without_naming_the_speaker(language):
    for group in CAPTION_GROUPS:
        for level, wordings in LANGUAGES[language].wordings[group].items():
            assert full_caption({group: level}, language) == wordings[0]
            assert "{" not in wordings[0]


def test_full_captions_know_groups_that_a_user_adds(monkeypatch):
    monkeypatch.setitem(LANGUAGES["en"].wordings, "room", {"large": ("in a hall",)})
    assert full_caption({"room": "large", "pitch": "low"}) == "a low voice, in a hall"


@pytest.mark.parametrize("group", CAPTION_GROUPS)
def test_captions_may_be_restricted_to_any_group(group):
    everything = {"emotion": "sad", "gender": "female", **dict.fromkeys(GROUPS, "high")}
    assert select_levels(everything, [group]) == {group: everything[group]}
    assert select_levels(everything, CAPTION_GROUPS) == everything
    rest = {name: level for name, level in everything.items() if name != group}
    assert select_levels(rest, [group]) == {}
    assert list(select_levels(everything, ("valence", "gender"))) == ["gender", "valence"]


def test_what_is_drawn_has_not_changed():
    # A record of today's draws: with the same wordings, the same seed must always make the same captions.
    assert many(EMOTIONAL, count=3) == [
        "an extremely fast voice, a short utterance, a female speaker, a fluctuating voice and the speaker sounds "
        "miserable",
        "hasty speech without pauses, a female speaker, normal loudness, a sorrowful voice and a brief remark",
        "the woman sounds downcast",
    ]
    assert many(EMOTIONAL, "de", count=2) == [
        "Eine Aufnahme: die Sprecherin spricht wie ein Wasserfall, eine kurze Äußerung, eine Sprecherin, die "
        "Sprecherin spricht ausdrucksvoll und die Sprecherin klingt niedergeschlagen.",
        "Eine Aufnahme: viele Wörter pro Minute, die Stimme einer Frau, normale Lautstärke, eine Stimme voller Kummer "
        "und eine knappe Bemerkung.",
    ]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_acoustic_condition_has_wordings_of_its_own_kind(language):
    meanings = {}
    known = LANGUAGES[language].conditions
    assert known.keys() == LANGUAGES["en"].conditions.keys() == {*CONDITIONS, "noise", "room"}
    for name in CONDITIONS:
        wordings = condition_phrases(name, language)
        assert len(wordings) == len(set(wordings)) >= (4 if name == "clean" else 10)
        for phrase in wordings:
            assert meanings.setdefault(phrase, name.partition("-")[0]) == name.partition("-")[0]
    assert set(condition_phrases("noise", language)) < set(condition_phrases("noise-0db", language))
    with pytest.raises(ValueError, match="'rain'"):
        condition_phrases("rain", language)


@pytest.mark.parametrize(("language", "shared"), [("en", {"over the telephone"}), ("de", {"am Telefon"})])
def test_which_hand_written_contexts_captions_hold(language, shared):
    said = {phrase for wordings in LANGUAGES[language].conditions.values() for phrase in wordings}
    written = {re.sub("^{content},? (recorded|aufgenommen) ", "", context) for context in written_contexts(language)}
    assert said & written == shared


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_caption_ends_with_the_conditions_and_is_otherwise_the_same(language):
    endings = [f", {phrase}" for phrase in condition_phrases("room-large", language)]
    seen = set()
    for seed in range(300):
        plain = caption(EMOTIONAL, language, generator(seed))
        named = caption(EMOTIONAL, language, generator(seed), conditions=("room-large",))
        stop = "." if plain.endswith(".") else ""
        seen |= {end for end in endings if named == plain.removesuffix(".") + end + stop}
        assert any(named == plain.removesuffix(".") + end + stop for end in endings), (plain, named)
    assert len(seen) > len(endings) / 2


def test_a_clean_clip_is_called_so_in_some_captions():
    called = 0
    for seed in range(1000):
        plain, named = (caption(LEVELS, "en", generator(seed), conditions=names) for names in ((), ("clean",)))
        called += named != plain
    assert called / 1000 == pytest.approx(CLEAN_SHARE, abs=3 * (0.2 * 0.8 / 1000) ** 0.5)


@pytest.mark.parametrize(
    ("own", "applied", "named"),
    [
        (None, "clean", ()),
        (None, "noise-0db", ("noise-0db",)),
        ("clean", "clean", ("clean",)),
        ("clean", "noise-0db", ("noise-0db",)),
        ("telephone", "clean", ("telephone",)),
        ("telephone", "noise-0db", ("telephone", "noise-0db")),
        ("noise-20db", "noise-0db", ("noise",)),
        ("room", "room-large", ("room",)),
        ("codec", "codec", ("codec",)),
    ],
)
def test_what_is_true_of_a_clips_acoustics(own, applied, named):
    assert heard_conditions(own, applied) == named


def test_tag_text_by_hand():
    levels = {"rate": "high", "pitch": "low", "intensity": "normal", "gender": "female", "emotion": "happy"}
    assert tag_text(levels) == "happy, female, low pitch, normal intensity, high rate"
    assert tag_text(dict(reversed(levels.items()))) == tag_text(levels)


def test_row_levels_reads_labels_and_values():
    thresholds = Thresholds(low={"duration": 2.0}, high={"duration": 5.0}, num_rows=9)
    row = {"duration": 6.0, "emotion": " Anger", "gender": "F", "arousal": 1.0}
    assert row_levels(row, thresholds) == {"emotion": "angry", "gender": "female", "duration": "high"}
    assert row_levels({"duration": 6.0, "emotion": None, "gender": ""}, thresholds) == {"duration": "high"}


def test_errors_name_what_is_wrong():
    thresholds = Thresholds(low={"duration": 2.0}, high={"duration": 5.0}, num_rows=9)
    for call, named in (
        (lambda: row_levels({"duration": 6.0, "emotion": "emphatic"}, thresholds), "'emphatic'"),
        (lambda: row_levels({"duration": 6.0, "gender": "x"}, thresholds), "'x'"),
        (lambda: caption(LEVELS, "fr"), "'fr'"),
        (lambda: caption({}), "level"),
        (lambda: full_caption({}), "level"),
        (lambda: tag_text({}), "{}"),
        (lambda: caption(LEVELS, max_phrases=0), "0"),
        (lambda: caption({"pitch": "huge"}), "'pitch' = 'huge'"),
        (lambda: full_caption({"pitch": "huge"}, "de"), "'pitch' = 'huge'"),
        (lambda: caption({"colour": "red"}, "de"), "'colour' = 'red'"),
        (lambda: tag_text({"colour": "red"}), "'colour': 'red'"),
        (lambda: select_levels(LEVELS, ["pitch", "colour"]), r"\['colour'\]"),
        (lambda: select_levels(LEVELS, "pitch"), r"\['pitch'\]"),
    ):
        with pytest.raises(ValueError, match=named):
            call()
