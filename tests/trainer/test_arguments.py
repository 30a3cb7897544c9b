import pytest
from transformers import HfArgumentParser

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
