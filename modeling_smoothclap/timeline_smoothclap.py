"""Score descriptions along a recording: a window every few seconds, or the segments that are given."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from transformers.utils import logging

from .audio_smoothclap import ClipError, Segment, clip_source
from .batching_smoothclap import QUIET_BATCHES, as_clips, limited_groups
from .scores_smoothclap import check_comparable, probabilities, unit_rows
from .streaming_smoothclap import Recording, read_parts, recording_seconds


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
            all templates in its whole and its two halves: how much the answer depends on either. NaN where a half has
            a problem.
        problems (`list[str | None]`): `"silent"`, or what else is wrong with a window, of
            [`~audio_smoothclap.clip_problem`]'s and `"channels cancel"`.
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
        """
        Yield one row for each window: `start`, `end`, `speaker`, `best`, `problem`, the score of each text, and maybe
        its spread. `pandas.DataFrame(timeline.records())` is a table of them.
        """
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

    Each window is embedded by itself, as if it were a clip. The file is read once, window by window, so that memory
    does not grow with the recording; MP3, Ogg and what `ffmpeg` reads are decoded once more before, for their length.

    Args:
        encoder (`SmoothCLAPEncoder`): The model.
        recording: One clip, as for [`~encoding_smoothclap.SmoothCLAPEncoder.encode_audio`].
        texts (`Sequence[str]`): Two or more descriptions to choose from.
        window (`float`, defaults to 4): Seconds of a window. The last one is as long as the others: it ends with the
            recording, and overlaps the one before by more. A recording or a segment that is shorter is one window.
        hop (`float`, *optional*): Seconds from one start to the next; by default half a window.
        segments (`Sequence`, *optional*): `(start, end)` or `(start, end, speaker)` in seconds, for instance of
            sentences: only these are scored, those longer than a window in windows.
        templates (`Sequence[str]`, defaults to `("{}",)`): What each text is put into. As in an
            evaluation, the mean of its embeddings is taken, scaled to unit length.
        relative (`bool`, defaults to `False`): Subtract from each text's cosines their mean over the recording, or over
            the windows of the same speaker: what is unusual for this voice here. A constant state is then invisible.
            For embeddings a of windows and t of a text that is (a - mean of a) t, not scaled to unit length: else a
            window like all others would get a large value at random.
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
    if taken := {*Window._fields, "best", "problem", *(f"spread of {text}" for text in listed)} & {*listed}:
        raise ValueError(f"{sorted(taken)} are names of columns of a timeline: describe the voice in other words.")
    hop = window / 2 if hop is None else hop
    if not (math.isfinite(window) and 0 < hop <= window and smooth >= 0):
        raise ValueError(
            f"`window` is {window}, `hop` {hop} and `smooth` {smooth} s: give 0 < hop <= window, smooth >= 0."
        )
    source = _source(recording, encoder.sampling_rate)
    segments = _segments(segments, recording_seconds(source))
    windows = sorted((part for each in segments for part in _cut(each, window, hop)), key=lambda each: each[:2])
    prompts = [template.replace("{}", text) for template in templates for text in listed]
    wordings = encoder.encode_text(prompts).reshape(len(templates), len(listed), -1)
    shown = len(windows) > QUIET_BATCHES * batch_size if show_progress_bar is None else show_progress_bar
    embeds = np.full((3 if uncertainty else 1, len(windows), wordings.shape[-1]), np.nan, np.float32)
    problems = _embed(encoder, source, windows, embeds, batch_size, shown)
    asked = [unit_rows(wordings.mean(axis=0), "means over templates"), *wordings]
    each = np.einsum("ptd,rwd->rwpt", asked, embeds)  # (parts, windows, 1 + templates, texts)
    speakers = [one.speaker for one in windows]
    if relative:
        each -= _means(each, speakers)
    cosines = _smoothed(each[0, :, 0], windows, smooth)
    scale = encoder.logit_scale
    return Timeline(
        texts=listed,
        windows=windows,
        cosines=cosines,
        scores=probabilities(cosines, scale),
        spread=probabilities(each[:, :, 1:], scale).std(axis=(0, 2)) if uncertainty or len(templates) > 1 else None,
        problems=problems,
    )


def _embed(
    encoder: "SmoothCLAPEncoder",
    source: Recording,
    windows: Sequence[Window],
    embeds: np.ndarray,
    batch_size: int,
    show_progress_bar: bool,
) -> list[str | None]:
    """Fill `(parts, windows, width)`, of windows and maybe of their halves, where they can be heard; give problems."""
    rate = encoder.sampling_rate
    problems: list[str | None] = []
    parts = read_parts(source, [each[:2] for each in windows], rate)
    with logging.tqdm(total=len(windows), unit="window", disable=not show_progress_bar) as progress:
        for group in limited_groups(enumerate(parts), batch_size, rate):
            problems += [clip.problem.problem if clip.problem else None for _, clip in group]
            good = [(place, clip.samples) for place, clip in group if clip.samples is not None and not clip.problem]
            pieces = [(samples, *np.array_split(samples, 2)) for _, samples in good]
            for part, embedded in enumerate(embeds if good else ()):
                faults: dict[int, ClipError] = {}
                heard = encoder.encode_audio([each[part] for each in pieces], batch_size, False, 1, problems=faults)
                for number, (place, _) in enumerate(good):
                    if number not in faults:
                        embedded[place] = heard[number]
                    elif not part:
                        problems[place] = faults[number].problem
            progress.update(len(group))
    return problems


def _source(recording: Any, rate: int) -> Recording:
    """Where the samples of the recording are."""
    clips, is_one = as_clips(recording)
    if not is_one:
        raise ValueError(f"A timeline is of one recording, not of {len(clips)}: give one path, array or row.")
    clip: Any = clip_source(clips[0]) if isinstance(clips[0], Mapping) else clips[0]
    if isinstance(clip, Segment):
        raise ValueError(f"{clip} is a part of a recording: give the whole one, and the part as `segments`.")
    return (clip, rate) if hasattr(clip, "ndim") else bytes(clip) if isinstance(clip, bytearray | memoryview) else clip


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
