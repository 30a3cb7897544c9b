"""An index's file is whole, or absent, or refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from smoothclap_trainer import search as index_file
from smoothclap_trainer.search import INDEX_FILE, read_index_file, write_index_file


RECORD = {"clips": {"anna/ä.wav": "f00"}, "texts": ["ein tiefes 😀"], "left_out": [], "undecodable": "\udcff"}
ARRAYS = {"audio_embeds": np.arange(6, dtype=np.float32).reshape(3, 2), "text_embeds": np.zeros((0, 2), np.float32)}


def equal(read):
    record, arrays = read
    return (
        record == RECORD
        and arrays.keys() == ARRAYS.keys()
        and all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
        and all(arrays[name].dtype == np.float32 for name in ARRAYS)
    )


def test_it_comes_back_as_it_was(tmp_path):
    assert write_index_file(tmp_path / "a" / "b", RECORD, ARRAYS) == tmp_path / "a" / "b" / INDEX_FILE
    assert equal(read_index_file(tmp_path / "a" / "b"))
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [INDEX_FILE]


def test_a_view_is_written_as_it_looks(tmp_path):
    write_index_file(tmp_path, RECORD, {name: np.asfortranarray(array) for name, array in ARRAYS.items()})
    assert equal(read_index_file(tmp_path))


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    write_index_file(tmp_path, RECORD, ARRAYS)

    def half(content, path, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(index_file, "save_file", half)
    with pytest.raises(OSError, match="no space left"):
        write_index_file(tmp_path, {}, {})
    assert equal(read_index_file(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [INDEX_FILE]


def test_every_damaged_byte_and_every_cut_is_noticed(tmp_path):
    content = write_index_file(tmp_path, RECORD, ARRAYS).read_bytes()
    path = tmp_path / INDEX_FILE
    refused = 0
    for place in range(len(content)):
        for damaged in (
            content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
            content[:place] + b"~" + content[place + 1 :],
            content[:place],
        ):
            path.write_bytes(damaged)
            try:
                assert equal(read_index_file(tmp_path))  # damage may miss the content: in a space, or in a name of none
            except ValueError as error:
                refused += 1
                assert str(path) in str(error)
    assert refused > 2.8 * len(content)


def test_what_is_no_index_of_this_format(tmp_path):
    with pytest.raises(ValueError, match=rf"no speech index in '.*': it has no {INDEX_FILE}\. Build one first"):
        read_index_file(tmp_path)
    save_file({"x": np.zeros(1)}, tmp_path / INDEX_FILE, metadata={"format": "2"})
    with pytest.raises(ValueError, match=r"is of format 2, and this version reads format 1\. Remove it"):
        read_index_file(tmp_path)
    save_file({"x": np.zeros(1)}, tmp_path / INDEX_FILE)
    with pytest.raises(ValueError, match=r"is damaged: its content is not what was written\. Remove it"):
        read_index_file(tmp_path)
