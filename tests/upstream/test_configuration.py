"""Transformers' common configuration suite, run against SmoothCLAPConfig."""

import unittest

from modeling_smoothclap import SmoothCLAPConfig
from tests import tiny
from tests.upstream import source


class SmoothCLAPConfigTest(unittest.TestCase):
    def setUp(self):
        self.model_tester = self  # the suite asks it for `get_config`
        self.config_tester = source.load("test_configuration_common").ConfigTester(
            self,
            config_class=SmoothCLAPConfig,
            has_text_modality=False,  # the vocabulary size is the text tower's, in `text_config`
            common_properties=["audio_config", "text_config", "projection_dim", "logit_scale_init_value"],
            projection_dim=16,
            projection_dropout=0.25,
        )

    def get_config(self) -> SmoothCLAPConfig:
        return tiny.config()

    def test_config(self):
        self.config_tester.run_common_tests()
