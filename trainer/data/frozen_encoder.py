"""What a frozen speech encoder says about a clip.

This serves twice: as the local features behind the audio half of soft targets, and, where the model's audio tower
is frozen, as that tower's output. `frozen_cache` keeps it, so that training need not compute it in every epoch.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig
from transformers.utils import cached_file

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel
from modeling_smoothclap.towers_smoothclap import load_audio_tower, run_audio_tower, without_training_noise


POOLING = "mean over unpadded frames of the last hidden states"
"""Part of the fingerprint: to be reworded when what is computed here changes."""

# Where a tower came from and what wrapped it say nothing about what it computes.
CONFIG_ORIGINS = ("_name_or_path", "architectures", "dtype", "transformers_version")
EXTRACTOR_ORIGINS = ("auto_map", "feature_extractor_type", "processor_class")


class FrozenSpeechEncoder:
    """
    A pretrained speech encoder whose last hidden states, averaged over time and not projected, describe a clip.

    This loads an encoder by itself, as local features ask for (time-average without projection: stated by the paper).
    For the output of a model's own audio tower see [`~FrozenSpeechEncoder.from_model`].

    Args:
        name_or_path (`str`): Hub id or directory of any encoder that can be an audio tower.
        max_frequency (`int`, *optional*): For log-mel encoders, in Hz; see [`SmoothCLAPFeatureExtractor`].
        device (`str`, defaults to `"cpu"`): Where to run.
        normalize (`bool`, *optional*): Whether each waveform is brought to zero mean and unit variance. By default
            (ours) as the encoder was pretrained: what `do_normalize` in its preprocessor's configuration says, and not
            if it has none. The audio tower of a model is fed without, whatever that says.
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
        """
        The audio tower of a model, fed as the model is fed: what it gives is the model's `pooled_audio`.

        The tower is not copied and not moved. It stays where the model is, and its weights are the model's.

        Args:
            model ([`SmoothCLAPModel`]): Its audio tower is in evaluation mode whenever this encoder is called.
            extractor ([`SmoothCLAPFeatureExtractor`]): The model's.

        Raises:
            ValueError: if the extractor is not for this kind of tower.
        """
        if extractor.model_input_names[0] != model.audio_input_name:
            raise ValueError(
                f"The feature extractor gives `{extractor.model_input_names[0]}`, but the model's audio tower takes "
                f"`{model.audio_input_name}`; pass the extractor that was saved with the model."
            )
        encoder = cls.__new__(cls)
        encoder.extractor, encoder.tower = extractor, model.audio_model
        return encoder

    @property
    def sampling_rate(self) -> int:
        """The rate of the clips, in Hz."""
        return self.extractor.sampling_rate

    @property
    def fingerprint(self) -> str:
        """
        Names what is computed: SHA-256 in hexadecimal of weights, configuration and extractor settings.

        It is the same in every process and wherever the encoder was loaded from. All weights are read each time.
        """
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
        Encode mono clips.

        Clips of like length share a batch, to spare padding. With `batch_size=1` a clip gives bit for bit what it
        gives alone; in a padded batch it may differ by 1e-5. Towers with group norm, which padding would disturb, get
        batches of clips of one and the same length.

        Args:
            clips (`Sequence[np.ndarray]`, each of shape `(samples,)`): At the encoder's rate, full scale 1.
            batch_size (`int`, defaults to 8): Clips per batch.

        Returns:
            `np.ndarray`: float32, of shape `(clips, width)`, in the order of `clips`.

        Raises:
            ValueError: if the tower is in training mode, or a clip is not what the extractor takes.
        """
        if self.tower.training:
            raise ValueError(
                "The audio tower is in training mode, where dropout makes its output random; call `model.eval()` first."
            )
        features = np.empty((len(clips), self.tower.config.hidden_size), dtype=np.float32)
        name, mask_name = self.extractor.model_input_names
        for chosen in self._batches([len(clip) for clip in clips], batch_size):
            batch = self.extractor(
                [clips[index] for index in chosen], sampling_rate=self.sampling_rate, return_tensors="pt"
            ).to(self.tower.device, self.tower.dtype)
            _, pooled = run_audio_tower(self.tower, batch[name], batch[mask_name])
            features[chosen] = pooled.float().cpu().numpy()
        return features

    def _batches(self, lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
        """Indices of the clips that go together."""
        group_norm = getattr(self.tower.config, "feat_extract_norm", "layer") == "group"
        order = sorted(range(len(lengths)), key=lambda index: lengths[index])
        for _, alike in groupby(order, key=lambda index: lengths[index] if group_norm else None):
            members = list(alike)
            for start in range(0, len(members), batch_size):
                yield members[start : start + batch_size]


def _pretrained_with_normalize(name_or_path: str) -> bool:
    file = cached_file(name_or_path, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    return file is not None and bool(json.loads(Path(file).read_text()).get("do_normalize", False))
