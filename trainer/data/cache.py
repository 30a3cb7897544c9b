"""The output of a frozen speech encoder: computed once, and kept on disk for later epochs, runs and models."""

import copy
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from datasets import Array2D, Dataset, Features, concatenate_datasets
from datasets.arrow_writer import ArrowWriter
from transformers import AutoConfig
from transformers.utils import cached_file, logging

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel
from modeling_smoothclap.audio_smoothclap import Segment, clip_source
from modeling_smoothclap.batching_smoothclap import batches_by_length, longest_batch
from modeling_smoothclap.towers_smoothclap import load_audio_tower, run_audio_tower, without_training_noise

from ..files import whole_file
from .clips import Crops, clip_columns, encoded_bytes, read_clip


logger = logging.get_logger(__name__)

POOLING = "mean over unpadded frames of the last hidden states"
"""Part of the fingerprint: change it when something else is computed here."""
FORMAT = 1
"""Part of the key: increase it when the files' layout or the way clips are cut changes."""
SHARD_CLIPS = 512
"""Clips per cache file: at most this many are computed again after an interruption."""
WINDOW_CLIPS = 64
"""Clips in memory at a time, fewer if they are long; those of similar length share a batch."""

# Where a tower came from and what wrapped it do not change what it computes.
CONFIG_ORIGINS = ("_name_or_path", "architectures", "dtype", "transformers_version")
EXTRACTOR_ORIGINS = ("auto_map", "feature_extractor_type", "processor_class")


class FrozenSpeechEncoder:
    """
    A pretrained speech encoder whose last hidden states, averaged over time and not projected, describe a clip.

    The paper shapes the audio half of soft targets by these features.

    Args:
        name_or_path (`str`): Hub id or directory of any encoder that can be an audio tower.
        max_frequency (`int`, *optional*): For log-mel encoders, in Hz; see [`SmoothCLAPFeatureExtractor`].
        device (`str`, defaults to `"cpu"`): Where to run.
        normalize (`bool`, *optional*): Whether each waveform is brought to zero mean and unit variance. By default
            (ours) as the encoder was pretrained: `do_normalize` of its preprocessor's configuration.
    """

    def __init__(
        self, name_or_path: str, max_frequency: int | None = None, device: str = "cpu", normalize: bool | None = None
    ):
        config = AutoConfig.from_pretrained(name_or_path)
        self.extractor = SmoothCLAPFeatureExtractor.from_audio_config(
            config,
            max_frequency=max_frequency,
            do_normalize=_pretrained_with_normalize(name_or_path) if normalize is None else normalize,
        )
        self.tower: Any = load_audio_tower(name_or_path, config).eval().requires_grad_(False).to(device)

    @classmethod
    def from_model(cls, model: SmoothCLAPModel, extractor: SmoothCLAPFeatureExtractor) -> "FrozenSpeechEncoder":
        """Return the audio tower of a model, not copied: it gives the `pooled_audio` of a model in evaluation mode."""
        if extractor.model_input_names[0] != model.audio_input_name:
            raise ValueError(
                f"The feature extractor gives `{extractor.model_input_names[0]}`, but the model's audio tower takes "
                f"`{model.audio_input_name}`; pass the extractor that was saved with the model."
            )
        encoder = cls.__new__(cls)
        encoder.extractor, encoder.tower = extractor, model.audio_model
        return encoder

    @property
    def fingerprint(self) -> str:
        """SHA-256 of weights, configuration and extractor settings, the same wherever the encoder was loaded from."""
        digest = hashlib.sha256(POOLING.encode())
        config = without_training_noise(copy.deepcopy(self.tower.config)).to_dict()
        for settings, origins in ((config, CONFIG_ORIGINS), (self.extractor.to_dict(), EXTRACTOR_ORIGINS)):
            kept = {name: value for name, value in settings.items() if name not in origins}
            digest.update(json.dumps(kept, sort_keys=True, default=str).encode())
        for name, tensor in sorted(self.tower.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @torch.inference_mode()
    def __call__(self, clips: Sequence[np.ndarray], batch_size: int = 8) -> np.ndarray:
        """
        Encode mono clips at the encoder's rate: float32 `(clips, width)`, in order.

        Clips of similar length share a batch, fewer if they are long; for a tower with group norm only those of equal
        length. With `batch_size=1` a clip gives bit for bit what it gives alone; in a padded batch it may differ by
        1e-5.
        """
        if self.tower.training:
            raise ValueError(
                "The audio tower is in training mode, where dropout makes its output random; call `model.eval()` first."
            )
        features = np.empty((len(clips), self.tower.config.hidden_size), dtype=np.float32)
        name, mask_name = self.extractor.model_input_names
        only_equal = getattr(self.tower.config, "feat_extract_norm", "layer") == "group"
        lengths, rate = [len(clip) for clip in clips], self.extractor.sampling_rate
        for chosen in batches_by_length(lengths, batch_size, only_equal, longest_batch(batch_size, rate)):
            together = [clips[index] for index in chosen]
            batch = self.extractor(together, sampling_rate=rate, return_tensors="pt")
            batch = batch.to(self.tower.device, self.tower.dtype)
            _, pooled = run_audio_tower(self.tower, batch[name], batch[mask_name])
            features[chosen] = pooled.float().cpu().numpy()
        return features


def _pretrained_with_normalize(name_or_path: str) -> bool:
    file = cached_file(name_or_path, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    return file is not None and bool(json.loads(Path(file).read_text()).get("do_normalize", False))


def cached_features(
    rows: Dataset,
    encoder: FrozenSpeechEncoder,
    crops: Crops | None,
    cache_dir: str | Path,
    process_index: int = 0,
    num_processes: int = 1,
    wait: Callable[[], None] | None = None,
) -> Dataset:
    """
    Compute the features of each row's clip, or take them from the cache.

    A cache file holds the features of up to 512 consecutive rows. Its name is made from all that they depend on, so
    nothing outdated is ever read and several runs may share a folder. A run that was killed continues where it was.

    Args:
        rows (`Dataset`): With `id`, and `path` or `audio`.
        encoder ([`FrozenSpeechEncoder`]): What gives the features.
        crops ([`Crops`], *optional*): Each clip's `per_clip` crops are encoded; `None` encodes clips whole.
        cache_dir (`str` or `Path`): Folder of the cache; it is created if needed.
        process_index, num_processes (`int`): Which of several processes this is; each computes its share of the files.
        wait (`Callable[[], None]`, *optional*): Returns when all processes have called it, for instance
            `accelerator.wait_for_everyone`. Needed with more than one process.

    Returns:
        `Dataset`: One row per row, in order, memory-mapped and in numpy format, with the column `features`: float32 of
        shape `(per_clip, width)`, entry n belonging to crop number n; `(1, width)` for whole clips.

    Raises:
        ValueError: There are no rows, a new crop is to be cut every epoch, an audio file cannot be read, features are
            not finite, or another process did not finish its share.
    """
    _check(rows, crops)
    crops = Crops(seconds=None) if crops is None or crops.seconds is None else crops
    folder = Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    clips = clip_columns(rows.with_format(None))
    blocks = [range(start, min(start + SHARD_CLIPS, len(clips))) for start in range(0, len(clips), SHARD_CLIPS)]
    keys = _keys(clips, blocks, encoder.fingerprint, crops)

    own = range(process_index, len(blocks), num_processes)
    shards = {number: _intact(folder, keys[number]) for number in own}
    missing = [number for number in own if shards[number] is None]
    count = sum(len(blocks[number]) for number in missing)
    with logging.tqdm(total=count, desc="Frozen encoder", unit="clip", disable=not missing) as progress:
        for number in missing:
            features = _encoded(clips.select(blocks[number]), encoder, crops, progress.update)
            shards[number] = _write(folder, keys[number], features)
    if wait is not None:
        wait()
    shards |= {number: _intact(folder, key) for number, key in enumerate(keys) if number not in own}
    return _joined(folder, [shards[number] for number in range(len(blocks))])


def add_features(rows: Dataset, features: Dataset, column: str) -> Dataset:
    """Add the features of [`cached_features`] to the same rows, as numpy arrays; other columns are read as before."""
    arrays = rows.format["columns"] if rows.format["type"] == "numpy" else []
    joined = concatenate_datasets(
        [rows.with_format(None), features.with_format(None).rename_column("features", column)], axis=1
    )
    return joined.with_format("numpy", columns=[*arrays, column], output_all_columns=True)


@torch.no_grad()
def cached_embeddings(
    model: SmoothCLAPModel, extractor: SmoothCLAPFeatureExtractor, rows: Dataset, cache_dir: str | Path
) -> np.ndarray:
    """
    Embed whole clips by way of the cache, so that a frozen audio tower that several models share runs once.

    Returns unit-length float32 `(clips, projection_dim)`, in the order of `rows`. The model must be in evaluation mode.
    """
    features = cached_features(rows, FrozenSpeechEncoder.from_model(model, extractor), None, cache_dir)
    pooled = torch.from_numpy(np.asarray(features["features"])[:, 0]).to(model.device, model.dtype)  # (clips, hidden)
    return model.get_audio_features(pooled_audio=pooled).pooler_output.float().cpu().numpy()


def _check(rows: Dataset, crops: Crops | None) -> None:
    if crops is not None and crops.seconds is not None and crops.per_clip is None:
        raise ValueError(
            f"A new crop of {crops.seconds} s in every epoch leaves nothing to cache; set `per_clip`, e.g. per_clip=4."
        )
    if "id" not in rows.column_names:
        raise ValueError(f"Rows lack `id`, the name of their clip; they have {rows.column_names}.")
    if len(rows) == 0:
        raise ValueError("There are no rows to encode; check how the data set was filtered.")


def _keys(clips: Dataset, blocks: Sequence[range], fingerprint: str, crops: Crops) -> list[str]:
    drawn = None if crops.seconds is None else [crops.seconds, crops.per_clip, crops.seed]
    with ThreadPoolExecutor() as pool:  # reading and hashing leave the interpreter free
        contents = list(pool.map(partial(_content, clips), range(len(clips))))
    named = [[FORMAT, fingerprint, drawn, contents[block.start : block.stop]] for block in blocks]
    return [hashlib.sha256(json.dumps(each).encode()).hexdigest() for each in named]


def _content(clips: Dataset, index: int) -> tuple[Any, ...]:
    """Return a clip's id and the SHA-256 of its encoded audio; and of a segment, where it is."""
    row = clips[index]
    source = clip_source(row)
    where = (source.start, source.end) if isinstance(source, Segment) else ()
    return row["id"], hashlib.sha256(encoded_bytes(row)).hexdigest(), *where


def _encoded(
    clips: Dataset, encoder: FrozenSpeechEncoder, crops: Crops, done: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """Yield the features of each clip, (crops, width)."""
    rate = encoder.extractor.sampling_rate
    for window in _windows(clips, rate, crops):
        features = encoder([piece for _, of_clip in window for piece in of_clip])
        ends = np.cumsum([len(of_clip) for _, of_clip in window])
        for (row_id, _), of_clip in zip(window, np.split(features, ends[:-1]), strict=True):
            if not np.isfinite(of_clip).all():
                raise ValueError(
                    f"The encoder's features of clip {row_id!r} are not finite; check the encoder's weights and type."
                )
            yield np.broadcast_to(of_clip, (crops.per_clip or 1, of_clip.shape[1]))
        done(len(window))


def _windows(clips: Dataset, rate: int, crops: Crops) -> Iterator[list[tuple[str, list[np.ndarray]]]]:
    """Yield the ids and crops of clips that are in memory together."""
    window: list[tuple[str, list[np.ndarray]]] = []
    samples = 0
    for row in clips:
        window.append((row["id"], _pieces(row, rate, crops)))
        samples += sum(map(len, window[-1][1]))
        if len(window) == WINDOW_CLIPS or samples > longest_batch(WINDOW_CLIPS, rate):
            yield window
            window, samples = [], 0
    if window:
        yield window


def _pieces(row: Mapping[str, Any], rate: int, crops: Crops) -> list[np.ndarray]:
    """Return the crops of a clip, in the order of their numbers; one stands for all where the clip is taken whole."""
    clip = read_clip(row, rate)
    first = crops.cut(clip, rate, row["id"], 0)
    if len(first) == len(clip):
        return [clip]
    return [first, *(crops.cut(clip, rate, row["id"], number) for number in range(1, crops.per_clip or 1))]


def _write(folder: Path, key: str, features: Iterator[np.ndarray]) -> Path:
    """Write a file. Its name ends with the CRC-32 of its bytes."""
    table = np.stack(list(features))  # (clips, crops, width)
    stream = io.BytesIO()
    with ArrowWriter(stream=stream, features=Features(features=Array2D(table.shape[1:], "float32"))) as writer:
        writer.write_batch({"features": table})
        writer.finalize(close_stream=False)
        content = stream.getvalue()
    shard = folder / f"{key}-{crc32(content):08x}.arrow"
    with whole_file(shard) as unfinished:
        unfinished.write_bytes(content)
    return shard


def _intact(folder: Path, key: str) -> Path | None:
    """Return the file with this key, if there is one and its bytes are those that were written."""
    for shard in sorted(folder.glob(f"{key}-*.arrow")):
        if f"{crc32(shard.read_bytes()):08x}" == shard.stem.rpartition("-")[2]:
            return shard
        logger.warning(f"The cache file {str(shard)!r} is damaged; what it held is computed again.")
        shard.unlink(missing_ok=True)
    return None


def _joined(folder: Path, shards: Sequence[Path | None]) -> Dataset:
    parts = []
    for number, shard in enumerate(shards):
        if shard is None:
            raise ValueError(
                f"Part {number + 1} of {len(shards)} is not in {str(folder)!r}, although every process has finished. "
                "Check that all processes see the same folder and the same rows, and run again."
            )
        parts.append(Dataset.from_file(str(shard)))
    return concatenate_datasets(parts).with_format("numpy")
