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


def _packed(texts: list[tuple[bytes, str]], start: int, align: int) -> bytes:
    """Texts, each after what stands before it: a length, then the text up to an aligned offset."""
    content = b""
    for before, text in texts:
        content += before + bytes([len(text)])
        if text:
            content += text.encode("cp850")
            content += bytes(-(start + len(content)) % align)
    return content


def dialogue_file(talk_key: int, hero: dict[int, str], other: dict[int, str], parting: tuple[str, str]) -> bytes:
    """The hero's text of number 0 is his greeting."""
    levels = 1
    start = 32 + levels * 96
    tables = [
        _packed([(struct.pack(">HH", 0, number), text) for number, text in texts.items()], start, 4)
        for texts in (hero, other)
    ]
    middle = start + len(tables[0])
    head = struct.pack(">5h12x3H4x", levels, 99, talk_key, len(hero), len(other), middle, 0, middle + len(tables[1]))
    return bytes(20) + head + bytes(96) + b"".join(tables) + _packed([(b"", text) for text in parting], 0, 2)


def cutaway_file(objects: list[tuple[int, str, bool]]) -> bytes:
    """Objects as number, text and whether they are an animation, which no one speaks in."""
    body = b""
    for number, _, moves in objects:
        body += struct.pack(">17hhh", number, 0, 0, 0, moves, moves, *[0] * 11, 1, 5)  # one step of a walk
        body += struct.pack(">h18xh", 7, -2) if moves else b""
    texts = 12 + len(body)
    return (
        bytes(20)
        + struct.pack(">4hH2x", 0, len(objects), 0, 0, texts)
        + body
        + _packed([(b"", ""), *((b"", text) for _, text, _ in objects)], texts, 2)
    )


def scripts() -> dict[str, bytes]:
    """A dialogue with Sparky, two cutaways, and the hero's answers, in the game's formats."""
    names = ["rock", "Princess Azura", "Trader Bob"]
    images = struct.pack(">hHHHhHHh", 1, *[0] * 6, -3) + b"".join(
        struct.pack(">hHHHhHHh", name, *[0] * 6, -4) for name in (-2, 3)
    )
    strings = ["A rock.", *names, "Room", *["verb"] * 12, *(f"Answer {number}!*03" for number in range(1, 41))]
    many = "*01".join(f"Part {number}" for number in range(1, 11))
    return {
        "SPARKY3.DOG": dialogue_file(51, {0: "Hi.", 31: "Sure...*AO"}, {31: many}, ("Bye.*WTSee you!", "Bye.")),
        "C41B.CUT": cutaway_file([(1, "", True), (2, "*XY01(010,100)Help me!", False), (1, "Nobody knows.", False)]),
        "CINTR.CUT": cutaway_file([(0, "Let us go", False), (3, "Stop...", False)]),
        "QUEEN.JAS": bytes(20) + struct.pack(">4H", 1, 3, 3, 1) + images,
        "QUEEN2.JAS": bytes(20) + "\r\n".join(strings).encode("cp850"),
    }


def write_queen(root: Path, with_faults: bool = False) -> Path:
    """Lines by the hero, Sparky (dialogue 51), Azura and Bob, one of nobody knows whom, and an effect; and faults."""
    line = {
        name: encoded(tone(1.0, 11025, frequency), 11025, "MP3")
        for name, frequency in (
            ("JOE00011.SB", 110),
            ("51001FP1.SB", 190),
            ("51001FPA.SB", 200),
            ("51001FJ1.SB", 120),
            ("51XXXXP2.SB", 210),
            ("C41B_022.SB", 300),
            ("C41B_031.SB", 320),
            ("CINTR021.SB", 310),
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
    archive = queen_archive({**scripts(), **line, "ROOM.PCX": b"picture"})
    (folder / "queen.1c").write_bytes(archive)
    return root


def write_hedgewars(root: Path) -> Path:
    for name, seconds in (
        ("Default/Victory", 0.9),
        ("Default/Ow2", 0.2),
        ("Default_pl/Hmm", 0.4),
        ("Pirate/Hello", 0.6),
        ("Robot/Victory", 0.8),
    ):
        path = root / f"usr/share/games/hedgewars/Data/Sounds/voices/{name}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(tone(seconds, 44100, 300 + len(name)), 44100, "OGG"))
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
