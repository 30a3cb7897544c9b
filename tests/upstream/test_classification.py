"""Transformers' common model suite, run against SmoothCLAPForAudioClassification."""

import unittest

import torch

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPForAudioClassification
from tests import tiny
from tests.upstream import source


common = source.load("test_modeling_common")


class ModelTester:
    """Makes what the suite asks for: a configuration, and inputs that fit it."""

    batch_size = 7
    samples = 160
    is_training = True
    num_hidden_layers = num_attention_heads = 2
    hidden_size = 32
    seq_length = 18  # frames of the tower

    def get_config(self) -> SmoothCLAPConfig:
        return tiny.config(num_labels=3)

    def prepare_config_and_inputs_for_common(self) -> tuple[SmoothCLAPConfig, dict[str, torch.Tensor]]:
        mask = torch.ones(self.batch_size, self.samples, dtype=torch.long)
        mask[1, self.samples // 2 :] = 0
        audio = torch.randn(self.batch_size, self.samples)
        return self.get_config(), {"input_values": audio, "audio_attention_mask": mask}


class ClassificationModelTest(common.ModelTesterMixin, unittest.TestCase):
    all_model_classes = (SmoothCLAPForAudioClassification,)
    model_tester = ModelTester()
    _is_composite = True

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        return inputs | {"labels": torch.arange(7) % 3} if return_labels else inputs

    @unittest.skip("An audio model has no token embeddings; transformers' own skip this, too.")
    def test_model_get_set_embeddings(self):
        pass

    @unittest.skip("As above.")
    def test_resize_tokens_embeddings(self):
        pass
