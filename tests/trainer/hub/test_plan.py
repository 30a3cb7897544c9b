"""Which files of a folder are uploaded, and which folders are refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

from modeling_smoothclap import SMOOTHCLAP_TINY
from smoothclap_trainer.clep_dg.acpt import ACPTSettings, untrained_bank
from smoothclap_trainer.hub.plan import plan
from smoothclap_trainer.towers import LoraSettings, add_lora, save_lora
from tests import tiny
from tests.hub.here import CARD, FILES, whole_checkpoint
from tests.trainer.clep_dg import encoders, judged_classifiers
from tests.trainer.evaluation.tiny_clap import clap


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return whole_checkpoint(tmp_path_factory.mktemp("original") / "checkpoint")


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "checkpoint"))


def change(path: Path, **entries) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_exactly_what_a_user_needs_goes(folder):
    upload = plan(folder)
    assert {file.name for file in upload.files} == FILES
    assert upload.size == sum((folder / name).stat().st_size for name in FILES)
    assert {file.name: file.what for file in upload.files}["thresholds.json"] == "thresholds of the captions"
    assert upload.left_out == (
        *("checkpoint-2/", "notes.json", "optimizer.pt", "rows.parquet", "trainer_state.json"),
        *("training_args.bin", "work/"),
    )


def test_links_to_the_packages_code_are_followed():
    files = {file.name: file for file in plan(SMOOTHCLAP_TINY).files}
    assert (Path(SMOOTHCLAP_TINY) / "modeling_smoothclap.py").is_symlink()
    assert files["modeling_smoothclap.py"].path == Path(SMOOTHCLAP_TINY).parents[1] / "modeling_smoothclap.py"
    assert files["modeling_smoothclap.py"].size > 1000
    assert files["README.md"].what == "model card"


@pytest.mark.parametrize("name", ["thresholds.json", "README.md", "model.safetensors", "loss_smoothclap.py"])
@pytest.mark.parametrize("inside", [True, False])
def test_other_links_are_refused(folder, name, inside):
    target = folder / "private" if inside else folder.parent / "private"
    (folder / name).rename(target)
    (folder / name).symlink_to(target)
    with pytest.raises(ValueError, match=re.escape(name)):
        plan(folder)


def test_a_linked_folder_of_plots_is_refused(folder):
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "map.png").write_bytes(b"a picture")
    (folder / "pictures").symlink_to(folder.parent / "elsewhere")
    (folder / "README.md").write_text(f"{CARD}\n![map](pictures/map.png)\n")
    with pytest.raises(ValueError, match="elsewhere"):
        plan(folder)


@pytest.mark.parametrize(
    "weight_map", [{"a": "../secret.safetensors"}, {"a": "/etc/hosts"}, {"a": "b\\c"}, {"a": 3}, ["a"], None]
)
def test_a_weight_map_reaches_nothing_else(folder, weight_map):
    (folder / "model.safetensors").rename(folder.parent / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json"):
        plan(folder)


@pytest.mark.parametrize("auto_map", ["../x", 3, {"AutoProcessor": -1}, {"AutoProcessor": [1.5]}])
def test_an_auto_map_that_names_no_code_is_refused(folder, auto_map):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": auto_map}))
    with pytest.raises(ValueError, match="auto_map"):
        plan(folder)


def test_a_card_in_another_encoding_is_refused(folder):
    (folder / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=re.escape(str(folder))):
        plan(folder)


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["[]", "3", "[" * 100_000])
def test_what_is_no_object_is_refused(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=re.escape(name)):
        plan(folder)


def test_shards_go_with_their_index_and_no_other_weights(folder):
    (folder / "model.safetensors").unlink()
    tiny.model().save_pretrained(folder, max_shard_size="20KB")
    shards = {path.name for path in folder.glob("model-*.safetensors")}
    assert len(shards) > 2
    (folder / "model-00001-of-00099.safetensors").write_bytes(b"of an earlier model")
    upload = plan(folder)
    assert {file.name for file in upload.files if file.what == "weights"} == {"model.safetensors.index.json", *shards}
    assert "model-00001-of-00099.safetensors" in upload.left_out


def test_adapters_go_with_their_base(folder):
    adapted = add_lora(tiny.model(), LoraSettings(lora_towers=["audio"]), freeze_audio=True, freeze_text=True)
    save_lora(adapted, tiny.processor(), folder, "adapter")
    weights = {file.name for file in plan(folder).files if file.what == "weights"}
    assert weights == {"model.safetensors", "adapter_config.json", "adapter_model.safetensors"}
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors"):
        plan(folder)


def test_what_the_card_shows_goes_and_nothing_outside_the_folder(folder):
    (folder / "pictures").mkdir()
    (folder / "pictures" / "map.png").write_bytes(b"a picture")
    (folder / "pictures" / "a map.png").write_bytes(b"a picture")
    (folder / "pictures" / "other.png").write_bytes(b"shown nowhere")
    (folder.parent / "secret.json").write_text("{}")
    links = "![map](./pictures/map.png) ![map](pictures/a%20map.png) [notes](notes.json#top)"
    links += " [all](work/model.safetensors) [no](../secret.json)"
    links += " [web](https://example.org/a.png) [gone](gone.png) [weights](model.safetensors)"
    (folder / "README.md").write_text(f"{CARD}\n{links}\n")
    upload = plan(folder)
    assert {file.name for file in upload.files} == FILES | {"pictures/map.png", "pictures/a map.png", "notes.json"}
    assert "pictures/" not in upload.left_out


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "model.safetensors", "README.md", "towers_smoothclap.py", "modeling_smoothclap.py"),
        *("processor_config.json", "tokenizer.json"),
    ],
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=re.escape(name)):
        plan(folder)


def test_a_missing_shard_is_named(folder):
    (folder / "model.safetensors").unlink()
    tiny.model().save_pretrained(folder, max_shard_size="20KB")
    gone = sorted(folder.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(ValueError, match=gone.name):
        plan(folder)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing"):
        plan(tmp_path / "nothing")


def test_truncated_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="checkpoint' cannot be loaded"):
        plan(folder)


@pytest.mark.parametrize("problem", ["missing keys", "unexpected keys"])
def test_weights_that_do_not_fit_are_refused(folder, problem):
    weights = load_file(folder / "model.safetensors")
    if problem == "missing keys":
        del weights["logit_scale.weight"]
    else:
        weights["more"] = torch.zeros(2)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    name = "logit_scale.weight" if problem == "missing keys" else "more"
    with pytest.raises(ValueError, match=f"{problem} {name}"):
        plan(folder)


def test_a_damaged_configuration_is_refused(folder):
    (folder / "config.json").write_text('{"model_type": ')
    with pytest.raises(ValueError, match=r"config\.json"):
        plan(folder)


def test_code_of_another_repository_is_refused(folder):
    auto_map = {"AutoConfig": "someone/else--configuration_smoothclap.SmoothCLAPConfig"}
    change(folder / "config.json", auto_map=json.loads((folder / "config.json").read_text())["auto_map"] | auto_map)
    with pytest.raises(ValueError, match=r"config\.json .*someone/else--"):
        plan(folder)


def test_a_pipeline_of_another_repository_is_refused(folder):
    change(folder / "config.json", custom_pipelines={"own": {"impl": "someone/else--pipe.Pipe", "pt": []}})
    with pytest.raises(ValueError, match=r"config\.json .*someone/else--"):
        plan(folder)


def test_a_pipelines_code_goes_along(folder):
    (folder / "pipe.py").write_text("class Pipe:\n    pass\n")
    change(folder / "config.json", custom_pipelines={"own": {"impl": "pipe.Pipe", "pt": []}})
    assert {"pipe.py", "pipeline_smoothclap.py"} <= {file.name for file in plan(folder).files}


def test_a_model_without_code_is_refused(folder):
    change(folder / "config.json", auto_map={"AutoConfig": "configuration_smoothclap.SmoothCLAPConfig"})
    with pytest.raises(ValueError, match="AutoModel"):
        plan(folder)


def test_a_stock_model_needs_no_code(tmp_path):
    text = {"vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    audio = {"spec_size": 16, "num_mel_bins": 16, "window_size": 2, "hidden_size": 8, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 4, "patch_size": 2, "patch_stride": 2}
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(tmp_path)
    ClapProcessor(ClapFeatureExtractor(feature_size=16), tiny.tokenizer()).save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(CARD)
    files = {file.name for file in plan(tmp_path).files}
    assert files > {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert not any(name.endswith(".py") for name in files)


def test_a_tokenizer_may_name_two_classes_or_none(folder):
    (folder / "tokenization_own.py").write_text("from .configuration_smoothclap import SmoothCLAPConfig\n")
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "tokenization_own.Tokenizer"]})
    assert "tokenization_own.py" in {file.name for file in plan(folder).files}


def test_thresholds_go_where_captions_were_made_with_them(folder):
    (folder / "thresholds.json").unlink()
    assert "thresholds.json" not in {file.name for file in plan(folder).files}
    (folder / "training_config.yaml").write_text("captions: given\n")
    assert "training_config.yaml" in {file.name for file in plan(folder).files}
    for said in ("captions: full\n", "seed: 1\n", ""):
        (folder / "training_config.yaml").write_text(said)
        with pytest.raises(ValueError, match=r"thresholds\.json"):
            plan(folder)


def test_damaged_thresholds_are_refused(folder):
    own = json.loads((folder / "thresholds.json").read_text())
    (folder / "thresholds.json").write_text(json.dumps({"corpora": {"queen": own}}))
    assert "thresholds.json" in {file.name for file in plan(folder).files}
    for content in ("[]", '{"corpora": {"queen": {}}}'):
        (folder / "thresholds.json").write_text(content)
        with pytest.raises(ValueError, match=r"thresholds\.json"):
            plan(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            ("training_config.yaml", 'captions: given\nname: "cut'),
            ("training_log.yaml", "- {loss: 1"),
            ("data.json", '{"a'),
        ),
        *(("attributes.csv", "a,b\n1,2\n3\n"), ("results.json", ""), ("loss_smoothclap.py", "def f(")),
    ],
)
def test_a_damaged_record_is_named_in_one_line(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        plan(folder)
    assert "damaged" in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("size", [0, 9000, -1])
def test_code_that_was_cut_is_named(folder, size):
    path = folder / "modeling_smoothclap.py"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"modeling_smoothclap\.py|auto_map"):
        plan(folder)


def test_a_path_of_another_machine_never_goes(folder):
    change(folder / "config.json", _name_or_path="/scratch/alice/model")
    with pytest.raises(ValueError, match=r"config\.json, line \d+: '/scratch/alice/model'"):
        plan(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_never_go(folder, value):
    weights = load_file(folder / "model.safetensors")
    weights["audio_projection.linear1.weight"][1, 2] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"audio_projection\.linear1\.weight"):
        plan(folder)


def test_a_configuration_of_another_size_is_not_built(folder):
    config = json.loads((folder / "config.json").read_text())
    change(folder / "config.json", text_config=config["text_config"] | {"num_hidden_layers": 10**7})
    with pytest.raises(ValueError, match="num_hidden_layers: 10000000"):
        plan(folder)


@pytest.mark.parametrize("name", ["README.md", "training_config.yaml", "data.json", "loss_smoothclap.py"])
def test_a_path_of_this_machine_never_goes(folder, name, tmp_path):
    text = (folder / name).read_text() if (folder / name).exists() else ""
    (folder / name).write_text(f"{text}\n# from {tmp_path / 'clips.csv'}\n")
    with pytest.raises(ValueError, match=f"{re.escape(name)}, line {text.count(chr(10)) + 2}:.*clips"):
        plan(folder)


def test_an_access_token_never_goes(folder):
    (folder / "training_config.yaml").write_text(f"captions: given\nhub_token: hf_{'a1' * 17}\n")
    with pytest.raises(ValueError, match=r"training_config\.yaml"):
        plan(folder)


def test_looking_draws_no_random_numbers(folder):
    before = torch.get_rng_state()
    plan(folder)
    assert torch.equal(torch.get_rng_state(), before)


# Classifiers


@pytest.fixture(scope="module")
def saved_classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    judged_classifiers.save(tiny.checkpoint(folder / "encoder"), folder / "classifier")
    (folder / "classifier" / "README.md").write_text(CARD)
    (folder / "classifier" / "tokenizer.json").write_text("{}")  # of something that lay there before
    return folder / "classifier"


@pytest.fixture
def classifier(saved_classifier, tmp_path):
    return Path(shutil.copytree(saved_classifier, tmp_path / "classifier"))


def test_a_classifier_goes_with_its_feature_extractor_and_its_code_and_no_tokenizer(classifier):
    upload = plan(classifier)
    names = {file.name for file in upload.files}
    assert {name for name in names if not name.endswith(".py")} == {
        *("README.md", "config.json", "model.safetensors", "preprocessor_config.json"),
    }
    assert {"classification_smoothclap.py", "feature_extraction_smoothclap.py"} < names
    assert "processing_smoothclap.py" not in names
    assert upload.left_out == ("tokenizer.json",)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "README.md", "classification_smoothclap.py"])
def test_a_part_that_a_classifier_lacks_is_named(classifier, name):
    (classifier / name).unlink()
    with pytest.raises(ValueError, match=re.escape(name)):
        plan(classifier)


def test_a_classifier_is_tried_before_it_goes(classifier):
    weights = load_file(classifier / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, classifier / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"missing keys classifier\.weight"):
        plan(classifier)


def test_a_classifier_without_code_is_refused(classifier):
    change(classifier / "config.json", auto_map={"AutoConfig": "configuration_smoothclap.SmoothCLAPConfig"})
    with pytest.raises(ValueError, match="AutoModelForAudioClassification"):
        plan(classifier)


def test_what_is_shared_in_another_way_is_named(tmp_path):
    judged_classifiers.save(clap(tmp_path / "clap"), tmp_path / "vectors")
    with pytest.raises(ValueError, match=r"vectors.*hf upload"):
        plan(tmp_path / "vectors")
    untrained_bank(encoders.encoder(), encoders.SHORT, ACPTSettings(num_contexts=1)).save_pretrained(tmp_path / "bank")
    with pytest.raises(ValueError, match=r"bank.*push_to_hub"):
        plan(tmp_path / "bank")
