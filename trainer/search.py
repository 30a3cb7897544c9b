"""Search speech by description, and descriptions by speech, in an index of embeddings that is made once."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import ClipError, Segment, clip_source
from modeling_smoothclap.batching_smoothclap import map_ahead
from modeling_smoothclap.checkpoint_smoothclap import find_checkpoint, parse_model, weights_sha256

from .data.clips import BadClip, apply_policy, encode_good_clips, find_audio
from .files import file_sha256, whole_file


INDEX_FILE = "speech_index.safetensors"
FORMAT = "1"
SAME_MODEL = ("class", "weights_sha256", "sampling_rate")  # the name may differ: a model can move
DECIMALS = 6  # of cosines; equal vectors come out of a matrix product up to a millionth apart
RECORD = {"model": dict, "folder": str, "clips": dict, "texts": list, "left_out": list, "segments": dict}
MODEL = {"name": str, "revision": str | None, "class": str, "weights_sha256": str, "sampling_rate": int}


class Match(NamedTuple):
    """A clip's path or a text, and its cosine with the query."""

    item: Any
    cosine: float


@dataclass(frozen=True, eq=False)
class SpeechIndex:
    """Embeddings of speech clips and of texts, searched exactly, by cosine. [`~SpeechIndex.build`] makes one.

    Attributes:
        encoder ([`SmoothCLAPEncoder`]): Encodes queries.
        model (`Mapping[str, Any]`): Description of the model that made the embeddings.
        folder (`Path`): Where the clips are.
        clips (`Mapping[str, str]`): Name of each clip, relative to `folder`, to the SHA-256 of its file. Both have the
            `suffix` of a [`Segment`] if the clip is one.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Unit length, float32, in the order of `clips`.
        texts (`Sequence[str]`): Texts that clips can be described by.
        text_embeds (`np.ndarray` of shape `(texts, width)`): Unit length, float32.
        left_out (`Sequence[BadClip]`): Clips that were left out by `bad_clips="skip"`.
        segments (`Mapping[str, tuple]`): Names of the clips that are segments, to start and end in seconds.
    """

    encoder: SmoothCLAPEncoder
    model: Mapping[str, Any]
    folder: Path
    clips: Mapping[str, str]
    audio_embeds: np.ndarray
    texts: Sequence[str]
    text_embeds: np.ndarray
    left_out: Sequence[BadClip]
    segments: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        encoder: SmoothCLAPEncoder,
        clips: str | Path | Sequence[Any],
        texts: Sequence[str] | None = None,
        bad_clips: str = "raise",
        earlier: "SpeechIndex | None" = None,
        batch_size: int = 16,
        num_workers: int = 2,
    ) -> "SpeechIndex":
        """
        Encode speech, and texts to describe it by.

        Args:
            encoder ([`SmoothCLAPEncoder`]): A saved checkpoint's, so that the index can name its weights.
            clips (`str`, `Path` or a sequence): A folder, or paths of audio files, [`Segment`]s of them, or rows with
                `path` and maybe `start` and `end`.
            texts (`Sequence[str]`, *optional*): What [`~SpeechIndex.find_texts`] chooses from; by default those of
                `earlier`.
            bad_clips (`str`, defaults to `"raise"`): Or `"skip"`, to list bad clips in `left_out` instead.
            earlier ([`SpeechIndex`], *optional*): An index whose embeddings are reused for files with the same content.
            batch_size (`int`, defaults to 16), num_workers (`int`, defaults to 2): As for `encode_audio`.

        Raises:
            ValueError: There is no audio file, or no good one; a clip is bad and the policy is `"raise"`; a text is
                empty or repeated; or `earlier` is of another model, or has no clip in common.
        """
        texts = _checked_texts(texts if texts is not None else earlier.texts if earlier else [])
        if repeated := [text for text, count in Counter(texts).items() if count > 1]:
            raise ValueError(f"The text {repeated[0]!r} is repeated. Give each text once.")
        model = encoder.describe()
        if model["weights_sha256"] is None:
            raise ValueError(
                "An index records its checkpoint: save the model, and encode with what is loaded from there."
            )
        if earlier is not None:
            _check_model(earlier.model, model, "The earlier index")
        folder, sources = _located(clips)
        files = list(dict.fromkeys(each.source for each in sources.values()))
        hashed = logging.tqdm(map_ahead(_digest, files, num_workers), total=len(files), desc="reading", unit="file")
        hashes = dict(zip(files, hashed, strict=True))
        digests = {name: hashes[each.source] and hashes[each.source] + each.suffix for name, each in sources.items()}
        known = {} if earlier is None else dict(zip(earlier.clips.values(), earlier.audio_embeds, strict=True))
        moved = earlier is not None and os.path.realpath(earlier.folder) != os.path.realpath(folder)
        if earlier is not None and moved and not known.keys() & set(digests.values()):
            raise ValueError(
                f"The earlier index is of {str(earlier.folder)!r}, and none of its clips is in {str(folder)!r}: it "
                "would be lost. Put the new index elsewhere (--index), or build it without `earlier`."
            )
        first = {digest or name: name for name, digest in reversed(digests.items()) if digest not in known}
        new = {name: _plain(sources[name]) for name in reversed(first.values())}
        embeds, bad = encode_good_clips(encoder, new, batch_size, num_workers)
        apply_policy(bad, len(sources), bad_clips)
        known |= {str(digests[name]): embed for name, embed in embeds.items()}
        good = {name: digest for name, digest in digests.items() if digest in known and digest is not None}
        audio_embeds = np.stack([known[digest] for digest in good.values()])  # (clips, width)
        text_embeds = encoder.encode_text(texts) if texts else np.zeros((0, audio_embeds.shape[1]), np.float32)
        parts = {name: (sources[name].start, sources[name].end) for name in good if sources[name].suffix}
        return cls(encoder, model, folder, good, audio_embeds, texts, text_embeds, bad, parts)

    def save(self, folder: str | Path) -> None:
        """Write the index to a folder, which can move together with the folder of the clips."""
        record = {
            "model": dict(self.model),
            "folder": Path(os.path.relpath(os.path.realpath(self.folder), os.path.realpath(folder))).as_posix(),
            "clips": dict(self.clips),
            "texts": list(self.texts),
            "left_out": [asdict(bad) for bad in self.left_out],
            "segments": dict(self.segments),
        }
        # One file, so that a single replacement makes it whole. The record is an array of bytes, because the format's
        # own place for text is too small for a million paths.
        content = {
            "record": np.frombuffer(json.dumps(record).encode("ascii"), dtype=np.uint8),
            "audio_embeds": np.ascontiguousarray(self.audio_embeds),
            "text_embeds": np.ascontiguousarray(self.text_embeds),
        }
        with whole_file(Path(folder) / INDEX_FILE) as unfinished:
            save_file(content, unfinished, metadata={"format": FORMAT, "checksum": _checksum(content)})

    @classmethod
    def load(
        cls,
        folder: str | Path,
        encoder: SmoothCLAPEncoder | str | None = None,
        clips: str | Path | None = None,
        trust_remote_code: bool = False,
        device: str | None = None,
    ) -> "SpeechIndex":
        """
        Read an index.

        Args:
            folder (`str` or `Path`): Where it was saved.
            encoder ([`SmoothCLAPEncoder`] or `str`, *optional*): The model that made the index, or where its checkpoint
                is now. By default it is loaded by its recorded name and revision.
            clips (`str` or `Path`, *optional*): The folder of the clips, if it has moved.
            trust_remote_code (`bool`, defaults to `False`): Whether code that comes with the checkpoint may run. It
                needs `encoder`, because an index does not choose whose code runs.
            device (`str`, *optional*): As for `SmoothCLAPEncoder.from_pretrained`.

        Raises:
            ValueError: if there is no index, it is damaged or was changed, another model made it, or its model cannot
                be loaded. The weights are compared before the model is loaded.
        """
        record, arrays = _read(Path(folder) / INDEX_FILE)
        place = Path(os.path.realpath(Path(folder, record["folder"]) if clips is None else clips))
        whose = f"The index in {str(folder)!r}"
        if not isinstance(encoder, SmoothCLAPEncoder):
            encoder = _load_encoder(record["model"], encoder, trust_remote_code, device, whose)
        _check_model(record["model"], encoder.describe(), whose)
        left_out = [BadClip(**bad) for bad in record["left_out"]]
        return cls(encoder, **record | arrays | {"folder": place, "left_out": left_out})

    def find_clips(self, texts: Sequence[str], k: int = 10) -> list[list[Match]]:
        """
        Find the `k` paths or segments, or all, that fit each text best, and their cosines, best first.

        Clips that fit equally well are in the order of the index.
        """
        if not texts:
            raise ValueError("Give at least one text to search for.")
        return self._nearest_clips(lambda: self.encoder.encode_text(_checked_texts(texts)), k)

    def find_texts(self, clips: Sequence[str | Path | np.ndarray], k: int = 10) -> list[list[Match]]:
        """
        Find the `k` texts of the index, or all, that describe each clip best, best first.

        Clips are audio files, in the index or not, or mono waveforms at the encoder's `sampling_rate`. A `ClipError`
        if one cannot be read, is silent or is too short.
        """
        if not self.texts:
            raise ValueError("The index has no texts to describe a clip by. Build it again with `texts` (--texts).")
        return _matches(self.texts, *nearest(self._encode_queries(clips), self.text_embeds, k))

    def find_similar(self, clips: Sequence[str | Path | np.ndarray], k: int = 10) -> list[list[Match]]:
        """Find the clips of the index that sound most like each clip; see [`~SpeechIndex.find_texts`]."""
        return self._nearest_clips(lambda: self._encode_queries(clips), k)

    def _nearest_clips(self, queries: Callable[[], np.ndarray], k: int) -> list[list[Match]]:
        if not self.folder.is_dir():
            raise ValueError(
                f"The clips of the index have moved: there is no folder {str(self.folder)!r}. Give their folder as "
                "`clips` (--folder)."
            )
        indices, cosines = nearest(queries(), self.audio_embeds, k)
        sources, digests = [self._source(name) for name in self.clips], list(self.clips.values())
        root = os.path.realpath(self.folder)
        for index in np.unique(indices):
            source = sources[index]
            path = Path(os.path.realpath(source.source))
            if not path.is_relative_to(root) and (_digest(path) or "") + source.suffix != digests[index]:
                raise ValueError(
                    f"{str(source.source)!r} is a link out of the folder of the clips, to another file than was "
                    "indexed. Remove the link, or build the index again."
                )
        return _matches([_plain(source) for source in sources], indices, cosines)

    def _source(self, name: str) -> Segment:
        part = Segment(None, *self.segments.get(name, ()))
        return replace(part, source=self.folder / name.removesuffix(part.suffix))

    def _encode_queries(self, clips: Sequence[str | Path | np.ndarray]) -> np.ndarray:
        """Encode clips one at a time: there are few, and each then is exactly what it is alone."""
        if isinstance(clips, str | Path | np.ndarray | Segment | Mapping) or not len(clips):
            raise ValueError(f"Give a list of at least one clip, not {clips!r}.")
        embeds = []
        for clip in clips:
            problems: dict[int, ClipError] = {}
            embeds.append(self.encoder.encode_audio([clip], num_workers=1, problems=problems))
            for problem in problems.values():
                raise problem
        return np.concatenate(embeds)


def _located(clips: str | Path | Sequence[Any]) -> tuple[Path, dict[str, Segment]]:
    """Return the nearest folder above all clips, absolute, and the clips by name, relative to it and with `/`."""
    folder = os.path.abspath(clips) if isinstance(clips, str | Path) else None
    found: Any = find_audio(folder) if folder else clips
    if not len(found):
        raise ValueError("The list of clips is empty. Give a folder, or paths of audio files.")
    sources = []
    for each in found:
        source: Any = clip_source(each) if isinstance(each, Mapping) else each
        part = source if isinstance(source, Segment) else Segment(source)
        if not isinstance(part.source, str | Path):
            raise ValueError("An index is of audio files, not of bytes or arrays: write the clips to files.")
        sources.append(replace(part, source=Path(os.path.abspath(part.source))))
    base = Path(folder or os.path.commonpath([each.source.parent for each in sources]))
    return base, {each.source.relative_to(base).as_posix() + each.suffix: each for each in sources}


def _plain(source: Segment) -> Path | Segment:
    return source if source.suffix else source.source


def nearest(queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Return indices, int64, and cosines, float32 rounded to a millionth, of the k candidates nearest to each query.

    Both have the shape (q, min(k, n)). All vectors have unit length; equal cosines are in the order of the candidates.
    """
    if k < 1:
        raise ValueError(f"`k` must be at least 1, got {k}.")
    if queries.shape[1] != candidates.shape[1]:
        raise ValueError(
            f"The index has embeddings of width {candidates.shape[1]}, but its model's are {queries.shape[1]} wide. "
            "Build the index again."
        )
    indices, cosines = [], []
    for query in queries:
        close = (candidates @ query).round(DECIMALS)  # (n,)
        indices.append(np.argsort(-close, kind="stable")[:k])
        cosines.append(close[indices[-1]])
    return np.stack(indices), np.stack(cosines)


def _matches(items: Sequence[Any], indices: np.ndarray, cosines: np.ndarray) -> list[list[Match]]:
    return [
        [Match(items[index], round(float(cosine), DECIMALS)) for index, cosine in zip(*row, strict=True)]
        for row in zip(indices, cosines, strict=True)
    ]


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None for what cannot be opened, whose fault decoding names."""
    try:
        return file_sha256(path) if path.is_file() else None
    except OSError:
        return None


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError(f"Give a list of texts, not the one string {texts!r}.")
    if empty := [number for number, text in enumerate(texts, start=1) if not text.strip()]:
        raise ValueError(f"Text {empty[0]} of {len(texts)} is empty. Describe what to listen for.")
    return list(texts)


def _load_encoder(
    model: Mapping[str, Any], asked: str | None, trust_remote_code: bool, device: str | None, whose: str
) -> SmoothCLAPEncoder:
    """Load the model that the user names, else the one of the index; its weights are compared first."""
    if trust_remote_code and not asked:
        raise ValueError(
            f"{whose} names the model {model['name']!r}, but an index does not choose whose code runs. If you trust "
            "the code of that model, name it yourself, as `encoder` (--model)."
        )
    name, checkpoint, revision = parse_model(asked or model["name"])
    revision = revision or (None if asked else model["revision"])
    folder, commit = find_checkpoint(checkpoint, revision)
    if commit is not None:  # of the Hub, from where only the configuration has been fetched
        for weights in ("*model*.safetensors", "*model*.bin"):
            snapshot_download(checkpoint, revision=commit, allow_patterns=weights)
            if any(folder.glob(weights)):
                break
    _check_model(model, {**model, "name": name, "weights_sha256": weights_sha256(folder)}, whose)
    return SmoothCLAPEncoder.from_pretrained(
        checkpoint, device, revision=commit or revision, trust_remote_code=trust_remote_code
    )


def _check_model(own: Mapping[str, Any], other: Mapping[str, Any], whose: str) -> None:
    if any(own[key] != other[key] for key in SAME_MODEL):
        made, given = (f"{model['name']!r} (weights {model['weights_sha256'][:12]})" for model in (own, other))
        raise ValueError(
            f"{whose} was made with {made}. Embeddings of {given} cannot be compared with it: use the model that made "
            "it, or build a new index."
        )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise ValueError(f"There is no speech index in {str(path.parent)!r}: {INDEX_FILE} is missing. Build one first.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if (found := metadata.get("format", FORMAT)) != FORMAT:
                raise ValueError(f"it has format {found}, and this version reads format {FORMAT}")
            content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        if metadata.get("checksum") != _checksum(content):
            raise ValueError("it is damaged")
        record = {"segments": {}} | json.loads(content.pop("record").tobytes())  # older ones have no segments
        _check_content(record, **content)
    except (SafetensorError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be used: {error}. Remove it and build the index again.") from error
    return record, content


def _check_content(record: Any, audio_embeds: np.ndarray, text_embeds: np.ndarray) -> None:
    """Check what an index holds, whoever wrote it; a TypeError, KeyError or ValueError if something is wrong."""
    if other := set(record) - set(RECORD):
        raise ValueError(f"it has the parts {sorted(other)}")
    for part, types in ((record, RECORD), (record["model"], MODEL)):
        if wrong := [name for name, wanted in types.items() if not isinstance(part[name], wanted)]:
            raise TypeError(f"{wrong[0]!r} is {type(part[wrong[0]]).__name__}")
    if wrong := [each for each in [*record["clips"].values(), *record["texts"]] if not isinstance(each, str)]:
        raise TypeError(f"{wrong[0]!r} is not text")
    for bad in record["left_out"]:
        BadClip(**bad)
    if Path(record["folder"]).anchor or "\0" in record["folder"]:
        raise ValueError(f"its folder of clips, {record['folder']!r}, is not a relative path")
    for name in record["clips"]:
        times = record["segments"].get(name, ())
        if not all(time is None or isinstance(time, int | float) for time in times):
            raise TypeError(f"{times!r} are not seconds")
        path = Path(name.removesuffix(Segment(None, *times).suffix))
        if not path.parts or path.anchor or ".." in path.parts or "\0" in name:
            raise ValueError(f"the clip {name!r} is not inside the folder of the clips")
    for what, array in (("clips", audio_embeds), ("texts", text_embeds)):
        if array.ndim != 2 or len(array) != len(record[what]) or array.shape[1:] != audio_embeds.shape[1:]:
            raise ValueError(f"for {len(record[what])} {what} it has embeddings of shape {array.shape}")
        if array.dtype != np.float32 or not (abs(np.einsum("ij,ij->i", array, array) - 1) < 1e-3).all():
            raise ValueError(f"the embeddings of its {what} are not float32 vectors of unit length")
    if not record["clips"]:
        raise ValueError("it has no clips")


def _checksum(content: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of names, types, shapes and values."""
    value = 0
    for name in sorted(content):
        array = content[name]
        value = crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = crc32(array.data if array.size else b"", value)
    return f"{value:08x}"
