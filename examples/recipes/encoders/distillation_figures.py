"""How well the student does on texts it was not trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .distillation_corpus import Sentence


def cosines_by_source(sentences: Sequence[Sentence], student: Tensor, teacher: Tensor) -> dict[str, float]:
    """Mean cosine of the student's embedding and the teacher's, for each source and language of the sentences."""
    cosines = (student * teacher).sum(-1)
    kinds = [f"{sentence.source} {sentence.language}" for sentence in sentences]
    return {
        kind: round(float(cosines[[index for index, own in enumerate(kinds) if own == kind]].mean()), 4)
        for kind in sorted(set(kinds))
    }


def translation_pairs(sentences: Sequence[Sentence]) -> tuple[list[int], list[int]]:
    """For each described meaning the index of its first English and of its first German wording."""
    first: dict[tuple[str, str], int] = {}
    for index, sentence in enumerate(sentences):
        if sentence.source == "description" and sentence.meaning is not None:
            first.setdefault((sentence.meaning, sentence.language), index)
    meanings = [meaning for meaning, language in first if language == "en" and (meaning, "de") in first]
    return [first[meaning, "en"] for meaning in meanings], [first[meaning, "de"] for meaning in meanings]


def retrieval_accuracy(queries: Tensor, candidates: Tensor) -> float:
    """
    Share of queries whose nearest candidate is their own, by cosine after centring each side.

    Args:
        queries (`Tensor` of shape `(pairs, width)`): Embeddings of one language.
        candidates (`Tensor` of shape `(pairs, width)`): Those of the other, in the same order.
    """
    sides = [functional.normalize(side - side.mean(0), dim=-1) for side in (queries, candidates)]
    nearest = (sides[0] @ sides[1].T).argmax(dim=1)
    return round(float((nearest == torch.arange(len(nearest))).float().mean()), 4)


def held_out_figures(
    sentences: Sequence[Sentence], mapped: Tensor, own: Tensor, teacher: Tensor
) -> dict[str, int | float | dict[str, float]]:
    """
    All figures on held-out sentences.

    Args:
        sentences (`Sequence[Sentence]`): The held-out sentences.
        mapped (`Tensor` of shape `(sentences, teacher_width)`): The student's embeddings in the teacher's space.
        own (`Tensor` of shape `(sentences, hidden)`): The tower's own embeddings, before the map.
        teacher (`Tensor` of shape `(sentences, teacher_width)`): The teacher's centred embeddings.
    """
    english, german = translation_pairs(sentences)
    figures: dict[str, int | float | dict[str, float]] = {
        "held_out_cosine": cosines_by_source(sentences, mapped, teacher),
        "translation_pairs": len(english),
    }
    for name, vectors in (("student", mapped), ("tower", own), ("teacher", teacher)):
        figures[f"retrieval_{name}"] = {
            "en to de": retrieval_accuracy(vectors[english], vectors[german]),
            "de to en": retrieval_accuracy(vectors[german], vectors[english]),
        }
    return figures
