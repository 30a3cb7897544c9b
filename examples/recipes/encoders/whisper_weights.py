"""Turn Whisper's weights, as CTranslate2 names and fuses them, into a Transformers model."""

from collections.abc import Iterator, Mapping

import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

from .strict_loading import fill_strictly


Named = Iterator[tuple[str, Tensor]]


class WhisperWeights:
    """
    Walks through the arrays and yields each as (name in Transformers, tensor).

    CTranslate2 fuses projections of the same input along the rows: query, key and value in self-attention, key and
    value in cross-attention. Key has no bias in Whisper; the fused bias holds zeros there.

    Args:
        arrays (`Mapping[str, NDArray]`): Arrays by CTranslate2's names.
    """

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self.arrays = arrays

    def array(self, name: str) -> NDArray:
        if name not in self.arrays:
            raise ValueError(f"The file holds no weight {name!r}: it is no Whisper model, or an incomplete one.")
        return self.arrays[name]

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.array(name).astype("float32"))

    def layers(self, side: str) -> int:
        """How many layers the encoder or decoder has."""
        indices = {name.split("/")[1] for name in self.arrays if name.startswith(f"{side}/layer_")} - {"layer_norm"}
        return len(indices)

    def linear(self, source: str, target: str) -> Named:
        yield f"{target}.weight", self.tensor(f"{source}/weight")
        yield f"{target}.bias", self.tensor(f"{source}/bias")

    def norm(self, source: str, target: str) -> Named:
        yield f"{target}.weight", self.tensor(f"{source}/gamma")
        yield f"{target}.bias", self.tensor(f"{source}/beta")

    def fused(self, source: str, targets: tuple[str, ...]) -> Named:
        weights = self.tensor(f"{source}/weight").chunk(len(targets))
        biases = self.tensor(f"{source}/bias").chunk(len(targets))
        for target, weight, bias in zip(targets, weights, biases, strict=True):
            yield f"{target}.weight", weight.clone()
            if not target.endswith("k_proj"):
                yield f"{target}.bias", bias.clone()
            elif bias.any():
                raise ValueError(f"{source}/bias is not zero for the keys, which have no bias in Whisper.")

    def layer(self, side: str, index: int) -> Named:
        source, target = f"{side}/layer_{index}", f"model.{side}.layers.{index}"
        own = f"{target}.self_attn"
        yield from self.fused(f"{source}/self_attention/linear_0", tuple(f"{own}.{name}_proj" for name in "qkv"))
        yield from self.linear(f"{source}/self_attention/linear_1", f"{own}.out_proj")
        yield from self.norm(f"{source}/self_attention/layer_norm", f"{own}_layer_norm")
        if side == "decoder":
            cross = f"{target}.encoder_attn"
            yield from self.linear(f"{source}/attention/linear_0", f"{cross}.q_proj")
            yield from self.fused(f"{source}/attention/linear_1", tuple(f"{cross}.{name}_proj" for name in "kv"))
            yield from self.linear(f"{source}/attention/linear_2", f"{cross}.out_proj")
            yield from self.norm(f"{source}/attention/layer_norm", f"{cross}_layer_norm")
        yield from self.linear(f"{source}/ffn/linear_0", f"{target}.fc1")
        yield from self.linear(f"{source}/ffn/linear_1", f"{target}.fc2")
        yield from self.norm(f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")

    def __iter__(self) -> Named:
        for name in ("conv1", "conv2"):
            yield from self.linear(f"encoder/{name}", f"model.encoder.{name}")
        embeddings = self.tensor("decoder/embeddings/weight")
        yield "model.decoder.embed_tokens.weight", embeddings
        yield "proj_out.weight", embeddings
        for side in ("encoder", "decoder"):
            positions = self.tensor(f"{side}/position_encodings/encodings")
            yield f"model.{side}.embed_positions.weight", positions
            yield from self.norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
            for index in range(self.layers(side)):
                yield from self.layer(side, index)


def whisper_from_ctranslate2(
    arrays: Mapping[str, NDArray], *, start_token: int, end_token: int
) -> WhisperForConditionalGeneration:
    """
    Build Whisper from CTranslate2's arrays; sizes are read off the arrays' shapes.

    Args:
        arrays (`Mapping[str, NDArray]`): Arrays by CTranslate2's names.
        start_token (`int`): Id of `<|startoftranscript|>`.
        end_token (`int`): Id of `<|endoftext|>`, which Whisper also pads with.

    Raises:
        ValueError: An array is missing or of an unexpected shape.
    """
    weights = WhisperWeights(arrays)
    width, num_mel_bins, _ = weights.array("encoder/conv1/weight").shape
    config = WhisperConfig(
        vocab_size=weights.array("decoder/embeddings/weight").shape[0],
        d_model=width,
        num_mel_bins=num_mel_bins,
        encoder_layers=weights.layers("encoder"),
        decoder_layers=weights.layers("decoder"),
        encoder_attention_heads=int(weights.array("encoder/num_heads")),
        decoder_attention_heads=int(weights.array("decoder/num_heads")),
        encoder_ffn_dim=weights.array("encoder/layer_0/ffn/linear_0/weight").shape[0],
        decoder_ffn_dim=weights.array("decoder/layer_0/ffn/linear_0/weight").shape[0],
        max_source_positions=weights.array("encoder/position_encodings/encodings").shape[0],
        max_target_positions=weights.array("decoder/position_encodings/encodings").shape[0],
        decoder_start_token_id=start_token,
        bos_token_id=end_token,
        eos_token_id=end_token,
        pad_token_id=end_token,
        begin_suppress_tokens=None,
    )
    return fill_strictly(WhisperForConditionalGeneration(config), dict(weights))
