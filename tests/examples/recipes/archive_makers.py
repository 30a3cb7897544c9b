"""Tiny archives in the formats that the corpora come in, with tones for speech."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile


def tone(seconds: float, rate: int, frequency: float = 220.0, amplitude: float = 0.3) -> np.ndarray:
    """A sine with overtones that swells and fades: enough for openSMILE to find a pitch in."""
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * frequency * harmonic * time) / harmonic for harmonic in (1, 2, 3))
    return (amplitude * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)) / 2).astype(np.float32)


def encoded(samples: np.ndarray, rate: int, container: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container)
    return buffer.getvalue()


def queen_archive(entries: dict[str, bytes], compression: int = 1) -> bytes:
    head = b"QTBLCEM10\0\0\0" + bytes([compression]) + struct.pack(">H", len(entries))
    offset = len(head) + 21 * len(entries)
    table, body = b"", b""
    for name, content in entries.items():
        table += struct.pack(">12sBII", name.encode(), 1, offset + len(body), len(content))
        body += content
    return head + table + body


def dialogue_file(talk_key: int) -> bytes:
    return bytes(20) + struct.pack(">hhh", 3, 99, talk_key) + bytes(26)


def write_queen(root: Path, with_faults: bool = False) -> Path:
    """Seven lines by the hero, Sparky (dialogue 51) and a cutaway, one effect; with faults: short, silent, double."""
    line = {
        name: encoded(tone(1.0, 11025, frequency), 11025, "MP3")
        for name, frequency in (
            ("JOE00011.SB", 110),
            ("51001FP1.SB", 190),
            ("51001FPA.SB", 200),
            ("51001FJ1.SB", 120),
            ("51XXXXP2.SB", 210),
            ("C41B_082.SB", 300),
            ("CINTR571.SB", 310),
            ("106SSSSS.SB", 500),
        )
    }
    if with_faults:
        line["JOE00021.SB"] = encoded(tone(0.2, 11025), 11025, "MP3")
        line["JOE00031.SB"] = encoded(np.zeros(11025, np.float32), 11025, "MP3")
        line["JOE00041.SB"] = line["JOE00011.SB"]
        line["JOE00051.SB"] = encoded(tone(15.5, 11025), 11025, "MP3")
    folder = root / "usr/share/scummvm"
    folder.mkdir(parents=True)
    archive = queen_archive({"SPARKY3.DOG": dialogue_file(51), **line, "ROOM.PCX": b"picture"})
    (folder / "queen.1c").write_bytes(archive)
    return root


def write_drascula(root: Path) -> Path:
    folder = root / "usr/share/scummvm/drascula/en"
    folder.mkdir(parents=True)
    for name, frequency in (("52", 120), ("53", 130), ("VB7", 100), ("BJ1", 240)):
        wave = tone(0.8, 11025, frequency)
        (folder / f"{name}.ALS").write_bytes(np.round(wave * 127 + 128).astype(np.uint8).tobytes())
    return root


def write_fillets(speech: Path, scripts: Path, language: str = "cs") -> list[Path]:
    for level, name, frequency, channels in (
        ("city", "vit-m-hlava", 150, 1),
        ("city", "vit-hs-klid1", 200, 2),
        ("share/border", "cil-v-hlaska0", 250, 1),
        ("city", "effect", 400, 1),
    ):
        folder = speech / "usr/share/games/fillets-ng/sound" / level / language
        folder.mkdir(parents=True, exist_ok=True)
        wave = np.stack([tone(0.9, 22050, frequency)] * channels, axis=1)
        (folder / f"{name}.ogg").write_bytes(encoded(wave, 22050, "OGG"))
    city = scripts / "usr/share/games/fillets-ng/script/city"
    border = scripts / "usr/share/games/fillets-ng/script/share/border"
    city.mkdir(parents=True)
    border.mkdir(parents=True)
    (city / f"dialogs_{language}.lua").write_text(
        '\ndialogId("vit-m-hlava", "font_small", "My head!")\ndialogStr("Hlava!")\n\n'
        'dialogId("vit-hs-klid1", "font_statue", "Keep calm.")\ndialogStr("Zachovejte klid.")\n',
        encoding="utf-8",
    )
    (border / f"dialogs_{language}.lua").write_text(
        'dialogId("cil-v-hlaska0", "font_big", "There!")\ndialogStr("")\n', encoding="utf-8"
    )
    return [speech, scripts]
