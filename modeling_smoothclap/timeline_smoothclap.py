"""Score descriptions along a recording: a window every few seconds, or the segments that are given."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .audio_smoothclap import ClipError, Segment, Source, audio_duration, clip_source, read_audio
from .batching_smoothclap import as_clips
from .scores_smoothclap import check_comparable, probabilities


if TYPE_CHECKING:
    from .encoding_smoothclap import SmoothCLAPEncoder


WINDOW = 4.0
"""Seconds of a window (ours)."""
_SLACK = 1e-3  # seconds that rounding may move a time by


class Window(NamedTuple):
    """A part of a recording in seconds, and who speaks in it, if that is known."""

    start: float
    end: float
    speaker: str | None = None


@dataclass(frozen=True)
class Timeline:
    """
    How well descriptions fit each window of a recording.

    Args:
        texts (`list[str]`): The descriptions.
        windows (`list[Window]`): In order of their start.
        cosines (`np.ndarray` of shape `(windows, texts)`): Smoothed and relative, if that was asked for; NaN where a
            window has a problem.
        scores (`np.ndarray` of shape `(windows, texts)`): The softmax over the texts of the logit scale times these.
        spread (`np.ndarray` of shape `(windows, texts)`, *optional*): The standard deviation of a window's score over
            all templates in its whole and its two halves: how much the answer depends on either.
        problems (`list[str | None]`): `"silent"` or `"too short"` where there is nothing to hear.
    """

    texts: list[str]
    windows: list[Window]
    cosines: np.ndarray
    scores: np.ndarray
    spread: np.ndarray | None
    problems: list[str | None]

    def best(self) -> list[str | None]:
        """Return the description with the highest score of each window; `None` where it has a problem."""
        return [None if np.isnan(row).any() else self.texts[int(row.argmax())] for row in self.scores]

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield one row for each window: `start`, `end`, `speaker`, `best`, `problem`, and the score of each text."""
        for index, (window, best) in enumerate(zip(self.windows, self.best(), strict=True)):
            row = window._asdict() | {"best": best, "problem": self.problems[index]}
            row |= dict(zip(self.texts, self.scores[index].tolist(), strict=True))
            if self.spread is not None:
                spread = zip(self.texts, self.spread[index].tolist(), strict=True)
                row |= {f"spread of {text}": value for text, value in spread}
            yield row


def timeline(
    encoder: "SmoothCLAPEncoder",
    recording: Any,
    texts: Sequence[str],
    *,
    window: float = WINDOW,
    hop: float | None = None,
    segments: Sequence[Sequence[Any]] | None = None,
    templates: Sequence[str] = ("{}",),
    relative: bool = False,
    smooth: float = 0.0,
    uncertainty: bool = False,
    batch_size: int = 16,
    show_progress_bar: bool | None = None,
) -> Timeline:
    """
    Score descriptions along a recording.

    Each window is read from the file and embedded by itself, so memory does not grow with the recording. Only a file
    whose length is not in its header is decoded as a whole.

    Args:
        encoder (`SmoothCLAPEncoder`): The model.
        recording: One clip, as for [`~encoding_smoothclap.SmoothCLAPEncoder.encode_audio`].
        texts (`Sequence[str]`): Two or more descriptions to choose from.
        window (`float`, defaults to 4): Seconds of a window. The last one ends with the recording, and overlaps the one
            before by more. A recording or a segment that is shorter is one window.
        hop (`float`, *optional*): Seconds from one start to the next; by default half a window.
        segments (`Sequence`, *optional*): `(start, end)` or `(start, end, speaker)` in seconds, for instance of
            sentences: only these are scored, those longer than a window in windows.
        templates (`Sequence[str]`, defaults to `("{}",)`): What each text is put into. Cosines are averaged over them.
        relative (`bool`, defaults to `False`): Subtract from each text's cosines their mean over the recording, or over
            the windows of the same speaker: what is unusual for this voice here. A constant state is then invisible.
        smooth (`float`, defaults to 0): Average cosines over windows whose middle is at most half as many seconds away,
            of the same speaker.
        uncertainty (`bool`, defaults to `False`): Embed both halves of each window, too, for `spread`. Takes twice as
            long.
        batch_size (`int`, defaults to 16): Windows in a batch.
        show_progress_bar (`bool`, *optional*): By default, if there are more than a few batches.

    Raises:
        ValueError: if there are fewer than two different texts, a setting or a segment is out of range, or the
            recording cannot be read.
    """
    listed = check_comparable(texts, templates)
    if taken := {*Window._fields, "best", "problem"} & {*listed}:
        raise ValueError(f"{sorted(taken)} are names of columns of a timeline: describe the voice in other words.")
    hop = window / 2 if hop is None else hop
    if not (math.isfinite(window) and 0 < hop <= window and smooth >= 0):
        raise ValueError(
            f"`window` is {window}, `hop` {hop} and `smooth` {smooth} s: give 0 < hop <= window, smooth >= 0."
        )
    source, seconds = _opened(recording, encoder.sampling_rate)
    windows = [part for each in _segments(segments, seconds) for part in _cut(each, window, hop)]
    parts = [windows, *(_halves(windows) if uncertainty else [])]
    rows = [Segment(source, each.start, each.end) for part in parts for each in part]
    problems: dict[int, ClipError] = {}
    embeds = encoder.encode_audio(rows, batch_size, show_progress_bar, bad_clips="skip", problems=problems)
    faults = {number: error for number, error in problems.items() if error.problem not in ("silent", "too short")}
    if faults:
        raise next(iter(faults.values()))
    embeds[list(problems)] = np.nan
    prompts = [template.replace("{}", text) for template in templates for text in listed]
    wordings = encoder.encode_text(prompts).reshape(len(templates), len(listed), -1)
    each = np.einsum("ptd,rd->rpt", wordings, embeds).reshape(len(parts), len(windows), len(templates), len(listed))
    speakers = [one.speaker for one in windows]
    if relative:
        each -= _means(each, speakers)
    cosines = _smoothed(each[0].mean(axis=1), windows, smooth)
    scale = encoder.logit_scale
    return Timeline(
        texts=listed,
        windows=windows,
        cosines=cosines,
        scores=probabilities(cosines, scale),
        spread=probabilities(each, scale).std(axis=(0, 2)) if uncertainty or len(templates) > 1 else None,
        problems=[problems[number].problem if number in problems else None for number in range(len(windows))],
    )


def _opened(recording: Any, rate: int) -> tuple[Source, float]:
    """Where the samples of the recording are, and how many seconds it has."""
    clips, is_one = as_clips(recording)
    if not is_one:
        raise ValueError(f"A timeline is of one recording, not of {len(clips)}: give one path, array or row.")
    clip: Any = clips[0]
    if isinstance(clip, Mapping):
        clip = clip_source(clip)
    elif not isinstance(clip, str | bytes | Segment) and hasattr(clip, "ndim"):
        clip = (np.asarray(clip), rate)
    if isinstance(clip, Segment):
        raise ValueError(f"{clip} is a part of a recording: give the whole one, and the part as `segments`.")
    seconds = audio_duration(clip)
    if seconds is None:
        samples = read_audio(clip, rate)
        clip, seconds = (samples, rate), len(samples) / rate
    return clip, seconds


def _segments(segments: Sequence[Sequence[Any]] | None, seconds: float) -> list[Window]:
    """The segments in order of their start, or the whole recording as one."""
    if segments is None:
        return [Window(0.0, seconds)]
    found = []
    for number, each in enumerate(segments):
        if isinstance(each, str) or not 2 <= len(each) <= 3:
            raise ValueError(f"Segment {number} is {each!r}; give (start, end) or (start, end, speaker).")
        start, end, speaker = float(each[0]), float(each[1]), each[2] if len(each) > 2 else None
        if not 0 <= start < end <= seconds + _SLACK:
            raise ValueError(
                f"Segment {number} is from {start:g} to {end:g} s, but the recording from 0 to {seconds:g} s; "
                "segments start before they end, and within it."
            )
        found.append(Window(start, min(end, seconds), None if speaker is None else str(speaker)))
    if not found:
        raise ValueError("`segments` is empty: give at least one, or leave it out for the whole recording.")
    return sorted(found, key=lambda each: each[:2])


def _cut(segment: Window, window: float, hop: float) -> list[Window]:
    """Windows of equal length that cover a segment; the last one ends where it ends."""
    start, end, speaker = segment
    rest = end - start - window
    if rest <= 0:
        return [segment]
    starts = [start + number * hop for number in range(math.floor(rest / hop + _SLACK) + 1)]
    if starts[-1] + window < end - _SLACK:
        starts.append(end - window)
    return [Window(each, min(each + window, end), speaker) for each in starts]


def _halves(windows: Sequence[Window]) -> tuple[list[Window], list[Window]]:
    first = [Window(start, (start + end) / 2, speaker) for start, end, speaker in windows]
    return first, [Window(half.end, end, speaker) for half, (_, end, speaker) in zip(first, windows, strict=True)]


def _of_speakers(speakers: Sequence[str | None]) -> list[np.ndarray]:
    """The positions of each speaker's windows; windows of unknown speakers are as if one spoke in them."""
    return [np.array([place for place, one in enumerate(speakers) if one == each]) for each in dict.fromkeys(speakers)]


def _means(cosines: np.ndarray, speakers: Sequence[str | None]) -> np.ndarray:
    """For each window of `(parts, windows, templates, texts)`, the mean of the whole windows of its speaker."""
    means = np.full_like(cosines[:1], np.nan)
    for places in _of_speakers(speakers):
        heard = [place for place in places if not np.isnan(cosines[0, place]).any()]
        if heard:
            means[0, places] = cosines[0, heard].mean(axis=0)
    return means


def _smoothed(cosines: np.ndarray, windows: Sequence[Window], smooth: float) -> np.ndarray:
    """The mean of `(windows, texts)` over the speaker's windows whose middle is near; NaN stays, and is left out."""
    smoothed = np.full_like(cosines, np.nan)
    middles = np.array([(each.start + each.end) / 2 for each in windows])
    for places in _of_speakers([each.speaker for each in windows]):
        heard = places[~np.isnan(cosines[places]).any(axis=1)]
        heard = heard[np.argsort(middles[heard], kind="stable")]
        sums = np.concatenate([np.zeros((1, cosines.shape[1])), cosines[heard].cumsum(axis=0)])
        first = np.searchsorted(middles[heard], middles[heard] - smooth / 2 - _SLACK)
        last = np.searchsorted(middles[heard], middles[heard] + smooth / 2 + _SLACK, side="right")
        smoothed[heard] = (sums[last] - sums[first]) / (last - first)[:, None]
    return smoothed
