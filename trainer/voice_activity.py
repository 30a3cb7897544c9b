"""Where somebody speaks in a recording, by silero-vad, whose package carries its model (MIT)."""

from pathlib import Path

import torch
from tqdm.auto import tqdm

from modeling_smoothclap import Window
from modeling_smoothclap.audio_smoothclap import Segment, audio_duration, read_audio


RATE = 16000
BLOCK = 300.0
"""Seconds that are in memory at a time."""
GAP = 0.1
"""Seconds of silence that silero-vad needs between two segments; less than this at the end of a block joins them."""


def voice_segments(recording: str | Path, block: float = BLOCK) -> list[Window]:
    """
    Return when somebody speaks.

    Args:
        recording (`str` or `Path`): An audio file of any length.
        block (`float`, defaults to 300): Seconds that are decoded at a time.

    Raises:
        ImportError: if silero-vad is not installed.
        ValueError: if the recording cannot be read, or nobody speaks in it.
    """
    find, model = _silero()
    whole = None if audio_duration(recording) is not None else read_audio(recording, RATE)
    source = recording if whole is None else (whole, RATE)
    seconds = audio_duration(source) or 0.0
    found: list[Window] = []
    with tqdm(total=round(seconds), desc="finding voices", unit="s", disable=seconds <= block) as progress:
        start = 0.0
        while start < seconds:
            end = min(start + block, seconds)
            samples = torch.from_numpy(read_audio(Segment(source, start, end), RATE))
            for each in find(samples, model, sampling_rate=RATE):
                window = Window(start + each["start"] / RATE, min(start + each["end"] / RATE, seconds))
                if found and start and window.start - found[-1].end < GAP:
                    window = Window(found.pop().start, window.end)
                found.append(window)
            progress.update(round(end) - round(start))
            start = end
    if not found:
        raise ValueError(f"Nobody speaks in {str(recording)!r}, as far as silero-vad hears.")
    return found


def _silero() -> tuple:
    """Return silero's function and model. Its import sets torch to one thread, which is undone."""
    threads = torch.get_num_threads()
    try:
        from silero_vad import get_speech_timestamps, load_silero_vad
    finally:
        torch.set_num_threads(threads)
    return get_speech_timestamps, load_silero_vad()
