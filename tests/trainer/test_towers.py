import copy
import json
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModel, AutoProcessor, ClapConfig, ClapModel, pipeline

from modeling_smoothclap import SmoothCLAPModel
from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from smoothclap_trainer.settings import LoraSettings
from smoothclap_trainer.towers import HEADS, add_lora, merged, plain, save_lora
from tests import tiny
from tests.trainer import rows


BOTH = LoraSettings(lora_towers=["audio", "text"])
TEXTS = ["a low voice", "a high voice"]


def model(audio="wav2vec2", text="bert", **changes):
    longer = tiny.text_config(text, max_position_embeddings=256)
    return tiny.model(audio, text, text_config=longer, projection_dropout=0.0, **changes)


def trainer(folder, data, the_model, **changes):
    fields = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "beta": 0.0,
        "kl_reading": "forward",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    for tower in ("audio", "text"):
        if any(each.requires_grad for each in getattr(plain(the_model), f"{tower}_model").parameters()):
            fields[f"{tower}_learning_rate"] = 1e-2
    return SmoothCLAPTrainer(
        model=the_model,
        args=SmoothCLAPTrainingArguments(**fields | changes),
        data_collator=rows.collator(data),
        train_dataset=data,
    )


def inputs(audio="wav2vec2"):
    return tiny.processor(audio)(text=TEXTS, audio=tiny.clips(0.2, 0.1), sampling_rate=16000, return_tensors="pt")


@torch.no_grad()
def logits(the_model, audio="wav2vec2"):
    return the_model.eval()(**inputs(audio)).logits_per_audio


def stirred(adapted):
    """As if trained: everything that trains is moved, adapters most, so that they show."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += (0.3 if "lora_" in name else 0.02) * noise
    return adapted


def trained_names(adapted):
    return [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]


FAMILIES = [
    *((audio, "bert") for audio in tiny.AUDIO_FAMILIES),
    *(("wav2vec2", text) for text in tiny.TEXT_FAMILIES[1:]),
]


@pytest.mark.parametrize(("audio", "text"), FAMILIES)
def test_every_family_gets_adapters_that_matter_and_merge(audio, text):
    plain = tiny.model(audio, text)
    count = len([name for name, _ in plain.named_parameters()])
    adapted = add_lora(plain, BOTH, freeze_audio=True, freeze_text=True)
    names = trained_names(adapted)
    for tower in ("audio_model", "text_model"):
        assert any(tower in name and "lora_A" in name for name in names)
    assert {name.split(".")[2] for name in names if "lora_" not in name} == set(HEADS)
    assert all("lora_" in name or "modules_to_save" in name for name in names)

    # Every adapter is reached: with B not zero, A has a gradient, and B always has.
    stirred(adapted).eval()(**inputs(audio), return_loss=True).loss.backward()
    for name, parameter in adapted.named_parameters():
        assert not parameter.requires_grad or parameter.grad.abs().max() > 0, name

    with_adapters = logits(adapted, audio)
    one = merged(adapted)
    assert type(one) is SmoothCLAPModel and not one.training
    assert len(list(one.named_parameters())) == count
    torch.testing.assert_close(logits(one, audio), with_adapters, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits(adapted, audio), with_adapters, atol=0, rtol=0)  # left alone
    with adapted.disable_adapter():
        assert (logits(adapted, audio) - with_adapters).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("towers", "freeze_audio", "freeze_text", "expected"),
    [
        (["audio"], True, True, {"audio_model": "lora"}),
        (["text"], True, True, {"text_model": "lora"}),
        (["audio"], False, False, {"audio_model": "lora", "text_model": "whole"}),
        (["text"], False, True, {"text_model": "lora", "audio_model": "whole"}),
        (["audio", "text"], False, False, {"audio_model": "lora", "text_model": "lora"}),
    ],
)
def test_what_moves_in_training(tmp_path, towers, freeze_audio, freeze_text, expected):
    """A tower without adapters trains whole or not at all; the one with adapters is frozen but for them."""
    data = rows.dataset(tmp_path / "audio")
    adapted = add_lora(model(), LoraSettings(lora_towers=towers), freeze_audio, freeze_text)
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    trainer(tmp_path, data, adapted).train()
    moved = {name for name, value in adapted.state_dict().items() if not torch.equal(before[name], value)}
    kinds: dict[str, set[str]] = {}
    for name in moved:
        part = name.split(".")[2]
        kinds.setdefault(part, set()).add("lora" if "lora_" in name else "whole")
    assert kinds == {part: {kind} for part, kind in expected.items()} | {head: {"whole"} for head in HEADS}
    assert all("lora_" in name or "modules_to_save" in name for name in moved)
    # What trained whole is saved with the adapters.
    save_lora(adapted, tiny.processor(), tmp_path / "saved", "adapter")
    loaded = AutoModel.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(logits(loaded), logits(adapted), atol=1e-5, rtol=1e-5)


def test_whole_whisper_towers_keep_their_sinusoids(tmp_path):
    adapted = add_lora(model("whisper"), LoraSettings(lora_towers=["text"]), freeze_audio=False, freeze_text=True)
    adapted.train()
    tower = adapted.base_model.model.audio_model
    assert not tower.embed_positions.weight.requires_grad and tower.conv1.weight.requires_grad


@pytest.mark.parametrize("how", ["merged", "adapter"])
def test_a_saved_folder_serves_every_loader_wherever_it_is_moved(tmp_path, how):
    adapted = stirred(add_lora(model(), BOTH, freeze_audio=True, freeze_text=True))
    expected = logits(adapted)
    save_lora(adapted, tiny.processor(), tmp_path / "first", how)
    torch.testing.assert_close(logits(adapted), expected, atol=0, rtol=0)
    folder = tmp_path / "elsewhere" / "second"
    shutil.move(tmp_path / "first", folder)
    assert (folder / "adapter_config.json").exists() == (how == "adapter")
    assert str(tmp_path) not in "".join(path.read_text() for path in folder.glob("*.json"))

    loaded = AutoModel.from_pretrained(folder)
    torch.testing.assert_close(logits(loaded), expected, atol=1e-5, rtol=1e-5)
    scale = adapted.base_model.model.logit_scale
    torch.testing.assert_close(loaded.logit_scale(), scale(), atol=0, rtol=0)
    assert len(AutoProcessor.from_pretrained(folder).tokenizer) == len(tiny.tokenizer())
    config = json.loads((folder / "config.json").read_text())
    assert config["auto_map"]["AutoModel"].endswith("SmoothCLAPModel")
    assert (folder / "modeling_smoothclap.py").exists()

    classifier = pipeline("zero-shot-audio-classification", model=str(folder))
    answers = classifier(tiny.clips(0.2)[0], candidate_labels=TEXTS, hypothesis_template="{}")
    found = [next(each["score"] for each in answers if each["label"] == text) for text in TEXTS]
    clip = tiny.processor()(text=TEXTS, audio=tiny.clips(0.2), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        by_hand = adapted(**clip).logits_per_audio.softmax(dim=1)[0]
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_adapters_can_be_taken_alone(tmp_path):
    base = model()
    adapted = stirred(add_lora(copy.deepcopy(base), BOTH, freeze_audio=True, freeze_text=True))
    save_lora(adapted, tiny.processor(), tmp_path, "adapter")
    alone = PeftModel.from_pretrained(base, tmp_path)
    torch.testing.assert_close(logits(alone), logits(adapted), atol=1e-6, rtol=0)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < (tmp_path / "model.safetensors").stat().st_size / 2


def test_a_training_checkpoint_resumes(tmp_path):
    """Resumed after 2 of 4 steps, everything ends bit for bit where the uninterrupted run ends."""
    data = rows.dataset(tmp_path / "audio")
    settings = LoraSettings(lora_towers=["audio"], lora_dropout=0.1)
    runs = []
    for name in ("whole", "resumed"):
        torch.manual_seed(len(runs))  # other adapters to begin with: what is resumed comes from the checkpoint
        adapted = add_lora(model(), settings, freeze_audio=True, freeze_text=False)
        run = trainer(tmp_path / name, data, adapted, max_steps=4, save_strategy="steps", save_steps=2)
        run.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2") if runs else None)
        runs.append(run.model)
    for (name, one), other in zip(runs[0].state_dict().items(), runs[1].state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_settings_reach_the_adapters():
    settings = LoraSettings(
        lora_towers=["audio"], lora_rank=3, lora_alpha=6, lora_dropout=0.25, lora_target_modules=["k_proj"]
    )
    adapted = add_lora(tiny.model(), settings, freeze_audio=True, freeze_text=True)
    names = [name for name in trained_names(adapted) if "lora_A" in name]
    assert len(names) == 2 and all("k_proj" in name for name in names)
    layer = adapted.base_model.model.audio_model.encoder.layers[0].attention.k_proj
    assert layer.lora_A["default"].weight.shape == (3, 32)
    assert layer.scaling["default"] == 2.0 and layer.lora_dropout["default"].p == 0.25


def kinds_of_training(adapted):
    """Part of the model to how it is trained: by adapters or as a whole."""
    kinds: dict[str, set[str]] = {}
    for name in trained_names(adapted):
        kinds.setdefault(name.split(".")[2], set()).add("lora" if "lora_" in name else "whole")
    return kinds


HEADS_WHOLE = {head: {"whole"} for head in HEADS}


@pytest.mark.parametrize("audio", ["wav2vec2", "wavlm"])
def test_pefts_own_configuration_adapts_both_towers_where_ours_does(audio):
    adapted = add_lora(tiny.model(audio), LoraConfig(r=3), freeze_audio=True, freeze_text=False)
    ours = add_lora(tiny.model(audio), BOTH, freeze_audio=True, freeze_text=False)
    assert trained_names(adapted) == trained_names(ours)
    assert kinds_of_training(adapted) == {"audio_model": {"lora"}, "text_model": {"lora"}} | HEADS_WHOLE
    assert adapted.peft_config["default"].r == 3


def test_pefts_own_choice_of_layers_is_kept():
    settings = LoraConfig(target_modules=["q_proj"])
    whole_text = add_lora(tiny.model(), settings, freeze_audio=True, freeze_text=False)
    assert kinds_of_training(whole_text) == {"audio_model": {"lora"}, "text_model": {"whole"}} | HEADS_WHOLE
    frozen_text = add_lora(tiny.model(), settings, freeze_audio=True, freeze_text=True)
    assert kinds_of_training(frozen_text) == {"audio_model": {"lora"}} | HEADS_WHOLE
    assert settings.modules_to_save is None  # the caller's own object stays as it is
    chosen = LoraConfig(target_modules=["q_proj"], modules_to_save=["logit_scale"])
    assert kinds_of_training(add_lora(tiny.model(), chosen, True, False)).keys() == {"audio_model", "logit_scale"}


def test_every_linear_layer_of_the_towers():
    settings = LoraConfig(target_modules="all-linear")
    names = trained_names(add_lora(tiny.model("wavlm"), settings, freeze_audio=True, freeze_text=False))
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in names if "lora_" in name}
    assert layers >= {"intermediate_dense", "output_dense", "query", "key", "value", "dense"}
    assert "q_proj" not in layers  # where an adapter would do nothing
    with pytest.raises(ValueError, match="q_proj"):
        add_lora(tiny.model("wavlm"), LoraConfig(target_modules=["q_proj", "query"]), True, False)


def test_transformers_own_clap():
    text = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    audio = {"spec_size": 16, "num_mel_bins": 16, "window_size": 2, "hidden_size": 8, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 4, "patch_size": 2, "patch_stride": 2}
    clap = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8))
    names = trained_names(add_lora(clap, BOTH, freeze_audio=True, freeze_text=True))
    parts = {name.split(".")[2] for name in names}
    assert parts == {"audio_model", "text_model", "audio_projection", "text_projection"}


@pytest.mark.parametrize(
    ("audio", "towers", "layers", "named"),
    [
        ("wav2vec2", ["audio", "text"], ["q_proj", "to_q"], r"to_q.*q_proj, v_proj \(audio\); dense, key, query"),
        ("wav2vec2", ["audio", "text"], ["q_proj"], r"text tower \(bert\).*q_proj.* key, query, value"),
        ("wavlm", ["audio"], ["q_proj", "intermediate_dense"], r"wavlm.*q_proj.*intermediate_dense"),
        ("wav2vec2", [], [], "`lora_towers`"),
    ],
)
def test_layers_that_cannot_be_adapted_are_named(audio, towers, layers, named):
    settings = LoraSettings(lora_towers=towers, lora_target_modules=layers)
    with pytest.raises(ValueError, match=named):
        add_lora(tiny.model(audio), settings, freeze_audio=True, freeze_text=True)


def test_an_unknown_way_to_save_is_refused(tmp_path):
    adapted = add_lora(tiny.model(), BOTH, freeze_audio=True, freeze_text=True)
    with pytest.raises(ValueError, match="both"):
        save_lora(adapted, tiny.processor(), tmp_path, "both")
