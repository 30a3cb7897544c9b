"""An experiment with CLEP-DG: contexts and classifiers from text, then all methods tested on each corpus."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import ClipError, Source

from ..config import read_yaml
from ..data.acoustic_conditions import CONDITIONS, degrade
from ..data.clips import clips_of
from ..evaluation.corpora import EMOTION_CORPORA
from ..evaluation.corpus_names import ZeroShot
from ..evaluation.evaluator import checked_zero_shot, described, loadable
from ..evaluation.results import FORMAT, describe_clips, file_hashes, versions
from ..files import Record, held, write_json
from ..plotting import check_matplotlib
from .acpt import prepare_fit
from .cards import write_cards
from .classifier import check_no_adapters, save_classifier
from .corpora import LabelledCorpus, read_corpora
from .judging import BySeed, generalisation, supervised, trained_in, trained_on_others
from .methods import CLEP_DG, FITTED, METHODS, text_stages
from .prompts import PromptEncoder
from .report import contexts_plot, draw_contexts, write_report
from .results import (
    AUDIO_OF_OTHERS,
    ConditionSummary,
    CorpusSummary,
    EncoderSummary,
    ExperimentResults,
    Generalisation,
    MethodSummary,
    Refusal,
    Supervised,
    TextMeasures,
)
from .settings import GENERALISATION, SUPERVISED, ExperimentSettings


Embeddings = Callable[[str, str], np.ndarray]  # of a corpus's clips, (clips, width), by corpus and condition


def fit_clep_dg(settings: ExperimentSettings | str | Path) -> ExperimentResults:
    """
    Run stages 2 and 3 of CLEP-DG for every method and seed, and test all methods on each corpus.

    The output folder gets `results.json`, `report.md` with its plots, the fitted `contexts/`, clips under acoustic
    `conditions/`, and `classifier/`: CLEP-DG's classifier with the first seed and its card. Where each corpus has a
    checkpoint of its own, `contexts/` and `classifier/` have a folder for each. An interrupted run goes on.

    Args:
        settings ([`ExperimentSettings`], `str` or `Path`): All that the results depend on, or the YAML file with it.

    Returns:
        [`ExperimentResults`]: As `results.json` has them, with rounded numbers.

    Raises:
        ValueError: if settings, corpora, models, prompts or clips cannot be used, or the output folder is in use by
            another run or holds contexts of another fit; before anything is fitted, except for clips whose only
            condition is the clean one.
        ImportError: if matplotlib, or a library that an acoustic condition needs, is not installed.
    """
    if not isinstance(settings, ExperimentSettings):
        settings = read_yaml(settings, ExperimentSettings)
    started = time.monotonic()
    check_matplotlib()
    with held(settings.output):
        run = _Run(settings)
        run.check()
        for checkpoint in run.judged_by:
            run.test(checkpoint)
        return _written(run, started)


def _written(run: "_Run", started: float) -> ExperimentResults:
    """Return the results, rounded, after their files are written."""
    settings = run.settings
    order = [corpus.name for corpus in run.corpora]
    content = ExperimentResults(
        format=FORMAT,
        classes=run.words,
        chance=1 / len(run.words),
        methods=tuple(MethodSummary(each.name, each.title, each.meaning) for each in METHODS),
        conditions=tuple(ConditionSummary(**CONDITIONS[name].describe()) for name in settings.conditions),
        corpora=tuple(sorted(run.tested, key=lambda corpus: order.index(corpus.name))),
        encoders=tuple(run.encoders),
        generalisation=tuple(run.generalisation),
        supervised=tuple(run.supervised),
        settings=settings.model_dump(exclude={"output"}),
        versions=versions(),
        times={"finished": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": time.monotonic() - started},
    ).to_json()
    results = ExperimentResults.from_json(content)
    write_json(Path(settings.output) / Record.RESULTS, content)
    write_cards(results, settings.output)
    write_report(results, settings.output)
    return results


class _Run:
    """An experiment while it runs; the lists fill with its results."""

    def __init__(self, settings: ExperimentSettings):
        self.settings = settings
        self.output = Path(settings.output)
        self.corpora = read_corpora(settings.corpora)
        self.words = settings.called(self.corpora[0].classes)
        self.judged_by: dict[str, list[LabelledCorpus]] = defaultdict(list)
        for corpus in self.corpora:
            encoder = settings.encoder
            self.judged_by[encoder if isinstance(encoder, str) else encoder[corpus.name]].append(corpus)
        self.clips: dict[str, dict[str, pd.DataFrame]] = {}  # corpus to condition to rows with the files to embed
        self.encoders: list[EncoderSummary] = []
        self.tested: list[CorpusSummary] = []
        self.generalisation: list[Generalisation] = []
        self.supervised: list[Supervised | Refusal] = []

    def _subfolder(self, checkpoint: str) -> str:
        return self.judged_by[checkpoint][0].name if isinstance(self.settings.encoder, dict) else ""

    def _load(self, checkpoint: str) -> tuple[SmoothCLAPEncoder, PromptEncoder]:
        encoder = loadable(checkpoint, self.settings.device)[1]()
        check_no_adapters(encoder)
        return encoder, PromptEncoder(encoder.model, encoder.processor.tokenizer)

    def check(self) -> None:
        """Find what would fail later: models, prompts and folders, which is quick, and then the clips."""
        for checkpoint in self.judged_by:
            _, prompts = self._load(checkpoint)
            folder, words = self.output / "contexts" / self._subfolder(checkpoint), list(self.words.values())
            written = self.settings.templates.written_prompts(words, self.settings.language_of_written)
            prompts.tokenize([prompt for of_context in written for prompt in of_context])
            for seed in self.settings.seeds:
                acpt = self.settings.acpt.changed(seed=seed)
                for kind, losses in FITTED.items():
                    kept = folder / f"seed-{seed}" / kind
                    prepare_fit(prompts, self.settings.templates, words, acpt.changed(**losses), kept)
        for corpus in self.corpora:
            self.clips[corpus.name] = {
                name: degrade(corpus.rows, CONDITIONS[name], self.output / "conditions")
                for name in self.settings.conditions
            }

    def test(self, checkpoint: str) -> None:
        """Run stages 2 and 3 with one encoder and test the methods on its corpora; afterwards the encoder is freed."""
        encoder, prompts = self._load(checkpoint)
        weights, texts = self._fit(encoder, prompts, checkpoint)
        doubtful: dict[str, dict[Source, str]] = defaultdict(dict)  # corpus to clip to problem

        @cache
        def embeddings(corpus: str, condition: str) -> np.ndarray:
            clips = clips_of(self.clips[corpus][condition])
            problems: dict[int, ClipError] = {}
            embeds = encoder.encode_audio(clips, problems=problems)
            doubtful[corpus] |= {clips[number]: each.problem for number, each in problems.items()}
            return embeds

        names = [corpus.name for corpus in self.judged_by[checkpoint]]
        self.encoders.append(EncoderSummary(**described(encoder), corpora=names, texts=tuple(texts)))
        for corpus in self.judged_by[checkpoint]:
            zero_shot = checked_zero_shot(encoder, corpus.name, corpus.rows["path"], f"on {corpus.title}")
            self._test_on(corpus, zero_shot, embeddings, weights)
            data = describe_clips(corpus.rows, corpus.classes, file_hashes(corpus.rows["path"]), doubtful[corpus.name])
            about = (corpus.name, corpus.title, corpus.language, corpus.licence, corpus.source)
            self.tested.append(CorpusSummary(*about, data))

    def _fit(
        self, encoder: SmoothCLAPEncoder, prompts: PromptEncoder, checkpoint: str
    ) -> tuple[Mapping[str, BySeed], list[TextMeasures]]:
        """Return class vectors by method and seed, and measures of texts; save classifier and plot of the first."""
        settings = self.settings
        weights: dict[str, dict[int | None, np.ndarray]] = {method.name: {} for method in METHODS}
        texts: list[TextMeasures] = []
        own = self._subfolder(checkpoint)
        for seed in settings.seeds:
            stages = text_stages(
                prompts,
                settings.templates,
                list(self.words.values()),
                settings.acpt.changed(seed=seed),
                settings.classifier.changed(seed=seed),
                self.output / "contexts" / own / f"seed-{seed}",
                settings.language_of_written,
            )
            for method in METHODS:
                weights[method.name][seed if method.is_random else None] = stages.weights[method.name].numpy()
            texts += stages.measures.values()
            if seed == settings.seeds[0]:
                draw_contexts(stages, [*self.words], encoder.name, self.output / contexts_plot(own))
                vectors, scale = stages.weights[CLEP_DG.name], settings.classifier.scale
                save_classifier(encoder, vectors, [*self.words], scale, self.output / "classifier" / own)
        return weights, texts

    def _test_on(
        self, corpus: LabelledCorpus, zero_shot: ZeroShot, embeddings: Embeddings, weights: Mapping[str, BySeed]
    ) -> None:
        """Add the results of each protocol on a corpus."""
        settings = self.settings
        embeds = {condition: embeddings(corpus.name, condition) for condition in settings.conditions}
        if GENERALISATION in settings.protocols:
            others = [each for each in self.corpora if each is not corpus]
            compared = dict(weights)
            if others:
                for name, conditions in trained_in(AUDIO_OF_OTHERS, settings.conditions).items():
                    clips = [(other, embeddings(other.name, each)) for other in others for each in conditions]
                    compared[name] = trained_on_others(clips, settings.seeds, settings.classifier)
            for condition, audio_embeds in embeds.items():
                rows = self.clips[corpus.name][condition]
                self.generalisation.append(
                    Generalisation(
                        corpus=corpus.name,
                        zero_shot=zero_shot,
                        condition=condition,
                        sha256=describe_clips(rows, corpus.classes, file_hashes(rows["path"]), {}).sha256,
                        speakers_in_others=len(_speakers([corpus]) & _speakers(others)),
                        **generalisation(corpus, audio_embeds, compared),
                    )
                )
        if SUPERVISED in settings.protocols:
            self.supervised += supervised(corpus, zero_shot, embeds, weights, settings.seeds, settings.classifier)


def _speakers(corpora: list[LabelledCorpus]) -> set[str]:
    """Return all speakers; published corpora number theirs, so one number in two of them is two speakers."""
    return {
        f"{corpus.name}:{speaker}" if corpus.name in EMOTION_CORPORA else speaker
        for corpus in corpora
        for speaker in corpus.rows["speaker"].dropna()
    }
