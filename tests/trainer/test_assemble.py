"""That batches are made as the settings say."""

import pytest
from datasets import DatasetDict

from smoothclap_trainer import SmoothCLAPTrainingArguments
from smoothclap_trainer.data.acoustic_conditions import Augmentation
from smoothclap_trainer.prepare import make_batches
from smoothclap_trainer.settings import DataSettings, LoraSettings
from tests import tiny
from tests.trainer import rows


@pytest.fixture
def batches(tmp_path):
    """What [`make_batches`] makes of clips with captions of their own, without targets."""
    splits = DatasetDict(train=rows.dataset(tmp_path / "audio", count=2))
    objective = {"beta": 0.0, "kl_reading": "forward"}
    arguments = SmoothCLAPTrainingArguments(str(tmp_path), use_cpu=True, report_to="none", seed=5, **objective)

    def make(processor, **settings):
        said = DataSettings(dataset=["clips.csv"], captions="given", cache_dir=str(tmp_path), **settings)
        return make_batches(splits, tiny.model(), processor, said, LoraSettings(), arguments, lambda: None)

    return make


def test_training_clips_are_heard_under_the_conditions_that_are_named(batches):
    assert batches(tiny.processor()).collator.augmentation is None
    collator = batches(tiny.processor(), acoustic_conditions=["clean", "codec"]).collator
    assert collator.augmentation == Augmentation(("clean", "codec"), seed=5)


def test_a_rate_that_is_too_low_for_conditions_is_refused(batches):
    processor = tiny.processor()
    processor.feature_extractor.sampling_rate = 7999
    assert batches(processor)
    with pytest.raises(ValueError, match="hears audio at 7999 Hz, but acoustic conditions need at least 8000 Hz"):
        batches(processor, acoustic_conditions=["clean"])
