"""The files of open corpora: where each is, and who speaks in which split."""

from collections import Counter
from pathlib import Path

import pytest

from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.data.manifest_reading import ManifestError
from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.corpus_sources import CorpusSource
from smoothclap_trainer.settings import TrainingRun
from tests.corpus_trees import build_tree


EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted((EXAMPLES / "corpora").glob("*.yaml"))


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """The file of a corpus as it is, but for the folder of its look-alike and what `changes` replace."""
    folder = tmp_path_factory.mktemp("corpora")

    def write(corpus, **changes):
        tree = folder / corpus
        source = read_yaml(EXAMPLES / "corpora" / f"{corpus}.yaml", CorpusSource)
        said = {"corpus": corpus, "speakers": source.speakers, "data_root": str(tree)} | changes
        file = folder / f"{corpus}-{len(list(folder.iterdir()))}.yaml"
        file.write_text("".join(f"{name}: {value}\n" for name, value in said.items()))
        if not tree.is_dir():
            build_tree(corpus, folder, takes=1)
        return file

    return write


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_speaker_of_a_corpus_is_in_one_split(file):
    source = read_yaml(file, CorpusSource)
    known = EMOTION_CORPORA[source.corpus].readers[0].speakers
    counts = Counter(speaker for speakers in source.speakers.values() for speaker in speakers)
    assert source.corpus == file.stem and counts == Counter(known)
    assert {"train", "test"} <= source.speakers.keys()
    assert source.hub is None or source.hub.is_pinned
    if source.labels:
        assert sorted(source.labels.values()) == sorted(EMOTION_CORPORA[source.corpus].readers[0].labels)


def test_the_recipe_trains_on_all_of_them_and_can_leave_each_out(tmp_path, monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)
    recipe = EXAMPLES / "configs" / "open-emotion.yaml"
    data = read_yaml(recipe, TrainingRun, ["--output_dir", str(tmp_path), "--use_cpu", "true"]).data
    assert [source for source, *_ in data.manifests()] == data.dataset
    assert {Path(source).resolve() for source in data.dataset} == set(FILES)
    on_hub = {str(hub).partition("@")[0] for *_, hub in data.manifests() if hub}
    assert on_hub == {"mteb/crema-d", "mteb/RavdessZeroshot"}
    rest = data.changed(leave_out="ravdess").manifests()
    assert [Path(source).stem for source, *_ in rest] == ["crema-d", "emodb", "tess"]


@pytest.mark.parametrize("corpus", [file.stem for file in FILES])
def test_as_a_manifest_it_has_emotions_and_splits_by_speaker(make, corpus):
    file = make(corpus)
    speakers = read_yaml(file, CorpusSource).speakers
    splits = load_manifest(file)
    assert splits.keys() == speakers.keys()
    for split, rows in splits.items():
        assert set(rows["speaker"]) == set(speakers[split])
        assert rows.unique("corpus") == [corpus] and rows.unique("licence") == [EMOTION_CORPORA[corpus].licence]
    emotions = {emotion for rows in splits.values() for emotion in rows["emotion"]}
    assert {"angry", "happy", "neutral", "sad"} <= emotions and len(emotions) == len(
        EMOTION_CORPORA[corpus].readers[0].labels
    )


@pytest.mark.parametrize(
    ("speakers", "wrong"),
    [
        ({}, "'OA', 'YA'"),
        ({"train": ["OA"]}, "'YA'"),
        ({"train": ["OA", "YA"], "test": ["YA"]}, "'YA'"),
        ({"train": ["OA"], "test": ["YA", "ZA"]}, "'ZA'"),
    ],
)
def test_speakers_must_be_in_one_split_each(make, speakers, wrong):
    with pytest.raises(ManifestError) as caught:
        load_manifest(make("tess", speakers=speakers))
    assert wrong in str(caught.value)


@pytest.mark.parametrize(("corpus", "cure"), [("tes", "'tess'"), ("iemocap", "'crema-d'")])
def test_only_corpora_whose_speakers_are_known_are_trained_on(make, tmp_path, corpus, cure):
    file = tmp_path / "x.yaml"
    file.write_text(f"corpus: {corpus}\ndata_root: {tmp_path}\n")
    with pytest.raises(ManifestError) as caught:
        load_manifest(file)
    assert cure in str(caught.value)
    with pytest.raises(ManifestError):
        load_manifest(tmp_path / "gone.yaml")
