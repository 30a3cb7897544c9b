"""The settings of a training run: what a file and a command line become, and what is refused."""

import re

import pytest
import yaml

from smoothclap_trainer.config import SettingsError, read_yaml
from smoothclap_trainer.settings import DataSettings, LoraSettings, ModelSettings, TrainingRun, argument_settings


NEW = {"audio_encoder": "a", "text_encoder": "t"}
LEAST = {**NEW, "dataset": "clips.csv", "output_dir": "out", "use_cpu": True, "report_to": "none"}


def config(folder, **said):
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(LEAST | said))
    return file


def faulty(**said):
    """The names of the settings that are refused."""
    with pytest.raises(SettingsError) as caught:
        TrainingRun.from_mapping(LEAST | said)
    return {re.split(r"[.[]", path)[0] for path, _ in caught.value.faults}


def test_the_command_line_takes_precedence(tmp_path):
    overrides = ["--seed", "3", "--targets", "[labels, tags]", "--output_dir", "elsewhere", "--columns", "{emotion: E}"]
    run = read_yaml(config(tmp_path, seed=1, lora_rank=4, lora_towers="audio"), TrainingRun, overrides)
    assert (run.model.audio_encoder, run.data.dataset, run.lora.lora_rank) == ("a", ["clips.csv"], 4)
    assert (run.arguments.seed, run.arguments.targets) == (3, ["labels", "tags"])
    assert (run.arguments.output_dir, run.data.columns) == ("elsewhere", {"emotion": "E"})
    assert (run.said["seed"], run.said["dataset"]) == (3, "clips.csv")


BAD_VALUES = {
    "model": ["", ["a"]], "audio_encoder": [" ", 3], "text_encoder": ["", 3],
    "projection_dim": [0, 1.5, None, True], "projection_dropout": [1, -0.1, "half"],
    "text_pooling": ["max", 1], "max_frequency": [0, 4000.5], "storage_dtype": ["int8"],
    "dataset": [[], "", [3]], "columns": ["emotion", [{"emotion": 1}], [{}, {}]], "audio_root": [""],
    "leave_out": ["", [3], ["tess", "tess"]],
    "bad_clips": ["ignore"], "captions": ["rhymed"], "caption_groups": ["mood", ["pitch", "mood"]],
    "max_phrases": [0, -1, 1.5], "always_emotion": [1, "maybe"], "thresholds_by_corpus": [1, "corpus"],
    "name_conditions": [1, "maybe"],
    "languages": ["fr", [], ["en", 3]], "label_wordings": [{"happy": ""}, {"happy": 1}],
    "licences": ["mit", {"queen": ""}, {"queen": 1}, {"queen": "mitt"}],
    "crop_seconds": [-1, 0, "5s", float("nan")], "crops_per_clip": [0, 1.5],
    "acoustic_conditions": ["rain", ["codec", "codec"], ["clean", "noise10db"]],
    "local_feature_encoder": [""], "cache_audio_tower": ["maybe", True], "cache_dir": ["", 3],
    "max_train_clips": [0, -1], "preparation_workers": [0, -1], "report_attributes": [1],
    "functionals_rate": [0, 7999, 10**6, 16000.5],
    "lora_towers": ["speech", ["audio", "audio"]], "lora_rank": [0], "lora_alpha": [-1],
    "lora_dropout": [1.0, -0.5], "lora_target_modules": ["", [3]], "lora_save": ["both"],
}  # fmt: skip


@pytest.mark.parametrize("part", [ModelSettings, DataSettings, LoraSettings])
def test_each_field_refuses_bad_values(part):
    for name in part.model_fields:
        for value in BAD_VALUES[name]:
            assert faulty(**{name: value}) == {name}, (name, value)


def test_the_offending_value_is_named():
    for name, value in {"projection_dim": 0, "bad_clips": "ignore", "beta": 1.5, "targets": "tag"}.items():
        with pytest.raises(ValueError, match=re.escape(repr(value))):
            TrainingRun.from_mapping(LEAST | {name: value})


RATES = ["learning_rate", "text_learning_rate", "audio_learning_rate"]
COUNTS = [
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "save_total_limit",
    "eval_accumulation_steps", "loss_tile", "early_stopping_patience", "dataloader_prefetch_factor", "ddp_timeout",
    "torch_empty_cache_steps", "ddp_bucket_cap_mb", "max_steps",
]  # fmt: skip
TEMPERATURES = ["audio_temperature", "tag_temperature", "functionals_temperature"]
BAD_ARGUMENTS = {
    **dict.fromkeys([*RATES, *TEMPERATURES, "num_train_epochs", "neftune_noise_alpha"], (0, -1e-5, float("nan"))),
    **dict.fromkeys(["logging_steps", "save_steps", "eval_steps"], (0, -1, "often")),
    **dict.fromkeys(["weight_decay", "warmup_steps", "max_grad_norm", "adam_epsilon", "eval_delay"], (-1,)),
    **dict.fromkeys(["adam_beta1", "adam_beta2", "label_smoothing_factor"], (1, 1.5, -0.1)),
    **dict.fromkeys(["beta", "gamma"], (2, -0.1, "text")),
    **dict.fromkeys(COUNTS, (0, -2, 2.5, "abc")),
    **dict.fromkeys(["seed", "data_seed"], (-1, 2**32, 1.5)),
    "dataloader_num_workers": [-1], "local_rank": [-2], "output_dir": ["", 3], "bf16": [1, "maybe"],
    "lr_scheduler_type": ["linaer"], "optim": ["adam"], "eval_strategy": ["never"], "hub_strategy": ["all"],
    "logging_strategy": ["epochs"], "save_strategy": ["never"], "log_level": ["loud"], "kl_reading": ["backward"],
    "targets": ["tag", ["tags", "tags"], [3]], "target_weights": [[-0.1, 1.1], ["a"]],
    "train_sampling_strategy": ["shuffled"], "ddp_backend": ["mpl"], "resume_from_checkpoint": [3, ""],
}  # fmt: skip


def test_training_arguments_refuse_bad_values():
    for name, values in BAD_ARGUMENTS.items():
        for value in values:
            assert faulty(**{name: value}) == {name}, (name, value)


def test_every_argument_has_a_type_that_yaml_can_break():
    fields = argument_settings().model_fields
    assert BAD_ARGUMENTS.keys() <= fields.keys()
    anything = {"parallelism_config"}
    for name in fields.keys() - anything:
        assert faulty(**{name: [[[]]]}) == {name}, name


def test_what_the_arguments_refuse_together_is_told():
    with pytest.raises(ValueError, match="eval_strategy"):
        TrainingRun.from_mapping(LEAST | {"early_stopping_patience": 2})
    with pytest.raises(ValueError, match="target_weights"):
        TrainingRun.from_mapping(LEAST | {"targets": ["tags", "labels", "functionals"]})


def test_all_faults_come_at_once(tmp_path):
    overrides = ["--sead", "3", "--projection_dim", "0", "--captions", "rhymed", "--lora_rank", "0", "--seed", "abc"]
    with pytest.raises(ValueError) as caught:
        read_yaml(config(tmp_path), TrainingRun, overrides)
    for part in ("`sead`", "'seed'", "`projection_dim`", "`captions`", "'rhymed'", "`lora_rank`", "`seed`", "'abc'"):
        assert part in str(caught.value)
    assert len(str(caught.value).splitlines()) == 6


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({}, {"model"}),
        ({"audio_encoder": "a"}, {"text_encoder"}),
        ({"model": "m", "text_encoder": "t"}, {"text_encoder"}),
        ({"model": "m", **NEW}, set(NEW)),
    ],
)
def test_a_model_starts_from_a_checkpoint_or_from_two_encoders(said, names):
    with pytest.raises(SettingsError) as caught:
        ModelSettings(**said)
    assert {name for name, _ in caught.value.faults} == names


def test_crops_known_beforehand_can_be_cached():
    DataSettings(dataset=["d"], cache_audio_tower=True, crop_seconds=None)
    DataSettings(dataset=["d"], cache_audio_tower=True, crops_per_clip=4)
    assert faulty(cache_audio_tower=True, crops_per_clip=4, acoustic_conditions="codec") == {"acoustic_conditions"}
    assert faulty(acoustic_conditions=["codec"], crop_seconds=0.05) == {"crop_seconds"}


def test_floats_without_a_point_are_numbers(tmp_path):
    file = config(tmp_path)
    file.write_text(file.read_text() + "learning_rate: 1e-5\nweight_decay: 2E-2\n")
    overrides = ["--text_learning_rate", "2e-4", "--num_train_epochs", "1E1", "--target_weights", "[5e-1, 0.5]"]
    run = read_yaml(file, TrainingRun, overrides)
    arguments = run.arguments
    assert (arguments.learning_rate, arguments.text_learning_rate, arguments.weight_decay) == (1e-5, 2e-4, 0.02)
    assert (arguments.num_train_epochs, arguments.target_weights) == (10.0, [0.5, 0.5])
    assert run.said["learning_rate"] == 1e-5


def test_a_mistyped_tower_is_answered_with_both():
    with pytest.raises(ValueError, match=r"'both'.*not 'tex'"):
        LoraSettings.from_mapping({"lora_towers": "tex"})
    assert LoraSettings.from_mapping({"lora_towers": ["both"]}).lora_towers == ["audio", "text"]


def test_one_value_is_a_list_of_one(tmp_path):
    overrides = ["--languages", "de", "--targets", "tags", "--caption_groups", "emotion", "--lora_towers", "audio"]
    run = read_yaml(config(tmp_path), TrainingRun, overrides)
    assert (run.data.languages, run.data.caption_groups) == (["de"], ["emotion"])
    assert (run.arguments.targets, run.lora.lora_towers) == (["tags"], ["audio"])
    one = DataSettings(dataset="d", languages="de", acoustic_conditions="telephone")
    assert (one.languages, one.acoustic_conditions) == (["de"], ["telephone"])


def test_text_stays_as_it_is_written(tmp_path):
    overrides = ["--run_name", "007", "--save_strategy", "no", "--dataset", "[1e5, 2024-05-01]"]
    run = read_yaml(config(tmp_path), TrainingRun, overrides)
    assert (run.arguments.run_name, run.arguments.save_strategy) == ("007", "no")
    assert run.data.dataset == ["1e5", "2024-05-01"]
    assert (run.said["run_name"], run.said["save_strategy"]) == ("007", "no")


@pytest.mark.parametrize(
    ("written", "value"), [("true", True), ("yes", True), ("false", False), ("out/c-1", "out/c-1")]
)
def test_resuming_takes_true_or_a_folder(tmp_path, written, value):
    run = read_yaml(config(tmp_path), TrainingRun, ["--resume_from_checkpoint", written])
    assert run.arguments.resume_from_checkpoint == value


def test_whole_numbers_stay_whole():
    run = TrainingRun.from_mapping(LEAST | {"num_train_epochs": 10, "crop_seconds": 3})
    assert repr((run.arguments.num_train_epochs, run.data.crop_seconds)) == "(10, 3)"


def test_manifests_may_share_column_names_or_have_their_own(tmp_path):
    shared = DataSettings(dataset=["a", "b"], columns={"emotion": "E"})
    assert shared.column_maps == [{"emotion": "E"}, {"emotion": "E"}]
    assert DataSettings(dataset=["a", "b"]).column_maps == [{}, {}]
    overrides = ["--dataset", "[a, b]", "--columns", "[{emotion: 1}, {}]"]
    assert read_yaml(config(tmp_path), TrainingRun, overrides).data.column_maps == [{"emotion": "1"}, {}]


CHECKPOINT = {"model": "m", "audio_encoder": None, "text_encoder": None}
INFONCE = {"beta": 0, "kl_reading": "forward"}
SOFT = ["target_weights", "gamma", "audio_temperature", "tag_temperature", "functionals_temperature", "detach_targets"]
SOFT.append("local_feature_encoder")
RATES_OF_TOWERS = {"audio_learning_rate": 1e-4, "text_learning_rate": 1e-4}
FROZEN = {"freeze_audio_tower": True, "freeze_text_tower": True}
DRAWN = {"max_phrases": 2, "always_emotion": False}
EVALUATED = {"eval_strategy": "epoch", "save_strategy": "epoch"}


@pytest.mark.parametrize(
    ("said", "ignored"),
    [
        ({"gamma": 0.3}, []),
        ({"gamma": 0.3, "target_weights": [0.5, 0.5]}, ["gamma"]),
        ({"gamma": 0.3, "targets": "tags"}, ["gamma"]),
        ({"gamma": 0.3, "targets": ["tags"], "target_weights": [1.0]}, ["gamma"]),
        (
            {**INFONCE, "targets": "tags", "gamma": 0.3, "target_weights": [1.0], "detach_targets": False}
            | dict.fromkeys(SOFT[2:5], 0.1)
            | {"local_feature_encoder": "e"},
            ["targets", *SOFT],
        ),
        ({**INFONCE, "targets": [], "target_weights": None}, []),
        ({"projection_dim": 8, "projection_dropout": 0.0, "text_pooling": "mean", "max_frequency": 8000}, []),
        (
            {
                **CHECKPOINT,
                "projection_dim": 8,
                "projection_dropout": 0.0,
                "text_pooling": "cls",
                "max_frequency": 8000,
            },
            ["projection_dim", "projection_dropout", "text_pooling", "max_frequency"],
        ),
        ({"caption_groups": "pitch", "languages": "de"}, []),
        (
            {"captions": "given", "caption_groups": "pitch", "languages": "de", "max_phrases": 5},
            ["caption_groups", "languages", "max_phrases"],
        ),
        ({"max_phrases": 2, "always_emotion": False, "thresholds_by_corpus": True}, []),
        ({"captions": "full", **DRAWN, "thresholds_by_corpus": True}, list(DRAWN)),
        ({"captions": "given", "always_emotion": True, "thresholds_by_corpus": True}, ["always_emotion"]),
        ({"captions": "given", **INFONCE, "thresholds_by_corpus": True}, ["thresholds_by_corpus"]),
        ({"captions": "given", "targets": "functionals", "thresholds_by_corpus": True}, ["thresholds_by_corpus"]),
        ({"caption_groups": ["pitch", "rate"], **DRAWN}, ["always_emotion"]),
        ({"caption_groups": ["pitch", "emotion"], **DRAWN}, []),
        ({"lora_towers": "text", "lora_rank": 4, "lora_save": "adapter"}, []),
        ({"lora_towers": "both", "lora_rank": 4}, []),
        ({"lora_rank": 4, "lora_save": "adapter"}, ["lora_rank", "lora_save"]),
        ({"acoustic_conditions": "clean"}, ["acoustic_conditions"]),
        ({"name_conditions": True}, []),  # the rows may have conditions
        ({"name_conditions": True, "acoustic_conditions": ["clean", "codec"]}, []),
        ({"name_conditions": True, "acoustic_conditions": "codec", "captions": "given"}, ["name_conditions"]),
        ({"name_conditions": True, "acoustic_conditions": "codec", "captions": "full"}, ["name_conditions"]),
        ({"name_conditions": True, "acoustic_conditions": "clean"}, ["acoustic_conditions"]),
        ({"acoustic_conditions": ["clean", "codec"], "crop_seconds": 0.06}, []),
        ({"acoustic_conditions": [], "cache_audio_tower": True, "crops_per_clip": 4}, []),
        ({"crops_per_clip": 4}, []),
        ({"local_feature_encoder": "e", "audio_temperature": 0.1, "tag_temperature": 0.1, "detach_targets": True}, []),
        (
            {"targets": "tags", "local_feature_encoder": "e", "audio_temperature": 0.1, "functionals_temperature": 0.1},
            ["audio_temperature", "functionals_temperature", "local_feature_encoder"],
        ),
        (
            {"targets": "local_features", "tag_temperature": 0.1, "detach_targets": False},
            ["tag_temperature", "detach_targets"],
        ),
        ({"gamma": 0, "tag_temperature": 0.1}, ["tag_temperature"]),  # its weight is 0
        ({"freeze_audio_tower": False, **RATES_OF_TOWERS}, []),
        (RATES_OF_TOWERS, ["audio_learning_rate"]),
        ({**FROZEN, **RATES_OF_TOWERS, "detach_targets": False}, [*RATES_OF_TOWERS, "detach_targets"]),
        ({"freeze_text_tower": True, "lora_towers": ["audio", "text"], **RATES_OF_TOWERS}, ["freeze_text_tower"]),
        ({"freeze_text_tower": True, "lora_towers": "audio", "audio_learning_rate": 1e-4}, []),
        ({"gradient_cache": True}, ["gradient_cache"]),
        ({"gradient_cache": True, "gradient_accumulation_steps": 2}, []),
        ({"eval_steps": 2, "save_strategy": "no", "save_steps": 2}, ["eval_steps", "save_steps"]),
        ({"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "logging_steps": 2}, []),
        ({"logging_strategy": "epoch", "logging_steps": 2}, ["logging_steps"]),
        ({"logging_strategy": "epoch", "logging_steps": 2, "eval_strategy": "steps"}, []),  # evaluates so often
        ({"metric_for_best_model": "uar", "greater_is_better": True}, ["metric_for_best_model", "greater_is_better"]),
        ({**EVALUATED, "metric_for_best_model": "uar", "greater_is_better": True}, []),
        ({**EVALUATED, "greater_is_better": True}, ["greater_is_better"]),
        ({"warmup_steps": 10}, ["warmup_steps"]),
        ({"warmup_steps": 0}, []),
        ({"warmup_steps": 10, "lr_scheduler_type": "cosine"}, []),
        ({"lr_scheduler_kwargs": {"a": 1}}, ["lr_scheduler_kwargs"]),
        ({"optim": "sgd", "adam_beta1": 0.5, "adam_epsilon": 1e-6}, ["adam_beta1", "adam_epsilon"]),
        ({"hub_strategy": "end", "hub_model_id": "u/m"}, ["hub_strategy"]),
        ({"trackio_space_id": "u/s"}, ["trackio_space_id"]),
        ({"gradient_checkpointing_kwargs": {"use_reentrant": False}}, ["gradient_checkpointing_kwargs"]),
        ({"crops_per_clip": 4, "crop_seconds": None}, ["crops_per_clip"]),
    ],
)
def test_a_setting_without_effect_is_refused(tmp_path, said, ignored):
    file = config(tmp_path, **said)
    if not ignored:
        assert read_yaml(file, TrainingRun).said == LEAST | said
        return
    with pytest.raises(SettingsError) as caught:
        TrainingRun.from_mapping(LEAST | said)
    assert {name for name, _ in caught.value.faults} == set(ignored)
    with pytest.raises(ValueError, match=f"`{ignored[0]}`"):
        read_yaml(file, TrainingRun)
    unsaid = [word for name in ignored for word in (f"--{name}", "[]" if isinstance(said[name], list) else "null")]
    assert read_yaml(file, TrainingRun, unsaid)
