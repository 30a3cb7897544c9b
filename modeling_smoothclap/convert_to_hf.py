"""Convert a checkpoint of SmoothCLAP's predecessor ParaCLAP (arXiv 2406.07203) to a SmoothCLAP model and processor."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from .configuration_smoothclap import SmoothCLAPConfig
from .feature_extraction_smoothclap import SmoothCLAPFeatureExtractor
from .modeling_smoothclap import MAX_LOGIT_SCALE, SmoothCLAPModel
from .processing_smoothclap import SmoothCLAPProcessor
from .towers_smoothclap import without_training_noise


logger = logging.get_logger(__name__)

PARACLAP_AUDIO_CONFIG = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
PARACLAP_TEXT_CONFIG = "bert-base-uncased"
PARACLAP_CORPORA = ("msp-podcast",)  # of the published checkpoint, as its paper says; its audio tower's are the same

# This package's name of a tower and ParaCLAP's.
BRANCHES = {"audio_model": "audio_branch.base", "text_model": "text_branch.base"}
# The positional convolution's weight norm, as torch spelled it before parametrizations and since.
WEIGHT_NORM = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}
POOLER = ("text_branch.base.pooler.dense.weight", "text_branch.base.pooler.dense.bias")
POSITION_IDS = "text_branch.base.embeddings.position_ids"  # the numbers 0, 1, 2, ..., which BERT no longer saves
PROJECTION = "audio_projection.linear1.weight"


def convert(
    checkpoint: str | Path,
    output: str | Path,
    audio_config: str | Path = PARACLAP_AUDIO_CONFIG,
    text_config: str | Path = PARACLAP_TEXT_CONFIG,
) -> SmoothCLAPModel:
    """
    Write a ParaCLAP checkpoint as a folder for `AutoModel`, `AutoProcessor` and the zero-shot pipeline.

    Each clip and text gets the embedding that ParaCLAP gives it alone, scaled to unit length. (In a padded batch
    ParaCLAP averages over the padding, too.) BERT's pooler, which ParaCLAP never used, is left out. LayerDrop and
    SpecAugment are turned off. `training_corpora` of the configuration names MSP-Podcast, as ParaCLAP's paper does:
    change it for a checkpoint that was trained on other speech.

    Args:
        checkpoint (`str` or `Path`): ParaCLAP's `best.pth.tar`: a state dict, bare or under `"model"`.
        output (`str` or `Path`): Folder to write to; it is made if needed.
        audio_config (`str` or `Path`, *optional*): Hub id or folder of the audio tower's configuration. Without a
            network, `SmoothCLAPConfig().audio_config.save_pretrained(folder)` writes the default's architecture.
        text_config (`str` or `Path`, *optional*): Hub id or folder of the text tower's configuration and tokenizer.

    Returns:
        [`SmoothCLAPModel`]: The converted model, float32, in evaluation mode.

    Raises:
        ValueError: A file cannot be read or written, or the checkpoint is not ParaCLAP's or does not fit.
    """
    state = _read_state_dict(Path(checkpoint))
    if PROJECTION not in state or state[PROJECTION].ndim != 2:
        raise ValueError(
            f"{checkpoint} is not a ParaCLAP checkpoint: it lacks the matrix {PROJECTION} and holds {_some(state)}."
        )
    audio = _from_pretrained(AutoConfig, audio_config, "audio configuration", "--audio-config")
    text = _from_pretrained(AutoConfig, text_config, "text configuration", "--text-config")
    config = SmoothCLAPConfig(
        audio_config=without_training_noise(audio),
        text_config=text,
        projection_dim=state[PROJECTION].shape[0],
        training_corpora=list(PARACLAP_CORPORA),
    )
    model = SmoothCLAPModel(config)
    extractor = SmoothCLAPFeatureExtractor.from_audio_config(audio, do_normalize=False)
    processor = SmoothCLAPProcessor(extractor, _read_tokenizer(text_config, text.vocab_size))
    model.load_state_dict(_renamed(state, model, checkpoint), strict=True)
    if (logit_scale := model.logit_scale.weight.item()) > MAX_LOGIT_SCALE:
        logger.warning(
            f"The checkpoint's logit scale, exp({logit_scale:.3f}), is above 100, where this model holds it. "
            "Embeddings and rankings are ParaCLAP's; probabilities are closer together."
        )
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
        model.save_pretrained(output)
        processor.save_pretrained(output)
    except OSError as error:
        raise ValueError(f"Cannot write to {output} ({error.strerror or error}); choose another folder.") from error
    return model.eval()


def _read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the checkpoint's tensors under ParaCLAP's names, as today's torch names weight norm."""
    if not path.is_file():
        raise ValueError(f"There is no file {path}; give the path of a ParaCLAP checkpoint, e.g. best.pth.tar.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickle protocols; what matters of them is raised as well
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can make torch.load raise nearly anything
        raise ValueError(
            f"{path} cannot be read as a PyTorch checkpoint ({type(error).__name__}): it is damaged, of another "
            "format, or holds more than tensors and plain values, which is refused because loading it could run code."
        ) from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("model"), Mapping):
        loaded = loaded["model"]
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{path} is not a ParaCLAP checkpoint: it holds a {type(loaded).__name__}, not a state dict.")
    odd = [name for name, value in loaded.items() if not (isinstance(name, str) and isinstance(value, torch.Tensor))]
    if odd:
        raise ValueError(f"{path} is not a ParaCLAP checkpoint: its entries {_some(odd)} are not named tensors.")
    return _in_todays_spelling(loaded)


def _in_todays_spelling(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if all(name.startswith("module.") for name in state):  # saved from inside DataParallel
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    spelled = {}
    for name, tensor in state.items():
        for old, new in WEIGHT_NORM.items():
            # With both spellings in one file neither is the right one; the old is left to be refused as unexpected.
            if name.endswith(old) and name.removesuffix(old) + new not in state:
                name = name.removesuffix(old) + new
        spelled[name] = tensor.reshape(1) if name == "logit_scale" and tensor.ndim == 0 else tensor
    return spelled


def _from_pretrained(loader: Any, source: str | Path, what: str, option: str) -> Any:
    try:
        return loader.from_pretrained(str(source), trust_remote_code=False)
    except Exception as error:  # OSError, ValueError and more, by what is wrong with the files or the network
        reason = str(error).partition("\n")[0].strip(" .:") or type(error).__name__
        raise ValueError(
            f"Cannot read the {what} from {str(source)!r} ({reason}); pass as {option} a folder that holds it, or a "
            "Hub id while the Hub can be reached."
        ) from error


def _read_tokenizer(source: str | Path, vocab_size: int) -> PreTrainedTokenizerBase:
    tokenizer = _from_pretrained(AutoTokenizer, source, "tokenizer", "--text-config")
    if len(tokenizer) > vocab_size:
        raise ValueError(
            f"The tokenizer from {str(source)!r} has {len(tokenizer)} tokens, but the text configuration there has "
            f"room for {vocab_size}; pass as --text-config a folder where the two belong together."
        )
    return tokenizer


def _renamed(
    state: Mapping[str, torch.Tensor], model: SmoothCLAPModel, checkpoint: str | Path
) -> dict[str, torch.Tensor]:
    """Return the checkpoint's tensors under the model's names, or raise a ValueError that says what does not fit."""
    theirs = {name: _paraclap_name(name) for name in model.state_dict()}
    left_out = {POSITION_IDS, *POOLER}
    missing = [name for name in theirs.values() if name not in state]
    unexpected = [name for name in state if name not in theirs.values() and name not in left_out]
    misshapen = [
        f"{theirs[name]} of shape {tuple(state[theirs[name]].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in model.state_dict().items()
        if theirs[name] in state and state[theirs[name]].shape != tensor.shape
    ]
    found = {"lacks": missing, "has the unexpected": unexpected, "has": misshapen}
    problems = [f"it {verb} {_some(names)}" for verb, names in found.items() if names]
    if problems:
        raise ValueError(
            f"{checkpoint} does not fit the configurations: {'; '.join(problems)}; pass the configurations it was "
            "trained with as --audio-config and --text-config."
        )
    dropped = [name for name in POOLER if name in state]
    if dropped:
        logger.warning(f"Left out on purpose: {', '.join(dropped)}. ParaCLAP never used BERT's pooler.")
    return {name: state[theirs[name]] for name in theirs}


def _paraclap_name(name: str) -> str:
    if name == "logit_scale.weight":
        return "logit_scale"
    part, _, rest = name.partition(".")
    return f"{BRANCHES.get(part, part)}.{rest}"


def _some(names: Iterable[Any]) -> str:
    """Return the first three names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return (", ".join(listed[:3]) or "nothing") + more
