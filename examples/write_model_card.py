"""
Writes the model card of a checkpoint, README.md in its folder, from what lies beside the weights.

    python examples/write_model_card.py FOLDER --name user/name
    python examples/write_model_card.py    # the card of smoothclap-tiny, there and as model_card.md at the root

What only a person can say goes into FOLDER/notes.md; results.json of run_zero_shot_evaluation.py goes there as
zero_shot.json, pictures go into FOLDER/pictures.
"""

import argparse
from pathlib import Path

from modeling_smoothclap import SMOOTHCLAP_TINY
from smoothclap_trainer.hub.card import model_card, write_model_card


ROOT = Path(__file__).parents[1]


def cards_of_the_shipped_checkpoint() -> dict[Path, str]:
    """Both cards of smoothclap-tiny by path. They differ in where their pictures are."""
    folder = Path(SMOOTHCLAP_TINY)
    opening = "from modeling_smoothclap import SMOOTHCLAP_TINY as checkpoint"
    url = folder.resolve().relative_to(ROOT.resolve()).as_posix()
    places = {folder / "README.md": "", ROOT / "model_card.md": f"{url}/"}
    return {path: model_card(folder, opening=opening, folder_url=url) for path, url in places.items()}


def main(argv: list[str] | None = None) -> None:
    """Write one card, or both of the shipped checkpoint, and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="checkpoint; by default the shipped smoothclap-tiny"
    )
    parser.add_argument("--name", help="Hub id or name of the model (default: the folder's name)")
    arguments = parser.parse_args(argv)
    if arguments.folder is None and arguments.name is not None:
        parser.error("--name is for a FOLDER; the shipped checkpoint has its name")
    try:
        if arguments.folder is not None:
            written = [write_model_card(arguments.folder, arguments.name)]
        else:
            written = []
            for path, text in cards_of_the_shipped_checkpoint().items():
                path.unlink(missing_ok=True)  # a link would have its target written
                path.write_text(text, encoding="utf-8")
                written.append(path)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"Wrote {' and '.join(map(str, written))}.")


if __name__ == "__main__":
    main()
