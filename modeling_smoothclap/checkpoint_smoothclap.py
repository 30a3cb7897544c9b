"""Find, load and identify the checkpoint of a dual encoder."""

import hashlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoProcessor
from transformers.utils import ADAPTER_CONFIG_NAME, CONFIG_NAME, cached_file, is_peft_available
from transformers.utils.hub import extract_commit_hash


SMOOTHCLAP_TINY = str(Path(__file__).parent / "checkpoints" / "smoothclap-tiny")
"""Directory of the small default checkpoint that comes with this package."""

# In the order in which transformers prefers them. Other files of a training run are not weights of the model.
_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin", "adapter_model*.bin"))


class NamedCheckpoint(NamedTuple):
    """What results and plots call a checkpoint, its Hub id or folder, and its branch, tag or commit on the Hub."""

    name: str
    checkpoint: str
    revision: str | None


def parse_model(asked: str) -> NamedCheckpoint:
    """
    Read which model is meant, and what to call it: `[NAME=]MODEL[@REVISION]`, as in `"ours=user/model@v2"`.

    `MODEL` is a Hub id, a folder or "smoothclap-tiny". Without a name, a model of the Hub is called by its id and
    revision, and a folder by its last part, because results may be published. What exists as it is written has neither
    name nor revision. A `ValueError` if a part is empty or a folder has a revision.
    """
    named = "=" in asked and not Path(asked).exists()
    name, _, model = asked.partition("=") if named else ("", "", asked)
    checkpoint, at, revision = (model, "", "") if Path(model).exists() else model.partition("@")
    if not checkpoint or (named and not name) or (at and not revision):
        raise ValueError(f"{asked!r} does not name a model: give a Hub id or a folder, NAME=MODEL or MODEL@REVISION.")
    checkpoint = _with_tiny(checkpoint)
    is_folder = Path(checkpoint).is_dir()
    if is_folder and revision:
        raise ValueError(f"{asked!r} is a folder, which has no revisions: leave out {at + revision!r}.")
    own = (Path(checkpoint).resolve().name if is_folder else "") or model
    return NamedCheckpoint(name or own, checkpoint, revision or None)


def load_dual_encoder(
    name_or_dir: str, dtype: torch.dtype | str, revision: str | None, trust_remote_code: bool
) -> tuple[Any, Any, Path, str | None]:
    """
    Load a dual encoder in evaluation mode, its processor, the folder of its files, and its commit on the Hub.

    The arguments and errors are those of `SmoothCLAPEncoder.from_pretrained`.
    """
    path = _with_tiny(name_or_dir)
    folder, commit = find_checkpoint(path, revision)
    if (folder / ADAPTER_CONFIG_NAME).is_file() and not is_peft_available():
        raise ImportError(f'{name_or_dir!r} holds adapters, which need peft: pip install "smoothclap[train]"')
    # All of one commit, even if the branch moves on meanwhile.
    options = {"revision": commit or "main", "trust_remote_code": trust_remote_code}
    try:
        model, loading = AutoModel.from_pretrained(path, dtype=dtype, output_loading_info=True, **options)
        _check_parts(name_or_dir, model, ("get_audio_features", "get_text_features"))
        if missing := sorted(loading["missing_keys"]):
            raise ValueError(
                f"{name_or_dir!r} lacks {len(missing)} of the weights of a {type(model).__name__}, for example "
                f"{missing[0]!r}. They would be random: give a complete checkpoint."
            )
        processor = AutoProcessor.from_pretrained(path, **options)
        _check_parts(name_or_dir, processor, ("feature_extractor", "tokenizer"))
    except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: weights of another shape
        raise ValueError(f"{name_or_dir!r} could not be loaded as a dual encoder: {error}") from error
    return model.eval(), processor, folder, commit


def find_checkpoint(name_or_dir: str, revision: str | None = None) -> tuple[Path, str | None]:
    """
    Return the folder of a checkpoint, or of PEFT adapters, and its commit if it is a copy from the Hub.

    A loaded model no longer knows its commit. A `ValueError` if there is no such checkpoint.
    """
    path = Path(name_or_dir)
    if path.is_dir():
        if not any((path / name).is_file() for name in (CONFIG_NAME, ADAPTER_CONFIG_NAME)):
            raise ValueError(
                f"{name_or_dir!r} is not a checkpoint: it has neither {CONFIG_NAME} nor {ADAPTER_CONFIG_NAME} (of "
                "adapters). Give the folder that `save_pretrained` wrote."
            )
        return path, None
    if path.exists():
        raise ValueError(f"{name_or_dir!r} is a file; give the folder of the checkpoint, which holds {CONFIG_NAME}.")
    if _can_only_be_a_path(name_or_dir):
        raise ValueError(f"{name_or_dir!r} is not a checkpoint: there is no such folder.")
    tiny = Path(SMOOTHCLAP_TINY).name
    if get_close_matches(name_or_dir, [tiny], cutoff=0.8):  # before the Hub is asked, which takes long offline
        raise ValueError(f"{name_or_dir!r} is not a checkpoint; did you mean {tiny!r}?")
    for file_name in (CONFIG_NAME, ADAPTER_CONFIG_NAME):
        try:
            found = cached_file(
                name_or_dir, file_name, revision=revision or "main", _raise_exceptions_for_missing_entries=False
            )
        except OSError as error:
            raise ValueError(f"{name_or_dir!r} could not be loaded as a checkpoint: {error}") from error
        if found:
            return Path(found).parent, extract_commit_hash(found, None)
    raise ValueError(
        f"{name_or_dir!r} is not a folder, and no checkpoint of that name (revision {revision or 'main'}) was found on "
        "the Hub or, if it cannot be reached, among earlier downloads."
    )


def weights_sha256(folder: Path) -> str:
    """
    Return the SHA-256 of a checkpoint's weights, in hexadecimal; a `ValueError` if the folder has none.

    Safetensors are preferred, as by transformers. Of several files, it is that of what `sha256sum` prints of them.
    """
    for patterns in _WEIGHTS:
        if files := sorted(path for pattern in patterns for path in folder.glob(pattern)):
            break
    else:
        raise ValueError(f"{str(folder)!r} holds no weights: no file is called {' or '.join(sum(_WEIGHTS, ()))}.")
    sums = []
    for path in files:
        with path.open("rb") as file:
            sums.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(files) == 1:
        return sums[0]
    listing = "".join(f"{each}  {path.name}\n" for each, path in zip(sums, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


def _with_tiny(name: str) -> str:
    """Return the folder of the small checkpoint for its name, unless the user has a folder of that name."""
    is_tiny = name == Path(SMOOTHCLAP_TINY).name and not Path(name).exists()
    return SMOOTHCLAP_TINY if is_tiny else name


def _can_only_be_a_path(name: str) -> bool:
    """Whether no repository of the Hub is called so: their names are `user/model` or, the oldest ones, `model`."""
    return name.startswith((".", "/", "~")) or name.endswith("/") or "\\" in name or name.count("/") > 1


def _check_parts(name: str, loaded: Any, needed: Sequence[str]) -> None:
    if lacking := [part for part in needed if not hasattr(loaded, part)]:
        raise ValueError(
            f"{name!r} comes with a {type(loaded).__name__}, which lacks {' and '.join(lacking)}. Give a model with "
            "`get_audio_features` and `get_text_features`, and a processor with `feature_extractor` and `tokenizer`."
        )
