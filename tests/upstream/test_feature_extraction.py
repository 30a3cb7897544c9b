"""Transformers' common suite for audio feature extractors, run against SmoothCLAPFeatureExtractor in both its forms."""

import unittest
from unittest import mock

import numpy as np

from modeling_smoothclap import SmoothCLAPFeatureExtractor
from tests.upstream import source


common = source.load("test_sequence_feature_extraction_common")


class StockMaskName(SmoothCLAPFeatureExtractor):
    """For the suite's tests of the mask, which know it by the name `attention_mask` only."""

    def pad(self, *args, **kwargs):
        batch = super().pad(*args, **kwargs)
        batch["attention_mask"] = batch.pop("audio_attention_mask")
        return batch


class FeatureExtractionTester:
    """Makes what the suite asks for: arguments of the extractor, and batches of clips or spectrograms."""

    batch_size = 3
    min_seq_length = 40
    max_seq_length = 120
    seq_length_diff = 40

    def __init__(self, num_mel_bins: int | None):
        self.num_mel_bins = num_mel_bins
        self.feature_size = num_mel_bins or 1

    def prepare_feat_extract_dict(self) -> dict:
        of_log_mel = {} if self.num_mel_bins is None else {"max_frequency": 5500}
        return {"num_mel_bins": self.num_mel_bins, "sampling_rate": 16000, "padding_value": 0.0} | of_log_mel

    def prepare_inputs_for_common(self, equal_length: bool = False, numpify: bool = False) -> list:
        rng = np.random.default_rng(0)
        lengths = range(self.min_seq_length, self.max_seq_length + 1, self.seq_length_diff)
        shape = () if self.num_mel_bins is None else (self.num_mel_bins,)
        rows = [rng.random((self.max_seq_length if equal_length else n, *shape), dtype=np.float32) for n in lengths]
        return rows if numpify else [row.tolist() for row in rows]


class WaveformFeatureExtractionTest(common.SequenceFeatureExtractionTestMixin, unittest.TestCase):
    feature_extraction_class = SmoothCLAPFeatureExtractor
    feat_extract_tester = FeatureExtractionTester(num_mel_bins=None)

    # Our mask has its own name on purpose: as `attention_mask` it would collide with the text's.
    def test_attention_mask(self):
        with mock.patch.object(type(self), "feature_extraction_class", StockMaskName):
            super().test_attention_mask()

    # For the same reason.
    def test_attention_mask_with_truncation(self):
        with mock.patch.object(type(self), "feature_extraction_class", StockMaskName):
            super().test_attention_mask_with_truncation()


class LogMelFeatureExtractionTest(WaveformFeatureExtractionTest):
    feat_extract_tester = FeatureExtractionTester(num_mel_bins=20)
