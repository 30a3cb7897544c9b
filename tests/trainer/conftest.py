"""What tests of several rooms need."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figure(monkeypatch) -> list[Figure]:
    """Gets the figures that are saved, which have the objects that pixels no longer tell apart."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *arguments, **options):
        save(self, *arguments, **options)
        saved.append(self)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved
