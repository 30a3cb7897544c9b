"""A floor under how many of Transformers' common tests pass, so that a whole suite cannot skip itself unnoticed.

The suites skip what they think does not apply: without pillow, for one, every test of a processor. This plugin counts
in the process that hears of every result, which under pytest-xdist is the controlling one, and fails the run if a suite
that ran as a whole passed too little.
"""

from collections import defaultdict

import pytest


FLOORS = {  # passed tests of each test class in these files
    "tests/upstream/test_modeling.py": 90,
    "tests/upstream/test_processing.py": 20,
    "tests/upstream/test_feature_extraction.py": 14,
    "tests/upstream/test_configuration.py": 1,
    "tests/upstream/test_classification.py": 95,
}


class Floor:
    """Counts the passed tests of each suite and judges them at the end of the run."""

    def __init__(self) -> None:
        self.passed: defaultdict[str, set[str]] = defaultdict(set)
        self.shortfalls: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, rest = report.nodeid.partition("::")
        if file in FLOORS:
            passed = self.passed[f"{file}::{rest.partition('::')[0]}"]  # an entry even if nothing passes
            if report.when == "call":
                # Subtests report first and under the name of their test, so the last report is the test's own.
                (passed.add if report.passed else passed.discard)(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for suite, passed in sorted(self.passed.items()):
            floor = FLOORS[suite.partition("::")[0]]
            if len(passed) < floor:
                self.shortfalls.append(f"{suite}: {len(passed)} passed, but at least {floor} should.")
        if self.shortfalls and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for shortfall in self.shortfalls:
            terminalreporter.write_line(f"FLOOR {shortfall} See why tests were skipped with -rs.", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Count, unless this is a worker, which hears of its own tests only, or a part of the tests was selected."""
    part = any(config.getoption(name, None) for name in ("keyword", "deselect", "lf", "stepwise"))
    part = part or any("::" in arg for arg in config.args)
    if not part and not hasattr(config, "workerinput") and not config.pluginmanager.has_plugin("floor"):
        config.pluginmanager.register(Floor(), "floor")
