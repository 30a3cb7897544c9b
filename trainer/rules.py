"""Settings without effect: what Transformers' arguments cannot do here, and what one setting rules out of another."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from transformers import SchedulerType
from transformers.training_args import OptimizerNames

from .config import SettingsError


if TYPE_CHECKING:
    from .arguments import SmoothCLAPTrainingArguments
    from .settings import DataSettings, LoraSettings, ModelSettings


TOWERS = ("audio", "text")
REFUSED = {
    "label_smoothing_factor": "this loss has no labels to smooth; `beta` and `targets` soften its targets",
    "enable_jit_checkpoint": "SIGTERM saves a checkpoint and ends training already",
    "average_tokens_across_devices": "the loss is a mean over clips, not over tokens",
    "include_num_input_tokens_seen": "clips are counted, not tokens",
    "dataloader_persistent_workers": "workers that outlive an epoch would go on drawing its crops and captions",
    "dataloader_multiprocessing_context": "batches are loaded with the platform's own way to start processes",
    "dataloader_in_order": "the batches of an epoch come in order, so that a resumed run sees the same ones",
    "remove_unused_columns": "the collator reads columns the model does not take",
    "train_sampling_strategy": "joint batches are drawn at random, so that negatives are",
    "length_column_name": "batches are drawn at random, not by length",
    "label_names": "evaluation returns embeddings, with classes and captions as labels",
    "batch_eval_metrics": "retrieval is measured over the whole set",
    "eval_do_concat_batches": "retrieval is measured over the whole set",
    "use_liger_kernel": "its kernels do not know dual encoders",
    "use_cache": "no tower generates text",
    "debug": "its hooks fail on masks, and a loss that is not finite ends training with the clips' ids anyway",
    "logging_nan_inf_filter": "a loss that is not finite ends training",
    "hub_always_push": "every push is finished before training goes on",
    "do_train": "Trainer does not read it: call `train()`",
    "do_predict": "Trainer does not read it: call `predict(rows)`",
}
"""Arguments of Transformers that would do nothing here, or harm, and why: they keep their defaults."""


OF_OPTIMIZERS = ["learning_rate", "text_learning_rate", "audio_learning_rate", "weight_decay"]
OF_OPTIMIZERS += ["optim", "optim_args", "optim_target_modules", "adam_beta1", "adam_beta2", "adam_epsilon"]
OF_SCHEDULES = ("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps")


def check_options(options: Mapping[str, Any], arguments: "SmoothCLAPTrainingArguments") -> None:
    """Refuse arguments of Trainer that would do nothing here, and settings that they would replace."""
    if not hasattr(arguments, "joint_loss"):
        raise ValueError(f"`args` is a {type(arguments).__name__}: make them with SmoothCLAPTrainingArguments.")
    if options.get("compute_loss_func") is not None:
        raise ValueError("`compute_loss_func` would not be called: set `targets`, or `trainer.joint_loss` to a loss.")
    optimizer, schedule = options.get("optimizers") or (None, None)
    chosen, settings = options.get("optimizer_cls_and_kwargs") or (None, dict[str, Any]())
    if "lr" in settings:
        raise ValueError(
            f"`optimizer_cls_and_kwargs` has lr {settings['lr']}, which would be replaced: set learning_rate, "
            "text_learning_rate and audio_learning_rate in `args`."
        )
    refuse(
        arguments.given(),
        [
            (optimizer is not None, OF_OPTIMIZERS, "`optimizers` has an optimiser, which is used as it is"),
            (schedule is not None, OF_SCHEDULES, "`optimizers` has a schedule"),
            (chosen is not None, ("optim", "optim_args"), "`optimizer_cls_and_kwargs` chooses the optimiser"),
        ],
    )


Rule = tuple[bool, Iterable[str], str]
"""Whether it applies, the settings that then have no effect, and why."""


def ignored_settings(
    said: Mapping[str, Any],
    model: "ModelSettings",
    data: "DataSettings",
    lora: "LoraSettings",
    arguments: "SmoothCLAPTrainingArguments",
) -> list[tuple[str, str]]:
    """List the settings that the user gave and that another one rules out, and why; null and `[]` say nothing."""
    given = {name for name, value in said.items() if value not in (None, [], {})}
    frozen = {"audio": arguments.freeze_audio_tower, "text": arguments.freeze_text_tower}
    rest = {tower: frozen[tower] and tower not in lora.lora_towers for tower in TOWERS}
    rules = [*_start_rules(model, lora), *_data_rules(data, arguments)]
    rules += [*argument_rules(given, arguments), *resting_rules(rest)]
    return without_effect(given, rules)


class WithoutEffect(SettingsError):
    """Training `arguments` some of which do nothing."""

    def __init__(self, faults: Iterable[tuple[str, str]], arguments: "SmoothCLAPTrainingArguments"):
        super().__init__(faults)
        self.arguments = arguments


def without_effect(given: Collection[str], rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """List which of the settings that are `given` are ruled out, and why."""
    faults = {name: why for applies, names, why in rules if applies for name in names if name in given}
    return [(name, f"has no effect: {why}; leave it out, or set it to null") for name, why in faults.items()]


def refuse(given: Collection[str], rules: Iterable[Rule]) -> None:
    """Raise a [`SettingsError`] with the settings that are `given` and ruled out."""
    if faults := without_effect(given, rules):
        raise SettingsError(faults)


def _data_rules(data: "DataSettings", arguments: "SmoothCLAPTrainingArguments") -> Iterator[Rule]:
    own, drawn = ("caption_groups", "languages"), ("max_phrases", "always_emotion")
    yield data.captions == "given", (*own, *drawn), "with captions: given captions are the rows' own"
    yield data.captions == "full", drawn, "with captions: full captions name all that is known"
    silent = bool(data.caption_groups) and "emotion" not in data.caption_groups
    yield silent, ("always_emotion",), "`caption_groups` leaves out the emotion"
    unread = data.captions == "given" and not arguments.target_shares.get("tags")
    yield unread, ("thresholds_by_corpus",), "neither captions nor targets are made with thresholds"
    yield data.acoustic_conditions == ["clean"], ("acoustic_conditions",), "clean means as recorded"
    if data.name_conditions:
        yield data.captions != "sampled", ("name_conditions",), f"{data.captions} captions are the same in every epoch"
    yield data.crop_seconds is None, ("crops_per_clip",), "with crop_seconds: null clips are taken whole"


def _start_rules(model: "ModelSettings", lora: "LoraSettings") -> Iterator[Rule]:
    new = ("projection_dim", "projection_dropout", "text_pooling", "max_frequency")
    yield model.model is not None, new, "it is for new models, and `model` has its own"
    adapters = tuple(name for name in type(lora).model_fields if name != "lora_towers")
    yield not lora.lora_towers, adapters, "`lora_towers` names no tower that gets adapters"
    yield lora.lora_save == "adapter", ("storage_dtype",), "adapters are kept apart, in float32"
    for tower in lora.lora_towers:
        yield True, (f"freeze_{tower}_tower",), f"the {tower} tower has adapters, and is frozen but for them"
    yield True, ("include_for_metrics",), "the metrics of a run are made from embeddings"


SETTINGS_OF_TARGETS = {
    "local_features": ("audio_temperature", "local_feature_encoder"),
    "tags": ("tag_temperature", "detach_targets"),
    "functionals": ("functionals_temperature",),
}


def argument_rules(given: Collection[str], arguments: "SmoothCLAPTrainingArguments") -> Iterator[Rule]:
    """Yield the rules of training arguments among themselves."""
    yield from _objective_rules(arguments)
    yield from _step_rules(given, arguments)
    yield from _optimizer_rules(arguments)


def _objective_rules(arguments: "SmoothCLAPTrainingArguments") -> Iterator[Rule]:
    shares, hard = arguments.target_shares, arguments.beta == 0
    for target, names in SETTINGS_OF_TARGETS.items():
        yield not shares.get(target), names, f"`targets` gives {target} no weight"
    yield arguments.target_weights is not None, ("gamma",), "`target_weights` gives the shares"
    yield len(arguments.targets) == 1, ("gamma",), "there is one target, which has it all"
    soft = ("targets", "target_weights", "gamma", *sum(SETTINGS_OF_TARGETS.values(), ()))
    yield hard, soft, "with beta: 0 targets have no soft part"


def resting_rules(rest: Mapping[str, bool]) -> Iterator[Rule]:
    """Yield the rules of towers of which nothing is trained."""
    for tower, rests in rest.items():
        yield rests, (f"{tower}_learning_rate",), f"the {tower} tower is frozen and has no adapters"
    yield rest["text"], ("detach_targets",), "the text tower is frozen, so that targets cannot move it"
    yield rest["text"], ("neftune_noise_alpha",), "the text tower is frozen, and rests in training"


def _step_rules(given: Collection[str], arguments: "SmoothCLAPTrainingArguments") -> Iterator[Rule]:
    at_steps = {name: getattr(arguments, f"{name}_strategy") == "steps" for name in ("logging", "eval", "save")}
    for name, set_so in at_steps.items():
        read = name == "logging" and at_steps["eval"] and "eval_steps" not in given  # stands in for `eval_steps`
        yield not set_so and not read, (f"{name}_steps",), f"{name}_strategy is not steps"
    choosing = ["eval_delay", "metric_for_best_model", "greater_is_better", *(["do_eval"] if arguments.do_eval else [])]
    yield arguments.eval_strategy == "no", choosing, "nothing is evaluated in training: set eval_strategy"
    yield arguments.metric_for_best_model is None, ("greater_is_better",), "there is no metric_for_best_model"
    of_checkpoints = ["save_total_limit", *(["save_only_model"] if arguments.save_only_model else [])]
    yield arguments.save_strategy == "no", of_checkpoints, "save_strategy is no"
    alone = arguments.gradient_cache and arguments.gradient_accumulation_steps == 1
    yield alone, ("gradient_cache",), "there is one batch per step: set gradient_accumulation_steps, for instance to 4"
    hub = ("hub_token", "hub_strategy", "hub_private_repo", "hub_always_push", "hub_revision")
    yield not arguments.push_to_hub, hub, "push_to_hub is false"
    trackio = ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id")
    yield "trackio" not in (arguments.report_to or []), trackio, "report_to does not name trackio"


NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
NOT_ADAM = ("sgd", "adagrad", "rmsprop", "adafactor", "lomo", "adalomo")
NO_ARGS = ("adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adafactor")


def _optimizer_rules(arguments: "SmoothCLAPTrainingArguments") -> Iterator[Rule]:
    schedule = SchedulerType(arguments.lr_scheduler_type).value
    warms = bool(arguments.warmup_steps) and schedule in NO_WARMUP
    yield warms, ("warmup_steps",), f"lr_scheduler_type: {schedule} has no warm-up, as constant_with_warmup has"
    plain = schedule in ("constant", "constant_with_warmup")
    yield plain, ("lr_scheduler_kwargs",), f"lr_scheduler_type: {schedule} takes none"
    adam = ("adam_beta1", "adam_beta2", "adam_epsilon")
    optim = OptimizerNames(arguments.optim).value
    yield optim in NOT_ADAM, adam, f"optim: {optim} is not Adam"
    yield optim in NO_ARGS, ("optim_args",), f"optim: {optim} takes none"
    low_rank = optim.startswith(("galore", "apollo"))
    yield not low_rank, ("optim_target_modules",), f"optim: {optim} treats all layers alike, unlike galore and apollo"
    checkpointing = ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
    yield not arguments.gradient_checkpointing, checkpointing, "gradient_checkpointing is false"
    yield arguments.gradient_cache, ("torch_empty_cache_steps",), "with gradient_cache: true the cache is kept"
    yield not arguments.use_liger_kernel, ("liger_kernel_config",), "use_liger_kernel is false"
    on_cpu = arguments.fp16 and arguments.device.type == "cpu"
    yield on_cpu, ("fp16",), "nothing is computed in it on the CPU: set bf16, or train on a GPU"
