"""
Writes the model card of smoothclap-tiny again, next to its weights and as model_card.md at the root of the repository.

    python examples/recipes/write_shipped_cards.py
"""

from pathlib import Path

from modeling_smoothclap import SMOOTHCLAP_TINY
from smoothclap_trainer.files import write_text
from smoothclap_trainer.hub.card import model_card


ROOT = Path(__file__).parents[2]


def shipped_cards() -> dict[Path, str]:
    """Return both cards by path. They differ in where their plots are."""
    folder = Path(SMOOTHCLAP_TINY)
    opening = "from modeling_smoothclap import SMOOTHCLAP_TINY as checkpoint"
    places = {folder / "README.md": "", ROOT / "model_card.md": f"{folder.relative_to(ROOT).as_posix()}/"}
    return {path: model_card(folder, opening=opening, folder_url=url) for path, url in places.items()}


if __name__ == "__main__":
    for path, text in shipped_cards().items():
        write_text(path, text)
        print(f"Wrote {path}.")
