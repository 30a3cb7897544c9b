"""The figures of model_card.md are those that the training script measured and the checkpoint carries."""

import re
from pathlib import Path

import pandas as pd

from modeling_smoothclap import SMOOTHCLAP_TINY


CARD = Path(__file__).parents[1] / "model_card.md"
CORPORA = ("fillets-cs", "fillets-nl", "drascula")
FIGURE = r" (\d\.\d\d) \((\d\.\d\d)-(\d\.\d\d)\) \|"
ROW = re.compile(r'^\| ([a-z ]+) \| "([^"]+)" / "([^"]+)" \|' + 3 * FIGURE + "$", re.M)


def test_every_measured_figure_is_in_the_card_and_no_other():
    table = pd.read_csv(Path(SMOOTHCLAP_TINY) / "attributes.csv")
    measured = {
        (row.attribute, row.high, row.low, row.corpus): (row.auc, row.interval_low, row.interval_high)
        for row in table.itertuples()
    }
    stated = {}
    for attribute, high, low, *figures in ROW.findall(CARD.read_text()):
        for index, corpus in enumerate(CORPORA):
            stated[attribute, high, low, corpus] = tuple(map(float, figures[3 * index : 3 * index + 3]))
    assert stated == {key: tuple(round(value, 2) for value in values) for key, values in measured.items()}


def test_the_checkpoint_is_small():
    size = sum(path.stat().st_size for path in Path(SMOOTHCLAP_TINY).iterdir())
    assert size <= 25_000_000


def test_the_checkpoint_says_how_it_was_made():
    made = {"training_config.yaml", "training_log.yaml", "provenance.json", "thresholds.json", "text_tower.json"}
    assert made <= {path.name for path in Path(SMOOTHCLAP_TINY).iterdir()}
