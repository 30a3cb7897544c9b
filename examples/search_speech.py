"""Find speech by description, and descriptions for speech, over a folder of clips that is indexed once.

    python examples/search_speech.py index FOLDER --texts descriptions.txt
    python examples/search_speech.py find "a low voice" "fast speech" --k 5
    python examples/search_speech.py describe CLIP.wav

To index a folder again embeds only what is new in it. An index is of one folder; others need an --index of their own.
Clips are wav, flac, mp3 or ogg files.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPEncoder
from smoothclap_trainer.search import INDEX_FILE, SpeechIndex


def parse_arguments() -> argparse.Namespace:
    """What to do: `index`, `find` or `describe`, and with what."""
    shared = argparse.ArgumentParser(add_help=False)
    place = Path("build/speech-index")
    shared.add_argument("--index", type=Path, default=place, help="folder of the index (default: %(default)s)")
    add(shared, "trust-remote-code", action="store_true", help="let a checkpoint run code of its own")
    shared.add_argument("--device", default="cpu", help="where the model runs: cpu, cuda, ... (default: %(default)s)")
    query = argparse.ArgumentParser(add_help=False)
    query.add_argument("--model", help="where the index's checkpoint is now, if it has moved")
    query.add_argument("--folder", type=Path, help="where the clips are now, if they have moved apart from the index")
    query.add_argument("--k", type=int, default=10, help="how many answers to give (default: %(default)s)")
    backends = {"choices": ["numpy", "faiss"], "default": "numpy"}
    query.add_argument("--backend", **backends, help="what searches (default: %(default)s)")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    index = tasks.add_parser("index", parents=[shared], help="embed a folder of clips, or what is new in it")
    index.add_argument("folder", type=Path, help="searched with the folders below it")
    index.add_argument("--model", default=SMOOTHCLAP_TINY, help="checkpoint (default: smoothclap-tiny)")
    index.add_argument("--texts", type=Path, help="text file of descriptions for `describe`, one a line")
    policies = {"choices": ["raise", "skip"], "default": "raise"}
    add(index, "bad-clips", **policies, help="refuse them or leave them out (default: %(default)s)")
    add(index, "batch-size", type=int, default=16, help="clips that are embedded together (default: %(default)s)")
    add(index, "num-workers", type=int, default=2, help="threads that read files (default: %(default)s)")
    find = tasks.add_parser("find", parents=[shared, query], help="text to speech: clips that fit a description")
    find.add_argument("texts", nargs="+", metavar="TEXT", help="a description")
    describe = tasks.add_parser(
        "describe", parents=[shared, query], help="speech to text: descriptions that fit a clip"
    )
    describe.add_argument("clips", nargs="+", metavar="CLIP", help="an audio file, of the index or not")
    return parser.parse_args()


def add(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """An option that may be written with - or _, as those of training may."""
    parser.add_argument(f"--{name}", f"--{name.replace('-', '_')}", **options)


def build(arguments: argparse.Namespace) -> None:
    """Index a folder, from what was known of it before."""
    encoder = SmoothCLAPEncoder.from_pretrained(
        arguments.model, arguments.device, trust_remote_code=arguments.trust_remote_code
    )
    earlier = None
    if (arguments.index / INDEX_FILE).is_file():
        earlier = SpeechIndex.load(arguments.index, encoder)
    index = SpeechIndex.build(
        encoder,
        arguments.folder,
        read_texts(arguments.texts) if arguments.texts else None,
        arguments.bad_clips,
        earlier,
        arguments.batch_size,
        arguments.num_workers,
    )
    index.save(arguments.index)
    for bad in index.left_out:
        print(f"left out: {bad.name!r}: {bad.problem} ({bad.detail})")
    new, gone = len(index.clips), 0
    if earlier is not None:
        known = set(earlier.clips.values())
        new = sum(digest not in known for digest in index.clips.values())
        gone = len(earlier.clips.keys() - index.clips.keys())
    counts = f"{len(index.clips)} clips ({new} new, {gone} no longer there), {len(index.texts)} texts"
    print(f"{arguments.index}: {counts}, folder {arguments.folder}")


def read_texts(path: Path) -> list[str]:
    """The lines of a text file that are not blank."""
    try:
        texts = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as UTF-8 text: {error}") from error
    if not texts:
        raise ValueError(f"{str(path)!r} holds no texts; write one description a line.")
    return texts


def search(arguments: argparse.Namespace) -> None:
    """Look up texts or clips in an index, and print what fits each, the best first."""
    index = SpeechIndex.load(
        arguments.index, arguments.model, arguments.folder, arguments.trust_remote_code, arguments.device
    )
    if arguments.task == "find":
        queries, answers = arguments.texts, index.find_clips(arguments.texts, arguments.k, arguments.backend)
    else:
        queries, answers = arguments.clips, index.find_texts(arguments.clips, arguments.k, arguments.backend)
    for query, found in zip(queries, answers, strict=True):
        print(f"\n{query}")
        for answer, cosine in found:
            print(f"  {cosine:6.3f}  {answer}")


def main() -> None:
    """Index or search."""
    arguments = parse_arguments()
    try:
        (build if arguments.task == "index" else search)(arguments)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
