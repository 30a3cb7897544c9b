"""Speech synthesis with espeak-ng, installed or taken from Debian packages without installing."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from speech.packages import Package, fetch_package


PROGRAM = "espeak-ng"
CURE = "install espeak-ng 1.50 or newer (on Debian or Ubuntu the package espeak-ng)"


@dataclass(frozen=True)
class Espeak:
    """
    A program that runs.

    Args:
        program (`str`):
            Path of the program.
        version (`str`):
            Its version as it states it, for instance `"1.51"`.
        environment (`dict[str, str]`):
            Variables it needs beside the present ones.
        packages (`tuple[Package, ...]`):
            What it was unpacked from; empty if it was installed.
    """

    program: str
    version: str
    environment: dict[str, str] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()

    def run(self, arguments: list[str], text: str = "") -> bytes:
        """
        Runs the program.

        Args:
            arguments (`list[str]`):
                Its options.
            text (`str`, defaults to `""`):
                Its standard input.

        Returns:
            `bytes`: Its standard output.

        Raises:
            ValueError: It failed.
        """
        return _run([self.program, *arguments], text, self.environment)


def _run(command: list[str], text: str = "", environment: dict[str, str] | None = None) -> bytes:
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, input=text.encode(), env=variables, capture_output=True)
    if done.returncode != 0:
        raise ValueError(f"{' '.join(command)!r} failed: {done.stderr.decode(errors='replace').strip()}; {CURE}")
    return done.stdout


def _started(program: str, environment: dict[str, str], packages: tuple[Package, ...]) -> Espeak:
    stated = _run([program, "--version"], environment=environment).decode()
    # "eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/x86_64-linux-gnu/espeak-ng-data"
    _, found, rest = stated.partition("text-to-speech:")
    if not found:
        raise ValueError(f"{program!r} calls itself {stated.strip()!r}, which is not espeak-ng; {CURE}")
    return Espeak(program, rest.split()[0], environment, packages)


def find_espeak(cache: str | Path) -> Espeak:
    """
    Finds espeak-ng on the `PATH`, or else fetches and unpacks it with the libraries it lacks, without root rights.

    Args:
        cache (`str` or `Path`):
            Folder for packages, as of [`fetch_package`].

    Returns:
        [`Espeak`]: What to synthesise with.

    Raises:
        ValueError: There is none, and none can be fetched here; or it does not run.
    """
    installed = shutil.which(PROGRAM)
    if installed is not None:
        return _started(installed, {}, ())
    if shutil.which("apt-get") is None:
        raise ValueError(f"there is no {PROGRAM!r} and no 'apt-get' to fetch it with; {CURE}")
    # A dry run needs no rights and names exactly the packages this machine lacks, sound libraries included.
    plan = _run(["apt-get", "install", "--simulate", "--no-install-recommends", PROGRAM]).decode()
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    return _unpacked(tuple(fetch_package(name, cache) for name in names))


def _unpacked(packages: tuple[Package, ...]) -> Espeak:
    roots = [package.root for package in packages]
    programs = [root / "usr/bin" / PROGRAM for root in roots if (root / "usr/bin" / PROGRAM).is_file()]
    data = [path for root in roots for path in sorted(root.rglob("espeak-ng-data/phontab"))]
    if not programs or not data:
        names = [package.name for package in packages]
        raise ValueError(f"the packages {names} hold no {PROGRAM!r} with its data; {CURE}")
    libraries = dict.fromkeys(str(path.parent) for root in roots for path in sorted(root.rglob("*.so*")))
    own = [path for path in (os.environ.get("LD_LIBRARY_PATH"),) if path]
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join([*libraries, *own]),
        "ESPEAK_DATA_PATH": str(data[0].parent.parent),
    }
    return _started(str(programs[0]), environment, packages)


def check_voices(espeak: Espeak, voices: Iterable[str]) -> None:
    """
    Makes sure that voice variants exist: espeak-ng itself takes the plain voice for one it does not know.

    Args:
        espeak ([`Espeak`]):
            The program.
        voices (`Iterable[str]`):
            Names of variants.

    Raises:
        ValueError: A variant is missing.
    """
    known = {word for word in espeak.run(["--voices=variant"]).decode().split() if word.startswith("!v/")}
    missing = [voice for voice in voices if f"!v/{voice}" not in known]
    if missing:
        raise ValueError(f"espeak-ng {espeak.version} has no voice variants {missing}; {CURE}")


def synthesize(
    espeak: Espeak, text: str, voice: str, pitch: int, pitch_range: int, rate: int, amplitude: int
) -> tuple[np.ndarray, int]:
    """
    Speaks a sentence.

    Args:
        espeak ([`Espeak`]):
            The program.
        text (`str`):
            What to say, plain text.
        voice (`str`):
            Language and variant, for instance `"en+f1"`.
        pitch (`int`):
            espeak-ng's base pitch, 0 to 99; the voice's own is 50, and 50 more is an octave.
        pitch_range (`int`):
            Percent of the voice's own range, at most 198.
        rate (`int`):
            Words per minute, 80 to 450; espeak-ng's own is 175.
        amplitude (`int`):
            0 to 200; espeak-ng's own is 100.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)`, full scale 1, and their rate in Hz.

    Raises:
        ValueError: espeak-ng failed, or wrote no audio.
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    marked = f'<prosody range="{pitch_range}%">{escaped}</prosody>'
    options = ["-m", "-b", "1", "-z", "-v", voice, "-p", str(pitch), "-s", str(rate), "-a", str(amplitude)]
    data = espeak.run([*options, "--stdin", "--stdout"], marked)
    try:
        samples, sampling_rate = soundfile.read(io.BytesIO(data), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"espeak-ng wrote no audio for {text!r} with voice {voice!r}: {error}; {CURE}") from error
    return samples, sampling_rate
