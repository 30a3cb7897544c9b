"""Files that a block of a page finds in its folder if `<!-- given: NAME -->` is on the line before it."""

import csv
import shutil
from pathlib import Path

import soundfile

from modeling_smoothclap import DEMO_CLIPS, SMOOTHCLAP_TINY


PIECES = 6  # of each of the two clips, half a second each
SPLITS = ("train", "train", "train", "train", "validation", "test")
TRAINING = """\
dataset: clips.csv
captions: given
model: smoothclap-tiny
targets: [local_features]
per_device_train_batch_size: 4
max_steps: 2
report_attributes: false
report_to: none
cache_dir: cache
output_dir: my-model
"""
TASK = """\
name: low-or-high
title: Low or high
corpus: demo
manifest: clips.csv
split: all
label_column: label
language: en
licence: CC BY-SA 3.0
words: {low: a low voice, high: a high voice}
"""
EXPERIMENT = """\
encoder: smoothclap-tiny
corpora:
  - {name: demo, manifest: clips.csv, split: all, label_column: label, language: en, licence: CC BY-SA 3.0}
words: {low: low, high: high}
templates:
  context: a voice recorded in a <ctx> acoustic environment
  joint: a {emotion} voice recorded in a <ctx> acoustic environment
  content: a {emotion} voice
acpt: {num_contexts: 2, steps: 2}
classifier: {epochs: 2, batch_size: 2}
seeds: [0]
protocols: [generalisation]
output: my-experiment
"""
FILES = {"training.yaml": TRAINING, "task.yaml": TASK, "experiment.yaml": EXPERIMENT}
FILES |= {"descriptions.txt": "a low voice\na high voice\n"}


def speech(folder: Path) -> None:
    """Put a dozen short clips into `clips/`, and next to it their table, descriptions and three YAML files."""
    (folder / "clips").mkdir()
    rows = []
    for clip, voice in zip(DEMO_CLIPS, ("low", "high"), strict=True):
        samples, rate = soundfile.read(clip)
        length = len(samples) // PIECES
        for number, split in enumerate(SPLITS):
            path, piece = f"clips/{voice}-{number}.wav", samples[number * length : (number + 1) * length]
            soundfile.write(folder / path, piece, rate)
            rows.append([path, f"a {voice} voice", voice, f"{voice}-{number}", "demo", "en", split])
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "caption", "label", "speaker", "corpus", "language", "split"], *rows])
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")


def model(folder: Path) -> None:
    """Put a checkpoint into `my-model/`, with files in place of the links to the package's code."""
    shutil.copytree(SMOOTHCLAP_TINY, folder / "my-model")


GIVEN = {"speech": speech, "model": model}
