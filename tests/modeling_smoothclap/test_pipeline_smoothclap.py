"""The pipeline of this package: the stock one's scores, for clips in any form, with labels that are embedded once."""

import http.server
import io
import json
import threading
from unittest.mock import patch

import datasets
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from huggingface_hub import constants
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPModel, SpeechDescriptionPipeline
from tests import tiny


TASK, STOCK = "zero-shot-speech-description", "zero-shot-audio-classification"
LABELS = ["a low voice", "eine traurige Stimme", "a very loud and angry voice"]
LENGTHS = (0.3, 0.05, 0.7, 0.2, 0.31)
each_kind = pytest.mark.parametrize("family", ["wav2vec2", "whisper"])


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkpoints")
    return {family: str(tiny.checkpoint(root / family, family)) for family in ("wav2vec2", "whisper")}


@pytest.fixture(scope="module")
def pipes(checkpoints):
    """Both pipelines, by task and family."""
    return {(task, family): pipeline(task, folder) for task in (TASK, STOCK) for family, folder in checkpoints.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / f"{number}.wav" for number in range(len(LENGTHS))]
    for path, clip in zip(paths, tiny.clips(*LENGTHS), strict=True):
        soundfile.write(path, clip, 16000, subtype="FLOAT")
    return paths


def same(found, expected):
    """Whether answers have equal labels, in equal order, and nearly equal scores."""
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    np.testing.assert_allclose([each["score"] for each in found], [each["score"] for each in expected], atol=1e-5)
    assert all(type(each["score"]) is float for each in found)
    return True


@each_kind
@pytest.mark.parametrize("template", ["{}", "This is a sound of {}.", "{}, and again: {}"])
def test_its_scores_are_the_stock_pipelines(pipes, family, template):
    clips = tiny.clips(*LENGTHS)
    wanted = pipes[STOCK, family](clips, candidate_labels=LABELS, hypothesis_template=template.replace("{}", "{0}"))
    for size in (1, 2, 16):
        given = {"candidate_labels": LABELS, "hypothesis_template": template, "batch_size": size}
        found = pipes[TASK, family](clips, **given)
        assert len(found) == len(clips) and all(map(same, found, wanted))
    assert same(pipes[TASK, family](clips[2], candidate_labels=LABELS, hypothesis_template=template), wanted[2])


@each_kind
def test_it_takes_every_form_of_a_clip(pipes, files, family):
    pipe, clips = pipes[TASK, family], tiny.clips(*LENGTHS)
    wanted = pipes[STOCK, family](clips[0], candidate_labels=LABELS, hypothesis_template="{}")
    array, data = {"array": clips[0], "sampling_rate": 16000}, files[0].read_bytes()
    forms = [files[0], str(files[0]), data, clips[0], torch.from_numpy(clips[0]), array, {"audio": array}]
    forms += [
        {"raw": clips[0], "sampling_rate": 16000},
        {"path": str(files[0])},
        {"audio": {"bytes": data, "path": None}},
    ]
    for form in forms:
        assert same(pipe(form, candidate_labels=LABELS), wanted), type(form)
    assert all(same(found, wanted) for found in pipe(forms, LABELS, batch_size=4)) and pipe([], LABELS) == []


def test_it_takes_the_stock_pipelines_files(pipes, ffmpeg, files):
    wanted = pipes[STOCK, "whisper"](str(files[2]), candidate_labels=LABELS, hypothesis_template="{}")
    assert same(pipes[TASK, "whisper"](str(files[2]), candidate_labels=LABELS), wanted)


def test_clips_at_another_rate_are_resampled(pipes):
    time = np.arange(22050) / 44100
    tone, mono = (np.sin(2 * np.pi * 440 * each).astype(np.float32) / 3 for each in (time, np.arange(8000) / 16000))
    found, wanted = (
        pipes[TASK, "whisper"](clip, candidate_labels=LABELS)
        for clip in ({"array": tone, "sampling_rate": 44100}, mono)
    )
    scores = ({each["label"]: each["score"] for each in answer} for answer in (found, wanted))
    assert next(scores) == pytest.approx(next(scores), abs=0.01)


def test_many_clips_come_in_lists_tables_data_sets_and_generators(pipes, files):
    pipe, clips = pipes[TASK, "wav2vec2"], tiny.clips(*LENGTHS)
    wanted = pipe(clips, candidate_labels=LABELS)
    rows = datasets.Dataset.from_dict({"audio": list(map(str, files))})
    streams = [(clip for clip in clips), map(np.array, clips), KeyDataset(rows, "audio"), rows.to_iterable_dataset()]
    for clips_given in (tuple(clips), list(map(str, files)), np.array(files), rows, pd.DataFrame({"path": files})):
        found = pipe(clips_given, candidate_labels=LABELS, batch_size=2)
        assert isinstance(found, list) and all(map(same, found, wanted)) and len(found) == len(clips)
    for stream in streams:
        found = pipe(stream, candidate_labels=LABELS, batch_size=2)
        assert not isinstance(found, list)
        assert sum(map(same, found, wanted)) == len(clips)


def test_a_stream_is_read_a_batch_at_a_time(pipes):
    read = []
    clips = (read.append(number) or clip for number, clip in enumerate(tiny.clips(*LENGTHS)))
    answers = pipes[TASK, "wav2vec2"](clips, candidate_labels=LABELS, batch_size=2)
    next(answers)
    assert read == [0, 1]


def test_it_fetches_clips_by_their_address(pipes, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # this server is on the same machine

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=files[0].parent)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = pipes[TASK, "whisper"](f"{address}/0.wav", candidate_labels=LABELS)
        with pytest.raises(ValueError, match=r"/9\.wav"):
            pipes[TASK, "whisper"]([f"{address}/0.wav", f"{address}/9.wav"], candidate_labels=LABELS)
        server.shutdown()
    assert same(found, pipes[TASK, "whisper"](files[0], candidate_labels=LABELS))


def test_templates_are_averaged_as_unit_vectors(pipes):
    pipe, clip, templates = pipes[TASK, "wav2vec2"], tiny.clips(0.4)[0], ["{}", "someone with {}, I guess", "x {} x"]
    found = pipe(clip, candidate_labels=LABELS, hypothesis_template=templates)
    model, processor = pipe.model, pipe.processor
    with torch.no_grad():
        audio = model.get_audio_features(
            **processor(audio=clip, sampling_rate=16000, return_tensors="pt")
        ).pooler_output
        means = [
            sum(
                model.get_text_features(**processor(text=each.replace("{}", label), return_tensors="pt")).pooler_output[
                    0
                ]
                for each in templates
            )
            for label in LABELS
        ]
        cosines = torch.nn.functional.cosine_similarity(audio, torch.stack(means))
        scores = (model.logit_scale() * cosines).softmax(dim=0).tolist()
    assert {each["label"]: each["score"] for each in found} == pytest.approx(
        dict(zip(LABELS, scores, strict=True)), abs=1e-6
    )


def test_labels_are_embedded_once_and_again_when_the_weights_change(checkpoints):
    pipe, clips = pipeline(TASK, checkpoints["whisper"]), tiny.clips(*LENGTHS)
    with patch.object(pipe.model, "get_text_features", wraps=pipe.model.get_text_features) as embed:
        given = {"candidate_labels": [f"voice {letter}" for letter in "abc"]}  # of equal lengths: one batch
        first = pipe(clips, batch_size=2, **given)
        for clip in clips:
            pipe(clip, **given)
        list(pipe((clip for clip in clips), **given))
        assert embed.call_count == 1
        pipe(clips, candidate_labels=["voice b", "voice a"])
        assert embed.call_count == 2
        with torch.no_grad():
            pipe.model.text_projection.linear1.weight.mul_(-1)
        changed = pipe(clips, candidate_labels=["voice b", "voice a"])
        assert embed.call_count == 3
        assert same(
            changed[0],
            pipeline(TASK, model=pipe.model, processor=pipe.processor)(
                clips[0], candidate_labels=["voice b", "voice a"]
            ),
        )
    assert len(first) == len(clips)


def test_settings_may_be_given_once(checkpoints):
    clips = tiny.clips(0.1, 0.2)
    pipe = pipeline(TASK, checkpoints["whisper"], candidate_labels=LABELS, hypothesis_template="a {}", batch_size=2)
    plain = pipeline(TASK, checkpoints["whisper"])
    assert all(map(same, pipe(clips), plain(clips, candidate_labels=LABELS, hypothesis_template="a {}")))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "candidate_labels"),
        ({"candidate_labels": []}, r"\[\]"),
        ({"candidate_labels": "sad, happy"}, "sad, happy"),
        ({"candidate_labels": ["sad"]}, "sad"),
        ({"candidate_labels": ["sad", "happy", "sad"]}, "sad"),
        ({"candidate_labels": ["sad", " "]}, "sad"),
        ({"candidate_labels": ["sad", 3]}, "3"),
        ({"candidate_labels": LABELS, "hypothesis_template": "a voice"}, "a voice"),
        ({"candidate_labels": LABELS, "hypothesis_template": ["a {}", "a voice"]}, "a voice"),
        ({"candidate_labels": LABELS, "hypothesis_template": []}, r"\[\]"),
        ({"candidate_labels": LABELS, "batch_size": 0}, "0"),
    ],
)
def test_wrong_settings_are_refused(pipes, given, said):
    with pytest.raises(ValueError, match=said):
        pipes[TASK, "whisper"](tiny.clips(0.1)[0], **given)


def test_clips_that_cannot_be_read_are_refused(pipes, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    sheet = io.BytesIO(b"no sound")
    for clip in (
        "nowhere.wav",
        tmp_path / "text.wav",
        b"no sound",
        np.full(800, np.nan, np.float32),
        np.zeros((2, 800)),
        sheet,
        None,
    ):
        with pytest.raises(ValueError):
            pipes[TASK, "whisper"](clip, candidate_labels=LABELS)
    with pytest.raises(ValueError, match="2 of 3 clips"):
        pipes[TASK, "whisper"](["nowhere.wav", tiny.clips(0.1)[0], tmp_path / "text.wav"], candidate_labels=LABELS)


def test_a_model_in_memory_needs_its_processor():
    with pytest.raises(ValueError, match="processor="):
        SpeechDescriptionPipeline(model=tiny.model(), tokenizer=tiny.tokenizer())


def test_a_saved_pipeline_loads_again(pipes, tmp_path):
    pipe, clip = pipes[TASK, "wav2vec2"], tiny.clips(0.3)[0]
    pipe.save_pretrained(tmp_path)
    again = pipeline(
        TASK, str(tmp_path)
    )  # installed code goes before that of the folder, which would have to be trusted
    assert type(again) is SpeechDescriptionPipeline
    assert same(again(clip, candidate_labels=LABELS), pipe(clip, candidate_labels=LABELS))


def test_only_dual_encoders_name_the_pipeline(checkpoints, tmp_path):
    saved = json.loads(SmoothCLAPModel.from_pretrained(checkpoints["whisper"]).config.to_json_string())
    assert (
        saved["custom_pipelines"][TASK]["impl"]
        == f"{SpeechDescriptionPipeline.__module__.split('.')[1]}.{SpeechDescriptionPipeline.__name__}"
    )
    assert "custom_pipelines" not in SmoothCLAPConfig.from_dict(saved | {"architectures": ["Other"]}).to_dict()
