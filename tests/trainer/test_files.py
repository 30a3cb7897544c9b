"""A file is there whole, or as it was."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from smoothclap_trainer.files import LOCK_FILE, held, whole_file


def test_the_content_takes_its_place_when_the_block_ends(tmp_path):
    file = tmp_path / "figures.txt"
    file.write_text("old")
    with whole_file(file) as unfinished:
        unfinished.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_after_an_error_the_file_is_as_it_was(tmp_path):
    file = tmp_path / "figures.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), whole_file(file) as unfinished:
        unfinished.write_text("ne")
        raise RuntimeError("half way")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_folder_is_for_one_run_at_a_time(tmp_path):
    """Also within a process, where each thread counts as a run; a block within a block is the same run."""
    with ThreadPoolExecutor() as pool, held(tmp_path / "run"), held(tmp_path / "run"):
        other = pool.submit(held(tmp_path / "run").__enter__)
        with pytest.raises(ValueError, match=rf"{tmp_path}/run.*process {os.getpid()}"):
            other.result()
    with held(tmp_path / "run"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK_FILE]
    assert not any((tmp_path / "run").iterdir())


def test_a_killed_run_leaves_its_folder_free_at_once(tmp_path):
    """Even while a worker that it had forked still lives."""
    child = "import os, sys, time; from smoothclap_trainer.files import held; lock = held(sys.argv[1]); "
    child += "lock.__enter__(); os.fork() or print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", child, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as run:
        assert run.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=f"process {run.pid}"), held(tmp_path):
            pass
        run.kill()
        run.wait()
        with held(tmp_path):
            pass
        os.killpg(run.pid, signal.SIGKILL)
