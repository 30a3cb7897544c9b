"""
Speaks sentences in seven graded emotions with espeak-ng and builds a labelled, synthetic `datasets` dataset.

    python examples/recipes/build_expressive_speech.py --output build/expressive
    python examples/recipes/build_expressive_speech.py --trial --output build/expressive-trial
"""

import os
from dataclasses import dataclass, field

import pandas as pd
from expressive.build import acoustic_summary, build_expressive
from expressive.espeak import find_espeak
from speech.dataset import summarise
from transformers import HfArgumentParser
from transformers.utils import logging

from smoothclap_trainer.files import held


@dataclass
class ExpressiveArguments:
    """What to build and where."""

    output: str = field(default="build/expressive", metadata={"help": "Folder of the dataset."})
    cache: str = field(default="build/cache", metadata={"help": "Folder for packages and computed functionals."})
    trial: bool = field(default=False, metadata={"help": "Build only a few clips of every split."})
    num_workers: int = field(
        default=os.cpu_count() or 1,
        metadata={"help": "Threads that speak and processes that compute functionals; all cores by default."},
    )


def main(arguments: ExpressiveArguments) -> None:
    """Finds espeak-ng, builds, and prints what came out."""
    logging.set_verbosity_info()
    try:
        with held(arguments.output):
            splits = build_expressive(
                find_espeak(os.path.join(arguments.cache, "packages")),
                arguments.output,
                os.path.join(arguments.cache, "functionals"),
                num_workers=arguments.num_workers,
                trial=arguments.trial,
            )
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    print(summarise(splits).to_string(index=False))
    for corpus, part in pd.concat(splits.values()).groupby("corpus"):
        print(f"\n{corpus}, all {len(part)} clips:")
        print(acoustic_summary(part).round(3).to_string(index=False))
    print(
        f"\nAll of it is synthetic. The dataset is in {arguments.output}; load it with "
        "load_splits of examples/recipes/speech/dataset.py."
    )


if __name__ == "__main__":
    main(HfArgumentParser(ExpressiveArguments).parse_args_into_dataclasses()[0])
