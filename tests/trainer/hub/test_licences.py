"""What follows from the licences of what a checkpoint was made from, and which cards agree with them."""

import json

import pytest
from huggingface_hub import ModelCard

from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.corpus_names import LICENCES_OF_CORPORA
from smoothclap_trainer.hub.card import model_card
from smoothclap_trainer.hub.facts import licences_of
from smoothclap_trainer.hub.licences import (
    Condition,
    InputKind,
    LicensedInput,
    RollUp,
    conditions_of,
    known_licence,
    write_licences,
)
from smoothclap_trainer.hub.plan import plan
from smoothclap_trainer.hub.provenance import inputs_of_start
from smoothclap_trainer.hub.push import push
from smoothclap_trainer.settings import DataSettings
from tests.hub.here import hub_here, whole_checkpoint
from tests.trainer.hub import folders


PAPERS = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
SA, ND, NC, RESEARCH, UNKNOWN = (
    *(Condition.SHARE_ALIKE, Condition.NO_DERIVATIVES, Condition.NON_COMMERCIAL),
    *(Condition.RESEARCH, Condition.UNKNOWN),
)


def inputs(**licences):
    """`corpus="mit"`: one input of each kind, named as its kind."""
    return [LicensedInput(InputKind[kind.upper()], kind, licence) for kind, licence in licences.items()]


def recorded(folder, *entries):
    write_licences(folder, entries)
    return folder


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        *((name, set()) for name in ("MIT", "apache-2.0", "BSD-2-Clause", "CC0-1.0", "CC BY 4.0", "cc-by-4.0")),
        *((name, set()) for name in ("WordNet-3.0", "Drascula licence (free; not to be sold alone)")),
        *((name, set()) for name in ("MIT License", "The MIT License (MIT)", "BSD License", "The Unlicense")),
        *((name, set()) for name in ("Apache License 2.0", "Apache License, Version 2.0", "CC BY 3.0 IGO")),
        *((name, {SA}) for name in ("GPL-3.0-or-later", "LGPL-2.1", "ODbL 1.0", "CC BY-SA 3.0", "GFDL-1.3")),
        *((name, {NC}) for name in ("CC BY-NC 4.0", "cc-by-nc-2.0", "free for non-commercial use")),
        *((name, {NC, SA}) for name in ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0", "cc_by_nc_sa")),
        ("CC BY-NC-ND 4.0", {NC, ND}),
        *((name, {RESEARCH}) for name in ("licence agreement with the MSP Lab, for academic use", "research-only")),
        *((name, {UNKNOWN}) for name in (None, "", "free", "other", "openrail", "free download; no licence is named")),
        ("GPL-2.0-only AND CC-BY-NC-4.0", {SA, NC}),
        ("MIT AND mine", {UNKNOWN}),
        *((name, {UNKNOWN}) for name in ("cc-by-4.0-nc", "CC BY 4.0 NC", "MIT (ask us)", "cc", "lgpl-lr")),
        *((name, {NC}) for name in ("cc-by-4.0 and cc-by-nc-4.0", "CC BY 4.0 (non-commercial)")),
        *((name, {RESEARCH}) for name in ("cc-by-4.0, research only", "MIT (research only)")),
        ("CC BY-NC 4.0 (ask us)", {NC, UNKNOWN}),
    ],
)  # fmt: skip
def test_what_a_licence_asks_for(licence, expected):
    assert conditions_of(licence) == expected


@pytest.mark.parametrize(
    "licence", ["MIT License", "Apache License 2.0", "BSD License", "The Unlicense", "cc", "lgpl-lr", "openrail++"]
)
def test_licences_that_settings_take(licence):
    assert DataSettings(dataset="a.csv", licences={"queen": licence}).licences == {"queen": licence}


@pytest.mark.parametrize(
    ("licence", "meant"), [("cc-by-4.0-nc", "cc-by-nc"), ("mitt", "mit"), ("MIT AND Appache", "apache")]
)
def test_misspelled_licences_are_refused(licence, meant):
    with pytest.raises(ValueError, match=repr(meant)):
        DataSettings(dataset="a.csv", licences={"queen": licence})


def test_what_the_licences_of_known_corpora_ask_for():
    found = {name: conditions_of(licence) for name, licence in LICENCES_OF_CORPORA.items()}
    assert {"ravdess": {NC, SA}, "crema-d": {SA}, "tess": {NC, ND}, "emodb": {UNKNOWN}}.items() <= found.items()
    assert {name for name, asked in found.items() if asked == {RESEARCH}} == {
        "iemocap",
        "fau-aibo",
        "sld",
        "msp-podcast",
    }
    assert {name for name, asked in found.items() if asked == {UNKNOWN}} == {"emodb", "alc"}
    assert EMOTION_CORPORA.keys() <= found.keys()


@pytest.mark.parametrize(
    ("made_of", "binding", "follows"),
    [
        ({}, [], None),
        ({"audio_encoder": "MIT", "corpus": "CC0-1.0"}, [], None),
        ({"audio_encoder": "MIT", "corpus": None}, [], None),
        ({"audio_encoder": "CC BY-SA 3.0"}, [SA], "cc-by-sa-3.0"),
        ({"audio_encoder": "CC BY-SA 3.0", "weights": "GPL-3.0"}, [SA], "other"),
        ({"corpus": "ODbL 1.0", "sentences": "LGPL-2.1", "teacher": "CC BY-SA 4.0"}, [], None),
        ({"corpus": "CC BY-NC-SA 4.0"}, [NC], "cc-by-nc-4.0"),
        ({"teacher": "CC BY-NC 4.0"}, [NC], "cc-by-nc-4.0"),
        ({"corpus": "CC BY-NC-ND 4.0"}, [NC], "cc-by-nc-4.0"),
        ({"weights": "CC BY-NC-ND 4.0"}, [ND, NC], "other"),
        ({"audio_encoder": "CC BY-NC-SA 4.0", "corpus": "MIT"}, [NC, SA], "cc-by-nc-sa-4.0"),
        ({"audio_encoder": "CC BY-SA 3.0", "corpus": "CC BY-NC 4.0"}, [NC, SA], "cc-by-nc-sa-4.0"),
        ({"corpus": "licence agreement"}, [RESEARCH], "cc-by-nc-4.0"),
        ({"audio_encoder": "CC BY-NC-SA 4.0", "corpus": "licence agreement"}, [NC, RESEARCH, SA], "cc-by-nc-sa-4.0"),
    ],
)
def test_what_follows(made_of, binding, follows):
    found = RollUp(inputs(**made_of))
    assert (found.binding, found.licence) == (sorted(binding), follows)
    found.check(follows)
    for nothing in ("other", "unknown", None):
        found.check(nothing)
    for free in ("apache-2.0", ["mit", "apache-2.0"]):
        if binding:
            with pytest.raises(ValueError, match=str(follows)):
                found.check(free)
        else:
            found.check(free)


def test_a_refusal_names_the_input_and_its_licence():
    found = RollUp([*inputs(corpus="MIT"), LicensedInput(InputKind.AUDIO_ENCODER, PAPERS, known_licence(PAPERS))])
    with pytest.raises(ValueError, match=rf"apache-2\.0.*{PAPERS}.*CC BY-NC-SA 4\.0.*cc-by-nc-sa-4\.0"):
        found.check("apache-2.0")
    with pytest.raises(ValueError, match="openrail"):
        found.check("openrail")  # may be anything
    with pytest.raises(ValueError, match="share-alike"):
        found.check("cc-by-nc-4.0")


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        *((name, "CC BY-NC-SA 4.0") for name in (PAPERS, f"/models/{PAPERS.split('/')[1]}")),
        (f"/cache/models--{PAPERS.replace('/', '--')}/snapshots/0123", "CC BY-NC-SA 4.0"),
        *(("openai/whisper-base", "MIT"), ("google-bert/bert-base-uncased", "Apache-2.0")),
        *(("facebook/wav2vec2-base", "Apache-2.0"), ("facebook/wav2vec2-base-10k-voxpopuli", None)),
        *(("mine/bert-base-uncased", None), ("towers/text", None)),
    ],
)
def test_well_known_models_are_known(model, licence):
    assert known_licence(model) == licence


def test_a_checkpoint_without_the_record_gets_what_its_other_records_name(tmp_path):
    folder = folders.whole(tmp_path)
    folders.write(folder, origin_json=folders.ORIGIN | {"model": {"name": PAPERS, "hub": True, "revision": None}})
    folders.bare(folder, training_corpora=["MSP-Podcast v1.11", "queen", "unrecorded"])
    found = {(each.kind.value, each.name): each.licence for each in licences_of(folder).inputs}
    msp = found.pop(("corpus", "MSP-Podcast v1.11"))
    assert conditions_of(msp) == {RESEARCH}
    assert found == {
        ("audio encoder", "someone/speech"): None,
        ("text encoder", "towers/text"): None,
        ("model", PAPERS): "CC BY-NC-SA 4.0",
        ("teacher", "e5"): None,
        ("corpus", "made-up"): "CC0-1.0",
        ("corpus", "queen"): "free",
        ("corpus", "unrecorded"): None,
    }  # and not the corpus of the test split


def test_the_card_lists_inputs_and_what_follows(tmp_path):
    made_of = inputs(audio_encoder="CC BY-NC-SA 4.0", sentences="GPL-3.0", corpus=None)
    folder = recorded(folders.bare(tmp_path), *made_of)
    for stated in ("cc-by-nc-sa-4.0", "other", None):
        card = model_card(folder, front_matter={"license": stated})
        assert ModelCard(card).data.license == stated
    for fact in (
        "| `audio_encoder` | audio encoder | CC BY-NC-SA 4.0 | non-commercial, share-alike |",
        "| `sentences` | sentences | GPL-3.0 | share-alike |",
        "**non-commercial, share-alike**",
        *("`corpus`", "license: cc-by-nc-sa-4.0", "legal advice"),
    ):
        assert fact in card, fact
    with pytest.raises(ValueError, match="audio_encoder"):
        model_card(folder, front_matter={"license": "apache-2.0"})
    (folder / "notes.md").write_text("---\nlicense: mit\n---\n")
    with pytest.raises(ValueError, match="mit"):
        model_card(folder)
    (folder / "licences.json").write_text('[{"kind": "spell", "name": "x", "licence": null}]')
    with pytest.raises(ValueError, match=r"licences\.json"):
        model_card(folder)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("apche-2.0", "apache"), ("GPLv3", "gpl"), ("CC BY-NCSA 4.0", "cc-by-nc-sa"), ("cc-bync-4.0", "cc-by-nc")),
        ("GPL-2.0-only AND mitt", "mit"),
    ],
)
def test_a_misspelled_licence_in_the_settings_is_refused_with_the_one_that_was_meant(written, meant):
    part = written.rpartition(" AND ")[2]
    with pytest.raises(ValueError, match=rf"licences\.queen.*'{part}'.*'{meant}'"):
        DataSettings(dataset=["clips.csv"], licences={"queen": written})


@pytest.mark.parametrize("own", ["EUPL-1.2", "odc-by", "openrail", "LicenseRef-mitt", "terms of the actors", "other"])
def test_a_licence_that_is_not_known_is_kept_and_what_follows_is_unknown(own, tmp_path):
    assert DataSettings(dataset=["clips.csv"], licences={"queen": own}).licences == {"queen": own}
    card = model_card(recorded(folders.bare(tmp_path), *inputs(audio_encoder="MIT", corpus=own)))
    assert f"| `corpus` | corpus | {own} | unknown |" in card
    (unknown,) = [line for line in card.splitlines() if line.startswith("**Not known")]
    assert "`corpus`" in unknown and "follows" in unknown and "`audio_encoder`" not in unknown


def test_a_push_refuses_what_a_hand_edited_card_states(tmp_path, monkeypatch, logs):
    monkeypatch.setattr("smoothclap_trainer.hub.plan.CheckpointKind.check_loading", lambda *_: None)
    folder = recorded(whole_checkpoint(tmp_path / "checkpoint"), *inputs(weights="CC BY-NC 4.0", corpus=None))
    with hub_here(monkeypatch) as server:
        with pytest.raises(ValueError, match=r"apache-2\.0.*weights.*CC BY-NC 4\.0"):
            push(folder, "ann/model")
        assert server.repositories == {} and server.writes() == []
        card = folder / "README.md"
        card.write_text(card.read_text().replace("apache-2.0", "cc-by-nc-4.0"))
        (folder / "NOTICE").write_text("Of others.\n")
        push(folder, "ann/model")
        assert "corpus" in logs.text  # whose licence nobody knows
        assert {"NOTICE", "licences.json"} <= server.repositories["ann/model"].files("main").keys()


@pytest.mark.parametrize("front", ["", "---\nlicense: [mit, other]\n---\n", "---\nlicense: 3\n---\n"])
def test_a_card_may_state_what_it_likes_over_free_inputs(tmp_path, monkeypatch, front):
    monkeypatch.setattr("smoothclap_trainer.hub.plan.CheckpointKind.check_loading", lambda *_: None)
    folder = recorded(whole_checkpoint(tmp_path / "checkpoint"), *inputs(weights="MIT"))
    (folder / "README.md").write_text(f"{front}\n# A model\n")
    assert [each.name for each in plan(folder).licences.inputs] == ["weights"]
    assert json.loads((folder / "licences.json").read_text())[0]["kind"] == "weights"


@pytest.mark.parametrize("content", ["{", "{}", '[{"name": "x"}]', '[{"kind": "x", "name": "x", "licence": null}]'])
def test_a_damaged_record_of_what_training_starts_from_is_named(tmp_path, content):
    (tmp_path / "licences.json").write_text(content)
    with pytest.raises(ValueError, match=r"licences\.json"):
        inputs_of_start(InputKind.MODEL, str(tmp_path))
