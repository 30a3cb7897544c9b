"""Which kind of checkpoint a configuration is of. What trying one finds is tested with the plan."""

import pytest

from smoothclap_trainer.hub.plan import CLASSIFIER, DUAL_ENCODER, kind_of


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"architectures": ["SmoothCLAPForAudioClassification"]}, CLASSIFIER),
        ({"architectures": ["SmoothCLAPModel"], "id2label": {"0": "sad"}}, DUAL_ENCODER),
        ({"architectures": ["ClapModel"]}, DUAL_ENCODER),
        ({"architectures": None}, DUAL_ENCODER),
        ({}, DUAL_ENCODER),
    ],
)
def test_the_class_that_the_configuration_names_decides(config, kind):
    assert kind_of(config) is kind
