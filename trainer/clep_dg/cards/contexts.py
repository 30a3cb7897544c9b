"""The card of a context bank: what it is, what it fits, and three lines of use."""

from collections.abc import Mapping
from typing import Any

from huggingface_hub import CardData

from ...evaluation.report_cells import code
from ...model_card.front_matter import with_front_matter
from ...model_card.markdown import bullets, paragraph, sections
from .prose import BIBTEX, INDEPENDENCE


TAGS = ["smoothclap", "clep-dg"]
USE = """```python
from smoothclap_trainer.clep_dg.context_bank import AcousticContextBank
from smoothclap_trainer.clep_dg.prompts import PromptEncoder

bank = AcousticContextBank.from_pretrained("user/name", PromptEncoder(model, tokenizer))  # the encoder's
```"""


def contexts_card(record: Mapping[str, Any]) -> str:
    """
    The card of a context bank, from its record. No licence is in it: a bank does not know whose words it is made of.

    Args:
        record (`Mapping[str, Any]`): [`AcousticContextBank.record`].

    Returns:
        `str`: Markdown with front matter, which the Hub's own client has read back.
    """
    number, length, width = record["shape"]
    fitted = record["fitted_with"]
    how = "They are random: nothing was fitted."
    if fitted:
        settings = ", ".join(f"{name} {value}" for name, value in fitted["settings"].items())
        how = f"They were fitted with the classes {', '.join(map(code, fitted['class_names']))}: {settings}."
    about = (
        f"{number} acoustic contexts (K x M x D: {number} x {length} x {width}), vectors that stand for words in "
        "prompts to one text encoder: stage 2 of CLEP-DG (ACPT) after PromptStyler. No audio took part in it. With "
        "another encoder they do not load."
    )
    body = sections(
        [
            ("How to use them", [USE]),
            ("Prompts", [bullets(f"{name.capitalize()}: {code(text)}" for name, text in record["templates"].items())]),
            ("Fit", [paragraph(how)]),
            (
                "The encoder they are for",
                [bullets(f"SHA-256 of the {part}: {code(value)}" for part, value in record["fingerprints"].items())],
            ),
            ("Citation", [paragraph(INDEPENDENCE), BIBTEX]),
        ]
    )
    return with_front_matter(CardData(tags=TAGS), f"# Acoustic contexts\n\n{paragraph(about)}\n\n{body}")
