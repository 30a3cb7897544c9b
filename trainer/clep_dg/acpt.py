"""Acoustic Context Prompt Tuning, stage 2 of CLEP-DG: contexts that are fitted one after the other, on text alone.

Equations and defaults are those of PromptStyler (Cho et al., ICCV 2023), the published method that the paper's stages
match; of the CLEP-DG paper (arXiv 2507.04048) only the abstract was available. T(.) is the frozen text tower with its
projection, at unit length; P_k is the prompt of context k, P_n that of emotion n, and P_k o P_n the joint one.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from transformers.utils import logging

from modeling_smoothclap.loss_smoothclap import cosines

from ..config import Count, Fraction, Positive, Seed, Settings, SettingsError
from ..files import write_json
from .context_bank import (
    RECORD_FILE,
    AcousticContextBank,
    read_contexts,
    read_record,
    record_differences,
    write_contexts,
)
from .prompts import PromptEncoder, PromptTemplates, PromptTokens


TOGETHER = 16
"""Contexts that are fitted in one batch where none depends on another, which is without the style loss."""


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
    # For now; examples/recipes/choose_content_temperature.py chooses it on validation clips.
    content_temperature: Positive | Literal["none", "logit_scale"] = Field(
        default=0.07,
        description="What the content loss divides cosines by (ours): a number, logit_scale (1 / the encoder's own), "
        "or none (bare cosines, PromptStyler's).",
    )
    seed: Seed = Field(default=0, description="Of the contexts' initial values (ours).")

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        if not (self.style_loss or self.content_loss):
            raise ValueError("Without `style_loss` and `content_loss` there is nothing to fit; see `untrained_bank`.")
        asked = self.content_temperature if "content_temperature" in self.model_fields_set else "none"
        if not self.content_loss and asked != "none":
            why = f"is {asked!r}, but without `content_loss` it has no effect; leave it out"
            raise SettingsError([("content_temperature", why)])
        return self

    def for_encoder(self, encoder: PromptEncoder) -> Self:
        """Return a copy with the temperature that is used with this encoder: a number, or `none`, also of no loss."""
        if not self.content_loss:
            return self.changed(content_temperature="none")
        if self.content_temperature != "logit_scale":
            return self
        return self.changed(content_temperature=1 / encoder.logit_scale)


def style_loss(feature: torch.Tensor, earlier: torch.Tensor) -> torch.Tensor:
    """Return `1/(k-1) * sum_{j<k} |cos(T(P_k), T(P_j))|` of a prompt, (width,), and (k-1, width); 0 for the first."""
    if not len(earlier):
        return feature.sum() * 0  # a zero that has a gradient
    return cosines(F.normalize(feature, dim=-1)[None], F.normalize(earlier, dim=-1)).abs().mean()


def content_loss(joint: torch.Tensor, content: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Return `-1/N * sum_m log softmax_n(cos(T(P_k o P_m), T(P_n)) / temperature)[m]`; both are (N, width)."""
    logits = cosines(F.normalize(joint, dim=-1), F.normalize(content, dim=-1)) / temperature  # (N, N)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def untrained_bank(encoder: PromptEncoder, templates: PromptTemplates, settings: ACPTSettings) -> AcousticContextBank:
    """Return the random contexts that a fit starts from; each has a seed of its own, and does not depend on others."""
    shape = (settings.context_length, encoder.token_width)
    drawn = []
    for number in range(settings.num_contexts):
        seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
        drawn.append(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * settings.init_std)
    return AcousticContextBank(torch.stack(drawn), templates, encoder.fingerprints)


def fit_contexts(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    class_names: Sequence[str],
    settings: ACPTSettings,
    folder: str | Path,
) -> AcousticContextBank:
    """
    Fit a bank of contexts for at least two emotions, each with its own SGD while the earlier ones stay fixed.

    The vectors are written to `folder` as they are fitted. A fit that was killed goes on from there, and ends with the
    same contexts, bit for bit on one machine with the same number of threads. Without the style loss no context depends
    on another, and [`TOGETHER`] are fitted at once. The model is as it was before. It is a `ValueError` if names or
    prompts cannot be used, the folder holds another fit, or a loss is not finite.
    """
    folder, settings = Path(folder), settings.for_encoder(encoder)
    target, done, prompts, content_tokens = prepare_fit(encoder, templates, class_names, settings, folder)
    own = PromptTokens(prompts.ids[:1], prompts.mask[:1])  # the context's prompt; the others are the joint ones
    if not done:
        write_json(folder / RECORD_FILE, target.record)
    losses = [name for name, is_on in (("style", settings.style_loss), ("content", settings.content_loss)) if is_on]
    progress = logging.tqdm(
        total=len(target),
        initial=len(done),
        desc=f"Acoustic contexts, seed {settings.seed}, {' and '.join(losses)} loss",
        unit="context",
        disable=len(done) == len(target),
    )
    with encoder.frozen(), encoder.first_token_alone(), progress:
        with torch.no_grad():
            content = encoder.embed(content_tokens)  # (N, width)
            # One by one: in a batch of others the last bits could differ, and so after a fit is resumed.
            earlier = torch.cat([content[:0], *(encoder.embed(own, each[None]) for each in done)])
        together = 1 if settings.style_loss else TOGETHER
        for number in range(len(done), len(target), together):
            initial = target.contexts[number : number + together]
            done += _fit_group(encoder, prompts, initial, content, earlier, settings, number)
            write_contexts(folder, torch.stack(done))
            if settings.style_loss:
                with torch.no_grad():
                    earlier = torch.cat([earlier, encoder.embed(own, done[-1][None])])
            progress.update(len(initial))
    return replace(target, contexts=torch.stack(done))


def _fit_group(
    encoder: PromptEncoder,
    prompts: PromptTokens,
    initial: torch.Tensor,
    content: torch.Tensor,
    earlier: torch.Tensor,
    settings: ACPTSettings,
    number: int,
) -> list[torch.Tensor]:
    """Fit contexts, (B, M, D), from one on that has a number; the style loss takes one at a time. On the CPU."""
    # Embed only what a loss needs: one prompt where the content loss is off.
    asked = slice(0 if settings.style_loss else 1, None if settings.content_loss else 1)
    each = len(prompts.ids[asked])
    prompts = PromptTokens(*(part[asked].repeat(len(initial), 1) for part in prompts))
    contexts = initial.to(content.device).clone().requires_grad_()
    temperature = 1.0 if isinstance(settings.content_temperature, str) else settings.content_temperature
    optimizer = torch.optim.SGD([contexts], lr=settings.learning_rate, momentum=settings.momentum)
    for _ in range(settings.steps):
        features = encoder.embed(prompts, contexts.repeat_interleave(each, dim=0))  # (B * up to 1 + N, width)
        loss = features.new_zeros(())
        for of_context in features.split(each):  # a sum, so that each context has the gradient of its own loss
            if settings.style_loss:
                loss = loss + style_loss(of_context[0], earlier)
            if settings.content_loss:
                loss = loss + content_loss(of_context[-len(content) :], content, temperature)
        if not loss.isfinite():
            raise ValueError(
                f"The loss at context {number} is {loss.item()}. Lower `learning_rate`, which is "
                f"{settings.learning_rate}, or check that the model's weights are finite."
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return list(contexts.detach().cpu())


def prepare_fit(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    class_names: Sequence[str],
    settings: ACPTSettings,
    folder: Path,
) -> tuple[AcousticContextBank, list[torch.Tensor], PromptTokens, PromptTokens]:
    """Check a fit; return the bank before it, contexts in the folder, prompts with contexts, and content prompts."""
    joint_prompts = templates.joint_prompts(class_names)
    if len(class_names) < 2:
        raise ValueError(f"Contexts need at least two classes, got {list(class_names)}; name more.")
    prompts = encoder.tokenize([templates.context, *joint_prompts], settings.context_length)
    content_tokens = encoder.tokenize(templates.content_prompts(class_names))
    fitted_with = {"settings": settings.for_encoder(encoder).model_dump(), "class_names": list(class_names)}
    target = replace(untrained_bank(encoder, templates, settings), fitted_with=fitted_with)
    return target, _fitted_before(folder, target), prompts, content_tokens


def _fitted_before(folder: Path, target: AcousticContextBank) -> list[torch.Tensor]:
    """The contexts, each (M, D), that a fit with the record of `target` has left in a folder."""
    contexts = read_contexts(folder)
    if contexts is None:  # a record alone is of a fit that failed or was killed before its first context
        return []
    cure = "Choose another folder (in an experiment, another `output`), or delete the contexts there."
    record = read_record(folder)
    if record is None:
        raise ValueError(f"{str(folder)!r} has contexts without a record of how they were made. {cure}")
    if differing := record_differences(record, target.record):
        raise ValueError(f"{str(folder)!r} has the contexts of another fit: {'; '.join(differing)}. {cure}")
    try:
        found = replace(target, contexts=contexts)
    except ValueError as error:
        raise ValueError(f"{str(folder)!r} has damaged contexts: {error} {cure}") from error
    shape, wanted = list(contexts.shape), list(target.contexts.shape)
    if len(found) > len(target) or shape[1:] != wanted[1:]:
        raise ValueError(f"{str(folder)!r} has contexts of shape {shape} instead of {wanted}. {cure}")
    return list(contexts)
