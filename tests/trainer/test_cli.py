"""The console command: what each job gives, what it prints in the end, and how it fails."""

import errno
import importlib.metadata
import json
import os
import runpy
import shlex
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import yaml
from matplotlib import image
from safetensors import SafetensorError

from modeling_smoothclap import DEMO_CLIPS, SmoothCLAPEncoder
from smoothclap_trainer import cli, command_line, config, listening, train
from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from tests import tiny
from tests.corpus_trees import build_tree
from tests.hub.here import FILES, hub_here, whole_checkpoint
from tests.smoothclap import error, smoothclap


ROOT = Path(__file__).parents[2]
COMMANDS = ("rank", "timeline", "embed", "train", "evaluate", "clep-dg", "search", "convert", "card", "push", "doctor")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("checkpoint"), "whisper")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scores(printed: str, labels: list[str]) -> dict[str, float]:
    """The scores of one clip by label."""
    lines = [line.strip() for line in printed.splitlines()]
    return {label: float(line[len(label) :].split()[0]) for label in labels for line in lines if line.startswith(label)}


# --- rank


def test_without_arguments_it_ranks_two_real_voices_rightly():
    printed = smoothclap("rank").stdout
    first, second = (printed.split(clip)[1].splitlines()[1].strip() for clip in DEMO_CLIPS)
    assert first.startswith("a low and quiet voice") and second.startswith("a high and loud voice")
    assert not Path("ranking.png").exists()
    (command,) = [line.removeprefix("Next: smoothclap ") for line in printed.splitlines() if line.startswith("Next: ")]
    smoothclap(*shlex.split(command))
    assert image.imread("ranking.png").std() > 0.05  # not blank


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_any_audio_file_is_ranked_by_any_descriptions(checkpoint, ending):
    clip = f"clip.{ending}"
    sf.write(clip, np.stack([tiny.clips(1.0)[0]] * 2, axis=1), 44100 if ending == "wav" else 16000)  # stereo
    labels = ["a low voice", "costs $1 or $2", "صوت هادئ"]
    plot = Path("made", "plot.png")
    printed = smoothclap("rank", clip, "--labels", *labels, "--model", checkpoint, "--plot", plot).stdout
    found = scores(printed, labels)
    assert sum(found.values()) == pytest.approx(1, abs=0.02)
    encoder = SmoothCLAPEncoder.from_pretrained(checkpoint, device="cpu")
    assert found == pytest.approx({each.text: each.score for each in encoder.rank(clip, labels)}, abs=0.006)
    assert plot.is_file()
    assert f"Next: smoothclap embed {clip} --model {checkpoint}" in printed
    printed = smoothclap("rank", clip, "--labels", *labels, "--model", checkpoint).stdout
    assert printed.splitlines()[-1].endswith(
        f"rank {clip} --labels {shlex.join(labels)} --model {checkpoint} --plot ranking.png"
    )


def test_values_of_an_option_can_be_given_together_or_one_by_one(checkpoint):
    rest = ("--model", checkpoint, "--template", "{} is heard")
    ways = (
        (DEMO_CLIPS[0], "--labels", "one", "two", *rest),
        ("--labels", "one", "--labels", "two", *rest, DEMO_CLIPS[0]),
        (DEMO_CLIPS[0], "--labels=one", "--labels=two", *rest),
    )
    printed = {smoothclap("rank", *words).stdout.partition("Next: ")[0] for words in ways}
    assert len(printed) == 1


def test_without_matplotlib_no_plot_is_suggested(checkpoint, monkeypatch):
    monkeypatch.setattr(listening, "find_spec", lambda _: None)
    assert "--plot" not in smoothclap("rank", "--model", checkpoint).stdout
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "smoothclap[plots]" in error("rank", "--model", checkpoint, "--plot", "plot.png")


def test_what_cannot_be_ranked_is_an_error(checkpoint):
    Path("text.wav").write_text("hello")
    sf.write("empty.wav", np.zeros(0), 16000)
    for clip in ("missing.wav", "text.wav", "empty.wav"):
        assert clip in error("rank", clip, "--model", checkpoint)
    assert "text.wav" in error("rank", "--labels", "a low voice", "text.wav", "--model", checkpoint)
    assert "after --labels" in error("rank", DEMO_CLIPS[0], "a low voice", "a high voice", "--model", checkpoint)
    for labels in (["low"], ["low", "low"], ["low", "low "], ["low", ""]):
        assert repr(labels) in error("rank", DEMO_CLIPS[0], "--labels", *labels, "--model", checkpoint)
    assert "nothing" in error("rank", "--model", "./nothing")


def folder_of_clips(count: int) -> None:
    Path("speech").mkdir()
    for number, clip in enumerate(tiny.clips(*[0.2] * count)):
        sf.write(f"speech/{number:02}.wav", clip, 16000)


def test_folders_are_ranked_in_a_line_each_or_into_a_table(checkpoint):
    folder_of_clips(21)
    options = ("--labels", "low", "high", "--model", checkpoint)
    lines = [line for line in smoothclap("rank", "speech", *options).stdout.splitlines() if line.startswith("speech/")]
    assert len(lines) == 21
    sf.write("speech/20.wav", np.zeros(16000), 16000)
    assert "--bad-clips skip" in error("rank", "speech", *options, "--output", "made/x.csv")
    printed = smoothclap("rank", "speech", *options, "--output", "made/x.csv", "--bad-clips", "skip").stdout
    assert "21 clips, 1 of them with a problem" in printed and "Replaced" not in printed
    table = pd.read_csv("made/x.csv")
    assert table["problem"].notna().sum() == 1 and table["clip"][0] == "speech/00.wav"
    assert lines[0] == f"speech/00.wav  {table['best'][0]} ({table[['low', 'high']].max(axis=1)[0]:.2f})"
    assert "Replaced" in smoothclap("rank", "speech", *options, "--output", "made/x.csv", "--bad-clips", "skip").stdout


@pytest.mark.parametrize(
    "options",
    [("--output", "x.csv"), ("--output", "x.csv", "--labels", "a", "b", "--plot", "x.png"), ("--bad-clips", "skip")],
)
def test_options_of_rank_that_would_do_nothing(checkpoint, options):
    smoothclap("rank", DEMO_CLIPS[0], "--model", checkpoint, *options, status=2)


# --- timeline


def test_a_timeline_of_a_recording(checkpoint):
    recording = np.concatenate([*tiny.clips(2, 2), np.zeros(32000, np.float32)])
    sf.write("call.wav", recording, 16000)
    options = ("--labels", "low", "high", "--model", checkpoint, "--window", 2, "--hop", 2)
    printed = smoothclap("timeline", "call.wav", *options, "--plot", "call.png").stdout
    assert "timeline.csv: 3 windows, 1 of them without a voice" in printed
    table = pd.read_csv("timeline.csv")
    found = SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu").timeline("call.wav", ["low", "high"], window=2, hop=2)
    np.testing.assert_allclose(table[["low", "high"]], found.scores, atol=1e-4)
    assert image.imread("call.png").std() > 0.05
    Path("turns.csv").write_text("start,end,speaker\n0,1,anna\n1.5,3,ben\n")
    smoothclap("timeline", "call.wav", *options, "--segments", "turns.csv", "--relative", "--output", "x/call.jsonl")
    rows = [json.loads(line) for line in Path("x/call.jsonl").read_text().splitlines()]
    assert [(row["start"], row["end"], row["speaker"]) for row in rows] == [(0, 1, "anna"), (1.5, 3, "ben")]
    assert rows[0]["low"] == rows[0]["high"] == 0.5  # of one window nothing is left above its own mean


def test_a_timeline_of_voices_only(checkpoint):
    voice, rate = sf.read(DEMO_CLIPS[0], dtype="float32")
    noise = (1e-3 * np.random.default_rng(0).standard_normal(3 * rate)).astype(np.float32)
    sf.write("call.wav", np.concatenate([noise, voice, noise]), rate)
    smoothclap("timeline", "call.wav", "--labels", "low", "high", "--model", checkpoint, "--voice")
    table = pd.read_csv("timeline.csv")
    assert table["start"].min() > 2.5 and table["end"].max() < 3.5 + len(voice) / rate
    smoothclap("timeline", "call.wav", "--labels", "a", "b", "--voice", "--segments", "x.csv", status=2)


def test_a_timeline_that_cannot_be_made(checkpoint):
    sf.write("call.wav", tiny.clips(1)[0], 16000)
    options = ("--labels", "low", "high", "--model", checkpoint)
    assert "x.doc" in error("timeline", "call.wav", *options, "--output", "x.doc")
    assert "missing.wav" in error("timeline", "missing.wav", *options)
    assert "turns.csv" in error("timeline", "call.wav", *options, "--segments", "turns.csv")
    assert "hop" in error("timeline", "call.wav", *options, "--window", 1, "--hop", 2)
    smoothclap("timeline", "call.wav", *options, "--tier", "x", status=2)


# --- embed


def test_embeddings_of_files_folders_and_texts(checkpoint):
    Path("speech", "more").mkdir(parents=True)
    for name, clip in zip(("b.wav", "a.wav", "more/c.FLAC"), tiny.clips(0.3, 0.2, 0.25), strict=True):
        sf.write(Path("speech", name), clip, 16000)
    Path("texts.txt").write_text("a low voice\n\n  eine leise Stimme \n", encoding="utf-8")
    options = ("--model", checkpoint, "--texts", "texts.txt", "--output", "made/both.npz", "--batch_size", 2)
    smoothclap("embed", DEMO_CLIPS[0], "speech", *options)
    made = np.load("made/both.npz")
    files = [DEMO_CLIPS[0], "speech/a.wav", "speech/b.wav", "speech/more/c.FLAC"]
    assert made["paths"].tolist() == files and made["texts"].tolist() == ["a low voice", "eine leise Stimme"]
    encoder = SmoothCLAPEncoder.from_pretrained(checkpoint, device="cpu")
    np.testing.assert_allclose(made["audio"], encoder.encode_audio(files), atol=1e-5)
    np.testing.assert_allclose(made["text"], encoder.encode_text(made["texts"].tolist()), atol=1e-6)


def test_bad_clips_stop_embedding_or_are_left_out(checkpoint):
    Path("speech").mkdir()
    sf.write("speech/good.wav", tiny.clips(0.3)[0], 16000)
    sf.write("speech/silent.wav", np.zeros(16000), 16000)
    Path("speech/bad.wav").write_text("hello")
    told = error("embed", "speech", "--model", checkpoint)
    assert "NaN" not in told and "--bad-clips skip" in told and "silent.wav: silent (is silent" in told
    assert [told.count(name) for name in ("bad.wav", "silent.wav", "good.wav")] == [1, 1, 0]
    assert not Path("embeddings.npz").exists()
    assert "silent.wav" in error("rank", "speech/silent.wav", "--model", checkpoint)
    printed = smoothclap("embed", "speech", "--model", checkpoint, "--bad-clips", "skip")
    assert printed.stderr.count("bad.wav") == printed.stderr.count("silent.wav") == 1
    assert "Replaced" not in printed.stdout
    assert "Replaced" in smoothclap("embed", "speech/good.wav", "--model", checkpoint).stdout
    assert f"Next: smoothclap rank speech/good.wav --model {checkpoint}" in printed.stdout
    made = np.load("embeddings.npz")
    assert made["paths"].tolist() == ["speech/good.wav"] and made["audio"].shape[0] == 1


def test_what_cannot_be_embedded_is_an_error(checkpoint):
    Path("empty").mkdir()
    assert "empty" in error("embed", "empty", "--model", checkpoint)
    assert "'m.txt' has to end in .npz" in error("embed", DEMO_CLIPS[0], "--output", "m.txt")
    for content in (b"\n \n", b"\xff\xfe"):
        Path("texts.txt").write_bytes(content)
        assert "texts.txt" in error("embed", DEMO_CLIPS[0], "--texts", "texts.txt", "--model", checkpoint)


# --- train --init


def clips(folder: Path, **columns: list) -> Path:
    """A manifest of six noise clips."""
    folder.mkdir(exist_ok=True)
    names = [f"{index}.wav" for index in range(6)]
    for index, name in enumerate(names):
        sf.write(folder / name, tiny.clips(0.3, seed=index)[0], 16000)
    rows = zip(*({"path": names} | columns).values(), strict=True)
    lines = [",".join(["path", *columns]), *(",".join(map(str, row)) for row in rows)]
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder / "clips.csv"


CAPTIONS = {"caption": [f"voice number {index}" for index in range(6)]}
LABELS = {"label": ["wild", "tame"] * 3, "split": ["train"] * 4 + ["validation"] * 2}


@pytest.mark.parametrize("columns", [CAPTIONS, CAPTIONS | LABELS, {}], ids=["captions", "labels", "paths"])
def test_the_starting_file_trains_as_written(columns, monkeypatch):
    printed = smoothclap("train", "--init", clips(Path("data"), **columns)).stdout
    assert "Next: smoothclap train clips.yaml" in printed
    said = yaml.safe_load(Path("clips.yaml").read_text())
    assert said["model"] == "smoothclap-tiny"
    assert said["captions"] == ("given" if columns else "sampled")
    assert ("labels" in said["targets"]) == ("label" in columns)
    assert said.get("load_best_model_at_end", False) == ("split" in columns)
    few = ("--num_train_epochs", 1, "--use_cpu", "true", "--disable_tqdm", "true", "--cache_dir", "cache")
    if columns:  # features of noise clips are of no voice
        smoothclap("train", "clips.yaml", *few)
        assert Path(said["output_dir"], "model.safetensors").is_file()


def test_the_starting_file_lists_the_columns_that_are_not_read(logs):
    smoothclap("train", "--init", clips(Path("data"), fold=["train"] * 6, emo=["sad", "happy"] * 3))
    assert "['fold', 'emo']" in logs.text and '["fold", "emo"]' in Path("clips.yaml").read_text()
    smoothclap("train", "x.yaml", "--init", "data/clips.csv", "--columns", "{split: fold, label: emo}")
    assert "not read" not in Path("x.yaml").read_text()


def test_the_starting_file_takes_the_manifests_own_names_and_replaces_nothing():
    manifest = clips(Path("data"), **CAPTIONS)
    manifest.write_text(manifest.read_text().replace("path,caption", "file,text"))
    assert "path" in error("train", "--init", manifest)
    smoothclap("train", "mine.yaml", "--init", manifest, "--columns", "{path: file, caption: text}")
    assert yaml.safe_load(Path("mine.yaml").read_text())["columns"] == {"path": "file", "caption": "text"}
    assert "mine.yaml" in error("train", "mine.yaml", "--init", manifest, "--columns", "{path: file, caption: text}")
    for words in (("--seed", "3"), ("--columns", "{path: ["), ("--columns", "3"), ("--audio_root", "[a]"), ("--seed",)):
        assert words[0].strip("-") in error("train", "other.yaml", "--init", manifest, *words)
    assert not Path("other.yaml").exists()
    manifest.write_text(manifest.read_text() + "gone.wav,a voice\n")
    names = ("--columns", "{path: file, caption: text}")
    assert "gone.wav" in error("train", "other.yaml", "--init", manifest, *names)
    smoothclap("train", "other.yaml", "--init", manifest, *names, "--bad_clips", "skip")
    assert yaml.safe_load(Path("other.yaml").read_text())["bad_clips"] == "skip"


def test_settings_are_listed_and_a_missing_file_is_a_mistake():
    printed = smoothclap("train", "--settings").stdout
    for name in ("--audio_encoder", "--crops_per_clip", "--lora_rank", "--beta", "--gradient_cache", "--report_to"):
        assert f"{name}  (" in printed
    assert "CONFIG.yaml" in smoothclap("train", status=2).stderr
    assert "CONFIG.yaml" in smoothclap("train", "--seed", "3", status=2).stderr
    assert "none.yaml" in error("train", "none.yaml")
    assert "mine.yaml" in smoothclap("train", "mine.yaml", "--settings", "--seed", 3, status=2).stderr


# --- card, push, convert, doctor


def test_a_card_is_written_next_to_the_weights():
    folder = whole_checkpoint(Path("checkpoint"))
    (folder / "README.md").unlink()
    printed = smoothclap("card", folder, "--name", "user/fine").stdout
    assert "user/fine" in (folder / "README.md").read_text()
    assert f"Next: smoothclap push {folder} user/fine" in printed
    assert "config.json" in error("card", ".")
    assert "folder 'missing'" in error("card", "missing")


def test_push_shows_all_and_changes_nothing_until_it_is_told(monkeypatch):
    folder = whole_checkpoint(Path("it's here"))
    with hub_here(monkeypatch) as server:
        printed = smoothclap("push", folder, "ann/model", "--private", "--revision", "new").stdout
        assert {line.split()[0] for line in printed.splitlines()} >= FILES
        command = """smoothclap push 'it'"'"'s here' ann/model --private --revision new --push"""
        assert printed.splitlines()[-1].endswith(command)
        assert server.writes() == []
        smoothclap("push", folder, "ann/model", "--private", "--push")
        repository = server.repositories["ann/model"]
        assert repository.private and set(repository.files()) >= FILES
        (folder / "README.md").write_text("# Another\n")
        assert "--overwrite" in error("push", folder, "ann/model", "--push")
        smoothclap("push", folder, "ann/model", "--push", "--overwrite")
        assert repository.files()["README.md"] == b"# Another\n"
        assert "a/b/c" in error("push", folder, "a/b/c")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "once that is solved" in smoothclap("push", folder, "ann/model").stdout


def test_the_doctor_reports_what_is_there_and_how_to_get_the_rest(monkeypatch):
    printed = smoothclap("doctor").stdout
    for name in ("Python", "torch", "transformers", "ffmpeg", "cpu", "HF_HUB_OFFLINE"):
        assert name in printed
    installed = importlib.metadata.version

    def version(name):
        if name in ("matplotlib", "soxr"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "4.0" if name == "transformers" else installed(name)

    required = ["transformers >= 5.17, < 6", "soxr", 'matplotlib; extra == "plots"']
    monkeypatch.setattr(command_line, "requires", lambda _: required)
    monkeypatch.setattr(command_line, "version", version)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: exec("raise OSError('no network')"))
    printed = smoothclap("doctor").stdout
    assert "transformers 4.0  <- <6,>=5.17 is needed" in printed and "soxr is missing" in printed
    assert 'lacks matplotlib: pip install "smoothclap[plots]"' in printed and "opensmile: installed" in printed
    assert "no network" in printed


# --- what all commands share


def test_every_command_explains_its_options():
    printed = smoothclap("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in printed
        smoothclap(command, "--help")
    for command in ("index", "find", "describe"):
        assert "--trust-remote-code" in smoothclap("search", command, "--help").stdout
    smoothclap("rank", "--labls", status=2)


def test_a_bug_keeps_its_traceback_and_an_interrupt_is_one_word(monkeypatch):
    monkeypatch.setattr(cli, "examine", lambda: exec("raise KeyError('x')"))
    with pytest.raises(KeyError):
        smoothclap("doctor")
    monkeypatch.setattr(cli, "examine", lambda: exec("raise KeyboardInterrupt"))
    assert smoothclap("doctor", status=130).stderr == "Interrupted.\n"


def test_an_interrupt_while_libraries_are_imported_is_one_word(monkeypatch, capsys):
    class Slow(types.ModuleType):
        def __getattr__(self, name):
            raise AttributeError(name) if name.startswith("__") else KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "smoothclap_trainer.command_line", Slow("smoothclap_trainer.command_line"))
    with pytest.raises(SystemExit) as stopped:
        exec(Path(cli.__file__).read_text(encoding="utf-8"), {"__package__": "smoothclap_trainer"})
    assert stopped.value.code == 130 and capsys.readouterr().err == "Interrupted.\n"


def test_interrupted_training_prints_how_to_go_on(monkeypatch):
    Path("run.yaml").write_text(yaml.safe_dump({"dataset": "clips.csv", "output_dir": "out"}))
    monkeypatch.setattr(train, "run_training", lambda _: exec("raise KeyboardInterrupt('Interrupted at step 2.')"))
    monkeypatch.setattr(config, "read_yaml", lambda *_: None)
    printed = smoothclap("train", "run.yaml", "--seed", 3, status=130)
    assert printed.stderr == "Interrupted at step 2.\n"
    assert printed.stdout == "Next: smoothclap train run.yaml --seed 3 --resume_from_checkpoint true\n"


def test_a_manifest_in_place_of_settings_is_named():
    assert "smoothclap train --init clips.csv" in error("train", "clips.csv")


FULL = "Error while serializing: I/O error: No space left on device (os error 28)"


@pytest.mark.parametrize(
    ("refusal", "named"),
    [
        *((OSError(number, os.strerror(number), "x.npz"), "x.npz") for number in (errno.EACCES, errno.EROFS)),
        *((OSError(errno.ENOSPC, "No space left on device"), "space"), (SafetensorError(FULL), "space")),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 20352 vs 20244"), "space"),
    ],
)
def test_a_disk_that_takes_nothing_is_one_sentence(monkeypatch, refusal, named):
    def refuse():
        raise refusal

    monkeypatch.setattr(cli, "examine", refuse)
    told = error("doctor")
    assert named in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        ("/venv/bin/pytest", "smoothclap"),
        (".venv/bin/smoothclap", ".venv/bin/smoothclap"),
        ("/site-packages/smoothclap_trainer/cli.py", "python -m smoothclap_trainer.cli"),
    ],
)
def test_printed_commands_start_as_this_one_did(monkeypatch, started, shown):
    monkeypatch.setattr(sys, "argv", [started])
    assert command_line.program() == shown


def test_a_command_on_the_path_is_called_by_its_name(monkeypatch, tmp_path):
    script = tmp_path / "smoothclap"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert command_line.program() == "smoothclap"


def test_the_quickstart_ranks_the_two_voices(capsys):
    runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    ranked = [line.split()[2] for line in capsys.readouterr().out.splitlines() if "cosine" in line]
    assert ranked == ["low", "high", "high", "low"]


# --- evaluate


def test_tasks_are_listed_with_where_their_corpora_come_from():
    printed = smoothclap("evaluate", "--list").stdout
    assert all(f"--tasks {name}: {', '.join(each.classes)}" in printed for name, each in PROTOCOLS.items())
    assert all(corpus.licence in printed and corpus.ask in printed for corpus in EMOTION_CORPORA.values())
    assert "--list" in smoothclap("evaluate", "--model", "smoothclap-tiny", status=2).stderr
    assert "--model" in smoothclap("evaluate", "--list", "--model", "x", status=2).stderr


def test_a_model_is_evaluated_on_a_corpus(checkpoint):
    alc = ("--tasks", "alc-2", "--data_root", f"alc={build_tree('alc', Path('corpora'), takes=1)}")
    models = ("--model", "smoothclap-tiny", f"one={checkpoint}")
    Path("out").mkdir()
    Path("out/results.json").write_text("{}")
    printed = smoothclap("evaluate", *models, *alc, "--bootstrap-samples", 10, "--output", "out").stdout
    found = json.loads(Path("out/results.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in found["models"]] == ["smoothclap-tiny", "one"]
    assert PROTOCOLS["alc-2"].title in printed and Path("out/report.md").is_file()
    assert "Next: smoothclap rank --model smoothclap-tiny\n" in printed and "earlier results in out" in printed
    assert "alc-3" in error("evaluate", *models, "--tasks", "alc-3")


def test_a_list_of_descriptions_loses_its_byte_order_mark(tmp_path):
    (tmp_path / "texts.txt").write_text("a calm voice\n\nan angry voice\n", encoding="utf-8-sig")
    assert command_line.read_texts(tmp_path / "texts.txt") == ["a calm voice", "an angry voice"]


def test_descriptions_are_not_read_from_a_pipe_that_may_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe"):
        command_line.read_texts(tmp_path / "pipe")
