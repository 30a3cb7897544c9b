"""From corpora as they are distributed to figures, report and pictures, by the command line."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from transformers import AutoModel, AutoProcessor
from transformers.audio_utils import load_audio

from smoothclap_trainer.evaluation import plots as pictures
from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from smoothclap_trainer.evaluation.tasks import read_task
from tests import tiny
from tests.corpus_trees import build_tree
from tests.trainer.evaluation.tiny_clap import clap


SCRIPT = Path(__file__).parents[2] / "examples" / "run_zero_shot_evaluation.py"
PUBLISHED = ["iemocap-4", "ravdess-8", "crema-d-6", "tess-7", "fau-aibo-2", "fau-aibo-5", "alc-2", "sld-2"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    for name in dict.fromkeys(PROTOCOLS[task].corpus for task in PUBLISHED):
        build_tree(name, folder, takes=1)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny.checkpoint(folder / "smoothclap", "whisper")
    clap(folder / "clap")
    return [str(folder / "smoothclap"), str(folder / "clap")]


def load_script():
    spec = importlib.util.spec_from_file_location("run_zero_shot_evaluation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the fields' types
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(monkeypatch):
    """Runs the script's `main` with a command line."""
    script = load_script()

    def main(*arguments, report=True):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        if not report:
            monkeypatch.setattr(script, "write_report", lambda *_: [])
        script.main()

    yield main
    del sys.modules["run_zero_shot_evaluation"]


def settings(corpora, models, *others):
    drawn = ("--bootstrap_samples", 100)
    return ["--model", *models, "--tasks", *PUBLISHED, "--data-root", corpora, *drawn, *others]


def test_all_published_tasks_in_one_command(run, corpora, models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pictures, "DOTS_PER_INCH", 30)  # there are more than sixty
    out = tmp_path / "out"
    run(*settings(corpora, models, "--output", out))
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [task["protocol"]["name"] for task in found["tasks"]] == PUBLISHED
    for task in found["tasks"]:
        name = task["protocol"]["name"]
        assert task["protocol"] == json.loads(json.dumps(PROTOCOLS[name].describe()))
        assert [result["model"] for result in task["results"]] == ["smoothclap", "clap"]
        for result, model in zip(task["results"], models, strict=True):
            expected = by_hand(corpora, PROTOCOLS[name], model)
            values = {figure: result["figures"][figure]["value"] for figure in expected}
            assert values == pytest.approx(expected, abs=1e-6)
            assert result["zero_shot"]["status"] == "unknown"
            assert len(result["prompts"]["variants"]) >= 4
    report = (out / "report.md").read_text(encoding="utf-8")
    drawn = sorted((out / "pictures").glob("*.png"))
    assert len(drawn) >= 2 * len(PUBLISHED) * 3
    assert all(picture.read_bytes().startswith(b"\x89PNG") and picture.name in report for picture in drawn)
    printed = capsys.readouterr().out
    for task in PUBLISHED:
        assert PROTOCOLS[task].title in printed and PROTOCOLS[task].title in report
    assert ".606" in printed  # the paper's figure for IEMOCAP
    assert f"The figures are in {out / 'results.json'}, the report in {out / 'report.md'}." in printed

    # The same again, and with another batch size; the report is a function of these results.
    run(*settings(corpora, models, "--output", tmp_path / "again"), report=False)
    assert without_times(tmp_path / "again") == without_times(out)
    predictions = (out / "predictions.csv").read_bytes()
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == predictions
    table = pd.read_csv(out / "predictions.csv")
    assert list(dict.fromkeys(zip(table["task"], table["model"], strict=True))) == [
        (task, model) for task in PUBLISHED for model in ("smoothclap", "clap")
    ]
    for task in found["tasks"]:
        for result in task["results"]:
            mine = table[(table["task"] == task["protocol"]["name"]) & (table["model"] == result["model"])]
            assert len(mine) == task["data"]["clips"] and mine["id"].is_monotonic_increasing
            hits = (mine["true"] == mine["predicted"]).sum()
            assert hits == np.trace(result["confusion"]) and (mine["score"] >= mine["true_score"]).all()
    texts = [path.read_text(encoding="utf-8") for path in out.iterdir() if path.is_file()]
    assert len(texts) == 3 and not any(str(tmp_path.parent) in text for text in texts)  # no paths of this machine
    run(*settings(corpora, models, "--output", tmp_path / "single", "--batch_size", 1), report=False)
    single = json.loads((tmp_path / "single" / "results.json").read_text(encoding="utf-8"))
    for one, other in zip(single["tasks"], found["tasks"], strict=True):
        for mine, its in zip(one["results"], other["results"], strict=True):
            assert {**mine, "reliability": None} == {**its, "reliability": None}


def by_hand(corpora, protocol, model):
    """UAR, accuracy and macro F1 by scikit-learn, each clip and text embedded by itself."""
    encoder, processor = AutoModel.from_pretrained(model).eval(), AutoProcessor.from_pretrained(model)
    rate = processor.feature_extractor.sampling_rate
    rows = read_task(protocol, corpora / protocol.corpus)
    texts = [protocol.template.format(word) for word in protocol.words.values()]
    with torch.no_grad():
        text_embeds = [
            encoder.get_text_features(**processor(text=[text], return_tensors="pt")).pooler_output[0] for text in texts
        ]
        predicted = []
        for path in rows["path"]:
            batch = processor(audio=load_audio(path, sampling_rate=rate), sampling_rate=rate, return_tensors="pt")
            embed = encoder.get_audio_features(**batch).pooler_output[0]
            cosines = [torch.cosine_similarity(embed, text, dim=0).item() for text in text_embeds]
            predicted.append(protocol.classes[int(np.argmax(cosines))])
    rows["predicted"] = predicted
    groups = [members for _, members in rows.groupby("group")] if protocol.grouped_by else [rows]
    return {
        "uar": np.mean([balanced_accuracy_score(each["label"], each["predicted"]) for each in groups]),
        "accuracy": np.mean([accuracy_score(each["label"], each["predicted"]) for each in groups]),
        "macro_f1": np.mean([f1_score(each["label"], each["predicted"], average="macro") for each in groups]),
    }


def without_times(folder):
    text = (folder / "results.json").read_text(encoding="utf-8")
    before, times = text.split('\n  "times": ')
    assert json.loads(times.removesuffix("}\n"))["seconds"]
    return before


def test_the_list_says_what_there_is_and_where_to_ask(run, capsys):
    run("--list")
    printed = capsys.readouterr().out
    for name, protocol in PROTOCOLS.items():
        assert f"  --tasks {name}: {', '.join(protocol.classes)}\n" in printed + "\n"
    for corpus in EMOTION_CORPORA.values():
        assert f"  licence: {corpus.licence}\n  from: {corpus.ask}\n" in printed


def test_the_shipped_checkpoint_by_its_name(run, corpora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alc = ("--tasks", "alc-2", "--data-root", f"alc={corpora / 'alc'}", "--bootstrap-samples", 10)
    run("--model", "smoothclap-tiny", *alc, report=False)
    found = json.loads(Path("build/zero-shot/results.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in found["models"]] == ["smoothclap-tiny"]
    assert found["tasks"][0]["data"]["doubtful"] == {}


def test_the_help_says_what_is_taken_by_default(run, capsys):
    with pytest.raises(SystemExit):
        run("--help")
    printed = " ".join(capsys.readouterr().out.split())
    for default in ("build/zero-shot", "16", "0", "2000", "cpu", "False"):
        assert f"(default: {default})" in printed
    assert "--model smoothclap-tiny --tasks ravdess-8 --data-root ravdess=FOLDER" in printed
    assert "predictions.csv" in printed


def test_mistakes_are_told_in_a_line(run, corpora, models, tmp_path, capsys):
    def error(*arguments):
        with pytest.raises(SystemExit) as stopped:
            run(*arguments, "--output", tmp_path / "out", report=False)
        return str(stopped.value.code)

    alc = ("--tasks", "alc-2", "--data-root", f"alc={corpora / 'alc'}")
    assert error("--model", models[0], "--tasks", "iemocap-5").startswith(
        "error: unknown tasks ['iemocap-5'] (did you mean 'iemocap-4'?);"
    )
    assert error("--model", models[0], models[0], *alc).startswith("error: Two models are called 'smoothclap'")
    assert error("--model", tmp_path / "none", *alc).startswith(f"error: '{tmp_path / 'none'}' is no checkpoint")
    assert error("--model", models[0], *alc, "--device", "abacus").startswith(
        "error: The device 'abacus' cannot be used"
    )
    tree = build_tree("sld", tmp_path, takes=1)
    clips = sorted(tree.glob("wav/*.wav"))
    sf.write(clips[0], np.zeros(0), 16000)
    clips[2].write_bytes(b"broken")
    told = error("--model", models[0], "--tasks", "sld-2", "--data-root", tree)
    assert told.startswith("error: 2 of 6 clips cannot be read; mend or remove them:")
    assert clips[0].name in told and clips[2].name in told
    assert error("--tasks", "alc-2") == "2" and "give --model and --tasks, or --list" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / "out").rmdir()
    (tmp_path / "out").touch()
    assert "File exists" in error("--model", tmp_path / "none", *alc)  # before a model is asked for
