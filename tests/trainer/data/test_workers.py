"""Work in several processes: order, how far ahead it reads, and scripts and parents of every kind."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from modeling_smoothclap.batching_smoothclap import AHEAD
from smoothclap_trainer.data.workers import ordered_map


def pid_and_square(number):
    return os.getpid(), number**2


def test_processes_do_the_work_in_order():
    script = vars(sys.modules["__main__"])
    before = {name: script.get(name) for name in ("__file__", "__spec__")}
    results = list(ordered_map(pid_and_square, range(40), 2, batch=3))
    assert [square for _, square in results] == [n**2 for n in range(40)]
    assert os.getpid() not in {pid for pid, _ in results}
    assert {pid for pid, _ in ordered_map(pid_and_square, range(3), 1)} == {os.getpid()}
    assert list(ordered_map(pid_and_square, [], 2)) == []
    assert {name: script.get(name) for name in before} == before


def test_items_are_read_only_a_little_ahead():
    read = []
    results = ordered_map(pid_and_square, (read.append(number) or number for number in range(1000)), 2, batch=5)
    assert next(results)[1] == 0
    assert len(read) == 2 * AHEAD * 5
    results.close()
    assert len(read) == 2 * AHEAD * 5


def test_an_error_of_the_function_arrives():
    with pytest.raises(TypeError, match="'str'"):
        list(ordered_map(pid_and_square, [1, "x", 2], 2))


@pytest.mark.parametrize(("num_workers", "batch"), [(0, 1), (1, 0)])
def test_no_workers_is_an_error(num_workers, batch):
    with pytest.raises(ValueError, match=f"{num_workers} and {batch}"):
        list(ordered_map(str, [1], num_workers, batch))


UNGUARDED = """
import time
import numpy as np, soundfile
from datasets import Dataset
from smoothclap_trainer.data.clips import check_clips
from smoothclap_trainer.data.workers import ordered_map

with open("started.txt", "a") as file:
    file.write("once\\n")
for index in range(120):
    soundfile.write(f"{index}.wav", np.sin(np.arange(1600 + index)), 16000)
rows = Dataset.from_dict({"path": [f"{index}.wav" for index in range(120)]})
print(sum(check_clips(rows, "raise", num_workers=2)["duration"]), flush=True)
list(ordered_map(time.sleep, [600, 600], 2))
"""


def test_a_script_without_a_guard_runs_once_and_its_workers_end_with_it(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    script = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    processes = psutil.Process(script.pid)
    try:
        total = float(script.stdout.readline())
        wait_until(lambda: len(processes.children(recursive=True)) >= 4)  # a tracker, a server, two workers
        started = processes.children(recursive=True)
    finally:
        script.kill()
        script.wait()
        script.stdout.close()
    assert total == pytest.approx(sum(1600 + index for index in range(120)) / 16000)
    assert (tmp_path / "started.txt").read_text() == "once\n"
    wait_until(lambda: not any(map(runs, started)))


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
