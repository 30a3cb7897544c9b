"""What a frozen speech encoder says about each clip, computed once.

This serves twice: as the local features behind the audio half of soft targets, and, where the model's audio tower
is frozen, as that tower's output, so that training need not run it again in every epoch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from datasets.utils import tqdm
from transformers import AutoConfig
from transformers.audio_utils import load_audio

from modeling_smoothclap import SmoothCLAPFeatureExtractor
from modeling_smoothclap.towers_smoothclap import load_audio_tower, run_audio_tower


class FrozenSpeechEncoder:
    """
    A pretrained speech encoder whose last hidden states, averaged over time and not projected, describe a clip.
    Waveforms are not normalised, as in the models it serves.

    Args:
        name_or_path (`str`): Hub id or directory of any encoder that can be an audio tower.
        max_frequency (`int`, *optional*): For log-mel encoders, in Hz; see [`SmoothCLAPFeatureExtractor`].
        device (`str`, defaults to `"cpu"`): Where to run.
    """

    def __init__(self, name_or_path: str, max_frequency: int | None = None, device: str = "cpu"):
        config = AutoConfig.from_pretrained(name_or_path)
        self.extractor = SmoothCLAPFeatureExtractor.from_audio_config(config, max_frequency=max_frequency)
        self.tower = load_audio_tower(name_or_path, config).eval().requires_grad_(False).to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Features of mono clips at the encoder's rate, as float32 of shape (clips, width)."""
        rate = self.extractor.sampling_rate
        batch = self.extractor(list(clips), sampling_rate=rate, return_tensors="pt").to(self.device)
        name, mask_name = self.extractor.model_input_names
        _, pooled = run_audio_tower(self.tower, batch[name], batch[mask_name])
        return pooled.float().cpu().numpy()

    def of_files(self, paths: Sequence[str]) -> np.ndarray:
        """Features of whole audio files, one at a time, as float32 of shape (files, width)."""
        rate = self.extractor.sampling_rate
        progress = tqdm(paths, desc="Frozen encoder", unit="clip")
        return np.concatenate([self([load_audio(path, sampling_rate=rate)]) for path in progress])
