import json
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score
from transformers import AutoModel, AutoProcessor
from transformers.audio_utils import load_audio

from modeling_smoothclap import SmoothCLAPEncoder, batching_smoothclap
from smoothclap_trainer.evaluation import results
from smoothclap_trainer.evaluation.corpora import read_task
from smoothclap_trainer.evaluation.evaluator import (
    answer,
    evaluate,
    judge,
    prompt_sensitivity,
    standardised,
    write_predictions,
)
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from smoothclap_trainer.evaluation.results import Answers, EvaluationResults
from smoothclap_trainer.evaluation.tasks import Task
from smoothclap_trainer.files import Record, file_sha256, held
from tests import tiny
from tests.corpus_trees import build_tree
from tests.trainer.evaluation.made_up_results import made_up_results, protocol
from tests.trainer.evaluation.tiny_clap import clap


NAMES = ["smoothclap", "clap"]


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
    return evaluate(models, tasks, batch_size=5, bootstrap_samples=50)


def test_metrics_are_scikit_learns(evaluation, tasks):
    assert [task.protocol.name for task in evaluation.tasks] == ["four", "two", "grouped"]
    oracles = {
        "uar": balanced_accuracy_score,
        "accuracy": accuracy_score,
        "macro_f1": lambda true, predicted: f1_score(true, predicted, average="macro"),
    }
    for task, found in zip(tasks, evaluation.tasks, strict=True):
        assert [result.model for result in found.results] == NAMES
        for result in found.results:
            answers = evaluation.answers[task.protocol.name, result.model]
            true, predicted = answers.true, answers.predicted
            classes = list(task.protocol.classes)
            assert [classes[label] for label in true] == list(task.rows["label"])
            by_group = [np.ones(len(true), dtype=bool)]
            if task.protocol.grouped_by:
                by_group = [task.rows["group"].to_numpy() == name for name in ("Session0", "Session1")]
            for name, oracle in oracles.items():
                expected = np.mean([oracle(true[members], predicted[members]) for members in by_group])
                assert result.metrics[name].value == pytest.approx(expected, abs=1e-6)
                assert result.metrics[name].low <= expected + 1e-6
            assert result.confusion == confusion_matrix(true, predicted, labels=range(len(classes))).tolist()
            recalls = recall_score(true, predicted, average=None, labels=range(len(classes)))
            assert list(result.per_class_recall) == classes
            values = [each.value for each in result.per_class_recall.values()]
            assert values == pytest.approx(recalls.tolist(), abs=1e-6)
            # What is asked in the protocol's own words is the metric itself.
            prompts = result.prompts
            assert prompts.variants[0].uar == result.uar.value
            assert prompts.lowest <= prompts.mean <= prompts.highest
            assert len(prompts.variants) == (4 if task.protocol.name == "four" else 2)


def test_results_describe_data_models_and_settings(evaluation, models, tasks):
    four, two, grouped = evaluation.tasks
    assert (four.data.clips, four.data.speakers, grouped.data.speakers) == (24, 7, None)
    assert four.data.per_class == dict.fromkeys(("happy", "sad", "angry", "neutral"), 6)
    assert four.results[0].interval.unit == "speakers" and four.results[0].groups is None
    assert grouped.results[0].interval.unit == "session"
    assert list(grouped.results[0].groups) == ["Session0", "Session1"]
    assert two.results[0].valence_arousal.clips is None  # two classes are one pair
    assert -1 <= four.results[0].valence_arousal.texts <= 1
    assert evaluation.settings == {"seed": 0, "bootstrap_samples": 50, "batch_size": 5}
    assert [(model.name, model.class_name) for model in evaluation.models] == [
        ("smoothclap", "SmoothCLAPModel"),
        ("clap", "ClapModel"),
    ]
    assert set(evaluation.times["seconds"]) == set(NAMES)
    found = json.dumps(evaluation.to_json(), allow_nan=False)
    folders = [str(Path(path).parent) for path in (models[0], tasks[0].rows["path"][0])]
    assert not any(folder in found for folder in folders)  # paths of this machine are private


def test_probabilities_are_the_models_own(evaluation, tasks, models):
    for name, folder in zip(NAMES, models, strict=True):
        answers = evaluation.answers["four", name]
        encoder = SmoothCLAPEncoder.from_pretrained(folder)
        logits = encoder.logit_scale * answers.audio_embeds.astype(float) @ answers.class_embeds.T
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
        assert (answers.probabilities.argmax(axis=1) == answers.predicted).all()
        clip, rate = sf.read(tasks[0].rows["path"][3], dtype="float32")
        if rate == encoder.sampling_rate:
            np.testing.assert_allclose(encoder.encode_audio([clip])[0], answers.audio_embeds[3], atol=1e-5)
        np.testing.assert_allclose(encoder.encode_text(["sad"])[0], answers.class_embeds[1], atol=1e-5)


def test_among_equals_the_first_class(tasks):
    task = tasks[1]
    text_embeds = {"calm": np.array([1.0, 0.0]), "aroused": np.array([1.0, 0.0])}
    text_embeds |= {"a calm voice": np.array([0.0, 1.0]), "a aroused voice": np.array([0.0, 1.0])}
    given = answer(task, 10.0, np.tile([[0.6, 0.8]], (24, 1)), text_embeds)
    assert not given.predicted.any()
    np.testing.assert_allclose(given.probabilities, 0.5)


def test_the_same_again_is_the_same_but_for_times(evaluation, tasks, models):
    np.random.seed(7)  # which transformers' CLAP draws from
    again = evaluate(models, tasks, batch_size=5, bootstrap_samples=50)
    assert replace(again, times=evaluation.times) == evaluation


def test_metrics_do_not_depend_on_the_batch(evaluation, tasks, models):
    other = evaluate(models, tasks, batch_size=32, bootstrap_samples=50)
    assert other.models == evaluation.models
    for one, two in zip(other.tasks, evaluation.tasks, strict=True):
        assert one.data == two.data
        for mine, its in zip(one.results, two.results, strict=True):
            assert replace(mine, calibration=its.calibration) == its
            error = its.calibration.expected_calibration_error
            assert mine.calibration.expected_calibration_error == pytest.approx(error, abs=1e-4)


def test_everything_is_embedded_and_hashed_once(tasks, models, monkeypatch):
    read, hashed, asked = Counter(), Counter(), Counter()
    real_read, real_hash, real_texts = (
        batching_smoothclap.read_and_check,
        results.file_sha256,
        SmoothCLAPEncoder.encode_text,
    )
    monkeypatch.setattr(
        batching_smoothclap, "read_and_check", lambda path, *rest: read.update([path]) or real_read(path, *rest)
    )
    monkeypatch.setattr(results, "file_sha256", lambda path: hashed.update([path]) or real_hash(path))
    monkeypatch.setattr(
        SmoothCLAPEncoder, "encode_text", lambda self, texts: asked.update(texts) or real_texts(self, texts)
    )
    evaluate(models[:1], tasks, bootstrap_samples=1)
    assert set(read.values()) == set(hashed.values()) == set(asked.values()) == {1}
    assert len(read) == 24 and len(asked) == 4 * 4 + 2 * 2


def test_only_one_model_is_in_memory(tasks, models, monkeypatch):
    loaded = []

    def load(*arguments, real=SmoothCLAPEncoder.from_pretrained, **options):
        assert all(earlier() is None for earlier in loaded)
        encoder = real(*arguments, **options)
        loaded.append(weakref.ref(encoder))
        return encoder

    monkeypatch.setattr(SmoothCLAPEncoder, "from_pretrained", load)
    evaluate(models, tasks[:1], bootstrap_samples=1)
    assert len(loaded) == 2


def test_every_model_is_looked_up_before_the_first_runs(tasks, models, tmp_path, monkeypatch):
    monkeypatch.setattr(SmoothCLAPEncoder, "from_pretrained", lambda *_, **__: pytest.fail("a model was loaded"))
    with pytest.raises(ValueError, match="mistyped"):
        evaluate([models[0], str(tmp_path / "mistyped")], tasks)


def test_whether_it_is_zero_shot_is_said(tasks, tmp_path, logs):
    folder = tiny.checkpoint(tmp_path / "seen", "whisper")
    config = json.loads((folder / "config.json").read_text())
    for recorded, status in ((["Made v2"], "not zero-shot"), (["others"], "zero-shot")):
        (folder / "config.json").write_text(json.dumps(config | {"training_corpora": recorded}))
        logs.clear()
        found = evaluate(folder, tasks[0], bootstrap_samples=1)
        assert found.models[0].training_corpora == recorded
        assert found.tasks[0].results[0].zero_shot.status == status
        assert (found.why(found.tasks[0], found.tasks[0].results[0]) in logs.text) == (status == "not zero-shot")


def test_a_recording_of_training_is_not_zero_shot_under_any_name_of_its_corpus(tasks, tmp_path):
    folder = tiny.checkpoint(tmp_path / "seen", "whisper")
    config = json.loads((folder / "config.json").read_text())
    for corpora in (["others"], ["unrecorded"]):
        (folder / "config.json").write_text(json.dumps(config | {"training_corpora": corpora}))
        (folder / Record.RECORDINGS).write_text(f"{file_sha256(tasks[0].rows['path'][1])}\n")
        found = evaluate(folder, tasks[0], bootstrap_samples=1).tasks[0].results[0].zero_shot
        assert found.status == "not zero-shot"


def test_what_cannot_be_evaluated(tasks, models, tmp_path):
    for of, on in (([], tasks), (models, [])):
        with pytest.raises(ValueError):
            evaluate(of, on)
    with pytest.raises(ValueError, match="'clap'"):
        evaluate([models[1], models[0], models[1]], tasks)
    with pytest.raises(ValueError, match="'two'"):
        evaluate(models, [tasks[1], tasks[1]])
    other = tiny.checkpoint(tmp_path / "smoothclap", "wav2vec2")
    with pytest.raises(ValueError, match="'smoothclap'"):
        evaluate([models[0], other], tasks[0])


def test_models_have_the_names_that_the_user_gives_loaded_ones_their_own(tasks, models, evaluation):
    encoder = SmoothCLAPEncoder.from_pretrained(models[0])
    encoder.name = "loaded"
    found = evaluate([f"waves={models[0]}", encoder], tasks[0], bootstrap_samples=50)
    assert [model.name for model in found.models] == ["waves", "loaded"]
    for result in found.tasks[0].results:
        assert result.metrics == evaluation.tasks[0].results[0].metrics


def test_doubtful_clips_are_judged_counted_and_named(tasks, models, tmp_path, logs):
    rows = tasks[0].rows[:12].copy()
    for index in range(7):
        path = tmp_path / f"bad-{index}.wav"
        clip = np.sin(np.arange(900)) if index == 3 else np.zeros(2400)
        sf.write(path, clip, 24000)  # a rate of neither model
        rows.loc[index, "path"] = str(path)
    rows.loc[0, "end"] = 0.05  # of 0.1 s
    others = Task(protocol("others", tasks[0].protocol.words), tasks[0].rows[12:].reset_index(drop=True), "none")
    first, second = evaluate(models, [Task(tasks[0].protocol, rows, "none"), others], bootstrap_samples=1).tasks
    assert first.data.doubtful == {"too short": 2, "silent": 5} and second.data.doubtful == {}
    assert list(first.data.doubtful_clips) == rows["id"][:7].tolist()
    assert first.data.clips == 12 == np.sum(first.results[1].confusion)
    (told,) = [record.getMessage() for record in logs.records if "doubtful" in record.getMessage()]
    assert all(f"bad-{index}.wav" in told for index in range(5)) and "bad-5.wav" not in told and "2 more" in told


def test_an_output_folder_gets_results_predictions_and_report(evaluation, tasks, models, tmp_path):
    found = evaluate(models[0], tasks[1], output=tmp_path / "new", bootstrap_samples=50)
    names = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*.*")}
    plots = {f"pictures/two-smoothclap-{kind}.png" for kind in ("confusion", "reliability", "map")}
    assert names == {"results.json", "predictions.csv", "report.md"} | plots
    assert EvaluationResults.load(tmp_path / "new" / "results.json") == found
    table = pd.read_csv(tmp_path / "new" / "predictions.csv")
    assert (table["true"] == table["predicted"]).sum() == np.trace(found.tasks[0].results[0].confusion)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        evaluate("/no/such/model", tasks[1], output=tmp_path / "file")  # before a model is looked up


def test_two_evaluations_do_not_write_to_one_folder(tasks, models, tmp_path):
    with ThreadPoolExecutor() as pool, held(tmp_path):  # for a thread of its own another run has the folder
        other = pool.submit(evaluate, models[0], tasks[1], output=tmp_path, bootstrap_samples=1)
        with pytest.raises(ValueError, match=f"{tmp_path}.*in use"):
            other.result()


def test_predictions_go_task_by_task_model_by_model_clip_by_clip(tmp_path):
    unused = np.zeros((2, 1))

    def answers(predicted, probabilities):
        chosen = np.array(predicted), np.array(probabilities)
        return Answers(["a, b", "ü"], ["7", None], unused, unused, np.array([0, 1]), *chosen)

    results = made_up_results()
    sure = answers([1, 1], [[0, 1], [1e-9, 1 - 1e-9]])
    given = dict.fromkeys(results.pairs, sure) | {results.pairs[0]: answers([0, 0], [[2 / 3, 1 / 3], [0.9, 0.1]])}
    write_predictions(replace(results, answers=given), tmp_path / "new" / "predictions.csv")
    lines = (tmp_path / "new" / "predictions.csv").read_bytes().decode().split("\n")
    assert lines[:4] == [
        "task,model,id,speaker,true,predicted,score,true_score",
        'sessions-4,user/name,"a, b",7,neutral,neutral,0.666667,0.666667',
        "sessions-4,user/name,ü,,happy,neutral,0.900000,0.100000",
        'sessions-4,/a/b,"a, b",7,neutral,happy,1.000000,0.000000',
    ]
    assert lines[-2] == "Made up/2,/a/b,ü,,not intoxicated,not intoxicated,1.000000,1.000000" and len(lines) == 10


EMBEDS = {
    "sad": [1.0, 0.0],
    "happy": [0.0, 1.0],
    "a sad voice": [0.0, 1.0],  # just the wrong way round
    "a happy voice": [1.0, 0.0],
    "sorrowful": [1.0, 0.0],
    "joyful": [1.0, 0.0],  # no difference: all clips are sorrowful
    "a sorrowful voice": [2.0, 0.1],
    "a joyful voice": [0.1, 2.0],
}
AUDIO = np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.7], [0.3, 0.9], [0.1, 0.6]])
TRUE = np.array([0, 0, 0, 1, 1])
TEXT_EMBEDS = {text: np.array(embed) for text, embed in EMBEDS.items()}
PROMPTED = {"words": {"sad": "sad", "happy": "happy"}, "other_words": ({"happy": "joyful", "sad": "sorrowful"},)}


def test_how_far_uar_moves_with_the_prompt():
    found = prompt_sensitivity(protocol("two", **PROMPTED), AUDIO, TEXT_EMBEDS, TRUE)
    assert [variant.uar for variant in found.variants] == pytest.approx([5 / 6, 1 / 6, 1 / 2, 5 / 6])
    assert found.variants[1].texts == ("a sad voice", "a happy voice")
    assert found.lowest == pytest.approx(1 / 6) and found.highest == pytest.approx(5 / 6)
    assert found.mean == pytest.approx(7 / 12)
    assert found.deviation == pytest.approx(np.sqrt((1 / 16 + 25 / 144 + 1 / 144 + 1 / 16) / 4))


def test_a_grouped_uar_is_the_mean_over_groups():
    groups = ["first", "second", "first", "second", "first"]
    found = prompt_sensitivity(protocol("two", grouped_by="session", **PROMPTED), AUDIO, TEXT_EMBEDS, TRUE, groups)
    assert found.variants[0].uar == pytest.approx(0.875)  # recalls of 1/2 and 1 in the first group, 1 in the second


ASKED = {"words": {"up": "up", "down": "down"}, "other_words": ({"up": "high", "down": "low"},), "other_templates": ()}


def asked(folder, places, speakers, labels, intents=None, **options):
    """What a model reaches whose clips lie at `places` between two classes; those without a label are not judged."""
    rows = pd.DataFrame({"id": [*map(str, range(len(places)))], "label": labels, "speaker": speakers, "group": None})
    rows["path"], rows["confound"] = str(folder / "any.wav"), intents
    sf.write(folder / "any.wav", np.zeros(1600), 16000)
    judged = rows["label"].notna()
    task = Task(protocol("asked", **ASKED, **options), rows[judged], "none", rows[~judged])
    texts = {"up": [1.0, 0.2], "down": [0.2, 1.0], "high": [0.6, 0.8], "low": [-0.8, 0.6]}
    texts = {text: np.array(embed) for text, embed in texts.items()}
    embeds = np.stack([np.cos(places), np.sin(places)], axis=1)
    encoder = SmoothCLAPEncoder(tiny.model(), tiny.processor())
    given = answer(task, encoder.logit_scale, embeds, texts)
    return given, judge(task, encoder, given, texts, {"bootstrap_samples": 10, "seed": 0})


def test_a_class_is_the_mean_of_its_wordings(tmp_path):
    given, _ = asked(tmp_path, [0.1, 1.5], ["a", "a"], ["up", "down"], averaged=True)
    means = np.array([[0.8, 0.5], [-0.3, 0.8]])
    assert given.class_embeds == pytest.approx(means / np.linalg.norm(means, axis=1, keepdims=True))
    assert len(given.predicted) == 2


def test_scores_are_standardised_within_speakers_over_all_their_clips(tmp_path):
    # Both speakers go up and down, the second around a direction that is always "down" as it is.
    places = np.array([0.2, 0.6, 1.1, 1.5, 0.3, 1.6])
    speakers, labels = ["a", "a", "b", "b", "a", "b"], ["up", "down", "up", "down", None, None]
    given, found = asked(tmp_path, places, speakers, labels, by_speaker=True)
    assert given.predicted.tolist() == [0, 0, 1, 1] and len(given.ids) == 4
    angles = np.arctan2([0.2, 1.0], [1.0, 0.2])
    scores = np.cos(places[:, None] - angles)
    own = np.array([name == "a" for name in speakers])
    for members in (own, ~own):
        scores[members] = (scores[members] - scores[members].mean(0)) / scores[members].std(0, ddof=1)
    predicted = scores[:4].argmax(axis=1)
    assert given.predicted_by_speaker.tolist() == predicted.tolist() == [0, 1, 0, 1]
    assert found.uar.value == 0.5 and found.by_speaker.metrics["uar"].value == 1.0
    assert found.by_speaker.per_class_recall["down"].value == 1.0


def test_scores_that_do_not_vary_within_a_speaker_are_0():
    found = standardised(np.array([[0.5, 1.0], [0.5, 3.0]]), pd.Series(["a", "a"]))
    assert found == pytest.approx(np.array([[0, -(0.5**0.5)], [0, 0.5**0.5]]))


def test_a_recall_for_each_value_that_goes_with_a_class_and_shuffled_labels(tmp_path):
    places, labels = [0.1, 1.4, 0.1, 1.4, 1.4], ["up", "up", "up", "down", "down"]
    intents = ["hey", "hey", "yes", "no", "oh"]
    found = asked(tmp_path, places, [*"ababa"], labels, intents, confounded_by="intent", shuffles=300)[1]
    values = {name: (each.of_class, each.clips, each.recall) for name, each in found.by_value.items()}
    assert values == {"hey": ("up", 2, 0.5), "no": ("down", 1, 1.0), "oh": ("down", 1, 1.0), "yes": ("up", 1, 1.0)}
    assert found.uar.value == pytest.approx((2 / 3 + 1) / 2)
    predicted, uars = [0, 1, 0, 1, 1], []
    for (first, third, fifth), (second, fourth) in product(permutations([0, 0, 1]), permutations([0, 1])):
        uars.append(balanced_accuracy_score([first, second, third, fourth, fifth], predicted))
    assert found.shuffled["clips"].mean == pytest.approx(np.mean(uars), abs=0.03)
    assert found.shuffled["clips"].largest == pytest.approx(max(uars))
    assert found.shuffled["intent"].shuffles == 300
    assert found.by_speaker is None


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


def test_named_tasks_are_as_by_hand(models, tmp_path):
    names = ["iemocap-4", "sld-2"]  # grouped or not
    for name in names:
        build_tree(PROTOCOLS[name].corpus, tmp_path, takes=1)
    found = evaluate(models, names, data_root=tmp_path, bootstrap_samples=10)
    assert [task.protocol for task in found.tasks] == [PROTOCOLS[name] for name in names]
    for task in found.tasks:
        for result, model in zip(task.results, models, strict=True):
            expected = by_hand(tmp_path, task.protocol, model)
            assert {name: each.value for name, each in result.metrics.items()} == pytest.approx(expected, abs=1e-6)
