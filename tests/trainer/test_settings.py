import pytest
import yaml

from smoothclap_trainer.settings import DataSettings, ModelSettings, read_settings


NEW = {"audio_encoder": "a", "text_encoder": "t"}
LEAST = {**NEW, "dataset": "clips.csv", "output_dir": "out", "use_cpu": True, "report_to": "none"}


def config(folder, **said):
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(LEAST | said))
    return file


def test_the_command_line_takes_precedence(tmp_path):
    overrides = ["--seed", "3", "--targets", "[labels, tags]", "--output_dir", "elsewhere", "--columns", "{emotion: E}"]
    (model, data, lora, arguments), said = read_settings(config(tmp_path, seed=1, lora_rank=4), overrides)
    assert (model.audio_encoder, data.dataset, lora.lora_rank) == ("a", ["clips.csv"], 4)
    assert (arguments.seed, arguments.targets, arguments.output_dir) == (3, ["labels", "tags"], "elsewhere")
    assert data.columns == {"emotion": "E"}
    assert said["seed"] == 3
    assert said["dataset"] == "clips.csv"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--sead", "3"], r"Unknown settings \['sead'\]"),
        (["--seed"], "come in pairs.*'--seed'"),
        (["seed", "3"], "come in pairs"),
        (["--beta", "2"], "`beta`.*got 2"),
        (["--dataset", "[a, b]", "--corpora", "[drascula]"], "`dataset` names 2"),
        (["--corpora", "[nobody]"], r"Unknown `corpora` \['nobody'\]"),
        (["--bad_clips", "ignore"], "`bad_clips`"),
        (["--captions", "rhymed"], "`captions`"),
        (["--cache_audio_tower", "true"], "`crops_per_clip`"),
        (["--storage_dtype", "int8"], "`storage_dtype`"),
    ],
)
def test_wrong_settings_are_named(tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        read_settings(config(tmp_path), overrides)


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "is no YAML"), ("- a", "holds no settings"), ("audio_encoder: a", "set `dataset`")],
)
def test_files_that_are_no_settings(tmp_path, content, message):
    file = tmp_path / "run.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_settings(file)
    with pytest.raises(ValueError, match="There is no file"):
        read_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "said", [{}, {"audio_encoder": "a"}, {"model": "m", "text_encoder": "t"}, {"model": "m", **NEW}]
)
def test_a_model_starts_from_a_checkpoint_or_from_two_encoders(said):
    with pytest.raises(ValueError, match="either `model`"):
        ModelSettings(**said)


def test_crops_known_beforehand_can_be_cached():
    DataSettings(dataset=["d"], cache_audio_tower=True, crop_seconds=None)
    DataSettings(dataset=["d"], cache_audio_tower=True, crops_per_clip=4)
