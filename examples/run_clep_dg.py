"""
Fits acoustic contexts and a classifier from text alone, and judges them on speech: CLEP-DG's stages 2 and 3.

    python examples/run_clep_dg.py examples/configs/clep_dg.yaml

The configuration names a dual encoder, such as what examples/configs/clep.yaml trains (stage 1), and the corpora. Its
output folder gets results.json, report.md with its pictures, the fitted contexts, and the classifier. A run that was
interrupted goes on with the contexts that it had fitted.

Pictures need the extra `plots`, acoustic conditions the extra `acoustics`:

    pip install -c constraints.txt -e ".[acoustics,plots]"
"""

import argparse
import sys
from pathlib import Path

from transformers.utils import logging

from smoothclap_trainer.clep_dg.experiment import run_experiment
from smoothclap_trainer.clep_dg.report import generalisation_table, write_report
from smoothclap_trainer.clep_dg.settings import GENERALISATION, ExperimentSettings
from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.files import write_json
from smoothclap_trainer.plotting import check_matplotlib


def main() -> None:
    """Read the configuration, run, write, and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="YAML file; examples/configs/clep_dg.yaml says what it holds.")
    arguments = parser.parse_args()
    try:
        settings = read_yaml(arguments.config, ExperimentSettings)
        check_matplotlib()  # before the long work
        output = Path(settings.output)
        results = run_experiment(settings)
        write_json(output / "results.json", results)
        report = write_report(results, output)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")
    if results[GENERALISATION]:
        print(f"UAR, leave one corpus out:\n\n{generalisation_table(results)}")
    print(
        f"The figures are in {output / 'results.json'}, the report in {report}, the classifier and the contexts beside."
    )


if __name__ == "__main__":
    logging.set_verbosity_error()  # of the library; this project's own warnings are shown
    main()
