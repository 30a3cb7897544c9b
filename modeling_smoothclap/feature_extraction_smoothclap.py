"""From waveforms to what an audio tower takes: checks, minimum length, log-mel spectrogram, padding and mask."""

import math
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from reprlib import repr
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, PreTrainedConfig, SequenceFeatureExtractor
from transformers.audio_utils import mel_filter_bank
from transformers.utils import PaddingStrategy, TensorType

from .audio_smoothclap import LOUDEST_PEAK, clip_source, read_audio
from .towers_smoothclap import audio_input_name, receptive_field


LARGEST_SIZE = 100_000_000
"""Far more samples than a clip has; a slip beyond it would fill the memory."""
FILES = (str, Path, bytes, Mapping)
"""How an audio file is given; its rate is its own."""


class ShortClipWarning(UserWarning):
    """Some clips, at `indices` of the batch, were too short for the audio tower and were padded with silence."""

    def __init__(self, indices: list[int], minimum_samples: int, sampling_rate: int):
        self.indices = indices
        super().__init__(
            f"Clips {indices} are shorter than the {minimum_samples} samples "
            f"({1000 * minimum_samples / sampling_rate:.0f} ms) the audio tower needs. They were padded with silence; "
            "their embeddings say little."
        )


def short_clip_warnings(shown: bool) -> AbstractContextManager:
    """Return a context without any [`ShortClipWarning`] unless they are to be `shown`."""
    return nullcontext() if shown else warnings.catch_warnings(action="ignore", category=ShortClipWarning)


class SmoothCLAPFeatureExtractor(SequenceFeatureExtractor):
    r"""
    Prepares mono waveforms for [`SmoothCLAPModel`]. Nothing in it is random: one clip always gives one result.

    Args:
        sampling_rate (`int`, *optional*, defaults to 16000): Rate of the waveforms, in Hz.
        num_mel_bins (`int`, *optional*): Number of mel bands of a log-mel tower (Whisper: 80). `None`, the default,
            stands for a waveform tower.
        max_frequency (`int`, *optional*): Mel bands centred above this frequency, in Hz, are silenced, so that
            wide-band and narrow-band recordings look alike to the tower. `None` keeps all bands.
        do_normalize (`bool`, *optional*, defaults to `False`): Whether each waveform is brought to zero mean and unit
            variance, as some waveform towers were pretrained. It removes the clip's loudness.
        minimum_samples (`int`, *optional*, defaults to 400): Shorter clips are padded with silence to this length,
            with a [`ShortClipWarning`].
        n_fft (`int`, *optional*, defaults to 400): Window of the spectrogram, in samples.
        hop_length (`int`, *optional*, defaults to 160): Step of the spectrogram, in samples.
        padding_value (`float`, *optional*, defaults to 0.0): Value of padded samples or mel frames.

    Example:

    ```python
    >>> import numpy as np
    >>> from modeling_smoothclap import SmoothCLAPFeatureExtractor
    >>> extractor = SmoothCLAPFeatureExtractor()
    >>> clips = [np.zeros(16000, dtype=np.float32), np.zeros(8000, dtype=np.float32)]
    >>> batch = extractor(clips, sampling_rate=16000, return_tensors="np")
    >>> batch["input_values"].shape, batch["audio_attention_mask"].sum(axis=1).tolist()
    ((2, 16000), [16000, 8000])

    ```
    """

    def __init__(
        self,
        sampling_rate: int = 16000,
        num_mel_bins: int | None = None,
        max_frequency: int | None = None,
        do_normalize: bool = False,
        minimum_samples: int = 400,
        n_fft: int = 400,
        hop_length: int = 160,
        padding_value: float = 0.0,
        **kwargs,
    ):
        check_sizes(num_mel_bins=num_mel_bins, max_frequency=max_frequency)
        sizes = {"sampling_rate": sampling_rate, "minimum_samples": minimum_samples}
        check_sizes(optional=False, n_fft=n_fft, hop_length=hop_length, **sizes)
        if not isinstance(padding_value, int | float) or not math.isfinite(padding_value):
            raise ValueError(f"`padding_value` is {repr(padding_value)}; give a finite number, usually 0.")
        if not isinstance(do_normalize, bool):
            raise ValueError(f"`do_normalize` is {repr(do_normalize)}; give True or False.")
        idle = {"max_frequency": max_frequency is not None, "n_fft": n_fft != 400, "hop_length": hop_length != 160}
        if num_mel_bins is None and any(idle.values()):
            names = [name for name, given in idle.items() if given]
            raise ValueError(f"{names} have no effect on waveforms: set `num_mel_bins`, or leave them out.")
        if num_mel_bins is not None and num_mel_bins > n_fft // 2:
            raise ValueError(f"`num_mel_bins` is {num_mel_bins}, more than the {n_fft // 2} frequencies of `n_fft`.")
        if kwargs.get("feature_size", num_mel_bins or 1) != (num_mel_bins or 1):
            raise ValueError(f"`feature_size` is {kwargs['feature_size']}; leave it out, `num_mel_bins` says it.")
        shortest = max(n_fft // 2 + 1, hop_length)
        if num_mel_bins is not None and minimum_samples < shortest:
            raise ValueError(
                f"A spectrogram with `n_fft={n_fft}` and `hop_length={hop_length}` needs {shortest} samples, so "
                f"`minimum_samples` cannot be {minimum_samples}."
            )
        if kwargs.get("padding_side", "right") != "right":
            raise ValueError(
                f"Clips are padded on the right, where audio towers expect it, not on the {kwargs['padding_side']}; "
                "leave out `padding_side`."
            )
        kwargs["feature_size"] = num_mel_bins or 1
        kwargs.setdefault("return_attention_mask", True)
        super().__init__(sampling_rate=sampling_rate, padding_value=padding_value, **kwargs)
        self.num_mel_bins = num_mel_bins
        self.max_frequency = max_frequency
        self.do_normalize = do_normalize
        self.minimum_samples = minimum_samples
        self.n_fft = n_fft
        self.hop_length = hop_length
        if num_mel_bins is not None:
            self.mel_filters = self._mel_filters(num_mel_bins)

    @classmethod
    def from_audio_config(cls, audio_config: PreTrainedConfig, **kwargs) -> "SmoothCLAPFeatureExtractor":
        """Return a feature extractor that fits the configuration of an audio tower; `kwargs` go to the constructor."""
        if audio_input_name(audio_config) == "input_features":
            return cls(num_mel_bins=audio_config.num_mel_bins, **kwargs)
        if kwargs.get("max_frequency") is not None:
            raise ValueError(
                f"`max_frequency` {kwargs['max_frequency']} has no effect: a {audio_config.model_type} tower takes "
                "waveforms, not mel bands. Leave it out."
            )
        return cls(minimum_samples=receptive_field(audio_config), **kwargs)

    @property
    def model_input_names(self) -> list[str]:
        """
        Names of the arrays this extractor returns.

        The mask has its own name: under `attention_mask` a processor would overwrite the text's mask with it, and the
        zero-shot pipeline would refuse both.
        """
        return ["input_values" if self.num_mel_bins is None else "input_features", "audio_attention_mask"]

    def __call__(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        r"""
        Args:
            audio: One clip or a list of clips. A clip is a mono waveform of shape `(samples,)`, floats with full scale
                at 1; or an audio file, its path or bytes or a row of a data set with `path`, `audio` or `array` and
                `sampling_rate`, which is brought to the extractor's rate.
            sampling_rate (`int`, *optional*): Rate of the waveforms, in Hz, which must equal the extractor's. Files
                need none.
            padding, max_length, truncation, pad_to_multiple_of: As in [`~SequenceFeatureExtractor.pad`]; lengths are
                in samples, or in spectrogram frames for a log-mel tower.
            return_attention_mask (`bool`, *optional*): Whether to return the mask; by default it is returned.
            return_tensors (`str`, *optional*): `"pt"` or `"np"`.

        Returns:
            [`BatchFeature`]: `input_values` of shape `(batch, samples)` or `input_features` of shape
            `(batch, frames, mels)`, and `audio_attention_mask` of shape `(batch, samples)` or `(batch, frames)`. With
            `padding=False` and no `return_tensors` each is a list of arrays.

        Raises:
            ValueError: if the rate is missing or wrong, or a clip cannot be read, is empty, not mono, not float, not
                finite or too loud.
        """
        listed = _as_list(audio)
        if sampling_rate is not None or not all(isinstance(clip, FILES) for clip in listed):
            self._check_rate(sampling_rate)
        clips = [self._waveform(clip, index) for index, clip in enumerate(listed)]
        short = [index for index, clip in enumerate(clips) if len(clip) < self.minimum_samples]
        if short:
            warnings.warn(ShortClipWarning(short, self.minimum_samples, self.sampling_rate), stacklevel=2)
        features = [self._featurize(clip) for clip in clips]
        return self.pad(
            BatchFeature({self.model_input_names[0]: features}),
            padding=padding,
            max_length=max_length,
            truncation=truncation,
            pad_to_multiple_of=pad_to_multiple_of,
            return_attention_mask=return_attention_mask,
            return_tensors=return_tensors,
        )

    def pad(
        self,
        processed_features: Any,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """
        Pad as [`~SequenceFeatureExtractor.pad`] does, with the mask under the name `audio_attention_mask`.

        Without padding and without `return_tensors` each feature is a list of arrays, which `datasets` can store.
        """
        check_sizes(max_length=max_length, pad_to_multiple_of=pad_to_multiple_of)
        options = (padding, max_length, truncation, pad_to_multiple_of, return_attention_mask, return_tensors)
        try:
            if isinstance(processed_features, (list, tuple)):
                processed_features = {name: [row[name] for row in processed_features] for name in processed_features[0]}
            if "audio_attention_mask" in processed_features:
                processed_features = BatchFeature(dict(processed_features))
                processed_features["attention_mask"] = processed_features.pop("audio_attention_mask")
            batch = super().pad(processed_features, *options)
        except (AttributeError, LookupError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"These features cannot be padded together: {error}. Give one or more rows of equal keys, as this "
                "extractor returns them."
            ) from error
        if "attention_mask" in batch:
            batch["audio_attention_mask"] = batch.pop("attention_mask")
        if return_tensors is None and self._get_padding_strategies(padding, max_length) == PaddingStrategy.DO_NOT_PAD:
            batch = BatchFeature({name: list(value) for name, value in batch.items()})
        return batch

    def to_dict(self) -> dict:
        """Return the arguments to rebuild this extractor from; the mel filters are computed, not saved."""
        return {name: value for name, value in super().to_dict().items() if name != "mel_filters"}

    def _check_rate(self, sampling_rate: int | None) -> None:
        if sampling_rate is None:
            raise ValueError(
                f"`sampling_rate` is missing. Say at which rate the waveforms were sampled; this model takes "
                f"{self.sampling_rate} Hz."
            )
        if not isinstance(sampling_rate, int | float | np.number) or sampling_rate != self.sampling_rate:
            raise ValueError(
                f"The clips are sampled at {repr(sampling_rate)} Hz but this model takes {self.sampling_rate} Hz. "
                f"Resample them first, e.g. `load_audio(path, sampling_rate={self.sampling_rate})` of transformers; "
                "or pass the paths of their files, which are read at the right rate."
            )

    def _waveform(self, clip: Any, index: int) -> np.ndarray:
        """Return a clip as float32 of shape (samples,); a file is read at the extractor's rate."""
        if isinstance(clip, FILES):
            if isinstance(clip, Mapping) and clip.get("bytes") is not None:
                clip = {"audio": clip}  # as `datasets.Audio(decode=False)` gives it
            source: Any = clip_source(clip) if isinstance(clip, Mapping) else clip
            clip = read_audio(source, self.sampling_rate, None if isinstance(source, str | Path) else index)
        return _check_clip(clip, index)

    def _featurize(self, clip: np.ndarray) -> np.ndarray:
        if self.do_normalize:
            clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
        clip = np.pad(clip, (0, max(0, self.minimum_samples - len(clip))))
        return clip if self.num_mel_bins is None else self._log_mel(clip)

    def _log_mel(self, clip: np.ndarray) -> np.ndarray:
        """Return Whisper's log-mel spectrogram of a clip, (frames, mels): base 10, at most 80 dB below the peak."""
        window = torch.hann_window(self.n_fft)
        spectrum = torch.stft(torch.from_numpy(clip), self.n_fft, self.hop_length, window=window, return_complex=True)
        power = spectrum[:, :-1].abs() ** 2  # (n_fft / 2 + 1, frames)
        log_mel = (self.mel_filters.T @ power).clamp(min=1e-10).log10()
        log_mel = torch.maximum(log_mel, log_mel.max() - 8.0)
        return ((log_mel + 4.0) / 4.0).T.contiguous().numpy()

    def _mel_filters(self, num_mel_bins: int) -> torch.Tensor:
        filters = mel_filter_bank(
            num_frequency_bins=1 + self.n_fft // 2,
            num_mel_filters=num_mel_bins,
            min_frequency=0.0,
            max_frequency=self.sampling_rate / 2,
            sampling_rate=self.sampling_rate,
            norm="slaney",
            mel_scale="slaney",
        )  # (n_fft / 2 + 1, mels)
        if self.max_frequency is not None:
            frequencies = np.linspace(0, self.sampling_rate / 2, len(filters))
            filters[:, frequencies[filters.argmax(axis=0)] > self.max_frequency] = 0.0
        return torch.from_numpy(filters).float()


def _as_list(audio: Any) -> list:
    if isinstance(audio, np.ndarray) and audio.ndim == 1 and audio.dtype.kind in "OSU":  # of paths or arrays
        return list(audio)
    if isinstance(audio, (list, tuple)):
        # A list of numbers is one clip; so is, for want of anything else it could be, an empty list.
        one = not len(audio) or (np.isscalar(audio[0]) and not isinstance(audio[0], FILES))
        return [audio] if one else list(audio)
    return [audio]


def check_sizes(optional: bool = True, **sizes: Any) -> None:
    """Raise a ValueError unless each of these arguments is a positive integer, or `None` if they are optional."""
    for name, value in sizes.items():
        if value is None and optional:
            continue
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= LARGEST_SIZE:
            raise ValueError(f"`{name}` is {repr(value)}; give a positive integer of at most {LARGEST_SIZE}.")


def _check_clip(clip, index: int) -> np.ndarray:
    """Return a clip as float32 of shape (samples,), or raise a ValueError that says what is wrong with it."""
    if isinstance(clip, torch.Tensor):
        clip = clip.detach().cpu()
        clip = clip.float() if clip.dtype == torch.bfloat16 else clip  # numpy has no bfloat16
    try:
        array = np.asarray(clip)
    except (TypeError, ValueError, RuntimeError) as error:  # of ragged lists, and of objects that are not arrays
        raise ValueError(f"Clip {index} is not a waveform ({error}). Give floats of shape (samples,).") from error
    if array.ndim != 1:
        raise ValueError(
            f"Clip {index} has shape {array.shape}, but a clip is mono, of shape (samples,). Average the channels of a "
            "stereo clip, e.g. `clip.mean(axis=0)` for (channels, samples); pass a batch as a list of clips."
        )
    if array.size == 0:
        raise ValueError(f"Clip {index} is empty. Leave it out, or check how it was read.")
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"Clip {index} holds {array.dtype} values, but a clip holds floats with full scale at 1. Convert integer "
            "PCM first, e.g. `clip.astype(np.float32) / 32768` for 16 bits."
        )
    with np.errstate(over="ignore"):  # a number too large for float32 is caught as infinity
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(
            f"Clip {index} holds NaN or infinity, first at sample {bad}. Check how it was read, or replace such "
            "samples with `np.nan_to_num(clip)`."
        )
    if (peak := float(np.abs(array).max())) > LOUDEST_PEAK:
        raise ValueError(
            f"Clip {index} reaches {peak:.0f}, but full scale is 1. It seems to hold integer PCM as floats; divide it, "
            "e.g. by 32768 for 16 bits."
        )
    return array


__all__ = ["SmoothCLAPFeatureExtractor", "ShortClipWarning"]
