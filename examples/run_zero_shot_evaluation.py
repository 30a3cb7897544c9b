"""
Judges dual encoders zero-shot on corpora of emotional speech, side by side.

    python examples/run_zero_shot_evaluation.py --list
    python examples/run_zero_shot_evaluation.py --model MODEL [MODEL ...] --tasks iemocap-4 ravdess-8 --data-root FOLDER
    python examples/run_zero_shot_evaluation.py --model smoothclap-tiny --tasks ravdess-8 --data-root ravdess=FOLDER

A MODEL is a Hub id or a folder: SmoothCLAP, a converted ParaCLAP, transformers' ClapModel; smoothclap-tiny is the small
checkpoint that comes with the package. NAME=MODEL says what to call it, else a folder is called by its last part;
MODEL@REVISION says which state of the Hub is meant. A task is a name from --list or a YAML file such as
examples/configs/own_task.yaml. FOLDER holds one folder per corpus, as each is distributed; a corpus elsewhere is given
as NAME=FOLDER. The corpora need licences; --list says where to ask.

The output folder gets results.json, report.md, pictures/ and predictions.csv: what each model answered for each clip,
with the probability of its answer (score) and of the right one (true_score).
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser
from transformers.utils import logging

from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.evaluator import evaluate
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from smoothclap_trainer.evaluation.report import summary_table


@dataclass
class EvaluationArguments:
    """Which models, on what, and where to."""

    model: list[str] = field(
        default_factory=list,
        metadata={"help": "Hub ids or folders of dual encoders, as [NAME=]MODEL[@REVISION], or smoothclap-tiny."},
    )
    tasks: list[str] = field(default_factory=list, metadata={"help": "Names from --list, or YAML files."})
    data_root: list[str] = field(
        default_factory=list, metadata={"help": "A folder that holds one folder per corpus, or NAME=FOLDER, or both."}
    )
    output: str = field(default="build/zero-shot", metadata={"help": "Folder of the results (default: %(default)s)."})
    batch_size: int = field(
        default=16, metadata={"help": "Clips at a time, on which the figures do not depend (default: %(default)s)."}
    )
    seed: int = field(default=0, metadata={"help": "Of the bootstrap (default: %(default)s)."})
    bootstrap_samples: int = field(default=2000, metadata={"help": "Draws for the intervals (default: %(default)s)."})
    device: str = field(default="cpu", metadata={"help": "Where the models run, e.g. cuda (default: %(default)s)."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Whether code that comes with a checkpoint may run (default: %(default)s)."}
    )


def protocol_list() -> str:
    """What --list prints: the tasks of each corpus, and how the corpus is to be had."""
    lines = []
    for name, corpus in EMOTION_CORPORA.items():
        lines += [
            f"{corpus.title} ({name}), {corpus.language}",
            f"  licence: {corpus.licence}",
            f"  from: {corpus.ask}",
        ]
        for protocol in PROTOCOLS.values():
            if protocol.corpus == name:
                lines.append(f"  --tasks {protocol.name}: {', '.join(protocol.classes)}")
    return "\n".join(lines)


def main() -> None:
    """Read the corpora, evaluate, write, and say where the results are."""
    parser = HfArgumentParser(
        EvaluationArguments, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="Print the tasks there are, and where to ask for the data.")
    arguments, others = parser.parse_args_into_dataclasses()
    if others.list:
        print(protocol_list())
        return
    if not arguments.model or not arguments.tasks:
        parser.error("give --model and --tasks, or --list")
    output = Path(arguments.output)
    try:
        results = evaluate(
            arguments.model,
            arguments.tasks,
            data_root=arguments.data_root,
            output=output,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            bootstrap_samples=arguments.bootstrap_samples,
            device=arguments.device,
            trust_remote_code=arguments.trust_remote_code,
        )
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")
    print(summary_table(results))
    print(f"The results are in {output / 'results.json'}, the report in {output / 'report.md'}.")


if __name__ == "__main__":
    logging.set_verbosity_error()  # what the evaluator warns of is in the report
    main()
