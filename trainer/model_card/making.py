"""How the model came about: its parts, its data, its objective, its settings, its versions."""

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ..evaluation.report_cells import table
from .facts import SETTINGS, Facts
from .markdown import bullets, paragraph


def architecture(facts: Facts) -> list[str]:
    """Towers and heads, with their sizes."""
    config, count = facts.config, facts.parameters
    if not count:
        return []
    text = config.get("text_config") or {}
    told = {
        "audio tower": _tower(config.get("audio_config") or {}),
        "text tower": _tower(text, text.get("vocab_size")),
        "projection heads and scale": f"{config.get('projection_dim')} wide",
        "classifier": f"a vector for each of {len(config.get('id2label') or ())} classes",
    }
    lines = [[part, told[part], f"{count[part]:,}"] for part in told if count[part]]
    origin = facts.json("origin.json") or {}
    started = [
        f"The {role.replace('_', ' ')} it started from is `{start['name']}`"
        + (f" at revision {start['revision']}." if start.get("revision") else ".")
        for role, start in origin.items()
        if role != "datasets" and start["hub"]
    ]
    return [
        table(["part", "what it is", "parameters"], lines, words=2),
        paragraph(" ".join([_trained(facts), *started]).strip()),
    ]


def _trained(facts: Facts) -> str:
    """Which towers did not train, or only by adapters."""
    adapted = facts.settings.get("lora_towers") or []
    defaults = {"audio": True, "text": False}
    frozen = [name for name, frozen in defaults.items() if facts.settings.get(f"freeze_{name}_tower", frozen)]
    told = {"stayed frozen in training": [name for name in frozen if name not in adapted], "got adapters": adapted}
    if not facts.settings:
        return ""
    return " ".join(
        f"The {' and the '.join(f'{name} tower' for name in names)} {what}." for what, names in told.items() if names
    )


def _tower(config: dict[str, Any], tokens: int | None = None) -> str:
    names = {"layers": ("num_hidden_layers", "encoder_layers", "n_layers"), "wide": ("hidden_size", "d_model", "dim")}
    sizes = {of: next((config[name] for name in spellings if name in config), None) for of, spellings in names.items()}
    counts = {**sizes, "tokens": tokens}
    told = [f"{size:,} {of if size > 1 else of.removesuffix('s')}" for of, size in counts.items() if size]
    return ", ".join([str(config.get("model_type", "unknown")), *told])


def data(facts: Facts) -> list[str]:
    """Corpora, their size and their licences, by split."""
    columns = ("clips", "minutes", "speakers", "language", "licence")
    lines, synthetic = [], False
    for split, corpora in facts.data.items():
        for corpus, entry in corpora.items():
            made_up = entry.get("synthetic") is True
            synthetic |= made_up
            source = " ".join(filter(None, (_words(entry.get("package")), _words(entry.get("package_version")))))
            named = f"{corpus} (**synthetic**)" if made_up else corpus
            lines.append([split, named, *(_words(entry.get(each)) for each in columns), source])
    train = facts.data.get("train", {}).values()
    total = f"It was trained on {_amount(train)}. " if train else ""
    if "test" in facts.data:
        total += "Nothing in the run looked at the test split before it was done. "
    if lines:
        total += "No audio is distributed here."
    headings = ["split", "corpus", *columns, "package"]
    return [
        table(headings, lines, words=len(headings)) if lines else "",
        paragraph(total),
        "Synthetic speech is nobody's voice and nobody's emotion: its labels name the rule that made it."
        if synthetic
        else "",
        _record(facts),
        _provenance(facts),
        _thresholds(facts),
    ]


def _amount(entries: Iterable[dict[str, Any]]) -> str:
    entries = list(entries)
    minutes = [entry["minutes"] for entry in entries if "minutes" in entry]
    long = f", {sum(minutes):,.0f} minutes" if len(minutes) == len(entries) else ""
    return f"{sum(entry['clips'] for entry in entries):,} clips{long}"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _record(facts: Facts) -> str:
    """The corpora that `config.json` records."""
    corpora = facts.config.get("training_corpora")
    if not corpora:
        return paragraph("Which corpora it was trained on is not recorded in its configuration.")
    rest = " Of a part of its training, marked `unrecorded`, it is not recorded." if "unrecorded" in corpora else ""
    named = ", ".join(f"`{name}`" for name in corpora)
    return paragraph(
        f"Corpora it was trained or selected on, as its configuration records them: {named}. On these no figure is "
        f"zero-shot.{rest}"
    )


def _provenance(facts: Facts) -> str:
    entries = facts.json("provenance.json") or []
    told = []
    for entry in entries:
        speakers = f"Speakers: {entry['speakers']}" if "speakers" in entry else ""
        said = [part.rstrip(".") + "." for part in (entry.get("notes", ""), speakers) if part]
        told += [" ".join([f"`{entry['name']}`:", *said])] if said else []
    ending = "Where it is from, with versions and hashes of packages, is in `provenance.json`."
    return "\n\n".join(filter(None, [bullets(told), ending])) if entries else ""


def _thresholds(facts: Facts) -> str:
    thresholds = facts.json("thresholds.json")
    if thresholds is None:
        return ""
    low, high = thresholds["quantiles"]
    return paragraph(
        "Captions and tags follow ParaCLAP's scheme: a value is low or high below or above the "
        f"{low:g} and {high:g} quantiles of {thresholds['num_rows']:,} training clips, which `thresholds.json` keeps."
    )


def text_tower(facts: Facts) -> list[str]:
    """How the text tower was distilled, if it was."""
    made = facts.json("text_tower.json")
    if made is None:
        return []
    finds = {who: made[f"retrieval_{who}"] for who in ("tower", "teacher")}
    there, back = "en to de", "de to en"
    return [
        paragraph(
            f"The text tower ({made['parameters']:,} parameters) was distilled from `{made['teacher']}` on "
            f"{made['sentences_trained']:,} sentences. Before the contrastive training it found the translation of "
            f"{finds['tower'][there]:.0%} (English to German) and {finds['tower'][back]:.0%} (back) of "
            f"{made['translation_pairs']} held-out voice descriptions among all {made['translation_pairs']}; its "
            f"teacher found {finds['teacher'][there]:.0%} and {finds['teacher'][back]:.0%}. `text_tower.json` has the "
            "details."
        )
    ]


def objective(facts: Facts) -> list[str]:
    """The loss, option by option, and whose idea each is: the paper's, inferred, or this project's."""
    said = facts.json("objective.json")
    if said is None:
        return []
    from ..arguments import SmoothCLAPTrainingArguments

    helps = {each.name: each.metadata.get("help", "") for each in fields(SmoothCLAPTrainingArguments)}
    lines = [[name, str(said[name]), helps[name]] for name in ("kl_reading", "beta")]
    for source in said["sources"]:
        others = {key: value for key, value in source.items() if key not in ("source", "provenance")}
        value = ", ".join(f"{key} {number}" for key, number in others.items())
        lines.append([f"target: {source['source']}", value, source["provenance"]])
    intro = (
        "SmoothCLAP's contrastive loss between clips and captions, with targets `(1 - beta) * identity + beta * soft`, "
        "where the soft part is the weighted sum of the sources below."
        if said["sources"]
        else "CLAP's contrastive loss between clips and captions, with one-hot targets."
    )
    return [paragraph(intro), table(["option", "value", "what it is, and whose"], lines, words=3)]


def training(facts: Facts) -> list[str]:
    """How long it trained, and what the user said of it."""
    blocks = []
    end = next((entry for entry in reversed(facts.log) if "train_runtime" in entry), None)
    losses = [entry["loss"] for entry in facts.log if "loss" in entry]
    if end is not None:
        # The Trainer times and averages what came after it was last resumed; 0.9 is for its rounding of the rate.
        timed = end["train_runtime"] * end.get("train_steps_per_second", math.inf)
        since = "; since it was last resumed" if timed < 0.9 * end["step"] else ", in"
        ran = (
            f"{end['step']:,} steps, {end['epoch']:g} epochs{since} {end['train_runtime'] / 60:.0f} minutes; mean "
            f"training loss {end['train_loss']:.2f}"
        )
        ran += f", from {losses[0]:.2f} to {losses[-1]:.2f} as logged" if losses else ""
        blocks.append(paragraph(f"{ran}. `training_log.yaml` has every figure."))
    if facts.settings:
        said = (facts.folder / SETTINGS).read_text(encoding="utf-8").strip()
        blocks += ["What was set, all else being at its default:", f"```yaml\n{said}\n```"]
    return blocks


def versions(facts: Facts) -> list[str]:
    """What it was made with."""
    made_with = facts.json("versions.json") or {}
    if not made_with and "transformers_version" in facts.config:
        made_with = {"transformers": facts.config["transformers_version"]}
    return [", ".join(f"{name} {version}" for name, version in made_with.items())]
