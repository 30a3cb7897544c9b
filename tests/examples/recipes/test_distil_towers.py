"""The towers: cut from Whisper, distilled from a sentence encoder."""

import json
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import distil_towers
from encoders import text_tower
from encoders.audio_tower import cut_encoder, write_audio_tower
from encoders.byte_tokenizer import train_tokenizer
from encoders.distillation_corpus import CorpusSizes, Sentence, build_corpus, captions, without_leaks
from encoders.distillation_figures import retrieval_accuracy, translation_pairs
from encoders.german import inflect
from encoders.length_batches import shuffled_batches, sorted_batches
from encoders.teacher import Teacher, cached_embeddings
from encoders.text_sources import english_glosses, german_adjectives, german_synonyms, lemma_and_definition
from encoders.text_student import DistillationSettings, agreeing_targets, centred_targets, distillation_loss, small_bert
from encoders.text_tower import distil
from encoders.voice_descriptions import describe, render
from encoders.voice_words import Facet, facets
from speech.packages import Package

from smoothclap_trainer.data.captions import LANGUAGES
from smoothclap_trainer.hub.licences import InputKind, inputs_from_json
from tests.held_out_words import held_out_words


TINY_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 24,
}


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=12,
        d_model=16,
        num_mel_bins=5,
        encoder_layers=4,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=10,
        max_target_positions=7,
        decoder_start_token_id=3,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=2,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if "layer_norm" in name:  # at their initial values, layer norms of different layers look alike
                weight.add_(0.3 * torch.randn_like(weight))
    path = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher")
    tokenizer = Tokenizer(
        models.BPE({chr(code): code - 30 for code in range(32, 123)} | {"?": 1, "_": 0}, [], unk_token="?")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="_", unk_token="?").save_pretrained(path)
    config = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(path)
    return path


def test_cut_equals_the_first_layers(tiny_whisper):
    original = WhisperForConditionalGeneration.from_pretrained(tiny_whisper).model.encoder.eval()
    cut = cut_encoder(original, layers=2, max_source_positions=10)
    features = torch.randn(3, 5, 20)
    with torch.no_grad():
        whole = original(features, output_hidden_states=True).hidden_states
        before_norm = {}
        hook = cut.layers[-1].register_forward_hook(lambda _, __, output: before_norm.update(value=output))
        out = cut(features).last_hidden_state
        hook.remove()
    assert len(cut.layers) == 2 and len(original.layers) == 4
    hidden = before_norm["value"]
    torch.testing.assert_close(hidden if torch.is_tensor(hidden) else hidden[0], whole[2], rtol=0, atol=0)
    torch.testing.assert_close(out, original.layer_norm(whole[2]), rtol=0, atol=0)


def test_audio_tower_loads_without_a_missing_or_unexpected_key(tiny_whisper, tmp_path):
    parameters = write_audio_tower(tiny_whisper, tmp_path / "audio", layers=2, max_source_positions=6)
    restored, report = WhisperEncoder.from_pretrained(tmp_path / "audio", output_loading_info=True)
    assert not any(report.values())
    assert parameters == restored.num_parameters()
    config = json.loads((tmp_path / "audio" / "config.json").read_text())
    assert config["model_type"] == "whisper" and config["decoder_layers"] == 0
    assert (config["encoder_layers"], config["max_source_positions"]) == (2, 6)
    original = WhisperForConditionalGeneration.from_pretrained(tiny_whisper).model.encoder
    assert torch.equal(restored.embed_positions.weight, original.embed_positions.weight[:6])
    assert restored(torch.randn(1, 5, 12)).last_hidden_state.shape == (1, 6, 16)


def test_cut_refuses_more_than_there_is(tiny_whisper, tmp_path):
    with pytest.raises(ValueError, match="encoder_layers=5"):
        write_audio_tower(tiny_whisper, tmp_path, layers=5, max_source_positions=6)
    with pytest.raises(ValueError, match="max_source_positions=11"):
        write_audio_tower(tiny_whisper, tmp_path, layers=2, max_source_positions=11)
    with pytest.raises(SystemExit, match="Whisper"):
        distil_towers.main(["--only", "audio", "--speech-encoder", str(tmp_path / "none"), "--threads", "1"])


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    texts = ["eine leise, traurige Stimme", "a quiet, sad voice", "diese Person ist wütend", "sad"] * 5
    return train_tokenizer(texts, vocab_size=300, max_length=24)


TEXTS = (
    "тихий, грустный голос",
    "安静悲伤的声音",
    "صوت حزين",
    "a sad 😢 voice 👩\u200d🚀",
    "straße, ÄRGER",
    "tab\tand\nline",
    "\x00 \uffff",
)


@pytest.mark.parametrize("text", TEXTS)
def test_any_script_is_encoded_and_decoded(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text.lower()


def test_tokenizer_composes_lowers_pads_right_and_cuts(tokenizer, tmp_path):
    assert tokenizer("wu\u0308tend")["input_ids"] == tokenizer("WÜTEND")["input_ids"]
    assert len(tokenizer) == tokenizer.vocab_size <= 300
    assert [tokenizer.convert_ids_to_tokens(index) for index in range(5)] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]
    batch = tokenizer(["sad", "a quiet, sad voice"], padding=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["input_ids"][0][-1] == tokenizer.pad_token_id and batch["attention_mask"][0][-1] == 0
    # A word alone is the same token as within a sentence.
    assert batch["input_ids"][0][1] in batch["input_ids"][1]
    assert len(tokenizer("x" * 100, truncation=True)["input_ids"]) == 24
    tokenizer.save_pretrained(tmp_path)
    BertConfig().save_pretrained(tmp_path)  # the neighbour that the tower will have
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("Tiefe Stimme 你")["input_ids"] == tokenizer("Tiefe Stimme 你")["input_ids"]
    assert again.model_max_length == 24 and again.padding_side == "right"


def test_german_endings():
    found = [inflect(word, "e") for word in ("tief", "hoch", "dunkel", "leise", "sehr hoch", "rau", "müde")]
    assert found == ["tiefe", "hohe", "dunkle", "leise", "sehr hohe", "raue", "müde"]
    assert [inflect("leise", ending) for ending in ("er", "em")] == ["leiser", "leisem"]


def test_descriptions_fit_their_words():
    low = Facet("pitch:low", "measure", ("low/pitch",), ("niedrig/die/Tonhöhe",))
    old = Facet("speaker:old man", "speaker", ("an old man",), ("ein alter Mann/eines alten Mannes",))
    angry = Facet("emotion:angry", "emotion", ("angry",), ("wütend",))
    rng = random.Random(0)
    said = {
        (language, name): {render(parts, language, rng) for _ in range(300)}
        for language in ("en", "de")
        for name, parts in (("low", [low]), ("old", [old]), ("both", [old, angry]))
    }
    assert {"low pitch", "the pitch is low", "pitch: low", "This is a sound of low pitch."} <= said["en", "low"]
    assert {"niedrige Tonhöhe", "die Tonhöhe ist niedrig", "Sprache mit niedriger Tonhöhe"} <= said["de", "low"]
    assert "die Stimme eines alten Mannes" in said["de", "old"]
    assert "an old man sounds angry" in said["en", "both"] and "ein alter Mann klingt wütend" in said["de", "both"]
    assert any(text.startswith("This is a sound of ") for text in said["de", "both"])


def test_descriptions_are_reproducible_and_bilingual():
    first, again, other = (describe({2: 30, 3: 10}, {1: 1, 2: 2, 3: 1}, seed) for seed in (3, 3, 4))
    assert first == again != other
    assert {each.meaning for each in first if each.language == "en"} == {
        each.meaning for each in first if each.language == "de"
    }
    assert not any(mark in each.text for each in first for mark in "{}/|")
    for each in first:
        attributes = [part.split(":")[0] for part in each.meaning.split(" + ")]
        assert len(attributes) == len(set(attributes))


def test_every_facet_has_both_languages():
    for facet in facets():
        assert facet.english and facet.german and all(facet.english) and all(facet.german), facet
        assert facet.meaning.count(":") == 1


def test_descriptions_hold_no_word_that_evaluations_ask_for_as_unseen():
    assert not [word for facet in facets() for word in facet.english + facet.german if held_out_words(word)]
    made = describe({2: 300, 3: 100}, {1: 8, 2: 2, 3: 1}, seed=0)
    assert not [each.text for each in made if held_out_words(each.text)]


def test_every_wording_of_captions_is_distilled_with_its_meaning():
    made = captions(0, seed=0)
    texts = {(each.language, each.meaning): set() for each in made}
    for each in made:
        texts[each.language, each.meaning].add(each.text)
    for language, data in LANGUAGES.items():
        for group, levels in data.wordings.items():
            for level, wordings in levels.items():
                for phrase in wordings:
                    said = {phrase.format(person=person) for person in data.persons["unknown"]}
                    assert said & texts[language, f"{group}:{level}"], phrase
    known = {facet.meaning for facet in facets()}
    assert {
        f"{group}:{level}" for group in ("pitch", "rate", "intensity", "arousal") for level in ("low", "high")
    } <= known
    assert captions(0, seed=0) == made != captions(0, seed=1)
    assert not [each.text for each in captions(50, seed=0) if held_out_words(each.text)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("packages")
    (root / "usr/share/wordnet").mkdir(parents=True)
    (root / "usr/share/mythes").mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        lines = ["  1 This is the licence  "]
        lines += [f'0000{i} 00 a 01 {part}{"abcdefgh"[i]}(p) 0 000 | the sense {i} of {part}; "so"  ' for i in range(8)]
        (root / f"usr/share/wordnet/data.{part}").write_text("\n".join(lines) + "\n", "ascii")
    stems = ["annehm", "les", "sicht", "trag", "wander", "zeig"]
    lines = ["UTF-8", "traurig|1", "-|traurig|betrübt (geh.)|(sehr) unglücklich", "x|1", "-|allein (nur)"]
    lines += [f"-|{word}bar|sache{index}|ding{index}" for index, word in enumerate(stems)]
    (root / "usr/share/mythes/th_de_DE_v2.dat").write_text("\n".join(lines) + "\n", "utf-8")
    return {"wordnet-base": root, "mythes-de": root}


def test_sources_are_read(packages):
    assert lemma_and_definition('1 00 s 01 sound_asleep(p) 0 000 | deep; in sleep; "he was"  ') == (
        "sound asleep",
        "deep; in sleep",
    )
    glosses = english_glosses(packages["wordnet-base"])
    assert len(glosses) == 32 and glosses[:2] == ["the sense 0 of noun", "nounb: the sense 1 of noun"]
    assert german_synonyms(packages["mythes-de"])[0] == "traurig, betrübt, unglücklich"
    assert "allein" not in german_synonyms(packages["mythes-de"])
    assert german_adjectives(packages["mythes-de"]) == [
        "annehmbar",
        "lesbar",
        "sichtbar",
        "tragbar",
        "traurig",
        "unglücklich",
        "wanderbar",
        "zeigbar",
    ]


TINY_CORPUS = CorpusSizes(
    combinations=(30, 10, 5),
    captions=10,
    adjectives=3,
    glosses=8,
    synonyms=2,
    long=4,
    held_out_meanings=8,
    held_out_texts=2,
)


def test_nothing_held_out_is_trained_on(packages):
    sentences = build_corpus(packages, TINY_CORPUS, seed=0)
    assert sentences == build_corpus(packages, TINY_CORPUS, seed=0)
    held_out = [sentence for sentence in sentences if sentence.held_out]
    trained = [sentence for sentence in sentences if not sentence.held_out]
    assert len({sentence.meaning for sentence in held_out if sentence.source == "description"}) == 8
    assert not {sentence.text.lower() for sentence in held_out} & {sentence.text.lower() for sentence in trained}
    assert not ({sentence.meaning for sentence in held_out} - {None}) & {sentence.meaning for sentence in trained}
    assert {sentence.source for sentence in trained} == {
        "description",
        "caption",
        "adjective",
        "dictionary",
        "gloss",
        "synonyms",
        "long",
    }


def test_leaks_are_closed_by_text_and_by_meaning():
    kept = without_leaks(
        [
            Sentence("a low voice", "en", "caption", None),
            Sentence("A low voice", "en", "description", "pitch:low", held_out=True),
            Sentence("low pitch", "en", "caption", "pitch:low"),
            Sentence("a high voice", "en", "caption", "pitch:high"),
            Sentence("a high voice", "en", "caption", "pitch:high"),
        ]
    )
    assert [(sentence.text, sentence.held_out) for sentence in kept] == [
        ("a low voice", True),
        ("A low voice", True),
        ("a high voice", False),
    ]


def test_batches_hold_each_text_once_and_like_lengths_together():
    lengths = [random.Random(index).randint(1, 50) for index in range(103)]
    assert sorted_batches([3, 1, 2], 2) == [[1, 2], [0]]
    batches = shuffled_batches(lengths, 10, random.Random(0), pool=4)
    assert sorted(index for batch in batches for index in batch) == list(range(103))
    assert max(map(len, batches)) == 10
    spread = [np.ptp([lengths[index] for index in batch]) for batch in batches]
    assert np.mean(spread) < 0.5 * np.ptp(lengths)
    assert batches != shuffled_batches(lengths, 10, random.Random(1), pool=4)


def test_targets_by_hand():
    centred = centred_targets(torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(centred, torch.eye(2))
    mixed = agreeing_targets(torch.eye(3), ["a", "a", None], agreement=1.0)
    half = math.sqrt(0.5)
    torch.testing.assert_close(mixed, torch.tensor([[half, half, 0], [half, half, 0], [0, 0, 1.0]]))
    torch.testing.assert_close(agreeing_targets(torch.eye(3), ["a", "a", None], agreement=0.0), torch.eye(3))


def test_loss_by_hand():
    targets = torch.eye(2)
    assert distillation_loss(targets, targets, 1.0).item() == pytest.approx(0, abs=1e-6)
    # Both texts embedded as the first: cosines 1 and 0 to the targets, and 1 between them where it should be 0.
    collapsed = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert distillation_loss(collapsed, targets, 0.0).item() == pytest.approx(0.5)
    assert distillation_loss(collapsed, targets, 2.0).item() == pytest.approx(0.5 + 2 * (2 / 4))


def test_retrieval_by_hand():
    queries = torch.eye(4)
    assert retrieval_accuracy(queries, queries) == 1.0
    assert retrieval_accuracy(queries, queries[[1, 0, 2, 3]]) == 0.5
    sentences = [
        Sentence("a", "en", "description", "x"),
        Sentence("b", "de", "description", "y"),
        Sentence("c", "de", "description", "x"),
        Sentence("d", "en", "description", "x"),
        Sentence("e", "en", "gloss"),
    ]
    assert translation_pairs(sentences) == ([0], [2])


def test_teacher_pools_over_the_text_only_and_is_asked_once(tiny_teacher, tmp_path, monkeypatch):
    teacher = Teacher(tiny_teacher, torch.float32)
    together = teacher.embed(["a low voice", "x", "a very much longer text than the others"], batch_size=3)
    alone = torch.cat([teacher.embed([text]) for text in ("a low voice", "x")])
    torch.testing.assert_close(together[:2], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    asked = []
    embed = teacher.embed
    monkeypatch.setattr(teacher, "embed", lambda texts: asked.append(list(texts)) or embed(texts))
    first = cached_embeddings(teacher, ["x", "a low voice", "x"], tmp_path)
    second = cached_embeddings(teacher, ["new", "a low voice"], tmp_path)
    assert asked == [["x", "a low voice"], ["new"]]
    torch.testing.assert_close(first[:2], alone[[1, 0]], rtol=0, atol=1e-3)
    assert torch.equal(first[0], first[2]) and torch.equal(second[1], first[1])
    with torch.no_grad():
        teacher.model.embeddings.LayerNorm.bias.add_(1)
    cached_embeddings(teacher, ["x"], tmp_path)  # other weights: nothing cached is theirs
    assert asked[-1] == ["x"]


def test_distillation_learns_from_a_tiny_teacher(tiny_teacher, packages):
    sentences = build_corpus(packages, TINY_CORPUS, seed=0)
    sentences = [sentence for index, sentence in enumerate(sentences) if sentence.held_out or index % 3 == 0]
    embeddings = Teacher(tiny_teacher, torch.float32).embed([sentence.text for sentence in sentences])
    settings = DistillationSettings(epochs=6, batch_size=64, learning_rate=3e-3, bf16=False)
    student, _, figures = distil(sentences, embeddings, settings, vocab_size=400, sizes=TINY_SIZES)
    losses = figures["loss_per_epoch"]
    assert losses[-1] < 0.75 * losses[0]
    untrained, _, before = distil(
        sentences, embeddings, DistillationSettings(epochs=0, bf16=False), vocab_size=400, sizes=TINY_SIZES
    )
    assert figures["held_out_cosine"]["description en"] > before["held_out_cosine"]["description en"] + 0.1
    assert figures["translation_pairs"] == 8
    again, _, _ = distil(sentences, embeddings, settings, vocab_size=400, sizes=TINY_SIZES)
    assert torch.equal(student.map.weight, again.map.weight) and not torch.equal(
        student.map.weight, untrained.map.weight
    )


def test_distillation_needs_sentences_of_both_sorts():
    with pytest.raises(ValueError, match=r"1 .*0 "):
        distil([Sentence("a", "en", "gloss")], functional.normalize(torch.ones(1, 4)), DistillationSettings())


def test_small_bert_ignores_padding(tokenizer):
    model = small_bert(tokenizer, **TINY_SIZES).eval()
    batch = tokenizer(["sad", "a quiet, sad voice"], padding=True, return_tensors="pt")
    alone = tokenizer(["sad"], return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(model(**batch).last_hidden_state[:1, 0], model(**alone).last_hidden_state[:, 0])


def test_the_script_writes_towers_that_auto_classes_load(tiny_teacher, packages, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        distil_towers, "fetch_package", lambda name, cache: Package(name, "1", "0" * 64, packages[name])
    )
    monkeypatch.setattr(distil_towers, "CorpusSizes", lambda: TINY_CORPUS)
    monkeypatch.setattr(text_tower, "distil", lambda *args: distil(*args, vocab_size=400, sizes=TINY_SIZES))
    options = ["--only", "text", "--text-encoder", str(tiny_teacher), "--output", str(tmp_path / "towers")]
    options += ["--cache", str(tmp_path / "cache"), "--epochs", "1", "--threads", "1"]
    distil_towers.main(options)
    assert '"retrieval_student"' in capsys.readouterr().out
    directory = tmp_path / "towers" / "text"
    model, loaded = (
        AutoModel.from_pretrained(directory, add_pooling_layer=False),
        AutoTokenizer.from_pretrained(directory),
    )
    hidden = model(**loaded(["eine hohe Stimme", "安静"], padding=True, return_tensors="pt")).last_hidden_state
    assert hidden.shape[0] == 2 and hidden.shape[2] == 32 and torch.isfinite(hidden).all()
    figures = json.loads((directory / "distillation.json").read_text("utf-8"))
    assert [package["name"] for package in figures["packages"]] == ["wordnet-base", "mythes-de"]
    inputs = inputs_from_json(json.loads((directory / "licences.json").read_text("utf-8")))
    assert [(each.kind, each.licence) for each in inputs] == [
        (InputKind.TEACHER, None),
        (InputKind.SENTENCES, "WordNet-3.0"),
        (InputKind.SENTENCES, "LGPL-2.1"),
    ]
    distil_towers.record_inputs(InputKind.TEACHER, "build/encoders/multilingual-e5-small", directory)
    assert json.loads((directory / "licences.json").read_text("utf-8")) == [
        {"kind": "teacher", "name": "intfloat/multilingual-e5-small", "licence": "MIT"}
    ]
    assert figures["settings"]["epochs"] == 1 and figures["parameters"] == model.num_parameters()
