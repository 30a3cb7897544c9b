"""The small text tower and how it learns from the teacher's embeddings."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase, get_linear_schedule_with_warmup

from .length_batches import shuffled_batches, sorted_batches


@dataclass(frozen=True)
class DistillationSettings:
    """How the student is trained; see `distil_towers.py --help` for the same fields."""

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    agreement: float = 0.7
    relation_weight: float = 1.0
    bf16: bool = False
    device: str = "cpu"
    seed: int = 0


class TextStudent(nn.Module):
    """
    A small BERT with a linear map from its first token to the teacher's space. The map serves in training only.

    Args:
        tower (`BertModel`): The tower, without pooler.
        teacher_width (`int`): Size of the teacher's embeddings.
    """

    def __init__(self, tower: BertModel, teacher_width: int) -> None:
        super().__init__()
        self.tower = tower
        self.map = nn.Linear(tower.config.hidden_size, teacher_width)

    def first_token(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The tower's own embedding: (batch, tokens) to (batch, hidden)."""
        return self.tower(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings of length 1 in the teacher's space: (batch, tokens) to (batch, teacher_width)."""
        mapped = self.map(self.first_token(input_ids, attention_mask))
        return functional.normalize(mapped.float(), dim=-1)


def small_bert(tokenizer: PreTrainedTokenizerBase, **sizes: Any) -> BertModel:
    """A randomly initialised BERT without pooler for a tokenizer; `sizes` are fields of `BertConfig`."""
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **sizes)
    return BertModel(config, add_pooling_layer=False)


def centred_targets(embeddings: Tensor, centre: Tensor) -> Tensor:
    """
    Embeddings relative to a centre, at length 1. E5's embeddings lie in a narrow cone, where all cosines are near 0.8.

    Args:
        embeddings (`Tensor` of shape `(texts, width)`): The teacher's embeddings.
        centre (`Tensor` of shape `(width,)`): Their mean over the training texts.
    """
    return functional.normalize(embeddings - centre, dim=-1)


def agreeing_targets(targets: Tensor, meanings: Sequence[str | None], agreement: float) -> Tensor:
    """
    Draw texts of one meaning together: paraphrases and translations.

    Args:
        targets (`Tensor` of shape `(texts, width)`): Centred embeddings.
        meanings (`Sequence[str | None]`): Each text's meaning; `None` leaves its target as it is.
        agreement (`float`): Share of the meaning's mean in the new target, 0 to 1.

    Returns:
        `Tensor`: Targets of length 1, shape (texts, width).
    """
    members: dict[str, list[int]] = {}
    for index, meaning in enumerate(meanings):
        if meaning is not None:
            members.setdefault(meaning, []).append(index)
    mixed = targets.clone()
    for indices in members.values():
        shared = functional.normalize(targets[indices].mean(0), dim=-1)
        mixed[indices] = (1 - agreement) * targets[indices] + agreement * shared
    return functional.normalize(mixed, dim=-1)


def distillation_loss(embeddings: Tensor, targets: Tensor, relation_weight: float) -> Tensor:
    """
    How far the student is from the teacher: of each text (1 - cosine), and of the cosines among the batch's texts.

    Args:
        embeddings (`Tensor` of shape `(batch, width)`): The student's, of length 1.
        targets (`Tensor` of shape `(batch, width)`): The teacher's, of length 1.
        relation_weight (`float`): Weight of the second part, the mean squared difference of the two cosine matrices.
    """
    own = 1 - (embeddings * targets).sum(-1).mean()
    relations = functional.mse_loss(embeddings @ embeddings.T, targets @ targets.T)
    return own + relation_weight * relations


def pad(tokenizer: PreTrainedTokenizerBase, sequences: Sequence[list[int]], device: torch.device) -> dict[str, Tensor]:
    """Token ids of several lengths as a padded batch with its mask, on a device."""
    return dict(tokenizer.pad({"input_ids": list(sequences)}, return_tensors="pt").to(device))


def train_student(
    student: TextStudent,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    targets: Tensor,
    settings: DistillationSettings,
) -> list[float]:
    """
    Train the student on the targets.

    Dropout stays off: the student is too small to overfit, and its configuration keeps dropout for what follows.

    Args:
        student (`TextStudent`): Trained in place.
        tokenizer (`PreTrainedTokenizerBase`): The tower's tokenizer; it cuts to its own length.
        texts (`Sequence[str]`): The texts.
        targets (`Tensor` of shape `(texts, teacher_width)`): Their targets, of length 1.
        settings (`DistillationSettings`): How to train.

    Returns:
        `list[float]`: Mean loss of each epoch.
    """
    rng = random.Random(settings.seed)
    device = student.map.weight.device
    targets = targets.to(device)
    encoded = tokenizer(list(texts), truncation=True)["input_ids"]
    lengths = [len(ids) for ids in encoded]
    epochs = [shuffled_batches(lengths, settings.batch_size, rng) for _ in range(settings.epochs)]
    steps = sum(len(batches) for batches in epochs)
    optimizer = torch.optim.AdamW(student.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = get_linear_schedule_with_warmup(optimizer, int(settings.warmup * steps), steps)
    student.eval()
    losses = []
    with tqdm(total=steps, desc="distilling the text tower", unit="steps") as progress:
        for batches in epochs:
            total = 0.0
            for batch in batches:
                with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
                    embeddings = student(**pad(tokenizer, [encoded[index] for index in batch], device))
                loss = distillation_loss(embeddings, targets[batch], settings.relation_weight)
                loss.backward()
                nn.utils.clip_grad_norm_(student.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                total += loss.item() * len(batch)
                progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
                progress.update()
            losses.append(total / len(texts))
    return losses


@torch.inference_mode()
def embed_texts(
    student: TextStudent, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch_size: int = 256
) -> tuple[Tensor, Tensor]:
    """
    The student's embeddings in float32.

    Returns:
        `tuple[Tensor, Tensor]`: In the teacher's space, (texts, teacher_width), and the tower's own, (texts, hidden).
    """
    student.eval()
    encoded = tokenizer(list(texts), truncation=True)["input_ids"]
    device = student.map.weight.device
    mapped = torch.zeros(len(texts), student.map.out_features)
    own = torch.zeros(len(texts), student.map.in_features)
    for batch in sorted_batches([len(ids) for ids in encoded], batch_size):
        first = student.first_token(**pad(tokenizer, [encoded[index] for index in batch], device))
        own[batch] = first.cpu()
        mapped[batch] = functional.normalize(student.map(first), dim=-1).cpu()
    return mapped, own
