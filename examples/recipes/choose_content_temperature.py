"""
Choose the temperature of the content loss: fit contexts at each, and compare what CLEP-DG reaches on validation clips.

    python examples/recipes/choose_content_temperature.py examples/configs/clep_dg_tuned.yaml

The experiment's encoder, conditions and seeds are used, and the clips that its corpora have in the split `validation`;
clips that it is tested on take no part. Corpora without such clips are skipped, and named. The choice is the largest
mean UAR over corpora, conditions and seeds.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from modeling_smoothclap.decoding_smoothclap import ClipError
from smoothclap_trainer.clep_dg.acpt import fit_contexts
from smoothclap_trainer.clep_dg.classifier import train_classifier
from smoothclap_trainer.clep_dg.corpora import read_corpora
from smoothclap_trainer.clep_dg.methods import as_training_set, content_features, joint_features, texts_right
from smoothclap_trainer.clep_dg.prompts import PromptEncoder
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.data.acoustic_conditions import CONDITIONS, degrade
from smoothclap_trainer.data.clips import clips_of
from smoothclap_trainer.evaluation.evaluator import loadable
from smoothclap_trainer.evaluation.labelled_clips import LABEL_COLUMN, NoClips, read_clips
from smoothclap_trainer.evaluation.metrics import unweighted_average_recall, zero_shot_predictions
from smoothclap_trainer.files import held


TEMPERATURES = ("none", "logit_scale", 0.2, 0.07, 0.02)
SPLIT = "validation"


def on_validation(settings: ExperimentSettings) -> ExperimentSettings:
    """
    Return the experiment on the corpora that have validation clips, and print which have none.

    It is a `ValueError` if no corpus is left, or one is read without a manifest, or there is more than one encoder.
    """
    if known := [corpus.name for corpus in settings.corpora if corpus.manifest is None]:
        raise ValueError(f"{known} are read whole, without a validation split; name manifests that have one.")
    if not isinstance(settings.encoder, str):
        raise ValueError(f"`encoder` is {settings.encoder}; name one checkpoint for all corpora.")
    kept = []
    for corpus in (each.changed(split=SPLIT) for each in settings.corpora):
        try:
            read_clips(corpus, corpus.thirds_of or corpus.label_column or LABEL_COLUMN)
        except NoClips as error:
            print(f"Skipped {corpus.name}, which has no {SPLIT} clips: {error}")
        else:
            kept.append(corpus)
    if not kept:
        raise ValueError(f"No corpus of the experiment has {SPLIT} clips; name manifests that do.")
    return settings.changed(corpora=kept)


def swept(settings: ExperimentSettings, output: Path) -> Iterator[dict[str, object]]:
    """Yield the UAR by temperature, seed, corpus and condition, and the share of joint prompts that keep a class."""
    corpora = read_corpora(settings.corpora)
    words = list(settings.called(corpora[0].classes).values())
    encoder = loadable(settings.encoder, settings.device)[1]()
    prompts = PromptEncoder(encoder.model, encoder.processor.tokenizer)
    content = content_features(prompts, settings.templates, words).cpu()
    clips = {}
    for corpus in corpora:
        true = corpus.rows["label"].map(corpus.classes.index).to_numpy()
        doubtful: Counter[str] = Counter()
        for name in settings.conditions:
            rows = degrade(corpus.rows, CONDITIONS[name], output / "conditions")
            problems: dict[int, ClipError] = {}
            clips[corpus.name, name] = encoder.encode_audio(clips_of(rows), problems=problems), true
            doubtful.update(each.problem for each in problems.values())
        counts = ", ".join(f"{count} {problem}" for problem, count in doubtful.items())
        print(
            f"{corpus.name}: {len(true)} clips in {len(settings.conditions)} conditions; doubtful: {counts or 'none'}"
        )
    for temperature in TEMPERATURES:
        for seed in settings.seeds:
            acpt = settings.acpt.changed(seed=seed, content_temperature=temperature)
            folder = output / "contexts" / str(temperature) / f"seed-{seed}"
            bank = fit_contexts(prompts, settings.templates, words, acpt, folder)
            joint = joint_features(prompts, bank, words).cpu()
            weights = train_classifier(*as_training_set(joint), settings.classifier.changed(seed=seed)).numpy()
            about = {"temperature": temperature, "seed": seed, "classes kept": texts_right(joint, content)}
            for (corpus, condition), (embeds, true) in clips.items():
                uar = unweighted_average_recall(zero_shot_predictions(embeds, weights), true)
                yield about | {"corpus": corpus, "condition": condition, "uar": uar}


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each temperature: means over seeds, by condition and of all, and the classes kept."""
    by_temperature = results.groupby("temperature", sort=False)
    table = results.pivot_table("uar", "temperature", "condition", sort=False)
    return table.assign(mean=by_temperature["uar"].mean(), **{"classes kept": by_temperature["classes kept"].mean()})


def main() -> None:
    """Sweep, write `temperatures.csv`, and say what was chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="YAML file of an experiment with CLEP-DG.")
    parser.add_argument("--output", type=Path, default=Path("build/content-temperature"), help="Folder of the results.")
    arguments = parser.parse_args()
    try:
        settings = on_validation(read_yaml(arguments.experiment, ExperimentSettings))
        with held(arguments.output):
            results = pd.DataFrame(swept(settings, arguments.output))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    results.to_csv(arguments.output / "temperatures.csv", index=False)
    table = summary(results)
    print(table.to_string(float_format="%.3f"))
    print(f"\nChosen: content_temperature {table.index[np.argmax(table['mean'])]}")  # of equals the first


if __name__ == "__main__":
    main()
