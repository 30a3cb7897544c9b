"""Where the corpora of evaluation are, as the command line says it."""

from collections.abc import Sequence
from pathlib import Path

from ..data.emotion_corpora import EMOTION_CORPORA


def corpus_roots(corpora: Sequence[str], data_roots: Sequence[str]) -> dict[str, Path]:
    """
    Finds the folder of each corpus that is needed.

    Args:
        corpora (`Sequence[str]`):
            Keys of [`~smoothclap_trainer.data.emotion_corpora.EMOTION_CORPORA`], each once.
        data_roots (`Sequence[str]`):
            `"CORPUS=FOLDER"`, and at most one plain folder. That holds a folder named like each corpus; if only one
            corpus is needed, it may be the corpus itself.

    Returns:
        `dict[str, Path]`: Corpus to folder, which need not exist.

    Raises:
        ValueError: A corpus has no folder or two: where to ask for it is told. Or a folder is for no corpus.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.data_roots import corpus_roots
    >>> corpus_roots(["tess", "emodb"], ["tess=data/TESS", "emodb=data/emodb"])["tess"].name
    'TESS'

    ```
    """
    roots: dict[str, Path] = {}
    plain = []
    for entry in data_roots:
        corpus, equals, folder = entry.partition("=")
        if not equals or corpus not in EMOTION_CORPORA:
            plain.append(entry)
        elif corpus in roots:
            raise ValueError(f"the corpus {corpus!r} has two folders, {str(roots[corpus])!r} and {folder!r}; give one")
        else:
            roots[corpus] = Path(folder).expanduser()
    needless = [corpus for corpus in roots if corpus not in corpora]
    open_ones = [corpus for corpus in corpora if corpus not in roots]
    if needless or (plain and not open_ones):
        raise ValueError(f"no task needs the data roots {needless or plain}; leave them out, or name their tasks")
    if len(plain) > 1:
        raise ValueError(f"of the data roots {plain} only one can be plain; write the others as CORPUS=FOLDER")
    for corpus in open_ones if plain else ():
        within = Path(plain[0]).expanduser() / corpus
        if within.is_dir():
            roots[corpus] = within
        elif len(corpora) == 1:
            roots[corpus] = Path(plain[0]).expanduser()
    missing = [EMOTION_CORPORA[corpus] for corpus in corpora if corpus not in roots]
    if missing:
        lines = [f"{each.name}=FOLDER, from {each.ask}; licence: {each.licence}" for each in missing]
        where = f"{plain[0]!r} has no folder for these corpora" if plain else "these corpora have no data root"
        raise ValueError("\n  ".join([f"{where}; give one for each:", *lines]))
    return roots
