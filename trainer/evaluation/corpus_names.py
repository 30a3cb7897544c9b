"""What is known of a corpus by its name: whether a record of training corpora names it, and its licence."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


LICENCES_OF_CORPORA = {
    "iemocap": "release form of the University of Southern California, for research",
    "ravdess": "CC BY-NC-SA 4.0",
    "crema-d": "ODbL 1.0",
    "tess": "CC BY-NC-ND 4.0",
    "fau-aibo": "agreement with the Pattern Recognition Lab of FAU Erlangen-Nürnberg, for research",
    "alc": "terms of the Bavarian Archive for Speech Signals",
    "sld": "agreement with its owners",
    "msp-podcast": "licence agreement with the MSP Lab, for academic use",
    "emodb": "free download; no licence is named that we know of",
    "paraspeechcaps": "CC BY-NC-SA 4.0",
    "ears": "CC BY-NC 4.0",
    "emilia": "CC BY-NC 4.0",
    "expresso": "CC BY-NC 4.0",
}
"""As far as we know; the licence that comes with a corpus decides."""
UNRECORDED = "unrecorded"
"""The name in `training_corpora` of speech whose corpus is not known."""


class ZeroShotStatus(StrEnum):
    """Whether a model may have been trained on the corpus that it is judged on."""

    ZERO_SHOT = "zero-shot"
    NOT_ZERO_SHOT = "not zero-shot"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ZeroShot:
    """Whether a result is zero-shot."""

    status: ZeroShotStatus
    seen: tuple[str, ...] = ()  # names of its corpus in the checkpoint's record
    recordings: int = 0  # how many of its clips were trained on


def zero_shot_status(training_corpora: Sequence[str] | None, corpus: str, recordings: int = 0) -> ZeroShot:
    """
    Check whether a model may have been trained on the corpus that it is judged on, by its record, which may be missing,
    and by how many `recordings` of the corpus it was trained on, under whatever name.

    Names are compared by their letters and digits only, whatever the case, and a recorded name counts in which that of
    the corpus begins a word: "MSP-Podcast v1.11" is `msp-podcast`, "USC-IEMOCAP" is `iemocap`.
    """
    # The letters of the name, with anything between them that is not a letter or digit, at the start of a word.
    pattern = r"(?<![^\W_])" + r"[\W_]*".join(re.escape(each) for each in corpus.casefold() if each.isalnum())
    recorded = training_corpora or ()
    seen = tuple(name for name in recorded if re.search(pattern, name.casefold()))
    if seen or recordings:
        return ZeroShot(ZeroShotStatus.NOT_ZERO_SHOT, seen, recordings)
    if not recorded or any(name.casefold() == UNRECORDED for name in recorded):
        return ZeroShot(ZeroShotStatus.UNKNOWN)
    return ZeroShot(ZeroShotStatus.ZERO_SHOT)
