"""Files that appear whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """
    Where to write a file's content, which takes its place at once when the block ends; after an error nothing does. Two
    processes that write the same file do not get in each other's way.

    Args:
        file (`Path`): Where the content goes; its folder is there.

    Example:

    ```python
    >>> from pathlib import Path
    >>> from smoothclap_trainer.data.whole_file import whole_file
    >>> with whole_file(Path("figures.txt")) as unfinished:
    ...     _ = unfinished.write_text("0.5")
    >>> Path("figures.txt").read_text()
    '0.5'

    ```
    """
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="unfinished-") as scratch:
        unfinished = Path(scratch) / file.name
        yield unfinished
        unfinished.replace(file)
