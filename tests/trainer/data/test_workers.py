"""Work in several processes or threads: order, how far ahead it reads, and what happens when one stops early."""

import os
import threading

import pytest

from smoothclap_trainer.data.workers import BATCHES_AHEAD, ordered_map


def pid_and_square(number):
    return os.getpid(), number**2


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_come_in_the_order_of_the_items(num_workers, batch):
    assert list(ordered_map(str, iter(range(20)), num_workers, batch, threads=True)) == [str(n) for n in range(20)]
    assert list(ordered_map(str, [], num_workers, batch, threads=True)) == []


def test_processes_do_the_work_in_order():
    results = list(ordered_map(pid_and_square, range(40), 2, batch=3))
    assert [square for _, square in results] == [n**2 for n in range(40)]
    assert os.getpid() not in {pid for pid, _ in results}
    assert {pid for pid, _ in ordered_map(pid_and_square, range(3), 1)} == {os.getpid()}


def test_items_are_read_only_a_little_ahead():
    read = []

    def items():
        for number in range(1000):
            read.append(number)
            yield number

    results = ordered_map(str, items(), 2, batch=5, threads=True)
    assert next(results) == "0"
    assert len(read) == 2 * BATCHES_AHEAD * 5
    results.close()
    assert len(read) == 2 * BATCHES_AHEAD * 5


def test_threads_work_at_the_same_time():
    both = threading.Barrier(2, timeout=20)  # breaks, and so fails the test, unless two wait for each other

    def wait(_):
        both.wait()
        return threading.get_ident()

    assert len(set(ordered_map(wait, range(2), 2, threads=True))) == 2


def test_an_error_of_the_function_arrives():
    with pytest.raises(ValueError, match="invalid literal for int"):
        list(ordered_map(int, ["1", "x", "2"], 2, threads=True))


@pytest.mark.parametrize(("num_workers", "batch"), [(0, 1), (1, 0)])
def test_no_workers_is_an_error(num_workers, batch):
    with pytest.raises(ValueError, match=f"must be at least 1, got {num_workers} and {batch}"):
        list(ordered_map(str, [1], num_workers, batch))
