"""What must not matter: the order of a batch, its company, and how far it is padded. Checked from sound to score."""

import numpy as np
import pytest
import torch

from modeling_smoothclap.loss_smoothclap import soft_target_loss
from tests import tiny


TEXTS = ["a low voice", "a high voice", "eine leise, traurige Stimme", "громкий голос"]
SECONDS = (0.1, 0.0371, 0.21, 0.06)
ORDER = [2, 0, 3, 1]
each_family = pytest.mark.parametrize("family", tiny.AUDIO_FAMILIES)


def run(family: str, clips: list[np.ndarray], texts: list[str], **options) -> torch.Tensor:
    """Logits of a tiny model, (clips, texts)."""
    batch = tiny.processor(family)(
        text=texts, audio=clips, audio_kwargs={"sampling_rate": 16000, **options}, return_tensors="pt"
    )
    with torch.no_grad():
        return tiny.model(family)(**batch).logits_per_audio


def clips() -> list[np.ndarray]:
    return [factor * clip for factor, clip in zip((0.1, 1, 3, 0.5), tiny.clips(*SECONDS), strict=True)]


@each_family
def test_the_order_of_clips_and_texts(family):
    straight = run(family, clips(), TEXTS)
    shuffled = run(family, [clips()[i] for i in ORDER], [TEXTS[i] for i in ORDER])
    torch.testing.assert_close(shuffled, straight[ORDER][:, ORDER], atol=1e-4, rtol=0)
    assert (shuffled - straight).abs().max() > 1e-3


@each_family
def test_the_company_of_a_clip_and_a_text(family):
    together = run(family, clips(), TEXTS)
    for i, clip in enumerate(clips()):
        alone = run(family, [clip], [TEXTS[i]])
        torch.testing.assert_close(alone[0, 0], together[i, i], atol=1e-4, rtol=0)


@each_family
def test_how_far_a_batch_is_padded(family):
    tight = run(family, clips(), TEXTS)
    # In samples or in frames; for Whisper past its window of 60 frames.
    loose = run(family, clips(), TEXTS, padding="max_length", max_length=150 if family == "whisper" else 5000)
    torch.testing.assert_close(loose, tight, atol=1e-4, rtol=0)


@pytest.mark.parametrize("reading", ["symmetric", "forward"])
def test_the_order_of_pairs_in_the_loss(reading):
    logits, targets = torch.randn(4, 4), torch.rand(4, 4).softmax(dim=1)
    straight = soft_target_loss(logits, targets, reading)
    shuffled = soft_target_loss(logits[ORDER][:, ORDER], targets[ORDER][:, ORDER], reading)
    torch.testing.assert_close(shuffled, straight)
    # Only clips and captions moved, not their targets: another loss.
    assert (soft_target_loss(logits[ORDER][:, ORDER], targets, reading) - straight).abs() > 1e-4
