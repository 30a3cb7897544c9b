"""Pretrained dual encoders of any kind, asked in one way: clips and texts in, unit-length embeddings out."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModel, AutoProcessor, RobertaConfig

import modeling_smoothclap  # noqa: F401  # importing it makes its classes known to AutoModel
from modeling_smoothclap.towers_smoothclap import check_text_length

from ..hub.provenance import weights_sha256
from .checkpoint_location import find_checkpoint
from .embed import unit_rows


_TEXTS_PER_BATCH = 64


class DualEncoder:
    """
    A model and its processor, and what an evaluation has to know of them. Made by [`load_dual_encoder`].

    [`SmoothCLAPModel`] hears whole clips, as in the paper. `ClapModel`, whose feature extractor would cut longer clips
    at random, hears consecutive windows of equal length, none beyond its limit; the embedding of the clip is the mean
    of theirs, scaled to unit length (ours). Of any other dual encoder clips of one length go together, because whether
    its embeddings depend on padding is not known.

    Args:
        model: In evaluation mode, with `get_audio_features` and `get_text_features`.
        processor: The model's, with `feature_extractor` and `tokenizer`.
        name (`str`): What it is called.
        weights_sha256 (`str`): Of its weights, see [`weights_sha256`].
        revision (`str`, *optional*): The commit that it is of, on the Hub.
    """

    def __init__(self, model: Any, processor: Any, name: str, weights_sha256: str, revision: str | None = None):
        self.model = model
        self.processor = processor
        self.name = name
        self._weights_sha256 = weights_sha256
        self._revision = revision
        self._kind = model.config.model_type
        self._window: int | None = processor.feature_extractor.nb_max_samples if self._kind == "clap" else None

    @property
    def sampling_rate(self) -> int:
        """`int`: The rate of the clips, in Hz."""
        return self.processor.feature_extractor.sampling_rate

    @property
    def training_corpora(self) -> list[str] | None:
        """`list[str]` or `None`: The corpora that the checkpoint says it saw in training, if it says so."""
        recorded = getattr(self.model.config, "training_corpora", None)
        return None if recorded is None else list(recorded)

    @property
    def logit_scale(self) -> float:
        """
        `float`: The factor between cosine and logit, from clips to texts.

        Raises:
            ValueError: if the model has neither `logit_scale` nor `logit_scale_a`.
        """
        scale = getattr(self.model, "logit_scale", None)
        if isinstance(scale, nn.Module):
            return scale().item()
        logarithm = getattr(self.model, "logit_scale_a", scale)  # ClapModel has one for each direction
        if logarithm is None:
            raise ValueError(
                f"{self.name!r} has neither `logit_scale` nor `logit_scale_a`, so its cosines give no probabilities."
            )
        return logarithm.exp().item()

    def describe(self) -> dict[str, Any]:
        """`dict[str, Any]`: What a report says of the model, ready for JSON."""
        return {
            "name": self.name,
            "revision": self._revision,
            "weights_sha256": self._weights_sha256,
            "class": type(self.model).__name__,
            "training_corpora": self.training_corpora,
            "sampling_rate": self.sampling_rate,
            "long_clips": self._long_clips(),
        }

    @torch.no_grad()
    def embed_clips(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """
        Embed clips, in as few batches as does not change what each alone gives (to 1e-5).

        Args:
            clips (`Sequence[np.ndarray]`, each of shape `(samples,)`): float32, mono, at `sampling_rate`, full scale 1.

        Returns:
            `np.ndarray` of shape `(clips, width)`: Unit length, float32, in the order of `clips`.

        Raises:
            ValueError: if there are no clips, the processor refuses one, or an embedding is not finite.
        """
        if not len(clips):
            raise ValueError("There are no clips to embed.")
        parts = [self._windows(clip) for clip in clips]
        windows = [window for part in parts for window in part]
        embeds: list[np.ndarray] = [np.empty(0)] * len(windows)
        for chosen in self._batches([len(window) for window in windows], len(clips)):
            heard = self._hear([windows[index] for index in chosen])
            for index, embed in zip(chosen, unit_rows(heard, f"clip embeddings of {self.name!r}"), strict=True):
                embeds[index] = embed
        ends = np.cumsum([len(part) for part in parts])
        means = [np.mean(embeds[end - len(part) : end], axis=0) for part, end in zip(parts, ends, strict=True)]
        return unit_rows(np.stack(means), "means over windows")

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """
        Embed texts. Texts of as many tokens go together, so that nothing is padded.

        Args:
            texts (`Sequence[str]`): Any texts.

        Returns:
            `np.ndarray` of shape `(texts, width)`: Unit length, float32, in the order of `texts`.

        Raises:
            ValueError: if there are no texts, one is longer than the text tower takes, or an embedding is not finite.
        """
        if not len(texts):
            raise ValueError("There are no texts to embed.")
        lengths = [len(ids) for ids in self.processor.tokenizer(list(texts))["input_ids"]]
        embeds: list[np.ndarray] = [np.empty(0)] * len(texts)
        for length, alike in groupby(sorted(range(len(texts)), key=lengths.__getitem__), key=lengths.__getitem__):
            members = list(alike)
            self._check_length(texts[members[0]], length)
            for start in range(0, len(members), _TEXTS_PER_BATCH):
                chosen = members[start : start + _TEXTS_PER_BATCH]
                tokens = self.processor(text=[texts[index] for index in chosen], return_tensors="pt")
                read = _pooled(self.model.get_text_features(**tokens.to(self.model.device)))
                for index, embed in zip(chosen, read, strict=True):
                    embeds[index] = embed
        return unit_rows(np.stack(embeds), f"text embeddings of {self.name!r}")

    def _windows(self, clip: np.ndarray) -> list[np.ndarray]:
        """The clip as a whole, or in windows of at most the model's limit and equal length, to a sample."""
        return np.array_split(clip, math.ceil(len(clip) / self._window)) if self._window else [clip]

    def _batches(self, lengths: Sequence[int], size: int) -> Iterator[list[int]]:
        """Indices of the windows that go together."""
        audio_config = getattr(self.model.config, "audio_config", None)
        exact = self._kind == "clap" or (  # whose extractor brings every window to the length of its limit
            self._kind == "smoothclap" and getattr(audio_config, "feat_extract_norm", "layer") != "group"
        )
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        for _, alike in groupby(order, key=lambda index: None if exact else lengths[index]):
            members = list(alike)
            for start in range(0, len(members), size):
                yield members[start : start + size]

    def _hear(self, windows: list[np.ndarray]) -> np.ndarray:
        batch = self.processor(audio=windows, sampling_rate=self.sampling_rate, return_tensors="pt")
        if self._kind == "clap":
            # Where no clip is too long, the extractor calls one of them so, at random.
            batch["is_longer"] = torch.zeros_like(batch["is_longer"])
        return _pooled(self.model.get_audio_features(**batch.to(self.model.device)))

    def _check_length(self, text: str, length: int) -> None:
        config = self.model.config
        if self._kind == "clap":  # its text tower is a RoBERTa
            positions, padding = config.text_config.max_position_embeddings, config.text_config.pad_token_id
            text_config: Any = RobertaConfig(max_position_embeddings=positions, pad_token_id=padding)
        elif self._kind == "smoothclap":
            text_config = config.text_config
        else:
            return
        try:
            check_text_length(text_config, torch.empty(1, length))
        except ValueError as error:
            raise ValueError(f"{self.name!r} cannot read {text!r}: {error}") from error

    def _long_clips(self) -> str:
        extractor = self.processor.feature_extractor
        if self._window:
            limit = self._window / self.sampling_rate
            return (
                f"beyond {limit:g} s: consecutive windows of equal length, each at most {limit:g} s; the mean of their "
                "unit-length embeddings, scaled to unit length"
            )
        if self._kind != "smoothclap":
            return "as its processor takes them"
        positions = getattr(self.model.config.audio_config, "max_source_positions", None)
        if positions is None:
            return "whole"
        seconds = 2 * positions * extractor.hop_length / self.sampling_rate  # its second convolution halves the rate
        return f"whole; the audio tower attends within consecutive windows of {seconds:g} s"


def load_dual_encoder(
    name_or_path: str, revision: str | None = None, trust_remote_code: bool = False, device: str = "cpu"
) -> DualEncoder:
    """
    Load a dual encoder in single precision: `SmoothCLAPModel`, `ClapModel`, or another one that `AutoModel` knows.

    Args:
        name_or_path (`str`): Hub id, or the folder of a checkpoint or of PEFT adapters.
        revision (`str`, *optional*): Branch, tag or commit on the Hub.
        trust_remote_code (`bool`, defaults to `False`): Whether code that comes with the checkpoint may run.
        device (`str`, defaults to `"cpu"`): Where to run.

    Returns:
        [`DualEncoder`]: In evaluation mode.

    Raises:
        ValueError: if there is no such checkpoint or device, or the checkpoint is no dual encoder or an incomplete one.

    Example:

    ```python
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY
    >>> from smoothclap_trainer.evaluation.dual_encoders import load_dual_encoder
    >>> encoder = load_dual_encoder(SMOOTHCLAP_TINY)
    >>> encoder.embed_texts(["a low voice", "a high voice"]).shape, encoder.sampling_rate
    ((2, 256), 16000)

    ```
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"The device {device!r} cannot be used: {error}") from error
    folder, commit = find_checkpoint(name_or_path, revision)
    # All of one commit, even if the branch moves on meanwhile.
    options = {"revision": commit or "main", "trust_remote_code": trust_remote_code}
    try:
        model, loading = AutoModel.from_pretrained(
            name_or_path, dtype=torch.float32, output_loading_info=True, **options
        )
        _check_parts(name_or_path, model, ("get_audio_features", "get_text_features"))
        if missing := sorted(loading["missing_keys"]):
            raise ValueError(
                f"{name_or_path!r} lacks {len(missing)} of the weights of a {type(model).__name__}, {missing[0]!r} for "
                "one. They would be drawn at random: give a complete checkpoint."
            )
        processor = AutoProcessor.from_pretrained(name_or_path, **options)
        _check_parts(name_or_path, processor, ("feature_extractor", "tokenizer"))
    except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: weights of another shape
        raise ValueError(f"{name_or_path!r} could not be loaded as a dual encoder: {error}") from error
    return DualEncoder(model.eval().to(device), processor, name_or_path, weights_sha256(folder), commit)


def _pooled(output: Any) -> np.ndarray:
    """The embeddings `(n, width)` that a model returns, as a tensor of their own in code older than transformers 5."""
    return getattr(output, "pooler_output", output).float().cpu().numpy()


def _check_parts(name: str, loaded: Any, needed: Sequence[str]) -> None:
    if lacking := [part for part in needed if not hasattr(loaded, part)]:
        raise ValueError(
            f"{name!r} comes with a {type(loaded).__name__}, which lacks {' and '.join(lacking)}. Needed are a model "
            "with `get_audio_features` and `get_text_features`, and a processor with both `feature_extractor` and "
            "`tokenizer`."
        )
