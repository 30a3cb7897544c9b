"""How a card tells where a model comes from."""

import re

import pytest

from smoothclap_trainer.model_card import making
from tests import tiny
from tests.trainer.clep_dg import judged_classifiers
from tests.trainer.model_card import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


def flat(blocks):
    return re.sub(r"\s+", " ", "\n".join(blocks))


def test_parts_have_their_sizes_and_starts(whole):
    count = folders.facts(whole).parameters
    told = making.architecture(folders.facts(whole))
    assert told[0].splitlines()[2:] == [
        f"| audio tower | wav2vec2, 2 layers, 32 wide | {count['audio tower']:,} |",
        f"| text tower | bert, 1 layer, 24 wide, 292 tokens | {count['text tower']:,} |",
        f"| projection heads and scale | 16 wide | {count['projection heads and scale']:,} |",
    ]
    assert flat(told[1:]) == (
        "The audio tower stayed frozen in training. The audio encoder it started from is `someone/speech` at revision "
        "c0ffee."
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"freeze_audio_tower": False, "freeze_text_tower": True}, "The text tower stayed frozen in training."),
        ({"freeze_text_tower": True}, "The audio tower and the text tower stayed frozen in training."),
        (
            {"freeze_text_tower": True, "lora_towers": ["audio"]},
            "The text tower stayed frozen in training. The audio tower got adapters.",
        ),
        (None, ""),
    ],
)
def test_what_trained_is_said_where_it_is_known(tmp_path, settings, said):
    folders.bare(tmp_path)
    if settings is not None:
        folders.write(tmp_path, training_config_yaml=settings)
    assert making.architecture(folders.facts(tmp_path))[1] == said


def test_of_a_classifier_the_vectors_are_a_part_and_there_is_no_text_tower(tmp_path):
    folder = judged_classifiers.save(tiny.checkpoint(tmp_path / "encoder"), tmp_path / "classifier")
    parts = [line.split(" | ") for line in making.architecture(folders.facts(folder))[0].splitlines()[2:]]
    assert [part[0] for part in parts] == ["| audio tower", "| projection heads and scale", "| classifier"]
    assert parts[-1][1:] == ["a vector for each of 2 classes", "32 |"]


def test_without_weights_there_are_no_sizes(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert making.architecture(folders.facts(tmp_path)) == []


def test_data_have_sizes_and_licences_and_synthetic_speech_is_marked(whole):
    rows, *rest = making.data(folders.facts(whole))
    assert rows.splitlines()[2:] == [
        "| train | queen | 1,200 | 61.5 | 7 | en | free |  |",
        "| train | made-up (**synthetic**) | 34 | 2.0 |  | de, en | CC0-1.0 |  |",
        "| test | fillets | 5 |  |  | cs |  | fillets-ng 1.0 |",
    ]
    told = flat(rest)
    assert "It was trained on 1,234 clips, 64 minutes. Nothing in the run looked at the test split" in told
    assert "Synthetic speech is nobody's voice and nobody's emotion" in told
    assert (
        "as its configuration records them: `made-up`, `queen`, `unrecorded`. On these no figure is zero-shot. " in told
    )
    assert "Of a part of its training, marked `unrecorded`, it is not recorded." in told
    assert "- `queen`: acted English. Speakers: from file names. Where it is from" in told  # nothing of made-up is said
    assert "below or above the 0.3 and 0.7 quantiles of 1,234 training clips" in told


def test_of_data_that_nobody_described_little_is_said(tmp_path):
    (tmp_path / "config.json").write_text('{"training_corpora": []}')
    told = flat(making.data(folders.facts(tmp_path))).strip()
    assert told == "Which corpora it was trained on is not recorded in its configuration."
    folders.write(tmp_path, data_json={"train": {"mine": {"clips": 3}}})
    told = flat(making.data(folders.facts(tmp_path)))
    assert "It was trained on 3 clips. No audio" in told and "test split" not in told and "Synthetic" not in told


def test_the_text_towers_distillation(whole):
    told = flat(making.text_tower(folders.facts(whole)))
    assert "(1,234 parameters) was distilled from `e5` on 5,678 sentences" in told
    assert "25% (English to German) and 50% (back) of 400 held-out" in told
    assert "its teacher found 75% and 100%" in told


def test_every_option_of_the_objective_says_whose_it_is(whole, tmp_path):
    intro, rows = making.objective(folders.facts(whole))
    assert "SmoothCLAP's contrastive loss" in intro
    (reading, beta, labels) = rows.splitlines()[2:]
    assert reading.startswith("| kl_reading | forward |") and "(open in the paper; ours)" in reading
    assert beta.startswith("| beta | 0.2 |") and "(open in the paper; ours)" in beta
    assert labels == "| target: labels | weight 1.0 | ours, it says |"
    (tmp_path / "config.json").write_text("{}")
    folders.write(tmp_path, objective_json={"kl_reading": "forward", "beta": 0.0, "sources": []})
    assert "CLAP's contrastive loss between clips and captions, with one-hot targets." in making.objective(
        folders.facts(tmp_path)
    )


def test_training_tells_its_length_its_loss_and_its_settings_as_they_were_said(whole):
    ran, _, said = making.training(folders.facts(whole))
    assert flat([ran]) == (
        "1,400 steps, 2.5 epochs, in 10 minutes; mean training loss 2.88, from 3.50 to 2.25 as logged. "
        "`training_log.yaml` has every figure."
    )
    assert said == f"```yaml\n{(whole / 'training_config.yaml').read_text().strip()}\n```"


def test_a_run_that_logged_no_loss_has_its_mean(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    folders.write(tmp_path, training_log_yaml=folders.LOG[-1:])
    assert "mean training loss 2.88. `training_log.yaml`" in flat(making.training(folders.facts(tmp_path)))


def test_time_and_mean_loss_of_a_resumed_run_are_of_its_last_part(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for rate, expected in ((1400 / 600, "epochs, in 10 minutes"), (1.5, "epochs; since it was last resumed 10 min")):
        end = folders.LOG[-1] | {"train_steps_per_second": round(rate, 3)}
        folders.write(tmp_path, training_log_yaml=[*folders.LOG[:-1], end])
        assert expected in flat(making.training(folders.facts(tmp_path)))


def test_versions_are_those_of_the_run_or_what_the_configuration_says(whole, tmp_path):
    assert making.versions(folders.facts(whole)) == ["smoothclap 0.1.0, python 3.11.0"]
    (tmp_path / "config.json").write_text('{"transformers_version": "5.20.0"}')
    assert making.versions(folders.facts(tmp_path)) == ["transformers 5.20.0"]


def test_what_has_no_file_is_left_out(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    facts = folders.facts(tmp_path)
    assert making.text_tower(facts) == making.objective(facts) == making.training(facts) == []
    assert making.versions(facts) == [""]
