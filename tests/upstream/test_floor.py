"""The floor under the number of passed tests holds, in one process and with a worker of pytest-xdist."""

from pathlib import Path

import pytest

from tests.upstream import floor


pytest_plugins = ["pytester"]

SUITE = "tests/upstream/test_processing.py"
FLOOR = floor.FLOORS[SUITE]


@pytest.fixture
def run(pytester):
    """Run a suite of `passing` and of three skipped tests."""

    def run(passing: int, *options: str) -> pytest.RunResult:
        pytester.makeconftest(Path(floor.__file__).read_text())
        file = pytester.path / SUITE
        file.parent.mkdir(parents=True)
        file.write_text(
            f"""
import pytest
class TestSuite:
    @pytest.mark.parametrize("number", range({passing + 3}))
    def test_it(self, number, subtests):
        with subtests.test("passes, which is no passed test"):
            pass
        if number >= {passing}:
            pytest.skip()
"""
        )
        return pytester.runpytest_subprocess(*options)

    return run


def test_enough_passed(run):
    result = run(FLOOR)
    result.assert_outcomes(passed=FLOOR, skipped=3)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "a worker"])
def test_too_few_passed(run, options):
    result = run(FLOOR - 1, *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*FLOOR {SUITE}::TestSuite: {FLOOR - 1} passed, but at least {FLOOR} should.*"])


def test_a_part_of_the_suite_may_pass_less(run):
    assert run(FLOOR, "-k", "1").ret == pytest.ExitCode.OK
