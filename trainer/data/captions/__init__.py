"""Captions that describe how a clip sounds, and the tag text that soft targets compare."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .labels import category
from .thresholds import GROUPS, AnyThresholds
from .wordings import LANGUAGES, Language


CAPTION_GROUPS = ("emotion", "gender", *GROUPS)
"""All that captions may mention, in the order of tags and of full captions: ParaCLAP's groups and `rate`, ours."""
MAX_PHRASES = 5
NORMAL_WEIGHT = 0.5
"""How often a normal level is mentioned, relative to a low or high one (this project's choice)."""
CLEAN_SHARE = 0.2
"""How often a caption calls a clip that is known to be clean so (this project's choice)."""


def language_data(language: str) -> Language:
    """Return the wordings of a language of [`LANGUAGES`]; a `ValueError` for any other."""
    if language not in LANGUAGES:
        raise ValueError(f"no wordings in language {language!r}; there are {sorted(LANGUAGES)}")
    return LANGUAGES[language]


def row_levels(row: Mapping[str, Any], thresholds: AnyThresholds) -> dict[str, str]:
    """
    Return group to level for a manifest row: emotion and gender first, if known, then the groups with thresholds.

    A `ValueError` if a label is unknown or an acoustic value is missing.
    """
    levels = {}
    for group in ("emotion", "gender"):
        if row.get(group):
            levels[group] = category(row[group], group)
    return {**levels, **thresholds.levels(row)}


def select_levels(levels: Mapping[str, str], groups: Sequence[str]) -> dict[str, str]:
    """Keep the levels of some of [`CAPTION_GROUPS`], in their order; a `ValueError` if a group is unknown."""
    if isinstance(groups, str):
        raise ValueError(f"groups are a list such as [{groups!r}], not {groups!r}")
    if unknown := [group for group in groups if group not in CAPTION_GROUPS]:
        raise ValueError(f"unknown caption groups {unknown}; known are {list(CAPTION_GROUPS)}")
    return {group: level for group, level in levels.items() if group in groups}


def phrases(group: str, level: str, language: str = "en") -> tuple[str, ...]:
    """Return the wordings of one level, for instance of `"pitch"` and `"low"`, some with `{person}`."""
    wordings = language_data(language).wordings
    if level not in wordings.get(group, {}):
        known = sorted(wordings[group]) if group in wordings else sorted(wordings)
        raise ValueError(f"no {language} wordings for {group!r} = {level!r}; known are {known}")
    return wordings[group][level]


def condition_phrases(condition: str, language: str = "en") -> tuple[str, ...]:
    """Return the wordings of an acoustic condition, such as `"room-large"`, or of a kind of them, such as `"room"`."""
    known = language_data(language).conditions
    if condition not in known:
        raise ValueError(f"no {language} wordings for acoustic condition {condition!r}; known are {sorted(known)}")
    kind = _kind(condition)
    return known[kind] if kind == condition else (*known.get(kind, ()), *known[condition])


def _kind(condition: str) -> str:
    return condition.partition("-")[0]


def heard_conditions(own: str | None, applied: str) -> tuple[str, ...]:
    """
    Return what is true of a clip's acoustics, for [`caption`]; nothing if nothing is known.

    `own` is the condition in which it was recorded, if known, and `applied` what augmentation applied; a clip to which
    something was applied is no longer clean. Of two of a kind the degree is unknown: the kind is returned.
    """
    if applied == "clean":
        return (own,) if own else ()
    if own in (None, "", "clean"):
        return (applied,)
    return (_kind(applied),) if _kind(own) == _kind(applied) else (own, applied)


def _draw(options: Sequence[str], generator: torch.Generator | None) -> str:
    return options[int(torch.randint(len(options), (1,), generator=generator))]


def _draw_groups(
    levels: Mapping[str, str], max_phrases: int, always_emotion: bool, generator: torch.Generator | None
) -> list[str]:
    """Draw 1 to `max_phrases` groups in random order."""
    groups = list(levels)
    count = int(torch.randint(1, min(max_phrases, len(groups)) + 1, (1,), generator=generator))
    weights = torch.tensor([NORMAL_WEIGHT if levels[group] == "normal" else 1.0 for group in groups])
    drawn = [groups[index] for index in torch.multinomial(weights, count, generator=generator)]
    if always_emotion and "emotion" in levels and "emotion" not in drawn:
        drawn[int(torch.randint(count, (1,), generator=generator))] = "emotion"
    return drawn


def caption(
    levels: Mapping[str, str],
    language: str = "en",
    generator: torch.Generator | None = None,
    max_phrases: int = MAX_PHRASES,
    always_emotion: bool = True,
    conditions: Sequence[str] = (),
) -> str:
    """
    Draw a caption: 1 to `max_phrases` of the clip's groups, each in one of its wordings, in random order.

    Args:
        levels (`Mapping[str, str]`): From [`row_levels`].
        language (`str`, defaults to `"en"`): One of [`LANGUAGES`].
        generator (`torch.Generator`, *optional*): A CPU generator; torch's global one by default.
        max_phrases (`int`, defaults to 5): At most this many phrases.
        always_emotion (`bool`, defaults to `True`): Mention the emotion wherever it is known (ParaCLAP), so that only
            clips of unknown emotion have captions without one; `False` draws it like any other group.
        conditions (`Sequence[str]`, defaults to none): Acoustic conditions, from [`heard_conditions`]: each is named
            after the phrases, clean only in one caption of five. All else in the caption is the same without them.

    Raises:
        ValueError: `levels` is empty, a level or a condition has no wordings, or `max_phrases` is below 1.
    """
    data = language_data(language)
    if not levels:
        raise ValueError("a caption needs at least one level; got none")
    if max_phrases < 1:
        raise ValueError(f"max_phrases must be at least 1, got {max_phrases}")
    persons = data.persons[levels.get("gender", "unknown")]
    person = _draw(persons, generator)
    spoken = []
    for group in _draw_groups(levels, max_phrases, always_emotion, generator):
        phrase = _draw(phrases(group, levels[group], language), generator)
        spoken.append(phrase.format(person=person))
    last_joint = _draw((", ", data.conjunction), generator)
    text = last_joint.join([", ".join(spoken[:-1]), spoken[-1]]) if len(spoken) > 1 else spoken[0]
    nouns = all(phrase.startswith(data.articles) for phrase in spoken)
    frame = _draw(data.frames + data.noun_frames if nouns else data.frames, generator)
    for condition in conditions:
        if condition != "clean" or float(torch.rand((), generator=generator)) < CLEAN_SHARE:
            text += ", " + _draw(condition_phrases(condition, language), generator)
    return frame.format(text)


def full_caption(levels: Mapping[str, str], language: str = "en") -> str:
    """
    Return the one fixed caption of a clip, such as "a sad voice, a woman speaking, a low voice, fast speech".

    It has all groups in the order of [`CAPTION_GROUPS`], each in its first wording (our choice). A `ValueError` if
    `levels` is empty or a level has no wordings.
    """
    if not levels:
        raise ValueError("a caption needs at least one level; got none")
    known = [group for group in CAPTION_GROUPS if group in levels]
    foreign = [group for group in levels if group not in CAPTION_GROUPS]  # groups that a user added wordings for
    return ", ".join(phrases(group, levels[group], language)[0] for group in known + foreign)


def tag_text(levels: Mapping[str, str]) -> str:
    """
    Return the tag text that soft targets compare, such as "happy, female, low pitch, normal intensity".

    A `ValueError` if `levels` is empty or has an unknown group.
    """
    if not levels or set(levels) - set(CAPTION_GROUPS):
        raise ValueError(f"cannot word tags of {dict(levels)}; known groups are {list(CAPTION_GROUPS)}")
    tags = [levels[group] for group in ("emotion", "gender") if group in levels]
    tags += [f"{levels[group]} {group}" for group in GROUPS if group in levels]
    return ", ".join(tags)
