"""The report of made-up results: what each table says, and that nothing in it can be misread."""

import copy
import hashlib
import re

import pytest

from smoothclap_trainer.clep_dg.judging import AUDIO_OF_OTHERS, AUDIO_OF_SPEAKERS
from smoothclap_trainer.clep_dg.methods import METHODS
from smoothclap_trainer.clep_dg.prompts import ENGLISH
from smoothclap_trainer.clep_dg.report import generalisation_table, write_report


WHY = {"zero-shot": "", "not zero-shot": "It was trained on it.", "unknown": "Nobody knows."}


def figures(value, sd=0.0125, low=0.4, high=0.6):
    return {name: {"value": value + shift, "sd": sd, "low": low, "high": high}
            for name, shift in (("uar", 0), ("accuracy", 0.1))}  # fmt: skip


def entry(corpus, status="zero-shot", condition="clean", names=tuple(method.name for method in METHODS), **changes):
    methods = [{"method": name, "figures": figures(0.41 + place / 100, None if not place else 0.0125)}
               for place, name in enumerate(names)]  # fmt: skip
    for each in methods:
        each["figures"]["uar"] |= changes.get(each["method"].replace("-", "_"), {})
    return {"corpus": corpus, "condition": condition, "zero_shot": {"status": status, "why": WHY[status]},
            "clips": 1234, "speakers_in_others": 0, "methods": methods}  # fmt: skip


def corpus(name, title):
    data = {
        "clips": 1234,
        "speakers": None,
        "per_class": {"sad": 1000, "glad": 234},
        "left_out": {},
        "sha256": "a" * 64,
    }
    return {"name": name, "title": title, "language": "en", "licence": "none", "source": "Classes are said.",
            "data": data}  # fmt: skip


@pytest.fixture
def results():
    at_chance = {"low": 0.3, "high": 0.4}
    return {
        "classes": {"sad": "sad", "glad": "cheerful"},
        "chance": 0.35,
        "methods": [{name: getattr(each, name) for name in ("name", "title", "meaning")} for each in METHODS],
        "conditions": [{"name": "clean", "title": "as recorded"}],
        "corpora": [corpus("one", "One"), corpus("two", "Two")],
        "encoders": [
            {
                "name": "folder",
                "class": "SmoothCLAPModel",
                "weights_sha256": "b" * 64,
                "training_corpora": ["queen"],
                "corpora": ["one", "two"],
                "texts": [
                    {
                        "seed": seed,
                        "method": method.name,
                        "similarity": None if method.contexts == "none" else 0.5 + seed / 10,
                        "emotions_kept": None if method.contexts == "none" else 0.25,
                        "texts_right": place / 8,
                    }
                    for seed in (0, 1)
                    for place, method in enumerate(METHODS)
                ],
            }
        ],
        "generalisation": [entry("one", "not zero-shot"), entry("two", "unknown", zero_shot=at_chance)],
        "supervised": [],
        "settings": {
            "encoder": "folder",
            "seeds": [0, 1],
            "templates": vars(ENGLISH),
            "acpt": {"num_contexts": 80, "seed": 0},
            "classifier": {"loss": "arcface", "seed": 0},
        },
        "versions": {"torch": "2"},
    }


def report(results, tmp_path):
    return write_report(results, tmp_path / "new").read_text(encoding="utf-8")


def test_the_table_has_all_methods_with_spread_marks_and_a_word_on_chance(results):
    lines = generalisation_table(results).splitlines()
    assert lines[0] == "| method | One | Two |"
    assert lines[2] == "| zero-shot text prototypes | 0.410 † | 0.410, at chance ‡ |"
    assert lines[3] == "| prompt ensemble over the contexts | 0.420 ± 0.013 † | 0.420 ± 0.013 ‡ |"
    assert lines[-1] == "| CLEP-DG | 0.470 ± 0.013 † | 0.470 ± 0.013 ‡ |"
    assert len(lines) == 2 + 7
    assert generalisation_table(results, "accuracy").splitlines()[2].startswith("| zero-shot text prototypes | 0.510 †")


def test_notes_explain_marks_once_and_only_words_that_occur(results, tmp_path):
    text = report(results, tmp_path)
    assert text.count("- † One: not zero-shot. It was trained on it.\n") == 1
    assert text.count("- ‡ Two: unknown whether it is zero-shot. Nobody knows.\n") == 1
    assert "- At chance: the interval holds chance" in text and "- Below chance" not in text
    results["generalisation"] = [entry("one", clep_dg={"low": 0.1, "high": 0.2})]
    text = report(results, tmp_path)
    assert "0.470 ± 0.013, below chance |" in text
    assert "- Below chance: the whole interval is" in text and "- At chance" not in text and "†" not in text


def test_the_head_says_what_figures_are(results, tmp_path):
    text = report(results, tmp_path)
    assert "for the 2 classes that all corpora have: sad (`sad`), glad (`cheerful`)." in text
    assert "Guessing gives a UAR of 0.350." in text and "over the seeds 0, 1" in text
    assert "after PromptStyler" in text and "SYNTHETIC" not in text and "## Supervised" not in text
    results["corpora"][1]["title"] = "Two (SYNTHETIC)"
    text = report(results, tmp_path)
    assert "**Not people's speech: Two (SYNTHETIC).**" in text
    assert "| method | One | Two (SYNTHETIC) |" in text


def test_supervised_beside_and_what_was_refused(results, tmp_path):
    names = (*(method.name for method in METHODS), AUDIO_OF_SPEAKERS)
    folds = {"folds": 5, "speakers": 10, "left_out": 3}
    refused = {"corpus": "two", "zero_shot": {"status": "zero-shot", "why": ""}, "refused": "2 speakers are known"}
    results["supervised"] = [entry("one", names=names) | folds, entry("one", condition="noise", names=names) | folds,
                             refused]  # fmt: skip
    text = report(results, tmp_path).split("## Supervised, inside a corpus")[1].split("## Texts")[0]
    assert "- Two: not judged, because 2 speakers are known.\n" in text
    assert "- One: 1,234 clips of 10 speakers in 5 folds; 3 clips of unknown speakers are left out.\n" in text
    assert "| method | One |\n| --- | ---: |\n| classifier on audio of other speakers | 0.480 ± 0.013 |" in text
    assert text.count("| CLEP-DG |") == 2  # UAR and WA, clean only
    results["supervised"] = [refused]
    alone = report(results, tmp_path).split("## Supervised, inside a corpus")[1].split("## Texts")[0]
    assert "not judged" in alone and "| method |" not in alone
    results["supervised"], results["generalisation"] = [entry("one", names=names) | folds | {"left_out": 0}], []
    text = report(results, tmp_path)
    assert "left out" not in text.split("## Clips")[0] and "## Leave one corpus out" not in text


def test_conditions_are_shown_with_and_without_acpt(results, tmp_path):
    assert "## Acoustic conditions" not in report(results, tmp_path)
    results["conditions"].append({"name": "telephone", "title": "by telephone"})
    lost = {"value": 0.123, "low": 0.3, "high": 0.4}
    results["generalisation"] += [entry(name, condition="telephone", clep_dg=lost) for name in ("one", "two")]
    text = report(results, tmp_path).split("## Acoustic conditions")[1].split("## Clips")[0]
    head = (
        "| condition | zero-shot text prototypes | classifier on context-free prompts | "
        "classifier on untrained contexts | CLEP-DG |"
    )
    one, two = (part for part in re.split(r"### (?:One|Two)\n", text)[1:])
    assert head in one and head in two
    assert "| as recorded | 0.410 † | 0.430 ± 0.013 † | 0.440 ± 0.013 † | 0.470 ± 0.013 † |" in one
    assert "| by telephone | 0.410 | 0.430 ± 0.013 | 0.440 ± 0.013 | 0.123 ± 0.013, at chance |" in one
    assert "- At chance" in text
    assert "![UAR on One under each acoustic condition](pictures/conditions-one.png)" in one
    assert (tmp_path / "new" / "pictures" / "conditions-two.png").is_file()
    table = report(results, tmp_path).split("## Leave one corpus out")[1].split("## Acoustic")[0]
    assert "0.123" not in table  # which is of clean speech


def test_speakers_that_other_corpora_have_are_told(results, tmp_path):
    assert "has heard" not in report(results, tmp_path)
    results["generalisation"][1]["speakers_in_others"] = 3
    said = "- Two: the classifier on audio of the other corpora has heard 3 of its speakers there, if equal names"
    assert report(results, tmp_path).count(said) == 1


def test_what_methods_make_of_texts(results, tmp_path):
    part = report(results, tmp_path).split("## Texts")[1].split("## Clips")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")][2:]
    assert rows[0] == "| zero-shot text prototypes | – | – | 0.000 |"
    assert rows[1] == "| prompt ensemble over the contexts | 0.550 ± 0.071 | 0.250 ± 0.000 | 0.125 ± 0.000 |"
    assert rows[-1] == "| CLEP-DG | 0.550 ± 0.071 | 0.250 ± 0.000 | 0.750 ± 0.000 |"
    assert len(rows) == 7
    assert part.endswith("\n![Prompts of folder with and without contexts](pictures/contexts.png)\n\n")
    results["encoders"][0]["texts"] = results["encoders"][0]["texts"][:7]  # one seed
    assert "| CLEP-DG | 0.500 | 0.250 | 0.750 |" in report(results, tmp_path)


def test_the_classifier_that_hears_other_corpora_is_shown_where_there_is_one(results, tmp_path):
    assert "audio" not in generalisation_table(results)
    names = (*(method.name for method in METHODS), AUDIO_OF_OTHERS)
    results["generalisation"] = [entry(name, names=names) for name in ("one", "two")]
    last = generalisation_table(results).splitlines()[-1]
    assert last == "| classifier on audio of the other corpora | 0.480 ± 0.013 | 0.480 ± 0.013 |"
    methods = report(results, tmp_path).split("## Methods")[1]
    assert "- **classifier on audio of the other corpora**: The same kind" in methods and "speakers**" not in methods


def test_each_checkpoint_has_its_contexts(results, tmp_path):
    first = results["encoders"][0]
    results["settings"]["encoder"] = {"one": "folder", "two": "other"}
    results["encoders"] = [first | {"corpora": ["one"]}, first | {"name": "other", "corpora": ["two"]}]
    text = report(results, tmp_path)
    assert "![Prompts of folder, which judges one, with and without contexts](pictures/contexts-one.png)" in text
    assert "![Prompts of other, which judges two, with and without contexts](pictures/contexts-two.png)" in text


def test_clips_methods_and_how_it_was_run(results, tmp_path):
    results["corpora"][0]["data"] |= {"speakers": 24, "left_out": {"no class": 1000, "another split": 2}}
    results["corpora"][0]["data"] |= {"doubtful": {"silent": 3}}
    text = report(results, tmp_path)
    assert "| One | en | none | 1,234 | 24 | 1,000 | 234 | `aaaaaaaaaaaa` |" in text
    assert "| Two | en | none | 1,234 | unknown | 1,000 | 234 |" in text
    said = "Clips left out: no class: 1,000; another split: 2. Doubtful clips, judged all the same: silent: 3."
    assert f"- One: Classes are said. {said}\n" in text
    assert "- Two: Classes are said. Clips left out: none.\n" in text
    for method in METHODS:
        assert f"- **{method.title}**: {method.meaning}\n" in text
    assert "- Joint prompt: `{emotion} speech recorded in a <ctx> acoustic environment`\n" in text
    assert "`folder`, SmoothCLAPModel, weights `bbbbbbbbbbbb`; corpora trained on: queen.\n" in text
    assert "- Stage 2 (ACPT): num_contexts 80.\n- Stage 3 (classifier): loss arcface.\n- Versions: torch 2.\n" in text
    results["encoders"][0]["training_corpora"] = None
    assert "corpora trained on: not recorded.\n" in report(results, tmp_path)


def test_equal_results_give_equal_files(results, tmp_path):
    results["conditions"].append({"name": "telephone", "title": "by telephone"})
    results["generalisation"] += [entry(name, condition="telephone") for name in ("one", "two")]
    written = []
    for name in ("a", "b"):
        write_report(copy.deepcopy(results), tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append([(path.name, hashlib.sha256(path.read_bytes()).digest()) for path in files])
    assert len(written[0]) == 3 and written[0] == written[1]
