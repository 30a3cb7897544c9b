"""The corpora of zero-shot evaluation, one row each, their clips, and whether a model was trained on one."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from transformers.utils import logging

from ..config import did_you_mean, read_yaml
from ..templating import counts
from .corpus_names import LICENCES_OF_CORPORA
from .corpus_readers import EmoEvaluations, FileNames, LabelTable, Reader, listed
from .corpus_sources import CorpusSource
from .protocols import PROTOCOLS, Protocol


logger = logging.get_logger(__name__)

ABSENT = "not in the folder, though in the corpus"
"""Why clips are left out that a smaller copy of the corpus lacks."""


@dataclass(frozen=True)
class EmotionCorpus:
    """
    One corpus, which must be downloaded elsewhere.

    Args:
        name (`str`): Short name, lower case.
        title (`str`): For people.
        language (`str`): BCP-47 tag of the speech.
        ask (`str`): Where to get it.
        layout (`str`): What its folder holds, in words.
        readers (`tuple`): One for each set of labels that it comes with.
        clips (`int`, *optional*): How many the readers find in the whole corpus; None where releases differ.
    """

    name: str
    title: str
    language: str
    ask: str
    layout: str
    readers: tuple[Reader, ...]
    clips: int | None = None

    @property
    def licence(self) -> str:
        """Its licence, see [`LICENCES_OF_CORPORA`]."""
        return LICENCES_OF_CORPORA[self.name]

    @property
    def may_be_on_hub(self) -> bool:
        """Whether it can also be read from the Hub, because the names of its files give label and speaker."""
        return isinstance(self.readers[0], FileNames)


def read_corpus(corpus: EmotionCorpus, root: str | Path, labels: Collection[str]) -> pd.DataFrame:
    """
    Read the clips that a corpus at `root` (see [`CorpusSource.at`]) has for evaluation, by the set of labels with
    `labels`.

    Returns what [`~.corpus_readers`] returns, with clips that are not there in `attrs["left_out"]`, too; another
    number of clips than the corpus's is a warning. A `ValueError` says what was expected, and where to get the corpus.
    """
    source = CorpusSource.at(corpus.name, root)
    reader = next(reader for reader in corpus.readers if set(labels) <= set(reader.labels))
    try:
        rows = source.read(reader)
    except ValueError as error:
        layout = f"Expected there: {corpus.layout}.\nFound there: {_found(source.folder)}.\n"
        raise ValueError(
            f"{corpus.title} cannot be read from {source.data_root!r}: {error}.\n{'' if source.hub else layout}"
            f"Get the corpus from {corpus.ask}; licence: {corpus.licence}."
        ) from error
    if corpus.clips not in (None, len(rows)):
        logger.warning(
            f"{corpus.title} should have {corpus.clips} clips, but {source.data_root!r} has {len(rows)}: results are "
            "not comparable with published ones"
        )
    if corpus.clips is not None and len(rows) < corpus.clips:
        rows.attrs["left_out"][ABSENT] = corpus.clips - len(rows)
    return rows


def _found(folder: Path) -> str:
    paths = folder.iterdir() if folder.is_dir() else ()
    return listed(sorted(path.name for path in paths if not path.name.startswith("."))) or "nothing"


EMOTION_CORPORA: dict[str, EmotionCorpus] = {
    corpus.name: corpus
    for corpus in (
        EmotionCorpus(
            name="iemocap",
            title="IEMOCAP",
            language="en",
            ask="SAIL, University of Southern California, https://sail.usc.edu/iemocap/",
            layout="Session1 to Session5, each with dialog/EmoEvaluation/DIALOGUE.txt and "
            "sentences/wav/DIALOGUE/UTTERANCE.wav",
            readers=(
                EmoEvaluations(
                    labels=("ang", "dis", "exc", "fea", "fru", "hap", "neu", "oth", "sad", "sur", "xxx"),
                    sessions=("Session1", "Session2", "Session3", "Session4", "Session5"),
                ),
            ),
            clips=10039,
        ),
        EmotionCorpus(
            name="ravdess",
            title="RAVDESS",
            language="en",
            ask="https://zenodo.org/records/1188976 (Audio_Speech_Actors_01-24.zip)",
            layout="Actor_01 to Actor_24 with .wav files named MM-VC-EE-II-SS-RR-AA, like 03-01-05-02-01-01-12.wav, "
            "with or without a folder Audio_Speech_Actors_01-24 around them",
            readers=(
                FileNames(
                    pattern=r"(?:03|(?P<with_video>0[12]))-(?:01|(?P<song>02))-(?P<label>0[1-8])-0[12]-0[12]-0[12]"
                    r"-(?P<speaker>\d\d)",
                    labels=("01", "02", "03", "04", "05", "06", "07", "08"),
                    speakers=tuple(f"{actor:02}" for actor in range(1, 25)),
                ),
            ),
            clips=1440,
        ),
        EmotionCorpus(
            name="crema-d",
            title="CREMA-D",
            language="en",
            ask="https://github.com/CheyneyComputerScience/CREMA-D",
            layout="AudioWAV with files named ACTOR_SENTENCE_EMOTION_LEVEL, like 1001_DFA_ANG_XX.wav, of the actors "
            "1001 to 1091",
            readers=(
                FileNames(
                    pattern=r"(?P<speaker>1\d{3})_[A-Z]{3}_(?P<label>ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}",
                    labels=("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"),
                    speakers=tuple(str(actor) for actor in range(1001, 1092)),
                ),
            ),
            clips=7442,
        ),
        EmotionCorpus(
            name="tess",
            title="TESS",
            language="en",
            ask="https://doi.org/10.5683/SP2/E8H2MF",
            layout=".wav files named ACTRESS_WORD_EMOTION, like OAF_back_angry.wav and YAF_back_ps.wav, in one folder "
            "or one for each actress and emotion",
            readers=(
                FileNames(
                    # One file of the corpus, OA_bite_neutral.wav, lacks the F.
                    pattern=r"(?P<speaker>[OY]A)F?_[a-z-]+_(?P<label>angry|disgust|fear|happy|neutral|ps|sad)",
                    labels=("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"),
                    speakers=("OA", "YA"),
                ),
            ),
            clips=2800,
        ),
        EmotionCorpus(
            name="fau-aibo",
            title="FAU Aibo",
            language="de",
            ask="the Pattern Recognition Lab, Friedrich-Alexander-Universität Erlangen-Nürnberg",
            layout="labels/IS2009EmotionChallenge with chunk_labels_2cl_corpus.txt and chunk_labels_5cl_corpus.txt "
            "(lines of chunk, class and confidence), and wav/CHUNK.wav",
            readers=tuple(
                LabelTable(
                    file=f"labels/IS2009EmotionChallenge/chunk_labels_{len(labels)}cl_corpus.txt",
                    audio=("wav",),
                    id="chunk",
                    label="class",
                    labels=labels,
                    split=("chunk", r"Mont_.*"),
                    speaker=("chunk", r"(Mont_\d+)_.*"),
                    separator=r"\s+",
                    header=("chunk", "class", "confidence"),
                )
                for labels in (("IDL", "NEG"), ("A", "E", "N", "P", "R"))
            ),
            clips=8257,
        ),
        EmotionCorpus(
            name="alc",
            title="ALC",
            language="de",
            ask="the Bavarian Archive for Speech Signals, LMU Munich, "
            "https://www.phonetik.uni-muenchen.de/Bas/BasALCeng.html, and the organisers of the Interspeech 2011 "
            "Speaker State Challenge for its split",
            layout="ALC.csv with the columns file (TE_... in the test split) and challenge_class (AL, NAL), and "
            "DIST/TEST/FILE.wav",
            readers=(
                LabelTable(
                    file="ALC.csv",
                    audio=("DIST/TEST",),
                    id="file",
                    label="challenge_class",
                    labels=("AL", "NAL"),
                    split=("file", r"TE_.*"),
                    speaker=("speaker", r"(.+)"),
                ),
            ),
            clips=3000,
        ),
        EmotionCorpus(
            name="sld",
            title="SLD",
            language="de",
            ask="the organisers of the Interspeech 2012 Speaker Trait Challenge",
            layout="LSC_final_geheim.csv with the columns file (test_... in the test split) and likability (L, NL), "
            "separated by semicolons, and wav/FILE",
            readers=(
                LabelTable(
                    file="LSC_final_geheim.csv",
                    audio=("wav",),
                    id="file",
                    label="likability",
                    labels=("L", "NL"),
                    split=("file", r"test_.*"),
                    speaker=("speaker", r"(.+)"),
                    separator=";",
                ),
            ),
            clips=228,
        ),
        EmotionCorpus(
            name="msp-podcast",
            title="MSP-Podcast",
            language="en",
            ask="the MSP Lab (C. Busso), https://www.lab-msp.com",
            layout="Labels/labels_consensus.csv with the columns FileName, EmoClass and Split_Set, and Audios/FileName",
            readers=(
                LabelTable(
                    file="Labels/labels_consensus.csv",
                    audio=("Audios", "Audio"),
                    id="FileName",
                    label="EmoClass",
                    labels=("A", "C", "D", "F", "H", "N", "O", "S", "U", "X"),
                    split=("Split_Set", r"Test1"),
                    speaker=("SpkrID", r"(?!Unknown$)(.+)"),
                ),
            ),
        ),
        EmotionCorpus(
            name="emodb",
            title="EmoDB",
            language="de",
            ask="http://emodb.bilderbar.info",
            layout="wav with files named SPEAKER, text, emotion and version, like 03a01Fa.wav, of the speakers 03 and "
            "08 to 16",
            readers=(
                FileNames(
                    pattern=r"(?P<speaker>\d\d)[ab]\d\d(?P<label>[AEFLNTW])[a-z]?",
                    labels=("A", "E", "F", "L", "N", "T", "W"),
                    speakers=("03", "08", "09", "10", "11", "12", "13", "14", "15", "16"),
                ),
            ),
            clips=535,
        ),
    )
}


def read_task(protocol: Protocol, root: str | Path) -> pd.DataFrame:
    """
    Read the clips of a protocol on one of the known corpora, which is at `root` (see [`CorpusSource.at`]).

    There is one row a clip, sorted by `id`: `id`, absolute `path`, `label` (the class), `speaker` and `group` (text or
    `None`); `attrs["left_out"]` has reasons and counts. A `ValueError`: it is not there, or a class has no clip.
    """
    corpus = EMOTION_CORPORA[protocol.corpus]
    rows = read_corpus(corpus, root, protocol.labels)
    used = rows["label"].isin(list(protocol.labels))
    left_out = rows.attrs["left_out"] | {
        f"label {label!r}": count for label, count in sorted(Counter(rows["label"][~used]).items())
    }
    rows = rows[used].reset_index(drop=True)
    rows["label"] = rows["label"].map(dict(protocol.labels)).astype(object)
    rows.attrs["left_out"] = left_out
    empty = sorted(set(protocol.classes) - set(rows["label"]))
    if empty:
        raise ValueError(
            f"{protocol.title}: of the classes {list(protocol.classes)}, {empty} have no clip in {str(root)!r}; the "
            f"corpus is incomplete. Get it from {corpus.ask}."
        )
    return rows


def read_corpus_file(path: str | Path) -> pd.DataFrame:
    """
    Read the YAML file of a known corpus as a manifest for training: `id`, `path`, `emotion`, `speaker`, `split`,
    `corpus`, `language`, `licence`.

    A `ValueError`: the corpus cannot be read, or not each of its speakers is in one split.
    """
    source = read_yaml(path, CorpusSource)
    corpus = EMOTION_CORPORA.get(source.corpus)
    if corpus is None or not isinstance(corpus.readers[0], FileNames):
        known = [name for name, each in EMOTION_CORPORA.items() if each.may_be_on_hub]
        cure = did_you_mean(source.corpus, known) or f"these can be read: {known}; for others write a manifest"
        raise ValueError(f"`corpus` is {source.corpus!r}; {cure}")
    splits = [(speaker, split) for split, speakers in source.speakers.items() for speaker in speakers]
    speakers, times = corpus.readers[0].speakers, Counter(speaker for speaker, _ in splits)
    if faulty := sorted(name for name in {*times, *speakers} if times[name] != 1 or name not in speakers):
        raise ValueError(
            f"`speakers` must have each of the {len(speakers)} speakers ({listed(speakers)}) in one split, or a model "
            f"would be tested on voices that it knows; wrong are {listed(map(repr, faulty))}"
        )
    rows = read_task(next(each for each in PROTOCOLS.values() if each.corpus == corpus.name), path)
    if rows.attrs["left_out"]:
        logger.warning(f"{corpus.title}: clips are left out: {counts(rows.attrs['left_out'])}")
    facts = {"corpus": corpus.name, "language": corpus.language, "licence": corpus.licence}
    rows = rows.rename(columns={"label": "emotion"}).assign(split=rows["speaker"].map(dict(splits)), **facts)
    return rows[["id", "path", "emotion", "speaker", "split", *facts]]
