"""
Fits acoustic contexts and a classifier from text alone, and judges them on speech: CLEP-DG's stages 2 and 3.

    python examples/run_clep_dg.py examples/configs/clep_dg.yaml

The configuration names a dual encoder, such as what examples/configs/clep.yaml trains (stage 1), and the corpora. Its
output folder gets results.json, report.md with its plots, the fitted contexts, and the classifier. A run that was
interrupted goes on with the contexts that it had fitted.

Plots need the extra `plots`, acoustic conditions the extra `acoustics`:

    pip install -c constraints.txt -e ".[acoustics,plots]"
"""

import argparse
import sys
from pathlib import Path

from transformers.utils import logging

from smoothclap_trainer.clep_dg.experiment import fit_clep_dg
from smoothclap_trainer.clep_dg.report import generalisation_table
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml


def main() -> None:
    """Read the configuration, run, write, and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="YAML file; examples/configs/clep_dg.yaml says what it holds.")
    arguments = parser.parse_args()
    try:
        settings = read_yaml(arguments.config, ExperimentSettings)
        results = fit_clep_dg(settings)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")
    output = Path(settings.output)
    if results.generalisation:
        print(f"UAR, leave one corpus out:\n\n{generalisation_table(results)}")
    print(
        f"The results are in {output / 'results.json'}, the report is {output / 'report.md'}; the classifier and the "
        "contexts are next to them."
    )


if __name__ == "__main__":
    logging.set_verbosity_error()  # of the library; this project's own warnings are shown
    main()
