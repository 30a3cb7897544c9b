"""Small trees of buzzes in the layouts that emotion corpora are distributed in: their real names, nobody's speech."""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile


RATE = 16000
AIBO_2 = {"A": "NEG", "E": "NEG", "N": "IDL", "P": "IDL", "R": "IDL"}


def build_tree(corpus: str, root: Path, takes: int = 2, seed: int = 0) -> Path:
    """
    Builds a tree of one corpus, `root / corpus`, and returns it.

    Every speaker that the corpus must have says `takes` clips, of one class after the other, so every class of its
    protocols has clips; what protocols leave out is there too. Clips are buzzes of 0.3 to 0.6 s whose pitch tells the
    class, with a little noise from `seed`.
    """
    folder = root / corpus
    BUILDERS[corpus](Buzzer(folder, np.random.default_rng(seed)), takes)
    return folder


class Buzzer:
    """Writes clips below a folder; clips of one class are alike, but no two are equal."""

    def __init__(self, folder: Path, rng: np.random.Generator):
        self.folder, self.rng = folder, rng

    def __call__(self, path: str, label: int) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(RATE * self.rng.uniform(0.3, 0.6))) / RATE
        phase = 2 * np.pi * 110 * 1.25**label * self.rng.uniform(0.97, 1.03) * time
        wave = sum(np.sin(harmonic * phase) / harmonic for harmonic in (1, 2, 3))
        wave = 0.2 * wave + 0.01 * self.rng.standard_normal(len(time))
        soundfile.write(target, wave.astype(np.float32), RATE, subtype="PCM_16")

    def text(self, path: str, lines: list[str]) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _iemocap(buzz: Buzzer, takes: int) -> None:
    labels = ("neu", "hap", "exc", "ang", "sad", "fru", "xxx")
    for session in range(1, 6):
        for number, kind in enumerate(("impro01", "script01_1")):
            dialogue = f"Ses0{session}{'FM'[number]}_{kind}"
            lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
            for take in range(takes):
                for code, label in enumerate(labels):
                    utterance = f"{dialogue}_{'FM'[(code + take) % 2]}{take * len(labels) + code:03}"
                    buzz(f"Session{session}/sentences/wav/{dialogue}/{utterance}.wav", code)
                    lines += [f"[{code}.2901 - {code}.8357]\t{utterance}\t{label}\t[2.5000, 2.5000, 2.5000]"]
                    lines += ["C-E2:\tNeutral state;\t()", "A-E3:\tval 3; act 2; dom  2;\t()", ""]
            buzz.text(f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt", lines)
            buzz.text(f"Session{session}/dialog/EmoEvaluation/Categorical/{dialogue}_e1_cat.txt", ["not to be read"])
            buzz.text(f"Session{session}/dialog/EmoEvaluation/._{dialogue}.txt", ["left by another system"])


def _ravdess(buzz: Buzzer, takes: int) -> None:
    emotions = cycle(range(1, 9))
    for actor in range(1, 25):
        folder = f"Audio_Speech_Actors_01-24/Actor_{actor:02}"
        for take in range(takes):
            emotion = next(emotions)
            statement, repetition = take % 2 + 1, take // 2 % 2 + 1
            buzz(f"{folder}/03-01-{emotion:02}-01-{statement:02}-{repetition:02}-{actor:02}.wav", emotion)
    buzz("Audio_Song_Actors_01-24/Actor_01/03-02-03-01-01-01-01.wav", 3)


def _crema_d(buzz: Buzzer, takes: int) -> None:
    emotions = cycle(enumerate(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")))
    sentences = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
    for actor in range(1001, 1092):
        for take in range(takes):
            label, emotion = next(emotions)
            buzz(f"AudioWAV/{actor}_{sentences[take]}_{emotion}_XX.wav", label)


def _tess(buzz: Buzzer, takes: int) -> None:
    emotions = {"angry": "angry", "disgust": "disgust", "fear": "Fear", "happy": "happy"}
    emotions |= {"neutral": "neutral", "ps": "Pleasant_surprise", "sad": "Sad"}
    for actress in ("OAF", "YAF"):
        for label, (emotion, folder) in enumerate(emotions.items()):
            for word in ("back", "bite", "chair", "dog", "goose", "yes")[:takes]:
                # One file of the corpus is misnamed.
                who = "OA" if (actress, word, emotion) == ("OAF", "bite", "neutral") else actress
                buzz(f"{actress}_{folder}/{who}_{word}_{emotion}.wav", label)


def _fau_aibo(buzz: Buzzer, takes: int) -> None:
    chunks = []
    for school, speakers in (("Mont", 5), ("Ohm", 2)):
        for speaker in range(1, speakers + 1):
            for take in range(takes):
                for label, emotion in enumerate(AIBO_2):
                    chunks.append((f"{school}_{speaker:02}_{take:03}_{label:02}", emotion))
                    if school == "Mont":
                        buzz(f"wav/{chunks[-1][0]}.wav", label)
    labels = "labels/IS2009EmotionChallenge/chunk_labels_{}cl_corpus.txt"
    buzz.text(labels.format(5), [f"{chunk} {emotion} 0.700000" for chunk, emotion in chunks])
    buzz.text(labels.format(2), [f"{chunk} {AIBO_2[emotion]} 0.800000" for chunk, emotion in chunks])


def _alc(buzz: Buzzer, takes: int) -> None:
    lines = ["file,challenge_class"]
    for index in range(6 * takes):
        lines.append(f"TE_{index:05},{('AL', 'NAL')[index % 2]}")
        buzz(f"DIST/TEST/TE_{index:05}.wav", index % 2)
    buzz.text("ALC.csv", [*lines, "TR_00000,AL", "DE_00000,NAL"])


def _sld(buzz: Buzzer, takes: int) -> None:
    lines = ["file;likability"]
    for index in range(6 * takes):
        lines.append(f"test_{index:03}.wav;{('L', 'NL')[index % 2]}")
        buzz(f"wav/test_{index:03}.wav", index % 2)
    buzz.text("LSC_final_geheim.csv", [*lines, "train_000.wav;L", "devel_000.wav;NL"])


def _msp_podcast(buzz: Buzzer, takes: int) -> None:
    lines = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    for speaker in ("12", "345", "Unknown"):
        for take in range(takes):
            for label, emotion in enumerate("ASHUFDCNOX"):
                name = f"MSP-PODCAST_{len(lines):04}_{take:04}.wav"
                lines.append(f"{name},{emotion},4.0,4.2,4.4,{speaker},Female,Test1")
                buzz(f"Audios/{name}", label)
    lines.append("MSP-PODCAST_9999_0001.wav,A,4.0,4.2,4.4,99,Male,Train")
    buzz.text("Labels/labels_consensus.csv", lines)


def _emodb(buzz: Buzzer, takes: int) -> None:
    emotions = cycle(enumerate("AEFLNTW"))
    for speaker in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16"):
        for text in ("a01", "a02", "a04", "a05", "a07", "b01")[:takes]:
            label, emotion = next(emotions)
            buzz(f"wav/{speaker}{text}{emotion}{'abcd'[label % 4]}.wav", label)
    buzz.text("lablaut/03a01Fa.lablaut", ["not to be read"])


BUILDERS: dict[str, Callable[[Buzzer, int], None]] = {
    "iemocap": _iemocap,
    "ravdess": _ravdess,
    "crema-d": _crema_d,
    "tess": _tess,
    "fau-aibo": _fau_aibo,
    "alc": _alc,
    "sld": _sld,
    "msp-podcast": _msp_podcast,
    "emodb": _emodb,
}
