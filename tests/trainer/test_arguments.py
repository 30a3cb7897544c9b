import pytest
from transformers import HfArgumentParser, TrainingArguments

from smoothclap_trainer import SmoothCLAPTrainingArguments


def test_defaults_are_the_papers(tmp_path):
    arguments = SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert arguments.per_device_train_batch_size == 32
    assert arguments.num_train_epochs == 10
    assert (arguments.learning_rate, arguments.text_learning_rate) == (1e-3, 1e-5)
    assert arguments.lr_scheduler_type == "constant"
    assert arguments.weight_decay == 0
    assert arguments.freeze_audio_tower and not arguments.freeze_text_tower


def test_one_hot_targets_need_the_forward_reading(tmp_path):
    with pytest.raises(ValueError, match="kl_reading='forward'"):
        SmoothCLAPTrainingArguments(output_dir=str(tmp_path), beta=0.0)
    assert SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True, beta=0.0, kl_reading="forward").beta == 0


@pytest.mark.parametrize("name", ["beta", "gamma"])
def test_weights_are_between_zero_and_one(tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}`.*1.5"):
        SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **{name: 1.5})


def test_columns_must_stay(tmp_path):
    with pytest.raises(ValueError, match="remove_unused_columns=False"):
        SmoothCLAPTrainingArguments(output_dir=str(tmp_path), remove_unused_columns=True)


def test_settings_are_read_from_yaml(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(f"output_dir: {tmp_path}\nbeta: 0.25\nkl_reading: forward\nuse_cpu: true\n")
    (arguments,) = HfArgumentParser(SmoothCLAPTrainingArguments).parse_yaml_file(str(file))
    assert (arguments.beta, arguments.kl_reading) == (0.25, "forward")


def test_a_wrong_reading_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`kl_reading`.*'backward'"):
        SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True, kl_reading="backward")


def arguments(folder, **changes):
    return SmoothCLAPTrainingArguments(output_dir=str(folder), use_cpu=True, **changes)


def test_the_default_targets_are_the_papers(tmp_path):
    targets = arguments(tmp_path, beta=0.2, gamma=0.3, tag_temperature=0.1).soft_targets
    assert [source.name for source in targets.sources] == ["local_features", "tags"]
    assert list(targets.weights) == pytest.approx([0.7, 0.3])
    assert (targets.beta, targets.sources[1].temperature, targets.sources[1].detach) == (0.2, 0.1, True)


def test_targets_are_chosen_and_weighed(tmp_path):
    three = arguments(tmp_path, targets=["tags", "labels", "functionals"], target_weights=[0.5, 0.3, 0.2])
    assert [source.name for source in three.soft_targets.sources] == ["tags", "labels", "functionals"]
    assert list(arguments(tmp_path, targets=["functionals"]).soft_targets.weights) == [1.0]
    assert not arguments(tmp_path, detach_targets=False).soft_targets.sources[1].detach
    assert not arguments(tmp_path, beta=0.0, kl_reading="forward").soft_targets.sources


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ["taste"]}, r"Unknown `targets` \['taste'\]"),
        ({"targets": ["tags", "tags"]}, "twice"),
        ({"targets": ["tags", "local_features", "functionals"]}, "`target_weights`"),
        ({"target_weights": [0.5, 0.6]}, "sum to one"),
        ({"audio_temperature": 0.0}, "local_features must be positive"),
        ({"targets": ["labels"]}, "kl_reading='forward'"),
        ({"loss_tile": 0}, "`loss_tile`"),
        ({"dataloader_persistent_workers": True, "dataloader_num_workers": 1}, "persistent_workers=False"),
        ({"train_sampling_strategy": "group_by_length"}, "not supported"),
    ],
)
def test_wrong_settings_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        arguments(tmp_path, **changes)


def test_processes_that_would_train_apart_are_refused(tmp_path, monkeypatch):
    # What a launcher leaves on a machine without an accelerator; the real thing would wait for the other process.
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(TrainingArguments, "__post_init__", lambda self: None)
    monkeypatch.setattr(TrainingArguments, "world_size", 1)
    with pytest.raises(ValueError, match="2 "):
        SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
