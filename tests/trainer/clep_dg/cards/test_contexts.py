"""The card of a context bank says what it is and is of, and how it is loaded."""

import copy
import re

from huggingface_hub import ModelCard

from smoothclap_trainer.clep_dg.acpt import ACPTSettings, fit_contexts, untrained_bank
from smoothclap_trainer.clep_dg.cards.contexts import contexts_card
from tests import tiny
from tests.trainer.clep_dg import encoders


SETTINGS = ACPTSettings(num_contexts=3, context_length=2, steps=1)


def test_a_fitted_bank_says_what_it_is(tmp_path):
    encoder = encoders.encoder()
    bank = fit_contexts(encoder, encoders.SHORT, ["sad", "wütend"], SETTINGS, tmp_path)
    text = re.sub(r"\s+", " ", contexts_card(bank.record))
    assert "3 acoustic contexts (K x M x D: 3 x 2 x 24)" in text and "after PromptStyler" in text
    assert "- Joint: `{emotion} in a <ctx> room`" in text
    assert "They were fitted with the classes `sad`, `wütend`: num_contexts 3, context_length 2, steps 1," in text
    for part in ("encoder", "tokenizer"):
        assert f"- SHA-256 of the {part}: `{encoder.fingerprints[part]}`" in text
    data = ModelCard(contexts_card(bank.record)).data
    assert data.tags == ["smoothclap", "clep-dg"]
    assert "license" not in data.to_dict()


def test_of_random_ones_nothing_is_said_to_be_fitted():
    text = contexts_card(untrained_bank(encoders.encoder(), encoders.SHORT, SETTINGS).record)
    assert "They are random: nothing was fitted." in text and "fitted with" not in text


def test_the_lines_of_use_load_it(tmp_path):
    bank = untrained_bank(encoders.encoder(), encoders.SHORT, SETTINGS)
    bank.save_pretrained(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(encoding="utf-8"), re.S)
    there = {"model": encoders.model(), "tokenizer": copy.deepcopy(tiny.tokenizer())}
    exec(code.replace("user/name", str(tmp_path)), there)
    assert there["bank"].record == bank.record
