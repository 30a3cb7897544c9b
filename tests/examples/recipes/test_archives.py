"""Readers, on tiny archives written here in the real formats."""

import pytest
from speech.archives import read_drascula, read_fillets
from speech.audio import decode_clip

from .archive_makers import write_drascula, write_fillets


def test_drascula_prefix_is_the_character(tmp_path):
    clips = list(read_drascula([write_drascula(tmp_path)]))
    assert [(clip.name, clip.speaker) for clip in clips] == [
        ("52", "hacker"),
        ("53", "hacker"),
        ("BJ1", "bj"),
        ("VB7", "vb"),
    ]
    samples, rate = decode_clip(clips[0])
    assert (len(samples), rate) == (int(0.8 * 11025), 11025)
    assert abs(samples.mean()) < 0.01


def test_drascula_errors(tmp_path):
    with pytest.raises(ValueError, match=r"\*\.ALS"):
        list(read_drascula([tmp_path]))
    (tmp_path / "7x.ALS").write_bytes(b"\x80")
    with pytest.raises(ValueError, match=r"'7x\.ALS'"):
        list(read_drascula([tmp_path]))


def test_fillets_speakers_and_texts_come_from_the_scripts(tmp_path):
    clips = list(read_fillets(write_fillets(tmp_path / "cs", tmp_path / "data")))
    assert [(clip.name, clip.speaker, clip.transcript) for clip in clips] == [
        ("city/vit-hs-klid1", "city-statue", "Zachovejte klid."),
        ("city/vit-m-hlava", "small-fish", "Hlava!"),
        ("border/cil-v-hlaska0", "big-fish", None),
    ]
    samples, rate = decode_clip(clips[0])
    assert samples.ndim == 1
    assert rate == 22050


def test_fillets_errors(tmp_path):
    roots = write_fillets(tmp_path / "cs", tmp_path / "data")
    with pytest.raises(ValueError, match="fillets-ng-data"):
        list(read_fillets(roots[:1]))
    with pytest.raises(ValueError):
        list(read_fillets(roots[1:]))
    write_fillets(tmp_path / "cs", tmp_path / "more", language="nl")
    with pytest.raises(ValueError, match=r"\['cs', 'nl'\]"):
        list(read_fillets(roots))
