import pytest

from smoothclap_trainer.config import did_you_mean


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alx-2", "did you mean 'alc-2'?"),
        ("Fau", "did you mean 'fau-aibo-2' or 'fau-aibo-5'?"),
        ("alc-2", "did you mean 'alc-2'?"),
        ("something else", None),
        ("", None),
    ],
)
def test_names_that_are_almost_right(name, expected):
    assert did_you_mean(name, iter(["alc-2", "fau-aibo-2", "fau-aibo-5"])) == expected
