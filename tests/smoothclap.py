"""The console command in this process: what it printed, and its exit status."""

from typing import Any

from transformers.utils import logging
from typer.testing import CliRunner, Result

from smoothclap_trainer.cli import app


def smoothclap(*words: Any, status: int = 0) -> Result:
    """Run `smoothclap words`, whose exit status has to be `status`; `.stdout` and `.stderr` are what it printed."""
    level = logging.get_verbosity()
    try:
        result = CliRunner().invoke(app, list(map(str, words)))
    finally:
        logging.set_verbosity(level)
        logging.disable_progress_bar()
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def error(*words: Any) -> str:
    """Run a command that has to fail for a reason that a user can act on; return what it printed of it."""
    printed = smoothclap(*words, status=1).stderr
    before, found, told = printed.partition("error: ")
    assert found and before[-1:] in ("", "\n") and "Traceback" not in printed
    return told
