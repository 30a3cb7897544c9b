from types import SimpleNamespace

import pytest
import torch
from transformers import ClapConfig, ClapModel, TrainerCallback, integrations
from transformers.hyperparameter_search import ALL_HYPERPARAMETER_SEARCH_BACKENDS
from transformers.trainer_utils import HPSearchBackend

from modeling_smoothclap.loss_smoothclap import contrastive_loss, soft_target_loss, soft_targets
from modeling_smoothclap.modeling_smoothclap import MAX_LOGIT_SCALE
from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from smoothclap_trainer.data.clips import Crops
from smoothclap_trainer.losses.targets import tag_features
from tests import tiny
from tests.trainer import rows


@pytest.fixture
def data(tmp_path):
    return rows.dataset(tmp_path / "audio")


def model(**changes):
    return tiny.model(text_config=tiny.text_config(max_position_embeddings=256), projection_dropout=0.0, **changes)


def trainer(folder, data, the_model=None, collator_changes=None, **changes):
    fields = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "max_steps": 2,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return SmoothCLAPTrainer(
        model=model() if the_model is None else the_model,
        args=SmoothCLAPTrainingArguments(**fields | changes),
        data_collator=rows.collator(data, **(collator_changes or {})),
        train_dataset=data,
        eval_dataset=data,
    )


def weights(the_model):
    return {name: value.clone() for name, value in the_model.state_dict().items()}


def changed(before, after):
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def batch_of(the_trainer, data, count=4):
    return the_trainer.data_collator([data[index] for index in range(count)])


@pytest.mark.parametrize("reading", ["symmetric", "forward"])
def test_loss_is_the_composition_of_its_pieces(tmp_path, data, reading):
    the_trainer = trainer(tmp_path, data, beta=0.3, gamma=0.2, audio_temperature=0.1, kl_reading=reading)
    batch, encoder = batch_of(the_trainer, data), the_trainer.model.eval()
    tags = encoder.text_model(batch["tag_input_ids"], attention_mask=batch["tag_attention_mask"])
    targets = soft_targets(batch["local_features"], tags.last_hidden_state[:, 0], 0.3, 0.2, 0.1, 0.07)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "input_values", "audio_attention_mask")}
    expected = soft_target_loss(encoder(**inputs).logits_per_audio, targets, reading)
    torch.testing.assert_close(the_trainer.compute_loss(encoder, batch), expected)


def test_without_soft_part_it_is_clap_and_needs_no_features(tmp_path, data):
    the_trainer = trainer(tmp_path, data, beta=0.0, kl_reading="forward")
    batch = batch_of(the_trainer, data.remove_columns("local_features"))
    loss, outputs = the_trainer.compute_loss(the_trainer.model.eval(), batch, return_outputs=True)
    torch.testing.assert_close(loss, contrastive_loss(outputs.logits_per_audio))


def test_missing_features_are_named(tmp_path, data):
    the_trainer = trainer(tmp_path, data)
    batch = batch_of(the_trainer, data.remove_columns("local_features"))
    with pytest.raises(ValueError, match=r"local_features.*beta=0"):
        the_trainer.compute_loss(the_trainer.model, batch)


def test_tag_features_have_no_dropout_and_leave_the_mode(data):
    encoder = model().train()
    ids = torch.tensor([[2, 7, 8, 3], [2, 7, 8, 3]])
    features = tag_features(encoder, ids)
    assert torch.equal(features[0], features[1])
    assert encoder.training and encoder.text_model.training


def test_frozen_towers_do_not_change(tmp_path, data):
    the_trainer = trainer(tmp_path, data)
    before = weights(the_trainer.model)
    the_trainer.train()
    heads = {"audio_projection", "text_projection", "logit_scale"}
    assert changed(before, weights(the_trainer.model)) == heads | {"text_model"}

    the_trainer = trainer(tmp_path, data, freeze_audio_tower=False, freeze_text_tower=True)
    before = weights(the_trainer.model)
    the_trainer.train()
    assert changed(before, weights(the_trainer.model)) == heads | {"audio_model"}


def test_each_part_has_its_rate_and_the_scale_no_decay(tmp_path, data):
    the_trainer = trainer(
        tmp_path,
        data,
        freeze_audio_tower=False,
        weight_decay=0.1,
        learning_rate=3e-3,
        text_learning_rate=2e-4,
        audio_learning_rate=1e-4,
    )
    optimizer = the_trainer.create_optimizer()
    assert the_trainer.create_optimizer() is optimizer
    found = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    trained = {name: value for name, value in the_trainer.model.named_parameters() if value.requires_grad}
    assert len(found) == len(trained) == sum(len(group["params"]) for group in optimizer.param_groups)
    for name, parameter in trained.items():
        rate = {"audio_model": 1e-4, "text_model": 2e-4}.get(name.split(".")[0], 3e-3)
        assert found[parameter]["lr"] == rate, name
    assert optimizer.param_groups[0]["lr"] == 3e-3  # the one that Trainer logs
    assert found[trained["logit_scale.weight"]]["weight_decay"] == 0
    assert found[trained["audio_projection.linear1.weight"]]["weight_decay"] == 0.1


def test_overfits_a_handful_of_clips(tmp_path, data):
    the_trainer = trainer(tmp_path, data, freeze_audio_tower=False, max_steps=12, audio_learning_rate=1e-3)
    before = the_trainer.evaluate()["eval_loss"]
    the_trainer.train()
    assert the_trainer.evaluate()["eval_loss"] < before


def test_accumulated_steps_average_their_losses(tmp_path, data, monkeypatch):
    """Four steps on one and the same batch, accumulated, move the weights exactly as one step on it does."""
    # In order, so that all batches are the same.
    monkeypatch.setattr(torch, "randperm", lambda count, generator=None: torch.arange(count))
    plain = tiny.text_config(max_position_embeddings=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    moved = []
    for folder, steps in (("once", 1), ("accumulated", 4)):
        rows_of_it = data.select([0, 1, 2, 3] * steps)
        settings = {"optim": "sgd", "learning_rate": 0.1, "text_learning_rate": 0.1, "max_steps": 1}
        one = tiny.model(text_config=plain, projection_dropout=0.0)
        before = weights(one)
        the_trainer = trainer(tmp_path / folder, rows_of_it, one, gradient_accumulation_steps=steps, **settings)
        the_trainer.data_collator = rows.collator(data)  # one set of thresholds, one set of captions
        the_trainer.train()
        moved.append({name: value - before[name] for name, value in weights(one).items()})
    assert any(change.abs().max() > 1e-4 for change in moved[0].values())
    for name, change in moved[0].items():
        torch.testing.assert_close(moved[1][name], change, atol=1e-6, rtol=1e-4)


def test_each_epoch_draws_anew(tmp_path, data):
    the_trainer = trainer(tmp_path, data, max_steps=-1, num_train_epochs=3)
    the_trainer.train()
    assert the_trainer.data_collator.epoch == 2


def test_evaluation_is_repeatable_and_leaves_training_alone(tmp_path, data):
    the_trainer = trainer(tmp_path, data, collator_changes={"crops": Crops(0.05)})
    assert the_trainer.evaluate()["eval_loss"] == the_trainer.evaluate()["eval_loss"]
    assert next(iter(the_trainer.get_eval_dataloader()))["input_values"].shape == (4, 3200)  # whole clips
    assert next(iter(the_trainer.get_test_dataloader(data)))["input_values"].shape == (4, 3200)
    assert the_trainer.data_collator.training
    assert next(iter(the_trainer.get_train_dataloader()))["input_values"].shape == (4, 800)


def test_metrics_see_the_whole_set(tmp_path, data):
    seen = []

    def compute_metrics(prediction):
        audio_embeds, text_embeds = prediction.predictions
        labels, caption_ids = prediction.label_ids
        seen.append((audio_embeds.shape, text_embeds.shape, labels.tolist(), len(caption_ids)))
        return {"clips": len(audio_embeds)}

    the_trainer = trainer(tmp_path, data)
    the_trainer.compute_metrics = compute_metrics
    assert the_trainer.evaluate()["eval_clips"] == 8
    assert seen == [((8, 16), (8, 16), [-1] * 8, 8)]


def test_towers_are_frozen_in_a_model_made_by_model_init(tmp_path, data):
    the_trainer = SmoothCLAPTrainer(
        model_init=lambda: model(),
        args=SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True),
        data_collator=rows.collator(data),
        train_dataset=data,
    )
    assert not any(parameter.requires_grad for parameter in the_trainer.model.audio_model.parameters())
    assert any(parameter.requires_grad for parameter in the_trainer.model.text_model.parameters())


def test_the_stored_scale_stays_within_its_limit(tmp_path, data):
    high = model()
    with torch.no_grad():
        high.logit_scale.weight.fill_(MAX_LOGIT_SCALE)
    the_trainer = trainer(tmp_path, data, high, max_steps=6, learning_rate=0.5, beta=0.0, kl_reading="forward")
    the_trainer.train()
    assert high.logit_scale.weight.item() <= MAX_LOGIT_SCALE + 1e-6


def test_predictions_are_the_embeddings_of_the_whole_set(tmp_path, data):
    the_trainer = trainer(tmp_path, data, collator_changes={"training": False})
    audio_embeds, text_embeds = the_trainer.predict(data).predictions
    assert audio_embeds.shape == text_embeds.shape == (8, 16)
    batch = {
        name: value
        for name, value in batch_of(the_trainer, data, 8).items()
        if name in ("input_values", "audio_attention_mask")
    }
    live = the_trainer.model.get_audio_features(**batch).pooler_output
    torch.testing.assert_close(torch.tensor(audio_embeds), live, atol=1e-5, rtol=0)


def test_settings_of_data_that_a_collator_would_ignore_are_refused(tmp_path, data):
    args = SmoothCLAPTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(ValueError, match="captions"):
        SmoothCLAPTrainer(model(), args, rows.collator(data), data, data={"captions": "given"})


def clap_model():
    """A tiny transformers CLAP in evaluation mode."""
    config = ClapConfig(
        text_config={
            "vocab_size": 400,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 40,
        },
        audio_config={
            "spec_size": 16,
            "num_mel_bins": 16,
            "window_size": 2,
            "hidden_size": 8,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "patch_embeds_hidden_size": 4,
            "patch_size": 2,
            "patch_stride": 2,
        },
        projection_dim=8,
    )
    torch.manual_seed(0)
    return ClapModel(config).eval()


def clap_batch():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 400, (3, 6), generator=generator)
    return {
        "input_ids": ids,
        "input_features": torch.randn(3, 1, 16, 16, generator=generator),
        "tag_input_ids": ids,
        "local_features": torch.randn(3, 5, generator=generator),
        "labels": torch.tensor([0, 1, 0]),
    }


def test_any_dual_encoder_trains(tmp_path, data):
    """transformers' own ClapModel, whose built-in loss trains one direction only, trains in both here."""
    clap, batch = clap_model(), clap_batch()
    the_trainer = trainer(tmp_path, data, clap, freeze_audio_tower=False)
    loss, outputs = the_trainer.compute_loss(clap, batch, return_outputs=True)
    tags = clap.text_model(batch["input_ids"]).last_hidden_state[:, 0]
    torch.testing.assert_close(
        loss, soft_target_loss(outputs.logits_per_audio, soft_targets(batch["local_features"], tags), "symmetric")
    )

    # One step, as Trainer makes it, moves both towers.
    before = weights(clap)
    optimizer = the_trainer.create_optimizer()
    the_trainer.compute_loss(clap, batch).backward()
    optimizer.step()
    assert {"audio_model", "text_model", "audio_projection", "text_projection"} <= changed(before, weights(clap))


def test_accumulation_averages_whatever_a_model_says_of_its_own_loss(tmp_path, data):
    """ClapModel takes **kwargs, from which Trainer would conclude that its loss is divided already."""
    clap = clap_model()
    the_trainer = trainer(tmp_path, data, clap, gradient_accumulation_steps=4)
    the_trainer.current_gradient_accumulation_steps = 4
    torch.manual_seed(0)
    whole = the_trainer.compute_loss(clap.train(), clap_batch())
    _, count = the_trainer.get_batch_samples(iter([clap_batch()]), 1, torch.device("cpu"))
    torch.manual_seed(0)  # the same dropout
    torch.testing.assert_close(the_trainer.training_step(clap, clap_batch(), count), whole.detach() / 4)


def test_running_statistics_rest_so_that_a_clip_counts_the_same_in_every_batch(tmp_path, data):
    """Else one process, several processes and gradient caching would each see another loss."""
    clap, batch = clap_model(), clap_batch()
    the_trainer = trainer(tmp_path, data, clap, freeze_audio_tower=False)
    for module in clap.modules():
        for name in ("p", "drop_prob"):
            if hasattr(module, name):
                setattr(module, name, 0.0)
    statistics = {name: value.clone() for name, value in clap.named_buffers() if "running" in name}
    assert statistics
    halves = [{name: value[part] for name, value in batch.items()} for part in (slice(0, 1), slice(1, 3))]
    whole = the_trainer._forward(clap.train(), batch).audio_embeds
    apart = [the_trainer._forward(clap.train(), half).audio_embeds for half in halves]
    torch.testing.assert_close(whole, torch.cat(apart), atol=1e-5, rtol=0)
    assert all(torch.equal(value, clap.get_buffer(name)) for name, value in statistics.items())
    whole.sum().backward()
    assert clap.audio_model.audio_encoder.batch_norm.weight.grad.abs().sum() > 0, "its weights are trained"


def test_a_batch_of_a_single_clip_is_refused(tmp_path, data):
    with pytest.raises(ValueError, match="no negatives"):
        trainer(tmp_path, data, per_device_train_batch_size=1).get_train_dataloader()
    chunks = {"gradient_cache": True, "gradient_accumulation_steps": 2}
    assert len(trainer(tmp_path, data, per_device_train_batch_size=1, **chunks).get_train_dataloader()) == 8


class Search:
    """A backend of hyperparameter search that tries each `beta` in turn."""

    name = "optuna"

    def __init__(self, betas):
        self.betas, self.described = betas, []

    def ensure_available(self):
        pass

    def default_hp_space(self, trial):
        return {"beta": trial.beta}

    def run(self, the_trainer, n_trials, direction, **kwargs):
        for number, beta in enumerate(self.betas):
            the_trainer.train(resume_from_checkpoint=None, trial=SimpleNamespace(number=number, beta=beta, params={}))
            self.described.append(the_trainer.joint_loss.describe()["beta"])
        return SimpleNamespace(run_id="0")


def test_a_searched_beta_counts(tmp_path, data, monkeypatch):
    search = Search([0.2, 0.7])
    monkeypatch.setattr(integrations, "hp_params", lambda trial: trial.params)
    monkeypatch.setitem(ALL_HYPERPARAMETER_SEARCH_BACKENDS, HPSearchBackend.OPTUNA, lambda: search)
    the_trainer = SmoothCLAPTrainer(
        model_init=lambda: model(),
        args=SmoothCLAPTrainingArguments(
            str(tmp_path), max_steps=1, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no"
        ),
        data_collator=rows.collator(data),
        train_dataset=data,
    )
    assert the_trainer.hyperparameter_search(backend="optuna", n_trials=2).run_id == "0"
    assert search.described == [0.2, 0.7]
    search.betas = [1.5]
    with pytest.raises(ValueError, match=r"`beta`.*1\.5"):
        the_trainer.hyperparameter_search(backend="optuna", n_trials=1)


def test_no_clip_is_evaluated_alone(tmp_path, data):
    with pytest.raises(ValueError, match="per_device_eval_batch_size"):
        trainer(tmp_path, data, per_device_eval_batch_size=1).evaluate()
    with pytest.raises(ValueError, match="two clips"):
        trainer(tmp_path, data).evaluate(data.select([0]))
    the_trainer = trainer(tmp_path, data)
    nine = rows.dataset(tmp_path / "nine", count=9)
    assert [len(batch["labels"]) for batch in the_trainer.get_eval_dataloader(nine)] == [4, 5]
    joined = [the_trainer.evaluate(nine.select(part))["eval_loss"] for part in ([0, 1, 2, 3], [4, 5, 6, 7, 8])]
    assert the_trainer.evaluate(nine)["eval_loss"] == pytest.approx(sum(joined) / 2, abs=1e-5)
    assert the_trainer.predict(nine).predictions[0].shape == (9, 16)


def test_features_that_are_not_numbers_are_named_by_clip(tmp_path, data):
    features = [list(row["local_features"]) for row in data]
    features[3][1] = float("nan")
    spoilt = data.remove_columns("local_features").add_column("local_features", features)
    with pytest.raises(ValueError, match=r"`local_features`.*clip-3"):
        trainer(tmp_path, spoilt).train()


@pytest.mark.parametrize("chunks", [{}, {"gradient_cache": True, "gradient_accumulation_steps": 2}])
def test_a_loss_that_is_not_a_number_ends_training_with_the_clips(tmp_path, data, chunks):
    the_trainer = trainer(tmp_path, data, per_device_train_batch_size=2, max_steps=4, **chunks)
    the_trainer.add_callback(Spoil())
    with pytest.raises(ValueError, match=r"step 2 is nan, over the clips \['clip-") as caught:
        the_trainer.train()
    batches = list(the_trainer.get_train_dataloader().batch_sampler)
    expected = [*batches[2], *batches[3]] if chunks else batches[1]
    assert str([f"clip-{index}" for index in expected]) in str(caught.value)


class Spoil(TrainerCallback):
    """Makes a weight infinite after the first step, as a rate far too high would."""

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        model.audio_projection.linear1.weight.data.fill_(float("nan"))


def test_weights_that_are_not_numbers_are_not_saved(tmp_path, data):
    the_trainer = trainer(tmp_path, data, max_steps=1, save_strategy="steps", save_steps=1)
    the_trainer.add_callback(Spoil())
    for save in (the_trainer.train, the_trainer.save_model):
        with pytest.raises(ValueError, match=r"audio_projection\.linear1"):
            save()
    assert not list(tmp_path.glob("checkpoint-*")) and not (tmp_path / "model.safetensors").exists()
