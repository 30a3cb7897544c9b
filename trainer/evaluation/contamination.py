"""May a figure be called zero-shot? Only if the checkpoint's record of its training does not name the corpus."""

import re
from collections.abc import Sequence

from ..corpora_seen import UNRECORDED


ZERO_SHOT, NOT_ZERO_SHOT, UNKNOWN = "zero-shot", "not zero-shot", "unknown"


def zero_shot_status(training_corpora: Sequence[str] | None, corpus: str) -> tuple[str, str]:
    """
    Say whether a model may have seen the corpus that it is judged on.

    Names are compared by their letters and digits only, whatever the case, and a recorded name counts in which that of
    the corpus begins a word: "MSP-Podcast v1.11" is `msp-podcast`, "USC-IEMOCAP" is `iemocap`. Rather once too often
    "not zero-shot" than once too seldom.

    Args:
        training_corpora (`Sequence[str]`, *optional*): The record: `training_corpora` of the model's configuration.
            None or empty: there is none.
        corpus (`str`): What the model is judged on.

    Returns:
        `tuple[str, str]`: [`ZERO_SHOT`], [`NOT_ZERO_SHOT`] or [`UNKNOWN`], and a sentence that says why.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.contamination import zero_shot_status
    >>> zero_shot_status(["MSP-Podcast v1.11"], "msp-podcast")[0], zero_shot_status(["IEMOCAP"], "ravdess")[0]
    ('not zero-shot', 'zero-shot')

    ```
    """
    if not training_corpora:
        return (
            UNKNOWN,
            f"The checkpoint does not record which corpora it was trained on, so {corpus} may be among them.",
        )
    # Its letters with anything between them that is none, after no other letter.
    pattern = r"(?<![^\W_])" + r"[\W_]*".join(re.escape(each) for each in corpus.casefold() if each.isalnum())
    if seen := [name for name in training_corpora if re.search(pattern, name.casefold())]:
        return NOT_ZERO_SHOT, f"The checkpoint was trained on {corpus}: it records {', '.join(map(repr, seen))}."
    recorded = [name for name in training_corpora if name.casefold() != UNRECORDED]
    if len(recorded) < len(training_corpora):
        known = f" beyond {', '.join(recorded)}" if recorded else ""
        return UNKNOWN, (
            f"Some of the checkpoint's training{known} is not recorded, so {corpus} may have been part of it."
        )
    return ZERO_SHOT, (
        f"With regard to the corpora that the checkpoint records ({', '.join(recorded)}), {corpus} was never seen in "
        "training."
    )
