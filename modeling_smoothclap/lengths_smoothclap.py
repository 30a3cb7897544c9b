"""Give audio files a length whose headers have none, as of those that were written to a pipe."""

import re
import struct
from typing import NamedTuple


_KBIT_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_CODINGS = bytes(byte for byte in range(0x10, 0xF0) if byte >> 2 & 3 != 3)  # bit rates and sampling rates that exist
_MP3_FRAME = re.compile(  # of layer 3, version 1, 2 or 2.5
    rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][" + re.escape(_CODINGS) + rb"].", re.DOTALL
)
_MP3_LENGTH = re.compile(rb"(?:Xing|Info)...[\x01-\xff](?!\0\0\0\0)(....)", re.DOTALL)
_SURPLUS = 1.02  # an MP3 file with more frames than its header says by this factor is two files in one
_SEARCHED = 1 << 16  # bytes of other data between MP3 frames


def with_length(data: bytes, frames: int) -> bytes | None:
    """
    Return a FLAC, MP3, WAV or AU file with a length in its header that is at least its own, so that a decoder goes on
    to its end. `None` for a file that has one, and for an MP3 file that is not longer than it says, or than `frames`.
    """
    if data[:4] == b"fLaC":  # STREAMINFO: 36 bits of samples
        return data[:21] + bytes([data[21] | 0x0F]) + b"\xff" * 4 + data[26:]
    size = 8 if data[:4] == b".snd" else data.find(b"data") + 4 if data[:4] == b"RIFF" else 0
    if size > 4:
        return data[:size] + b"\xff" * 4 + data[size + 4 :] if data[size : size + 4] == bytes(4) else None
    return _mp3_with_length(data, frames)


class _Mp3Frame(NamedTuple):
    start: int
    end: int
    samples: int
    rate: int
    side: int  # bytes between the frame's header and a Xing header


def _mp3_frame(data: bytes, position: int) -> _Mp3Frame | None:
    """Find the next frame."""
    if (found := _MP3_FRAME.search(data, position, position + _SEARCHED)) is None:
        return None
    _, version, coding, mode = found[0]
    is_mpeg1, is_mono = bool(version & 8), mode >> 6 == 3
    rate = (44100, 48000, 32000)[coding >> 2 & 3] >> (0 if is_mpeg1 else 1 if version & 16 else 2)
    kbit = (_KBIT_MPEG1 if is_mpeg1 else _KBIT_MPEG2)[coding >> 4]
    samples = 1152 if is_mpeg1 else 576
    end = found.start() + samples * 125 * kbit // rate + (coding >> 1 & 1)
    return _Mp3Frame(found.start(), end, samples, rate, (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17))


def mp3_gives_length(data: bytes) -> bool:
    """Return whether an MP3 file, or the beginning of one, has its number of frames in its first frame."""
    first = _first_mp3_frame(data)
    return first is not None and _announced(data, first) is not None


def _first_mp3_frame(data: bytes) -> _Mp3Frame | None:
    position = 0
    if data[:3] == b"ID3":
        position = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=False))
    return _mp3_frame(data, position)


def _announced(data: bytes, first: _Mp3Frame) -> int | None:
    found = _MP3_LENGTH.search(data, first.start + 4 + first.side, first.start + first.side + 24)
    return None if found is None else int.from_bytes(found[1], "big")


def _mp3_with_length(data: bytes, frames: int) -> bytes | None:
    """Put a Xing header, a frame that is not played, before the frames of an MP3 file that has none, or a wrong one."""
    first = frame = _first_mp3_frame(data)
    if first is None:
        return None
    count = 0
    while frame is not None:
        count += 1
        frame = _mp3_frame(data, frame.end)
    announced = _announced(data, first)
    if count * first.samples <= frames or (announced is not None and count - 2 <= announced * _SURPLUS):
        return None
    _, version, coding, mode = data[first.start : first.start + 4]
    header = bytes([0xFF, version | 1, (0x50 if version & 8 else 0x80) | coding & 0x0C, mode])  # 64 kbit/s, no checksum
    xing = header + bytes(first.side) + b"Xing" + struct.pack(">II", 1, count)
    return xing.ljust(first.samples * 125 * 64 // first.rate, b"\0") + data[first.start :]
