"""Encode audio and texts: the one place that turns clips and descriptions into embeddings that can be compared."""

import math
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import RobertaConfig
from transformers.utils import logging

from .audio_smoothclap import ClipError
from .batching_smoothclap import (
    QUIET_BATCHES,
    as_clips,
    batches_by_length,
    limited_groups,
    longest_first,
    map_ahead,
    read_clip,
    report_unread,
)
from .checkpoint_smoothclap import load_dual_encoder, weights_sha256
from .feature_extraction_smoothclap import short_clip_warnings
from .scores_smoothclap import RankedText, as_texts, check_comparable, logit_scale_of, probabilities, unit_rows
from .timeline_smoothclap import Timeline, timeline
from .towers_smoothclap import check_text_length


class SmoothCLAPEncoder:
    """
    Encode clips and texts into unit-length embeddings, and compare them.

    [`SmoothCLAPModel`] takes whole clips, as in the paper. `ClapModel`, whose feature extractor would cut longer clips
    at random, takes consecutive windows of equal length within its limit; the embedding of the clip is their mean,
    scaled to unit length (ours). Any other dual encoder gets clips of equal length together, because whether its
    embeddings depend on padding is not known.

    Args:
        model: In evaluation mode, with `get_audio_features` and `get_text_features`.
        processor: The model's, with `feature_extractor` and `tokenizer`.
        name (`str`, defaults to `"model"`): What errors and reports call it.

    Example:

    ```python
    >>> from modeling_smoothclap import SmoothCLAPEncoder
    >>> encoder = SmoothCLAPEncoder.from_pretrained("smoothclap-tiny", device="cpu")
    >>> encoder.encode_text(["a low voice", "a high voice"]).shape, encoder.sampling_rate
    ((2, 256), 16000)

    ```
    """

    def __init__(self, model: Any, processor: Any, name: str = "model"):
        self.model = model
        self.processor = processor
        self.name = name
        self.revision: str | None = None
        self._folder: Path | None = None
        self._kind = model.config.model_type
        self._window: int | None = processor.feature_extractor.nb_max_samples if self._kind == "clap" else None

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        *,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> "SmoothCLAPEncoder":
        """
        Load a model and its processor.

        Args:
            name_or_dir (`str` or `Path`): Hub id, folder of a checkpoint or of PEFT adapters, or "smoothclap-tiny".
            device (`str` or `torch.device`, *optional*): Where to run; by default the first GPU, else the CPU.
            dtype (`torch.dtype` or `str`, *optional*): Of the weights, e.g. `"bfloat16"`; by default float32.
                Embeddings are float32 always.
            revision (`str`, *optional*): Branch, tag or commit on the Hub.
            trust_remote_code (`bool`, defaults to `False`): Whether code that comes with the checkpoint may run.

        Raises:
            ValueError: if there is no such checkpoint or device, or the checkpoint is incomplete or not a dual encoder.
            ImportError: if the folder holds adapters and peft is not installed.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"The device {str(device)!r} cannot be used: {error}") from error
        name, dtype = str(name_or_dir), torch.float32 if dtype is None else dtype
        model, processor, folder, commit = load_dual_encoder(name, dtype, revision, trust_remote_code)
        encoder = cls(model.to(device), processor, name)
        encoder.revision, encoder._folder = commit, folder
        return encoder

    @property
    def sampling_rate(self) -> int:
        """`int`: The rate of the clips, in Hz."""
        return self.processor.feature_extractor.sampling_rate

    @property
    def device(self) -> torch.device:
        """`torch.device`: Where the model is."""
        return self.model.device

    @property
    def training_corpora(self) -> list[str] | None:
        """`list[str]` or `None`: The corpora that the checkpoint was trained on, if its configuration lists them."""
        recorded = getattr(self.model.config, "training_corpora", None)
        return None if recorded is None else list(recorded)

    @property
    def logit_scale(self) -> float:
        """`float`: The factor between cosine and logit, from clips to texts; a model without one: `ValueError`."""
        return logit_scale_of(self.model, self.name)

    def describe(self) -> dict[str, Any]:
        """Describe the model for a report, ready for JSON; in memory it has neither `revision` nor `weights_sha256`."""
        return {
            "name": self.name,
            "revision": self.revision,
            "weights_sha256": None if self._folder is None else weights_sha256(self._folder),
            "class": type(self.model).__name__,
            "training_corpora": self.training_corpora,
            "sampling_rate": self.sampling_rate,
            "long_clips": self._long_clips(),
        }

    def encode_audio(
        self,
        audio: Any,
        batch_size: int = 16,
        show_progress_bar: bool | None = None,
        num_workers: int = 2,
        convert_to: Literal["numpy", "torch"] = "numpy",
        bad_clips: Literal["raise", "skip"] = "raise",
        problems: MutableMapping[int, ClipError] | None = None,
    ) -> Any:
        """
        Encode clips, longest first, so that what does not fit into memory is known soon.

        Only the clips of a few batches are in memory. The result does not depend on the batches (to 1e-5).

        Args:
            audio: One clip or a sequence of clips: paths, bytes of audio files, float waveforms of shape `(samples,)`
                at `sampling_rate`, or rows with `path`, `audio` or `array` and `sampling_rate`, and maybe `start` and
                `end` in seconds; a table of pandas has such rows. A path that comes several times is encoded once.
            batch_size (`int`, defaults to 16): Clips per batch at most; fewer if they are long, see
                [`~batching_smoothclap.SECONDS_PER_CLIP`].
            show_progress_bar (`bool`, *optional*): By default, if there are more than a few batches.
            num_workers (`int`, defaults to 2): Threads that decode ahead of the model; with 1, each clip is decoded
                when it is needed.
            convert_to (`str`, defaults to `"numpy"`): Or `"torch"`, for a tensor on the CPU.
            bad_clips (`str`, defaults to `"raise"`): `"raise"`: clips that cannot be read are an error that lists
                them all. `"skip"`: their embeddings are NaN, so that rows stay aligned, and a warning counts them.
            problems (`MutableMapping[int, ClipError]`, *optional*): Gets the position and the problem of every clip
                that has one, instead of a warning; `"silent"` and `"too short"` clips are encoded like any other.

        Returns:
            `np.ndarray` of shape `(clips, width)`, or `(width,)` for one clip: unit length, float32, in order.

        Raises:
            ValueError: if there is no clip, an argument is out of range, clips cannot be read, all clips are skipped,
                or an embedding is not finite. For one clip it is its [`ClipError`].
        """
        _check_choice("bad_clips", bad_clips, ("raise", "skip"))
        _check_choice("convert_to", convert_to, ("numpy", "torch"))
        for count in (batch_size, num_workers):
            if not isinstance(count, int | np.integer) or count < 1:
                raise ValueError(f"`batch_size` and `num_workers` are whole numbers of at least 1, not {count!r}.")
        clips, is_one = as_clips(audio)
        if not len(clips):
            raise ValueError("There are no clips to encode: give at least one.")
        rate = self.sampling_rate
        places, order = longest_first(clips, rate)
        decoded = map_ahead(lambda place: read_clip(clips[place], place, rate), order, num_workers)
        shown = len(order) > QUIET_BATCHES * batch_size if show_progress_bar is None else show_progress_bar
        embeds: dict[int, np.ndarray] = {}
        faults: dict[int, ClipError] = {}
        unread: list[ClipError] = []
        desc = f"encoding with {Path(self.name).name}"
        progress = logging.tqdm(total=len(order), unit="clip", desc=desc, disable=not shown)
        with progress, short_clip_warnings(problems is None):  # else `problems` names short clips
            for group in limited_groups(zip(order, decoded, strict=True), batch_size, rate):
                faults |= {place: clip.problem for place, clip in group if clip.problem}
                unread += [clip.problem for _, clip in group if clip.problem and clip.samples is None]
                good = {place: clip.samples for place, clip in group if clip.samples is not None}
                if good and not (unread and bad_clips == "raise"):  # else only other bad clips are still to be found
                    embeds |= zip(good, self._encode_waveforms(list(good.values()), batch_size), strict=True)
                progress.update(len(group))
        if problems is not None:
            problems.update({number: faults[place] for number, place in enumerate(places) if place in faults})
        if unread:
            if problems is None or bad_clips == "raise" or not embeds:
                report_unread(unread, len(order), bad_clips)
            nothing = np.full_like(next(iter(embeds.values())), np.nan)
            embeds = dict.fromkeys(order, nothing) | embeds
        return _converted(np.stack([embeds[place] for place in places]), is_one, convert_to)

    def encode_text(
        self, texts: str | Sequence[str], batch_size: int = 64, convert_to: Literal["numpy", "torch"] = "numpy"
    ) -> Any:
        """
        Encode texts. Texts of equal numbers of tokens go together, so that nothing is padded.

        Args:
            texts (`str` or `Sequence[str]`): One text or several.
            batch_size (`int`, defaults to 64): Texts per batch.
            convert_to (`str`, defaults to `"numpy"`): Or `"torch"`, for a tensor on the CPU.

        Returns:
            `np.ndarray` of shape `(texts, width)`, or `(width,)` for one text: unit length, float32, in order.

        Raises:
            ValueError: if there is no text, one is longer than the text tower takes, or an embedding is not finite.
        """
        _check_choice("convert_to", convert_to, ("numpy", "torch"))
        listed = as_texts(texts)
        lengths = [len(ids) for ids in self.processor(text=listed, padding=False)["input_ids"]]
        longest = int(np.argmax(lengths))
        self._check_length(listed[longest], lengths[longest])
        embeds: list[np.ndarray] = [np.empty(0)] * len(listed)
        for chosen in batches_by_length(lengths, batch_size, only_equal=True):
            tokens = self.processor(text=[listed[index] for index in chosen], return_tensors="pt")
            for index, embed in zip(chosen, self._run(self.model.get_text_features, tokens), strict=True):
                embeds[index] = embed
        units = unit_rows(np.stack(embeds), f"text embeddings of {self.name!r}")
        return _converted(units, isinstance(texts, str), convert_to)

    def similarity(self, audio_embeddings: Any, text_embeddings: Any) -> np.ndarray:
        """Return the cosines `(n, m)` of embeddings `(n, width)` and `(m, width)`, which may be arrays or tensors."""
        audio, text = (np.atleast_2d(np.asarray(each)) for each in (audio_embeddings, text_embeddings))
        if audio.shape[1:] != text.shape[1:]:
            raise ValueError(f"Embeddings of shapes {audio.shape} and {text.shape} are not of one model.")
        return unit_rows(audio, "audio_embeddings") @ unit_rows(text, "text_embeddings").T

    def rank(self, audio: Any, texts: Sequence[str], template: str = "{}") -> Any:
        """
        Rank texts by how well they describe how a clip is spoken.

        Args:
            audio: One clip or several, as for [`~SmoothCLAPEncoder.encode_audio`].
            texts (`Sequence[str]`): The descriptions to choose from.
            template (`str`, defaults to `"{}"`): What each text is put into, e.g. `"a {} voice"`.

        Returns:
            `list[RankedText]`: Best first; for several clips a list of such lists. A score is the softmax of the logit
            scale times the cosines over these texts, so it says nothing about texts that are not among them.

        Raises:
            ValueError: if there is one text, one is empty or repeated, `template` lacks `{}`, or a clip has a problem.
        """
        listed = check_comparable(texts, [template])
        problems: dict[int, ClipError] = {}
        embeds = self.encode_audio(audio, problems=problems)
        for problem in problems.values():
            raise problem
        cosines = self.similarity(embeds, self.encode_text([template.replace("{}", text) for text in listed]))
        scores = probabilities(cosines, self.logit_scale)  # (clips, texts)
        ranked = [
            [RankedText(listed[index], float(score[index]), float(cosine[index])) for index in np.argsort(-cosine)]
            for score, cosine in zip(scores, cosines, strict=True)
        ]
        return ranked[0] if embeds.ndim == 1 else ranked

    def timeline(self, recording: Any, texts: Sequence[str], **options: Any) -> Timeline:
        """Score texts along a recording, in windows of a few seconds; see [`~timeline_smoothclap.timeline`]."""
        return timeline(self, recording, texts, **options)

    def _encode_waveforms(self, clips: list[np.ndarray], batch_size: int) -> np.ndarray:
        """Unit-length embeddings (clips, width), in as few batches as does not change what each clip alone gives."""
        parts = [
            np.array_split(clip, math.ceil(len(clip) / self._window)) if self._window else [clip] for clip in clips
        ]
        windows = [window for part in parts for window in part]
        embeds: list[np.ndarray] = [np.empty(0)] * len(windows)
        lengths = [len(window) for window in windows]
        for chosen in batches_by_length(lengths, batch_size, only_equal=not self._pads_exactly()):
            batch = self.processor(
                audio=[windows[index] for index in chosen], sampling_rate=self.sampling_rate, return_tensors="pt"
            )
            if self._kind == "clap":
                # Where no clip is too long, the extractor calls one of them so, at random.
                batch["is_longer"] = torch.zeros_like(batch["is_longer"])
            pooled = unit_rows(self._run(self.model.get_audio_features, batch), f"clip embeddings of {self.name!r}")
            for index, embed in zip(chosen, pooled, strict=True):
                embeds[index] = embed
        ends = np.cumsum([len(part) for part in parts])
        means = [np.mean(embeds[end - len(part) : end], axis=0) for part, end in zip(parts, ends, strict=True)]
        return unit_rows(np.stack(means), "means over windows")

    @torch.no_grad()  # not inference mode: sharded weights that are gathered in it could not be trained on afterwards
    def _run(self, features: Callable[..., Any], batch: Any) -> np.ndarray:
        """Return the embeddings (n, width) of a batch; code older than transformers 5 gives a bare tensor."""
        if getattr(self.model, "training", False):
            raise ValueError(f"{self.name!r} is in training mode, where dropout is random: call `model.eval()` first.")
        dtype = getattr(self.model, "dtype", torch.float32)
        inputs = {
            name: value.to(self.device, dtype if value.is_floating_point() else None) for name, value in batch.items()
        }
        output = features(**inputs)
        return getattr(output, "pooler_output", output).float().cpu().numpy()

    def _pads_exactly(self) -> bool:
        """Whether a padded clip gets the embedding that it gets alone."""
        if self._kind == "clap":  # whose extractor brings every window to the length of its limit
            return True
        audio_config = getattr(self.model.config, "audio_config", None)
        return self._kind == "smoothclap" and getattr(audio_config, "feat_extract_norm", "layer") != "group"

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
            check_text_length(text_config, length)
        except ValueError as error:
            raise ValueError(f"{self.name!r} cannot read {text!r}: {error}") from error

    def _long_clips(self) -> str:
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
        hop_length = self.processor.feature_extractor.hop_length
        seconds = 2 * positions * hop_length / self.sampling_rate  # its second convolution halves the rate
        return f"whole; the audio tower attends within consecutive windows of {seconds:g} s"


def _check_choice(argument: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"`{argument}` is {value!r}; give one of {', '.join(map(repr, choices))}.")


def _converted(embeds: np.ndarray, is_one: bool, convert_to: str) -> Any:
    embeds = embeds[0] if is_one else embeds
    return torch.from_numpy(embeds) if convert_to == "torch" else embeds
