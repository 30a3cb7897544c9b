"""Settings that must train the same model: how a batch is cut, a loss summed, a tower's output got.

There is no dropout here, because a batch that is cut otherwise draws other numbers; that both passes of a chunk draw
the same is tested beside the gradient cache. Sums are taken in another order, hence the tolerance of 1e-6.
"""

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoProcessor

from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from tests.invariants import command_line
from tests.trainer import rows


ORDER = [3, 0, 2, 1]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Settings of a run over 11 clips, whose last joint batch of 4 is one short."""
    folder = tmp_path_factory.mktemp("runs")
    encoders = command_line.encoders(folder / "encoders")
    dataset = command_line.manifest(folder / "data", 11)
    return lambda name, **changes: command_line.settings(folder / name, dataset, encoders, **changes)


@pytest.fixture(scope="module")
def plain(make):
    config = make("plain")
    command_line.train(config)
    return config


def train(config):
    command_line.train(config)
    return config


def test_chunks_with_cached_gradients_are_one_batch(make, plain):
    sizes = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    cached = train(make("cached", gradient_cache=True, **sizes))
    assert command_line.differences(cached, plain) < 1e-6
    assert command_line.losses(cached) == pytest.approx(command_line.losses(plain), abs=1e-6)


def test_chunks_without_it_have_fewer_negatives(make, plain):
    """So the test above could fail."""
    accumulated = train(make("accumulated", per_device_train_batch_size=2, gradient_accumulation_steps=2))
    assert command_line.differences(accumulated, plain) > 1e-3


def test_a_tiled_loss_is_the_dense_one(make, plain):
    tiled = train(make("tiled", loss_tile=3))
    assert 0 < command_line.differences(tiled, plain) < 1e-6
    assert command_line.losses(tiled) == pytest.approx(command_line.losses(plain), abs=1e-6)


def test_tiles_and_chunks_together(make, plain):
    sizes = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}
    assert command_line.differences(train(make("both", gradient_cache=True, loss_tile=3, **sizes)), plain) < 1e-6


def test_a_cached_tower_is_the_live_one(make):
    """Over two epochs, in which each clip gives either of its two crops."""
    frozen = {"freeze_audio_tower": True, "audio_learning_rate": None, "crops_per_clip": 2, "max_steps": 6}
    live, cached = train(make("live", **frozen)), train(make("cached-tower", cache_audio_tower=True, **frozen))
    assert command_line.differences(cached, live) < 1e-5
    assert command_line.losses(cached) == pytest.approx(command_line.losses(live), abs=1e-5)
    other = train(make("other-crops", **frozen | {"crop_seconds": 0.09}))
    assert command_line.differences(other, live) > 1e-4  # what was cached depends on the crop


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, plain):
    """What the plain run saved."""
    return plain["output_dir"]


def test_without_soft_targets_it_is_infonce(make, checkpoint):
    """Against a loop of plain PyTorch: cross entropy both ways, norm clipped at 1, gradient descent."""
    config = make("clap", model=checkpoint, beta=0.0, kl_reading="forward")
    for name in ("audio_encoder", "text_encoder", "projection_dim", "projection_dropout"):
        del config[name]
    trainer = command_line.train(config)

    model = AutoModel.from_pretrained(checkpoint).train()
    for parameter in model.parameters():
        parameter.requires_grad_()
    descent = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer.data_collator.epoch = 0
    batches = trainer.get_train_dataloader()
    batches.batch_sampler.epoch = 0
    losses = []
    for batch in batches:
        inputs = {name: value for name, value in batch.items() if "tag" not in name}
        inputs = {name: value for name, value in inputs.items() if name not in ("labels", "caption_ids")}
        logits = model(**inputs).logits_per_audio
        own = torch.arange(len(logits))
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.t(), own)) / 2
        descent.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        descent.step()
        losses.append(loss.item())
    assert command_line.losses(config) == pytest.approx(losses, abs=1e-5)
    for name, value in command_line.weights(config).items():
        torch.testing.assert_close(model.state_dict()[name], value, atol=1e-6, rtol=0, msg=name)


def gradients(model, folder, batch):
    """The trainer's loss of a batch, what the model returned, and the gradient of every weight."""
    arguments = SmoothCLAPTrainingArguments(
        output_dir=str(folder), use_cpu=True, freeze_audio_tower=False, detach_targets=False, report_to="none"
    )
    trainer = SmoothCLAPTrainer(model=model.train(), args=arguments, data_collator=list)
    loss, outputs = trainer.compute_loss(model, batch, return_outputs=True)
    loss.backward()
    found = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert {name.split(".")[0] for name in found} >= {"audio_model", "text_model", "logit_scale"}
    return loss.detach(), outputs, found


@pytest.fixture
def batch(tmp_path, checkpoint):
    data = rows.dataset(tmp_path / "audio", count=4)
    collator = rows.collator(data)
    collator.processor = AutoProcessor.from_pretrained(checkpoint)
    return collator([data[index] for index in range(4)])


def assert_close(one, other):
    """Within 1e-5 of the whole gradient's length: the temperatures of logits and targets multiply rounding by 14."""
    assert one.keys() == other.keys()
    length = torch.stack([value.norm() for value in one.values()]).norm()
    for name in one:
        assert (one[name] - other[name]).norm() < 1e-5 * length, name


def test_eager_attention_is_sdpa(tmp_path, checkpoint, batch):
    found = []
    for kind in ("eager", "sdpa"):
        model = AutoModel.from_pretrained(checkpoint, attn_implementation=kind)
        assert model.audio_model.config._attn_implementation == model.text_model.config._attn_implementation == kind
        found.append(gradients(model, tmp_path, batch))
    (eager, _, eager_gradients), (sdpa, _, sdpa_gradients) = found
    torch.testing.assert_close(eager, sdpa, atol=1e-6, rtol=0)
    assert_close(eager_gradients, sdpa_gradients)


def test_the_order_of_a_batch_moves_rows_and_nothing_else(tmp_path, checkpoint, batch):
    shuffled = {name: value[ORDER] for name, value in batch.items()}
    loss, outputs, found = gradients(AutoModel.from_pretrained(checkpoint), tmp_path, batch)
    again, other, others = gradients(AutoModel.from_pretrained(checkpoint), tmp_path, shuffled)
    torch.testing.assert_close(again, loss, atol=1e-6, rtol=0)
    for name in ("audio_embeds", "text_embeds"):
        torch.testing.assert_close(other[name], outputs[name][ORDER], atol=1e-6, rtol=0)
        assert (other[name] - outputs[name]).abs().max() > 1e-4
    assert_close(others, found)
