"""The pipeline of descriptions: the stock one's scores, from any input, with texts embedded once, on any machine."""

import numpy as np
import pytest
import soundfile
from transformers import pipeline

from modeling_smoothclap import SpeechDescriptionPipeline
from tests import tiny
from tests.clean_process import run_without_packages


TASK, STOCK = "zero-shot-speech-description", "zero-shot-audio-classification"
LABELS = ["a low voice", "a high voice", "a very loud and angry voice"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("checkpoint"), "wav2vec2")


@pytest.fixture(scope="module")
def describe(checkpoint):
    return pipeline(TASK, model=str(checkpoint))


def scores(answers):
    return {each["label"]: each["score"] for each in answers}


def close(answers):
    return pytest.approx(scores(answers), abs=1e-5)


def test_scores_are_those_of_the_stock_pipeline(describe, checkpoint):
    stock = pipeline(STOCK, model=str(checkpoint))
    assert isinstance(describe, SpeechDescriptionPipeline) and not isinstance(stock, SpeechDescriptionPipeline)
    clips = tiny.clips(0.11, 0.05, 0.2, 0.11)
    found = describe(clips, LABELS, "this is {}", batch_size=2)
    for clip, answers in zip(clips, found, strict=True):
        expected = stock(clip, candidate_labels=LABELS, hypothesis_template="this is {}")
        assert scores(answers) == close(expected)
        assert [each["label"] for each in answers] == [each["label"] for each in expected]


def test_every_form_of_a_clip_gives_the_same(describe, tmp_path):
    clip = tiny.clips(0.2)[0]
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip, 16000, subtype="FLOAT")
    expected = describe(clip, LABELS)
    forms = [path, str(path), path.read_bytes(), {"array": clip, "sampling_rate": 16000}]
    forms += [{"raw": clip, "sampling_rate": 16000}, {"path": str(path)}]
    for form in forms:
        assert scores(describe(form, candidate_labels=LABELS)) == close(expected)
    together = describe(forms, candidate_labels=LABELS)
    streamed = list(describe((form for form in forms), candidate_labels=LABELS, batch_size=1))
    for answers in (*together, *streamed):
        assert scores(answers) == close(expected)
    assert len(together) == len(streamed) == 6 and describe([], candidate_labels=LABELS) == []


def test_several_templates_are_averaged(describe):
    clip, templates = tiny.clips(0.2)[0], ["{}", "this is {}"]
    encoder = describe._encoder
    means = np.mean([encoder.encode_text([t.replace("{}", each) for each in LABELS]) for t in templates], axis=0)
    logits = encoder.logit_scale * (means / np.linalg.norm(means, axis=1, keepdims=True)) @ encoder.encode_audio(clip)
    expected = np.exp(logits) / np.exp(logits).sum()
    found = scores(describe(clip, LABELS, templates))
    assert [found[label] for label in LABELS] == pytest.approx(expected.tolist(), abs=1e-5)


def test_texts_are_embedded_once(checkpoint, monkeypatch):
    describe = pipeline(TASK, model=str(checkpoint))
    encode, calls = describe._encoder.encode_text, []

    def counted(texts, **options):
        calls.append(list(texts))
        return encode(texts, **options)

    monkeypatch.setattr(describe._encoder, "encode_text", counted)
    for _ in range(2):
        describe(tiny.clips(0.1, 0.2, 0.1), LABELS, batch_size=1)
    assert calls == [LABELS]
    describe(tiny.clips(0.1), LABELS[:2])
    assert calls == [LABELS, LABELS[:2]]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"candidate_labels": []}, "texts"),
        ({"candidate_labels": "a low voice"}, "a low voice"),
        ({"candidate_labels": ["a", "a"]}, "different"),
        ({"candidate_labels": None}, "None"),
        ({"candidate_labels": LABELS, "hypothesis_template": "a voice"}, "a voice"),
        ({"candidate_labels": LABELS, "hypothesis_template": []}, "templates"),
    ],
)
def test_labels_that_cannot_be_compared(describe, given, named):
    with pytest.raises(ValueError, match=named):
        describe(tiny.clips(0.1)[0], **given)


def test_clips_that_cannot_be_read(describe, tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    for clip in (tmp_path / "text.wav", str(tmp_path / "missing.wav"), b"", {"sampling_rate": 16000}, 5):
        with pytest.raises(ValueError):
            describe(clip, candidate_labels=LABELS)


ELSEWHERE = f"""
import numpy as np
from transformers import pipeline

describe = pipeline("{TASK}", model=sys.argv[1], trust_remote_code=True)
result = [describe(np.load("clip.npy"), candidate_labels={LABELS!r}), type(describe).__module__]
"""


def test_it_travels_with_what_it_saves(describe, tmp_path):
    clip = tiny.clips(0.2)[0]
    np.save(tmp_path / "clip.npy", clip)
    describe.save_pretrained(tmp_path / "saved")
    found, module = run_without_packages(ELSEWHERE, tmp_path, "saved", modules_cache=tmp_path / "modules")
    assert scores(found) == close(describe(clip, candidate_labels=LABELS))
    assert module.startswith("transformers_modules.")
    assert str(tmp_path) not in (tmp_path / "saved" / "config.json").read_text()
