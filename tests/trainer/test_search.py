"""Searching clips by text and texts by clip: by hand on a circle, and against a real model; the file of an index."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.numpy import save_file
from transformers import BatchFeature

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer import search
from smoothclap_trainer.search import INDEX_FILE, SpeechIndex, find_audio, nearest
from tests import tiny


class CircleModel:
    """Maps a clip's peak, a tenth of full scale to 10 degrees, and texts that are numbers of degrees, to a circle."""

    config = SimpleNamespace(model_type="circle")
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self):
        self.clips = 0

    def get_audio_features(self, audio):
        self.clips += len(audio)
        return self.embed(100 * audio.abs().amax(dim=1))

    def get_text_features(self, input_ids):
        return self.embed(input_ids[:, 0].float())

    @staticmethod
    def embed(degrees):
        angles = torch.deg2rad(degrees)
        return SimpleNamespace(pooler_output=torch.stack([angles.cos(), angles.sin()], dim=1))


class CircleProcessor:
    feature_extractor = SimpleNamespace(sampling_rate=tiny.SAMPLING_RATE)

    def tokenizer(self, texts):
        return {"input_ids": [[float(text)] for text in texts]}

    def __call__(self, text=None, audio=None, sampling_rate=None, return_tensors=None):
        if text is not None:
            return BatchFeature({"input_ids": torch.tensor([[float(each)] for each in text])})
        return BatchFeature({"audio": torch.from_numpy(np.stack(audio))})


class Circle(SmoothCLAPEncoder):
    """An encoder with that model; `describe` gives it weights."""

    def __init__(self, name="circle", weights="a" * 64):
        super().__init__(CircleModel(), CircleProcessor(), name)
        self.weights = weights

    def describe(self):
        facts = {"name": self.name, "revision": None, "class": "Circle", "weights_sha256": self.weights}
        return facts | {"sampling_rate": self.sampling_rate}


def at(degrees):
    """A clip that is encoded at these degrees."""
    clip = tiny.clips(0.2)[0]
    return (clip / np.abs(clip).max() * degrees / 100).astype(np.float32)


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


# Searching


def test_clips_by_text(folder):
    index = SpeechIndex.build(Circle(), folder)
    found = names(index, index.find_clips(["40", "0"], k=2))
    assert found == [[("b/c.wav", 10), ("a.wav", 30)], [("a.wav", 10), ("b/c.wav", 50)]]
    assert [len(answers) for answers in index.find_clips(["45"])] == [3]


def test_texts_by_clip(folder, tmp_path):
    index = SpeechIndex.build(Circle(), folder, texts=["0", "60", "90"])
    for clip in (write(tmp_path / "own.wav", 50), str(tmp_path / "own.wav"), at(50)):
        [found] = index.find_texts([clip], k=2)
        assert [(text, round(np.rad2deg(np.arccos(cosine)))) for text, cosine in found] == [("60", 10), ("90", 40)]
    assert [row[0].item for row in index.find_texts([at(5), at(85)], k=1)] == ["0", "90"]


def test_clips_by_clip(folder):
    index = SpeechIndex.build(Circle(), folder)
    assert names(index, index.find_similar([folder / "b/d.wav"], 2)) == [[("b/d.wav", 0), ("b/c.wav", 30)]]


def test_a_silent_query_is_refused(folder):
    index = SpeechIndex.build(Circle(), folder, texts=["0"])
    with pytest.raises(ValueError, match="silent"):
        index.find_texts([np.zeros(16000, np.float32)])


def test_equal_files_are_encoded_once_and_come_in_order(folder):
    shutil.copy(folder / "a.wav", folder / "z.wav")
    encoder = Circle()
    index = SpeechIndex.build(encoder, folder)
    assert encoder.model.clips == 3
    assert names(index, index.find_clips(["10"], k=2)) == [[("a.wav", 0), ("z.wav", 0)]]


def test_it_is_what_the_model_gives(tmp_path):
    """Cosines against one clip and one text at a time, straight from the model."""
    checkpoint = tiny.checkpoint(tmp_path / "model")
    clips = tiny.clips(0.3, 0.2, 0.25)
    for number, clip in enumerate(clips):
        sf.write(tmp_path / f"{number}.wav", clip, tiny.SAMPLING_RATE, subtype="FLOAT")
    texts = ["a low voice", "eine hohe Stimme"]
    encoder = SmoothCLAPEncoder.from_pretrained(checkpoint)
    SpeechIndex.build(encoder, tmp_path, texts, batch_size=2, num_workers=1).save(tmp_path / "index")
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


@pytest.mark.parametrize(
    ("ask", "value"),
    [
        (lambda index: index.find_clips("45"), "45"),
        (lambda index: index.find_clips(["45", " "]), "2 of 2"),
        (lambda index: index.find_clips(["45"], k=0), "0"),
        (lambda index: index.find_similar("a.wav"), "a.wav"),
        (lambda index: index.find_similar([]), r"\[\]"),
        (lambda index: index.find_similar(["gone.wav"]), "gone.wav"),
        (lambda index: index.find_texts([at(10)]), "texts"),
        (lambda index: SpeechIndex.build(Circle(), index.folder, texts=["10", "20", "10"]), "'10'"),
        (lambda index: SpeechIndex.build(Circle(), index.folder, texts="low"), "'low'"),
        (lambda index: SpeechIndex.build(Circle(), index.folder, bad_clips="drop"), "'drop'"),
        (lambda index: SpeechIndex.build(Circle(weights=None), index.folder), "checkpoint"),
    ],
)
def test_faulty_requests_are_refused(folder, ask, value):
    with pytest.raises(ValueError, match=value):
        ask(SpeechIndex.build(Circle(), folder))


# Keeping


def test_saved_and_loaded(folder, tmp_path):
    encoder = Circle()
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
    SpeechIndex.build(Circle(), "clips").save(place)
    (tmp_path / "elsewhere").mkdir()
    for part in ("clips", "index"):
        if (tmp_path / part).exists():
            (tmp_path / part).rename(tmp_path / "elsewhere" / part)
    [[(path, _)]] = SpeechIndex.load(f"elsewhere/{place}", Circle()).find_clips(["0"], k=1)
    assert path == tmp_path / "elsewhere" / "clips" / "a.wav"


def test_clips_that_moved_apart_are_asked_for(folder, tmp_path):
    SpeechIndex.build(Circle(), folder, ["20", "90"]).save(tmp_path / "index")
    folder.rename(tmp_path / "moved")
    apart = SpeechIndex.load(tmp_path / "index", Circle())
    for ask in (lambda: apart.find_clips(["0"]), lambda: apart.find_similar([at(10)])):
        with pytest.raises(ValueError, match="clips'"):
            ask()
    assert apart.find_texts([at(10)])[0][0].item == "20"  # which needs no clips
    loaded = SpeechIndex.load(tmp_path / "index", Circle(), tmp_path / "moved")
    assert loaded.find_clips(["0"], k=1)[0][0].item == tmp_path / "moved" / "a.wav"


def test_building_again_encodes_only_what_is_new(folder, tmp_path):
    SpeechIndex.build(Circle(), folder, texts=["0"]).save(tmp_path / "index")
    write(folder / "a.wav", 20)  # changed
    (folder / "b/c.wav").rename(folder / "renamed.wav")
    (folder / "b/d.wav").unlink()
    write(folder / "new.wav", 70)
    encoder = Circle()
    index = SpeechIndex.build(encoder, folder, earlier=SpeechIndex.load(tmp_path / "index", encoder))
    assert encoder.model.clips == 2
    assert names(index, index.find_clips(["0"])) == [[("a.wav", 20), ("renamed.wav", 50), ("new.wav", 70)]]
    assert index.texts == ["0"]
    assert SpeechIndex.build(encoder, folder, ["60", "90"], earlier=index).texts == ["60", "90"]
    assert encoder.model.clips == 2


def test_an_index_is_not_lost_to_another_folder(folder, tmp_path):
    encoder = Circle()
    index = SpeechIndex.build(encoder, folder)
    write(tmp_path / "other" / "a.wav", 20)
    with pytest.raises(ValueError, match="other"):
        SpeechIndex.build(encoder, tmp_path / "other", earlier=index)
    assert encoder.model.clips == 3
    shutil.copy(folder / "b/d.wav", tmp_path / "other")  # the folder has moved, and lost clips
    assert list(SpeechIndex.build(encoder, tmp_path / "other", earlier=index).clips) == ["a.wav", "d.wav"]
    for path in folder.rglob("*.wav"):
        path.unlink()
    write(folder / "new.wav", 33)  # the same folder, all of it new, reached by a link
    (tmp_path / "link").symlink_to("clips")
    assert list(SpeechIndex.build(encoder, tmp_path / "link", earlier=index).clips) == ["new.wav"]


def test_bad_clips_are_refused_or_left_out_and_kept_with_the_index(folder, tmp_path):
    encoder = Circle()
    index = SpeechIndex.build(encoder, folder)
    (folder / "text.wav").write_text("not audio")
    sf.write(folder / "b" / "silent.wav", np.zeros(9000), tiny.SAMPLING_RATE)
    with pytest.raises(ValueError, match=r"2 of 5(.|\n)*silent(.|\n)*text\.wav"):
        SpeechIndex.build(encoder, folder)
    built = SpeechIndex.build(Circle(), folder, bad_clips="skip")
    assert list(built.clips) == ["a.wav", "b/c.wav", "b/d.wav"]
    found = {"b/silent.wav": "silent", "text.wav": "unreadable"}
    assert {bad.name: bad.problem for bad in built.left_out} == found
    (folder / "b" / "silent.wav").unlink()
    again = SpeechIndex.build(encoder, folder, bad_clips="skip", earlier=index)  # all that is new is bad
    again.save(tmp_path / "index")
    [bad] = SpeechIndex.load(tmp_path / "index", encoder).left_out
    assert (bad.name, bad.problem) == ("text.wav", "unreadable")


def test_another_model_is_refused(folder, tmp_path):
    index = SpeechIndex.build(Circle(), folder)
    index.save(tmp_path / "index")
    other = Circle("square", "b" * 64)
    with pytest.raises(ValueError, match=r"'circle' \(weights a{12}\).*'square' \(weights b{12}\)"):
        SpeechIndex.load(tmp_path / "index", other)
    with pytest.raises(ValueError, match="'square'"):
        SpeechIndex.build(other, folder, earlier=index)
    assert SpeechIndex.load(tmp_path / "index", Circle("the same, moved")).encoder.name == "the same, moved"


def test_a_model_that_moved(tmp_path, folder):
    checkpoint = tiny.checkpoint(tmp_path / "model")
    SpeechIndex.build(SmoothCLAPEncoder.from_pretrained(checkpoint), folder).save(tmp_path / "index")
    checkpoint.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="model'"):
        SpeechIndex.load(tmp_path / "index")
    loaded = SpeechIndex.load(tmp_path / "index", str(tmp_path / "moved"))
    assert len(loaded.find_clips(["a low voice"])[0]) == 3


def test_a_write_that_fails_leaves_the_earlier_index(folder, tmp_path, monkeypatch):
    index = SpeechIndex.build(Circle(), folder)
    index.save(tmp_path / "index")
    before = (tmp_path / "index" / INDEX_FILE).read_bytes()

    def half(content, path, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(search, "save_file", half)
    with pytest.raises(OSError, match="no space left"):
        index.save(tmp_path / "index")
    assert [path.name for path in (tmp_path / "index").iterdir()] == [INDEX_FILE]
    assert (tmp_path / "index" / INDEX_FILE).read_bytes() == before


def test_damaged_bytes_and_cuts_are_noticed(folder, tmp_path):
    SpeechIndex.build(Circle(), folder, ["0"]).save(tmp_path)
    path = tmp_path / INDEX_FILE
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        for damaged in (content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :], content[:place]):
            path.write_bytes(damaged)
            try:  # damage may miss the content: in a space
                assert SpeechIndex.load(tmp_path, Circle()).texts == ["0"]
            except ValueError as error:
                refused += 1
                assert str(path) in str(error)
    assert refused > 1.8 * len(content) / 3


def test_what_is_not_an_index_of_this_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=INDEX_FILE):
        SpeechIndex.load(tmp_path, Circle())
    save_file({"x": np.zeros(1)}, tmp_path / INDEX_FILE, metadata={"format": "2"})
    with pytest.raises(ValueError, match="format 2"):
        SpeechIndex.load(tmp_path, Circle())


# Finding files


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_folder_is_searched_with_those_below(tmp_path, monkeypatch):
    touch(tmp_path, "b.wav", "a/deep/z.FLAC", "a/y.mp3", "c.Ogg", "notes.txt", "wav", "._b.wav", ".cache/x.wav")
    assert find_audio(tmp_path) == (tmp_path, ["a/deep/z.FLAC", "a/y.mp3", "b.wav", "c.Ogg"])
    monkeypatch.chdir(tmp_path)
    assert find_audio("a") == (tmp_path / "a", ["deep/z.FLAC", "y.mp3"])


def test_paths_keep_their_order_and_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "b" / "2.wav", "a/1.opus", Path("b/2.wav"), "b/../b/3.wav"]
    assert find_audio(paths) == (tmp_path, ["b/2.wav", "a/1.opus", "b/3.wav"])
    assert find_audio([tmp_path / "b" / "2.wav"]) == (tmp_path / "b", ["2.wav"])


def test_nothing_to_find(tmp_path):
    touch(tmp_path, "notes.txt")
    for asked, value in ((tmp_path, "wav"), (tmp_path / "nowhere", "nowhere"), (str(tmp_path / "notes.txt"), "txt")):
        with pytest.raises(ValueError, match=value):
            find_audio(asked)
    with pytest.raises(ValueError, match="empty"):
        find_audio([])


def test_a_name_that_is_not_utf_8_is_bad(tmp_path, folder):
    try:
        shutil.copy(folder / "a.wav", folder / os.fsdecode(b"\xff.wav"))
    except OSError:
        pytest.skip("this file system has no such names")
    index = SpeechIndex.build(Circle(), folder, bad_clips="skip")
    index.save(tmp_path / "index")
    assert "\udcff.wav" in index.clips or [bad.name for bad in index.left_out] == ["\udcff.wav"]


# Nearest neighbours


def on_circle(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def random_rows(count, seed):
    rows = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_nearest_by_hand():
    indices, cosines = nearest(on_circle(0, 80), on_circle(90, 60, 0), 2)
    assert indices.tolist() == [[2, 1], [0, 1]]
    assert cosines == pytest.approx(np.array([[1, 0.5], [np.cos(np.deg2rad(10)), np.cos(np.deg2rad(20))]]), abs=1e-6)
    assert nearest(on_circle(0), on_circle(90, 0), 5)[0].tolist() == [[1, 0]]


@pytest.mark.parametrize("block", [1, 120])  # of one query, and of two with a last one
@pytest.mark.parametrize("k", [1, 7, 50])
def test_nearest_is_what_sorting_gives(monkeypatch, k, block):
    monkeypatch.setattr(search, "BLOCK_COSINES", block)
    queries, candidates = random_rows(9, 0), random_rows(50, 1)
    exact = queries.astype(float) @ candidates.T.astype(float)
    indices, cosines = nearest(queries, candidates, k)
    np.testing.assert_array_equal(indices, np.argsort(-exact, axis=1)[:, :k])
    np.testing.assert_allclose(cosines, -np.sort(-exact, axis=1)[:, :k], atol=1e-6)


def test_equal_candidates_come_in_their_order():
    indices, cosines = nearest(on_circle(10, 50), on_circle(*[50, 10] * 20), 25)
    odd, even = list(range(1, 40, 2)), list(range(0, 40, 2))
    assert indices.tolist() == [odd + even[:5], even + odd[:5]]
    assert cosines[:, 0].tolist() == [1, 1]
