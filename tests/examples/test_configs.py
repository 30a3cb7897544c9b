"""The configuration files: all can be read, and the paper's says what the documentation says of it."""

import re
from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from transformers import BertConfig, Wav2Vec2Config

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPModel
from smoothclap_trainer import SmoothCLAPTrainingArguments
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.data.captions.labels import category
from smoothclap_trainer.evaluation.tasks import OwnTask
from smoothclap_trainer.settings import TrainingRun
from tests import tiny


EXAMPLES = Path(__file__).parents[2] / "examples"
OTHERS = ("own_task", "clep_dg")
"""What the files that are not for training begin with."""
RECIPES = sorted(path for path in (EXAMPLES / "configs").glob("*.yaml") if not path.stem.startswith(OTHERS))
LAUNCH_FILES = sorted((EXAMPLES / "accelerate_configs").glob("*.yaml"))


def settings(name: str, tmp_path: Path) -> TrainingRun:
    overrides = ["--output_dir", str(tmp_path / "out"), "--use_cpu", "true"]
    return read_yaml(EXAMPLES / "configs" / f"{name}.yaml", TrainingRun, overrides)


def launched(name: str) -> object:
    """What `accelerate launch` makes of a file, before it starts anything."""
    file = EXAMPLES / "accelerate_configs" / f"{name}.yaml"
    return _validate_launch_command(launch_command_parser().parse_args(["--config_file", str(file), "script.py"]))[0]


def test_the_files_are_there():
    assert {"clep", "demo", "paper", "smoothclap-tiny"} <= {path.stem for path in RECIPES}
    assert {path.stem for path in LAUNCH_FILES} == {"fsdp", "one_machine_cpu", "several_gpus", "several_nodes"}


@pytest.mark.parametrize("file", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_read(file, tmp_path):
    said = read_yaml(file, TrainingRun, ["--output_dir", str(tmp_path)]).said
    assert said.items() >= (yaml.safe_load(file.read_text()) | {"output_dir": str(tmp_path)}).items()


@pytest.mark.parametrize("file", sorted((EXAMPLES / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_other_files_are_read(file):
    if file not in RECIPES:
        read_yaml(file, OwnTask if file.stem.startswith("own_task") else ExperimentSettings)


def test_objective_of_the_paper(tmp_path):
    arguments = settings("paper", tmp_path).arguments
    temperature = {"temperature": 0.07, "weight": 0.5}
    described = arguments.soft_targets.describe()
    assert described["beta"] == 0.1
    local, tags = ({name: source[name] for name in source if name != "provenance"} for source in described["sources"])
    assert local == {"source": "local_features", **temperature}
    assert tags == {"source": "tags", "detach": True, **temperature}
    assert (arguments.kl_reading, arguments.loss_tile, arguments.gradient_cache) == ("symmetric", None, False)


def test_paper_says_our_defaults_aloud(tmp_path):
    """What a reader of paper.yaml sees is also what a run without any settings does."""
    defaults = SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    run = settings("paper", tmp_path)
    data, arguments = run.data, run.arguments
    assert arguments.soft_targets == defaults.soft_targets
    for name in ("kl_reading", "learning_rate", "text_learning_rate", "num_train_epochs", "lr_scheduler_type"):
        assert getattr(arguments, name) == getattr(defaults, name), name
    assert arguments.per_device_train_batch_size == defaults.per_device_train_batch_size == 32
    assert (data.crop_seconds, data.crops_per_clip, data.captions) == (5.0, None, "sampled")


def test_optimiser_of_the_paper_is_adam(tmp_path):
    run = settings("paper", tmp_path)
    model, arguments = run.model, run.arguments
    assert (arguments.optim, arguments.weight_decay, arguments.max_grad_norm) == ("adamw_torch", 0.0, 0)
    assert (arguments.adam_beta1, arguments.adam_beta2, arguments.adam_epsilon) == (0.9, 0.999, 1e-8)
    assert (arguments.learning_rate, arguments.text_learning_rate, arguments.warmup_steps) == (1e-3, 1e-5, 0)
    assert (model.projection_dim, model.projection_dropout, arguments.freeze_audio_tower) == (768, 0.5, True)


def test_every_line_of_the_paper_says_where_it_comes_from():
    text = (EXAMPLES / "configs" / "paper.yaml").read_text().split("# What follows is ours")[0]
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.search(r" # [SPIO](: .+)?$", line)] == []


def test_clep_is_infonce_and_asks_for_known_labels(tmp_path):
    run = settings("clep", tmp_path)
    data, arguments = run.data, run.arguments
    assert arguments.soft_targets.describe() == {"beta": 0.0, "sources": []}
    assert (arguments.kl_reading, arguments.freeze_audio_tower) == ("forward", False)
    assert all(category(label, "emotion") == label for label in data.label_wordings)
    overrides = ["--output_dir", str(tmp_path), "--beta", "1.0", "--targets", "[labels]"]
    by_label = read_yaml(EXAMPLES / "configs" / "clep.yaml", TrainingRun, overrides).arguments
    assert [source.name for source in by_label.soft_targets.sources] == ["labels"]


def test_demo_selects_by_validation_and_fits_a_small_machine(tmp_path):
    run = settings("demo", tmp_path)
    model, data, arguments = run.model, run.data, run.arguments
    assert (EXAMPLES.parent / str(model.model) / "config.json").is_file()
    assert (data.cache_audio_tower, data.crop_seconds, arguments.use_cpu) == (True, None, True)
    assert (arguments.eval_strategy, arguments.load_best_model_at_end) == ("epoch", True)
    assert (arguments.metric_for_best_model, arguments.greater_is_better) == ("loss", False)


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda path: path.stem)
def test_accelerate_understands_the_launch_file(file):
    arguments = launched(file.stem)
    assert arguments.num_processes > 1
    assert arguments.multi_gpu != arguments.use_fsdp  # either starts several processes; without both there is one
    assert arguments.mixed_precision == ("no" if file.stem == "one_machine_cpu" else "bf16")
    assert arguments.use_cpu == (file.stem == "one_machine_cpu")


def test_launch_file_of_several_nodes():
    arguments = launched("several_nodes")
    assert (arguments.num_machines, arguments.num_processes, arguments.main_process_port) == (2, 16, 29500)


def test_fsdp_wraps_layers_that_the_papers_model_has():
    arguments = launched("fsdp")
    assert (arguments.fsdp_version, arguments.fsdp_state_dict_type) == (2, "FULL_STATE_DICT")
    audio = Wav2Vec2Config(**tiny.audio_config().to_diff_dict() | {"do_stable_layer_norm": True})
    text = BertConfig(**tiny.text_config().to_diff_dict())
    model = SmoothCLAPModel(SmoothCLAPConfig(audio_config=audio, text_config=text, projection_dim=16))
    classes = {type(module).__name__ for module in model.modules()}
    assert set(arguments.fsdp_transformer_layer_cls_to_wrap.split(",")) <= classes
