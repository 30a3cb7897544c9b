"""What fails in a training run is reported in a few words: no traceback, no half-made checkpoint, and no hanging."""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from smoothclap_trainer import checkpoints
from smoothclap_trainer.data import acoustic_effects
from smoothclap_trainer.files import held
from tests import tiny
from tests.invariants import command_line
from tests.smoothclap import error


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    return command_line.encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def make(tmp_path, encoders):
    """Settings of a run on clips of the test's own."""

    def settings(clips=6, validation=0, **changes):
        dataset = command_line.manifest(tmp_path / "data", clips, validation)
        return command_line.settings(tmp_path / "run", dataset, encoders, **changes)

    return settings


def failed(config, *overrides):
    """Run the command, which has to fail; return the error that it prints."""
    return error("train", command_line.written(config), *overrides)


def assert_nothing_saved(config):
    """Only work in progress is there, so that the run can be started again as it was."""
    output = Path(config["output_dir"])
    assert not output.exists() or {path.name for path in output.iterdir()} <= {"work"}


def test_two_runs_do_not_share_a_folder(make):
    """The second one is refused before it reads a clip."""
    config = make()
    with ThreadPoolExecutor() as pool:  # each thread counts as a run
        first = held(config["output_dir"])
        pool.submit(first.__enter__).result()
        assert f"process {os.getpid()}" in failed(config)
        pool.submit(first.__exit__, None, None, None).result()
    assert_nothing_saved(config)


def change(config, edit):
    """Edits the manifest's table."""
    rows = pd.read_csv(config["dataset"])
    pd.DataFrame(edit(rows)).to_csv(config["dataset"], index=False)


def cut(path, share=0.5):
    """Truncates a file."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(share * len(content))])


def clip(config, index):
    return Path(config["dataset"]).with_name(f"{index}.wav")


def faulty_manifest(rows):
    rows.loc[1, "path"] = "gone.wav"
    rows.loc[2, "split"] = "trian"
    rows.loc[3, "id"] = rows.loc[0, "id"]
    rows.loc[4, "duration"] = -1
    return rows


MANIFEST_FAULTS = (
    "row 3, column 'path': .*gone.wav",
    "row 4, column 'split': .*'trian'",
    "row 5, column 'id': 'clip-0' .* row 2",
    "row 6, column 'duration': .*-1",
)


def test_all_faults_of_a_manifest_are_listed(make):
    config = make()
    change(config, faulty_manifest)
    said = failed(config)
    for fault in MANIFEST_FAULTS:
        assert re.search(fault, said), said
    assert_nothing_saved(config)


def test_a_faulty_manifest_stops_both_processes(make):
    """The second waits for the first, which fails."""
    config = make(per_device_train_batch_size=2)
    change(config, faulty_manifest)
    with command_line.start(config, world_size=2) as started:
        assert started.end() == [1, 1], started.printed()
        printed = started.printed()
    assert printed.count("error: ") == 2 and "clips.csv" in printed
    assert "Traceback" not in printed
    assert_nothing_saved(config)


def damage(config):
    """Clips 1 to 3: truncated, without a sample, no audio at all."""
    cut(clip(config, 1))
    sf.write(clip(config, 2), np.zeros(0, dtype=np.float32), tiny.SAMPLING_RATE)
    clip(config, 3).write_text("not audio")


def test_bad_clips_are_listed(make):
    config = make()
    damage(config)
    said = failed(config)
    for problem in ("clip-1: truncated", "clip-2: empty", "clip-3: unreadable"):
        assert problem in said
    assert_nothing_saved(config)


def test_bad_clips_are_skipped_and_reported(make, logs):
    config = make(bad_clips="skip")
    damage(config)
    trainer = command_line.train(config)
    assert [row["id"] for row in trainer.train_dataset] == ["clip-0", "clip-4", "clip-5"]
    assert all(problem in logs.text for problem in ("3 of 6", "truncated", "empty", "unreadable"))
    report = pd.read_csv(Path(config["output_dir"]) / "work" / "bad_train_clips.csv")
    assert dict(zip(report["id"], report["problem"], strict=True)) == {
        "clip-1": "truncated",
        "clip-2": "empty",
        "clip-3": "unreadable",
    }


def test_a_cut_clip_that_nobody_checked(make):
    config = make(bad_clips="trust", targets=["tags"])
    cut(clip(config, 1))
    said = failed(config)
    assert "'clip-1'" in said and "truncated" in said
    assert_nothing_saved(config)


def test_a_clip_that_vanishes_during_a_run_of_two_processes(make):
    """One process fails while the other waits for its embeddings. Both end, and what was saved is whole."""
    config = make(12, per_device_train_batch_size=2, targets=["tags"], max_steps=1000)
    config |= {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 2}
    with command_line.start(config, world_size=2) as started:
        started.wait_for(lambda: "'loss'" in started.printed())
        clip(config, 7).unlink()
        assert 0 not in started.end()
        assert "'clip-7'" in started.printed()
    output = Path(config["output_dir"])
    assert not (output / "model.safetensors").exists()
    assert checkpoints.last_whole_checkpoint(output) is not None


def test_a_cut_checkpoint_is_not_resumed_from(make):
    config = make(save_strategy="steps", save_steps=1)
    command_line.train(config)
    output = Path(config["output_dir"])
    cut(output / "checkpoint-3" / "model.safetensors")
    said = failed(config, "--resume_from_checkpoint", str(output / "checkpoint-3"))
    assert "model.safetensors" in said and "truncated" in said
    assert "checkpoint-3" in failed(config)  # which would be overwritten


def test_a_cut_or_foreign_start(make, tmp_path):
    tiny.checkpoint(tmp_path / "start")
    new_model = dict.fromkeys(("audio_encoder", "text_encoder", "projection_dim", "projection_dropout"))
    config = make(model=str(tmp_path / "start"), **new_model)
    cut(tmp_path / "start" / "model.safetensors")
    assert str(tmp_path / "start") in failed(config)
    tower = command_line.encoders(tmp_path / "encoders")["text_encoder"]
    assert tower in failed(config | {"model": tower})
    assert_nothing_saved(config)


@pytest.mark.parametrize(
    ("edit", "changes", "reported"),
    [
        (lambda rows: rows.drop(columns="path"), {}, "path"),
        (lambda rows: rows.drop(columns="caption"), {"captions": "given", "languages": None}, "caption"),
        (lambda rows: rows.assign(corpus="queen"), {"leave_out": ["quene"]}, "'queen'?"),
    ],
)
def test_data_that_cannot_be_trained_on_is_reported_before_weights_are_loaded(make, tmp_path, edit, changes, reported):
    """The weights, which could not be loaded, are not looked at."""
    tiny.checkpoint(tmp_path / "start")
    cut(tmp_path / "start" / "model.safetensors")
    new_model = dict.fromkeys(("audio_encoder", "text_encoder", "projection_dim", "projection_dropout"))
    config = make(model=str(tmp_path / "start"), **new_model | changes)
    change(config, edit)
    said = failed(config)
    assert reported in said and str(tmp_path / "start") not in said
    assert_nothing_saved(config)


def test_what_acoustic_conditions_need_is_missed_before_anything_is_loaded(make, monkeypatch):
    """Neither the manifest nor the encoder, which are not there, is looked for."""
    acoustic_effects._impulse_response.cache_clear()
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    gone = {"dataset": "none.csv", "audio_encoder": "none/none/none"}
    config = make(acoustic_conditions=["clean", "room-small"]) | gone
    assert "smoothclap[acoustics]" in failed(config)
    assert_nothing_saved(config)


@pytest.mark.parametrize("role", ["audio_encoder", "text_encoder", "local_feature_encoder"])
def test_a_mistyped_encoder_is_one_sentence_before_any_clip_is_read(make, role):
    config = make()
    clip(config, 1).unlink()
    said = failed(config | {role: config["text_encoder"].replace("text", "txet")})
    assert "txet" in said and "clip" not in said and said.count("\n") == 1


@pytest.mark.parametrize("clips", [5, 9])
def test_a_last_batch_of_one_joins_the_batch_before(make, clips):
    config = make(clips)
    trainer = command_line.train(config, "--max_steps", "-1", "--num_train_epochs", "1")
    assert trainer.state.global_step == clips // 4
    negatives = [entry["negatives"] for entry in trainer.state.log_history if "negatives" in entry]
    assert negatives == [3] * (clips // 4 - 1) + [4]


def test_some_captions_of_a_batch_are_equal(make):
    """Which is no error, and no secret."""
    config = make(captions="given", languages=[], max_steps=1, per_device_train_batch_size=6)
    change(config, lambda rows: rows.assign(caption=["one", "one", "one", "two", "two", "three"]))
    trainer = command_line.train(config)
    assert trainer.state.log_history[0]["duplicate_captions"] == pytest.approx(0.5)


def test_a_tower_that_trains_is_not_cached(make):
    config = make(cache_audio_tower=True, crops_per_clip=2)
    assert "cache_audio_tower" in failed(config)
    assert_nothing_saved(config)


def test_a_plain_manifest_has_no_attributes_to_report(make, logs):
    """Neither corpora nor functionals: the metrics that need them are left out, and the run ends well."""
    config = make(6, 3, report_attributes=True, captions="given", languages=[], targets=["local_features"])
    change(config, lambda rows: rows[["id", "path", "split", "caption"]])
    command_line.train(config)
    assert (Path(config["output_dir"]) / "metrics.json").is_file()


def test_clips_of_one_length_train(make):
    config = make()
    change(config, lambda rows: rows.assign(duration=0.2))
    assert command_line.train(config).state.global_step == 3
