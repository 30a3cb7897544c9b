"""What a run refuses, what it leaves behind, and that it publishes once, when all of that is there."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from datasets import Dataset, DatasetDict
from huggingface_hub import ModelCard
from transformers import AutoConfig

from smoothclap_trainer import SmoothCLAPTrainer
from smoothclap_trainer.data.captions.thresholds import load_thresholds
from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.hub.card import write_model_card
from smoothclap_trainer.hub.privacy import shareable
from smoothclap_trainer.settings import DataSettings
from smoothclap_trainer.train import joined, load_manifests
from tests.invariants import command_line


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Settings of a step on 6 clips of two corpora and, for validation, 2 of another."""
    folder = tmp_path_factory.mktemp("runs")
    encoders = command_line.encoders(folder / "encoders")
    dataset = command_line.manifest(folder / "data", train=6, validation=2)
    corpora = ["queen", "drascula", "queen", "queen", "queen", "queen", "iemocap", "iemocap"]
    pd.read_csv(dataset).assign(corpus=corpora, speaker=corpora).to_csv(dataset, index=False)

    def settings(name, dataset=dataset, **changes):
        return command_line.settings(folder / name, dataset, encoders, **{"max_steps": 1} | changes)

    return settings


def test_missing_files_stay_in_the_rows_where_bad_clips_are_skipped(tmp_path):
    (tmp_path / "clips.csv").write_text("id,path\na,gone.wav\n")
    dataset = [str(tmp_path / "clips.csv")]
    assert load_manifests(DataSettings(dataset=dataset, bad_clips="skip"))["train"]["id"][:] == ["a"]
    for policy in ("raise", "trust"):
        with pytest.raises(ValueError, match=r"gone\.wav"):
            load_manifests(DataSettings(dataset=dataset, bad_clips=policy))


def test_manifests_are_joined_by_split_and_may_have_other_columns():
    first = DatasetDict(train=Dataset.from_dict({"id": ["a"], "label": ["sad"]}))
    second = DatasetDict(train=Dataset.from_dict({"id": ["b"]}), test=Dataset.from_dict({"id": ["c"]}))
    both = joined("12", [first, second])
    assert both["train"].to_dict() == {"id": ["a", "b"], "label": ["sad", None]}
    assert both["test"]["id"] == ["c"]
    with pytest.raises(ValueError, match="'a'"):
        joined("11", [first, first])


LORA = {"lora_towers": ["audio"], "lora_rank": 2, "freeze_audio_tower": None}


@pytest.mark.parametrize(
    "how",
    [{"storage_dtype": "float16"}, LORA | {"lora_save": "merged"}, LORA | {"lora_save": "adapter"}],
    ids=["half", "merged", "adapter"],
)
def test_however_it_is_saved_the_model_says_what_it_heard_and_has_its_card(make, how):
    config = make("-".join(map(str, how.values())).replace("/", ""), **how)
    out = Path(config["output_dir"])
    command_line.train(config)
    assert AutoConfig.from_pretrained(out).training_corpora == ["drascula", "iemocap", "queen"]
    text = (out / "README.md").read_text()
    card = ModelCard(text).data
    assert (card.language, card.library_name) == (["en", "de"], "transformers")
    assert card.base_model is None  # the encoders are folders
    for told in ("# out\n", "| train | queen | 5 |", "| validation | iemocap | 2 |", "`drascula`, `iemocap`, `queen`"):
        assert told in text
    assert "## Objective" in text and "## Validation results" in text and "| uar |" in text


def test_captions_for_corpora_that_differ(make):
    said = {"thresholds_by_corpus": True, "max_phrases": 2, "always_emotion": False}
    config = make("by-corpus", **said)
    rows = pd.read_csv(config["dataset"]).assign(corpus=["real", "made"] * 4, emotion=["happy", None] * 4)
    config["dataset"] = str(Path(config["dataset"]).with_name("two-corpora.csv"))
    rows.to_csv(config["dataset"], index=False)
    trained = command_line.train(config)
    out = Path(config["output_dir"])
    thresholds = load_thresholds(out / "thresholds.json")
    assert thresholds == trained.data_collator.thresholds
    assert {name: own.num_rows for name, own in thresholds.corpora.items()} == {"made": 3, "real": 3}
    assert yaml.safe_load((out / "training_config.yaml").read_text()).items() >= said.items()
    assert "`made` has 3, `real` has 3" in (out / "README.md").read_text()
    assert (out / "metrics.json").is_file()  # validation clips had captions, too
    rows["corpus"] = rows["corpus"].where(rows["split"] == "train", "other")
    rows.to_csv(config["dataset"], index=False)
    with pytest.raises(ValueError, match=r"\['other'\]"):
        command_line.train(config | {"output_dir": str(out / "again")})


def test_going_on_from_a_run_adds_to_its_record(make, tmp_path):
    start = make("start")
    command_line.train(start)
    dataset = tmp_path / "other.csv"
    rows = pd.read_csv(start["dataset"]).drop(columns=["corpus", "speaker"])
    rows.assign(path=[str(Path(start["dataset"]).parent / path) for path in rows["path"]]).to_csv(dataset, index=False)
    encoders = dict.fromkeys(("audio_encoder", "text_encoder", "projection_dim", "projection_dropout"))
    changes = encoders | {"model": start["output_dir"], "dataset": str(dataset)}
    config = make("on", **changes)
    command_line.train(config)
    recorded = AutoConfig.from_pretrained(config["output_dir"]).training_corpora
    assert recorded == ["drascula", "iemocap", "queen", "unrecorded"]
    origin = json.loads((Path(config["output_dir"]) / "origin.json").read_text())
    assert origin == {"model": {"name": "out", "hub": False, "revision": None}, "datasets": []}


def listed(config):
    found = json.loads((Path(config["output_dir"]) / "licences.json").read_text())
    return {each["name"]: (each["kind"], each["licence"]) for each in found}


def test_the_licences_of_all_inputs_are_recorded_and_those_of_an_earlier_run_stay(make):
    start = make("licensed", licences={"queen": "CC BY-NC 4.0", "drascula": "CC0-1.0"})
    audio, text = (Path(start[f"{tower}_encoder"]) for tower in ("audio", "text"))
    start["licences"][str(audio)] = "mit"
    (text / "licences.json").write_text('[{"kind": "teacher", "name": "e5", "licence": "MIT"}]')
    command_line.train(start)
    assert listed(start) == {
        "audio": ("audio encoder", "mit"),
        "e5": ("teacher", "MIT"),
        "queen": ("corpus", "CC BY-NC 4.0"),
        "drascula": ("corpus", "CC0-1.0"),
        "iemocap": ("corpus", EMOTION_CORPORA["iemocap"].licence),
    }
    out = Path(start["output_dir"])
    assert "| `queen` | corpus | CC BY-NC 4.0 | non-commercial |" in (out / "README.md").read_text()
    encoders = dict.fromkeys(("audio_encoder", "text_encoder", "projection_dim", "projection_dropout"))
    config = make("licensed-on", model=str(out), licences={"e5": "apache-2.0"}, **encoders)
    command_line.train(config)
    assert listed(config) == listed(start) | {"e5": ("teacher", "apache-2.0")}
    write_model_card(out, front_matter={"license": "cc-by-nc-sa-4.0"})
    command_line.train(config)
    assert listed(config)["out"] == ("model", "cc-by-nc-sa-4.0")
    for path in (audio, text):
        (path / "licences.json").unlink(missing_ok=True)


def test_a_licence_that_an_input_rules_out_ends_a_run_before_its_first_step(make):
    config = make("not-free", licences={"queen": "CC BY-NC 4.0"})
    out = Path(config["output_dir"])
    out.mkdir(parents=True)
    (out / "notes.md").write_text("---\nlicense: apache-2.0\n---\n")
    with pytest.raises(ValueError, match=r"apache-2\.0.*queen|apache-2\.0.*iemocap"):
        command_line.train(config)
    assert not (out / "model.safetensors").exists()
    with pytest.raises(ValueError, match="quene"):
        command_line.train(make("mistyped", licences={"quene": "mit"}))


def test_figures_sources_and_adapters_of_an_earlier_run_do_not_stay(make):
    config = make("again", save_strategy="no")
    out = Path(config["output_dir"])
    out.mkdir(parents=True)
    stale = {"zero_shot.json", "attributes.csv", "provenance.json", "standardisation.json"}
    stale |= {"adapter_config.json", "adapter_model.safetensors"}  # which transformers would apply to the new weights
    for name in stale:
        (out / name).write_text("of other weights")
    Path(config["dataset"]).with_name("provenance.json").write_text('[{"name": "not of this manifest"}]')
    command_line.train(config)
    assert not stale & {path.name for path in out.iterdir()}


def test_corpora_are_left_out_by_name_and_their_files_are_not_read(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.wav").write_bytes(name.encode())
    rows = "path,corpus,split\na.wav,queen,train\nb.wav,king,train\nc.wav,king,test\nd.wav,,train\n"
    (tmp_path / "clips.csv").write_text(rows)
    speakers = "speakers: {train: [OA], test: [YA]}\n"
    (tmp_path / "tess.yaml").write_text("corpus: tess\ndata_root: gone\n" + speakers)
    files = [str(tmp_path / "clips.csv"), str(tmp_path / "tess.yaml")]
    clips = load_manifests(DataSettings(dataset=files, leave_out=["tess", "king"]))
    assert {split: rows["id"][:] for split, rows in clips.items()} == {"train": ["a.wav", "d.wav"]}
    with pytest.raises(ValueError, match=r"\['kin'\].* 'king'\?"):
        load_manifests(DataSettings(dataset=files, leave_out=["tess", "kin"]))
    with pytest.raises(ValueError, match=r"\['tes'\].* 'tess'\?"):
        load_manifests(DataSettings(dataset=[files[1], files[0]], leave_out="tes"))  # not that the corpus is gone
    with pytest.raises(ValueError, match=r"\['tess'\]"):
        load_manifests(DataSettings(dataset=files[1], leave_out="tess"))
    with pytest.raises(ValueError, match="gone"):
        load_manifests(DataSettings(dataset=files))


def test_where_built_clips_are_from_goes_along(make, tmp_path):
    """A folder that a builder wrote has its provenance beside the clips."""
    config = make("built")
    command_line.train(config)  # leaves a folder of prepared clips
    built = Path(config["output_dir"]) / "work" / "clips"
    (built / "provenance.json").write_text('[{"name": "queen", "licence": "free", "notes": "Acted."}]')
    again = make("from-built", dataset=str(built))
    command_line.train(again)
    assert json.loads((Path(again["output_dir"]) / "provenance.json").read_text())[0]["name"] == "queen"
    assert "`queen`: Acted." in (Path(again["output_dir"]) / "README.md").read_text()


def test_a_run_is_published_once_when_all_is_there_and_without_its_token(make, monkeypatch):
    pushed = []

    def push_folder(self, folder, message=None):
        pushed.append((message, {path.name for path in Path(folder).iterdir()}))

    monkeypatch.setattr(SmoothCLAPTrainer, "push_folder", push_folder)
    monkeypatch.setattr(SmoothCLAPTrainer, "init_hf_repo", lambda self: setattr(self, "hub_model_id", "user/fine"))
    config = make("published", push_to_hub=True, hub_token="secret", hub_model_id="fine")
    command_line.train(config)
    ((message, there),) = pushed
    assert message == "End of training"
    assert {"model.safetensors", "config.json", "README.md", "thresholds.json", "data.json", "metrics.json"} <= there
    out = Path(config["output_dir"])
    assert 'checkpoint = "user/fine"' in (out / "README.md").read_text()
    said = yaml.safe_load((out / "training_config.yaml").read_text())
    assert said == {name: shareable(value) for name, value in config.items() if name != "hub_token"}
    assert b"secret" not in b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
