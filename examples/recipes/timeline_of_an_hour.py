#!/usr/bin/env python
"""
An hour of real speech with known changes of voice: are they found, and how much memory does it take?

    python examples/recipes/build_speech_dataset.py --output build/speech
    python examples/recipes/timeline_of_an_hour.py build/speech --output docs/recordings

Two voices of a game, one low and one high, take turns of one to three minutes; their clips are joined in random order,
and come again when all were used. `smoothclap timeline` scores "a low voice" against "a high voice" in a process of its
own. A change is where the better of the two changes. The command's defaults are used, and ten seconds of smoothing.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from modeling_smoothclap.audio_smoothclap import read_audio
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.files import held, write_text
from smoothclap_trainer.plotting import COLOURS, canvas


RATE = 16000
LABELS = ("a low voice", "a high voice")
SMOOTH = 10
PITCH = "F0semitoneFrom27.5Hz_sma3nz_amean"


def two_voices(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the clips of the two speakers with the most clips, those of the lower voice first."""
    speakers = rows["speaker"].value_counts().index[:2]
    if len(speakers) < 2:
        raise ValueError("There are no two speakers in these clips.")
    low, high = sorted(speakers, key=lambda each: rows.loc[rows["speaker"] == each, PITCH].median())
    return rows[rows["speaker"] == low], rows[rows["speaker"] == high]


def endless(rows: pd.DataFrame, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the waveforms of clips in random order, again and again."""
    while True:
        for place in rng.permutation(len(rows)):
            yield read_audio(rows["path"].iloc[place], RATE)


def write_recording(rows: pd.DataFrame, seconds: float, path: Path, seed: int) -> list[float]:
    """Write the recording clip by clip, and return the seconds at which the voice changes."""
    rng = np.random.default_rng(seed)
    voices = [endless(each, rng) for each in two_voices(rows)]
    changes, written, turn = [], 0, 0
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        while written < seconds * RATE:
            if turn:
                changes.append(written / RATE)
            end = written + rng.uniform(60, 180) * RATE
            while written < min(end, seconds * RATE):
                samples = next(voices[turn % 2])
                file.write(samples)
                written += len(samples)
            turn += 1
    return changes


def found_changes(table: pd.DataFrame) -> np.ndarray:
    """Return the middle between each two windows that differ in the better description."""
    heard = table[table["best"].notna()]
    middles = ((heard["start"] + heard["end"]) / 2).to_numpy()
    places = np.flatnonzero(heard["best"].to_numpy()[1:] != heard["best"].to_numpy()[:-1])
    return (middles[places] + middles[places + 1]) / 2


def draw(table: pd.DataFrame, changes: list[float], path: Path) -> None:
    """Draw the score of the high voice, and shade where it does speak."""
    with canvas(10, 3.2, "", path) as figure:
        axes = figure.subplots()
        ends = [*changes, float(table["end"].iloc[-1])]
        for start, end in zip(ends[::2], ends[1::2], strict=False):
            axes.axvspan(start / 60, end / 60, color=COLOURS[4], alpha=0.35, linewidth=0)
        axes.plot((table["start"] + table["end"]) / 120, table[LABELS[1]], color=COLOURS[0], linewidth=0.8)
        axes.set(xlabel="minutes", ylabel=f'score of "{LABELS[1]}"', ylim=(0, 1), xlim=(0, ends[-1] / 60))
        axes.set_title("shaded: the high voice speaks", loc="left", fontsize="medium")


def main() -> None:
    """Build, run, compare, and write `hour.md` and `hour.png`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", help="Clips with path, corpus, speaker and openSMILE's pitch.")
    parser.add_argument("--corpus", default="fillets-cs", help="Corpus of the test split.")
    parser.add_argument("--minutes", type=float, default=60, help="Length of the recording.")
    parser.add_argument("--model", default="smoothclap-tiny", help="Hub id or folder of a checkpoint.")
    parser.add_argument("--seed", type=int, default=0, help="Of turns and clips.")
    parser.add_argument("--output", type=Path, default=Path("build/hour"), help="Folder of the results.")
    arguments = parser.parse_args()
    with held(arguments.output), tempfile.TemporaryDirectory() as scratch:
        rows = load_manifest(arguments.manifest)["test"].with_format(None).to_pandas()
        recording, table = Path(scratch) / "hour.flac", Path(scratch) / "hour.csv"
        rows = rows[rows["corpus"] == arguments.corpus]
        changes = write_recording(rows, 60 * arguments.minutes, recording, arguments.seed)
        command = [sys.executable, "-m", "smoothclap_trainer.cli", "timeline", str(recording), "--labels", *LABELS]
        command += ["--output", str(table), "--smooth", str(SMOOTH), "--model", arguments.model]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # GiB; Linux counts in KiB
        scored = pd.read_csv(table)
        found = found_changes(scored)
        errors = np.array([np.abs(found - each).min(initial=np.inf) for each in changes])
        text = (
            "| | |\n|---|---:|\n"
            f"| minutes of speech | {scored['end'].iloc[-1] / 60:.1f} |\n"
            f"| windows | {len(scored)} |\n"
            f"| changes of voice | {len(changes)} |\n"
            f"| changes found | {len(found)} |\n"
            f"| seconds from a change to the nearest one found, median | {np.median(errors):.1f} |\n"
            f"| the same, largest | {errors.max():.1f} |\n"
            f"| largest memory of the process, GiB | {peak:.2f} |\n"
            f"| seconds that it took | {seconds:.0f} |\n"
        )
        write_text(arguments.output / "hour.md", text)
        draw(scored, changes, arguments.output / "hour.png")
    print(text)


if __name__ == "__main__":
    main()
