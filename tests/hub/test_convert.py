"""`smoothclap convert` of published models from a Hub: reference networks with random weights, and all it refuses."""

import io
import json
import shlex
from pathlib import Path

import pytest
import soundfile
import torch
from huggingface_hub import ModelCard
from torch import nn
from transformers import AutoModel, AutoProcessor, pipeline

from modeling_smoothclap.convert_to_hf import KNOWN, convert
from smoothclap_trainer.evaluation.corpus_names import LICENCES_OF_CORPORA
from smoothclap_trainer.hub.conversion import convert_with_card
from smoothclap_trainer.hub.facts import licences_of
from smoothclap_trainer.hub.licences import InputKind, RollUp
from smoothclap_trainer.hub.provenance import inputs_of_start
from smoothclap_trainer.hub.push import push
from tests import tiny
from tests.hub.here import hub_here
from tests.hub.repositories import Repository, StoredFile
from tests.modeling_smoothclap.paraclap import ParaCLAP, ParaSpeechCLAP, audio_config, in_data_parallel, old_weight_norm
from tests.smoothclap import error, smoothclap


MODELS = {known.kind: known for known in KNOWN}
PARACLAP, INTRINSIC, COMBINED = "KeiKinn/paraclap", *(f"ajd12342/paraspeechclap-{k}" for k in ("intrinsic", "combined"))
STATED = "cc-by-nc-sa-4.0"
TEXTS = ["A person is speaking in a happy style.", "a low voice", "sad"]


def randomised(model):
    """The model with weights of which none could stand in for another."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def originals():
    """Hub id to reference network."""
    torch.manual_seed(0)
    return {each.hub_id: randomised(ParaCLAP() if each.kind == "paraclap" else ParaSpeechCLAP()) for each in KNOWN}


def saved(state) -> StoredFile:
    """A checkpoint as a large file of the Hub."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return StoredFile(buffer.getvalue(), large=True)


def files_of(folder: Path) -> dict[str, StoredFile]:
    return {path.name: StoredFile(path.read_bytes()) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def server(originals, tmp_path_factory):
    """A Hub with the four models, and with the configurations that their towers have there."""
    towers = {
        "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": [audio_config()],
        "google-bert/bert-base-uncased": [tiny.text_config(), tiny.tokenizer()],
        "microsoft/wavlm-large": [
            tiny.audio_config("wavlm", do_stable_layer_norm=True, layerdrop=0.1, apply_spec_augment=True)
        ],
        "ibm-granite/granite-embedding-278m-multilingual": [tiny.text_config("xlm-roberta"), tiny.tokenizer()],
    }
    with pytest.MonkeyPatch.context() as patches, hub_here(patches) as running:
        patches.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name, parts in towers.items():
            folder = tmp_path_factory.mktemp("tower")
            for part in parts:
                part.save_pretrained(folder)
            publish(running, name, files_of(folder))
        for known in KNOWN:
            stated = (
                {} if known.kind == "paraclap" else {"README.md": StoredFile(f"---\nlicense: {STATED}\n---\n".encode())}
            )
            publish(running, known.hub_id, {known.file: saved(originals[known.hub_id].state_dict())} | stated)
        yield running


def publish(server, name: str, files: dict[str, StoredFile], branch: str = "main") -> str:
    """Add a commit to a repository, which is made if needed; return the commit."""
    repository = server.repositories.setdefault(name, Repository("ann", private=False))
    return repository.commit(branch, files, f"commit {len(repository.titles)}")


@pytest.fixture(scope="module")
def converted(server, tmp_path_factory):
    """Hub id to the folder that it was converted to."""
    folders = {known.hub_id: tmp_path_factory.mktemp("converted") / known.kind for known in KNOWN}
    for hub_id, folder in folders.items():
        smoothclap("convert", hub_id, folder)
    return folders


@torch.no_grad()
@pytest.mark.parametrize("hub_id", [known.hub_id for known in KNOWN])
def test_embeddings_and_logits_equal_the_originals_alone_and_padded(hub_id, originals, converted):
    original, folder = originals[hub_id], converted[hub_id]
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    clips = [3 * clip + 0.05 for clip in tiny.clips(0.05, 0.12, 0.08)]  # neither of mean zero nor of variance one
    if hub_id == PARACLAP:  # which averages over padding, so that only clips alone are to be compared with
        audio = torch.cat([original.embed_audio(torch.from_numpy(clip)[None]) for clip in clips])
        scale = original.logit_scale.exp()
    else:
        audio, scale = original.embed_audio(clips), original.log_logit_scale.exp()
    audio, text = (nn.functional.normalize(each, dim=-1) for each in (audio, original.embed_text(TEXTS)))
    assert (audio[0] - audio[1]).abs().max() > 1e-3 and (text[0] - text[1]).abs().max() > 1e-3
    output = model(**processor(text=TEXTS, audio=clips, sampling_rate=16000, padding=True, return_tensors="pt"))
    torch.testing.assert_close(output.audio_embeds, audio, atol=1e-5, rtol=0)
    torch.testing.assert_close(output.text_embeds, text, atol=1e-5, rtol=0)
    torch.testing.assert_close(output.logits_per_audio / scale, audio @ text.T, atol=1e-5, rtol=0)
    for index, clip in enumerate(clips):
        alone = model.get_audio_features(**processor(audio=clip, sampling_rate=16000, return_tensors="pt"))
        torch.testing.assert_close(alone.pooler_output[0], audio[index], atol=1e-5, rtol=0)
    classify = pipeline("zero-shot-audio-classification", model=str(folder))
    found = {
        each["label"]: each["score"] for each in classify(clips[0], candidate_labels=TEXTS, hypothesis_template="{}")
    }
    expected = (scale * audio[0] @ text.T).softmax(dim=0).tolist()
    assert [found[each] for each in TEXTS] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("hub_id", [PARACLAP, COMBINED])
def test_record_and_card_say_where_the_weights_come_from(hub_id, server, converted):
    known, folder = next(each for each in KNOWN if each.hub_id == hub_id), converted[hub_id]
    repository = server.repositories[hub_id]
    record = json.loads((folder / "conversion.json").read_text())
    assert record["source"] == hub_id and record["revision"] == repository.branches["main"]
    assert record["sha256"] == repository.trees[repository.branches["main"]][known.file].digest
    assert record["weights_licence"] == (None if hub_id == PARACLAP else STATED)
    assert record["training_corpora"] == AutoModel.from_pretrained(folder).config.training_corpora
    assert record["template"] == known.template and len(record["left_out"]) == 2
    card = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
    assert card.data.base_model == [hub_id] and card.data.license == (record["weights_licence"] or "unknown")
    for stated in (record["revision"], known.template, *known.training_corpora):
        assert stated in card.text


@pytest.mark.parametrize(
    ("hub_id", "weights", "audio_encoder", "corpora"),
    [
        (PARACLAP, None, "CC BY-NC-SA 4.0", {"msp-podcast": LICENCES_OF_CORPORA["msp-podcast"]}),
        (COMBINED, STATED, "CC BY-SA 3.0", {"paraspeechcaps": "CC BY-NC-SA 4.0", "voxceleb": None}),
    ],
)
def test_licences_are_recorded_and_go_on_to_what_is_tuned_from_it(converted, hub_id, weights, audio_encoder, corpora):
    known, folder = next(each for each in KNOWN if each.hub_id == hub_id), converted[hub_id]
    found = {(str(each.kind), each.name): each.licence for each in licences_of(folder).inputs}
    expected = {("weights", hub_id): weights, ("audio encoder", known.audio_encoder): audio_encoder}
    expected |= {("text encoder", known.text_encoder): "Apache-2.0"}
    assert expected.items() <= found.items()
    assert {("corpus", name): licence for name, licence in corpora.items()}.items() <= found.items()
    assert len(found) == 3 + len(known.training_corpora)
    card = ModelCard.load(folder / "README.md").text
    assert card.count("## Licences") == 1 and "license: cc-by-nc-sa-4.0" in card
    tuned = RollUp(inputs_of_start(InputKind.MODEL, str(folder)))
    assert {str(each.name) for each in tuned.inputs} == {folder.name, *(name for _, name in found)}
    with pytest.raises(ValueError, match="mit"):
        tuned.check("mit")


def test_the_licences_of_what_python_converted_are_those_of_the_command(converted, server, tmp_path):
    folder = tmp_path / converted[COMBINED].name
    convert(COMBINED, folder, revision=server.repositories[COMBINED].branches["main"])
    assert not (folder / "licences.json").exists()
    assert (folder / "conversion.json").read_bytes() == (converted[COMBINED] / "conversion.json").read_bytes()
    assert set(licences_of(folder).inputs) == set(licences_of(converted[COMBINED]).inputs)
    tuned, same = (set(inputs_of_start(InputKind.MODEL, str(each))) for each in (folder, converted[COMBINED]))
    assert {each for each in same if each.kind != InputKind.MODEL} == tuned  # the command's card states a licence
    smoothclap("card", folder)
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == STATED and "| weights |" in card.text and "| CC BY-SA 3.0 |" in card.text


def test_a_licence_that_the_inputs_rule_out_is_reported_and_not_passed_on(server, originals, tmp_path, logs):
    stated = {"README.md": StoredFile(b"---\nlicense: [mit, apache-2.0]\n---\n")}
    publish(
        server, INTRINSIC, {f"{INTRINSIC.split('/')[1]}.pth.tar": saved(originals[INTRINSIC].state_dict())} | stated
    )
    assert convert_with_card(INTRINSIC, tmp_path).weights_licence == ["mit", "apache-2.0"]
    assert "microsoft/wavlm-large" in logs.text
    for again in (False, True):
        if again:
            smoothclap("card", tmp_path)
        card = ModelCard.load(tmp_path / "README.md")
        assert card.data.license == "unknown" and "mit AND apache-2.0" in card.text


def test_the_next_step_works_as_printed(converted, server, tmp_path):
    printed = smoothclap("convert", COMBINED, tmp_path / "it").stdout
    assert STATED in printed
    command, *options = shlex.split(printed.partition("Next: smoothclap ")[2])
    assert MODELS["paraspeechclap-combined"].template in options
    soundfile.write(tmp_path / "clip.wav", tiny.clips(0.1)[0], 16000)
    ranked = smoothclap(command, tmp_path / "clip.wav", *options).stdout
    assert "angry" in ranked and "anxious" in ranked


def test_the_card_can_be_written_again_and_all_of_it_is_pushed(converted):
    folder = converted[COMBINED]
    smoothclap("card", folder, "--name", "ann/emotions")
    card = ModelCard.load(folder / "README.md")
    record = json.loads((folder / "conversion.json").read_text())
    assert record["revision"] in card.text and card.data.license == STATED
    assert "conversion.json" in push(folder, "ann/emotions", dry_run=True).describe()


def test_without_a_revision_the_latest_commit_is_taken(server, originals, tmp_path):
    known = MODELS["paraspeechclap-situational"]
    state = originals[known.hub_id].state_dict()
    first = server.repositories[known.hub_id].branches["main"]
    latest = publish(server, known.hub_id, {known.file: saved(state | {"log_logit_scale": torch.tensor(1.0)})})
    for asked, commit, scale in ((None, latest, 1.0), (first, first, state["log_logit_scale"].item())):
        assert convert_with_card(known.hub_id, tmp_path / commit, revision=asked).revision == commit
        assert AutoModel.from_pretrained(tmp_path / commit).logit_scale.weight.item() == pytest.approx(scale)
    assert "at missing" in refusal(known.hub_id, tmp_path / "new", revision="missing")


def refusal(source, output, **options) -> str:
    """What the error says of a conversion that must not come about."""
    with pytest.raises(ValueError, match=r"\w") as refused:
        convert_with_card(source, output, **options)
    assert not Path(output).exists() and "\n" not in str(refused.value)
    return str(refused.value)


def test_classification_heads_are_left_out_and_reported_where_the_model_may_have_them(
    server, originals, tmp_path, logs
):
    heads = {"classification_heads.0.weight": torch.zeros(3, 16), "classifier.bias": torch.zeros(3)}
    for hub_id in (INTRINSIC, COMBINED):
        known = next(each for each in KNOWN if each.hub_id == hub_id)
        publish(server, hub_id, {known.file: saved(originals[hub_id].state_dict() | heads)}, "heads")
    done = convert_with_card(INTRINSIC, tmp_path / "out", revision="heads")
    assert set(heads) < set(done.left_out) and "classifier.bias" in logs.text
    assert "classifier.bias" in (tmp_path / "out" / "README.md").read_text()
    assert "classifier.bias" in refusal(COMBINED, tmp_path / "new", revision="heads")


def test_a_file_is_what_its_tensors_and_the_user_say(server, originals, tmp_path):
    paths = {hub_id: tmp_path / f"{hub_id[:3]}.pth.tar" for hub_id in (PARACLAP, COMBINED)}
    torch.save(originals[PARACLAP].state_dict(), paths[PARACLAP])
    torch.save(in_data_parallel(old_weight_norm(originals[COMBINED].state_dict())), paths[COMBINED])
    assert convert_with_card(paths[PARACLAP], tmp_path / "a").model == MODELS["paraclap"]
    done = convert_with_card(paths[COMBINED], tmp_path / "b", kind="paraspeechclap-combined")
    assert (done.model, done.revision) == (MODELS["paraspeechclap-combined"], None)
    assert done.source == paths[COMBINED].name and str(tmp_path) not in (tmp_path / "b" / "conversion.json").read_text()
    weights = originals[COMBINED].text_projection.linear1.weight
    assert torch.equal(AutoModel.from_pretrained(tmp_path / "b").text_projection.linear1.weight, weights)
    assert all(kind in refusal(paths[COMBINED], tmp_path / "new") for kind in MODELS if kind != "paraclap")
    assert "'paraclap'" in refusal(paths[COMBINED], tmp_path / "new", kind="paraclap")
    assert "'paraspeechclap'" in refusal(paths[PARACLAP], tmp_path / "new", kind="paraspeechclap")
    torch.save({n: t for n, t in originals[PARACLAP].state_dict().items() if n != "logit_scale"}, paths[PARACLAP])
    assert "log_logit_scale" in refusal(paths[PARACLAP], tmp_path / "new")


def test_what_is_not_known_or_has_no_effect_is_refused(server, originals, tmp_path):
    for source in ("ann/unknown", str(tmp_path)):
        message = refusal(source, tmp_path / "new")
        assert repr(source) in message and all(known.hub_id in message for known in KNOWN)
    assert "'paraclap'" in refusal(PARACLAP, tmp_path / "new", kind="paraclap")
    path = tmp_path / "best.pth.tar"
    torch.save(originals[PARACLAP].state_dict(), path)
    assert "'main'" in refusal(path, tmp_path / "new", revision="main")
    publish(server, PARACLAP, {"other.bin": saved({})}, "empty")
    assert "best.pth.tar" in refusal(PARACLAP, tmp_path / "new", revision="empty")
    publish(server, PARACLAP, {"best.pth.tar": StoredFile(b"not a checkpoint", large=True)}, "damaged")
    assert f"{PARACLAP}/best.pth.tar" in refusal(PARACLAP, tmp_path / "new", revision="damaged")


def test_without_the_hub_it_says_how_to_go_on(converted, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "--kind paraclap" in error("convert", PARACLAP, tmp_path / "new")
