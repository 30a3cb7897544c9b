"""What is asked: the texts of a protocol, and how far its figure moves when they are worded otherwise."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .protocol import Protocol
from .scores import confusion_matrix, unweighted_average_recall_of
from .zero_shot import zero_shot_predictions


class Prompt(NamedTuple):
    """
    One way to ask for the classes.

    Args:
        words (`int`): Which wording: 0 is the protocol's, 1 the first of its `other_words`, and so on.
        template (`str`): What the words are put into.
        texts (`list[str]`): One for each class, in the order of the classes.
    """

    words: int
    template: str
    texts: list[str]


def prompts_of(protocol: Protocol) -> list[Prompt]:
    """
    Every wording of a protocol in every template.

    Args:
        protocol ([`Protocol`]): With `words`, `template` and their alternatives.

    Returns:
        `list[Prompt]`: The protocol's own first.
    """
    wordings = enumerate((protocol.words, *protocol.other_words))
    templates = dict.fromkeys((protocol.template, *protocol.other_templates))
    return [
        Prompt(index, template, protocol.texts(words, template))
        for (index, words), template in product(wordings, templates)
    ]


def distinct_texts(protocols: Iterable[Protocol]) -> list[str]:
    """
    All texts that protocols ask, each once.

    Args:
        protocols (`Iterable[Protocol]`): Any.

    Returns:
        `list[str]`: In alphabetical order.
    """
    return sorted({text for protocol in protocols for prompt in prompts_of(protocol) for text in prompt.texts})


def prompt_sensitivity(
    protocol: Protocol,
    audio_embeds: np.ndarray,
    text_embeds: Mapping[str, np.ndarray],
    true: np.ndarray,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """
    The UAR of every wording in every template. Which of them are asked is this project's choice.

    Args:
        protocol ([`Protocol`]): What is judged.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of the clips.
        text_embeds (`Mapping[str, np.ndarray]`): The embedding, `(width,)`, of each of the protocol's texts.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        groups (`Sequence[str]`, *optional*): Of each clip; the figure is then the mean of the groups' UARs.

    Returns:
        `dict[str, Any]`: `variants`, a list with `words` (0 is the protocol's wording), `template`, `texts` and `uar`,
        the protocol's own first; `lowest`, `highest`, `mean` and `deviation`, their standard deviation as that of a
        whole population, for the variants are all there are.
    """
    members = np.zeros(len(true), dtype=int) if groups is None else np.unique(list(groups), return_inverse=True)[1]
    variants = []
    for prompt in prompts_of(protocol):
        predicted = zero_shot_predictions(audio_embeds, np.stack([text_embeds[text] for text in prompt.texts]))
        confusions = [
            confusion_matrix(predicted[members == group], true[members == group], len(prompt.texts))
            for group in range(members.max() + 1)
        ]
        variants.append(prompt._asdict() | {"uar": float(unweighted_average_recall_of(np.stack(confusions)).mean())})
    figures = [variant["uar"] for variant in variants]
    return {
        "variants": variants,
        "lowest": min(figures),
        "highest": max(figures),
        "mean": float(np.mean(figures)),
        "deviation": float(np.std(figures)),
    }
