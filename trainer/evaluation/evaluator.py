"""Zero-shot evaluation of dual encoders, from their names and those of tasks to results and a report."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import ClipError, Source
from modeling_smoothclap.checkpoint_smoothclap import find_checkpoint, parse_model
from modeling_smoothclap.scores_smoothclap import unit_rows

from ..data.clips import clips_of
from ..files import Record, held, write_text
from ..hub.provenance import recordings_of_checkpoint
from ..plotting import check_matplotlib
from ..templating import zero_shot_reason
from .corpus_names import ZeroShot, ZeroShotStatus, zero_shot_status
from .corpus_readers import listed
from .intervals import MetricsWithIntervals, metrics_with_intervals
from .metrics import confusion_matrix, reliability, unweighted_average_recall_of, zero_shot_predictions
from .protocols import Protocol
from .report import write_report
from .results import (
    DECIMALS,
    Answers,
    EvaluatedModel,
    EvaluationResults,
    ModelResult,
    PromptSensitivity,
    PromptVariant,
    Standardised,
    TaskResults,
    ValueRecall,
    describe_clips,
    file_hashes,
    versions,
)
from .shuffling import shuffled_groups, shuffled_labels
from .tasks import Task, load_tasks
from .valence_arousal import valence_arousal


logger = logging.get_logger(__name__)
Loadable = tuple[str, Callable[[], SmoothCLAPEncoder]]
COLUMNS = ("task", "model", "id", "speaker", "true", "predicted", "score", "true_score")
"""Of `predictions.csv`: `score` is the probability of the predicted class, `true_score` that of the true one."""


def evaluate(
    models: str | Path | SmoothCLAPEncoder | Sequence[str | Path | SmoothCLAPEncoder],
    tasks: str | Path | Task | Sequence[str | Path | Task],
    *,
    data_root: str | Path | Sequence[str | Path] | None = None,
    output: str | Path | None = None,
    batch_size: int = 16,
    seed: int = 0,
    bootstrap_samples: int = 2000,
    device: str | None = None,
    trust_remote_code: bool = False,
    num_workers: int = 2,
) -> EvaluationResults:
    """
    Evaluate models zero-shot, one after the other, so that only one is in memory.

    Clips that are silent or too short are tested like all others, because protocols count them; a warning names the
    first few. The metrics do not depend on the batch size; confidences do, by about 1e-4.

    Args:
        models (`str`, `Path`, [`SmoothCLAPEncoder`] or a sequence of them): Hub ids or folders of dual encoders, as
            `[NAME=]MODEL[@REVISION]`, or loaded ones.
        tasks (`str`, `Path`, [`Task`] or a sequence of them): Names of [`~.protocols.PROTOCOLS`], YAML files of one's
            own tasks, or loaded tasks. A clip that several tasks share is embedded once.
        data_root (`str`, `Path` or a sequence of them, *optional*): Where the corpora of named tasks are: a folder that
            holds one folder or YAML file per corpus, `CORPUS=FOLDER`, `CORPUS=USER/NAME@COMMIT` for one on the Hub, or
            several; see [`~.tasks.corpus_roots`].
        output (`str` or `Path`, *optional*): Folder that gets `results.json`, `predictions.csv`, `report.md` and its
            plots. Without it nothing is written.
        batch_size (`int`, defaults to 16): Clips per batch.
        seed (`int`, defaults to 0): Of the bootstrap.
        bootstrap_samples (`int`, defaults to 2000): Its draws.
        device (`str`, *optional*): Where the models run; by default a GPU if there is one.
        trust_remote_code (`bool`, defaults to `False`): Whether code that comes with a checkpoint may run.
        num_workers (`int`, defaults to 2): Threads that decode and hash audio.

    Returns:
        [`EvaluationResults`]: Rounded as in the file, with the answers.

    Raises:
        ValueError: if there is no model or no task, two have one name, a corpus or a model cannot be loaded, clips
            cannot be read, a text is too long, or another run is at work in `output`.
        ImportError: if there is an `output`, and matplotlib is not installed.
        OSError: if `output` cannot be made.
    """
    loaded = load_tasks(_listed(tasks), _listed(data_root) if data_root is not None else [])
    if output is not None:  # before the long work
        check_matplotlib()
        Path(output).mkdir(parents=True, exist_ok=True)
    named = [loadable(each, device, trust_remote_code) for each in _listed(models)]
    if not named:
        raise ValueError("There is no model to evaluate: name at least one.")
    if twice := [name for name, times in Counter(name for name, _ in named).items() if times > 1]:
        raise ValueError(f"Two models are called {twice[0]!r}; write NAME=MODEL to give one another name.")
    settings = {"seed": seed, "bootstrap_samples": bootstrap_samples, "batch_size": batch_size}
    if output is None:
        return _evaluate(named, loaded, settings, num_workers).rounded()
    with held(output):
        results = _evaluate(named, loaded, settings, num_workers).rounded()
        results.save(Path(output) / Record.RESULTS)
        write_predictions(results, Path(output) / "predictions.csv")
        write_report(results, output)
    return results


def _listed(items: Any) -> list[Any]:
    return list(items) if isinstance(items, Sequence) and not isinstance(items, str) else [items]


def loadable(asked: str | Path | SmoothCLAPEncoder, device: str | None, trust_remote_code: bool = False) -> Loadable:
    """Return what results call a model, and how to get it."""
    if isinstance(asked, SmoothCLAPEncoder):
        return asked.name, lambda: asked
    name, checkpoint, revision = parse_model(str(asked))
    find_checkpoint(checkpoint, revision)  # a misspelt one is reported before the others have run

    def load() -> SmoothCLAPEncoder:
        encoder = SmoothCLAPEncoder.from_pretrained(
            checkpoint, device, revision=revision, trust_remote_code=trust_remote_code
        )
        encoder.name = name
        return encoder

    return name, load


def _evaluate(
    models: Sequence[Loadable], tasks: Sequence[Task], settings: dict[str, int], num_workers: int
) -> EvaluationResults:
    texts = sorted({text for task in tasks for prompt in task.protocol.prompts() for text in prompt.texts})
    paths = [path for task in tasks for path in task.rows["path"]]
    clips = [clip for task in tasks for clip in clips_of(task.heard)]
    evaluated, judged, answers, seconds = [], [], {}, {}
    doubtful: dict[Source, str] = {}
    named: dict[str, None] = {}
    for name, load in models:
        started = time.monotonic()
        encoder = load()
        evaluated.append(EvaluatedModel(**described(encoder)))
        text_embeds = dict(zip(texts, encoder.encode_text(texts), strict=True))
        problems: dict[int, ClipError] = {}
        audio_embeds = encoder.encode_audio(clips, settings["batch_size"], num_workers=num_workers, problems=problems)
        doubtful |= {clips[place]: each.problem for place, each in problems.items()}
        named |= dict.fromkeys(map(str, problems.values()))
        parts = np.split(audio_embeds, np.cumsum([len(task.heard) for task in tasks])[:-1])
        for task, part in zip(tasks, parts, strict=True):
            given = answer(task, encoder.logit_scale, part, text_embeds)
            answers[task.protocol.name, name] = given
            judged.append(judge(task, encoder, given, text_embeds, settings))
        del encoder  # or it would stay until the next one is loaded
        seconds[name] = time.monotonic() - started
    if doubtful:
        logger.warning(f"doubtful clips are included: {listed(sorted(named))}")
    hashes = file_hashes(paths, num_workers)
    return EvaluationResults(
        models=tuple(evaluated),
        tasks=tuple(
            TaskResults(
                task.protocol,
                task.licence,
                describe_clips(task.rows, task.protocol.classes, hashes, doubtful),
                tuple(judged[index :: len(tasks)]),
            )
            for index, task in enumerate(tasks)
        ),
        settings=settings,
        versions=versions(),
        times={"finished": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": seconds},
        answers=answers,
    )


def described(encoder: SmoothCLAPEncoder) -> dict[str, Any]:
    """Return the fields of an [`EvaluatedModel`]."""
    facts = encoder.describe()
    return {"class_name": facts.pop("class")} | facts


def checked_zero_shot(encoder: SmoothCLAPEncoder, corpus: str, paths: Iterable[str], where: str) -> ZeroShot:
    """Return the status of results on these clips of a corpus; a warning unless they are zero-shot."""
    known = recordings_of_checkpoint(encoder.model.config, encoder._folder)
    shared = len(known.intersection(file_hashes(paths).values())) if known else 0
    zero_shot = zero_shot_status(encoder.training_corpora, corpus, shared)
    if zero_shot.status != ZeroShotStatus.ZERO_SHOT:
        why = zero_shot_reason(zero_shot, encoder.training_corpora, corpus)
        logger.warning(f"{encoder.name} {where}: {zero_shot.status}. {why}")
    return zero_shot


def answer(task: Task, logit_scale: float, audio_embeds: np.ndarray, text_embeds: Mapping[str, np.ndarray]) -> Answers:
    """Choose a class for every clip of a task, from unit-length embeddings of all it has, those of texts by text."""
    classes = task.protocol.classes
    prompts = task.protocol.prompts()[: None if task.protocol.averaged else 1]
    asked = np.stack([[text_embeds[text] for text in prompt.texts] for prompt in prompts])  # (prompts, classes, width)
    class_embeds = unit_rows(asked.mean(axis=0), "class_embeds")
    cosines = unit_rows(audio_embeds, "audio_embeds") @ class_embeds.T  # (clips, classes)
    by_speaker = None
    if task.protocol.by_speaker:
        by_speaker = standardised(cosines, task.heard["speaker"])[: len(task.rows)].argmax(axis=1)
    audio_embeds, cosines = audio_embeds[: len(task.rows)], cosines[: len(task.rows)]
    scores = np.exp(logit_scale * (cosines - cosines.max(axis=1, keepdims=True)).astype(np.float64))
    return Answers(
        ids=task.rows["id"].tolist(),
        speakers=[speaker if isinstance(speaker, str) else None for speaker in task.rows["speaker"]],  # NaN is None
        audio_embeds=audio_embeds,
        class_embeds=class_embeds,
        true=np.array([classes.index(label) for label in task.rows["label"]]),
        predicted=cosines.argmax(axis=1),
        probabilities=scores / scores.sum(axis=1, keepdims=True),
        predicted_by_speaker=by_speaker,
    )


def standardised(scores: np.ndarray, speakers: pd.Series) -> np.ndarray:
    """
    Bring the scores of each class, `(clips, classes)`, to mean 0 and standard deviation 1 within each speaker.

    They are 0 where a speaker's do not vary.
    """
    grouped = pd.DataFrame(scores).groupby(speakers.to_numpy())
    spread = grouped.transform("std").replace(0, 1).to_numpy()
    return (scores - grouped.transform("mean").to_numpy()) / spread


def judge(
    task: Task,
    encoder: SmoothCLAPEncoder,
    answers: Answers,
    text_embeds: Mapping[str, np.ndarray],
    settings: Mapping[str, int],
) -> ModelResult:
    """Compute all results of one model in one task, not rounded."""
    protocol, classes = task.protocol, task.protocol.classes
    groups = task.rows["group"].tolist() if protocol.grouped_by else None
    bootstrap = (settings["bootstrap_samples"], settings["seed"])

    def classified(predicted: np.ndarray) -> tuple[MetricsWithIntervals, dict[str, Any]]:
        grouped_by = protocol.grouped_by or "session"
        found = metrics_with_intervals(
            predicted, answers.true, len(classes), answers.speakers, groups, *bootstrap, grouped_by=grouped_by
        )
        values = {"metrics": found.metrics, "confusion": found.confusion}
        values["per_class_recall"] = dict(zip(classes, found.per_class_recall, strict=True))
        return found, values | _beside(task, predicted, answers, settings["seed"])

    found, values = classified(answers.predicted)
    by_speaker = answers.predicted_by_speaker
    return ModelResult(
        model=encoder.name,
        zero_shot=checked_zero_shot(encoder, protocol.corpus, task.rows["path"], f"in {protocol.title}"),
        **values,
        by_speaker=None if by_speaker is None else Standardised(**classified(by_speaker)[1]),
        groups=found.groups,
        chance=1 / len(classes),
        interval=found.interval,
        calibration=reliability(answers.probabilities, answers.true),
        valence_arousal=valence_arousal(answers.audio_embeds, answers.true, answers.class_embeds, classes),
        prompts=prompt_sensitivity(protocol, answers.audio_embeds, text_embeds, answers.true, groups),
    )


def _beside(task: Task, predicted: np.ndarray, answers: Answers, seed: int) -> dict[str, Any]:
    """The UAR with shuffled labels, and the recall of each value of what classes may be confused with."""
    protocol, n_classes = task.protocol, len(task.protocol.classes)

    def uar(true: np.ndarray) -> float:
        return float(unweighted_average_recall_of(confusion_matrix(predicted, true, n_classes)))

    shuffled, by_value = {}, {}
    if protocol.shuffles:
        shuffled["clips"] = shuffled_labels(uar, answers.true, answers.speakers, protocol.shuffles, seed)
    if protocol.confounded_by:
        values = task.rows["confound"]
        if protocol.shuffles:
            shuffled[protocol.confounded_by] = shuffled_groups(
                uar, answers.true, values.tolist(), protocol.shuffles, seed
            )
        for value, its in values.groupby(values).groups.items():
            label = protocol.classes[answers.true[its[0]]]
            right = float((predicted[its] == answers.true[its]).mean())
            by_value[str(value)] = ValueRecall(label, len(its), right)
    return {"shuffled": shuffled, "by_value": by_value}


def prompt_sensitivity(
    protocol: Protocol,
    audio_embeds: np.ndarray,
    text_embeds: Mapping[str, np.ndarray],
    true: np.ndarray,
    groups: Sequence[str] | None = None,
) -> PromptSensitivity:
    """Compute the UAR of every wording in every template (ours), as the mean over `groups` where there are any."""
    members = np.zeros(len(true), dtype=int) if groups is None else np.unique(list(groups), return_inverse=True)[1]
    variants = []
    for prompt in protocol.prompts():
        predicted = zero_shot_predictions(audio_embeds, np.stack([text_embeds[text] for text in prompt.texts]))
        confusions = [
            confusion_matrix(predicted[members == group], true[members == group], len(prompt.texts))
            for group in range(members.max() + 1)
        ]
        uar = float(unweighted_average_recall_of(np.stack(confusions)).mean())
        variants.append(PromptVariant(**vars(prompt), uar=uar))
    uars = [variant.uar for variant in variants]
    return PromptSensitivity(tuple(variants), min(uars), max(uars), float(np.mean(uars)), float(np.std(uars)))


def write_predictions(results: EvaluationResults, path: str | Path) -> None:
    """Write predictions as CSV, by task, model and clip; equal answers give equal bytes."""
    tables = []
    for task, result in results.judged:
        name, classes = task.protocol.name, np.array(task.protocol.classes, dtype=object)
        given = results.answers[name, result.model]
        scores = [given.probabilities[range(len(given.ids)), chosen] for chosen in (given.predicted, given.true)]
        said = (given.ids, given.speakers, classes[given.true], classes[given.predicted], *scores)
        tables.append(pd.DataFrame(dict(zip(COLUMNS, (name, result.model, *said), strict=True))))
    written = pd.concat(tables).to_csv(index=False, lineterminator="\n", float_format=f"%.{DECIMALS}f")
    write_text(path, written)
