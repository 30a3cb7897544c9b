"""Soft targets and the contrastive objective of SmoothCLAP (arXiv 2601.12591), as pure functions of embeddings.

Notation of the paper: `p` is the softmax of the scaled cosines between clips and captions, `y` the target distribution,
`q` the similarity within a modality. Rows of every matrix belong to the anchor, columns to the candidates. What the
paper leaves open is an argument here; its default is this project's choice.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F


KLReading = Literal["symmetric", "forward"]

MIN_TEMPERATURE = 1e-6
"""Cosines divided by less than this are no longer finite in half precision, and one-hot long before."""

TARGET_FLOOR = 1e-8
"""Smallest target probability inside a logarithm; it bounds the reverse divergence where a target is zero."""


def cosines(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Dot products of unit-length vectors (n, width) and (m, width), of shape (n, m), never at autocast's precision.

    In bfloat16 a cosine near one is off by up to 0.004, which a scale of 100 turns into 0.4 of a logit.
    """
    with torch.autocast(rows.device.type, enabled=False):
        return rows @ columns.to(rows.dtype).t()


def contrastive_loss(logits_per_audio: torch.Tensor) -> torch.Tensor:
    """Return symmetric InfoNCE, CLAP's loss, in nats, given scaled cosines of clips with captions (batch, batch)."""
    logits = _square(logits_per_audio, "logits_per_audio").float()
    labels = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


def similarity_distribution(features: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return `q` (batch, batch): softmax of each item's cosine with every item, itself included, over `temperature`."""
    if not MIN_TEMPERATURE <= temperature < math.inf:
        raise ValueError(
            f"A temperature must be finite and at least {MIN_TEMPERATURE}, got {temperature}; the usual value is 0.07."
        )
    unit = F.normalize(features.float(), dim=-1)
    return torch.softmax(cosines(unit, unit) / temperature, dim=-1)


def soft_targets(
    audio_features: torch.Tensor,
    tag_features: torch.Tensor,
    beta: float = 0.1,
    gamma: float = 0.5,
    audio_temperature: float = 0.07,
    tag_temperature: float = 0.07,
    detach: bool = True,
) -> torch.Tensor:
    """SmoothCLAP's targets: `y = (1 - beta) * I + beta * ((1 - gamma) * q_audio + gamma * q_tags)`.

    That `q` mixes both similarities and `y` mixes `q` with the identity is the paper's; which side of each mixture
    `beta` and `gamma` weigh, cosine as the similarity, both temperatures and the detaching are inferred or ours.

    Args:
        audio_features (`torch.Tensor` of shape `(batch, audio width)`): Time-averaged hidden states of a frozen speech
            encoder, one row per clip.
        tag_features (`torch.Tensor` of shape `(batch, text width)`): Embeddings of the clips' paralinguistic tag texts.
        beta (`float`, defaults to 0.1): Weight of the soft part, in [0, 1]; 0 gives CLAP's one-hot targets.
        gamma (`float`, defaults to 0.5): Share of the tag similarity in the soft part, in [0, 1].
        audio_temperature (`float`, defaults to 0.07): Temperature of the audio-audio similarity.
        tag_temperature (`float`, defaults to 0.07): Temperature of the tag-tag similarity.
        detach (`bool`, defaults to `True`): Whether no gradient flows into the features.

    Returns:
        `torch.Tensor` of shape `(batch, batch)` in float32; rows sum to one.

    Raises:
        ValueError: if a weight is outside [0, 1], a temperature is not positive, or the batch sizes differ.
    """
    for name, weight in (("beta", beta), ("gamma", gamma)):
        if not 0 <= weight <= 1:
            raise ValueError(f"`{name}` is a mixing weight between 0 and 1, got {weight}.")
    if len(audio_features) != len(tag_features):
        raise ValueError(
            f"Soft targets need one audio feature and one tag feature per clip, got {len(audio_features)} and "
            f"{len(tag_features)}."
        )
    if detach:
        audio_features, tag_features = audio_features.detach(), tag_features.detach()
    q_audio = similarity_distribution(audio_features, audio_temperature)
    q_tags = similarity_distribution(tag_features, tag_temperature)
    identity = torch.eye(len(q_audio), device=q_audio.device)
    return (1 - beta) * identity + beta * ((1 - gamma) * q_audio + gamma * q_tags)


def soft_target_loss(
    logits_per_audio: torch.Tensor, targets: torch.Tensor, reading: KLReading = "symmetric"
) -> torch.Tensor:
    """Return the divergence between targets and predictions, in nats, averaged over both directions.

    The paper says "symmetric KL" and leaves two readings open:

    - `"symmetric"`: `1/2 mean_i [KL(y||p_a2t) + KL(p_a2t||y) + KL(y||p_t2a) + KL(p_t2a||y)]`;
    - `"forward"`:   `1/2 mean_i [KL(y||p_a2t) + KL(y||p_t2a)]`, which for one-hot targets is [`contrastive_loss`].

    Targets inside a logarithm are kept above [`TARGET_FLOOR`]: where a target is zero the reverse divergence would be
    infinite, so for one-hot targets the symmetric reading measures the floor; use `"forward"` there.

    Args:
        logits_per_audio (`torch.Tensor` of shape `(batch, batch)`): Scaled cosines, clip by caption.
        targets (`torch.Tensor` of shape `(batch, batch)`): Rows sum to one; row i serves clip i and caption i alike.
        reading (`"symmetric"` or `"forward"`, defaults to `"symmetric"`): See above.

    Raises:
        ValueError: if the shapes do not match or `reading` is unknown.
    """
    logits = _square(logits_per_audio, "logits_per_audio").float()
    if not isinstance(targets, torch.Tensor) or targets.shape != logits.shape:
        got = tuple(targets.shape) if isinstance(targets, torch.Tensor) else type(targets).__name__
        raise ValueError(f"`targets` must have one row and one column per pair, {tuple(logits.shape)}, got {got}.")
    if not ((targets >= 0).all() and ((targets.float().sum(dim=-1) - 1).abs() < 0.05).all()):
        raise ValueError("The rows of `targets` are distributions: not negative, finite, and each sums to one.")
    if reading not in ("symmetric", "forward"):
        raise ValueError(f"`reading` must be 'symmetric' or 'forward', got {reading!r}.")
    both = divergences(logits, targets, reading) + divergences(logits.t(), targets, reading)
    return torch.stack(both).mean(dim=1).sum() / 2


def divergences(logits: torch.Tensor, targets: torch.Tensor, reading: KLReading) -> tuple[torch.Tensor, ...]:
    """Return `KL(y||p)` and, in the symmetric reading, `KL(p||y)`, each (rows,) in nats: one direction of the loss.

    `logits` are scaled cosines (rows, candidates), `targets` each row's distribution over the candidates.
    """
    log_predictions, targets = logits.float().log_softmax(dim=-1), targets.float()
    difference = targets.clamp(min=TARGET_FLOOR).log() - log_predictions  # (rows, candidates)
    forward = (targets * difference).sum(dim=-1)
    if reading == "forward":
        return (forward,)
    return forward, -(log_predictions.exp() * difference).sum(dim=-1)


def _square(matrix: torch.Tensor, name: str) -> torch.Tensor:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"A contrastive loss pairs the i-th clip with the i-th caption, so `{name}` must be square; got "
            f"{tuple(matrix.shape)}."
        )
    return matrix
