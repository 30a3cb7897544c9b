"""Searching clips by text and texts by clip: by hand on a circle, and as a real model gives it."""

import json
import shutil

import numpy as np
import pytest
import soundfile as sf
import torch

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import read_audio
from smoothclap_trainer.search import SpeechIndex, read_index_file, write_index_file
from tests import tiny


class OnACircle(SmoothCLAPEncoder):
    """Hears a clip's peak, a tenth of full scale to 10 degrees, and reads texts that are numbers of degrees."""

    sampling_rate = tiny.SAMPLING_RATE

    def __init__(self, name="circle", weights="a" * 64):
        self.name, self.weights, self.heard = name, weights, 0

    def describe(self):
        facts = {"name": self.name, "revision": None, "class": "OnACircle", "weights_sha256": self.weights}
        return facts | {"sampling_rate": self.sampling_rate}

    def encode_audio(self, audio, batch_size=16, num_workers=2):
        if not isinstance(audio, list):
            return self.encode_audio([audio])[0]
        self.heard += len(audio)
        clips = [clip if isinstance(clip, np.ndarray) else read_audio(clip, self.sampling_rate) for clip in audio]
        return self._embed([100 * np.abs(clip).max() for clip in clips])

    def encode_text(self, texts):
        return self._embed([float(text) for text in texts])

    def _embed(self, degrees):
        angles = np.deg2rad(degrees)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def at(degrees):
    """A clip that is heard at these degrees."""
    clip = tiny.clips(0.2)[0]
    return clip / np.abs(clip).max() * degrees / 100


def write(path, degrees):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, at(degrees), tiny.SAMPLING_RATE, subtype="FLOAT")
    return path


@pytest.fixture
def folder(tmp_path):
    for name, degrees in {"a.wav": 10, "b/c.wav": 50, "b/d.wav": 80}.items():
        write(tmp_path / "clips" / name, degrees)
    return tmp_path / "clips"


def names(index, answers):
    """What was found, by name, and its cosine in degrees."""
    return [
        [(str(path.relative_to(index.folder)), round(np.rad2deg(np.arccos(cosine)))) for path, cosine in found]
        for found in answers
    ]


@pytest.mark.parametrize("backend", ["numpy", "faiss"])
def test_clips_by_text(folder, backend):
    index = SpeechIndex.build(OnACircle(), folder)
    found = names(index, index.find_clips(["40", "0"], k=2, backend=backend))
    assert found == [[("b/c.wav", 10), ("a.wav", 30)], [("a.wav", 10), ("b/c.wav", 50)]]
    assert [len(answers) for answers in index.find_clips(["45"], backend=backend)] == [3]


@pytest.mark.parametrize("backend", ["numpy", "faiss"])
def test_texts_by_clip(folder, tmp_path, backend):
    index = SpeechIndex.build(OnACircle(), folder, texts=["0", "60", "90"])
    for clip in (write(tmp_path / "own.wav", 50), str(tmp_path / "own.wav"), at(50)):
        [found] = index.find_texts([clip], k=2, backend=backend)
        assert [(text, round(np.rad2deg(np.arccos(cosine)))) for text, cosine in found] == [("60", 10), ("90", 40)]
    assert [row[0][0] for row in index.find_texts([at(5), at(85)], k=1)] == ["0", "90"]


@pytest.mark.parametrize("backend", ["numpy", "faiss"])
def test_clips_by_clip(folder, backend):
    index = SpeechIndex.build(OnACircle(), folder)
    assert names(index, index.find_similar([folder / "b/d.wav"], 2, backend)) == [[("b/d.wav", 0), ("b/c.wav", 30)]]


def test_paths_in_place_of_a_folder(folder):
    index = SpeechIndex.build(OnACircle(), [folder / "b/d.wav", folder / "b/c.wav"])
    assert index.folder == folder / "b"
    assert list(index.clips) == ["d.wav", "c.wav"]


def test_equal_clips_are_heard_once_and_come_in_order(folder):
    shutil.copy(folder / "a.wav", folder / "z.wav")
    encoder = OnACircle()
    index = SpeechIndex.build(encoder, folder)
    assert encoder.heard == 3
    assert names(index, index.find_clips(["10"], k=2)) == [[("a.wav", 0), ("z.wav", 0)]]


def test_it_is_what_the_model_gives(tmp_path):
    """Cosines against one clip and one text at a time, straight from the model."""
    checkpoint = tiny.checkpoint(tmp_path / "model")
    clips = tiny.clips(0.3, 0.2, 0.25)
    for number, clip in enumerate(clips):
        sf.write(tmp_path / f"{number}.wav", clip, tiny.SAMPLING_RATE, subtype="FLOAT")
    texts = ["a low voice", "eine hohe Stimme"]
    encoder = SmoothCLAPEncoder.from_pretrained(checkpoint)
    index = SpeechIndex.build(encoder, tmp_path, texts, batch_size=2, num_workers=1)
    index.save(tmp_path / "index")
    model, processor = tiny.model(), tiny.processor()
    with torch.no_grad():
        audio = [processor(audio=clip, sampling_rate=tiny.SAMPLING_RATE, return_tensors="pt") for clip in clips]
        audio = torch.cat([model.get_audio_features(**each).pooler_output for each in audio])
        text = [model.get_text_features(**processor(text=text, return_tensors="pt")).pooler_output for text in texts]
        cosines = torch.nn.functional.cosine_similarity(audio[:, None], torch.cat(text)[None], dim=-1).numpy()
    loaded = SpeechIndex.load(tmp_path / "index")  # and with it the model, by its name
    for column, found in enumerate(loaded.find_clips(texts)):
        assert {path.stem: cosine for path, cosine in found} == pytest.approx(
            {str(row): cosines[row, column] for row in range(3)}, abs=1e-5
        )
    for row, found in enumerate(loaded.find_texts(clips)):
        assert dict(found) == pytest.approx(dict(zip(texts, cosines[row], strict=True)), abs=1e-5)


def test_saved_and_loaded(folder, tmp_path):
    encoder = OnACircle()
    index = SpeechIndex.build(encoder, folder, texts=["0", "60"])
    index.save(tmp_path / "made" / "index")
    loaded = SpeechIndex.load(tmp_path / "made" / "index", encoder)
    assert (loaded.model, loaded.folder, loaded.clips) == (index.model, folder, index.clips)
    assert (loaded.texts, loaded.left_out) == (["0", "60"], [])
    np.testing.assert_array_equal(loaded.audio_embeds, index.audio_embeds)
    np.testing.assert_array_equal(loaded.text_embeds, index.text_embeds)
    assert loaded.find_clips(["33"]) == index.find_clips(["33"])


@pytest.mark.parametrize("place", ["clips/.index", "index"])
def test_it_moves_with_its_clips(folder, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    SpeechIndex.build(OnACircle(), "clips").save(place)
    (tmp_path / "elsewhere").mkdir()
    for part in ("clips", "index"):
        if (tmp_path / part).exists():
            (tmp_path / part).rename(tmp_path / "elsewhere" / part)
    loaded = SpeechIndex.load(f"elsewhere/{place}", OnACircle())
    [[(path, _)]] = loaded.find_clips(["0"], k=1)
    assert path == tmp_path / "elsewhere" / "clips" / "a.wav"


def test_clips_that_moved_apart_are_asked_for(folder, tmp_path):
    SpeechIndex.build(OnACircle(), folder, ["20", "90"]).save(tmp_path / "index")
    folder.rename(tmp_path / "moved")
    apart = SpeechIndex.load(tmp_path / "index", OnACircle())
    said = r"not where they were: there is no folder '.*clips'\. Say where they are now, with `clips` \(--folder\)"
    with pytest.raises(ValueError, match=said):
        apart.find_clips(["0"])
    with pytest.raises(ValueError, match=said):
        apart.find_similar([at(10)])
    assert apart.find_texts([at(10)])[0][0][0] == "20"  # which needs no clips
    loaded = SpeechIndex.load(tmp_path / "index", OnACircle(), tmp_path / "moved")
    assert loaded.find_clips(["0"], k=1)[0][0][0] == tmp_path / "moved" / "a.wav"


def test_building_again_hears_only_what_is_new(folder, tmp_path):
    SpeechIndex.build(OnACircle(), folder, texts=["0"]).save(tmp_path / "index")
    write(folder / "a.wav", 20)  # changed
    (folder / "b/c.wav").rename(folder / "renamed.wav")
    (folder / "b/d.wav").unlink()
    write(folder / "new.wav", 70)
    encoder = OnACircle()
    index = SpeechIndex.build(encoder, folder, earlier=SpeechIndex.load(tmp_path / "index", encoder))
    assert encoder.heard == 2
    assert names(index, index.find_clips(["0"])) == [[("a.wav", 20), ("renamed.wav", 50), ("new.wav", 70)]]
    assert index.texts == ["0"]
    assert SpeechIndex.build(encoder, folder, ["60", "90"], earlier=index).texts == ["60", "90"]
    assert encoder.heard == 2


def test_an_index_is_not_lost_to_another_folder(folder, tmp_path):
    encoder = OnACircle()
    index = SpeechIndex.build(encoder, folder)
    write(tmp_path / "other" / "a.wav", 20)
    with pytest.raises(ValueError, match=r"is of '.*clips', and none of its clips is in '.*other'.*\(--index\), or"):
        SpeechIndex.build(encoder, tmp_path / "other", earlier=index)
    assert encoder.heard == 3
    shutil.copy(folder / "b/d.wav", tmp_path / "other")  # the folder has moved, and lost clips
    assert list(SpeechIndex.build(encoder, tmp_path / "other", earlier=index).clips) == ["a.wav", "d.wav"]
    for path in folder.rglob("*.wav"):
        path.unlink()
    write(folder / "new.wav", 33)  # the same folder, all of it new
    assert list(SpeechIndex.build(encoder, folder, earlier=index).clips) == ["new.wav"]


def test_bad_clips(folder, logs):
    (folder / "text.wav").write_text("not audio")
    sf.write(folder / "b" / "silent.wav", np.zeros(9000), tiny.SAMPLING_RATE)
    with pytest.raises(ValueError, match=r"2 of 5 clips are bad(.|\n)*silent(.|\n)*text\.wav"):
        SpeechIndex.build(OnACircle(), folder)
    index = SpeechIndex.build(OnACircle(), folder, bad_clips="skip")
    assert "2 of 5 clips are left out: 1 silent, 1 unreadable" in logs.text
    assert list(index.clips) == ["a.wav", "b/c.wav", "b/d.wav"]
    with pytest.raises(ValueError, match="unknown policy 'drop'"):
        SpeechIndex.build(OnACircle(), folder, bad_clips="drop")


def test_what_was_left_out_is_kept_with_the_index(folder, tmp_path):
    encoder = OnACircle()
    index = SpeechIndex.build(encoder, folder)
    (folder / "text.wav").write_text("not audio")
    index = SpeechIndex.build(encoder, folder, bad_clips="skip", earlier=index)  # all that is new is bad
    index.save(tmp_path / "index")
    [bad] = SpeechIndex.load(tmp_path / "index", encoder).left_out
    assert (bad.name, bad.problem) == ("text.wav", "unreadable")
    assert encoder.heard == 3


def test_another_model_is_refused(folder, tmp_path):
    index = SpeechIndex.build(OnACircle(), folder)
    index.save(tmp_path / "index")
    other = OnACircle("square", "b" * 64)
    said = r"was made with 'circle' \(weights a{12}\), and embeddings of 'square' \(weights b{12}\) cannot be compared"
    with pytest.raises(ValueError, match=rf"The index in '.*' {said}"):
        SpeechIndex.load(tmp_path / "index", other)
    with pytest.raises(ValueError, match=rf"The earlier index {said}"):
        SpeechIndex.build(other, folder, earlier=index)
    assert SpeechIndex.load(tmp_path / "index", OnACircle("the same, moved")).encoder.name == "the same, moved"


def test_a_model_that_moved(tmp_path, folder):
    checkpoint = tiny.checkpoint(tmp_path / "model")
    SpeechIndex.build(SmoothCLAPEncoder.from_pretrained(str(checkpoint)), folder).save(tmp_path / "index")
    checkpoint.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="model'"):
        SpeechIndex.load(tmp_path / "index")
    loaded = SpeechIndex.load(tmp_path / "index", str(tmp_path / "moved"))
    assert len(loaded.find_clips(["a low voice"])[0]) == 3


def test_the_recorded_revision_is_loaded(folder, tmp_path, monkeypatch):
    SpeechIndex.build(OnACircle("me/mine"), folder).save(tmp_path)
    record, arrays = read_index_file(tmp_path)
    record["model"]["revision"] = "c0ffee"
    write_index_file(tmp_path, json.loads(json.dumps(record)), arrays)
    asked = []

    def load(*arguments, **options):
        asked.append((*arguments, options))
        return OnACircle()

    monkeypatch.setattr(SmoothCLAPEncoder, "from_pretrained", load)
    SpeechIndex.load(tmp_path, trust_remote_code=True, device="meta")
    assert asked == [("me/mine", "meta", {"revision": "c0ffee", "trust_remote_code": True})]


def test_faulty_requests_are_named(folder):
    index = SpeechIndex.build(OnACircle(), folder)
    with pytest.raises(ValueError, match="Give a list of texts, not the one string '45'"):
        index.find_clips("45")
    with pytest.raises(ValueError, match="at least one text"):
        index.find_clips([])
    with pytest.raises(ValueError, match="Text 2 of 2 is empty"):
        index.find_clips(["45", " "])
    with pytest.raises(ValueError, match="k is 0"):
        index.find_clips(["45"], k=0)
    with pytest.raises(ValueError, match="no texts to describe a clip by; build it again with `texts`"):
        index.find_texts([at(10)])
    with pytest.raises(ValueError, match=r"a list of at least one clip, not 'a\.wav'"):
        index.find_similar("a.wav")
    with pytest.raises(ValueError, match=r"a list of at least one clip, not \[\]"):
        index.find_similar([])
    with pytest.raises(ValueError, match=r"gone\.wav'.*there is no such file"):
        index.find_similar([folder / "gone.wav"])
    with pytest.raises(ValueError, match="The text '10' is there twice"):
        SpeechIndex.build(OnACircle(), folder, texts=["10", "20", "10"])
    with pytest.raises(ValueError, match="Give a list of texts, not the one string 'low'"):
        SpeechIndex.build(OnACircle(), folder, texts="low")
