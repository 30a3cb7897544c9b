"""The committed cards are what the files of the checkpoint give, and their results are those that were measured."""

import importlib.util
import re
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from modeling_smoothclap import SMOOTHCLAP_TINY


ROOT = Path(__file__).parents[1]
CARD = ROOT / "model_card.md"
RESULT = re.compile(r"(\d\.\d\d) \((\d\.\d\d)-(\d\.\d\d)\)")
ROW = re.compile(r'^\| ([a-z ]+) \| "([^"]+)" / "([^"]+)"(?:, held out)? \|(.*)\|$', re.M)
COLUMNS = re.compile(r"^\| attribute \| texts \|(.*)\|$", re.M)


def written_now() -> dict[Path, str]:
    """Both cards of the shipped checkpoint, written from scratch, by path."""
    recipe = ROOT / "examples" / "recipes" / "write_shipped_cards.py"
    spec = importlib.util.spec_from_file_location("write_shipped_cards", recipe)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.shipped_cards()


def test_the_committed_cards_are_what_the_checkpoint_gives():
    now = written_now()
    assert set(now) == {CARD, Path(SMOOTHCLAP_TINY) / "README.md"}
    for path, text in now.items():
        assert not path.is_symlink()
        assert path.read_bytes() == text.encode(), f"{path.name} is stale: run make card"


def test_every_measured_result_is_in_the_card_and_no_other():
    table = pd.read_csv(Path(SMOOTHCLAP_TINY) / "attributes.csv")
    measured = {
        (row.attribute, row.high, row.low, row.corpus): (row.auc, row.interval_low, row.interval_high)
        for row in table.itertuples()
    }
    text = CARD.read_text()
    (columns,) = COLUMNS.findall(text)
    corpora = [column.split(",")[0].strip() for column in columns.split("|")]
    stated = {}
    for attribute, high, low, cells in ROW.findall(text):
        for corpus, cell in zip(corpora, cells.split("|"), strict=True):
            if found := RESULT.match(cell.strip()):
                stated[attribute, high, low, corpus] = tuple(map(float, found.groups()))
    assert stated == {key: tuple(round(value, 2) for value in values) for key, values in measured.items()}


def test_the_hub_reads_the_results_of_the_test_split():
    table = pd.read_csv(Path(SMOOTHCLAP_TINY) / "attributes.csv").query("split == 'test' and held_out == False")
    measured = {
        (row.corpus, f'AUC of {row.attribute}: "{row.high}" / "{row.low}"'): row.auc for row in table.itertuples()
    }
    results = ModelCard(CARD.read_text()).data.eval_results
    found = {
        (each.dataset_name, each.metric_name): each.metric_value for each in results if each.metric_type == "roc_auc"
    }
    assert found == measured


@pytest.mark.parametrize(
    "fact",
    [
        "It does not recognise emotions of real voices",
        *("10,593 clips", "3,320 steps, 20 epochs", "400 held-out"),
        *("92% (English to German)", "94% (German to English)", "`drascula`, `expressive-synthetic-en`, `queen`"),
        *("The test clips are not untouched", "Not for judging people", "Expressed, not felt"),
    ],
)
def test_a_reader_finds_what_is_needed_to_judge_it(fact):
    assert fact in re.sub(r"\*\*|\s+", lambda found: " " if found.group().isspace() else "", CARD.read_text())


def test_the_checkpoint_is_small():
    size = sum(path.stat().st_size for path in Path(SMOOTHCLAP_TINY).rglob("*") if path.is_file())
    assert size <= 30_000_000


def test_the_checkpoint_says_how_it_was_made():
    made = {"training_config.yaml", "training_log.yaml", "provenance.json", "thresholds.json", "text_tower.json"}
    made |= {"data.json", "objective.json", "notes.md"}
    assert made <= {path.name for path in Path(SMOOTHCLAP_TINY).iterdir()}
