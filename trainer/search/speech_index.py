"""Retrieval over a folder of speech: which clips fit a text, and which texts fit a clip, from embeddings saved once."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.clips import read_clip
from ..evaluation.dual_encoders import DualEncoder, load_dual_encoder
from ..evaluation.embed_files import embed_files
from .clip_folder import (
    BadClip,
    BadClipPolicy,
    content_digests,
    find_audio,
    find_bad_clips,
    refuse_another_folder,
    refuse_or_leave_out,
)
from .index_file import read_index_file, write_index_file
from .nearest import DECIMALS, Backend, nearest


SAME_MODEL = ("class", "weights_sha256", "sampling_rate")
"""What must agree for embeddings to be comparable. The name may differ: a model can move."""


@dataclass(frozen=True, eq=False)
class SpeechIndex:
    """
    Embeddings of speech clips and of texts, to be searched by cosine.

    It is made by [`~SpeechIndex.build`] or read by [`~SpeechIndex.load`]. The search is exact.

    Attributes:
        encoder ([`DualEncoder`]): What embeds queries.
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
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY
    >>> from smoothclap_trainer.evaluation.dual_encoders import load_dual_encoder
    >>> from smoothclap_trainer.search.speech_index import SpeechIndex
    >>> time = np.arange(16000) / 16000
    >>> for hertz in (100, 300):
    ...     soundfile.write(f"{hertz}.wav", 0.1 * np.sign(np.sin(2 * np.pi * hertz * time)), 16000)
    >>> index = SpeechIndex.build(load_dual_encoder(SMOOTHCLAP_TINY), ".", texts=["a low voice", "a high voice"])
    >>> index.save("index")
    >>> [[(path, cosine)]] = SpeechIndex.load("index").find_clips(["a high voice"], k=1)
    >>> path.name
    '300.wav'

    ```
    """

    encoder: DualEncoder
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
        encoder: DualEncoder,
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
            encoder ([`DualEncoder`]): The model.
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
        refuse_or_leave_out(bad, len(names), bad_clips)
        unusable = {each["name"] for each in bad}
        good = {name: digest for name, digest in digests.items() if name not in unusable and digest is not None}
        first = {digest: name for name, digest in reversed(good.items()) if digest not in known}  # of equal files
        if first:
            embeds = embed_files(encoder, [folder / name for name in first.values()], batch_size, num_workers)
            known |= dict(zip(first, embeds, strict=True))
        audio_embeds = np.stack([known[digest] for digest in good.values()])  # (clips, width)
        text_embeds = encoder.embed_texts(texts) if texts else np.zeros((0, audio_embeds.shape[1]), np.float32)
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
            "left_out": list(self.left_out),
        }
        write_index_file(folder, record, {"audio_embeds": self.audio_embeds, "text_embeds": self.text_embeds})

    @classmethod
    def load(
        cls,
        folder: str | Path,
        encoder: DualEncoder | str | None = None,
        clips: str | Path | None = None,
        trust_remote_code: bool = False,
        device: str = "cpu",
    ) -> "SpeechIndex":
        """
        Read an index.

        Args:
            folder (`str` or `Path`): Where it was saved.
            encoder ([`DualEncoder`] or `str`, *optional*): The model that it was made with, or where its checkpoint is
                now. By default it is loaded by the name and the revision that it had.
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
        if not isinstance(encoder, DualEncoder):
            encoder = _loaded(record["model"], encoder, trust_remote_code, device)
        _check_model(record["model"], encoder.describe(), f"The index in {str(folder)!r}")
        return cls(encoder, **record | arrays | {"folder": place})

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
        found = nearest(self.encoder.embed_texts(_checked_texts(texts)), self.audio_embeds, k, backend)
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
        rate = self.encoder.sampling_rate
        waveforms = (clip if isinstance(clip, np.ndarray) else read_clip({"path": clip}, rate) for clip in clips)
        return np.concatenate([self.encoder.embed_clips([waveform]) for waveform in waveforms])


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


def _loaded(model: Mapping[str, Any], name: str | None, trust_remote_code: bool, device: str) -> DualEncoder:
    """The checkpoint `name`, or that of the description."""
    if name is not None:
        return load_dual_encoder(name, trust_remote_code=trust_remote_code, device=device)
    try:
        return load_dual_encoder(model["name"], model["revision"], trust_remote_code, device)
    except ValueError as error:
        raise ValueError(
            f"The model of the index cannot be loaded from where it was; say where it is now. ({error})"
        ) from error


def _named(names: Sequence[Any], indices: np.ndarray, cosines: np.ndarray) -> list[list[tuple[Any, float]]]:
    return [
        [(names[index], round(float(cosine), DECIMALS)) for index, cosine in zip(*row, strict=True)]
        for row in zip(indices, cosines, strict=True)
    ]
