import copy

import pytest
import torch
from transformers import ClapConfig, ClapModel

from modeling_smoothclap.loss_smoothclap import contrastive_loss, soft_target_loss, soft_targets
from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from smoothclap_trainer.objectives.tag_features import tag_features
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
    assert not features.requires_grad
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
    assert found[trained["logit_scale.weight"]]["weight_decay"] == 0
    assert found[trained["audio_projection.linear1.weight"]]["weight_decay"] == 0.1


def test_overfits_a_handful_of_clips(tmp_path, data):
    the_trainer = trainer(tmp_path, data, freeze_audio_tower=False, max_steps=30, audio_learning_rate=1e-3)
    before = the_trainer.evaluate()["eval_loss"]
    the_trainer.train()
    assert the_trainer.evaluate()["eval_loss"] < before


def test_accumulated_steps_average_their_losses(tmp_path, data):
    """Four steps on one and the same batch, accumulated, move the weights as one step does."""
    same = {"collator_changes": {"training": False}, "optim": "sgd", "learning_rate": 0.1, "max_steps": 1}
    states = []
    for folder, steps, clips in (("once", 1, [0, 1, 2, 3]), ("accumulated", 4, [0, 1, 2, 3] * 4)):
        the_trainer = trainer(tmp_path / folder, data.select(clips), gradient_accumulation_steps=steps, **same)
        the_trainer.model.text_model.eval()
        the_trainer.train_dataset = data.select(clips)
        the_trainer._get_train_sampler = lambda *_: None  # in order, so that every batch is the same
        the_trainer.train()
        states.append(the_trainer.state)
        assert the_trainer.state.global_step == 1
    norms = [state.log_history[-1]["train_loss"] for state in states]
    assert norms[0] == pytest.approx(norms[1], rel=0.05)  # dropout in the text tower differs


def test_resumed_equals_uninterrupted(tmp_path, data):
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    crops = {"collator_changes": {"crop_seconds": 0.1, "languages": ("en", "de")}}
    whole = trainer(tmp_path / "whole", data, **settings, **crops)
    start = copy.deepcopy(whole.model.state_dict())
    whole.train()
    resumed = trainer(tmp_path / "resumed", data, **settings, **crops)
    resumed.model.load_state_dict(start)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    for (name, one), other in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


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


def test_default_arguments(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert SmoothCLAPTrainer(model=model(), train_dataset=data).args.beta == 0.1


def test_any_dual_encoder_trains(tmp_path, data):
    """transformers' own ClapModel, whose built-in loss trains one direction only, trains in both here."""
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
    clap = ClapModel(config).eval()
    the_trainer = trainer(tmp_path, data, clap)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 400, (3, 6), generator=generator)
    batch = {
        "input_ids": ids,
        "input_features": torch.randn(3, 1, 16, 16, generator=generator),
        "tag_input_ids": ids,
        "local_features": torch.randn(3, 5, generator=generator),
    }
    loss, outputs = the_trainer.compute_loss(clap, batch, return_outputs=True)
    tags = clap.text_model(ids).last_hidden_state[:, 0]
    torch.testing.assert_close(
        loss, soft_target_loss(outputs.logits_per_audio, soft_targets(batch["local_features"], tags), "symmetric")
    )
