"""Find, load and identify the checkpoint of a dual encoder."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import torch
from huggingface_hub import constants, get_session, try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModel, AutoProcessor
from transformers.utils import (
    ADAPTER_CONFIG_NAME,
    CONFIG_NAME,
    SAFE_WEIGHTS_NAME,
    cached_file,
    is_peft_available,
)
from transformers.utils.hub import extract_commit_hash


SMOOTHCLAP_TINY = str(Path(__file__).parent / "checkpoints" / "smoothclap-tiny")
"""Directory of the small default checkpoint that comes with this package."""

# In the order in which transformers prefers them. Other files of a training run are not weights of the model.
_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin", "adapter_model*.bin"))
_CONFIGURATIONS = (CONFIG_NAME, ADAPTER_CONFIG_NAME, "processor_config.json", "preprocessor_config.json")
MOST = 10**6
"""No whole number in a configuration is larger, unless the weights are: a clip of CLAP has 480,000 samples."""
MOST_LAYERS = 1000
"""There are no more layers where the weights have no header that could be read."""


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
    checkpoint = with_tiny(checkpoint)
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
    path = with_tiny(name_or_dir)
    folder, commit = find_checkpoint(path, revision)
    if (folder / ADAPTER_CONFIG_NAME).is_file() and not is_peft_available():
        raise ImportError(f'{name_or_dir!r} holds adapters, which need peft: pip install "smoothclap[train]"')
    # All of one commit, even if the branch moves on meanwhile.
    options = {"revision": commit or "main", "trust_remote_code": trust_remote_code}
    with explained(name_or_dir):
        if commit:  # the weights of a folder are there, those of the Hub may be still to be fetched
            cached_file(path, SAFE_WEIGHTS_NAME, revision=commit, _raise_exceptions_for_missing_entries=False)
            check_sizes(folder)
        if not (commit and trust_remote_code):  # then code may have to be fetched, too
            check_parameters(folder, AutoModel, trust_remote_code)
        model, loading = AutoModel.from_pretrained(path, dtype=dtype, output_loading_info=True, **options)
        _check_parts(name_or_dir, model, ("get_audio_features", "get_text_features"))
        if missing := sorted(loading["missing_keys"]):
            raise ValueError(
                f"{name_or_dir!r} lacks {len(missing)} of the weights of a {type(model).__name__}, for example "
                f"{missing[0]!r}. They would be random: give a complete checkpoint."
            )
        check_finite(model, repr(name_or_dir))
        processor = AutoProcessor.from_pretrained(path, **options)
        _check_parts(name_or_dir, processor, ("feature_extractor", "tokenizer"))
        processor(text=["a"])  # a broken tokenizer shows only now
    return model.eval(), processor, folder, commit


@contextmanager
def explained(*names: str) -> Iterator[None]:
    """Turn the many errors of damaged files into a `ValueError` that names the file, or else what was loaded."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if isinstance(error, json.JSONDecodeError | UnicodeError | RecursionError):
            for path in (path for name in names for path in Path(name).glob("*.json")):
                read_object(path)
        if isinstance(error, ValueError) and any(name in str(error) for name in names):
            raise
        reason = shorten(str(error), 300).rstrip(".") or type(error).__name__
        cure = "" if isinstance(error, ValueError) else " If it is damaged, get it again."
        raise ValueError(f"{' and '.join(map(repr, names))} could not be loaded: {reason}.{cure}") from error


@contextmanager
def loading_encoders(*names: str) -> Iterator[None]:
    """Load encoders in the block; a `ValueError` says at once that one does not exist, and what cannot be loaded."""
    for name in names:
        find_checkpoint(name)
    with explained(*names):
        yield


def find_checkpoint(name_or_dir: str, revision: str | None = None) -> tuple[Path, str | None]:
    """
    Return the folder of a checkpoint, of an encoder or of PEFT adapters, and its commit if it is a copy from the Hub.

    A loaded model no longer knows its commit. A `ValueError` if there is no such checkpoint, it has sizes that are not
    those of its weights, or files that are not plain. What can only be a path is not looked for on the Hub.
    """
    path = Path(name_or_dir)
    with explained(shorten(name_or_dir, 200)):  # names that no file can have, folders that may not be read
        is_folder, exists = path.is_dir(), path.exists()
        if is_folder:
            check_files(path)
    if is_folder:
        if not any((path / name).is_file() for name in (CONFIG_NAME, ADAPTER_CONFIG_NAME)):
            raise ValueError(
                f"{name_or_dir!r} is not a checkpoint: it has neither {CONFIG_NAME} nor {ADAPTER_CONFIG_NAME} (of "
                "adapters). Give the folder that `save_pretrained` wrote."
            )
        check_sizes(path)
        _check_base(path)
        return path, None
    if exists:
        raise ValueError(f"{name_or_dir!r} is a file; give the folder of the checkpoint, which holds {CONFIG_NAME}.")
    # Before the Hub is asked, which takes long offline.
    if can_only_be_a_path(name_or_dir):
        near = get_close_matches(path.name, [each.name for each in path.parent.glob("*/")], n=1)
        meant = f"; did you mean {str(path.parent / near[0])!r}?" if near else "."
        raise ValueError(f"{name_or_dir!r} is not a checkpoint: there is no such folder{meant}")
    tiny = Path(SMOOTHCLAP_TINY).name
    if get_close_matches(name_or_dir, [tiny], cutoff=0.8):
        raise ValueError(f"{name_or_dir!r} is not a checkpoint; did you mean {tiny!r}?")
    for file_name in (CONFIG_NAME, ADAPTER_CONFIG_NAME):
        try:
            _check_connection(name_or_dir, file_name, revision)
            found = cached_file(
                name_or_dir, file_name, revision=revision or "main", _raise_exceptions_for_missing_entries=False
            )
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0].rstrip(". ")
            raise ValueError(f"{name_or_dir!r} is not a folder, and not to be had from the Hub: {reason}.") from error
        if found:
            check_sizes(Path(found).parent)
            return Path(found).parent, extract_commit_hash(found, None)
    raise ValueError(
        f"{name_or_dir!r} is not a folder, and no checkpoint of that name (revision {revision or 'main'}) was found on "
        "the Hub or, if it cannot be reached, among earlier downloads."
    )


def _check_base(folder: Path) -> None:
    """Find the model of adapters that are alone, so that one which is gone is not looked for on the Hub for long."""
    if (folder / CONFIG_NAME).is_file():
        return
    base = read_object(folder / ADAPTER_CONFIG_NAME).get("base_model_name_or_path")
    try:
        if not isinstance(base, str) or (Path(base) / ADAPTER_CONFIG_NAME).is_file():
            raise ValueError(f"{base!r} is not the name of a model")
        find_checkpoint(base)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The adapters in {str(folder)!r} need their model, base_model_name_or_path in {ADAPTER_CONFIG_NAME}: "
            f"{error}"
        ) from error


def _check_connection(name: str, file_name: str, revision: str | None) -> None:
    """Ask once whether the Hub can be reached, unless a file is in the cache: its client tries for half a minute."""
    cached = try_to_load_from_cache(name, file_name, revision=revision)
    if cached is None and not constants.HF_HUB_OFFLINE:
        try:
            get_session().head(constants.ENDPOINT, timeout=5)
        except Exception as error:  # of the network: classes of the client that huggingface_hub uses
            raise ValueError(f"it cannot be reached ({error})") from error


def check_files(folder: Path) -> None:
    """
    Refuse a folder with anything but plain files and folders, because reading a pipe or a device might never end; and
    one with files of a checkpoint that may not be read.

    An index of weights names files of the folder only.
    """
    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError(f"{str(path)!r} is not a plain file, so it is not read: remove it.")
        if path.suffix in (".json", ".safetensors", ".bin") and not os.access(path, os.R_OK):
            raise ValueError(f"{str(path)!r} may not be read: get the right to read it.")
    for index in folder.glob("*.index.json"):
        weight_map = read_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
            raise ValueError(f"{str(index)!r} is damaged: its weight_map does not name files. Save the model again.")
        if foreign := [name for name in weight_map.values() if Path(name).name != name or "\\" in name]:
            raise ValueError(f"{str(index)!r} names {foreign[0]!r}, which is not in the folder. Save the model again.")


def check_finite(model: Any, where: str) -> None:
    """Refuse weights that are not numbers, as of a training that diverged; `where` says in the error where they are."""
    weights = model.state_dict().items()
    if spoilt := [name for name, weight in weights if weight.is_floating_point() and not weight.isfinite().all()]:
        raise ValueError(
            f"{len(spoilt)} of the weights in {where} are not finite, first {spoilt[0]}: the training diverged. Train "
            "again with lower learning rates."
        )


def check_sizes(folder: Path) -> None:
    """
    Hold the sizes in a folder's configurations against the header of its weights, before anything is made of them.

    There are no more layers than tensors, and other whole numbers are at most [`MOST`] or the largest dimension.
    Otherwise a `ValueError` names the size. Weights without a readable header count as [`MOST_LAYERS`] and [`MOST`].
    """
    shapes = [shape for path in _weights(folder) for shape in _shapes(path)]
    largest = max((size for shape in shapes for size in shape), default=MOST)
    for name in _CONFIGURATIONS:
        if not (folder / name).is_file():
            continue
        for key, size in _numbers(read_object(folder / name)):
            is_count, is_width = "layers" in key or "depths" in key, key in ("feature_size", "r")
            limit = (len(shapes) or MOST_LAYERS) if is_count else largest if is_width else max(MOST, largest)
            if abs(size) > max(limit, 1):
                raise ValueError(
                    f"{str(folder / name)!r} says {key}: {size}, which does not fit the weights there ({len(shapes)} "
                    f"tensors, the largest dimension is {largest}): get the checkpoint again."
                )


def check_parameters(folder: Path, auto_class: Any, trust_remote_code: bool) -> None:
    """Check that a configuration asks for no more parameters than the weights next to it hold; a `ValueError` if so."""
    stored = 2 * sum(path.stat().st_size for path in _weights(folder))  # a parameter has at least half a byte
    if not stored or not (folder / CONFIG_NAME).is_file():
        return
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = auto_class.from_config(config, trust_remote_code=trust_remote_code)
    asked = sum(parameter.numel() for parameter in model.parameters())
    if asked > stored:
        raise ValueError(
            f"{str(folder / CONFIG_NAME)!r} describes a model of {asked:,} parameters, but the weights have only "
            f"{stored // 2:,} bytes: get the checkpoint again."
        )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object; a `ValueError` names a file that does not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{str(path)!r} is damaged: it holds a {type(content).__name__}, not an object.")
    return content


def _weights(folder: Path) -> list[Path]:
    """List the files of weights, of the kind that transformers prefers."""
    found = (
        sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file()) for patterns in _WEIGHTS
    )
    return next((paths for paths in found if paths), [])


def _shapes(path: Path) -> Iterator[list[int]]:
    if path.suffix == ".safetensors":
        with suppress(SafetensorError), safe_open(path, framework="numpy") as weights:  # loading tells what is damaged
            yield from (weights.get_slice(name).get_shape() for name in weights.keys())  # noqa: SIM118, no dict


def _numbers(content: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """List the whole numbers anywhere in JSON with their keys, but for those of tables, whose keys are no settings."""
    left: list[tuple[str, Any]] = list(content.items())
    while left:
        key, value = left.pop()
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            left += value.items()
        elif isinstance(value, list):
            left += ((key, each) for each in value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield key, value


def weights_sha256(folder: Path) -> str:
    """
    Return the SHA-256 of a checkpoint's weights, in hexadecimal; a `ValueError` if the folder has none.

    Safetensors are preferred, as by transformers. Of several files, it is that of what `sha256sum` prints of them.
    """
    if not (files := _weights(folder)):
        raise ValueError(f"{str(folder)!r} holds no weights: no file is called {' or '.join(sum(_WEIGHTS, ()))}.")
    sums = []
    for path in files:
        with path.open("rb") as file:
            sums.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(files) == 1:
        return sums[0]
    listing = "".join(f"{each}  {path.name}\n" for each, path in zip(sums, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


def with_tiny(name: str) -> str:
    """Return the folder of the small checkpoint for its name, unless a folder has that name; else the name."""
    is_tiny = name == Path(SMOOTHCLAP_TINY).name and not Path(name).exists()
    return SMOOTHCLAP_TINY if is_tiny else name


def can_only_be_a_path(name: str) -> bool:
    """Whether no repository of the Hub is meant: they are called `user/model`, and the oldest ones `model`."""
    owner, slash, _ = name.partition("/")
    return (
        name.startswith((".", "/", "~"))
        or name.endswith("/")
        or "\\" in name
        or name.count("/") > 1
        or bool(slash and Path(owner).is_dir())
    )


def _check_parts(name: str, loaded: Any, needed: Sequence[str]) -> None:
    if lacking := [part for part in needed if not hasattr(loaded, part)]:
        raise ValueError(
            f"{name!r} comes with a {type(loaded).__name__}, which lacks {' and '.join(lacking)}. Give a model with "
            "`get_audio_features` and `get_text_features`, and a processor with `feature_extractor` and `tokenizer`."
        )
