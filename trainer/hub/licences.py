"""The licences of what a checkpoint was made from, what follows from them, and whether its own licence agrees."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from huggingface_hub.constants import REPOCARD_NAME
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from transformers.utils import cached_file

from modeling_smoothclap.convert_to_hf import KNOWN

from ..evaluation.corpus_names import LICENCES_OF_CORPORA, UNRECORDED, ZeroShotStatus, zero_shot_status
from ..files import Record, write_json


class Condition(StrEnum):
    """What a licence asks for; a permissive one asks for none of these."""

    SHARE_ALIKE = "share-alike"
    NO_DERIVATIVES = "no derivatives"
    NON_COMMERCIAL = "non-commercial"
    RESEARCH = "research agreement"
    UNKNOWN = "unknown"


class InputKind(StrEnum):
    """What an input is to a checkpoint."""

    MODEL = "model"
    WEIGHTS = "weights"
    AUDIO_ENCODER = "audio encoder"
    TEXT_ENCODER = "text encoder"
    TEACHER = "teacher"
    CORPUS = "corpus"
    SENTENCES = "sentences"


CONTAINED = {InputKind.MODEL, InputKind.WEIGHTS, InputKind.AUDIO_ENCODER, InputKind.TEXT_ENCODER}
"""Inputs whose weights are in the checkpoint, as they were or tuned. From the others it only learned."""
OF_USE = {Condition.NON_COMMERCIAL, Condition.RESEARCH}
"""Conditions on any use, also on learning. The others are conditions on sharing copies and adaptations."""
OTHER = "other"
"""The Hub's `license` for terms that its owner words."""
UNKNOWN = "unknown"
"""The Hub's `license` for terms that nobody has stated."""
PROMISES_NOTHING = (OTHER, UNKNOWN)
"""Values of `license` under which nothing is refused."""
NAMES: dict[str, frozenset[Condition]] = {
    name: frozenset(conditions)
    for names, conditions in (
        ("mit mit-0 apache bsd bsd-2-clause bsd-3-clause isc zlib unlicense public-domain cc0 wordnet", ()),
        # Free for Debian: they forbid to charge for the game as an individual item.
        ("flight-of-the-amazon-queen drascula", ()),
        ("gpl lgpl agpl gfdl odbl mpl", (Condition.SHARE_ALIKE,)),
    )
    for name in names.split()
}
"""Licences by name, without version and "license"."""
SUGGESTED = ["cc-by", "cc-by-nc", "cc-by-sa", "cc-by-nd", "cc-by-nc-sa", "cc-by-nc-nd"]
SUGGESTED += NAMES
"""Licences that may have been meant by a name that is not known."""
HUB_IDS = {"cc", "lgpl-lr"}
"""Values of `license` that the Hub knows and SPDX does not. What they ask for is unknown."""
HARMLESS = {"free; not to be sold alone"}
"""Notes in parentheses that ask for nothing."""
CREATIVE_COMMONS = re.compile(r"cc-by((?:-(?:nc|sa|nd))*)(?:-\d+(?:\.\d+)*(?:-(?:deed|igo|(?!nc|sa|nd)[a-z]{2}))?)?")
CREATIVE_COMMONS_PARTS = {
    "nc": Condition.NON_COMMERCIAL,
    "sa": Condition.SHARE_ALIKE,
    "nd": Condition.NO_DERIVATIVES,
}
FOR_RESEARCH = re.compile(r"agreement|release-form|\bresearch\b|\bacademic\b")
LICENCES_OF_MODELS = {
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "CC BY-NC-SA 4.0",
    "openai/whisper-*": "MIT",
    "microsoft/wavlm-*": "CC BY-SA 3.0",
    "facebook/wav2vec2-base": "Apache-2.0",
    "facebook/wav2vec2-large-robust": "Apache-2.0",
    "facebook/hubert-base-ls960": "Apache-2.0",
    "facebook/hubert-large-ll60k": "Apache-2.0",
    "google-bert/bert-*": "Apache-2.0",
    "facebookai/roberta-*": "MIT",
    "facebookai/xlm-roberta-*": "MIT",
    "distilbert/distilbert-base-*": "Apache-2.0",
    "intfloat/multilingual-e5-*": "MIT",
    "sentence-transformers/all-minilm-*": "Apache-2.0",
    "laion/clap-*": "Apache-2.0",
    "ibm-granite/granite-embedding-*": "Apache-2.0",
}
"""Of models on the Hub, in lower case, as their owners state them: for those whose cards are not at hand."""


def conditions_of(licence: str | None) -> frozenset[Condition]:
    """
    Return what a licence asks for, by its usual name (`"CC BY-NC-SA 4.0"`, `"GPL-2.0-only AND MIT"`).

    A note in parentheses is read as a licence of its own: what it asks for is added, if only that it is unknown.
    """
    return frozenset().union(*map(_conditions, _parts(licence))) if licence else frozenset({Condition.UNKNOWN})


def unrecognised(licence: str) -> dict[str, str]:
    """Return which parts of a licence have names that neither we nor SPDX know, each with its name without version."""
    parts = [part for part in _parts(licence) if conditions_of(part) == {Condition.UNKNOWN}]
    return {part: re.sub(r"[-v]*\d+(\.\d+)*$", "", _slug(part)) for part in parts if not _is_id(part)}


def _parts(licence: str) -> list[str]:
    return re.split(r"\s+AND\s+", licence, flags=re.IGNORECASE)


def _is_id(licence: str) -> bool:
    """Whether the Hub or SPDX has a licence of this name."""
    for name in (licence, f"{licence}-1.0"):  # the Hub calls ODC-By-1.0 odc-by
        with suppress(InvalidLicenseExpression):
            return bool(canonicalize_license_expression(name))
    return licence.casefold() in HUB_IDS


def _slug(licence: str) -> str:
    """`"mit"` for `"The MIT License"`, `"apache-2.0"` for `"Apache License, Version 2.0"`."""
    slug = re.sub(r"[\s_]+", "-", licence.strip().casefold()).removeprefix("the-")
    return re.sub(r"-licen[cs]e(,?-version)?(?=-v?\d|$)", "", slug)


def _conditions(part: str) -> frozenset[Condition]:
    names = [re.sub(r"\(.*?\)", "", part), *re.findall(r"\((.*?)\)", part)]
    return frozenset().union(*(_conditions_of_name(name) for name in names if name not in HARMLESS))


def _conditions_of_name(licence: str) -> frozenset[Condition]:
    slug = _slug(licence)
    if found := CREATIVE_COMMONS.fullmatch(slug):
        return frozenset(CREATIVE_COMMONS_PARTS[part] for part in found[1].split("-") if part)
    if FOR_RESEARCH.search(slug):
        return frozenset({Condition.RESEARCH})
    if re.search(r"non-?commercial", slug):
        return frozenset({Condition.NON_COMMERCIAL})
    name = re.sub(r"(-v?\d+(\.\d+)*)?(-only|-or-later|\+)?$", "", slug)
    return NAMES.get(slug, NAMES.get(name, frozenset({Condition.UNKNOWN})))


@dataclass(frozen=True)
class LicensedInput:
    """Something that a checkpoint was made from; `licence` is `None` if none is stated."""

    kind: InputKind
    name: str
    licence: str | None

    @property
    def conditions(self) -> frozenset[Condition]:
        """What its licence asks for."""
        return conditions_of(self.licence)

    @property
    def binding(self) -> frozenset[Condition]:
        """
        What its licence asks of the checkpoint.

        Whether weights are an adaptation of the clips and sentences that they learned from is not settled. It is not
        assumed: of these, only conditions on use bind.
        """
        if self.kind in CONTAINED:
            return self.conditions - {Condition.UNKNOWN}
        return self.conditions & OF_USE


def write_licences(folder: str | Path, inputs: Iterable[LicensedInput]) -> None:
    """Write `licences.json`, the record of what a checkpoint was made from."""
    write_json(Path(folder) / Record.LICENCES, [asdict(each) for each in inputs])


def inputs_from_json(entries: Iterable[Mapping[str, Any]]) -> list[LicensedInput]:
    """Return the inputs that `licences.json` lists; a `ValueError` says which of them is not an input."""
    inputs = []
    for each in entries:
        if not isinstance(each, Mapping) or not {"kind", "name", "licence"} <= each.keys():
            raise ValueError(f"{each!r} does not have kind, name and licence")
        if each["kind"] not in list(InputKind):
            raise ValueError(f"the kind {each['kind']!r} is not one of {list(map(str, InputKind))}")
        inputs.append(LicensedInput(InputKind(each["kind"]), str(each["name"]), each["licence"]))
    return inputs


@dataclass(frozen=True)
class RollUp:
    """What follows from the licences of all inputs."""

    inputs: list[LicensedInput]

    @property
    def binding(self) -> list[Condition]:
        """The conditions of all inputs that bind the checkpoint."""
        return sorted({each for one in self.inputs for each in one.binding})

    @property
    def unknown(self) -> list[str]:
        """The inputs whose licence is not stated, or not known here."""
        return [each.name for each in self.inputs if Condition.UNKNOWN in each.conditions]

    @property
    def has_open_conditions(self) -> bool:
        """Whether an input that was only learned from has conditions on adaptations."""
        return any(each.conditions - each.binding - {Condition.UNKNOWN} for each in self.inputs)

    @property
    def licence(self) -> str | None:
        """A `license` for the card that agrees with all inputs that are known; `None` if a permissive one does."""
        found = set(self.binding)
        if Condition.NO_DERIVATIVES in found:
            return OTHER
        if found & OF_USE:
            return "cc-by-nc-sa-4.0" if Condition.SHARE_ALIKE in found else "cc-by-nc-4.0"
        shared = {str(each.licence) for each in self.inputs if each.binding}
        return None if not shared else re.sub(r"\s+", "-", shared.pop()).lower() if len(shared) == 1 else OTHER

    def check(self, stated: Any) -> None:
        """Check that a card may state this `license`, or each of several; a `ValueError` is its [`~RollUp.refusal`]."""
        if refusal := self.refusal(stated):
            raise ValueError(refusal)

    def refusal(self, stated: Any) -> str | None:
        """Say which input has a condition that this `license` lacks, and what may be stated instead; `None` if none."""
        for licence in map(str, stated if isinstance(stated, list) else [stated] if stated else ()):
            kept = conditions_of(licence)
            if Condition.NON_COMMERCIAL in kept:
                kept |= {Condition.RESEARCH}  # the Hub has no licence for an agreement
            for each in self.inputs if licence not in PROMISES_NOTHING else ():
                if missing := sorted(each.binding - kept):
                    instead = dict.fromkeys([f"license: {self.licence}", f"license: {OTHER} with a license_name"])
                    return (
                        f"The card states license: {licence}, but the {each.kind} {each.name!r} is under "
                        f"{each.licence!r} ({', '.join(missing)}). Write {' or '.join(instead)}; if the licence of "
                        "the input is wrong here, correct it in `licences` of the training settings, or in "
                        "licences.json."
                    )
        return None


def as_text(stated: Any) -> str | None:
    """Return the `license` of a card, which may be several, as one licence; `None` if there is none."""
    return " AND ".join(map(str, stated)) if isinstance(stated, list) else str(stated) if stated else None


def known_licence(model: str) -> str | None:
    """Return the licence of a model of [`LICENCES_OF_MODELS`]; one whose name has no `*` is known in any folder."""
    name = model.casefold().replace("--", "/")
    for known, licence in LICENCES_OF_MODELS.items():
        if fnmatchcase(name, known) or known.split("/")[-1] in name.split("/"):
            return licence
    return None


def corpus_input(name: str, clips: str = "") -> LicensedInput:
    """Return a corpus under the licence that its clips state, or else that of its owner, if that is known here."""
    owner = [
        licence
        for known, licence in LICENCES_OF_CORPORA.items()
        if zero_shot_status([name], known).status is ZeroShotStatus.NOT_ZERO_SHOT
    ]
    return LicensedInput(InputKind.CORPUS, name, clips or next(iter(owner), None))


def corpora_inputs(
    data: Mapping[str, Mapping[str, Mapping[str, Any]]], recorded: Iterable[str] | None
) -> list[LicensedInput]:
    """
    Return the corpora that a model was trained and selected on; those of the test split are not inputs.

    `data` is as in `data.json`, `recorded` are the `training_corpora` of the configuration.
    """
    found: dict[str, set[str]] = {name: set() for name in recorded or ()}
    for split in ("train", "validation"):
        for name, about in data.get(split, {}).items():
            said = about.get("licence") or []
            corpus = UNRECORDED if name == "unnamed" else name
            found.setdefault(corpus, set()).update([said] if isinstance(said, str) else said)
    return [corpus_input(name, " AND ".join(sorted(said))) for name, said in sorted(found.items())]


def inputs_of_conversion(record: Mapping[str, Any]) -> list[LicensedInput]:
    """Return converted weights, and what their authors made them from, by `conversion.json`."""
    known = {each.kind: each for each in KNOWN}[record["kind"]]  # wherever the configurations were read
    towers = {InputKind.AUDIO_ENCODER: known.audio_encoder, InputKind.TEXT_ENCODER: known.text_encoder}
    return [
        LicensedInput(InputKind.WEIGHTS, record["source"], as_text(record["weights_licence"])),
        *(LicensedInput(kind, name, known_licence(name)) for kind, name in towers.items()),
        *corpora_inputs({}, known.training_corpora),
    ]


def stated_licence(checkpoint: str | Path, revision: str | None = None) -> dict[str, Any]:
    """Return what the card of a model says of its licence, `license` and more; empty if it cannot be read."""
    try:
        path = cached_file(str(checkpoint), REPOCARD_NAME, revision=revision)
        said = ModelCard(Path(str(path)).read_text(encoding="utf-8")).data.to_dict()
    except (OSError, ValueError, yaml.YAMLError):  # it has no card, cannot be reached, or its card cannot be read
        return {}
    return {name: said[name] for name in ("license", "license_name", "license_link") if name in said}
