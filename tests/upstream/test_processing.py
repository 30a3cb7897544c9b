"""Transformers' common processor suite, run against SmoothCLAPProcessor with a waveform and a log-mel extractor."""

import unittest
from unittest import mock

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPProcessor
from modeling_smoothclap.processing_smoothclap import SmoothCLAPProcessorKwargs
from tests import tiny
from tests.upstream import source


common = source.load("test_processing_common")


class WaveformProcessorTest(common.ProcessorTesterMixin, unittest.TestCase):
    processor_class = SmoothCLAPProcessor
    family = "wav2vec2"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The suite never says at which rate its clips were sampled, and our extractor refuses to guess.
        stated = {"sampling_rate": tiny.SAMPLING_RATE}
        cls.enterClassContext(mock.patch.dict(SmoothCLAPProcessorKwargs._defaults["audio_kwargs"], stated))
        # It compares a processor that was saved with its copy, but saving adds `auto_map` to one that carries its code.
        cls.enterClassContext(mock.patch.object(SmoothCLAPProcessor, "_auto_class", None))

    @classmethod
    def _setup_feature_extractor(cls) -> SmoothCLAPFeatureExtractor:
        return tiny.processor(cls.family).feature_extractor

    @classmethod
    def _setup_tokenizer(cls):
        return tiny.tokenizer()


class LogMelProcessorTest(WaveformProcessorTest):
    family = "whisper"
