"""The report: its numbers are those of the results, and what keeps them from being misread is there when it is due."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from smoothclap_trainer.clep_dg.methods import Contexts, TextStages
from smoothclap_trainer.clep_dg.report import MAPPED, draw_contexts, generalisation_table, write_report
from smoothclap_trainer.clep_dg.results import (
    AUDIO_OF_OTHERS,
    ConditionSummary,
    MetricOverSeeds,
    Refusal,
    RefusalReason,
    TextMeasures,
)
from smoothclap_trainer.evaluation.corpus_names import ZeroShot, ZeroShotStatus
from tests.trainer.clep_dg import written_before


@pytest.fixture
def results():
    return written_before.results()


def report(results, folder) -> str:
    return write_report(results, folder, plots=False).read_text(encoding="utf-8")


def part(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def cells(table: str) -> dict[str, list[str]]:
    """First column to the others."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines[2:]}


def with_metric(entry, method, **changes):
    """An entry in which the UAR of a method is another."""
    found = entry.of_method(method)
    changed = replace(found, metrics=found.metrics | {"uar": replace(found.uar, **changes)})
    return replace(entry, methods=tuple(changed if each is found else each for each in entry.methods))


def under_two_conditions(results):
    telephone = ConditionSummary("telephone", "by telephone", "telephone", {})
    worse = [
        with_metric(replace(each, condition="telephone"), "clep-dg", value=0.123) for each in results.generalisation
    ]
    return replace(
        results,
        conditions=(*results.conditions, telephone),
        generalisation=(*results.generalisation, *worse),
    )


def test_tables_hold_the_numbers_of_the_results(results):
    found = cells(generalisation_table(results))
    assert list(found) == [*(method.title for method in results.methods), results.method_titles[AUDIO_OF_OTHERS]]
    for place, entry in enumerate(results.generalisation):
        for method in entry.methods:
            number = found[results.method_titles[method.method]][place].split()[0].strip(",")
            assert float(number) == pytest.approx(method.uar.value, abs=5e-4)


def test_a_cell_has_the_spread_the_place_and_the_mark(results):
    one = with_metric(results.generalisation[0], "clep-dg", value=0.5, sd=0.25, low=0.3, high=0.6)
    two = with_metric(results.generalisation[1], "clep-dg", value=0.1, sd=None, low=0.0, high=0.1)
    two = replace(two, zero_shot=ZeroShot(ZeroShotStatus.NOT_ZERO_SHOT))
    one = replace(one, zero_shot=ZeroShot(ZeroShotStatus.ZERO_SHOT))
    found = cells(generalisation_table(replace(results, generalisation=(one, two))))
    assert found["CLEP-DG"] == ["0.500 ± 0.250", "0.100, below chance †"]


def test_synthetic_speech_is_named_first(results, tmp_path):
    assert "Synthetic speech" not in report(results, tmp_path)
    corpora = [results.settings["corpora"][0], results.settings["corpora"][1] | {"synthetic": True}]
    text = report(replace(results, settings=results.settings | {"corpora": corpora}), tmp_path)
    assert "**Synthetic speech: TESS.**" in text.split("\n## ")[0]


def test_a_protocol_without_results_has_no_section(results, tmp_path):
    text = report(replace(results, generalisation=()), tmp_path)
    assert "## Leave one corpus out" not in text and "## Supervised" in text and "## Acoustic" not in text
    text = report(replace(results, supervised=tuple(results.refused)), tmp_path)
    assert results.refused[0].reason in part(text, "Supervised, inside a corpus")  # the words of an earlier version
    few = Refusal("tess", results.refused[0].zero_shot, RefusalReason.FEW_SPEAKERS)
    assert part(report(replace(results, supervised=(few,)), tmp_path), "Supervised, inside a corpus") == part(
        text, "Supervised, inside a corpus"
    )
    none = replace(few, reason=RefusalReason.NOBODY_SPEAKS, classes=("sad", "bored"))
    assert "sad, bored" in report(replace(results, supervised=(none,)), tmp_path)
    assert "| method |" not in part(text, "Supervised, inside a corpus")
    assert "## Supervised" not in report(replace(results, supervised=()), tmp_path)


def test_conditions_are_compared_for_each_corpus(results, tmp_path):
    assert "## Acoustic conditions" not in report(results, tmp_path)
    text = report(under_two_conditions(results), tmp_path)
    found = part(text, "Acoustic conditions")
    for title in ("EmoDB", "TESS"):
        rows = cells(found.split(f"### {title}\n")[1].split("\n!")[0])
        assert list(rows) == ["as recorded", "by telephone"] and rows["by telephone"][-2].startswith("0.123")
    assert "0.123" not in part(text, "Leave one corpus out")
    assert not (tmp_path / "pictures").exists()  # without plots


def test_differences_to_zero_shot_have_their_intervals(results, tmp_path):
    assert "minus" not in report(results, tmp_path)  # an earlier version computed none

    def differing(entry, low):
        uar = MetricOverSeeds(low + 0.02, 0.004, low, low + 0.05)
        methods = tuple(
            each if each.method == "zero-shot" else replace(each, differences={"uar": uar, "accuracy": uar})
            for each in entry.methods
        )
        return replace(entry, methods=methods)

    both = under_two_conditions(results)
    entries = [
        differing(each, low) for each, low in zip(both.generalisation, (-0.01, -0.06, 0.001, -0.04), strict=True)
    ]
    text = report(replace(both, generalisation=tuple(entries)), tmp_path)
    found = cells(part(text, "Leave one corpus out").split("minus")[1])
    assert list(found) == [each.title for each in results.methods[1:]] + [results.method_titles[AUDIO_OF_OTHERS]]
    assert found["CLEP-DG"] == ["+0.010 [-0.010, +0.040]", "-0.040 [-0.060, -0.010], below"]
    emodb, tess = part(text, "Acoustic conditions").split("minus")[1:]
    assert "in 1 of 1 degraded" in " ".join(emodb.split()) and "in 0 of 1 degraded" in " ".join(tess.split())
    assert cells(emodb.split("\n!")[0])["by telephone"][-2] == "+0.021 [+0.001, +0.051], above"


def test_what_methods_make_of_texts(results, tmp_path):
    encoder = results.encoders[0]
    more = [replace(each, seed=5, texts_right=each.texts_right / 2) for each in encoder.texts]
    two = replace(results, encoders=(replace(encoder, texts=(*encoder.texts, *more)), results.encoders[1]))
    rows = cells(part(report(two, tmp_path), "Texts").split("\n!")[0])
    assert list(rows) == [method.title for method in results.methods]
    assert rows["zero-shot text prototypes"] == ["–", "–", "1.000"]  # of one seed, as nothing is random
    right = next(each.texts_right for each in encoder.texts if each.method == "clep-dg")
    assert rows["CLEP-DG"][2] == f"{0.75 * right:.3f} ± {right / 2 / 2**0.5:.3f}"


def test_equal_results_give_equal_files_with_plots(results, tmp_path):
    written = []
    for name in ("a", "b"):
        write_report(under_two_conditions(results), tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append([(path.name, hashlib.sha256(path.read_bytes()).digest()) for path in files])
    names = ["conditions-emodb.png", "conditions-tess.png", "report.md"]
    assert [name for name, _ in written[0]] == names and written[0] == written[1]


def test_distances_on_the_map_are_those_of_the_embeddings(figure, tmp_path):
    # On a plane, spread along the first coordinate most, so that the plot is a turn and a shift of it.
    content = torch.tensor([[4.0, 1.0], [-4.0, -1.0]])
    kinds: list[Contexts] = [method.contexts for method in MAPPED]
    joint = {kind: content + torch.tensor([[0.1 * n, 0.0], [-0.1 * n, 0.0]]).expand(3, 2, 2)
             for n, kind in enumerate(kinds)}  # fmt: skip
    measures = {each.name: TextMeasures(0, each.name, None, 0.5, None, 1.0) for each in MAPPED}
    draw_contexts(TextStages(content, joint, {}, measures), ["sad", "glad"], "it", tmp_path / "new" / "map.png")
    panels = figure[0].axes
    assert len(panels) == 3
    for number, axes in enumerate(panels):
        small_sad, large_sad, small_glad, large_glad = (np.asarray(each.get_offsets()) for each in axes.collections)
        assert small_sad.shape == small_glad.shape == (3, 2) and large_sad.shape == large_glad.shape == (1, 2)
        assert np.linalg.norm(large_sad - large_glad) == pytest.approx(68**0.5)
        assert np.linalg.norm(small_sad - large_sad, axis=1) == pytest.approx(0.1 * number)
        assert np.linalg.norm(small_glad - large_sad, axis=1) == pytest.approx(np.hypot(8 + 0.1 * number, 2))
