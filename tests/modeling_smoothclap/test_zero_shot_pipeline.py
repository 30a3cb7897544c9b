"""The stock zero-shot pipeline, from a saved directory, with every kind of input and label."""

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoModel, AutoProcessor, pipeline

from modeling_smoothclap import SmoothCLAPModel
from tests import tiny


LABELS = ["a low voice", "a high voice", "a very loud and angry voice"]
LENGTHS = (0.11, 0.05, 0.0832, 0.2)
each_kind = pytest.mark.parametrize("family", ["wav2vec2", "whisper"])


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Directories of a tiny model of either kind, by family."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {family: tiny.checkpoint(root / family, family) for family in ("wav2vec2", "whisper")}


@pytest.fixture(scope="module")
def pipes(checkpoints):
    """A pipeline of either kind, by family."""
    return {
        family: pipeline("zero-shot-audio-classification", model=str(folder)) for family, folder in checkpoints.items()
    }


def scores(results: list[dict]) -> dict[str, float]:
    return {result["label"]: result["score"] for result in results}


@each_kind
def test_it_loads_the_registered_classes(pipes, family):
    assert type(pipes[family].model) is SmoothCLAPModel
    assert type(pipes[family].feature_extractor).__module__ == "modeling_smoothclap.feature_extraction_smoothclap"


@each_kind
def test_scores_are_the_softmax_of_the_models_logits(pipes, checkpoints, family):
    clip = tiny.clips(0.1)[0]
    results = pipes[family](clip, candidate_labels=LABELS, hypothesis_template="{}")
    assert [result["score"] for result in results] == sorted((r["score"] for r in results), reverse=True)
    model, processor = (
        AutoModel.from_pretrained(checkpoints[family]),
        AutoProcessor.from_pretrained(checkpoints[family]),
    )
    with torch.no_grad():
        batch = processor(text=LABELS, audio=clip, sampling_rate=16000, return_tensors="pt")
        expected = model(**batch).logits_per_audio.softmax(dim=-1)[0]
    assert scores(results) == pytest.approx(dict(zip(LABELS, expected.tolist(), strict=True)), abs=1e-6)


@each_kind
@pytest.mark.parametrize("batch_size", [2, 4])
def test_a_batch_gives_each_clip_what_it_gives_alone(pipes, family, batch_size):
    # Louder and louder, and a tone among them: a pipeline that mixed them up would be found out.
    clips = [factor * clip for factor, clip in zip((0.01, 1, 9, 1), tiny.clips(*LENGTHS), strict=True)]
    clips[3] = np.sin(np.arange(len(clips[3])) / 5).astype(np.float32)
    alone = [scores(pipes[family](clip, candidate_labels=LABELS)) for clip in clips]
    together = [scores(r) for r in pipes[family](clips, candidate_labels=LABELS, batch_size=batch_size)]
    assert len(together) == len(LENGTHS)
    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, abs=1e-6)
    assert alone[0] != pytest.approx(alone[3], abs=1e-4)


def test_a_generator_of_clips(pipes):
    clips = tiny.clips(*LENGTHS)
    streamed = list(pipes["wav2vec2"]((clip for clip in clips), candidate_labels=LABELS))
    assert len(streamed) == len(clips)
    assert scores(streamed[2]) == pytest.approx(scores(pipes["wav2vec2"](clips[2], candidate_labels=LABELS)), abs=1e-6)


@each_kind
@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_a_path_gives_what_its_samples_give(pipes, ffmpeg, tmp_path, family, form):
    # The stock pipeline decodes files with the program ffmpeg, whatever their form.
    clip, path = tiny.clips(0.5)[0], tmp_path / f"clip.{form}"
    if form == "wav":
        soundfile.write(path, clip, 16000, subtype="FLOAT")
    else:
        soundfile.write(path, clip, 16000)
    decoded = scores(pipes[family](str(path), candidate_labels=LABELS))
    expected = scores(pipes[family](clip, candidate_labels=LABELS))
    tolerance = {"wav": 1e-6, "flac": 1e-3}.get(form, 0.1)  # the last two lose some of the sound
    assert decoded == pytest.approx(expected, abs=tolerance)


def test_a_stereo_file_at_another_rate_is_mixed_and_resampled(pipes, ffmpeg, tmp_path):
    time = np.arange(22050) / 44100
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone, tone], axis=1), 44100)
    mono = (0.3 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)).astype(np.float32)
    decoded = scores(pipes["whisper"](str(tmp_path / "stereo.wav"), candidate_labels=LABELS))
    assert decoded == pytest.approx(scores(pipes["whisper"](mono, candidate_labels=LABELS)), abs=0.02)


@pytest.mark.parametrize(
    ("template", "labels"),
    [
        ("هذا الشخص يتكلم بصوت {}", ["منخفض", "مرتفع", "حزين جداً"]),
        ("这个人的声音听起来{}", ["低沉", "高亢", "非常悲伤"]),
        ("Этот человек говорит {}", ["тихо", "громко", "грустно"]),
        ("{}", ["😀", "😢", "👩‍👩‍👧 🏳️‍🌈"]),
        ("उसकी आवाज़ {} है", ["धीमी", "ऊँची", "उदास"]),
        ("この声は{}", ["低い", "高い", "とても悲しい"]),
        ("קול {}", ["נמוך", "גבוה", "עצוב"]),
        ("{} ❗", ["low низкий 低い", "a\u0301 = á", "ﷺ"]),
    ],
    ids=["arabic", "chinese", "cyrillic", "emoji", "devanagari", "japanese", "hebrew", "mixed"],
)
def test_labels_and_templates_in_any_script(pipes, template, labels):
    results = pipes["whisper"](tiny.clips(0.1)[0], candidate_labels=labels, hypothesis_template=template)
    found = scores(results)
    assert set(found) == set(labels), "labels come back as they were given"
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert len({round(score, 7) for score in found.values()}) == 3, "the tokenizer tells them apart"
    other = scores(pipes["whisper"](tiny.clips(0.1)[0], candidate_labels=labels, hypothesis_template=f"x {template}"))
    assert other != pytest.approx(found, abs=1e-6), "the template is read"


def test_the_order_of_the_labels_does_not_matter(pipes):
    clip = tiny.clips(0.1)[0]
    forward = scores(pipes["whisper"](clip, candidate_labels=LABELS))
    backward = scores(pipes["whisper"](clip, candidate_labels=LABELS[::-1]))
    assert backward == pytest.approx(forward, abs=1e-6)


@each_kind
def test_a_faulty_clip_is_refused_with_the_extractors_words(pipes, family):
    with pytest.raises(ValueError, match="Clip 0 holds NaN or infinity"):
        pipes[family](np.full(800, np.nan, np.float32), candidate_labels=LABELS)


def test_half_precision(checkpoints):
    pipe = pipeline("zero-shot-audio-classification", model=str(checkpoints["whisper"]), dtype=torch.bfloat16)
    full = pipeline("zero-shot-audio-classification", model=str(checkpoints["whisper"]), dtype=torch.float32)
    clip = tiny.clips(0.1)[0]
    assert pipe.model.dtype == torch.bfloat16
    assert scores(pipe(clip, candidate_labels=LABELS)) == pytest.approx(
        scores(full(clip, candidate_labels=LABELS)), abs=0.1
    )
