"""The report of an experiment with CLEP-DG, in Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.report_cells import MARKS, against_chance, code, doubtful_clips, footnotes, image, number, table
from .judging import AUDIO_OF_OTHERS, AUDIO_OF_SPEAKERS, mean_and_sd, of_method
from .methods import METHODS
from .plots import BY_CONDITION, conditions_picture, contexts_picture, draw_conditions
from .settings import CLEAN, GENERALISATION, SUPERVISED


AUDIO_TITLES = {
    AUDIO_OF_SPEAKERS: "classifier on audio of other speakers",
    AUDIO_OF_OTHERS: "classifier on audio of the other corpora",
}
TEXTS_EXPLAINED = """## Texts

What the methods make of texts, whatever speech there is. Similarity is the mean |cosine| between the prompts of two
contexts that name no class, which the style loss lowers. Classes kept is the share of joint prompts that are nearest to
the content prompt of their own class, which the content loss raises. Texts right is the share of a method's texts that
its own class vectors tell right.
"""
CONDITIONS_EXPLAINED = """## Acoustic conditions

UAR of the same clips, leave one corpus out, as they are heard under each condition. Nothing is trained again: contexts
and classifiers are those from above. The last column is CLEP-DG with ACPT, its second stage. The two before it are the
same third stage without: on prompts that have no contexts, and on contexts that are random.
"""

PLACES = {
    "at chance": "- At chance: the interval holds chance, so the figure does not differ from guessing.\n",
    "below chance": "- Below chance: the whole interval is; clips are taken for other classes than by guessing.\n",
}
NO_INTERVAL = {"low": None, "high": None}


def generalisation_table(results: Mapping[str, Any], figure: str = "uar") -> str:
    """
    Writes the table of all methods on all corpora, clean.

    Args:
        results (`Mapping[str, Any]`): From [`~experiment.run_experiment`].
        figure (`str`, defaults to `"uar"`): Or `"accuracy"`.

    Returns:
        `str`: A Markdown table of one row a method and one column a target corpus.
    """
    entries = [entry for entry in results[GENERALISATION] if entry["condition"] == CLEAN]
    return _by_corpus(results, entries, [each["method"] for each in entries[0]["methods"]], figure)


def write_report(results: Mapping[str, Any], folder: str | Path) -> Path:
    """
    Writes `report.md`, and pictures of the acoustic conditions. Nothing in them says when they were written: equal
    results give equal files.

    Args:
        results (`Mapping[str, Any]`): From [`~experiment.run_experiment`].
        folder (`str` or `Path`): Where to; it is made.

    Returns:
        `Path`: The file.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if shown := _shows_conditions(results):
        for corpus in results["corpora"]:
            draw_conditions(results, corpus["name"], Path(folder) / conditions_picture(corpus["name"]))
    sections = [_head(results), _generalisation(results), _supervised(results)]
    sections += [_conditions(results)] if shown else []
    sections += [_texts(results), _data(results), _methods(results), _foot(results)]
    path = Path(folder) / "report.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(section for section in sections if section), encoding="utf-8")
    return path


def _head(results: Mapping[str, Any]) -> str:
    classes = ", ".join(f"{name} ({code(word)})" for name, word in results["classes"].items())
    seeds = results["settings"]["seeds"]
    over = (
        f"Figures are means over the seeds {', '.join(map(str, seeds))}, ± the standard deviation over them; where "
        "nothing is random there is none."
        if len(seeds) > 1
        else f"Figures are of the seed {seeds[0]} alone."
    )
    synthetic = [corpus["title"] for corpus in results["corpora"] if "SYNTHETIC" in corpus["title"]]
    warning = f"\n**Not people's speech: {', '.join(synthetic)}.** What holds there need not hold for people.\n"
    return f"""# CLEP-DG: a classifier learned from text and applied to speech

The second and the third stage of CLEP-DG, after PromptStyler: acoustic contexts are fitted to a frozen text encoder,
a classifier is trained on embeddings of texts alone, and speech is given to it. Every method gets the same encoder and
the same words for the {len(results["classes"])} classes that all corpora have: {classes}.
{warning if synthetic else ""}
UAR is unweighted average recall, the mean of the classes' recalls; WA is weighted accuracy, the share of right clips.
Guessing gives a UAR of {number(results["chance"])}. {over}
A seed draws the contexts that a fit begins with, and the order in which a classifier gets its texts or clips. The
interval of a figure, which is in `results.json`, spans the 95% intervals of all seeds over speakers drawn anew; where
fewer than five are known clips are drawn, which makes it too narrow. "At chance", which is said of UAR alone, says that
it holds chance, "below chance" that it lies below.
"""


def _generalisation(results: Mapping[str, Any]) -> str:
    if not results[GENERALISATION]:
        return ""
    entries = [entry for entry in results[GENERALISATION] if entry["condition"] == CLEAN]
    return f"""## Leave one corpus out

What stands in a column was made without the corpus that it is judged on, whose labels only score. All methods but the
{AUDIO_TITLES[AUDIO_OF_OTHERS]}, where there are others, hear no audio whatever. Whether the encoder had
heard the corpus is taken from what its checkpoint records.

UAR:

{generalisation_table(results)}
WA:

{generalisation_table(results, "accuracy")}
{_notes(results, entries)}{_same_speakers(results, entries)}"""


def _same_speakers(results: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """Whose clips the classifier of the other corpora may have been trained on."""
    titles = _titles(results)
    return "".join(
        f"- {titles[entry['corpus']]}: the {AUDIO_TITLES[AUDIO_OF_OTHERS]} has heard "
        f"{entry['speakers_in_others']:,} of its speakers there, if equal names are the same speakers.\n"
        for entry in entries
        if entry["speakers_in_others"]
    )


def _supervised(results: Mapping[str, Any]) -> str:
    if not results[SUPERVISED]:
        return ""
    refused = [entry for entry in results[SUPERVISED] if "refused" in entry]
    entries = [entry for entry in results[SUPERVISED] if entry.get("condition") == CLEAN]
    titles = _titles(results)
    lines = [f"- {titles[entry['corpus']]}: not judged, because {entry['refused']}.\n" for entry in refused]
    for each in entries:
        unknown = f"; {each['left_out']:,} clips of unknown speakers are left out" if each["left_out"] else ""
        lines.append(
            f"- {titles[each['corpus']]}: {each['clips']:,} clips of {each['speakers']:,} speakers in "
            f"{each['folds']} folds{unknown}.\n"
        )
    methods = [AUDIO_OF_SPEAKERS, *(method["name"] for method in results["methods"])]
    tables = (
        f"\nUAR:\n\n{_by_corpus(results, entries, methods, 'uar')}\nWA:\n\n"
        f"{_by_corpus(results, entries, methods, 'accuracy')}\n{_notes(results, entries)}"
        if entries
        else ""
    )
    return f"""## Supervised, inside a corpus

In the first row the same kind of classifier is trained on labelled speech of the corpus, in folds: it is tested on
speakers that it has not heard. The other rows are the methods from above, which hear none, on the same clips. Figures
are those of all folds' clips together.

{"".join(lines)}{tables}"""


def _shows_conditions(results: Mapping[str, Any]) -> bool:
    return len(results["conditions"]) > 1 and bool(results[GENERALISATION])


def _conditions(results: Mapping[str, Any]) -> str:
    titles, method_titles = _titles(results), _method_titles(results)
    parts = [CONDITIONS_EXPLAINED]
    for corpus, title in titles.items():
        entries = {entry["condition"]: entry for entry in results[GENERALISATION] if entry["corpus"] == corpus}
        rows = []
        for condition in results["conditions"]:
            entry = entries[condition["name"]]
            cells = [_cell(of_method(entry, name), results, entry, "uar") for name in BY_CONDITION]
            rows.append([condition["title"], *cells])
        head = ["condition", *(method_titles[name] for name in BY_CONDITION)]
        picture = image(f"UAR on {title} under each acoustic condition", conditions_picture(corpus))
        parts.append(f"### {title}\n\n{table(head, rows)}\n{picture}\n")
    return "\n".join([*parts, _notes(results, results[GENERALISATION], BY_CONDITION)])


def _texts(results: Mapping[str, Any]) -> str:
    parts = [TEXTS_EXPLAINED]
    of_their_own = isinstance(results["settings"]["encoder"], Mapping)
    names = ("similarity", "emotions_kept", "texts_right")
    for encoder in results["encoders"]:
        rows = []
        for method in METHODS:
            of_seeds = [each for each in encoder["texts"] if each["method"] == method.name]
            measured = of_seeds if method.is_random else of_seeds[:1]
            rows.append([method.title, *(_mean([each[name] for each in measured]) for name in names)])
        name = f"{encoder['name']}, which judges {', '.join(encoder['corpora'])}," if of_their_own else encoder["name"]
        picture = contexts_picture(encoder["corpora"][0] if of_their_own else "")
        head = ["method", "similarity", "classes kept", "texts right"]
        parts.append(f"{table(head, rows)}\n{image(f'Prompts of {name} with and without contexts', picture)}\n")
    return "\n".join(parts)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean, sd = mean_and_sd(known)
    return number(mean) if sd is None else f"{number(mean)} ± {number(sd)}"


def _data(results: Mapping[str, Any]) -> str:
    head = ["corpus", "language", "licence", "clips", "speakers", *results["classes"], "SHA-256"]
    rows, lines = [], []
    for corpus in results["corpora"]:
        data = corpus["data"]
        speakers = "unknown" if data["speakers"] is None else f"{data['speakers']:,}"
        per_class = [f"{data['per_class'][name]:,}" for name in results["classes"]]
        hashed = code(data["sha256"][:12])
        rows.append([corpus["title"], corpus["language"], corpus["licence"], f"{data['clips']:,}", speakers,
                     *per_class, hashed])  # fmt: skip
        left_out = "; ".join(f"{reason}: {count:,}" for reason, count in data["left_out"].items()) or "none"
        clips = f"{corpus['source']} Clips left out: {left_out}. {doubtful_clips(data)}".rstrip()
        lines.append(f"- {corpus['title']}: {clips}\n")
    return f"## Clips\n\n{table(head, rows, words=3)}\n{''.join(lines)}"


def _methods(results: Mapping[str, Any]) -> str:
    templates = results["settings"]["templates"]
    wordings = "".join(f"- {name.capitalize()} prompt: {code(text)}\n" for name, text in templates.items())
    lines = "".join(f"- **{method['title']}**: {method['meaning']}\n" for method in results["methods"])
    compared = {each["method"] for name in (GENERALISATION, SUPERVISED) for entry in results[name]
                for each in entry.get("methods", ())}  # fmt: skip
    lines += "".join(
        f"- **{title}**: The same kind of classifier, trained on labelled clips as recorded; no text takes part.\n"
        for name, title in AUDIO_TITLES.items()
        if name in compared
    )
    return f"## Methods\n\n{lines}\n{wordings}"


def _foot(results: Mapping[str, Any]) -> str:
    lines = []
    for each in results["encoders"]:
        heard = "not recorded" if each["training_corpora"] is None else ", ".join(each["training_corpora"])
        lines.append(
            f"- Encoder of {', '.join(each['corpora'])}: {code(each['name'])}, {each['class']}, weights "
            f"{code(each['weights_sha256'][:12])}; corpora trained on: {heard}.\n"
        )
    for stage, name in (("2 (ACPT)", "acpt"), ("3 (classifier)", "classifier")):
        set_here = ("seed", "style_loss", "content_loss")
        said = {key: value for key, value in results["settings"][name].items() if key not in set_here}
        lines.append(f"- Stage {stage}: {', '.join(f'{key} {value}' for key, value in said.items())}.\n")
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    return f"## How it was run\n\n{''.join(lines)}- Versions: {versions}.\n"


def _by_corpus(
    results: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], methods: Sequence[str], figure: str
) -> str:
    titles, method_titles = _titles(results), _method_titles(results)
    rows = [
        [method_titles[name], *(_cell(of_method(entry, name), results, entry, figure) for entry in entries)]
        for name in methods
    ]
    return table(["method", *(titles[entry["corpus"]] for entry in entries)], rows)


def _cell(found: Mapping[str, Any], results: Mapping[str, Any], entry: Mapping[str, Any], figure: str) -> str:
    """A figure with its spread, a word unless UAR is above chance, and the mark of what the encoder has heard."""
    value = found["figures"][figure]
    spread = "" if value["sd"] is None else f" ± {number(value['sd'])}"
    place = against_chance(value, results["chance"])
    said = f", {place}" if figure == "uar" and place != "above chance" else ""
    return f"{number(value['value'])}{spread}{said}{MARKS[entry['zero_shot']['status']]}"


def _notes(results: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], methods: Sequence[str] = ()) -> str:
    """What the marks and the words in tables mean; of some methods, or of all."""
    titles, marked, places = _titles(results), {}, set()
    for entry in entries:
        shown = [each["figures"]["uar"] for each in entry["methods"] if not methods or each["method"] in methods]
        places |= {against_chance(uar, results["chance"]) for uar in shown}
        marked[titles[entry["corpus"]]] = {
            "zero_shot": entry["zero_shot"],
            "figures": {"uar": NO_INTERVAL},
            "chance": 1,
        }
    lines = [sentence for place, sentence in PLACES.items() if place in places]
    return footnotes(list(marked.items())) + "".join(lines)


def _titles(results: Mapping[str, Any]) -> dict[str, str]:
    return {corpus["name"]: corpus["title"] for corpus in results["corpora"]}


def _method_titles(results: Mapping[str, Any]) -> dict[str, str]:
    titles = {method["name"]: method["title"] for method in results["methods"]}
    return titles | AUDIO_TITLES
