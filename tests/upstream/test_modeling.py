"""Transformers' common model suite, run against SmoothCLAPModel with a waveform and with a log-mel tower."""

import unittest
from unittest import mock

import torch
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPModel
from tests import tiny
from tests.upstream import source


common = source.load("test_modeling_common")


class ModelTester:
    """Makes what the suite asks for: a configuration, and inputs that fit it."""

    batch_size = 7  # as many as the suite wants, or it adds rows itself and fills the audio mask with numbers up to 4
    seq_length = 6  # tokens
    is_training = True
    num_hidden_layers = 1  # of the text tower
    audio_config = {"num_hidden_layers": 2}

    def __init__(self, audio_family: str, audio_name: str, audio_shape: tuple[int, ...]):
        self.audio_family = audio_family
        self.audio_name = audio_name
        self.audio_shape = audio_shape

    def get_config(self) -> SmoothCLAPConfig:
        return tiny.config(self.audio_family)

    def prepare_config_and_inputs_for_common(self) -> tuple[SmoothCLAPConfig, dict[str, torch.Tensor]]:
        config = self.get_config()
        tokens = torch.randint(5, config.text_config.vocab_size, (self.batch_size, self.seq_length))
        audio_mask = torch.ones(self.batch_size, self.audio_shape[0], dtype=torch.long)
        audio_mask[1, self.audio_shape[0] // 2 :] = 0
        return config, {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            self.audio_name: torch.randn(self.batch_size, *self.audio_shape),
            "audio_attention_mask": audio_mask,
        }


class WaveformModelTest(common.ModelTesterMixin, unittest.TestCase):
    all_model_classes = (SmoothCLAPModel,)
    model_tester = ModelTester("wav2vec2", "input_values", audio_shape=(160,))
    _is_composite = True

    @property
    def additional_model_inputs(self) -> list[str]:
        return [self.model_tester.audio_name, "audio_attention_mask"]  # `attention_mask` it adds itself

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        # A contrastive loss needs no labels: the i-th clip belongs to the i-th text.
        return inputs | {"return_loss": True} if return_labels else inputs

    # Two tests pass over models that are not in this table, where training tests take a model for one without a loss.
    def test_model_forward_default_config_values(self):
        with mock.patch.dict(MODEL_MAPPING_NAMES, smoothclap="SmoothCLAPModel"):
            super().test_model_forward_default_config_values()

    # The other of the two.
    def test_inputs_embeds_matches_input_ids(self):
        with mock.patch.dict(MODEL_MAPPING_NAMES, smoothclap="SmoothCLAPModel"):
            super().test_inputs_embeds_matches_input_ids()

    @unittest.skip("Each tower has its own attentions; test_get_{text,audio}_features_attentions check them.")
    def test_attention_outputs(self):
        pass

    @unittest.skip("Each tower has its own hidden states; test_get_{text,audio}_features_hidden_states check them.")
    def test_hidden_states_output(self):
        pass

    # As upstream, but for the hidden states and attentions of both towers.
    def test_retain_grad_hidden_states_attentions(self):
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        model = SmoothCLAPModel._from_config(config, attn_implementation="eager")
        outputs = model(**inputs, output_hidden_states=True, output_attentions=True)
        towers = (outputs.text_model_output, outputs.audio_model_output)
        tensors = [kept[0] for tower in towers for kept in (tower.hidden_states, tower.attentions)]
        for tensor in tensors:
            tensor.retain_grad()
        outputs[0].flatten()[0].backward()
        for tensor in tensors:
            self.assertIsNotNone(tensor.grad)


class LogMelModelTest(WaveformModelTest):
    model_tester = ModelTester("whisper", "input_features", audio_shape=(40, 20))
    # The suite exempts models from before 2023, like wav2vec2, and takes ours for one; Whisper's initialisation is fit.
    test_can_init_all_missing_weights_before_2023 = True
