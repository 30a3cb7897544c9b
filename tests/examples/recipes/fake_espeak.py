"""A stand-in for espeak-ng: writes down what it is asked and answers with a tone that depends on it."""

import sys
from pathlib import Path

from expressive.sentences import VOICES


VERSION = "eSpeak NG text-to-speech: 1.51  Data at: /somewhere/espeak-ng-data"
PEAK = 0.4
"""Of the tone at `-a 100`."""

SCRIPT = """#!{python} -IS
import math, os, struct, sys, zlib

arguments = sys.argv[1:]
if arguments == ["--version"]:
    print({version!r})
    sys.exit()
if arguments == ["--voices=variant"]:
    print("Pty Language Age/Gender VoiceName File Other Languages")
    for voice in {voices!r}:
        print(" 5 variant --/M " + voice + " !v/" + voice)
    sys.exit()
text = sys.stdin.buffer.read()
with open(os.path.join({folder!r}, "calls"), "a") as calls:
    print(arguments, text.decode(), file=calls)
if b"refuse" in text:
    sys.exit("cannot say that")
if b"mute" in text:
    sys.exit()
value = lambda name: arguments[arguments.index(name) + 1]
hertz = 150 * 2 ** (int(value("-p")) / 50 - 1) + zlib.crc32(text + value("-v").encode()) % 1000 / 100
peak = {peak} * int(value("-a")) / 100 * 32767
count = int(22050 * 0.8 * 175 / int(value("-s")))
turns = [2 * math.pi * i / 1024 for i in range(1024)]
wave = [round(peak * (math.sin(x) + math.sin(2 * x) + math.sin(3 * x)) / 2.5) for x in turns]
pcm = [wave[int(1024 * hertz * i / 22050) % 1024] for i in range(count)]
# espeak-ng cannot know the length when it starts to write, so it claims the largest.
header = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 0x7ffff024, b"WAVEfmt ", 16, 1, 1, 22050, 44100, 2, 16, b"data",
                     0x7ffff000)
sys.stdout.buffer.write(header + struct.pack("<%dh" % count, *pcm))
"""


def write_espeak(
    folder: Path, version: str = VERSION, voices: tuple[str, ...] = tuple(VOICES), peak: float = PEAK
) -> Path:
    """Writes the program into `folder`, and its calls to `folder/calls`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "espeak-ng"
    program.write_text(
        SCRIPT.format(python=sys.executable, version=version, voices=voices, peak=peak, folder=str(folder))
    )
    program.chmod(0o755)
    return program


def calls(folder: Path) -> list[str]:
    """What was to be said so far, one line a call."""
    file = folder / "calls"
    return file.read_text().splitlines() if file.is_file() else []
