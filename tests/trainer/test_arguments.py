import dataclasses
import inspect
import math

import pytest
import torch
from peft import LoraConfig
from transformers import BertModel, HfArgumentParser, Trainer, TrainingArguments
from transformers.utils import is_bitsandbytes_available

from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from smoothclap_trainer.rules import REFUSED
from smoothclap_trainer.settings import TrainingRun
from tests import tiny
from tests.trainer import rows


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
    with pytest.raises(ValueError, match=r"`remove_unused_columns`.*True"):
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
        ({"targets": ["taste"]}, "`targets.*'taste'"),
        ({"targets": ["tags", "tags"]}, "'tags'"),
        ({"targets": ["tags", "local_features", "functionals"]}, "`target_weights`"),
        ({"target_weights": [0.5, 0.6]}, "sum to one"),
        ({"audio_temperature": 0.0}, "`audio_temperature`.*0.0"),
        ({"targets": ["labels"]}, "kl_reading='forward'"),
        ({"targets": []}, "beta=0 and kl_reading='forward'"),
        ({"loss_tile": 0}, "`loss_tile`"),
        ({"dataloader_persistent_workers": True, "dataloader_num_workers": 1}, "`dataloader_persistent_workers`"),
        ({"train_sampling_strategy": "group_by_length"}, "'group_by_length'"),
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


NO_NUMBERS = [
    {"learning_rate": float("nan")},
    {"audio_temperature": float("nan")},
    {"tag_temperature": 1e-45},
    {"functionals_temperature": float("inf")},
    {"target_weights": [float("nan"), 0.5]},
    {"gradient_accumulation_steps": -1},
    {"weight_decay": float("inf")},
    {"beta": float("nan")},
]


@pytest.mark.parametrize("said", NO_NUMBERS, ids=str)
def test_numbers_that_make_no_sense_are_refused_in_python_too(tmp_path, said):
    ((name, value),) = said.items()
    with pytest.raises(ValueError, match=f"`{name}.*{str(value).strip('[]').split(',')[0]}"):
        arguments(tmp_path, **said)


def test_arguments_that_would_do_nothing_are_refused_all_at_once(tmp_path):
    with pytest.raises(ValueError, match="`label_smoothing_factor`") as caught:
        arguments(tmp_path, label_smoothing_factor=0.1, enable_jit_checkpoint=True, do_train=True)
    assert "`enable_jit_checkpoint`" in str(caught.value) and "`do_train`" in str(caught.value)
    with pytest.raises(ValueError, match="split"):
        arguments(tmp_path, accelerator_config={"split_batches": True})


def test_the_help_says_what_the_papers_norm_is():
    norm = SmoothCLAPTrainingArguments.__dataclass_fields__["max_grad_norm"]
    assert norm.default == 1.0 and "0" in norm.metadata["help"]


WORKS = (
    "output_dir per_device_train_batch_size num_train_epochs max_steps learning_rate lr_scheduler_type "
    "lr_scheduler_kwargs warmup_steps optim optim_args weight_decay adam_beta1 adam_beta2 adam_epsilon "
    "optim_target_modules gradient_accumulation_steps max_grad_norm bf16 fp16 bf16_full_eval fp16_full_eval tf32 "
    "activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs "
    "torch_compile torch_compile_backend torch_compile_mode liger_kernel_config neftune_noise_alpha "
    "torch_empty_cache_steps auto_find_batch_size logging_strategy logging_steps logging_first_step "
    "log_on_each_node log_level log_level_replica disable_tqdm report_to run_name project "
    "trackio_space_id trackio_bucket_id trackio_static_space_id eval_strategy eval_steps eval_delay "
    "per_device_eval_batch_size prediction_loss_only eval_on_start eval_use_gather_object eval_accumulation_steps "
    "include_for_metrics save_only_model save_strategy save_steps save_on_each_node save_total_limit push_to_hub "
    "hub_token hub_private_repo hub_model_id hub_strategy hub_revision load_best_model_at_end metric_for_best_model "
    "greater_is_better ignore_data_skip restore_callback_states_from_checkpoint full_determinism seed data_seed "
    "use_cpu accelerator_config parallelism_config dataloader_drop_last dataloader_num_workers "
    "dataloader_pin_memory dataloader_prefetch_factor ddp_find_unused_parameters ddp_bucket_cap_mb "
    "ddp_broadcast_buffers ddp_static_graph ddp_backend ddp_timeout fsdp fsdp_config deepspeed "
    "skip_memory_metrics resume_from_checkpoint local_rank do_eval"
)
"""Arguments of Transformers that do here what they do there; all others are in `REFUSED`."""
OF_TRAINER = (
    "model args data_collator train_dataset eval_dataset processing_class model_init compute_loss_func "
    "compute_metrics callbacks optimizers optimizer_cls_and_kwargs preprocess_logits_for_metrics"
)


def test_every_argument_of_transformers_is_known_to_work_or_refused():
    """A new release may bring one that nobody has looked at."""
    there = {each.name for each in dataclasses.fields(TrainingArguments) if each.init}
    assert there <= {*WORKS.split(), *REFUSED} and not set(WORKS.split()) & REFUSED.keys()
    assert set(inspect.signature(Trainer.__init__).parameters) - {"self"} <= set(OF_TRAINER.split())


@pytest.mark.parametrize("name", REFUSED)
def test_refused_arguments_name_the_reason(tmp_path, name):
    field = SmoothCLAPTrainingArguments.__dataclass_fields__[name]
    other = {bool: not field.default, float: 0.1}.get(type(field.default), "other")
    with pytest.raises(ValueError, match=f"`{name}`.*{other}"):
        arguments(tmp_path, **{name: other})


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"compute_loss_func": lambda *_: 0}, "compute_loss_func"),
        ({"optimizer_cls_and_kwargs": (torch.optim.SGD, {"lr": 0.5})}, "0.5"),
    ],
)
def test_options_of_trainer_that_would_do_nothing_are_refused(tmp_path, option, named):
    with pytest.raises(ValueError, match=named):
        SmoothCLAPTrainer(None, arguments(tmp_path), list, **option)


@pytest.mark.parametrize(
    "said",
    [
        {"gamma": 0.3, "target_weights": [0.5, 0.5]},
        {"gradient_cache": True},
        {"save_total_limit": 2, "save_strategy": "no"},
        {"adam_beta1": 0.5, "optim": "sgd"},
        {"optim_args": "momentum=0.9"},
        {"optim_target_modules": ["query"]},
        {"fp16": True},
        {"hub_strategy": "end"},
        {"activation_checkpointing_kwargs": {"use_reentrant": False}},
        {"metric_for_best_model": "uar"},
        {"do_eval": True},
    ],
    ids=str,
)
def test_combinations_without_effect_are_refused_in_python_too(tmp_path, said):
    with pytest.raises(ValueError, match=f"`{next(iter(said))}`"):
        arguments(tmp_path, **said)


def test_a_copy_of_arguments_is_accepted(tmp_path):
    """Transformers changes values of its own: `do_eval`, `eval_steps`, `debug`, `greater_is_better`."""
    made = arguments(tmp_path, eval_strategy="steps", load_best_model_at_end=True, gradient_checkpointing=True)
    assert dataclasses.replace(made, beta=0.7).beta == 0.7


def trainer(folder, said, clips=4, evaluated=False, **options):
    """A trainer of one step over a few clips."""
    settings = {
        "max_steps": 1,
        "per_device_train_batch_size": clips,
        "save_strategy": "no",
        "disable_tqdm": True,
    } | said
    data = rows.dataset(folder / "audio", count=clips)
    model = tiny.model(text_config=tiny.text_config(max_position_embeddings=256))
    validation = data if evaluated else None
    return SmoothCLAPTrainer(model, arguments(folder, **settings), rows.collator(data), data, validation, **options)


def test_what_is_trained_decides_which_rates_count(tmp_path):
    for said in ({"audio_learning_rate": 1.0}, {"freeze_text_tower": True, "detach_targets": False}):
        with pytest.raises(ValueError, match=f"`{[*said][-1]}`"):
            trainer(tmp_path, said)
    assert trainer(tmp_path, {"audio_learning_rate": 1.0}, peft_config=LoraConfig(r=2))
    with pytest.raises(ValueError, match="`freeze_text_tower`"):
        trainer(tmp_path, {"freeze_text_tower": True}, peft_config=LoraConfig(r=2))


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"lr_scheduler_type": "warmup_stable_decay"}, "num_decay_steps"),
        ({"lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"half_life": 3}}, "half_life"),
        ({"optim": "sgd", "optim_args": "momentum=much"}, "much"),
        ({"hub_strategy": "all_checkpoints", "push_to_hub": True}, "all_checkpoints"),
        ({"accelerator_config": {"even_batches": False}}, "even_batches"),
        ({"report_to": "tensorbord"}, "tensorbord"),
        ({"freeze_audio_tower": "no"}, "'no'"),
        ({"log_level": "loud"}, "'loud'"),
        ({"include_for_metrics": ["labels"]}, "'labels'"),
    ],
    ids=str,
)
def test_what_would_fail_when_training_starts_fails_at_once(tmp_path, said, named):
    with pytest.raises(ValueError, match=named):
        arguments(tmp_path, **said)


def test_missing_loggers_and_optimisers_are_named_before_anything_is_prepared(tmp_path, monkeypatch):
    monkeypatch.setattr("smoothclap_trainer.arguments.get_available_reporting_integrations", list)
    with pytest.raises(ImportError, match=r"tensorboard.*smoothclap\[logging\]"):
        arguments(tmp_path, report_to=["tensorboard"])
    with pytest.raises(ImportError, match="wandb"):
        TrainingRun.from_mapping(
            {"model": "m", "dataset": "d", "output_dir": "o", "use_cpu": True, "report_to": "wandb"}
        )
    if not is_bitsandbytes_available():
        with pytest.raises(ImportError, match="bitsandbytes"):
            arguments(tmp_path, optim="lion_32bit")


def test_short_runs_have_points_in_their_log(tmp_path):
    short = trainer(tmp_path, {"max_steps": 3})
    short.train()
    assert [entry["step"] for entry in short.state.log_history if "loss" in entry] == [1, 2, 3]
    assert arguments(tmp_path, eval_strategy="steps").eval_steps == 500
    assert arguments(tmp_path, eval_strategy="steps", logging_steps=10).eval_steps == 10


def test_settings_that_an_optimizer_of_ones_own_replaces_are_refused(tmp_path):
    mine = (torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), None)
    with pytest.raises(ValueError, match="`text_learning_rate`"):
        trainer(tmp_path, {"text_learning_rate": 0.1}, optimizers=mine)
    assert trainer(tmp_path, {}, optimizers=mine)


def test_other_arguments_models_and_settings_of_data_are_refused(tmp_path):
    with pytest.raises(ValueError, match="TrainingArguments"):
        SmoothCLAPTrainer(tiny.model(), TrainingArguments(str(tmp_path), use_cpu=True))
    with pytest.raises(ValueError, match=r"BertModel.*audio_model"):
        SmoothCLAPTrainer(BertModel(tiny.text_config()), arguments(tmp_path))
    data, processor = rows.dataset(tmp_path / "audio", count=4), tiny.processor()
    with pytest.raises(ValueError, match="type int"):
        SmoothCLAPTrainer(tiny.model(), arguments(tmp_path), None, data, processing_class=processor, data=3)
    with pytest.raises(ValueError, match="peft_config"):
        SmoothCLAPTrainer(None, arguments(tmp_path), peft_config=LoraConfig(r=2))


WORK_IN_ONE_STEP = [
    {"neftune_noise_alpha": 5.0},
    {"gradient_checkpointing": True, "freeze_audio_tower": False},
    {"auto_find_batch_size": True},
    {"eval_use_gather_object": True},
    {"eval_accumulation_steps": 1},
    {"prediction_loss_only": True},
    {"torch_empty_cache_steps": 1},
    {"full_determinism": True},
    {"eval_on_start": True},
    {"optim": "adafactor"},
    {"bf16": True},
    {"lr_scheduler_type": "greedy", "eval_strategy": "epoch"},
]


@pytest.mark.parametrize("said", WORK_IN_ONE_STEP, ids=str)
def test_arguments_that_are_said_to_work_do(tmp_path, said):
    the_trainer = trainer(tmp_path, said, evaluated=True)
    the_trainer.train()
    assert math.isfinite(the_trainer.evaluate()["eval_loss"])


def test_a_batch_that_does_not_fit_is_made_smaller(tmp_path, monkeypatch):
    sizes = []

    def step(self, model, inputs, count=None):
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 7:
            raise RuntimeError("CUDA out of memory.")
        return torch.zeros(())

    monkeypatch.setattr(Trainer, "training_step", step)
    trainer(tmp_path, {"auto_find_batch_size": True}, clips=8).train()
    assert sizes[0] == 8 and sizes[-1] < 8
