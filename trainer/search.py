"""Search speech by description, and descriptions by speech, in an index of embeddings that is made once."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import AUDIO_SUFFIXES, ClipError
from modeling_smoothclap.batching_smoothclap import map_ahead

from .data.clips import BadClip, apply_policy
from .files import file_sha256, whole_file


INDEX_FILE = "speech_index.safetensors"
FORMAT = "1"
SAME_MODEL = ("class", "weights_sha256", "sampling_rate")  # the name may differ: a model can move
DECIMALS = 6  # of cosines; equal vectors come out of a matrix product up to a millionth apart
BLOCK_COSINES = 2**24  # in memory at a time, 64 MiB, or those of one query


class Match(NamedTuple):
    """A clip's path or a text, and its cosine with the query."""

    item: Any
    cosine: float


@dataclass(frozen=True, eq=False)
class SpeechIndex:
    """
    Embeddings of speech clips and of texts, searched exactly, by cosine.

    Make one with [`~SpeechIndex.build`] or read one with [`~SpeechIndex.load`].

    Attributes:
        encoder ([`SmoothCLAPEncoder`]): Encodes queries.
        model (`Mapping[str, Any]`): Description of the model that made the embeddings.
        folder (`Path`): Where the clips are.
        clips (`Mapping[str, str]`): Name of each clip, relative to `folder`, to the SHA-256 of its file.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Unit length, float32, in the order of `clips`.
        texts (`Sequence[str]`): Texts that clips can be described by; there may be none.
        text_embeds (`np.ndarray` of shape `(texts, width)`): Unit length, float32.
        left_out (`Sequence[BadClip]`): Clips that were left out by `bad_clips="skip"`.
    """

    encoder: SmoothCLAPEncoder
    model: Mapping[str, Any]
    folder: Path
    clips: Mapping[str, str]
    audio_embeds: np.ndarray
    texts: Sequence[str]
    text_embeds: np.ndarray
    left_out: Sequence[BadClip]

    @classmethod
    def build(
        cls,
        encoder: SmoothCLAPEncoder,
        clips: str | Path | Sequence[str | Path],
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
            clips (`str`, `Path` or a sequence of them): A folder, or paths of audio files.
            texts (`Sequence[str]`, *optional*): What [`~SpeechIndex.find_texts`] chooses from. By default the texts of
                `earlier`; without it, none.
            bad_clips (`str`, defaults to `"raise"`): `"raise"`: clips that cannot be read, are shorter than 60 ms or
                silent are an error that lists them. `"skip"`: they are left out and listed in `left_out`.
            earlier ([`SpeechIndex`], *optional*): An index whose embeddings are reused for files with the same content,
                whatever their name is now. Clips that are no longer there are dropped.
            batch_size (`int`, defaults to 16), num_workers (`int`, defaults to 2): As for `encode_audio`.

        Raises:
            ValueError: There is no audio file, or no good one; a clip is bad and the policy is `"raise"`; a text is
                empty or repeated; or `earlier` is of another model, or has no clip in common.
        """
        texts = _index_texts(texts, earlier)
        model = encoder.describe()
        if model["weights_sha256"] is None:
            raise ValueError(
                "An index records its checkpoint: save the model, and encode with what is loaded from there."
            )
        if earlier is not None:
            _check_model(earlier.model, model, "The earlier index")
        folder, names = find_audio(clips)
        digests = dict(zip(names, _digests(folder, names, num_workers), strict=True))
        known = {} if earlier is None else dict(zip(earlier.clips.values(), earlier.audio_embeds, strict=True))
        moved = earlier is not None and os.path.realpath(earlier.folder) != os.path.realpath(folder)
        if earlier is not None and moved and not known.keys() & set(digests.values()):
            raise ValueError(
                f"The earlier index is of {str(earlier.folder)!r}, and none of its clips is in {str(folder)!r}: it "
                "would be lost. Put the new index elsewhere (--index), or build it without `earlier`."
            )
        first = {digest or name: name for name, digest in reversed(digests.items()) if digest not in known}
        embeds, bad = encode_good_clips(encoder, folder, [*reversed(first.values())], batch_size, num_workers)
        apply_policy(bad, len(names), bad_clips)
        known |= {str(digests[name]): embed for name, embed in embeds.items()}
        good = {name: digest for name, digest in digests.items() if digest in known and digest is not None}
        audio_embeds = np.stack([known[digest] for digest in good.values()])  # (clips, width)
        text_embeds = encoder.encode_text(texts) if texts else np.zeros((0, audio_embeds.shape[1]), np.float32)
        return cls(encoder, model, folder, good, audio_embeds, texts, text_embeds, bad)

    def save(self, folder: str | Path) -> None:
        """
        Write the index to a folder, whole or not at all, in place of one that is there.

        It may be inside the folder of the clips, and both can move if the relative path between them stays the same.
        """
        record = {
            "model": dict(self.model),
            "folder": Path(os.path.relpath(os.path.realpath(self.folder), os.path.realpath(folder))).as_posix(),
            "clips": dict(self.clips),
            "texts": list(self.texts),
            "left_out": [asdict(bad) for bad in self.left_out],
        }
        _write(Path(folder) / INDEX_FILE, record, {"audio_embeds": self.audio_embeds, "text_embeds": self.text_embeds})

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
            trust_remote_code (`bool`, defaults to `False`): Whether code that comes with the checkpoint may run.
            device (`str`, *optional*): As for `SmoothCLAPEncoder.from_pretrained`.

        Raises:
            ValueError: if there is no index, it is damaged, another model made it, or its model cannot be loaded.
        """
        record, arrays = _read(Path(folder) / INDEX_FILE)
        place = Path(os.path.realpath(Path(folder, record["folder"]) if clips is None else clips))
        if not isinstance(encoder, SmoothCLAPEncoder):
            name, revision = (encoder, None) if encoder else (record["model"]["name"], record["model"]["revision"])
            encoder = SmoothCLAPEncoder.from_pretrained(
                name, device, revision=revision, trust_remote_code=trust_remote_code
            )
        _check_model(record["model"], encoder.describe(), f"The index in {str(folder)!r}")
        left_out = [BadClip(**bad) for bad in record["left_out"]]
        return cls(encoder, **record | arrays | {"folder": place, "left_out": left_out})

    def find_clips(self, texts: Sequence[str], k: int = 10) -> list[list[Match]]:
        """
        Find the clips that fit each text best.

        Args:
            texts (`Sequence[str]`): Descriptions, in words like those that the model was trained with.
            k (`int`, defaults to 10): Number of clips for each text; all, if there are fewer.

        Returns:
            `list[list[Match]]`: For each text the paths of clips and their cosines, best first; clips that fit equally
            well are in the order of the index.
        """
        if not texts:
            raise ValueError("Give at least one text to search for.")
        paths = self._paths()
        return _matches(paths, *nearest(self.encoder.encode_text(_checked_texts(texts)), self.audio_embeds, k))

    def find_texts(self, clips: Sequence[str | Path | np.ndarray], k: int = 10) -> list[list[Match]]:
        """
        Find the index's texts that describe each clip best.

        Args:
            clips (`Sequence[str | Path | np.ndarray]`): Audio files, in the index or not, or mono waveforms at the
                encoder's `sampling_rate`.
            k (`int`, defaults to 10): Number of texts for each clip; all, if there are fewer.
        """
        if not self.texts:
            raise ValueError("The index has no texts to describe a clip by. Build it again with `texts` (--texts).")
        return _matches(self.texts, *nearest(self._encode_queries(clips), self.text_embeds, k))

    def find_similar(self, clips: Sequence[str | Path | np.ndarray], k: int = 10) -> list[list[Match]]:
        """Find the index's clips that sound most like each clip; arguments and result as for the other two."""
        paths = self._paths()
        return _matches(paths, *nearest(self._encode_queries(clips), self.audio_embeds, k))

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            raise ValueError(
                f"The clips of the index have moved: there is no folder {str(self.folder)!r}. Give their folder as "
                "`clips` (--folder)."
            )
        return [self.folder / name for name in self.clips]

    def _encode_queries(self, clips: Sequence[str | Path | np.ndarray]) -> np.ndarray:
        """Encode clips one at a time: there are few, and each then is exactly what it is alone."""
        if isinstance(clips, str | Path | np.ndarray) or not len(clips):
            raise ValueError(f"Give a list of at least one clip, not {clips!r}.")
        embeds = []
        for clip in clips:
            problems: dict[int, ClipError] = {}
            embeds.append(self.encoder.encode_audio([clip], num_workers=1, problems=problems))
            if problems:
                raise problems[0]
        return np.concatenate(embeds)


def find_audio(clips: str | Path | Sequence[str | Path]) -> tuple[Path, list[str]]:
    """
    Return a folder, absolute, and the names of the audio files in it, relative to it and with `/`.

    In a folder they are searched and sorted; hidden names and links to folders are left out. Paths need not exist;
    they keep their order, and the folder is the nearest one above all of them.
    """
    if isinstance(clips, str | Path):
        folder = Path(os.path.abspath(clips))
        if not folder.is_dir():
            raise ValueError(f"There is no folder {str(clips)!r}. Give a folder of audio files, or a list of paths.")
        names = sorted(path.relative_to(folder).as_posix() for path in _walk(folder))
        if not names:
            raise ValueError(f"There are no audio files in {str(clips)!r}; searched for {', '.join(AUDIO_SUFFIXES)}.")
        return folder, names
    if not clips:
        raise ValueError("The list of clips is empty. Give a folder, or paths of audio files.")
    paths = [Path(os.path.abspath(path)) for path in clips]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    return folder, list(dict.fromkeys(path.relative_to(folder).as_posix() for path in paths))


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        audio = (name for name in files if name.lower().endswith(tuple(AUDIO_SUFFIXES)))
        yield from (Path(parent, name) for name in audio if not name.startswith("."))


def nearest(queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Find the k candidates nearest to each query, exactly, all of unit length.

    Return their indices, int64, and cosines, float32 rounded to a millionth, both of shape (q, min(k, n)), nearest
    first. Equal cosines are in the order of the candidates.
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least 1 neighbour.")
    k = min(k, len(candidates))
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    block = max(1, BLOCK_COSINES // len(candidates))
    for start in range(0, len(queries), block):
        for row, near in enumerate(queries[start : start + block] @ candidates.T, start):  # (n,)
            threshold = np.partition(near, len(near) - k)[len(near) - k] - 10**-DECIMALS
            found = np.flatnonzero(near >= threshold)  # at least k: the nearest, and all that equal the k-th
            close = near[found].round(DECIMALS)
            order = np.lexsort((found, -close))[:k]  # by cosine, then by index
            indices[row], cosines[row] = found[order], close[order]
    return indices, cosines


def _matches(items: Sequence[Any], indices: np.ndarray, cosines: np.ndarray) -> list[list[Match]]:
    return [
        [Match(items[index], round(float(cosine), DECIMALS)) for index, cosine in zip(*row, strict=True)]
        for row in zip(indices, cosines, strict=True)
    ]


def _digests(folder: Path, names: Sequence[str], num_workers: int) -> list[str | None]:
    """Return the SHA-256 of each file; None for one that cannot be opened, whose fault decoding names."""

    def digest(path: Path) -> str | None:
        try:
            return file_sha256(path)
        except OSError:
            return None

    digests = map_ahead(digest, (folder / name for name in names), num_workers)
    return list(logging.tqdm(digests, total=len(names), desc="reading clips", unit="clip"))


def encode_good_clips(
    encoder: SmoothCLAPEncoder, folder: Path, names: Sequence[str], batch_size: int, num_workers: int
) -> tuple[dict[str, np.ndarray], list[BadClip]]:
    """Return the embeddings of good clips by name, relative to the folder, and the bad clips."""
    if not names:
        return {}, []
    problems: dict[int, ClipError] = {}
    paths = [folder / name for name in names]
    try:
        embeds = encoder.encode_audio(paths, batch_size, None, num_workers, bad_clips="skip", problems=problems)
    except ValueError:
        if len(problems) < len(names):
            raise
        embeds = np.empty((0, 0))  # there is no good clip among them
    bad = [BadClip(names[place], fault.problem, str(fault)) for place, fault in sorted(problems.items())]
    return {name: embeds[place] for place, name in enumerate(names) if place not in problems}, bad


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError(f"Give a list of texts, not the one string {texts!r}.")
    if empty := [number for number, text in enumerate(texts, start=1) if not text.strip()]:
        raise ValueError(f"Text {empty[0]} of {len(texts)} is empty. Describe what to listen for.")
    return list(texts)


def _index_texts(texts: Sequence[str] | None, earlier: SpeechIndex | None) -> list[str]:
    if texts is None:
        return [] if earlier is None else list(earlier.texts)
    checked = _checked_texts(texts)
    if repeated := [text for text, count in Counter(checked).items() if count > 1]:
        raise ValueError(f"The text {repeated[0]!r} is repeated. Give each text once.")
    return checked


def _check_model(own: Mapping[str, Any], other: Mapping[str, Any], whose: str) -> None:
    if any(own[key] != other[key] for key in SAME_MODEL):
        made, given = (f"{model['name']!r} (weights {model['weights_sha256'][:12]})" for model in (own, other))
        raise ValueError(
            f"{whose} was made with {made}. Embeddings of {given} cannot be compared with it: use the model that made "
            "it, or build a new index."
        )


def _write(path: Path, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    # One file, so that a single replacement makes it whole. The record is an array of bytes, because the format's own
    # place for text is too small for a million paths.
    text = np.frombuffer(json.dumps(record).encode("ascii"), dtype=np.uint8)
    content = {"record": text} | {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with whole_file(path) as unfinished:
        save_file(content, unfinished, metadata={"format": FORMAT, "checksum": _checksum(content)})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise ValueError(f"There is no speech index in {str(path.parent)!r}: {INDEX_FILE} is missing. Build one first.")
    damaged = f"{str(path)!r} is damaged. Remove it and build the index again."
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except SafetensorError as error:
        raise ValueError(damaged) from error
    if metadata.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"{str(path)!r} has format {metadata['format']}; this version reads format {FORMAT}. Remove it and build "
            "the index again."
        )
    if metadata.get("checksum") != _checksum(content):
        raise ValueError(damaged)
    return json.loads(content.pop("record").tobytes()), content


def _checksum(content: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of names, types, shapes and values."""
    value = 0
    for name in sorted(content):
        array = content[name]
        value = crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = crc32(array.data if array.size else b"", value)
    return f"{value:08x}"
