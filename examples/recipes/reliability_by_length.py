#!/usr/bin/env python
"""
Measure how long a piece of speech has to be before a model's answer can be relied on.

    python examples/recipes/build_speech_dataset.py --output build/speech
    python examples/recipes/reliability_by_length.py build/speech --output docs/recordings

Any manifest with functionals does; so does any model. Clips of one speaker that are alike in an attribute (the top or
the bottom third of their corpus) are joined, in the order of their ids, until they last as long as is asked, and the
middle of that is taken: a piece. The result is the AUC of a query with the pieces of each length, which says how often
a piece of high clips gets a higher score than one of low clips. At most a hundred pieces of either kind are taken,
evenly from all; long pieces are fewer.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.batching_smoothclap import read_clip
from smoothclap_trainer.data.clips import clip_columns
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.evaluation.attributes import (
    ATTRIBUTE_QUERIES,
    AttributeQuery,
    positives_and_negatives,
    weighted_auc,
)
from smoothclap_trainer.evaluation.intervals import metric_of_weights
from smoothclap_trainer.files import held, write_text


SECONDS = (0.5, 1, 2, 3, 5, 10, 30)
SAMPLES = 500
"""Bootstrap samples for an interval."""
COLUMNS = ("attribute", "corpus", "seconds", "high", "low", "auc", "low_end", "high_end", "drawn")
FEWEST, MOST = 10, 100
"""Pieces of either kind that a cell of the table needs, and those that it takes, evenly from all."""


def asked(columns: Sequence[str], language: str) -> list[AttributeQuery]:
    """Return the queries in words of captions, in a language, of the columns that there are."""
    return [
        query
        for query in ATTRIBUTE_QUERIES
        if query.language == language and not query.held_out and query.column in columns
    ]


def pieces(waveforms: Sequence[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Join waveforms in their order, and yield the middle `samples` of each stretch that is long enough."""
    joined: list[np.ndarray] = []
    for waveform in waveforms:
        joined.append(waveform)
        if (total := sum(map(len, joined))) >= samples:
            start = (total - samples) // 2
            yield np.concatenate(joined)[start : start + samples]
            joined = []


def cut(rows: pd.DataFrame, waveforms: Sequence[np.ndarray], column: str, samples: int) -> pd.DataFrame:
    """Return the pieces of one corpus: `piece`, `high` (a truth value) and `speaker`."""
    top, bottom = positives_and_negatives(rows[column])
    found = []
    for high, members in ((True, rows[top]), (False, rows[bottom])):
        of_kind = [
            (piece, high, speaker)
            for speaker, own in members.sort_values("id").groupby("speaker", sort=True)
            for piece in pieces([waveforms[index] for index in own.index], samples)
        ]
        places = np.linspace(0, len(of_kind) - 1, min(MOST, len(of_kind))).round().astype(int)
        found += [of_kind[place] for place in places]
    return pd.DataFrame(found, columns=["piece", "high", "speaker"])


def measure(encoder: SmoothCLAPEncoder, rows: pd.DataFrame, clips: Dataset, language: str) -> pd.DataFrame:
    """Return a table of attribute, corpus, seconds, pieces of either kind, AUC and interval."""
    rate = encoder.sampling_rate
    read = [read_clip(clip, number, rate) for number, clip in enumerate(clip_columns(clips))]
    waveforms = [np.empty(0, np.float32) if clip.samples is None else clip.samples for clip in read]
    table = []
    for query in asked(list(rows.columns), language):
        high, low = encoder.encode_text([query.high, query.low])
        for corpus, members in rows.groupby("corpus"):
            for seconds in SECONDS:
                found = cut(members, waveforms, query.column, int(seconds * rate))
                counts = {"high": int(found["high"].sum()), "low": int((~found["high"].astype(bool)).sum())}
                cells = {"attribute": query.attribute, "corpus": corpus, "seconds": seconds, **counts}
                if min(counts.values()) >= FEWEST:
                    scores = encoder.encode_audio(list(found["piece"]), show_progress_bar=True) @ (high - low)
                    of = weighted_auc(scores, found["high"].to_numpy(bool))
                    value, interval = metric_of_weights(of, len(found), list(found["speaker"]), SAMPLES)
                    cells |= {"auc": value.value, "low_end": value.low, "high_end": value.high, "drawn": interval.unit}
                table.append(cells)
    return pd.DataFrame(table, columns=COLUMNS)


def as_markdown(table: pd.DataFrame) -> str:
    """Return one row for each attribute and corpus that has a result, and a column for each length."""
    lines = [
        "| attribute | corpus | " + " | ".join(f"{seconds:g} s" for seconds in SECONDS) + " |",
        "|---|---|" + "---:|" * len(SECONDS),
    ]
    for (attribute, corpus), rows in table.groupby(["attribute", "corpus"], sort=False):
        if rows["auc"].isna().all():
            continue
        cells = [
            f"{row.auc:.2f} ({row.low_end:.2f}-{row.high_end:.2f})" if row.auc == row.auc else ""
            for row in rows.itertuples()
        ]
        lines.append(f"| {attribute} | {corpus} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write `reliability.md` and `reliability.csv`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", help="Clips with id, corpus, speaker and functionals.")
    parser.add_argument("--corpora", nargs="+", help="Corpora of the manifest; by default all.")
    parser.add_argument("--split", default="test", help="Split of the clips.")
    parser.add_argument("--model", default="smoothclap-tiny", help="Hub id or folder of a checkpoint.")
    parser.add_argument("--language", default="en", choices=("en", "de"), help="Of the descriptions.")
    parser.add_argument("--output", type=Path, default=Path("build/reliability"), help="Folder of the results.")
    arguments = parser.parse_args()
    try:
        splits = load_manifest(arguments.manifest)
        if arguments.split not in splits:
            raise ValueError(f"There is no split {arguments.split!r}; there are {', '.join(splits)}.")
        clips = splits[arguments.split]
        if arguments.corpora:
            clips = clips.filter(lambda corpus: corpus in arguments.corpora, input_columns="corpus")
        rows = clips.with_format(None).to_pandas()
        if rows.empty:
            raise ValueError(f"There are no clips of {arguments.corpora} in {arguments.split!r}.")
        if missing := {"id", "corpus", "speaker"} - set(rows.columns):
            raise ValueError(f"{arguments.manifest!r} has no column {sorted(missing)}.")
        if not asked(list(rows.columns), arguments.language):
            raise ValueError(f"{arguments.manifest!r} has no functionals: add columns of openSMILE's eGeMAPSv02.")
        table = measure(SmoothCLAPEncoder.from_pretrained(arguments.model), rows, clips, arguments.language)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    with held(arguments.output):
        write_text(arguments.output / "reliability.md", as_markdown(table))
        write_text(arguments.output / "reliability.csv", table.to_csv(index=False))
    print(as_markdown(table))


if __name__ == "__main__":
    main()
