"""Searching clips by text and texts by clip: by hand on a circle, and against a real model; the file of an index."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from transformers import BatchFeature

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.audio_smoothclap import ClipError, Segment
from smoothclap_trainer import search
from smoothclap_trainer.search import INDEX_FILE, SpeechIndex, nearest
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

    def __call__(self, text=None, audio=None, sampling_rate=None, return_tensors=None, padding=True):
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


def test_segments_are_clips_of_their_own(tmp_path):
    talk = tmp_path / "clips" / "talk.wav"
    talk.parent.mkdir()
    sf.write(talk, np.concatenate([at(10), at(50), at(80)]), tiny.SAMPLING_RATE, subtype="FLOAT")
    parts = [Segment(talk, 0.0, 0.2), {"path": str(talk), "start": 0.2, "end": 0.4}, {"path": talk, "start": 0.4}]
    encoder = Circle()
    SpeechIndex.build(encoder, parts).save(tmp_path / "index")
    index = SpeechIndex.load(tmp_path / "index", encoder)
    assert [*index.clips] == [f"talk.wav#t={part}" for part in ("0.0,0.2", "0.2,0.4", "0.4,")]
    assert index.find_clips(["40", "90"], k=1) == [
        [(Segment(talk, 0.2, 0.4), pytest.approx(np.cos(np.deg2rad(10)), abs=1e-4))],
        [(Segment(talk, 0.4), pytest.approx(np.cos(np.deg2rad(10)), abs=1e-4))],
    ]
    again = SpeechIndex.build(encoder, [*parts, talk], earlier=index)
    assert encoder.model.clips == 4 and [*again.clips] == [*index.clips, "talk.wav"]
    with pytest.raises(ValueError, match="9 s"):
        SpeechIndex.build(encoder, [{"path": talk, "start": 9.0}])


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


def tampered(index, path, record=None, **arrays):
    """Write an index with another record or other arrays, and a checksum that fits."""
    index.save(path)
    with safe_open(path / INDEX_FILE, framework="numpy") as file:
        content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    own = json.loads(content["record"].tobytes())
    written = record if isinstance(record, bytes) else json.dumps(own | (record or {})).encode()
    content |= {"record": np.frombuffer(written, dtype=np.uint8)} | arrays
    content = {name: array for name, array in content.items() if array is not None}
    save_file(content, path / INDEX_FILE, metadata={"format": "1", "checksum": search._checksum(content)})


UNIT = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
HASHES = ["a" * 64, "b" * 64, "c" * 64]


def clips_called(name):
    return {"clips": dict(zip(["a.wav", "b/c.wav", name], HASHES, strict=True))}


@pytest.mark.parametrize(
    ("record", "arrays", "value"),
    [
        (clips_called("/etc/shadow"), {}, "'/etc/shadow'"),
        (clips_called("../../x.wav"), {}, r"'\.\./\.\./x\.wav'"),
        (clips_called("b/../../x.wav"), {}, r"'b/\.\./\.\./x\.wav'"),
        (clips_called("x\0.wav"), {}, "x"),
        (clips_called(""), {}, "''"),
        ({"folder": "/etc"}, {}, "'/etc'"),
        ({"folder": 3}, {}, "'folder' is int"),
        ({"clips": [["a.wav", "0"]]}, {}, "'clips' is list"),
        ({"clips": {"a.wav": 1, "b": 2, "c": 3}}, {}, "1"),
        ({"clips": {"a.wav": "0"}}, {}, r"1 clips .* \(3, 2\)"),
        ({"clips": {}}, {"audio_embeds": np.zeros((0, 2), np.float32)}, "no clips"),
        ({"texts": [["0"]]}, {}, "text"),
        ({"texts": ["0", "60"]}, {}, r"2 texts .* \(1, 2\)"),
        ({"model": "circle"}, {}, "'model' is str"),
        ({"model": {"name": "circle"}}, {}, "revision"),
        ({"left_out": [{"path": "x"}]}, {}, "name"),
        ({"encoder": "x"}, {}, "encoder"),
        (b"[" * 100_000, {}, "recursion"),
        (b"\xff", {}, "decode"),
        (b"1" * 5000, {}, "4300"),
        (b"[]", {}, "list"),
        (None, {"audio_embeds": np.where(UNIT == 0, np.float32(np.nan), UNIT)}, "clips"),
        (None, {"audio_embeds": 3 * UNIT}, "unit length"),
        (None, {"audio_embeds": UNIT.astype(np.float64)}, "float32"),
        (None, {"audio_embeds": np.eye(3, 5, dtype=np.float32)}, r"texts .* \(1, 2\)"),
        (None, {"audio_embeds": np.ones(3, np.float32)}, r"\(3,\)"),
        (None, {"text_embeds": np.full((1, 2), np.inf, np.float32)}, "texts"),
        (None, {"text_embeds": None}, "text_embeds"),
        (None, {"more": UNIT}, "more"),
    ],
)
def test_a_tampered_index_is_refused(folder, tmp_path, record, arrays, value):
    tampered(SpeechIndex.build(Circle(), folder, ["0"]), tmp_path / "index", record, **arrays)
    with pytest.raises(ValueError, match=value) as raised:
        SpeechIndex.load(tmp_path / "index", Circle())
    assert INDEX_FILE in str(raised.value)


def test_an_index_of_another_width_than_its_model_is_refused(folder, tmp_path):
    arrays = {"audio_embeds": np.eye(3, 5, dtype=np.float32), "text_embeds": np.zeros((0, 5), np.float32)}
    tampered(SpeechIndex.build(Circle(), folder), tmp_path / "index", **arrays)
    with pytest.raises(ValueError, match="5"):
        SpeechIndex.load(tmp_path / "index", Circle()).find_clips(["0"])


def test_a_link_leads_to_the_file_that_was_indexed_or_is_refused(folder, tmp_path):
    write(tmp_path / "elsewhere.wav", 20)
    (folder / "link.wav").symlink_to(tmp_path / "elsewhere.wav")
    SpeechIndex.build(Circle(), folder).save(tmp_path / "index")
    loaded = SpeechIndex.load(tmp_path / "index", Circle())
    assert loaded.find_clips(["20"], k=1)[0][0].item == folder / "link.wav"
    (tmp_path / "secret").write_text("x")
    (folder / "link.wav").unlink()
    (folder / "link.wav").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=r"link\.wav"):
        loaded.find_clips(["20"], k=1)
    assert loaded.find_clips(["80"], k=1)[0][0].item == folder / "b" / "d.wav"


def test_an_index_never_names_code_to_run(folder, tmp_path, monkeypatch):
    checkpoint = tiny.checkpoint(tmp_path / "model")
    SpeechIndex.build(SmoothCLAPEncoder.from_pretrained(checkpoint), folder).save(tmp_path / "index")
    with pytest.raises(ValueError, match="model'"):
        SpeechIndex.load(tmp_path / "index", trust_remote_code=True)
    assert SpeechIndex.load(tmp_path / "index", str(checkpoint), trust_remote_code=True).clips
    # Another model is refused before anything of it is loaded.
    other = tiny.checkpoint(tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file({name: array + 1 for name, array in weights.items()}, other / "model.safetensors")
    loaded = []
    monkeypatch.setattr(SmoothCLAPEncoder, "from_pretrained", lambda *args, **kwargs: loaded.append(args))
    with pytest.raises(ValueError, match="other"):
        SpeechIndex.load(tmp_path / "index", str(other), trust_remote_code=True)
    assert not loaded


def test_clips_that_cannot_be_heard_are_refused_as_queries(folder, tmp_path):
    index = SpeechIndex.build(Circle(), folder, ["0"])
    tone = at(50)
    sf.write(tmp_path / "cancel.wav", np.stack([tone, -tone], axis=1), tiny.SAMPLING_RATE, subtype="FLOAT")
    for clip, value in (
        (np.zeros(8000, np.float32), "silent"),
        (tone[:100], "short"),
        (tmp_path / "cancel.wav", "cancel"),
    ):
        for ask in (index.find_texts, index.find_similar):
            with pytest.raises(ClipError, match=value):
                ask([clip])


def test_what_is_not_an_index_of_this_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=INDEX_FILE):
        SpeechIndex.load(tmp_path, Circle())
    save_file({"x": np.zeros(1)}, tmp_path / INDEX_FILE, metadata={"format": "2"})
    with pytest.raises(ValueError, match="format 2"):
        SpeechIndex.load(tmp_path, Circle())


# Where clips are


def test_paths_keep_their_order_and_share_a_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [folder / "b" / "d.wav", "clips/a.wav", Path("clips/b/c.wav"), "clips/b/../b/d.wav"]
    index = SpeechIndex.build(Circle(), paths)
    assert (index.folder, list(index.clips)) == (folder, ["b/d.wav", "a.wav", "b/c.wav"])
    alone = SpeechIndex.build(Circle(), [folder / "b" / "d.wav"])
    assert (alone.folder, list(alone.clips)) == (folder / "b", ["d.wav"])
    with pytest.raises(ValueError, match="empty"):
        SpeechIndex.build(Circle(), [])


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


@pytest.mark.parametrize("k", [1, 7, 50])
def test_nearest_is_what_sorting_gives(k):
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
