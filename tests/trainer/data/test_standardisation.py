import numpy as np
import pandas as pd
import pytest

from smoothclap_trainer.data.functionals import Standardisation


ROWS = pd.DataFrame({"pitch": [1.0, 3.0, 5.0], "flat": [0.1, 0.1, 0.1], "gap": [1.0, None, 2.0]})


def test_by_hand():
    fitted = Standardisation.fit(ROWS, ["pitch", "flat"])
    assert fitted.columns == ("pitch",)  # a column that never varies tells nothing
    assert fitted.mean == (3.0,)
    np.testing.assert_allclose(fitted({"pitch": 5.0, "else": "text"}), [2 / np.sqrt(8 / 3)], rtol=1e-6)


def test_saved_and_loaded_is_the_same(tmp_path):
    fitted = Standardisation.fit(ROWS, ["pitch"])
    fitted.save(tmp_path / "file.json")
    assert Standardisation.load(tmp_path / "file.json") == fitted


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["pitch", "none"], r"lack the functionals \['none'\]"),
        (["gap"], r"\['gap'\] have missing"),
        (["flat"], "None of 1"),
    ],
)
def test_what_cannot_be_standardised(columns, message):
    with pytest.raises(ValueError, match=message):
        Standardisation.fit(ROWS, columns)
