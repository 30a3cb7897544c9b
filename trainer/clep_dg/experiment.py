"""An experiment with CLEP-DG: contexts and classifiers from text, then each corpus judged by all methods."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import ClipError
from modeling_smoothclap.checkpoint_smoothclap import parse_model

from ..data.acoustic_conditions import CONDITIONS, degrade
from ..evaluation.corpora import EMOTION_CORPORA, zero_shot_status
from ..evaluation.results import FORMAT, ZeroShotStatus, describe_clips, file_hashes, ready_for_json, versions
from .acpt import check_folder
from .cards import write_cards
from .classifier import check_no_adapters, save_classifier
from .corpora import LabelledCorpus, read_corpora
from .judging import AUDIO_OF_OTHERS, generalisation, supervised, trained_on_others
from .methods import CLEP_DG, METHODS, text_stages
from .plots import contexts_picture, draw_contexts
from .prompts import PromptEncoder
from .results import ExperimentResults
from .settings import CLEAN, GENERALISATION, SUPERVISED, ExperimentSettings


logger = logging.get_logger(__name__)


Heard = dict[str, dict[str, pd.DataFrame]]
"""Corpus to acoustic condition to rows of clips, whose paths are those of the files to be heard."""


@dataclass(frozen=True, eq=False)
class _Judge:
    """An encoder; of each method the vectors of the classes, by seed; and what is to be said of its texts."""

    encoder: SmoothCLAPEncoder
    weights: dict[str, dict[int | None, np.ndarray]]
    texts: list[dict[str, Any]]
    heard: Heard
    doubtful: dict[str, dict[str, str]] = field(default_factory=dict)  # corpus to path to problem
    _embeds: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def embeddings(self, corpus: str, condition: str) -> np.ndarray:
        """Of a corpus's clips under a condition, (clips, width); computed once."""
        key = (corpus, condition)
        if key not in self._embeds:
            paths = self.heard[corpus][condition]["path"].tolist()
            problems: dict[int, ClipError] = {}
            self._embeds[key] = self.encoder.encode_audio(paths, problems=problems)
            doubtful = {paths[number]: each.problem for number, each in problems.items()}
            self.doubtful.setdefault(corpus, {}).update(doubtful)
        return self._embeds[key]


def run_experiment(settings: ExperimentSettings) -> dict[str, Any]:
    """
    Runs the second and the third stage for every method and seed, and judges all corpora.

    Stages 2 and 3 hear no audio, so no corpus takes part in them. Fitted contexts are kept in the output folder
    under `contexts/`, and a run that was interrupted goes on with those. The classifier of CLEP-DG with the first seed
    is saved under `classifier/` with its card, see [`~saved_classifier.save_classifier`]; clips under acoustic
    conditions are kept under `conditions/`. Where each corpus has a checkpoint of its own, `contexts/` and
    `classifier/` have a folder for each checkpoint, named like the first corpus that it judges.

    Args:
        settings ([`ExperimentSettings`]): All that figures depend on.

    Returns:
        `dict[str, Any]`: The figures with all that they depend on, ready for JSON. Only `times` differs between equal
        runs.

    Raises:
        ValueError: if a corpus cannot be read, `words` do not fit the classes, a model cannot be loaded, a prompt is
            too long, the output folder holds contexts of another fit, or clips cannot be read. All this is found out
            before anything is fitted, but for clips that no condition but the clean one hears.
        ImportError: if an acoustic condition needs a library that is not installed.
    """
    started = time.monotonic()
    corpora = read_corpora(settings.corpora)
    words = settings.called(corpora[0].classes)
    checkpoints: dict[str, list[LabelledCorpus]] = {}
    for corpus in corpora:
        checkpoints.setdefault(settings.encoder_of(corpus.name), []).append(corpus)
    # First what is quick to find out: whether models load, prompts fit, folders are free, and then about the clips.
    for checkpoint, its_corpora in checkpoints.items():
        _check(checkpoint, its_corpora, words, settings)
    folder = Path(settings.output) / "conditions"
    heard: Heard = {
        corpus.name: {name: degrade(corpus.rows, CONDITIONS[name], folder) for name in settings.conditions}
        for corpus in corpora
    }
    results: dict[str, Any] = {
        "format": FORMAT,
        "classes": words,
        "chance": 1 / len(words),
        "methods": [{name: getattr(each, name) for name in ("name", "title", "meaning")} for each in METHODS],
        "conditions": [CONDITIONS[name].describe() for name in settings.conditions],
        "corpora": [],
        "encoders": [],
        GENERALISATION: [],
        SUPERVISED: [],
    }
    for checkpoint, its_corpora in checkpoints.items():
        judge = _prepare(checkpoint, its_corpora, words, heard, settings)
        names = [corpus.name for corpus in its_corpora]
        results["encoders"].append(judge.encoder.describe() | {"corpora": names, "texts": judge.texts})
        for corpus in its_corpora:
            others = [each for each in corpora if each is not corpus]
            for protocol, entries in _judged(judge, corpus, others, settings).items():
                results[protocol] += entries
            results["corpora"].append(_described(corpus, judge.doubtful[corpus.name]))
        del judge  # or the next encoder would be loaded beside this one
    order = [corpus.name for corpus in corpora]
    results["corpora"].sort(key=lambda corpus: order.index(corpus["name"]))
    times = {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": time.monotonic() - started}
    results |= {"settings": settings.describe(), "versions": versions(), "times": times}
    ready = dict(ready_for_json(results))
    write_cards(ExperimentResults.from_json(ready), settings.output)
    return ready


def _load(checkpoint: str, settings: ExperimentSettings) -> tuple[SmoothCLAPEncoder, PromptEncoder]:
    named = parse_model(checkpoint)
    encoder = SmoothCLAPEncoder.from_pretrained(named.checkpoint, settings.device, revision=named.revision)
    encoder.name = named.name
    check_no_adapters(encoder)
    return encoder, PromptEncoder(encoder.model, encoder.processor.tokenizer)


def _folder_of(part: str, corpora: list[LabelledCorpus], settings: ExperimentSettings) -> Path:
    """In the output, of the checkpoint that judges these corpora."""
    return Path(settings.output) / part / _its_own(corpora, settings)


def _its_own(corpora: list[LabelledCorpus], settings: ExperimentSettings) -> str:
    """What the checkpoint that judges these corpora is told by: nothing, where there is only one."""
    return corpora[0].name if isinstance(settings.encoder, dict) else ""


def _check(
    checkpoint: str, corpora: list[LabelledCorpus], words: Mapping[str, str], settings: ExperimentSettings
) -> None:
    """Raises where a fit of contexts would, before the first."""
    _, prompts = _load(checkpoint, settings)
    for seed in settings.seeds:
        for method in (each for each in METHODS if each.is_fitted):
            acpt = settings.acpt.changed(seed=seed, **method.losses)
            folder = _folder_of("contexts", corpora, settings) / f"seed-{seed}" / method.contexts
            check_folder(prompts, settings.templates, list(words.values()), acpt, folder)


def _prepare(
    checkpoint: str,
    corpora: list[LabelledCorpus],
    words: Mapping[str, str],
    heard: Heard,
    settings: ExperimentSettings,
) -> _Judge:
    """Everything that needs no audio."""
    encoder, prompts = _load(checkpoint, settings)
    weights: dict[str, dict[int | None, np.ndarray]] = {method.name: {} for method in METHODS}
    texts = []
    for seed in settings.seeds:
        acpt, classifier = settings.acpt.changed(seed=seed), settings.classifier.changed(seed=seed)
        folder = _folder_of("contexts", corpora, settings) / f"seed-{seed}"
        stages = text_stages(prompts, settings.templates, list(words.values()), acpt, classifier, folder)
        for method in METHODS:
            weights[method.name][seed if method.is_random else None] = stages.weights[method.name].numpy()
        texts += [{"seed": seed, "method": name, **each} for name, each in stages.measures.items()]
        if seed == settings.seeds[0]:
            picture = Path(settings.output) / contexts_picture(_its_own(corpora, settings))
            draw_contexts(stages, [*words], encoder.name, picture)
    first = torch.from_numpy(weights[CLEP_DG.name][settings.seeds[0]])
    folder = _folder_of("classifier", corpora, settings)
    save_classifier(encoder, first, [*words], settings.classifier.scale, folder)
    return _Judge(encoder, weights, texts, heard)


def _judged(
    judge: _Judge, corpus: LabelledCorpus, others: list[LabelledCorpus], settings: ExperimentSettings
) -> dict[str, list[dict[str, Any]]]:
    """What each protocol that is asked for gives on a corpus, one entry for each condition."""
    zero_shot = zero_shot_status(judge.encoder.training_corpora, corpus.name)
    if zero_shot.status != ZeroShotStatus.ZERO_SHOT:
        logger.warning(f"{judge.encoder.name} on {corpus.title}: {zero_shot.status}. {zero_shot.why}")
    about = {"corpus": corpus.name, "zero_shot": zero_shot}
    embeds = {condition: judge.embeddings(corpus.name, condition) for condition in settings.conditions}
    found = {}
    if GENERALISATION in settings.protocols:
        weights = dict(judge.weights)
        if others:
            their_clips = [(other, judge.embeddings(other.name, CLEAN)) for other in others]
            weights[AUDIO_OF_OTHERS] = trained_on_others(their_clips, settings.seeds, settings.classifier)
        found[GENERALISATION] = [
            {
                **about,
                "condition": condition,
                "sha256": _sha256(judge.heard[corpus.name][condition], corpus),
                "speakers_in_others": len(_speakers([corpus]) & _speakers(others)),
            }
            | generalisation(corpus, embeds[condition], weights)
            for condition in settings.conditions
        ]
    if SUPERVISED in settings.protocols:
        entries = supervised(corpus, embeds, judge.weights, settings.seeds, settings.classifier)
        found[SUPERVISED] = [about | entry for entry in entries]
    return found


def _speakers(corpora: list[LabelledCorpus]) -> set[str]:
    """Of all clips. The numbers that published corpora give their speakers are their own."""
    return {
        f"{corpus.name}:{speaker}" if corpus.name in EMOTION_CORPORA else speaker
        for corpus in corpora
        for speaker in corpus.rows["speaker"].dropna()
    }


def _sha256(rows: pd.DataFrame, corpus: LabelledCorpus) -> str:
    return describe_clips(rows, corpus.classes, file_hashes(rows["path"]), {}).sha256


def _described(corpus: LabelledCorpus, doubtful: Mapping[str, str]) -> dict[str, Any]:
    fields = {name: getattr(corpus, name) for name in ("name", "title", "language", "licence", "source")}
    return fields | {"data": describe_clips(corpus.rows, corpus.classes, file_hashes(corpus.rows["path"]), doubtful)}
