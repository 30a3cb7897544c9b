"""Readers of emotion corpora as they are distributed, one for each convention of files."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..templating import counts


COLUMNS = ("id", "path", "label", "speaker", "group")
"""What readers return: `id` is unique, `path` absolute, `label` the corpus's own; the last two may be `None`."""
SHOWN = 5
"""At most this many names are in an error's message."""


@dataclass(frozen=True)
class FileNames:
    """Audio files whose names hold label and speaker, in any folders."""

    pattern: str  # of names without `.wav`: the groups `label` and `speaker`; another is a reason to leave a clip out
    labels: tuple[str, ...]  # all that occur
    speakers: tuple[str, ...]  # each must have a clip, or the corpus is incomplete

    def read(self, root: Path) -> pd.DataFrame:
        """Read all clips below a folder, without hidden files."""
        paths = (path for path in root.rglob("*") if path.suffix.lower() == ".wav" and not path.name.startswith("."))
        return self.table((path.stem, str(path), self.parse(path.stem)) for path in sorted(paths))

    def parse(self, stem: str) -> tuple[str, str] | str:
        """Return the label and the speaker that a name without `.wav` tells, or the reason to leave the clip out."""
        match = re.fullmatch(self.pattern, stem, re.IGNORECASE)
        if match is None:
            return "file name of another form"
        parts = {name: text for name, text in match.groupdict().items() if text is not None}
        label, speaker = parts.pop("label"), parts.pop("speaker")
        if parts:
            return next(iter(parts)).replace("_", " ")
        return next(known for known in self.labels if known.lower() == label.lower()), speaker.upper()

    def table(self, clips: Iterable[tuple[str, str, tuple[str, str] | str]]) -> pd.DataFrame:
        """Make the table of clips with id, path and what [`parse`] returns; all speakers must be among them."""
        rows, left_out = [], Counter[str]()
        for name, path, parts in clips:
            if isinstance(parts, str):
                left_out[parts] += 1
            else:
                rows.append((name, path, *parts, None))
        if not rows:
            others = f" ({counts(left_out)})" if left_out else ""
            raise ValueError(f"no .wav file is named as expected{others}")
        if absent := sorted(set(self.speakers) - {row[3] for row in rows}):
            raise ValueError(f"of {len(self.speakers)} speakers, these have no clip: {listed(absent)}")
        return _checked(rows, self.labels, left_out)


@dataclass(frozen=True)
class EmoEvaluations:
    """IEMOCAP's evaluation files: lines of a time, an utterance, its label and ratings; the audio in a folder each."""

    labels: tuple[str, ...]
    sessions: tuple[str, ...]  # folders, which become the groups; none may be missing

    def read(self, root: Path) -> pd.DataFrame:
        """Read all utterances; the sessions may be in one folder of the root."""
        base = _base(root, self.sessions)
        rows = []
        for session in self.sessions:
            labelled = []
            for file in sorted((base / session / "dialog" / "EmoEvaluation").glob("Ses*.txt")):
                text = file.read_text(encoding="latin-1")  # labels are ASCII, raters' comments are not always
                labelled += re.findall(r"^\[[^\]]*\]\s+(Ses\w+)\s+(\w+)\s", text, re.MULTILINE)
            if not labelled:
                raise ValueError(f"{session}/dialog/EmoEvaluation/Ses*.txt is missing or has no labels")
            for utterance, label in labelled:
                dialogue, _, turn = utterance.rpartition("_")
                # `Ses01F_impro01_M003` is spoken by `Ses01M`: the first F wears the motion capture markers.
                path = base / session / "sentences" / "wav" / dialogue / f"{utterance}.wav"
                rows.append((utterance, str(path), label, utterance[: len("Ses01")] + turn[0], session))
        return _checked(rows, self.labels, {})


@dataclass(frozen=True)
class LabelTable:
    """A table of file names and labels, and a folder of audio."""

    file: str  # the table, relative to the corpus
    audio: tuple[str, ...]  # folders of the audio, relative to the corpus; the first that exists is taken
    id: str  # column of the audio files' names, with or without `.wav`
    label: str  # column of the labels
    labels: tuple[str, ...]  # all that occur
    split: tuple[str, str]  # a column, and the pattern of the clips to read
    speaker: tuple[str, str]  # a column, which may be missing, and a pattern whose only group is the speaker
    separator: str = ","
    header: tuple[str, ...] | None = None  # names of the columns if the table's first line does not have them

    def read(self, root: Path) -> pd.DataFrame:
        """Read the clips of the split; the table may be in one folder of the root."""
        base = _base(root, (self.file,))
        table = pd.read_csv(
            base / self.file,
            sep=self.separator,
            names=None if self.header is None else list(self.header),
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )
        column, pattern = self.split
        if absent := [name for name in dict.fromkeys((self.id, self.label, column)) if name not in table.columns]:
            raise ValueError(f"{self.file} lacks the columns {absent}; it has {list(table.columns)}")
        chosen = table[table[column].str.fullmatch(pattern)]
        if not len(chosen):
            raise ValueError(f"no row of {self.file} has a {column!r} like {pattern!r}")
        folder = next((base / name for name in self.audio if (base / name).is_dir()), None)
        if folder is None:
            raise ValueError(f"next to {self.file} there is no folder {' or '.join(self.audio)}")
        column, pattern = self.speaker
        speakers = chosen[column] if column in chosen else [""] * len(chosen)
        rows = []
        for name, label, said in zip(chosen[self.id], chosen[self.label], speakers, strict=True):
            name = name.removesuffix(".wav")
            who = re.fullmatch(pattern, said)
            rows.append((name, str(folder / f"{name}.wav"), label, who and who[1], None))
        others = len(table) - len(chosen)
        return _checked(rows, self.labels, {"another split": others} if others else {})


Reader = FileNames | EmoEvaluations | LabelTable


def _base(root: Path, names: Sequence[str]) -> Path:
    """Find the folder that has one of the files or folders: the root or one just below it."""
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    found = [folder for folder in folders if any((folder / name).exists() for name in names)]
    if not found:
        raise ValueError(f"neither it nor a folder in it has {' or '.join(names)}")
    if len(found) > 1:
        raise ValueError(f"{len(found)} folders have {' or '.join(names)}, {listed(map(str, found))}; give one of them")
    return found[0]


def _checked(
    rows: Sequence[tuple[str, str, str, str | None, str | None]], labels: Collection[str], left_out: Mapping[str, int]
) -> pd.DataFrame:
    """Make a table of the rows, sorted by id, and check labels, ids and files."""
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object).sort_values("id", ignore_index=True)
    unknown = table[~table["label"].isin(labels)]
    if len(unknown):
        first = f"{unknown['label'].iloc[0]!r} of {unknown['id'].iloc[0]}"
        raise ValueError(f"{len(unknown)} labels are none of {', '.join(labels)}, the first {first}")
    twice = table[table["id"].str.lower().duplicated(keep=False)]
    if len(twice):
        places = " and ".join(twice["path"].iloc[:2])
        raise ValueError(
            f"{twice['id'].str.lower().nunique()} clips come more than once, for instance as {places}; "
            "give a folder that has each once"
        )
    if missing := [path for path in table["path"] if not Path(path).is_file()]:
        raise ValueError(f"of {len(table)} labelled clips, these audio files are missing: {listed(missing)}")
    table.attrs["left_out"] = dict(left_out)
    return table


def listed(names: Iterable[str]) -> str:
    """Return at most [`SHOWN`] names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
