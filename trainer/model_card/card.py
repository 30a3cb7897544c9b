"""Putting a card together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeling_smoothclap import SmoothCLAPForAudioClassification

from . import figures, making
from .facts import Facts
from .front_matter import front_matter, with_front_matter
from .markdown import bullets, paragraph, sections
from .prose import BIBTEX, CAUTIONS, INDEPENDENCE, INTENDED, OUT_OF_SCOPE
from .use import example


CARD = "README.md"


def model_card(
    folder: str | Path,
    name: str | None = None,
    front: Mapping[str, Any] | None = None,
    opening: str | None = None,
    at: str = "",
) -> str:
    """
    The card of a checkpoint, from what lies in its folder. What has no file there is left out.

    It reads `config.json`, the weights' headers and, as far as they are there, `data.json`, `provenance.json`,
    `origin.json`, `objective.json`, `training_config.yaml`, `training_log.yaml`, `metrics.json`, `attributes.csv`,
    `thresholds.json`, `text_tower.json`, `versions.json`; `zero_shot.json`, the `results.json` of the zero-shot
    evaluation of these weights; `pictures/*.png`; and `notes.md`, what only a person can say: front matter such as the
    licence of the weights, what introduces the model, and sections of their own (`## ...`).

    Args:
        folder (`str` or `Path`): The checkpoint.
        name (`str`, *optional*): Hub id or name of the model. By default the folder's name.
        front (`Mapping`, *optional*): Entries of the front matter that take precedence; `None` says nothing.
        opening (`str`, *optional*): A line of Python for the example, in place of the one that names the `checkpoint`.
        at (`str`): Where the folder lies, seen from where the card will be, with a final slash.

    Returns:
        `str`: Markdown with front matter, which the Hub's own client has read back.

    Raises:
        ValueError: There is no model in the folder, or a classifier; a file is damaged; figures are of other weights.
    """
    facts = Facts(Path(folder), name or Path(folder).resolve().name)
    if SmoothCLAPForAudioClassification.__name__ in (facts.config.get("architectures") or ()):
        raise ValueError(
            f"{str(folder)!r} holds a classifier, which ranks no descriptions. examples/run_clep_dg.py writes the card "
            "of those that it makes; write that of another one yourself."
        )
    _, introduction, notes = facts.notes
    use = f"## How to use it\n\n{example(facts, opening)}"
    tail = sections(
        [
            ("Intended use", [bullets(INTENDED), paragraph(OUT_OF_SCOPE)]),
            ("Cautions", [bullets(CAUTIONS)]),
            ("Zero-shot figures", figures.zero_shot_tasks(facts, at)),
            ("Attributes, zero-shot", figures.attribute_figures(facts)),
            ("Validation figures", figures.validation_figures(facts)),
            ("Training data", making.data(facts)),
            ("Model", [*making.architecture(facts), *making.text_tower(facts)]),
            ("Objective", making.objective(facts)),
            ("Training", making.training(facts)),
            ("Versions", making.versions(facts)),
            ("Citation", [paragraph(INDEPENDENCE), BIBTEX]),
        ]
    )
    body = "\n\n".join(part for part in (f"# {facts.title}", introduction, use, notes, tail) if part)
    return with_front_matter(front_matter(facts, front), body)


def write_model_card(folder: str | Path, name: str | None = None, front: Mapping[str, Any] | None = None) -> Path:
    """
    Write the card of a checkpoint to `README.md` in its folder.

    Args:
        folder, name, front: As for [`model_card`].

    Returns:
        `Path`: The card.

    Raises:
        ValueError: As [`model_card`].
    """
    path = Path(folder) / CARD
    path.write_text(model_card(folder, name, front), encoding="utf-8")
    return path
