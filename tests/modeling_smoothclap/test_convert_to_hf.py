"""The converter of files against ParaCLAP's architecture on the same tiny random weights, and all it refuses."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoProcessor, pipeline

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor
from modeling_smoothclap.convert_to_hf import KNOWN, convert
from tests import tiny
from tests.modeling_smoothclap.paraclap import (
    ParaCLAP,
    audio_config,
    in_data_parallel,
    old_weight_norm,
    save_checkpoint,
    with_position_ids,
    without_pooler,
    wrapped,
)
from tests.smoothclap import error, smoothclap


LABELS = ["a low voice", "a high voice", "eine leise, traurige Stimme"]
MARKER = "audio_projection.linear1.weight"


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    model = ParaCLAP().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # no parameter keeps a value that another could stand in for
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Directories of the audio configuration, and of the text configuration with its tokenizer."""
    audio, text = tmp_path_factory.mktemp("audio"), tmp_path_factory.mktemp("text")
    audio_config().save_pretrained(audio)
    tiny.text_config().save_pretrained(text)
    tiny.tokenizer().save_pretrained(text)
    return audio, text


@pytest.fixture(scope="module")
def converted(original, folders, tmp_path_factory):
    """The directory converted from a bare checkpoint."""
    folder = tmp_path_factory.mktemp("bare")
    torch.save(original.state_dict(), folder / "best.pth.tar")
    convert(folder / "best.pth.tar", folder / "out", *folders)
    return folder / "out"


VARIANTS = {
    "bare": [],
    "wrapped": [wrapped],
    "old weight norm": [old_weight_norm],
    "position ids": [with_position_ids],
    "no pooler": [without_pooler],
    "data parallel": [in_data_parallel],
    "all": [old_weight_norm, with_position_ids, in_data_parallel, wrapped],
}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_embeddings_equal_the_originals(variant, original, folders, tmp_path):
    path = save_checkpoint(tmp_path, original.state_dict(), *VARIANTS[variant])
    convert(path, tmp_path / "out", *folders)
    waveforms = torch.from_numpy(np.stack(tiny.clips(0.05, 0.05, 0.05)))
    tokens = tiny.tokenizer()(LABELS, padding=True, return_tensors="pt")
    expected_audio = nn.functional.normalize(original.embed_audio(waveforms), dim=-1)
    expected_text = nn.functional.normalize(original.embed_text(LABELS), dim=-1)
    assert (expected_audio[0] - expected_audio[1]).abs().max() > 1e-3  # the oracle tells clips and texts apart
    assert (expected_text[0] - expected_text[1]).abs().max() > 1e-3
    model = AutoModel.from_pretrained(tmp_path / "out")
    assert type(model) is SmoothCLAPModel
    audio = model.get_audio_features(waveforms).pooler_output
    text = model.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output
    torch.testing.assert_close(audio, expected_audio, atol=1e-5, rtol=0)
    torch.testing.assert_close(text, expected_text, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.logit_scale(), original.logit_scale.exp()[None])


@torch.no_grad()
def test_cosines_through_the_processor_equal_the_originals(original, converted):
    model, processor = AutoModel.from_pretrained(converted), AutoProcessor.from_pretrained(converted)
    assert type(processor) is SmoothCLAPProcessor
    assert processor.feature_extractor.do_normalize is False
    assert processor.feature_extractor.minimum_samples == 20  # the tiny tower's receptive field
    clips = tiny.clips(0.05, 0.12)
    output = model(**processor(text=LABELS, audio=clips, sampling_rate=16000, return_tensors="pt"))
    # One clip at a time, because ParaCLAP would average over the shorter clip's padding.
    expected = torch.cat([original.cosines(torch.from_numpy(clip)[None], LABELS) for clip in clips])
    torch.testing.assert_close(output.logits_per_audio / output.logit_scale, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_pipeline_scores_are_the_softmax_of_the_originals_scaled_cosines(original, converted):
    classify = pipeline("zero-shot-audio-classification", model=str(converted))
    (clip,) = tiny.clips(0.1)
    scores = {one["label"]: one["score"] for one in classify(clip, candidate_labels=LABELS, hypothesis_template="{}")}
    expected = (original.logit_scale.exp() * original.cosines(torch.from_numpy(clip)[None], LABELS)[0]).softmax(dim=0)
    assert expected.max() - expected.min() > 0.01
    assert [scores[label] for label in LABELS] == pytest.approx(expected.tolist(), abs=1e-4)


def test_training_noise_of_the_audio_configuration_is_off(converted):
    config = AutoModel.from_pretrained(converted).config
    assert (config.audio_config.layerdrop, config.audio_config.apply_spec_augment) == (0.0, False)
    assert (config.projection_dim, config.projection_dropout) == (16, 0.5)


def test_half_precision_of_a_configuration_does_not_reach_the_weights(original, folders, tmp_path):
    halved = audio_config()
    halved.dtype = torch.float16
    halved.save_pretrained(tmp_path / "audio")
    path = save_checkpoint(tmp_path, original.state_dict())
    convert(path, tmp_path / "out", tmp_path / "audio", folders[1])
    weights = AutoModel.from_pretrained(tmp_path / "out").state_dict()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    expected = original.audio_branch.base.feature_projection.projection.weight
    assert torch.equal(weights["audio_model.feature_projection.projection.weight"], expected)


def test_says_that_the_pooler_is_left_out(original, folders, tmp_path, caplog):
    convert(save_checkpoint(tmp_path, original.state_dict()), tmp_path / "out", *folders)
    assert "Left out on purpose: text_branch.base.pooler.dense.weight" in caplog.text
    caplog.clear()
    convert(save_checkpoint(tmp_path, original.state_dict(), without_pooler), tmp_path / "out", *folders)
    assert caplog.text == ""


def test_says_that_a_scale_beyond_the_limit_is_held(original, folders, tmp_path, caplog):
    state = original.state_dict() | {"logit_scale": torch.tensor(5.0)}
    convert(save_checkpoint(tmp_path, state), tmp_path / "out", *folders)
    assert "exp(5.000), is above 100" in caplog.text
    assert AutoModel.from_pretrained(tmp_path / "out").logit_scale().item() == pytest.approx(100)


# Refusals: each is one line, and nothing is written.


@pytest.fixture
def refusal(original, folders, tmp_path):
    """A function that converts, checks that it is refused, and returns what the error says."""

    def run(state=None, checkpoint=None, audio=folders[0], text=folders[1]):
        checkpoint = checkpoint or save_checkpoint(tmp_path, state or original.state_dict())
        with pytest.raises(ValueError, match=r"\w") as refused:
            convert(checkpoint, tmp_path / "out", audio, text)
        assert "\n" not in str(refused.value) and not (tmp_path / "out").is_dir()
        return str(refused.value).replace(str(tmp_path), "TMP")

    return run


@pytest.fixture
def text_folder(folders, tmp_path):
    """A copy of the text configuration and tokenizer, to spoil."""
    return shutil.copytree(folders[1], tmp_path / "text")


def test_a_configuration_of_the_hub_that_cannot_be_reached(refusal, tmp_path):
    assert "'nobody/nothing'" in (message := refusal(audio="nobody/nothing")) and "--audio-config" in message


def test_missing_file(refusal, tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("none.pth", "folder"):
        assert f"TMP/{name}" in refusal(checkpoint=tmp_path / name)


class Dangerous:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (self.target,))


@pytest.mark.parametrize("content", ["text", "empty", "truncated", "code", "pickled code"])
def test_file_that_is_no_checkpoint_of_tensors(content, original, refusal, tmp_path):
    path, target = save_checkpoint(tmp_path, original.state_dict()), tmp_path / "made-by-the-checkpoint"
    if content == "code":
        torch.save({"model": original.state_dict(), "note": Dangerous(str(target))}, path)
    else:
        pickled = pickle.dumps(Dangerous(str(target)))
        contents = {"text": b"hello", "empty": b"", "truncated": path.read_bytes()[:5000], "pickled code": pickled}
        path.write_bytes(contents[content])
    message = refusal(checkpoint=path)
    assert "TMP/best.pth.tar" in message and all(known.hub_id in message for known in KNOWN)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (torch.zeros(3), "a Tensor"),
        ({"state_dict": {}, "epoch": 3}, "state_dict, epoch"),
        ({1: torch.zeros(3)}, "entries 1"),
        ({"model": {}}, MARKER),
        (dict.fromkeys("abcde", torch.zeros(1)), "a, b, c and 2 more"),
        ({MARKER: torch.zeros(())}, MARKER),
    ],
)
def test_foreign_checkpoint(content, named, refusal, tmp_path):
    torch.save(content, tmp_path / "best.pth.tar")
    message = refusal(checkpoint=tmp_path / "best.pth.tar")
    assert "TMP/best.pth.tar" in message and named in message


def test_missing_and_unexpected_tensors_are_listed(original, refusal):
    state = original.state_dict()
    del state["text_projection.layer_norm.bias"], state["text_projection.linear2.weight"]
    # A foreign name, this package's own, and the old spelling of what is there in the new one already.
    unexpected = ["head.bias", "audio_model.masked_spec_embed"]
    unexpected.append("audio_branch.base.encoder.pos_conv_embed.conv.weight_g")
    message = refusal(state | dict.fromkeys(unexpected, torch.zeros(3)))
    assert (
        "text_projection.linear2.weight, text_projection.layer_norm.bias" in message
        and ", ".join(unexpected) in message
    )


def test_shapes_that_do_not_fit_the_configuration(refusal, text_folder):
    tiny.text_config(intermediate_size=31).save_pretrained(text_folder)
    message = refusal(text=text_folder)
    layer = "text_branch.base.encoder.layer.0"
    assert f"{layer}.intermediate.dense.weight of shape (30, 24) instead of (31, 24)" in message
    assert f"{layer}.intermediate.dense.bias of shape (30,) instead of (31,)" in message and "lacks" not in message


@pytest.mark.parametrize("tower", ["audio", "text"])
@pytest.mark.parametrize(
    "content",
    [
        *(None, "{oops", '{"model_type": "bert", "hidden_size": "wide"}'),
        '{"model_type": "foreign", "auto_map": {"AutoConfig": "code.Config"}}',  # not executed
    ],
)
def test_folder_without_a_configuration(tower, content, refusal, tmp_path):
    (tmp_path / "spoilt").mkdir()
    if content:
        (tmp_path / "spoilt" / "config.json").write_text(content)
    message = refusal(**{tower: tmp_path / "spoilt"})
    assert "'TMP/spoilt'" in message and f"--{tower}-config" in message


def test_configuration_of_an_unsupported_tower(refusal, folders):
    audio, text = folders
    assert "`bert`" in refusal(audio=text) and "`wav2vec2`" in refusal(text=audio)


def test_folder_without_a_tokenizer(refusal, text_folder):
    for file in text_folder.glob("token*"):  # transformers itself would make up five special tokens now
        file.unlink()
    assert "tokenizer" in refusal(text=text_folder)


def test_tokenizer_that_cannot_be_read(refusal, text_folder):
    (text_folder / "tokenizer.json").write_text("{oops")
    assert "'TMP/text'" in refusal(text=text_folder)


def test_tokenizer_with_more_tokens_than_the_tower(refusal, text_folder):
    tiny.text_config(vocab_size=100).save_pretrained(text_folder)
    message = refusal(text=text_folder)
    assert f"{len(tiny.tokenizer())} tokens" in message and "100" in message


def test_output_that_is_a_file(refusal, tmp_path):
    (tmp_path / "out").touch()
    assert "TMP/out" in refusal()


# The command


def test_command_writes_a_folder_that_carries_its_code(original, folders, tmp_path):
    path, (audio, text) = save_checkpoint(tmp_path, original.state_dict(), old_weight_norm, wrapped), folders
    output = tmp_path / "new" / "out"
    printed = smoothclap("convert", path, output, "--audio-config", audio, "--text-config", text).stdout
    assert str(output) in printed and f"rank --model {output}" in printed
    written = {file.name for file in output.iterdir()}
    assert {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"} <= written
    modules = ["configuration", "modeling", "towers", "loss", "feature_extraction", "processing"]
    assert {f"{module}_smoothclap.py" for module in modules} <= written
    assert '"AutoModel": "modeling_smoothclap.SmoothCLAPModel"' in (output / "config.json").read_text()
    assert type(AutoModel.from_pretrained(output)) is SmoothCLAPModel
    assert "nothing.pth" in error("convert", "nothing.pth", output)


def test_the_converted_model_records_what_paraclap_was_trained_on(converted):
    assert AutoModel.from_pretrained(converted).config.training_corpora == ["msp-podcast"]
