"""A file is there whole, or as it was."""

import pytest

from smoothclap_trainer.files import whole_file


def test_the_content_takes_its_place_when_the_block_ends(tmp_path):
    file = tmp_path / "figures.txt"
    file.write_text("old")
    with whole_file(file) as unfinished:
        unfinished.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_after_an_error_the_file_is_as_it_was(tmp_path):
    file = tmp_path / "figures.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), whole_file(file) as unfinished:
        unfinished.write_text("ne")
        raise RuntimeError("half way")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
