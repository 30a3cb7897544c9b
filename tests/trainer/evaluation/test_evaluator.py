import json
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from smoothclap_trainer.evaluation import embed_files, results
from smoothclap_trainer.evaluation import evaluator as zero_shot_evaluator
from smoothclap_trainer.evaluation.dual_encoders import DualEncoder, load_dual_encoder
from smoothclap_trainer.evaluation.evaluator import answer, evaluate_models
from smoothclap_trainer.evaluation.own_task import Task
from smoothclap_trainer.evaluation.protocols import Protocol
from tests import tiny
from tests.trainer.evaluation.tiny_clap import clap


NAMES = ["smoothclap", "clap"]


def protocol(name, words, **changes):
    fields = {
        "name": name,
        "title": name.title(),
        "corpus": "made",
        "language": "en",
        "text_language": "en",
        "words": words,
        "template": "{}",
        "other_words": (),
        "other_templates": ("a {} voice",),
        "split": "all",
        "labels": {label: label for label in words},
        "grouped_by": None,
        "published": {},
        "source": "a test",
    }
    return Protocol(**fields | changes)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Two tasks on the same 24 clips, of different pitch, length and loudness, and a grouped one on 8 of them."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    rows = []
    for index in range(24):
        time = np.arange(round(rng.uniform(0.1, 1.4) * 16000)) / 16000
        buzz = np.sign(np.sin(2 * np.pi * rng.uniform(80, 400) * time)) + 0.3 * rng.standard_normal(len(time))
        path = folder / f"{index:02}.wav"
        sf.write(path, rng.uniform(0.02, 0.5) * buzz / 3, 16000, subtype="FLOAT")
        rows.append(
            {
                "id": path.stem,
                "path": str(path),
                "label": ("happy", "sad", "angry", "neutral")[index % 4],
                "speaker": f"speaker {index % 7}",
                "group": None,
            }
        )
    rows = pd.DataFrame(rows)
    four = {"happy": "happy", "sad": "sad", "angry": "angry", "neutral": "neutral"}
    two = protocol("two", {"calm": "calm", "aroused": "aroused"})
    calm = rows["label"].map({"happy": "aroused", "angry": "aroused", "sad": "calm", "neutral": "calm"})
    grouped = rows[:16].assign(group=[f"Session{index // 8}" for index in range(16)], speaker=None)
    return [
        Task(protocol("four", four, other_words=({name: f"{name} indeed" for name in four},)), rows, "none"),
        Task(two, rows.assign(label=calm), "none"),
        Task(protocol("grouped", four, grouped_by="session"), grouped, "none"),
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny.checkpoint(folder / "smoothclap", "whisper")
    clap(folder / "clap")
    return [str(folder / name) for name in NAMES]


@pytest.fixture(scope="module")
def evaluation(tasks, models):
    return evaluate_models(models, tasks, batch_size=5, bootstrap_samples=50)


def test_figures_are_scikit_learns(evaluation, tasks):
    assert [task["protocol"]["name"] for task in evaluation.results["tasks"]] == ["four", "two", "grouped"]
    for task, found in zip(tasks, evaluation.results["tasks"], strict=True):
        assert [result["model"] for result in found["results"]] == NAMES
        for result in found["results"]:
            answers = evaluation.answers[task.protocol.name, result["model"]]
            true, predicted = answers.true, answers.predicted
            classes = list(task.protocol.classes)
            assert [classes[label] for label in true] == list(task.rows["label"])
            by_group = [np.ones(len(true), dtype=bool)]
            if task.protocol.grouped_by:
                by_group = [task.rows["group"].to_numpy() == name for name in ("Session0", "Session1")]
            oracle = {
                "uar": balanced_accuracy_score,
                "accuracy": accuracy_score,
                "macro_f1": lambda true, predicted: f1_score(true, predicted, average="macro"),
            }
            for name, figure in oracle.items():
                expected = np.mean([figure(true[members], predicted[members]) for members in by_group])
                assert result["figures"][name]["value"] == pytest.approx(expected, abs=1e-6)
                assert result["figures"][name]["low"] <= expected + 1e-6
            assert result["confusion"] == confusion_matrix(true, predicted, labels=range(len(classes))).tolist()
            recalls = recall_score(true, predicted, average=None, labels=range(len(classes)))
            assert list(result["per_class_recall"]) == classes
            values = [each["value"] for each in result["per_class_recall"].values()]
            assert values == pytest.approx(recalls.tolist(), abs=1e-6)
            assert result["chance"] == pytest.approx(1 / len(classes))
            # What is asked in the protocol's own words is the figure itself.
            prompts = result["prompts"]
            assert prompts["variants"][0]["uar"] == result["figures"]["uar"]["value"]
            assert prompts["lowest"] <= prompts["mean"] <= prompts["highest"]
            assert len(prompts["variants"]) == (4 if task.protocol.name == "four" else 2)


def test_results_are_as_agreed(evaluation, models, tasks):
    found = evaluation.results
    assert list(found) == ["format", "models", "tasks", "settings", "versions", "times"]
    task = found["tasks"][0]
    assert list(task) == ["protocol", "licence", "data", "results"]
    assert list(task["data"]) == ["clips", "per_class", "speakers", "left_out", "doubtful", "sha256"]
    assert task["data"]["clips"] == 24 and task["data"]["speakers"] == 7
    assert task["data"]["per_class"] == dict.fromkeys(("happy", "sad", "angry", "neutral"), 6)
    assert list(task["results"][0]) == [
        "model", "zero_shot", "figures", "per_class_recall", "confusion", "groups", "chance", "interval", "reliability",
        "valence_arousal", "prompts",
    ]  # fmt: skip
    assert task["results"][0]["interval"]["unit"] == "speakers" and task["results"][0]["groups"] is None
    grouped = found["tasks"][2]["results"][0]
    assert grouped["interval"]["unit"] == "session" and list(grouped["groups"]) == ["Session0", "Session1"]
    assert found["tasks"][2]["data"]["speakers"] is None
    assert found["tasks"][1]["results"][0]["valence_arousal"]["clips"] is None  # two classes are one pair
    assert -1 <= task["results"][0]["valence_arousal"]["texts"] <= 1
    assert found["settings"] == {"seed": 0, "bootstrap_samples": 50, "batch_size": 5}
    assert [model["name"] for model in found["models"]] == NAMES
    assert [model["class"] for model in found["models"]] == ["SmoothCLAPModel", "ClapModel"]
    assert set(found["times"]["seconds"]) == set(NAMES)
    assert task["results"][0]["zero_shot"]["status"] == "unknown"
    assert found == json.loads(json.dumps(found, allow_nan=False))
    folders = [str(Path(path).parent) for path in (models[0], tasks[0].rows["path"][0])]
    assert not any(folder in json.dumps(found) for folder in folders)  # where things lie is nobody's business


def test_probabilities_are_the_models_own(evaluation, tasks, models):
    for name, folder in zip(NAMES, models, strict=True):
        answers = evaluation.answers["four", name]
        encoder = load_dual_encoder(folder)
        logits = encoder.logit_scale * answers.audio_embeds.astype(float) @ answers.class_embeds.T
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
        assert (answers.probabilities.argmax(axis=1) == answers.predicted).all()
        clip, rate = sf.read(tasks[0].rows["path"][3], dtype="float32")
        if rate == encoder.sampling_rate:
            np.testing.assert_allclose(encoder.embed_clips([clip])[0], answers.audio_embeds[3], atol=1e-5)
        np.testing.assert_allclose(encoder.embed_texts(["sad"])[0], answers.class_embeds[1], atol=1e-5)


def test_among_equals_the_first_class(tasks):
    task = tasks[1]
    text_embeds = {"calm": np.array([1.0, 0.0]), "aroused": np.array([1.0, 0.0])}
    text_embeds |= {"a calm voice": np.array([0.0, 1.0]), "a aroused voice": np.array([0.0, 1.0])}
    given = answer(task, 10.0, np.tile([[0.6, 0.8]], (24, 1)), text_embeds)
    assert not given.predicted.any()
    np.testing.assert_allclose(given.probabilities, 0.5)


def without(found, *parts):
    return {name: value for name, value in found.items() if name not in parts}


def test_the_same_again_is_the_same_but_for_times(evaluation, tasks, models):
    np.random.seed(7)  # which transformers' CLAP draws from
    again = evaluate_models(models, tasks, batch_size=5, bootstrap_samples=50).results
    assert json.dumps(without(again, "times")) == json.dumps(without(evaluation.results, "times"))


@pytest.mark.parametrize("batch_size", [1, 32])
def test_figures_do_not_depend_on_the_batch(evaluation, tasks, models, batch_size):
    other = evaluate_models(models, tasks, batch_size, bootstrap_samples=50).results
    assert other["models"] == evaluation.results["models"]
    for one, two in zip(other["tasks"], evaluation.results["tasks"], strict=True):
        assert without(one, "results") == without(two, "results")
        for mine, its in zip(one["results"], two["results"], strict=True):
            assert without(mine, "reliability") == without(its, "reliability")
            error = its["reliability"]["expected_calibration_error"]
            assert mine["reliability"]["expected_calibration_error"] == pytest.approx(error, abs=1e-4)


def test_other_seeds_draw_other_samples(evaluation, tasks, models):
    other = evaluate_models(models[:1], tasks[:1], seed=1, bootstrap_samples=50).results["tasks"][0]["results"][0]
    first = evaluation.results["tasks"][0]["results"][0]
    assert other["confusion"] == first["confusion"] and other["figures"] != first["figures"]


def test_everything_is_embedded_and_hashed_once(tasks, models, monkeypatch):
    read, hashed, asked = Counter(), Counter(), Counter()
    real_read, real_hash, real_texts = embed_files.decode_clip_of, results.file_sha256, DualEncoder.embed_texts
    monkeypatch.setattr(embed_files, "decode_clip_of", lambda row: read.update([row["path"]]) or real_read(row))
    monkeypatch.setattr(results, "file_sha256", lambda path: hashed.update([path]) or real_hash(path))
    monkeypatch.setattr(DualEncoder, "embed_texts", lambda self, texts: asked.update(texts) or real_texts(self, texts))
    evaluate_models(models[:1], tasks, bootstrap_samples=1)
    assert set(read.values()) == set(hashed.values()) == set(asked.values()) == {1}
    assert len(read) == 24 and len(asked) == 4 * 4 + 2 * 2


def test_only_one_model_is_in_memory(tasks, models, monkeypatch):
    loaded = []

    def load(*arguments):
        assert all(earlier() is None for earlier in loaded)
        encoder = load_dual_encoder(*arguments)
        loaded.append(weakref.ref(encoder))
        return encoder

    monkeypatch.setattr(zero_shot_evaluator, "load_dual_encoder", load)
    evaluate_models(models, tasks[:1], bootstrap_samples=1)
    assert len(loaded) == 2


def test_every_model_is_looked_up_before_the_first_runs(tasks, models, tmp_path, monkeypatch):
    monkeypatch.setattr(zero_shot_evaluator, "load_dual_encoder", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(ValueError, match=r"'.+mistyped' is no checkpoint: there is no such folder"):
        evaluate_models([models[0], str(tmp_path / "mistyped")], tasks)


def test_whether_it_is_zero_shot_is_said(tasks, tmp_path, logs):
    folder = tiny.checkpoint(tmp_path / "seen", "whisper")
    config = json.loads((folder / "config.json").read_text())
    for recorded, status in ((["Made v2"], "not zero-shot"), (["others"], "zero-shot")):
        (folder / "config.json").write_text(json.dumps(config | {"training_corpora": recorded}))
        logs.clear()
        found = evaluate_models([str(folder)], tasks[:1], bootstrap_samples=1).results
        assert found["models"][0]["training_corpora"] == recorded
        assert found["tasks"][0]["results"][0]["zero_shot"]["status"] == status
        assert (f"seen in Four: {status}. The checkpoint was trained on made" in logs.text) == (status[0] == "n")


def test_what_cannot_be_evaluated(tasks, models):
    with pytest.raises(ValueError, match="There is no model to evaluate: name at least one"):
        evaluate_models([], tasks)
    with pytest.raises(ValueError, match="There is no task to evaluate"):
        evaluate_models(models, [])
    with pytest.raises(ValueError, match=r"Two models are called 'clap', but .+ by name: write NAME=MODEL to call"):
        evaluate_models([models[1], models[0], models[1]], tasks)
    with pytest.raises(
        ValueError, match=r"Two tasks are called 'two', but .+ by name: give each once, or change `name`"
    ):
        evaluate_models(models, [tasks[1], tasks[1]])


def test_models_of_one_name_are_told_apart_by_the_user(tasks, models, tmp_path):
    other = tiny.checkpoint(tmp_path / "smoothclap", "wav2vec2")
    with pytest.raises(ValueError, match="Two models are called 'smoothclap'"):
        evaluate_models([models[0], str(other)], tasks[:1])
    found = evaluate_models([models[0], f"waves={other}"], tasks[:1], bootstrap_samples=1)
    assert [model["name"] for model in found.results["models"]] == ["smoothclap", "waves"]


def test_doubtful_clips_are_judged_counted_and_named(tasks, models, tmp_path, logs):
    rows = tasks[0].rows[:12].copy()
    for index in range(7):
        path = tmp_path / f"bad-{index}.wav"
        clip = np.sin(np.arange(900)) if index == 3 else np.zeros(2400)
        sf.write(path, clip, 24000)  # a rate of neither model
        rows.loc[index, "path"] = str(path)
    others = Task(protocol("others", tasks[0].protocol.words), tasks[0].rows[12:].reset_index(drop=True), "none")
    found = evaluate_models(models, [Task(tasks[0].protocol, rows, "none"), others], bootstrap_samples=1).results
    first, second = found["tasks"]
    assert first["data"]["doubtful"] == {"too short": 1, "silent": 6} and second["data"]["doubtful"] == {}
    assert first["data"]["clips"] == 12 == np.sum(first["results"][1]["confusion"])
    (told,) = [record.getMessage() for record in logs.records if "doubtful" in record.getMessage()]
    named = [
        f"{str(tmp_path / f'bad-{index}.wav')!r} is {'too short' if index == 3 else 'silent'}" for index in range(5)
    ]
    assert told == f"doubtful clips are judged all the same: {', '.join(named)}, and 2 more"
