"""The audio files of a folder: which there are, what they hold, and which of them are bad."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args
from zlib import crc32

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import AUDIO_SUFFIXES

from .data.clips import BadClip, apply_policy, inspect_clip
from .data.workers import ordered_map
from .evaluation.metrics import EQUAL


logger = logging.get_logger(__name__)

BadClipPolicy = Literal["raise", "skip"]


def find_audio(clips: str | Path | Sequence[str | Path]) -> tuple[Path, list[str]]:
    """
    List audio files.

    Args:
        clips (`str`, `Path` or a sequence of them): A folder, which is searched with the folders below it for files
            that end in [`AUDIO_SUFFIXES`], in any case; names that begin with a dot are passed over, as `ls` does, and
            so are links to folders. Or paths of audio files, whatever they end in; they need not exist, and one that is
            repeated counts once.

    Returns:
        `tuple[Path, list[str]]`: The folder, or the nearest one that has all the paths below it, absolute; and the
        files' names relative to it, with `/` between their parts: sorted in a folder, as given in a sequence.

    Raises:
        ValueError: There is no such folder, or no audio file.

    Example:

    ```python
    >>> from smoothclap_trainer.search import find_audio
    >>> folder, names = find_audio(["/speech/anna/1.wav", "/speech/ben/1.wav"])
    >>> str(folder), names
    ('/speech', ['anna/1.wav', 'ben/1.wav'])

    ```
    """
    if isinstance(clips, str | Path):
        folder = Path(os.path.abspath(clips))
        if not folder.is_dir():
            raise ValueError(f"There is no folder {str(clips)!r}; give a folder of audio files, or a list of paths.")
        names = sorted(path.relative_to(folder).as_posix() for path in _walk(folder))
        if not names:
            raise ValueError(f"No audio files in {str(clips)!r} or below: looked for {', '.join(AUDIO_SUFFIXES)}.")
        return folder, names
    if not clips:
        raise ValueError("The list of clips is empty; give a folder, or paths of audio files.")
    paths = [Path(os.path.abspath(path)) for path in clips]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    return folder, list(dict.fromkeys(path.relative_to(folder).as_posix() for path in paths))


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(AUDIO_SUFFIXES):
                yield Path(parent, name)


def content_digests(folder: Path, names: Sequence[str], num_workers: int = 2) -> list[str | None]:
    """
    SHA-256 of each file's bytes.

    Args:
        folder (`Path`): Where they are.
        names (`Sequence[str]`): Relative to it.
        num_workers (`int`, defaults to 2): Threads.

    Returns:
        `list[str | None]`: In hexadecimal; `None` for a file that cannot be opened, which [`find_bad_clips`] tells of.
    """
    digests = ordered_map(_digest, (folder / name for name in names), num_workers, threads=True)
    return list(logging.tqdm(digests, total=len(names), desc="reading clips", unit="clip", disable=not names))


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def find_bad_clips(folder: Path, names: Sequence[str], num_workers: int = 2) -> list[BadClip]:
    """
    Decode every clip and say which are bad, by the rules of [`~smoothclap_trainer.data.clips.check_clips`]:
    missing, unreadable, truncated, empty, not finite, shorter than 60 ms or silent.

    Args:
        folder (`Path`): Where they are.
        names (`Sequence[str]`): Relative to it.
        num_workers (`int`, defaults to 2): Threads.

    Returns:
        `list[BadClip]`: The bad ones, in order.
    """
    clips = ({"id": name, "path": str(folder / name)} for name in names)
    found = ordered_map(inspect_clip, clips, num_workers, threads=True)
    results = logging.tqdm(found, total=len(names), desc="checking clips", unit="clip", disable=not names)
    return [replace(result, path=None) for result in results if isinstance(result, BadClip)]  # the folder may move


def refuse_another_folder(earlier: Path, folder: Path) -> None:
    """
    Keep an index from being replaced by one of other clips, for folders that have no clip in common.

    Args:
        earlier (`Path`): The folder of the index.
        folder (`Path`): The one that is to be indexed.

    Raises:
        ValueError: They are not the same folder.
    """
    if os.path.realpath(earlier) != os.path.realpath(folder):
        raise ValueError(
            f"The earlier index is of {str(earlier)!r}, and none of its clips is in {str(folder)!r}: all of it would "
            "be lost. Give the new index a place of its own (--index), or build it without `earlier`."
        )


INDEX_FILE = "speech_index.safetensors"
FORMAT = "1"
"""To be raised when the file's layout changes."""
RECORD = "record"


def write_index_file(folder: str | Path, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """
    Write an index's file. The one that it replaces is there until the new one is whole.

    Args:
        folder (`str` or `Path`): Where [`INDEX_FILE`] goes; it is created if need be.
        record (`Mapping[str, Any]`): Anything that JSON can hold.
        arrays (`Mapping[str, np.ndarray]`): Arrays of any shape.

    Returns:
        `Path`: The file.
    """
    # One file in place of a table beside an array: a single replacement makes it whole, and nothing can be mixed up.
    # Safetensors, for it is read without running anything, and by any language. The record is an array of bytes,
    # because the format's own place for text is too small for a million paths.
    text = np.frombuffer(json.dumps(record).encode("ascii"), dtype=np.uint8)
    content = {RECORD: text} | {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{INDEX_FILE}.{os.getpid()}.part"
    try:
        save_file(content, partial, metadata={"format": FORMAT, "checksum": _checksum(content)})
        return partial.replace(folder / INDEX_FILE)
    finally:
        partial.unlink(missing_ok=True)


def read_index_file(folder: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """
    Read what [`write_index_file`] wrote.

    Args:
        folder (`str` or `Path`): Where [`INDEX_FILE`] is.

    Returns:
        `tuple[dict[str, Any], dict[str, np.ndarray]]`: The record and the arrays.

    Raises:
        ValueError: There is none, it is of another format, or it is damaged.
    """
    path = Path(folder) / INDEX_FILE
    if not path.is_file():
        raise ValueError(f"There is no speech index in {str(folder)!r}: it has no {INDEX_FILE}. Build one first.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except SafetensorError as error:
        raise _damaged(path) from error
    if metadata.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"{str(path)!r} is of format {metadata['format']}, and this version reads format {FORMAT}. Remove it and "
            "build the index again."
        )
    if metadata.get("checksum") != _checksum(content):
        raise _damaged(path)
    return json.loads(content.pop(RECORD).tobytes()), content


def _checksum(content: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of names, kinds, shapes and values."""
    value = 0
    for name in sorted(content):
        array = content[name]
        value = crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = crc32(array.data if array.size else b"", value)
    return f"{value:08x}"


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{str(path)!r} is damaged: its content is not what was written. Remove it and build the index again."
    )


Backend = Literal["numpy", "faiss"]

BLOCK_COSINES = 2**24
"""Cosines in memory at a time, 64 MiB of them, or those of one query."""
DECIMALS = 6
"""Cosines are told to a millionth. Equal vectors come out of a matrix product up to that far apart."""


def nearest(
    queries: np.ndarray, candidates: np.ndarray, k: int, backend: Backend = "numpy"
) -> tuple[np.ndarray, np.ndarray]:
    """
    The k candidates nearest to each query.

    Every candidate is compared: the search is exact with either backend. Equal cosines, to a millionth, are in the
    order of the candidates; where more are equal than there is room for, numpy takes the first and FAISS any.

    Args:
        queries (`np.ndarray` of shape `(q, width)`): Rows of unit length, float32.
        candidates (`np.ndarray` of shape `(n, width)`): Rows of unit length, float32.
        k (`int`): How many are wanted; all, where there are fewer.
        backend (`str`, defaults to `"numpy"`): `"faiss"` needs the extra `search`. For one query or a thousand in a
            large collection it is faster; for a hundred, numpy is. `benchmarks/speech_index.py` compares them.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Indices of candidates, int64, and their cosines, float32 rounded to a
        millionth; both of shape `(q, min(k, n))`, the nearest first.

    Raises:
        ValueError: if k is below 1 or the backend is unknown.
        ImportError: if FAISS is asked for and not installed.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.search import nearest
    >>> indices, cosines = nearest(np.float32([[0.6, 0.8]]), np.eye(2, dtype=np.float32), k=2)
    >>> indices.tolist(), cosines.round(1).tolist()
    ([[1, 0]], [[0.800000..., 0.600000...]])

    ```
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least 1 neighbour.")
    if backend not in ("numpy", "faiss"):
        raise ValueError(f"There is no search backend {backend!r}; give 'numpy' or 'faiss'.")
    k = min(k, len(candidates))
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    search = _by_faiss if backend == "faiss" else _by_numpy
    for row, (found, near) in enumerate(search(queries, candidates, k)):
        near = near.round(DECIMALS)
        order = np.lexsort((found, -near))[:k]  # by cosine, then by index
        indices[row], cosines[row] = found[order], near[order]
    return indices, cosines


def _by_numpy(queries: np.ndarray, candidates: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each query indices and cosines of at least k candidates: the nearest, and whatever equals the k-th."""
    block = max(1, BLOCK_COSINES // len(candidates))
    for start in range(0, len(queries), block):
        for cosines in queries[start : start + block] @ candidates.T:  # (n,)
            threshold = np.partition(cosines, len(cosines) - k)[len(cosines) - k] - EQUAL
            found = np.flatnonzero(cosines >= threshold)
            yield found, cosines[found]


def _by_faiss(queries: np.ndarray, candidates: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each query indices and cosines of the k nearest candidates."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "backend='faiss' needs FAISS; install it with: pip install 'smoothclap[search]', or take 'numpy'."
        ) from error
    # What faiss.IndexFlatIP computes, without a second copy of the candidates.
    cosines, indices = faiss.knn(queries, candidates, k, metric=faiss.METRIC_INNER_PRODUCT)
    return zip(indices, cosines, strict=True)


SAME_MODEL = ("class", "weights_sha256", "sampling_rate")
"""What must agree for embeddings to be comparable. The name may differ: a model can move."""


@dataclass(frozen=True, eq=False)
class SpeechIndex:
    """
    Embeddings of speech clips and of texts, to be searched by cosine.

    It is made by [`~SpeechIndex.build`] or read by [`~SpeechIndex.load`]. The search is exact.

    Attributes:
        encoder ([`SmoothCLAPEncoder`]): What embeds queries.
        model (`Mapping[str, Any]`): The description of the model that made the embeddings.
        folder (`Path`): Where the clips are.
        clips (`Mapping[str, str]`): Name of each clip, relative to `folder`, to the SHA-256 of its file.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of unit length, float32, in the order of `clips`.
        texts (`Sequence[str]`): Texts that clips can be described by; there may be none.
        text_embeds (`np.ndarray` of shape `(texts, width)`): Of unit length, float32.
        left_out (`Sequence[BadClip]`): Clips that were bad, if it was built with `bad_clips="skip"`.

    Example: two tones, of which the higher is found by a text.

    ```python
    >>> import numpy as np, soundfile
    >>> from modeling_smoothclap import SmoothCLAPEncoder
    >>> from smoothclap_trainer.search import SpeechIndex
    >>> time = np.arange(16000) / 16000
    >>> for hertz in (100, 300):
    ...     soundfile.write(f"{hertz}.wav", 0.1 * np.sign(np.sin(2 * np.pi * hertz * time)), 16000)
    >>> encoder = SmoothCLAPEncoder.from_pretrained("smoothclap-tiny")
    >>> index = SpeechIndex.build(encoder, ".", texts=["a low voice", "a high voice"])
    >>> index.save("index")
    >>> [[(path, cosine)]] = SpeechIndex.load("index").find_clips(["a high voice"], k=1)
    >>> path.name
    '300.wav'

    ```
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
        bad_clips: BadClipPolicy = "raise",
        earlier: "SpeechIndex | None" = None,
        batch_size: int = 16,
        num_workers: int = 2,
    ) -> "SpeechIndex":
        """
        Embed speech, and texts to describe it by.

        Args:
            encoder ([`SmoothCLAPEncoder`]): The model.
            clips (`str`, `Path` or a sequence of them): A folder of wav, flac, mp3 or ogg files, with the folders below
                it, or the paths of audio files; see [`find_audio`].
            texts (`Sequence[str]`, *optional*): What [`~SpeechIndex.find_texts`] chooses from. By default those of
                `earlier`; without it, none.
            bad_clips (`str`, defaults to `"raise"`): What to do about clips that are missing, unreadable, truncated,
                empty, not finite, shorter than 60 ms or silent. `"raise"`: an error lists them. `"skip"`: they are
                left out with a warning, and `left_out` lists them.
            earlier ([`SpeechIndex`], *optional*): An index whose embeddings are taken over where a clip's content has
                not changed, whatever its name is now. What is no longer among `clips` is forgotten, so an index of
                another folder is refused unless some of its clips, by content, are among them: clips may move.
            batch_size (`int`, defaults to 16): Clips that are embedded together.
            num_workers (`int`, defaults to 2): Threads that read files.

        Returns:
            [`SpeechIndex`]

        Raises:
            ValueError: There is no such folder or no audio file; clips are bad, and the policy is not `"skip"` or none
                is good; a text is empty or repeated; `earlier` is of another model, or of wholly other clips.
        """
        if bad_clips not in get_args(BadClipPolicy):
            raise ValueError(f"unknown policy {bad_clips!r} for bad clips; give one of {get_args(BadClipPolicy)}")
        texts = _texts_of_an_index(texts, earlier)
        model = encoder.describe()
        if earlier is not None:
            _check_model(earlier.model, model, "The earlier index")
        folder, names = find_audio(clips)
        digests = dict(zip(names, content_digests(folder, names, num_workers), strict=True))
        known = {} if earlier is None else dict(zip(earlier.clips.values(), earlier.audio_embeds, strict=True))
        if earlier is not None and not known.keys() & set(digests.values()):
            refuse_another_folder(earlier.folder, folder)
        bad = find_bad_clips(folder, [name for name in names if digests[name] not in known], num_workers)
        apply_policy(bad, len(names), bad_clips)
        unusable = {clip.name for clip in bad}
        good = {name: digest for name, digest in digests.items() if name not in unusable and digest is not None}
        first = {digest: name for name, digest in reversed(good.items()) if digest not in known}  # of equal files
        if first:
            embeds = encoder.encode_audio(
                [folder / name for name in first.values()], batch_size, num_workers=num_workers
            )
            known |= dict(zip(first, embeds, strict=True))
        audio_embeds = np.stack([known[digest] for digest in good.values()])  # (clips, width)
        text_embeds = encoder.encode_text(texts) if texts else np.zeros((0, audio_embeds.shape[1]), np.float32)
        return cls(encoder, model, folder, good, audio_embeds, texts, text_embeds, bad)

    def save(self, folder: str | Path) -> None:
        """
        Write the index, in place of one that is there. It is written whole or not at all.

        Args:
            folder (`str` or `Path`): Where to; it is created if need be. It may lie in the folder of the clips, and
                both may then move together; so may any two folders whose way from one to the other stays the same.
        """
        record = {
            "model": dict(self.model),
            "folder": Path(os.path.relpath(os.path.realpath(self.folder), os.path.realpath(folder))).as_posix(),
            "clips": dict(self.clips),
            "texts": list(self.texts),
            "left_out": [{"name": clip.name, "problem": clip.problem, "detail": clip.detail} for clip in self.left_out],
        }
        write_index_file(folder, record, {"audio_embeds": self.audio_embeds, "text_embeds": self.text_embeds})

    @classmethod
    def load(
        cls,
        folder: str | Path,
        encoder: SmoothCLAPEncoder | str | None = None,
        clips: str | Path | None = None,
        trust_remote_code: bool = False,
        device: str = "cpu",
    ) -> "SpeechIndex":
        """
        Read an index.

        Args:
            folder (`str` or `Path`): Where it was saved.
            encoder ([`SmoothCLAPEncoder`] or `str`, *optional*): The model that it was made with, or where its
                checkpoint is now. By default it is loaded by the name and the revision that it had.
            clips (`str` or `Path`, *optional*): The folder of the clips, if the way there from the index is a new one.
            trust_remote_code (`bool`, defaults to `False`): Whether a checkpoint that is loaded here may run code of
                its own.
            device (`str`, defaults to `"cpu"`): Where a checkpoint that is loaded here is to run.

        Returns:
            [`SpeechIndex`]

        Raises:
            ValueError: There is no index, it is damaged, it was made with another model, or that cannot be loaded.
        """
        record, arrays = read_index_file(folder)
        place = Path(os.path.realpath(Path(folder, record["folder"]) if clips is None else clips))
        if not isinstance(encoder, SmoothCLAPEncoder):
            encoder = _loaded(record["model"], encoder, trust_remote_code, device)
        _check_model(record["model"], encoder.describe(), f"The index in {str(folder)!r}")
        left_out = [BadClip(**clip) for clip in record["left_out"]]
        return cls(encoder, **record | arrays | {"folder": place, "left_out": left_out})

    def find_clips(
        self, texts: Sequence[str], k: int = 10, backend: Backend = "numpy"
    ) -> list[list[tuple[Path, float]]]:
        """
        Text to speech: the clips that fit each text best.

        Args:
            texts (`Sequence[str]`): Descriptions, in words like those that the model was trained with.
            k (`int`, defaults to 10): How many clips for each; all, if there are fewer.
            backend (`str`, defaults to `"numpy"`): Or `"faiss"`, see [`nearest`].

        Returns:
            `list[list[tuple[Path, float]]]`: For each text the paths of clips and their cosines, the best first; clips
            that fit equally well are in the order of the index.

        Raises:
            ValueError: There is no text, one is empty, k is below 1, or the clips' folder is not where it was.
        """
        if not texts:
            raise ValueError("Give at least one text to look for.")
        paths = self._paths()
        found = nearest(self.encoder.encode_text(_checked_texts(texts)), self.audio_embeds, k, backend)
        return _named(paths, *found)

    def find_texts(
        self, clips: Sequence[str | Path | np.ndarray], k: int = 10, backend: Backend = "numpy"
    ) -> list[list[tuple[str, float]]]:
        """
        Speech to text: which of the index's texts describe each clip best.

        Args:
            clips (`Sequence[str | Path | np.ndarray]`): Audio files, of the index or not, or mono waveforms at the
                encoder's `sampling_rate`, floats of shape `(samples,)`.
            k (`int`, defaults to 10): How many texts for each; all, if there are fewer.
            backend (`str`, defaults to `"numpy"`): Or `"faiss"`, see [`nearest`].

        Returns:
            `list[list[tuple[str, float]]]`: For each clip texts and their cosines, the best first.

        Raises:
            ValueError: The index has no texts, a clip cannot be read, or k is below 1.
        """
        if not self.texts:
            raise ValueError("The index has no texts to describe a clip by; build it again with `texts`.")
        return _named(self.texts, *nearest(self._embed(clips), self.text_embeds, k, backend))

    def find_similar(
        self, clips: Sequence[str | Path | np.ndarray], k: int = 10, backend: Backend = "numpy"
    ) -> list[list[tuple[Path, float]]]:
        """Speech to speech: the index's clips that are nearest to each clip, as [`~SpeechIndex.find_clips`] gives."""
        paths = self._paths()
        found = nearest(self._embed(clips), self.audio_embeds, k, backend)
        return _named(paths, *found)

    def _paths(self) -> list[Path]:
        """Where the clips are. Texts for clips are found without them, so this is not asked when an index is read."""
        if not self.folder.is_dir():
            raise ValueError(
                f"The clips of the index are not where they were: there is no folder {str(self.folder)!r}. Say where "
                "they are now, with `clips` (--folder)."
            )
        return [self.folder / name for name in self.clips]

    def _embed(self, clips: Sequence[str | Path | np.ndarray]) -> np.ndarray:
        """Queries, one at a time: they are few, and each then is what it is alone."""
        if isinstance(clips, str | Path | np.ndarray) or not len(clips):
            raise ValueError(f"Give a list of at least one clip, not {clips!r}.")
        return np.stack([self.encoder.encode_audio(clip) for clip in clips])


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError(f"Give a list of texts, not the one string {texts!r}.")
    if empty := [number for number, text in enumerate(texts, start=1) if not text.strip()]:
        raise ValueError(f"Text {empty[0]} of {len(texts)} is empty; say in it what to listen for.")
    return list(texts)


def _texts_of_an_index(texts: Sequence[str] | None, earlier: "SpeechIndex | None") -> list[str]:
    if texts is None:
        return [] if earlier is None else list(earlier.texts)
    checked = _checked_texts(texts)
    if repeated := [text for text, count in Counter(checked).items() if count > 1]:
        raise ValueError(f"The text {repeated[0]!r} is there twice; give each text once.")
    return checked


def _check_model(own: Mapping[str, Any], other: Mapping[str, Any], whose: str) -> None:
    if any(own[key] != other[key] for key in SAME_MODEL):
        made, given = (f"{model['name']!r} (weights {model['weights_sha256'][:12]})" for model in (own, other))
        raise ValueError(
            f"{whose} was made with {made}, and embeddings of {given} cannot be compared with it; take the model that "
            "it was made with, or build a new index."
        )


def _loaded(model: Mapping[str, Any], name: str | None, trust_remote_code: bool, device: str) -> SmoothCLAPEncoder:
    """The checkpoint `name`, or that of the description."""
    if name is not None:
        return SmoothCLAPEncoder.from_pretrained(name, device, trust_remote_code=trust_remote_code)
    try:
        return SmoothCLAPEncoder.from_pretrained(
            model["name"], device, revision=model["revision"], trust_remote_code=trust_remote_code
        )
    except ValueError as error:
        raise ValueError(
            f"The model of the index cannot be loaded from where it was; say where it is now. ({error})"
        ) from error


def _named(names: Sequence[Any], indices: np.ndarray, cosines: np.ndarray) -> list[list[tuple[Any, float]]]:
    return [
        [(names[index], round(float(cosine), DECIMALS)) for index, cosine in zip(*row, strict=True)]
        for row in zip(indices, cosines, strict=True)
    ]
