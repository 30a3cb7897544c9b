"""Acoustic Context Prompt Tuning, the second stage of CLEP-DG: contexts fitted one after the other, on text alone.

Every equation and default is PromptStyler's (Cho et al., ICCV 2023), the published method that the paper's three stages
match; of the CLEP-DG paper (arXiv 2507.04048) only the abstract was at hand. T(.) is the frozen text tower with its
projection, at unit length; P_k is the prompt of context k, P_n that of emotion n, and P_k o P_n the joint one.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from transformers.utils import logging

from modeling_smoothclap.loss_smoothclap import cosines

from ..config import Count, Fraction, Positive, Seed, Settings
from .context_bank import (
    AcousticContextBank,
    read_contexts,
    read_record,
    record_differences,
    write_contexts,
    write_record,
)
from .prompts import PromptEncoder, PromptTemplates, PromptTokens


class ACPTSettings(Settings):
    """How contexts are fitted. Either loss may be turned off, for ablations, but not both."""

    num_contexts: Count = Field(default=80, description="K, the number of contexts (PromptStyler's).")
    context_length: Count = Field(default=1, description="M, the vectors of a context (PromptStyler's).")
    steps: Count = Field(default=100, description="Steps of SGD for each context (PromptStyler's).")
    learning_rate: Positive = Field(default=0.002, description="Rate of SGD (PromptStyler's).")
    momentum: Fraction = Field(default=0.9, description="Momentum of SGD (PromptStyler's).")
    init_std: Positive = Field(
        default=0.02, description="Standard deviation that contexts are drawn with (PromptStyler's)."
    )
    style_loss: bool = Field(default=True, description="Keep each context apart from those before it.")
    content_loss: bool = Field(default=True, description="Keep emotions recognisable in every context.")
    seed: Seed = Field(default=0, description="Of the contexts' initial values (ours).")

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        if not (self.style_loss or self.content_loss):
            raise ValueError("Without `style_loss` and `content_loss` there is nothing to fit; see `untrained_bank`.")
        return self


def style_loss(feature: torch.Tensor, earlier: torch.Tensor) -> torch.Tensor:
    """
    `1/(k-1) * sum_{j<k} |cos(T(P_k), T(P_j))|`: how much a context resembles those before it; zero for the first.

    Args:
        feature (`torch.Tensor` of shape `(width,)`): Embedding of the context's prompt.
        earlier (`torch.Tensor` of shape `(k-1, width)`): Embeddings of the earlier contexts' prompts.

    Returns:
        `torch.Tensor` of shape `()`: Between 0 and 1.
    """
    if not len(earlier):
        return feature.sum() * 0  # a zero that one can call backward() on
    return cosines(F.normalize(feature, dim=-1)[None], F.normalize(earlier, dim=-1)).abs().mean()


def content_loss(joint: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """
    `-1/N * sum_m log softmax_n(cos(T(P_k o P_m), T(P_n)))[m]`: whether an emotion in a context is still that emotion.

    Args:
        joint (`torch.Tensor` of shape `(N, width)`): Embeddings of the emotions' prompts with the context.
        content (`torch.Tensor` of shape `(N, width)`): Embeddings of the emotions' prompts without, in the same order.

    Returns:
        `torch.Tensor` of shape `()` in nats. The cosines are not scaled, so it is never close to zero.
    """
    logits = cosines(F.normalize(joint, dim=-1), F.normalize(content, dim=-1))  # (N, N)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def untrained_bank(encoder: PromptEncoder, templates: PromptTemplates, settings: ACPTSettings) -> AcousticContextBank:
    """
    The random contexts that a fit with these settings starts from; a baseline for what fitting does.

    Each is drawn from N(0, init_std^2) with a seed of its own, so that it does not depend on the others.
    """
    shape = (settings.context_length, encoder.token_width)
    drawn = []
    for number in range(settings.num_contexts):
        seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
        drawn.append(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * settings.init_std)
    return AcousticContextBank(torch.stack(drawn), templates, encoder.fingerprints)


def check_folder(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    class_names: Sequence[str],
    settings: ACPTSettings,
    folder: str | Path,
) -> None:
    """
    Find out whether [`fit_contexts`] can begin or go on in a folder, before the first of many fits has taken its time.
    Nothing is written.

    Args:
        encoder ([`PromptEncoder`]), templates ([`PromptTemplates`]), class_names (`Sequence[str]`),
        settings ([`ACPTSettings`]), folder (`str` or `Path`): As [`fit_contexts`] takes them.

    Raises:
        ValueError: if there are fewer than two classes, a prompt is too long, or the folder holds contexts of another
            fit or damaged files.
    """
    _prepared(encoder, templates, class_names, settings, Path(folder))


def fit_contexts(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    class_names: Sequence[str],
    settings: ACPTSettings,
    folder: str | Path,
) -> AcousticContextBank:
    """
    Fit a bank of contexts, each with SGD of its own while those before it stay as they are.

    After each context the vectors are written to `folder`. A fit that was killed goes on there when it is called again
    and ends with the same contexts, bit for bit on one machine with the same number of threads. A finished bank is
    read and returned. The model's weights, mode and `requires_grad` are afterwards what they were.

    Args:
        encoder ([`PromptEncoder`]): The dual encoder's text half.
        templates ([`PromptTemplates`]): The wordings.
        class_names (`Sequence[str]`): The emotions, at least two, in words that fit the templates.
        settings ([`ACPTSettings`]): How.
        folder (`str` or `Path`): Where the bank goes. It is created if need be.

    Returns:
        [`AcousticContextBank`]

    Raises:
        ValueError: if there are fewer than two classes, a prompt is too long, the folder holds contexts of another fit
            or damaged files, or a loss is not finite.

    Example:

    ```python
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel, SmoothCLAPProcessor
    >>> from smoothclap_trainer.clep_dg.acpt import ACPTSettings, fit_contexts
    >>> from smoothclap_trainer.clep_dg.prompts import PromptEncoder
    >>> from smoothclap_trainer.clep_dg.prompts import ENGLISH
    >>> tokenizer = SmoothCLAPProcessor.from_pretrained(SMOOTHCLAP_TINY).tokenizer
    >>> encoder = PromptEncoder(SmoothCLAPModel.from_pretrained(SMOOTHCLAP_TINY), tokenizer)
    >>> settings = ACPTSettings(num_contexts=3, steps=2)
    >>> fit_contexts(encoder, ENGLISH, ["happy", "sad"], settings, "contexts").contexts.shape
    torch.Size([3, 1, 256])

    ```
    """
    target, done, prompts, content_tokens = _prepared(encoder, templates, class_names, settings, Path(folder))
    if not done:
        write_record(Path(folder), target.record)
    losses = [name for name, is_on in (("style", settings.style_loss), ("content", settings.content_loss)) if is_on]
    called = "both losses" if len(losses) == 2 else f"{losses[0]} loss alone"
    with encoder.frozen():
        with torch.no_grad():
            content = encoder.embed(content_tokens)  # (N, width)
        earlier = [_context_feature(encoder, prompts, each) for each in done]
        total, missing = len(target), len(target) - len(done)
        with logging.tqdm(
            total=total,
            initial=len(done),
            desc=f"Acoustic contexts, seed {settings.seed}, {called}",
            unit="context",
            disable=not missing,
        ) as progress:
            for number in range(len(done), total):
                constants = (content, torch.stack(earlier) if earlier else content[:0])
                done.append(_fit_one(encoder, prompts, target.contexts[number], constants, settings, number))
                write_contexts(Path(folder), torch.stack(done))
                # Alone, as when a fit is resumed: in a batch of others the last bits could differ.
                earlier.append(_context_feature(encoder, prompts, done[-1]))
                progress.update()
    return replace(target, contexts=torch.stack(done))


def _fit_one(
    encoder: PromptEncoder,
    prompts: PromptTokens,
    initial: torch.Tensor,
    constants: tuple[torch.Tensor, torch.Tensor],
    settings: ACPTSettings,
    number: int,
) -> torch.Tensor:
    """One context, (M, D), on the CPU. The first prompt is the context's, the others are the joint ones."""
    content, earlier = constants
    # Only what a loss asks for is embedded: one prompt where the content loss is off.
    asked = slice(0 if settings.style_loss else 1, None if settings.content_loss else 1)
    prompts = PromptTokens(prompts.ids[asked], prompts.mask[asked])
    context = initial.to(content.device).clone().requires_grad_()
    optimizer = torch.optim.SGD([context], lr=settings.learning_rate, momentum=settings.momentum)
    for _ in range(settings.steps):
        features = encoder.embed(prompts, context.expand(len(prompts.ids), -1, -1))  # (up to 1 + N, width)
        loss = features.new_zeros(())
        if settings.style_loss:
            loss = loss + style_loss(features[0], earlier)
        if settings.content_loss:
            loss = loss + content_loss(features[-len(content) :], content)
        if not loss.isfinite():
            raise ValueError(
                f"The loss of context {number} is {loss.item()}. Lower `learning_rate`, which is "
                f"{settings.learning_rate}, or see whether the model's weights are finite."
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return context.detach().cpu()


@torch.no_grad()
def _context_feature(encoder: PromptEncoder, prompts: PromptTokens, context: torch.Tensor) -> torch.Tensor:
    """Embedding of a context's own prompt, (width,)."""
    return encoder.embed(PromptTokens(prompts.ids[:1], prompts.mask[:1]), context[None])[0]


def _prepared(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    class_names: Sequence[str],
    settings: ACPTSettings,
    folder: Path,
) -> tuple[AcousticContextBank, list[torch.Tensor], PromptTokens, PromptTokens]:
    """The bank as it starts, those of its contexts that a folder has fitted, the prompts, and those of the content."""
    joint_prompts, content_prompts = templates.joint_prompts(class_names), templates.content_prompts(class_names)
    if len(class_names) < 2:
        raise ValueError(f"Contexts are fitted to tell emotions apart, so name at least two; got {list(class_names)}.")
    prompts = encoder.tokenize([templates.context, *joint_prompts], settings.context_length)
    content_tokens = encoder.tokenize(content_prompts)
    fitted_with = {"settings": settings.model_dump(), "class_names": list(class_names)}
    target = replace(untrained_bank(encoder, templates, settings), fitted_with=fitted_with)
    return target, _fitted_before(folder, target), prompts, content_tokens


def _fitted_before(folder: Path, target: AcousticContextBank) -> list[torch.Tensor]:
    """The contexts that a folder has already, each (M, D), of a fit with the record of `target`."""
    contexts = read_contexts(folder)
    if contexts is None:  # a record alone is of a fit that failed or was killed before its first context
        return []
    cure = "Choose another folder (in an experiment, another `output`), or delete the contexts there."
    record = read_record(folder)
    if record is None:
        raise ValueError(f"{str(folder)!r} holds contexts that do not say how they were made. {cure}")
    if differing := record_differences(record, target.record):
        raise ValueError(f"{str(folder)!r} holds the contexts of another fit: {'; '.join(differing)}. {cure}")
    try:
        found = replace(target, contexts=contexts)
    except ValueError as error:
        raise ValueError(f"{str(folder)!r} holds damaged contexts: {error} {cure}") from error
    if len(found) > len(target) or contexts.shape[1:] != target.contexts.shape[1:]:
        raise ValueError(
            f"{str(folder)!r} holds contexts of shape {list(contexts.shape)} where {list(target.contexts.shape)} are "
            f"to be. {cure}"
        )
    return list(contexts)
