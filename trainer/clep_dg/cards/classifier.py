"""The model card of a classifier that an experiment saves, written when its figures are known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData
from transformers.utils import cached_file

from ...evaluation.named_checkpoint import parse_model
from ...evaluation.report_cells import code, table
from ...hub.plan import CARD
from ...model_card import making, use
from ...model_card.facts import Facts
from ...model_card.front_matter import with_front_matter
from ...model_card.markdown import bullets, paragraph, sections
from ...model_card.prose import CAUTIONS, OUT_OF_SCOPE
from ..classifier import RECORD_FILE, WEIGHTS_FILE
from .figures import NEVER_ABOVE_CHANCE, TASK, SavedClassifier, eval_results, figures, judged_on
from .prose import BIBTEX, INDEPENDENCE, INTENDED


OF_THE_ENCODER = "What is said from here on is said of the encoder, whose audio half and heads these are."
TAGS = ["audio", "speech", "paralinguistics", "smoothclap", "clep-dg"]


def write_cards(results: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """
    Writes the card of every classifier that an experiment saved.

    Args:
        results (`Mapping[str, Any]`): From [`~experiment.fit_clep_dg`], or its `results.json`.
        folder (`str` or `Path`): The experiment's output folder, with `classifier/`.

    Returns:
        `list[Path]`: `README.md` of each classifier.

    Raises:
        ValueError: a classifier is not there.
    """
    paths = []
    for encoder in results["encoders"]:
        # As the experiment names them: one folder for all, or one for each checkpoint.
        of_its_own = encoder["corpora"][0] if isinstance(results["settings"]["encoder"], Mapping) else ""
        path = Path(folder) / "classifier" / of_its_own / CARD
        path.write_text(classifier_card(SavedClassifier(results, encoder), path.parent), encoding="utf-8")
        paths.append(path)
    return paths


def classifier_card(classifier: SavedClassifier, folder: str | Path) -> str:
    """
    The card of one classifier.

    The licence of the weights is that of the encoder, if the encoder's own card states one; else none is stated.

    Args:
        classifier ([`SavedClassifier`]): What the results say of it.
        folder (`str` or `Path`): Where it was saved.

    Returns:
        `str`: Markdown with front matter, which the Hub's own client has read back.

    Raises:
        ValueError: the folder holds no classifier, or a file there is damaged.
    """
    folder = Path(folder)
    facts = None if (folder / RECORD_FILE).is_file() else Facts(folder, classifier.encoder["name"])
    synthetic = (
        f"**Not people's speech: {', '.join(classifier.synthetic)}.** What holds there need not hold for people."
    )
    tail = sections(
        [
            (
                "How to use it",
                [use.classification(classifier.encoder["sampling_rate"]) if facts else _vectors(classifier)],
            ),
            ("Figures", figures(classifier)),
            ("Clips it was judged on", judged_on(classifier)),
            ("Intended use", [bullets(INTENDED), paragraph(OUT_OF_SCOPE)]),
            ("Cautions", [bullets(CAUTIONS)]),
            ("Training", _training(classifier)),
            ("Model", [*making.architecture(facts), OF_THE_ENCODER, *making.data(facts)] if facts else []),
            ("Versions", [", ".join(f"{name} {value}" for name, value in classifier.results["versions"].items())]),
            ("Citation", [paragraph(INDEPENDENCE), BIBTEX]),
        ]
    )
    warnings = [synthetic if classifier.synthetic else "", "" if classifier.is_above_chance else NEVER_ABOVE_CHANCE]
    head = [f"# {_title(classifier)}", _introduction(classifier), *map(paragraph, warnings)]
    return with_front_matter(_front_matter(classifier, facts), "\n\n".join(filter(None, [*head, tail])))


def _title(classifier: SavedClassifier) -> str:
    return f"CLEP-DG classifier on {classifier.encoder['name']}"


def _introduction(classifier: SavedClassifier) -> str:
    encoder, acpt = classifier.encoder, classifier.results["settings"]["acpt"]
    return paragraph(
        f"A classifier of speech into {len(classifier.results['classes'])} classes: "
        f"{', '.join(map(code, classifier.results['classes']))}. It was trained on text alone, by stages 2 and 3 of "
        f"CLEP-DG after PromptStyler: on what the text half of {code(encoder['name'])} (weights "
        f"{code(encoder['weights_sha256'][:12])}) makes of the classes' names in {acpt['num_contexts']} acoustic "
        f"contexts, with seed {classifier.seed}; it hears with the audio half of that encoder, which did not change."
    )


def _training(classifier: SavedClassifier) -> list[str]:
    results = classifier.results
    stages = [
        f"{stage}: {', '.join(f'{name} {value}' for name, value in said.items() if name != 'seed')}."
        for stage, said in (
            ("Stage 2, contexts (ACPT)", results["settings"]["acpt"]),
            ("Stage 3, classifier", results["settings"]["classifier"]),
        )
    ]
    templates = (f"{name.capitalize()} prompt: {code(text)}" for name, text in results["settings"]["templates"].items())
    return [
        "No clip took part in stages 2 and 3. Prompts call the classes:",
        table(["class", "in prompts"], [[name, code(word)] for name, word in results["classes"].items()], words=2),
        bullets([*templates, *stages, f"Seed: {classifier.seed}."]),
    ]


def _vectors(classifier: SavedClassifier) -> str:
    """How a classifier is used that is no model."""
    hub = _on_the_hub(classifier)
    encoder = f'"{hub[0]}", "{hub[1]}")' if hub else f'"FOLDER")  # of {classifier.encoder["name"]}'
    lines = [
        "import numpy as np",
        "from safetensors.numpy import load_file",
        "from smoothclap_trainer.evaluation.dual_encoders import load_dual_encoder",
        "",
        f'vectors = load_file("{WEIGHTS_FILE}")["weights"]  # (classes, width), in the order of {RECORD_FILE}',
        f"encoder = load_dual_encoder({encoder}",
        "clip = np.random.default_rng(0).normal(0, 0.1, encoder.sampling_rate).astype(np.float32)  # yours: mono",
        "print(encoder.embed_clips([clip]) @ vectors.T)  # cosines, (clips, classes)",
    ]
    return "\n".join(["No pipeline loads it: it is one vector for each class.\n", "```python", *lines, "```"])


def _front_matter(classifier: SavedClassifier, facts: Facts | None) -> ModelCardData:
    pipeline = {"library_name": "transformers", "pipeline_tag": TASK["task_type"]} if facts else {}
    hub = _on_the_hub(classifier)
    return ModelCardData(
        **pipeline,
        **_licence(classifier),
        base_model=hub and hub[0],
        language=list(dict.fromkeys(corpus["language"] for corpus in classifier.corpora.values())),
        tags=TAGS,
        metrics=["recall", "accuracy"],
        model_name=_title(classifier),
        eval_results=[*eval_results(classifier)] or None,
    )


def _checkpoint(classifier: SavedClassifier) -> str:
    """Hub id or folder of the encoder."""
    asked = classifier.results["settings"]["encoder"]
    return parse_model(asked if isinstance(asked, str) else asked[classifier.encoder["corpora"][0]]).checkpoint


def _on_the_hub(classifier: SavedClassifier) -> tuple[str, str] | None:
    """Id and commit of the encoder, if it is from there."""
    commit = classifier.encoder["revision"]
    return None if commit is None else (_checkpoint(classifier), commit)


def _licence(classifier: SavedClassifier) -> dict[str, Any]:
    """What the encoder's own card says of its licence, where there is one at hand."""
    checkpoint, hub = _checkpoint(classifier), _on_the_hub(classifier)
    if hub is None and not Path(checkpoint).is_dir():
        return {}
    try:
        card = cached_file(checkpoint, CARD, revision=hub and hub[1])
        said = ModelCard(Path(str(card)).read_text(encoding="utf-8")).data.to_dict()
    except (OSError, ValueError, yaml.YAMLError):  # it has no card, cannot be reached, or its card cannot be read
        return {}
    known = {name: said[name] for name in ("license", "license_name", "license_link") if name in said}
    if "://" not in known.get("license_link", "://"):
        del known["license_link"]  # a file beside the encoder's card, which is not beside this one
    return known
