"""Training with every objective and several seeds, all else equal, in processes of their own.

The objectives are ours to compare: symmetric InfoNCE, label equality as in supervised contrastive learning, and
SmoothCLAP's soft targets in both readings of the divergence at three weights.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import yaml
from datasets.utils import tqdm


MADE_WITH = "made_with.json"
"""Lies in the folder of a run whose training has ended, and says what it was trained with."""
RESULT = "result.json"
"""Lies in the folder of a run that is finished."""
LOG = "training.log"


@dataclass(frozen=True)
class Objective:
    """
    One way to train.

    Args:
        name (`str`): For tables.
        slug (`str`): For folders.
        settings (`dict[str, Any]`): Fields of the training script that differ from its configuration file.
    """

    name: str
    slug: str
    settings: dict[str, Any] = field(hash=False)


OBJECTIVES = (
    Objective("InfoNCE (one-hot targets)", "infonce", {"beta": 0.0, "kl_reading": "forward"}),
    # All of the target spread over the clips of a label, and cross-entropy against it: supervised contrastive learning.
    Objective("label equality", "labels", {"beta": 1.0, "kl_reading": "forward", "targets": ["labels"]}),
    *(
        Objective(
            f"soft targets, {reading} KL, beta {beta}",
            f"soft-{reading}-{beta}",
            {"beta": beta, "kl_reading": reading, "targets": ["local_features", "tags"]},
        )
        for reading in ("symmetric", "forward")
        for beta in (0.1, 0.3, 0.5)
    ),
)


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


def training_command(script: Path, config: Path, run: Run) -> list[str]:
    """
    The command line of one run.

    Args:
        script (`Path`): The training script, which takes a YAML file and then fields as `--name value`.
        config (`Path`): The YAML file that all runs share.
        run ([`Run`]): Which.

    Returns:
        `list[str]`: For instance `[python, "run_training.py", "shared.yaml", "--beta", "0.1", ...]`; a list is written
        as YAML, `[local_features, tags]`.
    """
    fields = {**run.objective.settings, "seed": run.seed, "output_dir": str(run.model), "report_to": "none"}
    fields["resume_from_checkpoint"] = True  # of a run that was stopped; another starts from the beginning
    options = [word for name, value in fields.items() for word in (f"--{name}", _yaml(value))]
    return [sys.executable, str(script), str(config), *options]


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


def compare(
    runs: list[Run], script: Path, config: Path, score: Callable[[Path], dict[str, float]], jobs: int = 2
) -> pd.DataFrame:
    """
    Train and score every run that is not finished.

    Args:
        runs (`list[Run]`): From [`plan`].
        script (`Path`), config (`Path`): As in [`training_command`].
        score: Called with a model's folder, one at a time; returns its figures.
        jobs (`int`, defaults to 2): Runs at a time, each with one thread.

    Returns:
        `pd.DataFrame`: One row a run, in their order, with `objective`, `seed`, `steps` and the figures.

    Raises:
        ValueError: if a folder holds a run with other settings, or the runs took different numbers of steps.
        RuntimeError: if a training fails; what has finished by then is kept.
    """
    scoring = Lock()

    def finish(run: Run) -> dict[str, Any]:
        _train(run, script, config)
        with scoring:  # so that what scores may share is computed once
            return _scored(run, score)

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(finish, run) for run in runs]
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


def _train(run: Run, script: Path, config: Path) -> None:
    made_with = {"config": yaml.safe_load(config.read_text()), "settings": run.objective.settings, "seed": run.seed}
    made_with = json.loads(json.dumps(made_with, default=str))
    record = run.folder / MADE_WITH
    if record.is_file():
        if json.loads(record.read_text()) != made_with:
            raise ValueError(
                f"{str(run.folder)!r} holds a run with other settings than {str(config)!r} has now; choose another "
                "output folder, or delete this one."
            )
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    log = run.folder / LOG
    with log.open("w") as stream:
        done = subprocess.run(
            training_command(script, config, run),
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise RuntimeError(f"Training {run.folder.name} ended with status {done.returncode}; {log} ends with:\n{tail}")
    _write(record, made_with)


def _scored(run: Run, score: Callable[[Path], dict[str, float]]) -> dict[str, Any]:
    result = run.folder / RESULT
    if not result.is_file():
        history = yaml.safe_load((run.model / "training_log.yaml").read_text())
        steps = max(entry["step"] for entry in history)
        named = {"objective": run.objective.name, "seed": run.seed, "steps": steps}
        _write(result, named | score(run.model))
    return json.loads(result.read_text())


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)
