"""
Fetches openly licensed acted speech from Debian packages and builds a `datasets` dataset with eGeMAPS functionals.

    python examples/recipes/build_speech_dataset.py --output build/speech
    python examples/recipes/build_speech_dataset.py --limit 20 --output build/speech-trial
"""

import os
from dataclasses import dataclass, field

from speech.build import build_dataset
from speech.corpora import CORPORA
from speech.dataset import summarise
from speech.packages import fetch_package
from transformers import HfArgumentParser
from transformers.utils import logging

from smoothclap_trainer.files import held


@dataclass
class BuildArguments:
    """What to build and where."""

    output: str = field(default="build/speech", metadata={"help": "Folder of the dataset."})
    cache: str = field(default="build/cache", metadata={"help": "Folder for packages and computed functionals."})
    corpora: list[str] = field(
        default_factory=lambda: list(CORPORA), metadata={"help": f"Corpora to take, of: {', '.join(CORPORA)}."}
    )
    limit: int | None = field(default=None, metadata={"help": "Take only this many clips of each corpus."})
    num_workers: int = field(
        default=os.cpu_count() or 1, metadata={"help": "Processes that compute functionals; all cores by default."}
    )


def main(arguments: BuildArguments) -> None:
    """Fetches, builds, and prints what came out."""
    logging.set_verbosity_info()
    unknown = [name for name in arguments.corpora if name not in CORPORA]
    if unknown:
        raise SystemExit(f"unknown corpora {unknown}; there are: {', '.join(CORPORA)}")
    specs = [CORPORA[name] for name in arguments.corpora]
    names = dict.fromkeys(name for spec in specs for name in spec.packages)
    try:
        packages = {
            name: fetch_package(name, os.path.join(arguments.cache, "packages"))
            for name in logging.tqdm(names, desc="packages", unit="package")
        }
        with held(arguments.output):
            splits, dropped = build_dataset(
                specs,
                packages,
                arguments.output,
                os.path.join(arguments.cache, "functionals"),
                limit=arguments.limit,
                num_workers=arguments.num_workers,
            )
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    print(summarise(splits).to_string(index=False))
    if len(dropped):
        corpus = dropped["id"].str.split("/").str[0].rename("corpus")
        print("\ndropped:")
        print(dropped.groupby([corpus, "reason"]).size().rename("clips").reset_index().to_string(index=False))
    print(f"\nThe dataset is in {arguments.output}; load it with load_splits of examples/recipes/speech/dataset.py.")


if __name__ == "__main__":
    main(HfArgumentParser(BuildArguments).parse_args_into_dataclasses()[0])
