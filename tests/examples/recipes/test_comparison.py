import json
import sys
from pathlib import Path

import pytest
import yaml
from comparison.runs import INFONCE, LABELS, OBJECTIVES, SOFT, Objective, Run, compare, plan, training_command

from smoothclap_trainer import SmoothCLAPTrainingArguments


TRAINING = """
import sys
from pathlib import Path

fields = dict(zip([name[2:] for name in sys.argv[2::2]], sys.argv[3::2], strict=True))
folder = Path(fields["output_dir"])
folder.mkdir(parents=True, exist_ok=True)
with (folder / "calls").open("a") as calls:
    calls.write("called ")
if fields["seed"] == "1" and fields["beta"] == "0.7":
    sys.exit("first line\\nthe device is on fire")
(folder / "training_log.yaml").write_text("[{loss: 2.0, step: 10}, {step: %s, train_loss: 1.0}]" % fields["steps"])
"""

DATA = {"train": "0a", "speech": "0b"}


def objective(name: str, beta: float, steps: int = 20) -> Objective:
    return Objective(name, name, {"beta": beta, "steps": steps}, "It is made up.")


MILD, STRONG, WILD = objective("mild", 0.1), objective("strong", 0.5), objective("wild", 0.7)


@pytest.fixture
def files(tmp_path) -> tuple[list[str], Path, dict[str, str]]:
    script, config = tmp_path / "train.py", tmp_path / "config.yaml"
    script.write_text(TRAINING)
    config.write_text("dataset: some/where\n")
    return [str(script)], config, DATA


def score(folder: Path) -> dict[str, float]:
    return {"uar": 0.5 if "mild" in folder.parent.name else 0.25}


def calls(runs: list[Run]) -> list[int]:
    return [(run.model / "calls").read_text().count("called") for run in runs]


def test_objectives_are_those_to_compare_and_the_arguments_accept_them(tmp_path):
    assert len(OBJECTIVES) == len({one.slug for one in OBJECTIVES}) == len({one.name for one in OBJECTIVES}) == 8
    made = [SmoothCLAPTrainingArguments(str(tmp_path), use_cpu=True, **one.settings) for one in OBJECTIVES]
    assert [(one.beta, one.kl_reading) for one in made] == [
        (0.0, "forward"),
        (1.0, "forward"),
        *((beta, reading) for reading in ("symmetric", "forward") for beta in (0.1, 0.3, 0.5)),
    ]
    assert [one.targets for one in made[1:]] == [["labels"]] + [["local_features", "tags"]] * 6
    assert (INFONCE, LABELS, *SOFT) == OBJECTIVES and INFONCE.settings["beta"] == 0


def test_each_objective_is_said_in_a_sentence():
    assert len({one.meaning for one in OBJECTIVES}) == 8
    assert all(one.meaning.endswith(".") and one.meaning.count(". ") == 0 for one in OBJECTIVES)
    assert "weight 0.7, and with weight 0.3 the" in SOFT[1].meaning
    assert ["+ KL(model" in one.meaning for one in OBJECTIVES] == [
        one.settings["kl_reading"] == "symmetric" for one in OBJECTIVES
    ]


def test_plan_has_every_objective_with_every_seed_seed_by_seed(tmp_path):
    runs = plan(tmp_path, 2, (MILD, STRONG))
    assert [(run.objective, run.seed) for run in runs] == [(MILD, 0), (STRONG, 0), (MILD, 1), (STRONG, 1)]
    assert len({run.folder for run in plan(tmp_path, 5)}) == 40
    with pytest.raises(ValueError, match="1"):
        plan(tmp_path, 1)


@pytest.mark.parametrize("one", OBJECTIVES, ids=lambda one: one.slug)
def test_command_says_all_that_a_run_is(one):
    command = training_command(["train.py"], Path("shared.yaml"), Run(one, 3, Path("out")))
    assert command[:3] == [sys.executable, "train.py", "shared.yaml"]
    names, values = command[3::2], command[4::2]
    assert {name.removeprefix("--"): yaml.safe_load(value) for name, value in zip(names, values, strict=True)} == {
        **one.settings,
        "seed": 3,
        "output_dir": "out/model",
        "report_to": "none",
        "resume_from_checkpoint": True,
    }


def test_runs_are_trained_and_scored_once(tmp_path, files):
    runs = plan(tmp_path / "out", 2, (MILD, STRONG))
    results = compare(runs, *files, score, jobs=2)
    assert results.to_dict("list") == {
        "objective": ["mild", "strong"] * 2,
        "seed": [0, 0, 1, 1],
        "steps": [20] * 4,
        "uar": [0.5, 0.25] * 2,
    }
    again = compare(runs, *files, lambda _: pytest.fail("scored twice"))
    assert again.equals(results)
    assert calls(runs) == [1] * 4


def test_a_run_that_was_trained_is_only_scored(tmp_path, files):
    runs = plan(tmp_path, 2, (MILD,))

    def broken(folder: Path) -> dict[str, float]:
        raise ValueError("no such column")

    with pytest.raises(ValueError):
        compare(runs, *files, broken, jobs=1)
    assert compare(runs, *files, score)["uar"].tolist() == [0.5, 0.5]
    assert calls(runs) == [1, 1]


def test_a_run_that_was_killed_is_trained_on(tmp_path, files):
    runs = plan(tmp_path, 2, (MILD,))
    compare(runs, *files, score)
    for left in ("trained", "result.json"):  # the log of a killed training may be there all the same
        (runs[0].folder / left).unlink()
    compare(runs, *files, score)
    assert calls(runs) == [2, 1]


def test_a_run_that_was_killed_is_not_gone_on_with_in_another_way(tmp_path, files):
    script, config, data = files
    runs = plan(tmp_path / "out", 2, (WILD,))
    with pytest.raises(RuntimeError):
        compare(runs, *files, score, jobs=1)
    assert (runs[1].folder / "made_with.json").is_file() and not (runs[1].folder / "trained").exists()
    changed = [Run(objective("wild", 0.8), run.seed, run.folder) for run in runs]
    with pytest.raises(ValueError, match=r"settings\.beta.*0\.7.*0\.8"):
        compare(changed[1:], *files, score)
    with pytest.raises(ValueError, match=r"data\.train"):
        compare(runs[1:], script, config, data | {"train": "other rows"}, score)
    assert calls(runs) == [1, 1]


def test_a_checkpoint_of_nobody_knows_what_is_refused(tmp_path, files):
    runs = plan(tmp_path / "out", 2, (MILD,))
    (runs[1].model / "checkpoint-5").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"mild-seed1'.*made_with\.json"):
        compare(runs, *files, score)
    assert not runs[0].folder.exists()  # all folders are looked at before anything is trained


def test_figures_of_other_test_clips_are_not_taken(tmp_path, files):
    script, config, data = files
    runs = plan(tmp_path / "out", 2, (MILD,))
    compare(runs, *files, score)
    with pytest.raises(ValueError, match=r"mild-seed0'.*data\.speech"):
        compare(runs, script, config, data | {"speech": "1b"}, score)


def test_a_scored_run_is_known_to_be_trained(tmp_path, files):
    runs = plan(tmp_path / "out", 2, (MILD,))
    compare(runs, *files, score)
    for run in runs:
        (run.folder / "trained").unlink()
    compare(runs, *files, lambda _: pytest.fail("scored twice"))
    assert calls(runs) == [1, 1]


def test_a_failed_training_is_reported_and_the_others_are_kept(tmp_path, files):
    runs = plan(tmp_path, 2, (WILD,))
    with pytest.raises(RuntimeError, match=r"wild-seed1 .*1; .*training\.log"):
        compare(runs, *files, score, jobs=1)
    assert "the device is on fire" in (runs[1].folder / "training.log").read_text()
    assert json.loads((runs[0].folder / "result.json").read_text())["uar"] == 0.25
    assert not (runs[1].folder / "result.json").exists()


def test_what_was_not_started_stays_so_after_a_failure(tmp_path, files):
    runs = [Run(WILD, 1, tmp_path / "first"), *(Run(MILD, seed, tmp_path / f"mild{seed}") for seed in range(20))]
    with pytest.raises(RuntimeError):
        compare(runs, *files, score, jobs=1)
    assert not runs[-1].folder.exists()


def test_runs_of_another_configuration_are_refused(tmp_path, files):
    runs = plan(tmp_path, 2, (MILD,))
    compare(runs, *files, score)
    files[1].write_text("dataset: else/where\n")
    named = r"config\.dataset is 'some/where' there and 'else/where' now"
    with pytest.raises(ValueError, match=f"mild-seed0'.*{named}"):
        compare(runs, *files, score, jobs=1)


def test_runs_of_another_length_are_not_compared(tmp_path, files):
    longer = objective("longer", 0.5, steps=30)
    with pytest.raises(ValueError, match=r"\[20, 30\]"):
        compare(plan(tmp_path, 2, (MILD, longer)), *files, score)
