"""ParaCLAP (arXiv 2406.07203) and ParaSpeechCLAP (arXiv 2603.28737) at a tiny size, written from their descriptions,
and the ways that checkpoints are saved."""

import math
import warnings

import torch
from torch import nn
from transformers import BertModel, Wav2Vec2FeatureExtractor, Wav2Vec2Model, WavLMModel, XLMRobertaModel

from tests import tiny


class Branch(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base


class Projection(nn.Module):
    def __init__(self, width, dim=16):
        super().__init__()
        self.linear1 = nn.Linear(width, dim, bias=False)
        self.linear2 = nn.Linear(dim, dim, bias=False)
        self.layer_norm = nn.LayerNorm(dim)

    def forward(self, x):
        e1 = x @ self.linear1.weight.T
        e2 = (0.5 * e1 * (1 + torch.erf(e1 / math.sqrt(2)))) @ self.linear2.weight.T  # dropout is off in evaluation
        both = e1 + e2
        centred = both - both.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.layer_norm.weight + self.layer_norm.bias


class ParaCLAP(nn.Module):
    """The original architecture: mean over all frames, no mask for audio, BERT with an unused pooler, scale ()."""

    def __init__(self):
        super().__init__()
        self.audio_branch = Branch(Wav2Vec2Model(audio_config()))
        self.text_branch = Branch(BertModel(tiny.text_config()))
        self.audio_projection = Projection(32)
        self.text_projection = Projection(24)
        self.logit_scale = nn.Parameter(torch.tensor(2.5))

    def embed_audio(self, waveforms):
        return self.audio_projection(self.audio_branch.base(waveforms).last_hidden_state.mean(dim=1))

    def embed_text(self, texts):
        tokens = tiny.tokenizer()(texts, padding=True, return_tensors="pt")
        hidden = self.text_branch.base(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        return self.text_projection(hidden[:, 0])

    def cosines(self, waveforms, texts):
        audio, text = self.embed_audio(waveforms), self.embed_text(texts)
        return nn.functional.cosine_similarity(audio[:, None], text[None], dim=-1)


class ParaSpeechCLAP(nn.Module):
    """The original architecture: clips normalised, a masked mean of WavLM, XLM-R with an unused pooler."""

    def __init__(self):
        super().__init__()
        self.audio_branch = Branch(WavLMModel(tiny.audio_config("wavlm", do_stable_layer_norm=True)))
        self.text_branch = Branch(XLMRobertaModel(tiny.text_config("xlm-roberta")))
        self.audio_projection = Projection(32)
        self.text_projection = Projection(24)
        self.log_logit_scale = nn.Parameter(torch.tensor(2.5))

    def embed_audio(self, clips):
        extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
        waves = [torch.from_numpy(extractor(clip, sampling_rate=16000)["input_values"][0]) for clip in clips]
        padded = nn.utils.rnn.pad_sequence(waves, batch_first=True)
        mask = torch.stack([torch.arange(padded.shape[1]) < len(wave) for wave in waves]).long()
        hidden = self.audio_branch.base(padded, attention_mask=mask).last_hidden_state
        frames = self.audio_branch.base._get_feature_vector_attention_mask(hidden.shape[1], mask)
        rows = [row[keep.bool()].mean(dim=0) for row, keep in zip(hidden, frames, strict=True)]
        return self.audio_projection(torch.stack(rows))

    def embed_text(self, texts):
        tokens = tiny.tokenizer()(texts, padding=True, return_tensors="pt")
        hidden = self.text_branch.base(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        return self.text_projection(hidden[:, 0])


def audio_config():
    """As large-robust: stable layer norm and biased convolutions; LayerDrop and SpecAugment as from pretraining."""
    return tiny.audio_config(do_stable_layer_norm=True, conv_bias=True, layerdrop=0.1, apply_spec_augment=True)


def old_weight_norm(state):
    """The state with the positional convolution's weight norm as `torch.nn.utils.weight_norm` names it."""
    prefix = "audio_branch.base.encoder.pos_conv_embed.conv."
    names = {f"{prefix}parametrizations.weight.original{i}": f"{prefix}weight_{part}" for i, part in enumerate("gv")}
    renamed = {names.get(name, name): tensor for name, tensor in state.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        conv = nn.utils.weight_norm(nn.Conv1d(32, 32, 8, groups=2), dim=2)
    # Strict, so these are the very names and shapes that torch's old weight norm has.
    conv.load_state_dict({k.removeprefix(prefix): v for k, v in renamed.items() if k.startswith(prefix)})
    return renamed


def with_position_ids(state):
    return state | {"text_branch.base.embeddings.position_ids": torch.arange(66)[None]}


def without_pooler(state):
    return {name: tensor for name, tensor in state.items() if ".pooler." not in name}


def in_data_parallel(state):
    return {f"module.{name}": tensor for name, tensor in state.items()}


def wrapped(state):
    return {"model": state, "epoch": 3, "optimizer": {"state": {}}}


def save_checkpoint(folder, state, *changes):
    for change in changes:
        state = change(dict(state))
    torch.save(state, folder / "best.pth.tar")
    return folder / "best.pth.tar"
