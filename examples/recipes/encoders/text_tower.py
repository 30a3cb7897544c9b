"""Distil the small English and German text tower, from sentences to a saved directory."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertModel, PreTrainedTokenizerBase

from .byte_tokenizer import train_tokenizer
from .distillation_corpus import Sentence
from .distillation_figures import held_out_figures
from .strict_loading import load_strictly
from .teacher import Teacher, cached_embeddings
from .text_student import (
    DistillationSettings,
    TextStudent,
    agreeing_targets,
    centred_targets,
    embed_texts,
    small_bert,
    train_student,
)


TOWER_SIZES = {
    "hidden_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 128,
}
VOCAB_SIZE = 6000


def distil(
    sentences: Sequence[Sentence],
    embeddings: Tensor,
    settings: DistillationSettings,
    vocab_size: int = VOCAB_SIZE,
    sizes: Mapping[str, int] = TOWER_SIZES,
) -> tuple[TextStudent, PreTrainedTokenizerBase, dict]:
    """
    Train tokenizer and student, and measure the student on the held-out sentences.

    Args:
        sentences (`Sequence[Sentence]`): All sentences.
        embeddings (`Tensor` of shape `(sentences, teacher_width)`): The teacher's embeddings of them.
        settings (`DistillationSettings`): How to train.
        vocab_size (`int`, *optional*): Number of tokens.
        sizes (`Mapping[str, int]`, *optional*): The tower's sizes, fields of `BertConfig`.

    Returns:
        `tuple`: The student, the tokenizer and the figures.

    Raises:
        ValueError: There are no sentences to train on, or none held out.
    """
    train = [index for index, sentence in enumerate(sentences) if not sentence.held_out]
    held_out = [index for index, sentence in enumerate(sentences) if sentence.held_out]
    if not train or not held_out:
        raise ValueError(f"{len(train)} sentences to train on and {len(held_out)} held out; both must be positive.")
    texts = [sentences[index].text for index in train]
    tokenizer = train_tokenizer(texts, vocab_size, sizes["max_position_embeddings"])
    centred = centred_targets(embeddings, embeddings[train].mean(0))
    targets = agreeing_targets(centred[train], [sentences[index].meaning for index in train], settings.agreement)
    torch.manual_seed(settings.seed)
    student = TextStudent(small_bert(tokenizer, **sizes), embeddings.shape[1]).to(settings.device)
    start = time.perf_counter()
    losses = train_student(student, tokenizer, texts, targets, settings)
    hidden = [sentences[index] for index in held_out]
    mapped, own = embed_texts(student, tokenizer, [sentence.text for sentence in hidden])
    figures = {
        "sentences_trained": len(train),
        "sentences_held_out": len(held_out),
        "training_seconds": round(time.perf_counter() - start),
        "loss_per_epoch": [round(loss, 4) for loss in losses],
        "settings": asdict(settings),
        **held_out_figures(hidden, mapped, own, centred[held_out]),
    }
    return student.cpu(), tokenizer, figures


def write_text_tower(
    source: str | Path,
    sentences: Sequence[Sentence],
    output: Path,
    cache: Path,
    settings: DistillationSettings,
    provenance: Sequence[Mapping[str, str]],
) -> dict:
    """
    Distil the tower from a teacher and save it with its tokenizer and figures.

    Args:
        source (`str` or `Path`): The teacher, a directory or a model id of the hub.
        sentences (`Sequence[Sentence]`): All sentences.
        output (`Path`): The directory to write; `distillation.json` in it holds the figures.
        cache (`Path`): Folder of the teacher's embeddings.
        settings (`DistillationSettings`): How to train.
        provenance (`Sequence[Mapping[str, str]]`): The packages that sentences come from; kept with the figures.

    Returns:
        `dict`: The figures.

    Raises:
        ValueError: The teacher cannot be loaded, or the saved tower does not load back.
    """
    teacher = Teacher(source, torch.bfloat16 if settings.bf16 else torch.float32)
    embeddings = cached_embeddings(teacher, [sentence.text for sentence in sentences], cache)
    student, tokenizer, figures = distil(sentences, embeddings, settings)
    student.tower.save_pretrained(output)
    tokenizer.backend_tokenizer.no_truncation()  # distilling truncated; who loads the tower is not to, unasked
    tokenizer.save_pretrained(output)
    restored = load_strictly(BertModel, output, add_pooling_layer=False).state_dict()
    if any(not torch.equal(weight, restored[name]) for name, weight in student.tower.state_dict().items()):
        raise ValueError(f"The tower read back from {output} differs from the one that was saved.")
    figures = {
        "teacher": str(source),
        "teacher_fingerprint": teacher.fingerprint(),
        "packages": [dict(package) for package in provenance],
        "parameters": student.tower.num_parameters(),
        **figures,
    }
    (output / "distillation.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return figures
