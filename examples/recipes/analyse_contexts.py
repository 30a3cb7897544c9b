"""
Analyse the contexts of an experiment with CLEP-DG: where they lie, what each loss costs, how many help, what is hard.

    smoothclap clep-dg examples/configs/clep_dg_tuned.yaml
    python examples/recipes/analyse_contexts.py examples/configs/clep_dg_tuned.yaml --output docs/clep-dg/analysis

What the experiment found is read from its `results.json`. The recipe fits more contexts for each seed, in the folder
`analysis` of the experiment's own, where a fit that was killed goes on. It writes `report.md` and two plots.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from context_analysis.measures import Curve, Places, class_ids, heard_under, uar_by_number
from context_analysis.page import Analysis, write_page

from modeling_smoothclap import SmoothCLAPEncoder
from modeling_smoothclap.checkpoint_smoothclap import read_object
from smoothclap_trainer.clep_dg.acpt import fit_contexts, untrained_bank
from smoothclap_trainer.clep_dg.context_bank import record_differences
from smoothclap_trainer.clep_dg.corpora import LabelledCorpus, read_corpora
from smoothclap_trainer.clep_dg.methods import content_features, context_features, joint_features
from smoothclap_trainer.clep_dg.prompts import PromptEncoder, kinds_of_written, written_contexts
from smoothclap_trainer.clep_dg.results import ExperimentResults
from smoothclap_trainer.clep_dg.settings import CLEAN, GENERALISATION, ExperimentSettings
from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.data.acoustic_conditions import CONDITIONS, degrade
from smoothclap_trainer.data.clips import clips_of
from smoothclap_trainer.evaluation.evaluator import loadable
from smoothclap_trainer.evaluation.results import describe_clips, file_hashes, ready_for_json
from smoothclap_trainer.files import Record, held


NUMBERS = (1, 2, 5, 10, 20, 40, 80)
"""Numbers of contexts that are compared, up to the largest that is asked for."""
COMPARED = ("words", "templates", "written_contexts", "acpt", "classifier", "seeds", "conditions")
"""The settings that must be those of the experiment; encoder and corpora are compared by the content of their files."""
FITTED = "analysis"
"""The folder with the contexts that are fitted here, in that of the experiment."""
BARE = {"en": "speech", "de": "Sprache"}
"""What is recorded in a hand-written context when no class is named."""


def read_results(settings: ExperimentSettings) -> ExperimentResults:
    """Read what the experiment found; a `ValueError` if it was not run, has other settings, or cannot be analysed."""
    if not isinstance(settings.encoder, str):
        raise ValueError(f"`encoder` is {settings.encoder}; name one checkpoint for all corpora.")
    if GENERALISATION not in settings.protocols:
        raise ValueError(f"`protocols` is {settings.protocols}; the results of {GENERALISATION!r} are needed.")
    path = Path(settings.output) / Record.RESULTS
    if not path.is_file():
        raise ValueError(f"There is no {str(path)!r}; run `smoothclap clep-dg` with this configuration first.")
    results = ExperimentResults.from_json(read_object(path))
    now = ready_for_json(settings.model_dump(include=set(COMPARED)))
    if differing := record_differences({name: results.settings.get(name) for name in COMPARED}, now):
        raise ValueError(f"{str(path)!r} is of another experiment: {'; '.join(differing)}. Run it again.")
    return results


def check_same(results: ExperimentResults, encoder: SmoothCLAPEncoder, corpora: Sequence[LabelledCorpus]) -> None:
    """Raise a `ValueError` if the results are of other weights or clips."""
    there = {"weights": results.encoders[0].weights_sha256} | {each.name: each.data.sha256 for each in results.corpora}
    here = {"weights": encoder.describe()["weights_sha256"]} | {
        each.name: describe_clips(each.rows, each.classes, file_hashes(each.rows["path"]), {}).sha256
        for each in corpora
    }
    if differing := record_differences(there, here):
        raise ValueError(f"The experiment's results are of other files: {'; '.join(differing)}. Run it again.")


def analyse(settings: ExperimentSettings, contexts: int) -> Analysis:
    """Fit so many contexts with each seed of an experiment that was run, and measure; a `ValueError` if that fails."""
    results = read_results(settings)
    encoder = loadable(settings.encoder, settings.device)[1]()
    corpora = read_corpora(settings.corpora)
    check_same(results, encoder, corpora)
    prompts = PromptEncoder(encoder.model, encoder.processor.tokenizer)
    words, language = list(results.classes.values()), settings.language_of_written
    written = [each.replace("{content}", BARE[language]) for each in written_contexts(language)]
    written_features = encoder.encode_text(written, convert_to="torch")
    places, joint = [], {}
    for seed in settings.seeds:
        acpt = settings.acpt.changed(seed=seed, num_contexts=contexts)
        fitted = fit_contexts(prompts, settings.templates, words, acpt, Path(settings.output) / FITTED / f"seed-{seed}")
        random = untrained_bank(prompts, settings.templates, acpt)
        both = [context_features(prompts, bank).cpu() for bank in (fitted, random)]
        places.append(Places.of(seed, *both, written_features))
        joint[seed] = joint_features(prompts, fitted, words).cpu()
    curves, heard = [], []
    prototypes = content_features(prompts, settings.templates, words).cpu().numpy()
    for corpus in corpora:
        clips = embedded(settings, encoder, corpus)
        status = next(each.zero_shot for each in results.generalisation if each.corpus == corpus.name)
        about = (clips[CLEAN], prototypes, status, settings.seeds, settings.classifier)
        of_corpus = [heard_under(corpus, name, embeds, *about) for name, embeds in clips.items()]
        numbers = sorted({*(each for each in NUMBERS if each < contexts), contexts})
        uar = uar_by_number(joint, numbers, settings.classifier, settings.acpt.num_contexts, clips, class_ids(corpus))
        curves.append(Curve(corpus.name, uar, {each.condition: each.zero_shot for each in of_corpus}))
        heard += of_corpus
    return Analysis(results, written, kinds_of_written(), written_features, places, curves, heard)


def embedded(settings: ExperimentSettings, encoder: SmoothCLAPEncoder, corpus: LabelledCorpus) -> dict[str, np.ndarray]:
    """Embed the clips of a corpus under each condition, (clips, width); the experiment has written these clips."""
    folder, found = Path(settings.output) / "conditions", {}
    for name in settings.conditions:
        rows = degrade(corpus.rows, CONDITIONS[name], folder)
        found[name] = encoder.encode_audio(clips_of(rows), problems={})  # the experiment's report names doubtful clips
    return found


def main() -> None:
    """Analyse, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="YAML file of an experiment with CLEP-DG that was run.")
    parser.add_argument("--output", type=Path, default=Path("docs/clep-dg/analysis"), help="Folder of the page.")
    parser.add_argument("--contexts", type=int, default=NUMBERS[-1], help="The largest number of contexts.")
    arguments = parser.parse_args()
    try:
        settings = read_yaml(arguments.experiment, ExperimentSettings)
        with held(settings.output):
            write_page(analyse(settings, arguments.contexts), arguments.output)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
