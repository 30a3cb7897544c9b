"""Words from results: Markdown by Jinja templates, which lie in `templates/`."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .evaluation.report_cells import code, image, number, table, with_interval


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(code=code, number=number, with_interval=with_interval)
    environment.globals.update(table=table, image=image)
    return environment


def render(template: str, **values: Any) -> str:
    """
    Fill in a template.

    Args:
        template (`str`): Its name, such as `"evaluation_report.md.jinja"`.
        **values: What it may use. A name that is missing is an error.

    Returns:
        `str`: Markdown.
    """
    return _environment().get_template(template).render(**values)
