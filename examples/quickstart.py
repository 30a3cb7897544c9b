"""Rank descriptions of a voice for one clip, with the small checkpoint that comes with the package.

Usage: python examples/quickstart.py [CLIP] [--labels "a low voice" "a high voice"] [--model DIR_OR_HUB_ID]

CLIP is any wav, flac, mp3 or ogg file. Without one, a real clip is fetched (LibriVox, public domain, from Debian's
`pocketsphinx-testdata`); where that cannot be had, a synthetic one is made and marked as such.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile as sf
from speech.packages import fetch_package
from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer, pipeline
from transformers.audio_utils import load_audio

from modeling_smoothclap import SMOOTHCLAP_TINY


LABELS = [
    "a low voice, slow speech",
    "a low voice, fast speech",
    "a high voice, slow speech",
    "a high voice, fast speech",
    "eine tiefe Stimme, langsames Sprechen",
    "eine tiefe Stimme, schnelles Sprechen",
    "eine hohe Stimme, langsames Sprechen",
    "eine hohe Stimme, schnelles Sprechen",
]
"""Two opposites, combined: scores compare descriptions with each other, so all should speak of the same things."""
DEMO_FOLDER = Path("build/demo")
REAL_CLIP = "usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0880.wav"


def demo_clip() -> Path:
    """A real clip if the package index can be reached, else a synthetic one."""
    try:
        clip = fetch_package("pocketsphinx-testdata", DEMO_FOLDER).root / REAL_CLIP
        if not clip.is_file():
            raise ValueError(f"the package holds no {REAL_CLIP}")
        print("No clip given: taking three seconds of a LibriVox reading (real speech, public domain).")
    except ValueError as error:
        clip = DEMO_FOLDER / "synthetic.wav"
        clip.parent.mkdir(parents=True, exist_ok=True)
        sf.write(clip, synthetic_voice(), 16000)
        print(f"No clip given, and none could be fetched ({error}).")
        print("Taking a SYNTHETIC clip, a buzz with vowel-like formants: its ranking says little about speech.")
    return clip


def synthetic_voice(seconds: float = 2.0, rate: int = 16000) -> np.ndarray:
    """A vowel-like buzz of falling pitch, from 140 to 100 Hz: a sum of harmonics under three formants."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = np.linspace(140, 100, len(time))  # Hz
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = np.zeros(len(time))
    for harmonic in range(1, 30):
        frequency = harmonic * pitch
        gain = sum(np.exp(-(((frequency - formant) / 150) ** 2)) for formant in (700, 1200, 2600))
        voice += gain * np.sin(harmonic * phase)
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)  # four a second
    return (0.1 * syllables * voice / np.abs(voice).max()).astype(np.float32)


def save_chart(ranking: list[dict], title: str, path: Path) -> None:
    """Write a bar chart of the scores."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    labels = [entry["label"] for entry in reversed(ranking)]
    scores = [entry["score"] for entry in reversed(ranking)]
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.4 * len(labels)), layout="constrained")
    bars = axes.barh(labels, scores, color="#4c72b0")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(title=title, xlabel="score (softmax over these descriptions)", xlim=(0, 1.1 * max(scores)))
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Load, rank, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, help="wav, flac, mp3 or ogg file")
    parser.add_argument("--labels", nargs="+", default=LABELS, help="descriptions to rank, in any language")
    parser.add_argument("--model", default=SMOOTHCLAP_TINY, help="checkpoint; default: smoothclap-tiny")
    parser.add_argument("--chart", type=Path, default=DEMO_FOLDER / "ranking.png", help="where the bar chart goes")
    arguments = parser.parse_args()
    if arguments.clip is not None and not arguments.clip.is_file():
        sys.exit(f"{arguments.clip} is no file. Give the path of a wav, flac, mp3 or ogg file.")
    if files := [label for label in arguments.labels if Path(label).is_file()]:
        sys.exit(f"{files[0]} is a file, not a description. Put the clip first: quickstart.py {files[0]} --labels ...")

    try:
        model = AutoModel.from_pretrained(arguments.model)
        extractor = AutoFeatureExtractor.from_pretrained(arguments.model)
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    except (OSError, ValueError) as error:
        sys.exit(f"{arguments.model} could not be loaded as a checkpoint: {error}")
    task = "zero-shot-audio-classification"
    classifier = pipeline(task, model=model, feature_extractor=extractor, tokenizer=tokenizer)
    path = arguments.clip or demo_clip()
    try:
        clip = load_audio(str(path), sampling_rate=extractor.sampling_rate)
    except Exception as error:
        sys.exit(f"{path} could not be read as audio ({error}). Give a wav, flac, mp3 or ogg file.")
    try:
        ranking = classifier(clip, candidate_labels=arguments.labels, hypothesis_template="{}")
    except ValueError as error:
        sys.exit(f"{path} could not be judged: {error}")

    print(f"\n{path} ({len(clip) / extractor.sampling_rate:.1f} s)")
    width = max(len(entry["label"]) for entry in ranking)
    for entry in ranking:
        print(f"  {entry['label']:<{width}}  {entry['score']:.3f}")
    save_chart(ranking, path.name, arguments.chart)
    print(f"\nBar chart: {arguments.chart}")
    print('Next: python examples/quickstart.py YOUR_CLIP.wav --labels "a lively voice" "a monotone voice"')


if __name__ == "__main__":
    main()
