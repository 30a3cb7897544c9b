"""How much faster an epoch is when a frozen audio tower's output is read from the cache.

Prints one table: seconds per epoch with the tower run live and with its cached output, both on the same crops, measured
in turns in one process; the time it takes to fill the cache, and after how many epochs that has paid; and how far the
two loss curves are apart. The clips are synthetic noise and the towers random and small.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, BertConfig, Wav2Vec2Config, set_seed

from modeling_smoothclap import (
    SMOOTHCLAP_TINY,
    SmoothCLAPConfig,
    SmoothCLAPFeatureExtractor,
    SmoothCLAPModel,
    SmoothCLAPProcessor,
)
from smoothclap_trainer.data.cache import FrozenSpeechEncoder, add_features, cached_features
from smoothclap_trainer.data.clips import Crops
from smoothclap_trainer.data.collator import SmoothCLAPCollator


CLIPS, SECONDS, RATE, BATCH, EPOCHS = 64, 5.0, 16000, 16, 3
CROPS = Crops(seconds=3.0, per_clip=4)


def noise(folder: Path) -> Dataset:
    """Clips of synthetic noise, each with a caption."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(CLIPS):
        path = folder / f"{index}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(round(SECONDS * RATE)), RATE)
        rows.append({"id": str(index), "path": str(path), "caption": f"voice number {index}"})
    return Dataset.from_list(rows)


def small_model(vocabulary: int) -> SmoothCLAPModel:
    """A random model with a wav2vec2-like tower that is frozen."""
    set_seed(0)
    audio = Wav2Vec2Config(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        conv_dim=[64] * 7,
        feat_extract_norm="layer",
        layerdrop=0.0,
        apply_spec_augment=False,
    )
    text = BertConfig(
        vocab_size=vocabulary, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    config = SmoothCLAPConfig(audio_config=audio, text_config=text, projection_dim=128, projection_dropout=0.0)
    model = SmoothCLAPModel(config)
    model.audio_model.requires_grad_(False)
    return model


class Run:
    """A training run, to be gone through epoch by epoch."""

    def __init__(self, rows: Dataset, processor: SmoothCLAPProcessor):
        self.model = small_model(len(processor.tokenizer)).train()
        self.model.text_model.eval()  # without dropout, so that loss curves can be compared
        self.collator = SmoothCLAPCollator(processor, captions="given", crops=CROPS)
        self.batches = DataLoader(rows, BATCH, collate_fn=self.collator)  # type: ignore[arg-type]
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3)
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def epoch(self, number: int) -> None:
        """One pass over the data, timed."""
        start = time.perf_counter()
        self.collator.epoch = number
        for batch in self.batches:
            inputs = {name: value for name, value in batch.items() if name not in ("caption_ids", "labels")}
            loss = self.model(**inputs, return_loss=True).loss
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    tokenizer = AutoTokenizer.from_pretrained(SMOOTHCLAP_TINY)
    model = small_model(len(tokenizer)).eval()
    extractor = SmoothCLAPFeatureExtractor.from_audio_config(model.config.audio_config)
    processor = SmoothCLAPProcessor(extractor, tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        rows = noise(Path(folder))
        start = time.perf_counter()
        encoder = FrozenSpeechEncoder.from_model(model, extractor)
        features = cached_features(rows, encoder, CROPS, Path(folder) / "cache")
        filling = time.perf_counter() - start
        live, cached = Run(rows, processor), Run(add_features(rows, features, "pooled_audio"), processor)
        for number in range(EPOCHS):
            live.epoch(number)
            cached.epoch(number)
    seconds = [float(np.median(run.seconds)) for run in (live, cached)]
    apart = float(np.abs(np.subtract(live.losses, cached.losses)).max())
    table = pd.DataFrame(
        {
            "audio tower": ["live", "cached"],
            "s per epoch": seconds,
            "times faster": [1.0, seconds[0] / seconds[1]],
            "s to fill": [0.0, filling],
            "epochs until it pays": [0.0, filling / (seconds[0] - seconds[1])],
            "largest loss difference": [0.0, apart],
        }
    )
    crops = f"{CROPS.per_clip} crops of {CROPS.seconds:g} s each"
    print(f"{CLIPS} clips of {SECONDS:g} s of synthetic noise, {crops}; medians of {EPOCHS} epochs")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
