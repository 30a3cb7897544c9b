"""What a YAML file may ask of a manifest's clips, whether it is of a task or of an experiment."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
from pydantic import AfterValidator, Field

from ..config import FileName, LanguageTag, Settings, Several, Split, Text, read_yaml
from ..data.captions.labels import CLASSLESS
from ..data.manifest import load_manifest
from ..data.manifest_reading import as_text, read_source
from .corpora import zero_shot_status
from .protocols import Protocol
from .results import ZeroShotStatus


SHOWN = 10
"""Of a column's values, so many are told at most."""


def clips_where(cells: pd.DataFrame, where: Mapping[str, str | list[str]]) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Chooses clips by what they have in some columns.

    Args:
        cells (`pd.DataFrame`): A row for each clip.
        where (`Mapping[str, str | list[str]]`): Column to the value, or the list of values, that clips must have there.

    Returns:
        `tuple[pd.DataFrame, dict[str, int]]`: The clips that have them all, and for each column how many have others.

    Raises:
        ValueError: if no clip is kept, or a column is neither text nor numbers.
    """
    left_out = {}
    for column, value in where.items():
        found = as_texts(cells[column])
        values = [value] if isinstance(value, str) else value
        fits = found.isin(values)
        if not fits.any():
            known = sorted(found.dropna().unique())
            more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
            raise ValueError(
                f"`where` keeps no clip: {column!r} must be one of {values}, but the {len(cells)} clips it chooses "
                f"from have {f'{known[:SHOWN]}{more}' if known else 'nothing'} there"
            )
        left_out[f"not {column} {alternatives(value)}"] = int((~fits).sum())
        cells = cells[fits]
    return cells, left_out


def alternatives(value: str | list[str]) -> str:
    """A value, or values between which there is "or"."""
    return value if isinstance(value, str) else " or ".join(value)


def as_texts(column: pd.Series) -> pd.Series:
    """
    A column as text, where 1.0 is 1 and what is missing `None`.

    Raises:
        ValueError: if it holds lists or the like.
    """
    try:
        cells = [None if pd.api.types.is_scalar(cell) and pd.isna(cell) else as_text(cell) for cell in column]
    except ValueError as error:
        raise ValueError(f"the column {column.name!r} must be text or numbers: {error}") from None
    return pd.Series(cells, index=column.index, dtype=object, name=column.name)


def cure_of_split(manifest: str, columns: Mapping[str, str]) -> str:
    """
    What to add to the message that a manifest lacks a split; without a word of splits all of it would be for training.

    Args:
        manifest (`str`): What [`~smoothclap_trainer.data.manifest.load_manifest`] reads.
        columns (`Mapping[str, str]`): Our column to the manifest's.

    Returns:
        `str`: Nothing if the manifest says which clip is in which split.
    """
    found = read_source(manifest)
    if found.parts is not None or columns.get("split", "split") in found.rows.column_names:
        return ""
    return "; it has no column `split`, so write `split: all`"


class Task(NamedTuple):
    """
    A protocol and the clips it judges.

    Args:
        protocol ([`Protocol`]): The protocol.
        rows (`pd.DataFrame`): Its clips, as [`~smoothclap_trainer.evaluation.protocols.read_task`] returns them.
        licence (`str`): Under which the clips may be used.
    """

    protocol: Protocol
    rows: pd.DataFrame
    licence: str


def _template(value: str) -> str:
    if value.count("{}") != 1:
        raise ValueError(f"must have one {{}}, where the words go, unlike {value!r}")
    return value


Template = Annotated[str, AfterValidator(_template)]


class OwnTask(Settings):
    """What the YAML file of one's own task says. Relative paths start at the current folder, as in training."""

    name: FileName = Field(description="Short name; it starts the names of plots.")
    title: Text = Field(description="Name for people.")
    corpus: Text = Field(
        description="Name of the corpus: a checkpoint trained on a corpus of this name is not zero-shot on it. Where "
        "the manifest has a column `corpus`, as it is there, with or without more after it."
    )
    manifest: Text = Field(description="A manifest, as in training; its rows have files.")
    language: LanguageTag = Field(description="BCP-47 tag of the speech.")
    licence: Text = Field(description="Licence of the clips.")
    words: dict[str, str] = Field(
        description="Class to what the text query calls it. Classes are labels of the manifest."
    )
    columns: dict[str, str] = Field(default_factory=dict, description="As in training: our column to the manifest's.")
    audio_root: Text | None = Field(default=None, description="As in training: where relative paths start.")
    split: Split = Field(default="test", description="train, validation, test, or all.")
    where: dict[str, str | list[str]] = Field(
        default_factory=dict, description="Column to the value, or the list of values, that clips must have there."
    )
    label_column: Text = Field(
        default="emotion",
        description="Column of the labels. Without one, a clip is left out; so is one labelled 'no agreement' or "
        "'other', unless `words` has that.",
    )
    template: Template = Field(default="{}", description="What the words are put into.")
    other_words: Several[dict[str, str]] = Field(
        default_factory=list, description="Further wordings of all classes, for prompt sensitivity."
    )
    other_templates: Several[Template] = Field(
        default_factory=list, description="Further templates, for prompt sensitivity."
    )
    text_language: LanguageTag | None = Field(
        default=None, description="BCP-47 tag of words and templates; default: `language`."
    )
    grouped_by: Text | None = Field(default=None, description="Column of groups; results are means over them.")
    synthetic: bool = Field(default=False, description="The speech is synthetic; the title will say so.")

    def protocol(self) -> Protocol:
        """
        Makes a protocol of it.

        Returns:
            [`Protocol`]: Without published figures.

        Raises:
            ValueError: See [`Protocol`].
        """
        marked = self.synthetic and "synthetic" not in self.title.lower()
        wanted = [f"{column} {alternatives(value)}" for column, value in self.where.items()]
        manifest = Path(self.manifest)
        called = manifest.resolve().name if manifest.exists() else self.manifest  # else it is an id on the Hub
        return Protocol(
            name=self.name,
            title=f"{self.title} (SYNTHETIC)" if marked else self.title,
            corpus=self.corpus,
            language=self.language,
            text_language=self.text_language or self.language,
            words=self.words,
            template=self.template,
            other_words=tuple(self.other_words),
            other_templates=tuple(self.other_templates),
            split="; ".join(["all splits" if self.split == "all" else self.split, *wanted]),
            labels={name: name for name in self.words},
            grouped_by=self.grouped_by,
            published={},
            source=f"The user's own task over {called}; all of it is the user's choice."
            + (" The speech is synthetic: labels name how it was made." if self.synthetic else ""),
        )


def read_own_task(path: str | Path) -> Task:
    """
    Reads a task of one's own.

    Args:
        path (`str` or `Path`):
            YAML with the fields of [`OwnTask`].

    Returns:
        [`Task`]: Like that of a named protocol.

    Raises:
        ValueError: Something is wrong with the file, or with the manifest or its labels. All faults of the file, or
            else of the clips, are named at once.
    """
    settings = read_yaml(path, OwnTask)
    faults: list[str] = []
    rows, unworded = None, {}
    try:
        rows = _rows(settings, faults)
        unworded = _unworded(rows, settings) if rows is not None else {}
    except ValueError as error:
        faults.append(str(error))
        if not (Path(settings.manifest).is_absolute() or Path(settings.manifest).exists()):
            faults.append(f"`manifest` starts at the current folder, which is {str(Path.cwd())!r}")
    faults = _protocol_faults(settings, unworded) + faults
    if faults or rows is None:
        lines = "\n  ".join(dict.fromkeys(faults))
        raise ValueError(f"{str(path)!r} cannot be used:\n  {lines}")
    return Task(settings.protocol(), rows, settings.licence)


def misnamed_corpora(corpora: pd.Series, corpus: str, key: str) -> list[str]:
    """
    Say whether clips are of other corpora than the one that they are judged as.

    Training records the manifest's names: what was trained on under another name would pass for unseen.

    Args:
        corpora (`pd.Series`): The clips' corpora by their manifest; text, or `None` where it does not say.
        corpus (`str`): What they are judged as. The manifest's names may have more after it.
        key (`str`): The setting that says so, for the message.

    Returns:
        `list[str]`: What is wrong and how to mend it, in one message; empty if nothing is.
    """
    unseen = ZeroShotStatus.ZERO_SHOT
    others = [name for name in corpora.dropna().unique() if zero_shot_status([name], corpus).status == unseen]
    if not others:
        return []
    return [
        f"clips are of the corpora {others} by the manifest, not of {corpus!r}: a checkpoint that was trained "
        f"on them would pass for zero-shot; write `{key}` as there, or choose one by `where`"
    ]


def _rows(settings: OwnTask, faults: list[str]) -> pd.DataFrame | None:
    """The clips; what is wrong goes to `faults`, and then there may be none."""
    splits = load_manifest(settings.manifest, settings.columns, settings.audio_root)
    chosen = list(splits) if settings.split == "all" else [settings.split]
    if not set(chosen) <= set(splits):
        cure = cure_of_split(settings.manifest, settings.columns)
        faults.append(f"there is no split {settings.split!r}; the manifest has {[*splits, 'all']}{cure}")
        return None
    names = next(iter(splits.values())).column_names
    needed = [settings.label_column, *settings.where, *([settings.grouped_by] if settings.grouped_by else [])]
    absent = [name for name in dict.fromkeys(["path", *needed]) if name not in names]
    if absent:
        cure = "; clips must be files, and `path` says where they are" if "path" in absent else ""
        faults.append(f"the manifest has no columns {absent}, only {names}{cure}")
        return None
    wanted = list(dict.fromkeys(["id", "path", *needed, *(name for name in ("speaker", "corpus") if name in names)]))
    table = pd.concat([splits[name].select_columns(wanted).to_pandas() for name in chosen], ignore_index=True)
    cells = pd.DataFrame({name: as_texts(table[name]) for name in wanted}, dtype=object)
    cells, left_out = _wanted(cells, settings)
    others = sum(len(part) for name, part in splits.items() if name not in chosen)
    rows = cells[["id", "path"]].assign(label=cells[settings.label_column])
    unknown = pd.Series([None] * len(rows), index=rows.index, dtype=object)
    rows["speaker"], rows["group"] = cells.get("speaker", unknown), cells.get(settings.grouped_by, unknown)
    rows = rows.sort_values("id", ignore_index=True)
    faults += _faults(rows, settings) + misnamed_corpora(cells.get("corpus", unknown), settings.corpus, "corpus")
    rows.attrs["left_out"] = {reason: count for reason, count in {"another split": others, **left_out}.items() if count}
    return rows


def _wanted(cells: pd.DataFrame, settings: OwnTask) -> tuple[pd.DataFrame, dict[str, int]]:
    """The clips that `where` asks for and that have a class, and how many were left out for which reason."""
    cells, left_out = clips_where(cells, settings.where)
    labels = cells[settings.label_column]
    classless = labels.isna() | labels.isin(set(CLASSLESS) - set(settings.words))
    return cells[~classless], left_out | {"no class": int(classless.sum())}


def _faults(rows: pd.DataFrame, settings: OwnTask) -> list[str]:
    """What is wrong with clips that are to be judged."""
    faults = []
    found, words = set(rows["label"]), set(settings.words)
    if unworded := _unworded(rows, settings):
        faults.append(f"`words` has no text for these labels and their clips: {unworded}; add it, or filter by `where`")
    if words - found:
        faults.append(f"these classes have no clip: {sorted(words - found)}; the labels are {sorted(found)}")
    if rows["path"].isna().any():
        faults.append(f"{int(rows['path'].isna().sum())} clips are bytes in the manifest: write them to files")
    if settings.grouped_by and rows["group"].isna().any():
        faults.append(f"{int(rows['group'].isna().sum())} clips have no {settings.grouped_by!r} to group them by")
    return faults


def _unworded(rows: pd.DataFrame, settings: OwnTask) -> dict[str, int]:
    """Labels without a text, and how many clips have each."""
    labels = sorted(set(rows["label"]) - set(settings.words))
    return {label: int((rows["label"] == label).sum()) for label in labels}


def _protocol_faults(settings: OwnTask, unworded: Iterable[str]) -> list[str]:
    """What is wrong with the protocol, but for what only follows from labels without a text, which is told already."""
    added = {label: f"`{label}`" for label in unworded}
    other_words = [added | words for words in settings.other_words]
    try:
        settings.changed(words=settings.words | added, other_words=other_words).protocol()
    except ValueError as error:
        return str(error).splitlines()
    return []
