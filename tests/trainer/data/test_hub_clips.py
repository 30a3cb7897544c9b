"""Clips of data sets on the Hub, read from one on the loopback device by the real clients."""

from pathlib import Path

import pytest
from datasets import Audio, ClassLabel

from smoothclap_trainer.data.hub_clips import INDEX, HubData, hub_clips
from smoothclap_trainer.data.manifest import load_manifest
from tests.corpus_trees import build_tree
from tests.hub.data import audio, hub_with_data, put


COMMIT = "a" * 40


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """A few files of a corpus."""
    return sorted(build_tree("emodb", tmp_path_factory.mktemp("trees"), takes=1).rglob("*.wav"))[:5]


@pytest.fixture
def server(monkeypatch, tmp_path):
    with hub_with_data(monkeypatch, tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("written", "name", "revision"),
    [
        ("user/name", "user/name", None),
        ("user/na.me-x@v1", "user/na.me-x", "v1"),
        (f"user/name@{COMMIT}", "user/name", COMMIT),
        ("user/name@refs/pr/1", "user/name", "refs/pr/1"),
        ("name", "name", None),
    ],
)
def test_a_name_may_have_a_revision(written, name, revision):
    data = HubData.parse(written)
    assert data == (name, revision) and str(data) == written
    assert data.is_pinned == (revision == COMMIT)


@pytest.mark.parametrize("written", ["./user/name", "/data/x@y", "a/b/c", "user/name@", "two words", "c:\\x"])
def test_what_can_only_be_a_path_is_no_name(written):
    assert HubData.parse(written) is None


def test_clips_are_streamed_once_with_classes_by_their_names(server, files):
    rows = [
        {"audio": audio(path, None if number == 4 else ""), "label": number % 3 - (number == 4), "n": number}
        for number, path in enumerate(files)
    ]
    rows[3]["label"] = None
    commit = put(server, "ann/clips", rows, label=ClassLabel(names=["angry", "sad", "calm"]))
    clips = hub_clips(HubData("ann/clips", commit))
    assert [clip.name for clip in clips] == [*(path.name for path in files[:4]), None]
    assert [Path(clip.path).read_bytes() for clip in clips] == [path.read_bytes() for path in files]
    assert [clip.cells["label"] for clip in clips] == ["angry", "sad", "calm", None, "angry"]
    assert [clip.cells["n"] for clip in clips] == ["0", "1", "2", "3", "4"]
    asked = len(server.requests)
    assert hub_clips(HubData("ann/clips", commit)) == clips and len(server.requests) == asked


def test_what_breaks_off_is_fetched_anew(server, files, tmp_path, monkeypatch):
    commit = put(server, "ann/clips", [{"audio": audio(path)} for path in files])
    write = Path.write_bytes

    def full(path, content):
        if path.name == "000003.wav":
            raise OSError("No space left on device")
        return write(path, content)

    with monkeypatch.context() as patches:
        patches.setattr(Path, "write_bytes", full)
        with pytest.raises(ValueError, match="ann/clips"):
            hub_clips(HubData("ann/clips", commit))
    assert not list(tmp_path.rglob(INDEX))
    assert len(hub_clips(HubData("ann/clips", commit))) == len(files)


def test_a_data_set_that_is_not_there_is_named(server):
    with pytest.raises(ValueError, match=f"ann/gone@{COMMIT}"):
        hub_clips(HubData("ann/gone", COMMIT))


def test_there_must_be_one_column_of_audio(server, files):
    commit = put(server, "ann/two", [{"audio": audio(files[0]), "noise": audio(files[1])}], shards=1, noise=Audio())
    with pytest.raises(ValueError, match="'noise'"):
        hub_clips(HubData("ann/two", commit))


def test_a_manifest_is_loaded_at_a_revision(server, files):
    rows = [{"audio": audio(path), "mood": "sad", "who": path.name} for path in files]
    first = put(server, "ann/manifest", rows, shards=1)
    put(server, "ann/manifest", [row | {"mood": "happy"} for row in rows], shards=1)
    columns = {"emotion": "mood", "speaker": "who"}
    for source, mood in ((f"ann/manifest@{first}", "sad"), ("ann/manifest", "happy")):
        loaded = load_manifest(source, columns)["train"]
        assert loaded.unique("emotion") == [mood] and loaded["speaker"][:] == [path.name for path in files]
        assert loaded[0]["audio"]["bytes"] == files[0].read_bytes()
