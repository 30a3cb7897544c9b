"""From rows and settings to batches: what is refused, computed, joined and left out."""

import re

import pytest
from datasets import Dataset, DatasetDict

from smoothclap_trainer import SmoothCLAPTrainingArguments
from smoothclap_trainer.data.acoustic_conditions import Augmentation
from smoothclap_trainer.data.captions.thresholds import CorpusThresholds, Thresholds
from smoothclap_trainer.evaluation.training_metrics import ZeroShotMetrics
from smoothclap_trainer.prepare import check_metric, make_batches, prepare
from smoothclap_trainer.settings import DataSettings
from tests import tiny
from tests.trainer import rows


WORDINGS = {"happy": "a happy voice", "sad": "a sad voice"}


@pytest.fixture
def arguments(tmp_path):
    def make(**changes):
        fields = {"use_cpu": True, "report_to": "none", "seed": 5, "beta": 0.0, "kl_reading": "forward"}
        return SmoothCLAPTrainingArguments(str(tmp_path / "out"), **fields | changes)

    return make


@pytest.fixture
def batches(tmp_path, arguments):
    """What [`make_batches`] makes of clips with captions of their own, without targets."""
    splits = DatasetDict(train=rows.dataset(tmp_path / "audio", count=2))

    def make(processor, **settings):
        said = DataSettings(dataset=["clips.csv"], captions="given", cache_dir=str(tmp_path), **settings)
        return make_batches(splits, tiny.model(), processor, said, arguments())

    return make


def test_training_clips_get_the_conditions_that_are_named(batches):
    assert batches(tiny.processor()).collator.augmentation is None
    collator = batches(tiny.processor(), acoustic_conditions=["clean", "codec"]).collator
    assert collator.augmentation == Augmentation(("clean", "codec"), seed=5)


def test_a_rate_that_is_too_low_for_conditions_is_refused(batches):
    processor = tiny.processor()
    processor.feature_extractor.sampling_rate = 7999
    assert batches(processor)
    with pytest.raises(ValueError, match="7999 Hz"):
        batches(processor, acoustic_conditions=["clean"])


def test_a_metric_that_no_evaluation_gives_is_refused_with_those_there_are():
    labelled = ZeroShotMetrics(tiny.processor(), WORDINGS, ("happy", "sad"))
    for known in (None, "loss", "uar", "eval_uar", "audio_to_text_r@10"):
        check_metric(known, labelled.names)
    with pytest.raises(ValueError, match=r"'uarr'.*loss, uar, accuracy, audio_to_text_r@1"):
        check_metric("uarr", labelled.names)
    with pytest.raises(ValueError, match=r"'uar'.*loss, audio_to_text_r@1"):
        check_metric("uar", ZeroShotMetrics(tiny.processor()).names)


def captioned(tmp_path, captions, functionals=False):
    clips = rows.dataset(tmp_path / "audio", count=3).remove_columns("local_features")
    if not functionals:
        clips = clips.select_columns(["id", "path", "corpus"])
    return clips.add_column("caption", captions)


def made_of(tmp_path, arguments, clips, data=None, **changes):
    data = {"preparation_workers": 1, "cache_dir": str(tmp_path / "cache")} | (data or {})
    return prepare({"train": clips}, tiny.model(), tiny.processor(), data, arguments(**changes))


def test_names_of_conditions_need_clips_that_have_some(tmp_path, arguments):
    clips = rows.dataset(tmp_path / "audio", count=4)
    naming = {"name_conditions": True, "captions": "sampled"}
    for without in (clips, clips.add_column("acoustic_condition", [None] * 4)):
        with pytest.raises(ValueError, match="`name_conditions`"):
            made_of(tmp_path, arguments, without, naming)
    assert made_of(tmp_path, arguments, clips, naming | {"acoustic_conditions": ["codec"]}).collator.name_conditions
    own = clips.add_column("acoustic_condition", [None, "codec", "clean", None])
    assert made_of(tmp_path, arguments, own, naming).collator.augmentation is None


def test_a_folder_that_only_the_first_process_sees_is_named(tmp_path, arguments, monkeypatch):
    monkeypatch.setattr("smoothclap_trainer.prepare.in_first_process", lambda *_: None)  # it wrote elsewhere
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "out" / "work" / "clips"))):
        made_of(tmp_path, arguments, captioned(tmp_path, ["calm", "loud", "shy"]))


def test_captions_of_rows_without_functionals_are_used(tmp_path, arguments):
    prepared = made_of(tmp_path, arguments, captioned(tmp_path, ["calm", "loud", "shy"]))
    assert prepared.collator.captions == "given" and prepared.collator.thresholds is None
    assert prepared.sources.hub_datasets == []
    assert (tmp_path / "out" / "work" / "clips").is_dir()


def test_rows_with_functionals_are_captioned_by_them(tmp_path, arguments):
    clips = captioned(tmp_path, ["calm", "loud", "shy"], functionals=True)
    clips = clips.add_column("duration", [1.0, 2.0, 3.0]) if "duration" not in clips.column_names else clips
    assert made_of(tmp_path, arguments, clips).collator.captions == "sampled"
    given = made_of(tmp_path, arguments, clips, {"captions": "given"})
    assert given.collator.captions == "given"


@pytest.mark.parametrize("captions", [["calm", None, "shy"], ["calm"] * 3])
def test_given_captions_must_tell_clips_apart(tmp_path, arguments, captions):
    with pytest.raises(ValueError, match=r"1 of 3|'calm'"):
        made_of(tmp_path, arguments, captioned(tmp_path, captions), {"captions": "given"})


def test_what_is_not_rows_of_a_manifest_is_refused(tmp_path, arguments):
    for wrong in ([{"id": "a"}], None, Dataset.from_dict({"path": ["a.wav"]})):
        with pytest.raises(ValueError, match=f"{type(wrong).__name__}.*load_manifest"):
            made_of(tmp_path, arguments, wrong)
    with pytest.raises(ValueError, match="processing_class"):
        prepare({"train": captioned(tmp_path, ["a", "b", "c"])}, tiny.model(), None, None, arguments())


def test_one_clip_or_no_validation_to_choose_by_is_refused(tmp_path, arguments):
    clips = captioned(tmp_path, ["calm", "loud", "shy"])
    with pytest.raises(ValueError, match="one training clip"):
        made_of(tmp_path, arguments, clips.select([0]))
    with pytest.raises(ValueError, match="one validation clip"):
        splits = {"train": clips, "validation": clips.select([0])}
        prepare(splits, tiny.model(), tiny.processor(), {"cache_dir": str(tmp_path)}, arguments())
    with pytest.raises(ValueError, match="load_best_model_at_end"):
        best = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1, "save_steps": 1}
        made_of(tmp_path, arguments, clips, **best)


def test_settings_of_data_without_effect_are_refused(tmp_path, arguments):
    clips = captioned(tmp_path, ["calm", "loud", "shy"]).add_column("label", ["happy", "sad", "sad"])
    with pytest.raises(ValueError, match=r"`local_feature_encoder`.*beta"):  # without soft targets
        made_of(tmp_path, arguments, clips, {"local_feature_encoder": "e"})
    with pytest.raises(ValueError, match=r"'hapy'.*'happy'"):
        made_of(tmp_path, arguments, clips, {"label_wordings": {"hapy": "a happy voice"}})


def by_corpus(tmp_path, arguments, validation, data=None, **changes):
    """What is prepared of clips of two corpora and validation clips of other ones."""
    clips = rows.dataset(tmp_path / "audio", count=8).remove_columns("local_features")
    kept = clips.remove_columns("corpus")
    clips = {"train": kept.add_column("corpus", ["real", "made"] * 4)}
    clips["validation"] = kept.select([0, 1]).add_column("corpus", validation)
    data = {"preparation_workers": 1, "cache_dir": str(tmp_path / "cache"), "thresholds_by_corpus": True} | (data or {})
    return prepare(clips, tiny.model(), tiny.processor(), data, arguments(**changes))


def test_captions_by_the_thresholds_of_a_corpus(tmp_path, arguments):
    prepared = by_corpus(tmp_path, arguments, ["made", "real"], {"max_phrases": 2, "always_emotion": False})
    collator, train = prepared.collator, prepared.splits["train"].to_pandas()
    assert (collator.max_phrases, collator.always_emotion) == (2, False)
    assert collator.thresholds == CorpusThresholds.fit(train)
    assert collator.thresholds.corpora["made"] == Thresholds.fit(train[train["corpus"] == "made"])


def test_validation_clips_need_a_corpus_that_was_trained_on(tmp_path, arguments):
    with pytest.raises(ValueError, match=r"\['other'\].*\['made', 'real'\]"):
        by_corpus(tmp_path, arguments, ["real", "other"])
    with pytest.raises(ValueError, match="unnamed"):
        by_corpus(tmp_path, arguments, [None, None])
    shared = by_corpus(tmp_path, arguments, ["real", "other"], {"thresholds_by_corpus": False})
    assert isinstance(shared.collator.thresholds, Thresholds)
