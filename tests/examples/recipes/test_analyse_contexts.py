"""What is said of contexts against independent computations; the page and the plots repeat byte for byte."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.clep_dg import experiment as experiments
from smoothclap_trainer.clep_dg import report
from smoothclap_trainer.clep_dg.experiment import fit_clep_dg
from smoothclap_trainer.clep_dg.prompts import written_contexts
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.data.clips import read_clip
from smoothclap_trainer.evaluation.corpora import read_task
from smoothclap_trainer.evaluation.corpus_names import ZeroShot, ZeroShotStatus
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from tests import tiny
from tests.trainer.clep_dg import encoders
from tests.trainer.clep_dg.made_up_corpora import experiment, write


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import analyse_contexts
from context_analysis.measures import Hardest, Heard, Nearest, counted, what_losses_cost
from context_analysis.page import write_page


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> ExperimentSettings:
    """An experiment that was run."""
    folder = tmp_path_factory.mktemp("analysis")
    encoders.model().save_pretrained(folder / "encoder")  # to which words make a difference
    tiny.processor().save_pretrained(folder / "encoder")
    acpt = {"num_contexts": 2, "steps": 2, "learning_rate": 0.5}
    said = experiment(folder, conditions=["clean", "noise-0db"], acpt=acpt)
    settings = read_yaml(write(said, folder / "it.yaml"), ExperimentSettings)
    with pytest.MonkeyPatch.context() as patched:  # its own plots are tested elsewhere
        for module in (experiments, report):
            for name in ("draw_contexts", "draw_conditions"):
                patched.setattr(module, name, lambda *_: None, raising=False)
        fit_clep_dg(settings)
    return settings


@pytest.fixture(scope="module")
def analysis(settings):
    return analyse_contexts.analyse(settings, 3)


@pytest.fixture(scope="module")
def clips(settings):
    """EmoDB's embeddings as recorded, and its labels."""
    (known,) = (each for each in settings.corpora if each.name == "emodb")
    rows = read_task(PROTOCOLS["emodb-7"], known.data_root)
    rows = rows[rows["label"] != "bored"]
    encoder = SmoothCLAPEncoder.from_pretrained(settings.encoder)
    return encoder.encode_audio([read_clip({"path": path}, 16000) for path in rows["path"]]), rows["label"].to_numpy()


def test_the_nearest_hand_written_context_by_hand(analysis, settings):
    encoder = SmoothCLAPEncoder.from_pretrained(settings.encoder)
    texts = [each.replace("{content}", "speech") for each in written_contexts("en")]
    written = np.stack([encoder.encode_text(each) for each in texts])
    assert [each.seed for each in analysis.places] == [0, 3]
    for places in analysis.places:
        for own, found in ((places.fitted, places.nearest_to_fitted), (places.random, places.nearest_to_random)):
            similarity = own.numpy() @ written.T
            assert similarity.shape == (3, 40)
            assert found.numbers.tolist() == similarity.argmax(axis=1).tolist()
            assert found.cosine == pytest.approx(similarity.max(axis=1).mean(), abs=1e-6)
        assert not torch.allclose(places.fitted, places.random, atol=1e-3)


def test_nearest_ones_are_counted_over_seeds():
    found = [Nearest(np.array(numbers), np.zeros(2)) for numbers in ([2, 0], [2, 1])]
    assert counted(found, ["noise", "noise", "rooms"]) == {"noise": 2, "rooms": 2}
    assert next(iter(counted(found, ["a", "b", "c"]).items())) == ("c", 2)


def test_as_many_contexts_as_in_the_experiment_reach_what_it_found(analysis):
    for entry in analysis.results.generalisation:
        (curve,) = (each for each in analysis.curves if each.corpus == entry.corpus)
        assert curve.numbers == [1, 2, 3]
        found = [each.uar for each in entry.of_method("clep-dg").seeds]
        assert curve.uar[entry.condition][2] == pytest.approx(found, abs=1e-6)
        zero_shot = entry.of_method("zero-shot").uar.value
        assert curve.zero_shot[entry.condition] == pytest.approx(zero_shot, abs=1e-6)
        assert curve.differences(2)[entry.condition] == pytest.approx(np.mean(found) - zero_shot, abs=1e-6)


def test_what_losses_cost_is_read_from_the_experiment(analysis):
    losses = what_losses_cost(analysis.results)
    assert [each.name for each in losses] == ["none", "content", "style", "both"]
    own = [each for each in analysis.results.encoders[0].texts if each.method == "without-content-loss"]
    assert losses[2].similarity == pytest.approx((own[0].similarity + own[1].similarity) / 2)


def test_what_a_condition_does_by_hand(analysis, settings, clips):
    clean, labels = clips
    encoder = SmoothCLAPEncoder.from_pretrained(settings.encoder)
    noisy = encoder.encode_audio(  # the files of the experiment, in the order of the clips
        analyse_contexts.degrade(
            analyse_contexts.read_corpora(settings.corpora)[0].rows,
            analyse_contexts.CONDITIONS["noise-0db"],
            Path(settings.output) / "conditions",
        )["path"].tolist()
    )
    found = next(each for each in analysis.heard if (each.corpus, each.condition) == ("emodb", "noise-0db"))
    assert found.cosine == pytest.approx(
        np.mean([one @ other for one, other in zip(noisy, clean, strict=True)]), abs=1e-5
    )
    distances = [np.linalg.norm(each - clean.mean(axis=0)) ** 2 for each in clean]
    far = np.linalg.norm(noisy.mean(axis=0) - clean.mean(axis=0))
    assert found.shift == pytest.approx(far / np.mean(distances) ** 0.5, rel=1e-4)
    classes = list(analysis.results.classes)
    texts = encoder.encode_text(classes)
    for embeds, expected in ((noisy, found.zero_shot), (noisy - noisy.mean(0) + clean.mean(0), found.moved_back)):
        answers = [classes[each] for each in (embeds @ texts.T).argmax(axis=1)]
        assert expected == pytest.approx(balanced_accuracy_score(labels, answers), abs=1e-6)


def test_the_classifier_of_clean_audio_is_that_of_the_supervised_protocol(analysis):
    clean = next(each for each in analysis.results.clean_supervised if each.corpus == "emodb")
    found = {(each.corpus, each.condition): each.trained for each in analysis.heard}
    assert found["emodb", "clean"] == pytest.approx(clean.of_method("audio-of-other-speakers").uar.value, abs=1e-6)
    assert found["emodb", "noise-0db"] is not None and found["tess", "clean"] is None  # too few speakers


def test_the_hardest_condition():
    values = (("clean", 0.6, 0.6, 0.8), ("hall", 0.3, 0.5, 0.7), ("noise", 0.4, 0.4, None))
    heard = [Heard("a", name, 0.5, 1, *rest) for name, *rest in values]
    found = Hardest.of(heard)
    assert found.condition.condition == "hall" and [each.condition for each in found.others] == ["noise"]
    assert found.hardest_moved_back.condition == "noise"
    assert (found.lost, found.regained, found.lost_to_labels) == pytest.approx((0.3, 0.2, 0.1))


def test_page_and_plots_repeat_byte_for_byte(analysis, settings, tmp_path):
    write_page(analysis, tmp_path / "one")
    shutil.rmtree(Path(settings.output) / analyse_contexts.FITTED)
    write_page(analyse_contexts.analyse(settings, 3), tmp_path / "other")
    files = ["pictures/how-many.png", "pictures/where.png", "report.md"]
    for name in ("one", "other"):
        assert sorted(str(each.relative_to(tmp_path / name)) for each in (tmp_path / name).rglob("*.*")) == files
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in files)


def test_synthetic_speech_and_speech_that_was_trained_on_are_marked(analysis, tmp_path):
    results = analysis.results
    corpora = [each | {"synthetic": each["name"] == "tess"} for each in results.settings["corpora"]]
    seen = ZeroShot(ZeroShotStatus.NOT_ZERO_SHOT, ("emodb",))
    tested = tuple(replace(each, zero_shot=seen) if each.corpus == "emodb" else each for each in results.generalisation)
    changed = replace(results, settings=results.settings | {"corpora": corpora}, generalisation=tested)
    write_page(replace(analysis, results=changed), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "**Synthetic speech: TESS.**" in text and "EmoDB †" in text and "TESS †" not in text


@pytest.mark.parametrize(
    ("changes", "wanted"), [({"seeds": [1]}, "seeds"), ({"output": "nowhere"}, "nowhere"), ({"encoder": {}}, "encoder")]
)
def test_an_experiment_that_was_not_run_so_is_refused(settings, changes, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = settings.model_copy(update=changes)
    with pytest.raises(ValueError, match=wanted):
        analyse_contexts.read_results(other)


def test_other_weights_are_refused(analysis, settings):
    encoder = SmoothCLAPEncoder.from_pretrained(settings.encoder)
    encoder.describe = lambda: {"weights_sha256": "0123"}
    with pytest.raises(ValueError, match="0123"):
        analyse_contexts.check_same(analysis.results, encoder, analyse_contexts.read_corpora(settings.corpora))
