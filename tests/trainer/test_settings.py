import pytest
import yaml

from smoothclap_trainer.config import DataSettings, ModelSettings, ignored_settings, read_settings


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
        (["--bad_clips", "ignore"], "`bad_clips`"),
        (["--captions", "rhymed"], "`captions`"),
        (["--cache_audio_tower", "true"], "`crops_per_clip`"),
        (["--storage_dtype", "int8"], "`storage_dtype`"),
        (["--help", "me"], r"Unknown settings \['help'\]"),
        (["--targets", "[labels"], r"value '\[labels' of `--targets` is no YAML"),
        (["--seed", "abc"], "`seed` takes a whole number, not 'abc'"),
        (["--seed", "null"], "`seed` takes a whole number, not None"),
        (["--crop_seconds", "5s"], "`crop_seconds` takes a number or null, not '5s'"),
        (["--loss_tile", "2.5"], "`loss_tile` takes a whole number or null, not 2.5"),
        (["--beta", "text", "--bf16", "1"], r"`beta` takes a number, not 'text'\.\n`bf16` takes true or false, not 1"),
        (["--targets", "{a: b}"], r"`targets` takes a list of texts, not \{'a': 'b'\}"),
        (
            ["--columns", "emotion"],
            "`columns` takes a mapping of texts to texts or a list of mappings of texts to texts",
        ),
        (["--crop_seconds", "-1"], "`crop_seconds` or `crops_per_clip` is wrong: .*not -1"),
        (["--crops_per_clip", "0"], "`crop_seconds` or `crops_per_clip` is wrong: .*is 0"),
        (["--languages", "fr"], "no wordings in language 'fr'"),
        (["--languages", "[]"], "`languages` is empty"),
        (["--caption_groups", "[pitch, mood]"], r"unknown caption groups \['mood'\]"),
        (
            ["--acoustic_conditions", "[clean, rain]"],
            r"`acoustic_conditions` has 'rain'; there are \['clean', .*\]\.$",
        ),
        (["--acoustic_conditions", "[clean, noise10db]"], r"has 'noise10db'; did you mean 'noise-10db'\?$"),
        (["--acoustic_conditions", "[codec, codec]"], r"`acoustic_conditions` is wrong: .*\['codec'\] come more than"),
        (
            ["--acoustic_conditions", "rain", "--cache_audio_tower", "true", "--crop_seconds", "0.05"],
            r"has 'rain'; .*\n.*`cache_audio_tower` keeps one output.*\n.*`crop_seconds` of at least 0\.06, not 0\.05",
        ),
        (["--columns", "[{emotion: E}, {}]"], "`columns` lists 2 mappings for 1 manifests in `dataset`"),
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


def test_floats_without_a_point_are_numbers(tmp_path):
    file = config(tmp_path)
    file.write_text(file.read_text() + "learning_rate: 1e-5\nweight_decay: 2E-2\n")
    overrides = ["--text_learning_rate", "2e-4", "--num_train_epochs", "1E1", "--target_weights", "[5e-1, 0.5]"]
    (_, _, _, arguments), said = read_settings(file, overrides)
    assert (arguments.learning_rate, arguments.text_learning_rate, arguments.weight_decay) == (1e-5, 2e-4, 0.02)
    assert (arguments.num_train_epochs, arguments.target_weights) == (10.0, [0.5, 0.5])
    assert said["learning_rate"] == 1e-5


def test_one_value_is_a_list_of_one(tmp_path):
    overrides = ["--languages", "de", "--targets", "tags", "--caption_groups", "emotion"]
    (_, data, lora, arguments), _ = read_settings(config(tmp_path), [*overrides, "--lora_towers", "audio"])
    assert (data.languages, data.caption_groups) == (["de"], ["emotion"])
    assert (arguments.targets, lora.lora_towers) == (["tags"], ["audio"])
    one = DataSettings(dataset="d", languages="de", acoustic_conditions="telephone")
    assert (one.languages, one.acoustic_conditions) == (["de"], ["telephone"])


def test_text_stays_as_it_is_written(tmp_path):
    overrides = ["--run_name", "007", "--save_strategy", "no", "--dataset", "[1e5, 2024-05-01]"]
    (_, data, _, arguments), said = read_settings(config(tmp_path), overrides)
    assert (arguments.run_name, arguments.save_strategy, data.dataset) == ("007", "no", ["1e5", "2024-05-01"])
    assert (said["run_name"], said["save_strategy"]) == ("007", "no")


@pytest.mark.parametrize(
    ("written", "value"), [("true", True), ("yes", True), ("false", False), ("out/c-1", "out/c-1")]
)
def test_resuming_takes_true_or_a_folder(tmp_path, written, value):
    arguments = read_settings(config(tmp_path), ["--resume_from_checkpoint", written])[0][3]
    assert arguments.resume_from_checkpoint == value


def test_manifests_may_share_column_names_or_have_their_own(tmp_path):
    shared = DataSettings(dataset=["a", "b"], columns={"emotion": "E"})
    assert shared.column_maps == [{"emotion": "E"}, {"emotion": "E"}]
    assert DataSettings(dataset=["a", "b"]).column_maps == [{}, {}]
    overrides = ["--dataset", "[a, b]", "--columns", "[{emotion: 1}, {}]"]
    assert read_settings(config(tmp_path), overrides)[0][1].column_maps == [{"emotion": "1"}, {}]
    with pytest.raises(ValueError, match=r"`columns` is a mapping.*'E' is no mapping"):
        DataSettings(dataset=["a"], columns=["E"])


CHECKPOINT = {"model": "m", "audio_encoder": None, "text_encoder": None}
INFONCE = {"beta": 0, "kl_reading": "forward"}
SOFT = ["target_weights", "gamma", "audio_temperature", "tag_temperature", "functionals_temperature", "detach_targets"]


@pytest.mark.parametrize(
    ("said", "ignored"),
    [
        ({"gamma": 0.3}, {}),
        ({"gamma": 0.3, "target_weights": [0.5, 0.5]}, {"gamma": "`target_weights` says"}),
        ({"gamma": 0.3, "targets": "tags"}, {"gamma": "one target"}),
        ({"gamma": 0.3, "targets": ["tags"], "target_weights": [1.0]}, {"gamma": "`target_weights` says"}),
        (
            {**INFONCE, "targets": "tags", "gamma": 0.3, "target_weights": [1.0], "detach_targets": False}
            | dict.fromkeys(SOFT[2:5], 0.1),
            dict.fromkeys(["targets", *SOFT], "no soft part"),
        ),
        ({**INFONCE, "targets": [], "target_weights": None}, {}),
        ({"projection_dim": 8, "projection_dropout": 0.0, "max_frequency": 8000}, {}),
        (
            {**CHECKPOINT, "projection_dim": 8, "projection_dropout": 0.0, "max_frequency": 8000},
            dict.fromkeys(["projection_dim", "projection_dropout", "max_frequency"], "`model` goes on"),
        ),
        ({"caption_groups": "pitch", "languages": "de"}, {}),
        (
            {"captions": "given", "caption_groups": "pitch", "languages": "de"},
            dict.fromkeys(["caption_groups", "languages"], "captions: given"),
        ),
        ({"lora_towers": "text", "lora_rank": 4, "lora_save": "adapter"}, {}),
        ({"lora_rank": 4, "lora_save": "adapter"}, dict.fromkeys(["lora_rank", "lora_save"], "`lora_towers`")),
        ({"acoustic_conditions": "clean"}, {"acoustic_conditions": "as recorded"}),
        ({"acoustic_conditions": ["clean", "codec"], "crop_seconds": 0.06}, {}),
        ({"acoustic_conditions": [], "cache_audio_tower": True, "crops_per_clip": 4}, {}),
        ({"crops_per_clip": 4}, {}),
        ({"crops_per_clip": 4, "crop_seconds": None}, {"crops_per_clip": "crop_seconds: null"}),
    ],
)
def test_what_is_said_in_vain(tmp_path, said, ignored):
    settings, all_said = read_settings(config(tmp_path, **said))
    sentences = ignored_settings(all_said, settings)
    assert [sentence.split("`")[1] for sentence in sentences] == list(ignored)
    for sentence, why in zip(sentences, ignored.values(), strict=True):
        assert " has no effect: " in sentence
        assert why in sentence
