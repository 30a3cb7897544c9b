"""From rows of a data set to a batch: audio decoded and cropped, captions made and tokenised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from transformers.audio_utils import load_audio

from modeling_smoothclap import SmoothCLAPProcessor

from .captions import caption, language_data, row_levels, tag_text
from .thresholds import Thresholds


@dataclass
class SmoothCLAPCollator:
    """
    Makes training or evaluation batches from rows with `path` (audio file), functionals and, where known, labels.

    In training each clip is cropped at random to at most `crop_seconds` and gets a new caption in every epoch. What is
    drawn depends on `seed`, `epoch` and the row's `id` alone, so that a resumed run, another batch size or another
    number of workers gets the same. In evaluation clips are whole and captions the same in all epochs.

    Args:
        processor ([`SmoothCLAPProcessor`]): Of the model.
        thresholds ([`Thresholds`]): Fitted on the training rows.
        languages (`tuple[str, ...]`, defaults to `("en",)`): Captions are drawn evenly from these.
        crop_seconds (`float`, *optional*, defaults to 5.0): Longest training clip, in seconds (5 in ParaCLAP); `None`
            takes clips whole.
        training (`bool`, defaults to `True`): Whether to crop, and to draw anew in every epoch.
        seed (`int`, defaults to 0): Another seed, other crops and captions.
        epoch (`int`, defaults to 0): Kept up to date by [`~smoothclap_trainer.SmoothCLAPTrainer`].

    Returns (when called with a list of rows):
        `dict[str, torch.Tensor]`: The model's inputs; `tag_input_ids` and `tag_attention_mask` (batch, tokens); and
        `local_features` (batch, width) if the rows have them. Rows with `pooled_audio`, the output of a frozen tower on
        the whole clip, are not decoded and not cropped: it goes to the model in place of the audio.
    """

    processor: SmoothCLAPProcessor
    thresholds: Thresholds
    languages: tuple[str, ...] = ("en",)
    crop_seconds: float | None = 5.0
    training: bool = True
    seed: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.languages, str):
            raise ValueError(f"`languages` is a tuple such as ({self.languages!r},), not {self.languages!r}.")
        for language in self.languages:
            language_data(language)  # raises where there are no captions in it

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        if missing := {"id", "path"} - set(rows[0]):
            raise ValueError(
                f"Rows lack {sorted(missing)}; a row needs its clip's `id` and the `path` of its audio file."
            )
        levels = [row_levels(row, self.thresholds) for row in rows]
        generators = [self._generator(row["id"]) for row in rows]
        captions = [self._caption(*each) for each in zip(levels, generators, strict=True)]
        batch = dict(self.processor.tokenizer(captions, padding=True, return_tensors="pt"))
        batch |= self._clips(rows, generators)
        tags = self.processor.tokenizer([tag_text(one) for one in levels], padding=True, return_tensors="pt")
        batch |= {"tag_input_ids": tags["input_ids"], "tag_attention_mask": tags["attention_mask"]}
        if "local_features" in rows[0]:
            batch["local_features"] = _stack(rows, "local_features")
        return batch

    def _generator(self, row_id: str) -> torch.Generator:
        key = f"{self.seed}/{self.epoch}/{row_id}" if self.training else row_id
        return torch.Generator().manual_seed(crc32(key.encode()))

    def _caption(self, levels: dict[str, str], generator: torch.Generator) -> str:
        language = self.languages[int(torch.randint(len(self.languages), (1,), generator=generator))]
        return caption(levels, language, generator)

    def _clips(
        self, rows: Sequence[Mapping[str, Any]], generators: Sequence[torch.Generator]
    ) -> dict[str, torch.Tensor]:
        if "pooled_audio" in rows[0]:
            return {"pooled_audio": _stack(rows, "pooled_audio")}
        extractor = self.processor.feature_extractor
        clips = [self._audio(row["path"], generator) for row, generator in zip(rows, generators, strict=True)]
        return dict(extractor(clips, sampling_rate=extractor.sampling_rate, return_tensors="pt"))

    def _audio(self, path: str, generator: torch.Generator) -> np.ndarray:
        rate = self.processor.feature_extractor.sampling_rate
        clip = load_audio(path, sampling_rate=rate)
        if not self.training or self.crop_seconds is None:
            return clip
        length = round(self.crop_seconds * rate)
        start = int(torch.randint(max(1, len(clip) - length + 1), (1,), generator=generator))
        return clip[start : start + length]


def _stack(rows: Sequence[Mapping[str, Any]], column: str) -> torch.Tensor:
    return torch.tensor(np.array([row[column] for row in rows], dtype=np.float32))  # (batch, width)
