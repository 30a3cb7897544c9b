"""What there is to compare."""

import pytest

from smoothclap_trainer.clep_dg.acpt import ACPTSettings
from smoothclap_trainer.clep_dg.methods import CLEP_DG, CONTEXT_FREE, METHODS, context_bank
from tests.trainer.clep_dg import encoders
from tests.trainer.clep_dg.encoders import NAMES, SHORT


def test_names_are_unique_and_clep_dg_comes_last():
    assert len({method.name for method in METHODS}) == len({method.title for method in METHODS}) == 7
    assert METHODS[-1] is CLEP_DG


def test_of_a_method_without_contexts_there_is_no_bank(tmp_path):
    with pytest.raises(ValueError, match="'context-free' has no contexts"):
        context_bank(CONTEXT_FREE, encoders.encoder(), SHORT, NAMES, ACPTSettings(), tmp_path)
