"""A protocol of zero-shot evaluation: which clips of a corpus are judged, and how text names their classes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..data.emotion_corpora import EMOTION_CORPORA, read_corpus


@dataclass(frozen=True)
class Protocol:
    """
    One task of zero-shot evaluation.

    Args:
        name (`str`):
            What names the task on the command line: `"iemocap-4"`.
        title (`str`):
            For people: `"IEMOCAP 4"`.
        corpus (`str`):
            A key of [`~smoothclap_trainer.data.emotion_corpora.EMOTION_CORPORA`], or the name of the user's own.
        language (`str`):
            BCP-47 tag of the speech.
        text_language (`str`):
            BCP-47 tag of the text queries.
        words (`Mapping[str, str]`):
            Class to what the text query calls it, in the order of the classes.
        template (`str`):
            What the words are put into, with one `{}`.
        other_words (`tuple[Mapping[str, str], ...]`):
            Further wordings of the same classes, for prompt sensitivity.
        other_templates (`tuple[str, ...]`):
            Further templates, for prompt sensitivity.
        split (`str`):
            Which clips are judged, in words.
        labels (`Mapping[str, str]`):
            Label in the corpus to class. Clips with another label are left out.
        grouped_by (`str`, *optional*):
            What the groups are, `"session"`, where figures are means over groups.
        published (`Mapping[str, float]`):
            System to its published unweighted average recall, between 0 and 1.
        source (`str`):
            Where the protocol comes from, and what is this project's choice.

    Raises:
        ValueError: There are fewer than two classes, wordings name other classes or two alike, a label's class has no
            words, or a template has not exactly one `{}`. All faults are told.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.protocols import PROTOCOLS
    >>> protocol = PROTOCOLS["iemocap-4"]
    >>> protocol.classes
    ('neutral', 'happy', 'angry', 'sad')
    >>> protocol.texts(protocol.words, protocol.template)[2]
    'this person is feeling anger.'

    ```
    """

    name: str
    title: str
    corpus: str
    language: str
    text_language: str
    words: Mapping[str, str]
    template: str
    other_words: tuple[Mapping[str, str], ...]
    other_templates: tuple[str, ...]
    split: str
    labels: Mapping[str, str]
    grouped_by: str | None
    published: Mapping[str, float]
    source: str

    def __post_init__(self) -> None:
        faults = [] if len(self.words) > 1 else [f"`words` names {len(self.words)} classes, but there must be two"]
        for words in (self.words, *self.other_words):
            if set(words) != set(self.words):
                faults.append(f"`other_words` has {list(words)}, but the classes are {list(self.words)}")
            alike = [word for word, count in Counter(words.values()).items() if count > 1]
            if alike:
                faults.append(f"two classes are both called {alike[0]!r}: no text query tells them apart")
        for template in (self.template, *self.other_templates):
            if template.count("{}") != 1:
                faults.append(f"the template {template!r} must have one {{}}, where the words go")
        foreign = sorted(set(self.labels.values()) - set(self.words))
        if foreign:
            faults.append(f"`labels` leads to the classes {foreign}, which `words` does not name")
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def classes(self) -> tuple[str, ...]:
        """`tuple[str, ...]`: The classes, in the order of `words`."""
        return tuple(self.words)

    def texts(self, words: Mapping[str, str], template: str) -> list[str]:
        """
        Words the text queries.

        Args:
            words (`Mapping[str, str]`): Class to word, for every class.
            template (`str`): What they are put into.

        Returns:
            `list[str]`: One text a class, in the order of the classes.
        """
        return [template.replace("{}", words[name]) for name in self.classes]

    def describe(self) -> dict[str, Any]:
        """`dict[str, Any]`: All of the above, ready for JSON."""
        return asdict(self) | {
            "other_words": [dict(words) for words in self.other_words],
            "other_templates": list(self.other_templates),
        }


def read_task(protocol: Protocol, root: str | Path) -> pd.DataFrame:
    """
    Reads the clips of a protocol on one of the known corpora.

    Args:
        protocol ([`Protocol`]):
            What to read.
        root (`str` or `Path`):
            Folder of its corpus, as it is distributed.

    Returns:
        `pd.DataFrame`: One row a clip, sorted by `id`: `id`, absolute `path`, `label` (the class), `speaker` and
        `group` (text, or `None` where there is none); `attrs["left_out"]` has reasons and counts.

    Raises:
        ValueError: The folder does not hold the corpus, or a class has no clip.
    """
    corpus = EMOTION_CORPORA[protocol.corpus]
    rows = read_corpus(corpus, root, protocol.labels)
    used = rows["label"].isin(list(protocol.labels))
    left_out = rows.attrs["left_out"] | {
        f"label {label!r}": count for label, count in sorted(Counter(rows["label"][~used]).items())
    }
    rows = rows[used].reset_index(drop=True)
    rows["label"] = rows["label"].map(dict(protocol.labels)).astype(object)
    rows.attrs["left_out"] = left_out
    empty = sorted(set(protocol.classes) - set(rows["label"]))
    if empty:
        raise ValueError(
            f"{protocol.title}: of the classes {list(protocol.classes)}, {empty} have no clip in {str(root)!r}; the "
            f"corpus is incomplete. It is to be had from {corpus.ask}."
        )
    return rows
