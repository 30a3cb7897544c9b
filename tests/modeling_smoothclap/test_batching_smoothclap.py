"""Feeding clips to a model: in which order, how many together, and what happens to bad ones."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from transformers import BatchFeature
from transformers.utils.logging import disable_progress_bar, enable_progress_bar

from modeling_smoothclap import SmoothCLAPEncoder, batching_smoothclap
from modeling_smoothclap.audio_smoothclap import ClipError, Segment, read_audio
from modeling_smoothclap.batching_smoothclap import SECONDS_PER_CLIP, batches_by_length


RATE = 8000


class Extractor:
    sampling_rate = RATE


class Processor:
    """Pads clips, and notes nothing."""

    feature_extractor = Extractor()

    def __call__(self, audio, sampling_rate, return_tensors):
        lengths = torch.tensor([len(clip) for clip in audio])
        padded = [np.pad(clip, (0, int(lengths.max()) - len(clip))) for clip in audio]
        return BatchFeature({"clips": torch.from_numpy(np.stack(padded)), "lengths": lengths})


class Model:
    """Embeds a clip as the direction of its mean, in tenths, and notes the shapes of its batches."""

    config = type("Config", (), {"model_type": "smoothclap", "audio_config": None})()
    device = torch.device("cpu")

    def __init__(self):
        self.shapes, self.heard = [], []

    def get_audio_features(self, clips, lengths):
        self.shapes.append(tuple(clips.shape))
        self.heard += [clip[:length].numpy() for clip, length in zip(clips, lengths, strict=True)]
        means = clips.sum(dim=1) / lengths
        return torch.stack([means.cos(), means.sin()], dim=1)


def counting():
    return SmoothCLAPEncoder(Model(), Processor(), "counting")


def means(embeds):
    return np.arctan2(embeds[..., 1], embeds[..., 0])


@pytest.fixture
def files(tmp_path):
    """Five clips, each of its own level and length."""
    paths = []
    for index, samples in enumerate((1600, 4000, 800, 3200, 2400)):
        paths.append(tmp_path / f"{index}.wav")
        sf.write(paths[-1], np.full(samples, (index + 1) / 10), RATE, subtype="FLOAT")
    return paths


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 1), (2, 3), (32, 2)])
def test_each_file_once_longest_first_and_results_in_order(files, batch_size, num_workers):
    encoder = counting()
    asked = [files[0], files[3], str(files[0]), files[2], files[1], files[4]]
    embeds = encoder.encode_audio(asked, batch_size, num_workers=num_workers)
    np.testing.assert_allclose(means(embeds), [0.1, 0.4, 0.1, 0.3, 0.2, 0.5], atol=1e-6)
    assert embeds.dtype == np.float32
    lengths = [4000, 3200, 2400, 1600, 800]
    together = [lengths[start : start + batch_size] for start in range(0, 5, batch_size)]
    assert encoder.model.shapes == [(len(each), each[0]) for each in together]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_one_long_clip_does_not_make_a_batch_pad_to_it(batch_size):
    encoder = counting()
    clips = [np.full(RATE * seconds, level) for level, seconds in zip(np.linspace(0.1, 0.9, 9), [3] * 9, strict=True)]
    clips.insert(4, np.full(RATE * 60, 0.5))
    together = means(encoder.encode_audio([clip.astype(np.float32) for clip in clips], batch_size))
    np.testing.assert_allclose(together, [clip.mean() for clip in clips], atol=1e-5)
    padded = [rows * length for rows, length in encoder.model.shapes]
    assert max(rows for rows, _ in encoder.model.shapes) <= batch_size
    assert all(
        samples <= SECONDS_PER_CLIP * batch_size * RATE
        for samples, (rows, _) in zip(padded, encoder.model.shapes, strict=True)
        if rows > 1
    )
    assert max(padded) <= max(60, SECONDS_PER_CLIP * batch_size) * RATE
    assert sum(padded) <= (60 * 2 + 9 * 3) * RATE  # of the short clips at most one is padded


@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_model_gets_what_the_reader_reads(tmp_path, rate):
    encoder = counting()
    stereo = np.random.default_rng(0).uniform(-1, 1, (rate // 3 + 7, 2))
    sf.write(tmp_path / "stereo.wav", stereo, rate, subtype="FLOAT")
    encoder.encode_audio(tmp_path / "stereo.wav")
    np.testing.assert_array_equal(encoder.model.heard[0], read_audio(tmp_path / "stereo.wav", RATE))


def test_silent_and_short_clips_are_encoded_and_reported(files, tmp_path):
    silent, short, high = (tmp_path / f"{name}.wav" for name in ("silent", "short", "high"))
    sf.write(silent, np.zeros(4800), 48000)
    buzz = np.sign(np.sin(np.arange(9600)))
    sf.write(short, buzz[:2800], 48000)  # 58 ms
    sf.write(high, 0.5 * np.sin(2 * np.pi * 15000 * np.arange(9600) / 48000), 48000)  # nothing is left of it at 8 kHz
    problems = {}
    embeds = counting().encode_audio([files[0], silent, high, short, silent], batch_size=2, problems=problems)
    assert np.isfinite(embeds).all()
    # A constant offset is not sound. Each clip is judged at the file's own rate.
    found = {number: problem.problem for number, problem in sorted(problems.items())}
    assert found == {0: "silent", 1: "silent", 3: "too short", 4: "silent"}


def test_only_a_few_clips_are_in_memory(tmp_path, monkeypatch):
    read, lock, furthest = [0], threading.Lock(), []
    real = batching_smoothclap.read_and_check

    def counted(*arguments):
        with lock:
            read[0] += 1
        return real(*arguments)

    class Slow(Model):
        def get_audio_features(self, clips, lengths):
            furthest.append(read[0] - len(self.heard))
            return super().get_audio_features(clips, lengths)

    monkeypatch.setattr(batching_smoothclap, "read_and_check", counted)
    paths = [tmp_path / f"{index}.wav" for index in range(60)]
    for path in paths:
        sf.write(path, np.zeros(800), RATE)
    SmoothCLAPEncoder(Slow(), Processor()).encode_audio(paths, batch_size=4, num_workers=2)
    assert read == [60] and max(furthest) <= 4 + 1 + 2 * 4  # a batch, its successor's first, and what is read ahead


@pytest.fixture
def bad(tmp_path):
    broken, empty, missing, nan = (tmp_path / f"{name}.wav" for name in ("broken", "empty", "missing", "nan"))
    broken.write_bytes(b"no audio at all")
    sf.write(empty, np.zeros(0), RATE)
    sf.write(nan, np.full(8000, np.nan), RATE, subtype="FLOAT")
    return [broken, empty, missing, nan]


def test_all_bad_clips_are_named_and_nothing_is_encoded_in_vain(files, bad):
    encoder, problems = counting(), {}
    with pytest.raises(ValueError, match="4 of 7") as error:
        encoder.encode_audio([files[0], bad[0], files[1], *bad[1:], files[2]], batch_size=2, problems=problems)
    assert [line.split("'")[1] for line in str(error.value).splitlines()[1:]] == [str(path) for path in bad]
    assert encoder.model.shapes == []  # what has no readable header comes first
    unread = {1: "unreadable", 3: "empty", 4: "missing", 5: "not finite"}
    assert unread.items() <= {number: each.problem for number, each in problems.items()}.items()


def test_bad_clips_that_are_skipped_keep_their_rows(files, bad, logs):
    embeds = counting().encode_audio([files[0], *bad, files[1]], batch_size=2, bad_clips="skip")
    assert np.isnan(embeds).all(axis=1).tolist() == [False, True, True, True, True, False]
    np.testing.assert_allclose(means(embeds[[0, -1]]), [0.1, 0.2], atol=1e-6)
    assert [record for record in logs.records if "4 of 6" in record.getMessage()]
    with pytest.raises(ValueError, match="4 of 4"):
        counting().encode_audio(bad, bad_clips="skip")


def test_a_single_bad_clip_is_its_own_error(bad):
    for audio in (bad[2], [bad[2]], {"id": "lost", "path": bad[2]}):
        with pytest.raises(ClipError, match=r"missing\.wav") as error:
            counting().encode_audio(audio)
        assert error.value.problem == "missing"


@pytest.mark.parametrize(
    ("audio", "named"),
    [
        (np.zeros((16000, 2), np.float32), r"\(16000, 2\)"),
        ([np.zeros(16000, np.int16)], "int16"),
        ({"id": "a", "array": np.zeros(10, np.float32)}, "'a'.*sampling_rate"),
        ({"id": "a"}, "'a'"),
        ([], "no clips"),
        ([0.1, 0.2], "numbers"),
        (io.BytesIO(b"RIFF"), "read"),
    ],
)
def test_what_is_not_a_clip_is_refused(audio, named):
    with pytest.raises(ValueError, match=named):
        counting().encode_audio(audio)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"batch_size": 0}, "0"),
        ({"num_workers": 0}, "0"),
        ({"bad_clips": "drop"}, "'drop'"),
        ({"convert_to": "list"}, "'list'"),
    ],
)
def test_arguments_out_of_range_are_refused(files, arguments, named):
    with pytest.raises(ValueError, match=named):
        counting().encode_audio(files, **arguments)


@pytest.mark.parametrize("asked", [None, True, False])
def test_a_progress_bar_is_shown_when_it_is_asked_for_or_there_is_much_to_do(files, capfd, asked):
    enable_progress_bar()
    try:
        counting().encode_audio(files, batch_size=2, show_progress_bar=asked)
        assert ("counting" in capfd.readouterr().err) == (asked is True)
        counting().encode_audio(files, batch_size=1, show_progress_bar=asked)
        assert ("counting" in capfd.readouterr().err) == (asked is not False)
    finally:
        disable_progress_bar()


def test_lengths_go_together_shortest_first():
    lengths = [3, 1, 3, 2, 1, 3]
    assert list(batches_by_length(lengths, 2, only_equal=False)) == [[1, 4], [3, 0], [2, 5]]
    assert list(batches_by_length(lengths, 2, only_equal=True)) == [[1, 4], [3], [0, 2], [5]]


def test_a_long_clip_is_never_padded_for_by_the_batch_of_short_ones():
    lengths = [100, 5, 5, 5, 90]
    assert list(batches_by_length(lengths, 4, only_equal=False, limit=40)) == [[1, 2, 3], [4], [0]]
    assert list(batches_by_length(lengths, 2, only_equal=False)) == [[1, 2], [3, 4], [0]]
    assert list(batches_by_length(lengths, 9, only_equal=True)) == [[1, 2, 3], [4], [0]]


def test_segments_of_one_file_are_clips_of_their_own(tmp_path):
    sound = np.concatenate([np.full(RATE, level) for level in (0.1, 0.2, 0.3)])
    sf.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    path, encoder = str(tmp_path / "a.wav"), counting()
    rows = [{"path": path, "start": 1.0, "end": 2.0}, {"path": path, "start": 2.0, "end": float("nan")}, {"path": path}]
    found = encoder.encode_audio([*rows, Segment(path, 1.0, 2.0), Segment(path, 1.0, 2.0)])
    np.testing.assert_allclose(means(found), [0.2, 0.3, 0.2, 0.2, 0.2], atol=1e-6)
    assert sum(rows for rows, _ in encoder.model.shapes) == 4  # what is repeated is encoded once
    with pytest.raises(ClipError, match="7") as caught:
        encoder.encode_audio({"path": path, "start": 2.5, "end": 7.0})
    assert caught.value.problem == "impossible segment"


def odd_clips(generator):
    """Yield things of every kind that someone may take for a clip."""
    noise = generator.uniform(-0.5, 0.5, 1600).astype(np.float32)
    shapes = [(), (0,), (1,), (3, 5), (2, 2, 2), (1600,)]
    types = [
        "int16",
        "uint8",
        "int64",
        "bool",
        "complex64",
        "float16",
        "float32",
        "float64",
        "longdouble",
        "O",
        "U3",
        "M8[s]",
    ]
    for kind in types:
        yield np.zeros(shapes[generator.integers(len(shapes))]).astype(kind)
    for value in (np.nan, np.inf, -np.inf, 1e29, 1e300, 5e-324):
        yield np.where(generator.random(1600) < 0.01, value, noise)
    yield from (
        noise[::-2],
        np.ma.masked_array(noise, noise > 0),
        noise.astype(">f4"),
        torch.zeros(10, dtype=torch.int8),
    )
    yield from (torch.tensor(noise, requires_grad=True), torch.tensor(noise).bfloat16(), torch.zeros(2, 5))
    yield from (
        None,
        5,
        0.1,
        True,
        object(),
        "",
        "a\0b",
        "n" * 5000,
        "\ud800",
        Path("."),
        bytearray(b"RIFF"),
        memoryview(b""),
    )
    yield from (
        [[0.1, 0.2], [0.3]],
        [None],
        {},
        {"path": 5},
        {"audio": object()},
        {"array": [[1], [2, 3]], "sampling_rate": 8000},
    )
    for rate in (None, 0, -1, 1, 2.5, np.nan, np.inf, 10**30, "8000", True, [8000], 8000.0, np.int64(8000)):
        yield {"array": noise, "sampling_rate": rate}
    for end in (-1, 0, np.nan, np.inf, 1e30, "1", True, None, [1.0]):
        yield {"array": noise, "sampling_rate": 8000, "start": generator.choice([0.0, 0.1, 5.0, -1.0]), "end": end}


def broken_bytes(generator):
    """Yield audio files with bytes replaced, cut out or put in."""
    sound = generator.uniform(-0.5, 0.5, (800, 2))
    for container, subtype in (
        ("WAV", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("AIFF", "FLOAT"),
        ("CAF", "PCM_24"),
    ):
        buffer = io.BytesIO()
        sf.write(buffer, sound, RATE, format=container, subtype=subtype)
        for _ in range(8):
            data = bytearray(buffer.getvalue())
            for place in generator.integers(0, min(len(data), 120), generator.integers(1, 6)):
                data[place] = generator.integers(256)
            cut = generator.integers(len(data))
            yield bytes(data[: cut if generator.random() < 0.3 else None])
    yield from (generator.bytes(int(size)) for size in (1, 3, 44, 1000))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_given_is_encoded_or_refused_in_our_words(seed, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no ffmpeg
    generator = np.random.default_rng(seed)
    encoder = counting()
    for clip in [*odd_clips(generator), *broken_bytes(generator)]:
        for given in (clip, [clip, np.ones(1600, np.float32)]):
            try:
                found = encoder.encode_audio(given, num_workers=1)
            except ValueError as error:
                assert type(error) in (ValueError, ClipError), f"{clip!r}: {error!r}"
            else:
                assert np.isfinite(found).all()
