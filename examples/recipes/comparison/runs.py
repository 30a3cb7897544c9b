"""Training with every objective and several seeds, all else equal, in processes of their own.

The objectives are ours to compare: symmetric InfoNCE, label equality as in supervised contrastive learning, and
SmoothCLAP's soft targets in both readings of the divergence at three weights.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import yaml
from datasets.utils import tqdm

from smoothclap_trainer.files import Record

from .record import MADE_WITH, check_folder, made_with, write_json


TRAINED = "trained"
"""Lies in the folder of a run whose training has ended."""
RESULT = "result.json"
"""Lies in the folder of a run that was scored, and so has ended."""
LOG = "training.log"


@dataclass(frozen=True)
class Objective:
    """
    One way to train.

    Args:
        name (`str`): For tables.
        slug (`str`): For folders.
        settings (`dict[str, Any]`): Fields of the training script that differ from its configuration file.
        meaning (`str`): What it is, in one sentence.
    """

    name: str
    slug: str
    settings: dict[str, Any] = field(hash=False)
    meaning: str


def _soft(reading: str, beta: float) -> Objective:
    loss = "KL(target‖model) + KL(model‖target)" if reading == "symmetric" else "KL(target‖model)"
    return Objective(
        f"soft targets, {reading} KL, beta {beta}",
        f"soft-{reading}-{beta}",
        {"beta": beta, "kl_reading": reading, "targets": ["local_features", "tags"]},
        f"A clip's target is its own caption with weight {1 - beta:.1f}, and with weight {beta} the captions of all "
        f"clips, each by how alike the clips sound and how alike their tags are; the loss is {loss}.",
    )


INFONCE = Objective(
    "InfoNCE (one-hot targets)",
    "infonce",
    {"beta": 0.0, "kl_reading": "forward"},
    "A clip's target is its own caption and no other; the loss is KL(target‖model), which is then cross-entropy.",
)
LABELS = Objective(
    # All of the target spread over the clips of a label, and cross-entropy against it: supervised contrastive learning.
    "label equality",
    "labels",
    {"beta": 1.0, "kl_reading": "forward", "targets": ["labels"]},
    "A clip's target is spread evenly over the captions of the clips of its label; the loss is KL(target‖model).",
)
SOFT = tuple(_soft(reading, beta) for reading in ("symmetric", "forward") for beta in (0.1, 0.3, 0.5))
OBJECTIVES = (INFONCE, LABELS, *SOFT)


@dataclass(frozen=True)
class Run:
    """
    One training.

    Args:
        objective ([`Objective`]): How.
        seed (`int`): Of the new weights, the order of the clips and what the captions say.
        folder (`Path`): Where to.
    """

    objective: Objective
    seed: int
    folder: Path

    @property
    def model(self) -> Path:
        """What the training script writes to."""
        return self.folder / "model"


def plan(output: Path, seeds: int, objectives: tuple[Objective, ...] = OBJECTIVES) -> list[Run]:
    """
    Every objective with every seed, seed by seed, so that an unfinished comparison compares like with like.

    Args:
        output (`Path`): Folder of all runs.
        seeds (`int`): Number of seeds, counted from 0.
        objectives (`tuple[Objective, ...]`, *optional*): What to compare.

    Returns:
        `list[Run]`

    Raises:
        ValueError: if there are less than two seeds.
    """
    if seeds < 2:
        raise ValueError(f"An interval over seeds needs two or more, got {seeds}.")
    return [
        Run(objective, seed, output / f"{objective.slug}-seed{seed}")
        for seed in range(seeds)
        for objective in objectives
    ]


def training_command(training: Sequence[str], config: Path, run: Run) -> list[str]:
    """
    The command line of one run.

    Args:
        training (`Sequence[str]`): What Python runs: a script or `-m module`, which takes a YAML file and then fields
            as `--name value`.
        config (`Path`): The YAML file that all runs share.
        run ([`Run`]): Which.

    Returns:
        `list[str]`: For instance `[python, "train.py", "shared.yaml", "--beta", "0.1", ...]`; a list is written
        as YAML, `[local_features, tags]`.
    """
    fields = {**run.objective.settings, "seed": run.seed, "output_dir": str(run.model), "report_to": "none"}
    fields["resume_from_checkpoint"] = True  # of a run that was stopped; another starts from the beginning
    options = [word for name, value in fields.items() for word in (f"--{name}", _yaml(value))]
    return [sys.executable, *training, str(config), *options]


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


def compare(
    runs: list[Run],
    training: Sequence[str],
    config: Path,
    data: Mapping[str, str],
    score: Callable[[Path], dict[str, float]],
    jobs: int = 2,
) -> pd.DataFrame:
    """
    Train and score every run that is not finished.

    Args:
        runs (`list[Run]`): From [`plan`].
        training (`Sequence[str]`), config (`Path`): As in [`training_command`].
        data (`Mapping[str, str]`): From [`~comparison_record.fingerprint`], of what is trained and scored on.
        score: Called with a model's folder, one at a time; returns its figures.
        jobs (`int`, defaults to 2): Runs at a time, each with one thread.

    Returns:
        `pd.DataFrame`: One row a run, in their order, with `objective`, `seed`, `steps` and the figures.

    Raises:
        ValueError: if a folder holds a run with other settings or data, before anything is trained; or the runs took
            different numbers of steps.
        RuntimeError: if a training fails; what has finished by then is kept.
    """
    shared = yaml.safe_load(config.read_text())
    records = [made_with(shared, run.objective.settings, run.seed, data) for run in runs]
    for run, record in zip(runs, records, strict=True):
        check_folder(run.folder, record, run.model)
    scoring = Lock()

    def finish(run: Run, record: dict[str, Any]) -> dict[str, Any]:
        if not (run.folder / RESULT).is_file():
            if not (run.folder / TRAINED).is_file():
                _train(run, record, training, config)
            with scoring:  # so that what scores may share is computed once
                _score(run, score)
        return dict(json.loads((run.folder / RESULT).read_text()))

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(finish, run, record) for run, record in zip(runs, records, strict=True)]
        try:
            for done in tqdm(as_completed(futures), total=len(futures), desc="Runs", unit="run"):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = pd.DataFrame([future.result() for future in futures])
    if results["steps"].nunique() > 1:
        raise ValueError(
            f"The runs took different numbers of steps, {sorted(results['steps'].unique().tolist())}, and cannot be "
            "compared: delete the folders of those that differ."
        )
    return results


def _train(run: Run, record: dict[str, Any], training: Sequence[str], config: Path) -> None:
    """Start or go on; the record comes first, so that a checkpoint is never taken for that of another run."""
    run.folder.mkdir(parents=True, exist_ok=True)
    write_json(run.folder / MADE_WITH, record)
    log = run.folder / LOG
    with log.open("w") as stream:
        done = subprocess.run(
            training_command(training, config, run),
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise RuntimeError(f"Training {run.folder.name} ended with status {done.returncode}; {log} ends with:\n{tail}")
    (run.folder / TRAINED).touch()


def _score(run: Run, score: Callable[[Path], dict[str, float]]) -> None:
    history = yaml.safe_load((run.model / Record.LOG).read_text())
    steps = max(entry["step"] for entry in history)
    named = {"objective": run.objective.name, "seed": run.seed, "steps": steps}
    write_json(run.folder / RESULT, named | score(run.model))
