"""Where the files of a checkpoint are, and at which commit of the Hub."""

from pathlib import Path

from transformers.utils import ADAPTER_CONFIG_NAME, CONFIG_NAME, cached_file
from transformers.utils.hub import extract_commit_hash


def find_checkpoint(name_or_path: str, revision: str | None = None) -> tuple[Path, str | None]:
    """
    Find the files of a checkpoint, for a loaded model no longer says which commit it is of.

    Args:
        name_or_path (`str`): Hub id, or the folder of a checkpoint or of PEFT adapters.
        revision (`str`, *optional*): Branch, tag or commit on the Hub; by default its main branch.

    Returns:
        `tuple[Path, str | None]`: The folder, and the commit if it is a copy from the Hub.

    Raises:
        ValueError: if there is no such checkpoint, it is a file, or the folder has no configuration.
    """
    path = Path(name_or_path)
    if path.is_dir():
        if not any((path / name).is_file() for name in (CONFIG_NAME, ADAPTER_CONFIG_NAME)):
            raise ValueError(
                f"{name_or_path!r} has no {CONFIG_NAME} (nor {ADAPTER_CONFIG_NAME}, as adapters have), so it is no "
                "checkpoint: give the folder that `save_pretrained` wrote."
            )
        return path, None
    if path.exists():
        raise ValueError(f"{name_or_path!r} is a file; give the folder of the checkpoint, in which {CONFIG_NAME} is.")
    if _can_only_be_a_path(name_or_path):
        raise ValueError(f"{name_or_path!r} is no checkpoint: there is no such folder.")
    for file_name in (CONFIG_NAME, ADAPTER_CONFIG_NAME):
        try:
            found = cached_file(
                name_or_path, file_name, revision=revision or "main", _raise_exceptions_for_missing_entries=False
            )
        except OSError as error:
            raise ValueError(f"{name_or_path!r} could not be loaded as a checkpoint: {error}") from error
        if found:
            return Path(found).parent, extract_commit_hash(found, None)
    raise ValueError(
        f"{name_or_path!r} is no folder, and no checkpoint of that name (revision {revision or 'main'}) was found on "
        "the Hub or, where that cannot be reached, among the copies of earlier downloads."
    )


def _can_only_be_a_path(name: str) -> bool:
    """Whether no repository of the Hub is called so: their names are `user/model` or, the oldest ones, `model`."""
    return name.startswith((".", "/", "~")) or name.endswith("/") or "\\" in name or name.count("/") > 1
