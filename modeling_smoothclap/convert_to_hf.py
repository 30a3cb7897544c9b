"""Convert published speech CLAPs of ParaCLAP's layout (arXiv 2406.07203) to a SmoothCLAP model and processor."""

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, hf_hub_download
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from .configuration_smoothclap import SmoothCLAPConfig
from .feature_extraction_smoothclap import SmoothCLAPFeatureExtractor
from .modeling_smoothclap import MAX_LOGIT_SCALE, SmoothCLAPModel
from .processing_smoothclap import SmoothCLAPProcessor
from .towers_smoothclap import without_training_noise


logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class SpeechCLAP:
    """
    A published model: where its weights are, and what has to be known of them that they do not say.

    All have ParaCLAP's layout: the mean over time of an audio tower, the first token of a text tower, and its heads.

    Args:
        kind (`str`): What it is called here.
        hub_id, file (`str`): The repository on the Hub, and the file of the weights there.
        paper (`str`): Address of the paper.
        audio_encoder, text_encoder (`str`): Hub ids of the towers' configurations, and of the tokenizer.
        logit_scale (`str`): Its name of the logarithm of the scale.
        do_normalize (`bool`): Whether it was trained on clips with a mean of zero and a variance of one.
        training_corpora (`tuple[str, ...]`): Speech that the weights were trained or selected on.
        labels (`tuple[str, ...]`): Examples of what it was made to tell apart.
        template (`str`): The sentence that its authors put a label into, at `{}`.
        extra_tensors (`str`): Regular expression for what the file may hold beside the dual encoder.
    """

    kind: str
    hub_id: str
    file: str
    paper: str
    audio_encoder: str
    text_encoder: str
    logit_scale: str
    do_normalize: bool
    training_corpora: tuple[str, ...]
    labels: tuple[str, ...]
    template: str = "{}"
    extra_tensors: str = "(?!)"  # none


def _paraspeechclap(part: str, labels: tuple[str, ...], **more: Any) -> SpeechCLAP:
    """Return one of the models of arXiv 2603.28737, by its public code at 4767eea, `scripts/inference.py`."""
    return SpeechCLAP(
        kind=f"paraspeechclap-{part}",
        hub_id=f"ajd12342/paraspeechclap-{part}",
        file=f"paraspeechclap-{part}.pth.tar",
        paper="https://arxiv.org/abs/2603.28737",
        audio_encoder="microsoft/wavlm-large",
        text_encoder="ibm-granite/granite-embedding-278m-multilingual",
        logit_scale="log_logit_scale",
        do_normalize=True,
        # ParaSpeechCaps, and the corpora that its speech is from.
        training_corpora=("paraspeechcaps", "ears", "emilia", "expresso", "voxceleb"),
        labels=labels,
        template="A person is speaking in a {} style.",
        **more,
    )


KNOWN = (
    SpeechCLAP(
        kind="paraclap",
        hub_id="KeiKinn/paraclap",
        file="best.pth.tar",
        paper="https://arxiv.org/abs/2406.07203",
        audio_encoder="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        text_encoder="google-bert/bert-base-uncased",
        logit_scale="logit_scale",
        do_normalize=False,
        training_corpora=("msp-podcast",),  # as its paper says; its audio tower's are the same
        labels=("happy", "sad", "surprise", "angry"),
    ),
    _paraspeechclap("situational", ("angry", "happy", "calm", "whispered", "enthusiastic", "saddened", "anxious")),
    _paraspeechclap("intrinsic", ("deep", "shrill", "nasal", "husky", "raspy"), extra_tensors=r"classif\w*\."),
    _paraspeechclap("combined", ("angry", "happy", "calm", "whispered", "enthusiastic", "saddened", "anxious")),
)
"""The models that can be converted by their Hub id."""
PASS_ONE_OF_KNOWN = f"pass {', '.join(known.hub_id for known in KNOWN)}, or the file of such weights"

# This package's name of a tower and ParaCLAP's.
BRANCHES = {"audio_model": "audio_branch.base", "text_model": "text_branch.base"}
# The positional convolution's weight norm, as torch spelled it before parametrizations and since.
WEIGHT_NORM = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}
POOLER = ("text_branch.base.pooler.dense.weight", "text_branch.base.pooler.dense.bias")
POSITION_IDS = "text_branch.base.embeddings.position_ids"  # the numbers 0, 1, 2, ..., which BERT no longer saves
PROJECTION = "audio_projection.linear1.weight"
SCALES = {known.logit_scale for known in KNOWN}


@dataclass(frozen=True)
class Conversion:
    """
    What was converted.

    Args:
        model ([`SpeechCLAP`]): The published model, with the configurations of the towers that were used.
        source (`str`): Its Hub id, or the name of the file.
        revision (`str`, *optional*): The commit on the Hub.
        sha256 (`str`): SHA-256 of the file.
        weights_licence (`str`, *optional*): As the repository states it at that commit; None if it states none.
        left_out (`tuple[str, ...]`): Tensors that are not part of the result.
    """

    model: SpeechCLAP
    source: str
    revision: str | None
    sha256: str
    weights_licence: str | None
    left_out: tuple[str, ...]

    def to_json(self) -> str:
        """Return the record of it, which may be published: folders are called by their last part."""
        record = vars(self) | asdict(self.model)
        for name in ("audio_encoder", "text_encoder"):
            record[name] = Path(record[name]).resolve().name if Path(record[name]).is_dir() else record[name]
        unsaid = ("model", "hub_id", "extra_tensors")
        return json.dumps({name: value for name, value in record.items() if name not in unsaid}, indent=2) + "\n"


def convert(
    source: str | Path,
    output: str | Path,
    audio_config: str | Path | None = None,
    text_config: str | Path | None = None,
    kind: str | None = None,
    revision: str | None = None,
) -> Conversion:
    """
    Write a published speech CLAP as a folder for `AutoModel`, `AutoProcessor` and the zero-shot pipeline.

    Each clip and text gets the embedding that the original gives it alone, scaled to unit length. (In a padded batch
    ParaCLAP averages over the padding, too.) The text tower's pooler, which the originals never use, is left out.
    LayerDrop and SpecAugment are turned off. `training_corpora` of the configuration are those of the published
    model: change them for a checkpoint that was trained on other speech. `conversion.json` says what was converted; the
    licences of what the weights were made from follow from it.

    Args:
        source (`str` or `Path`): Hub id of one of [`KNOWN`]; or a file of one of these kinds: a state dict, bare or
            under `"model"`.
        output (`str` or `Path`): Folder to write to; it is made if needed.
        audio_config (`str` or `Path`, *optional*): Hub id or folder of another configuration of the audio tower. For
            ParaCLAP without a network, `SmoothCLAPConfig().audio_config.save_pretrained(folder)` writes it.
        text_config (`str` or `Path`, *optional*): Hub id or folder of the text tower's configuration and tokenizer.
        kind (`str`, *optional*): What a file is, such as `"paraspeechclap-combined"`, where its tensors leave it open.
        revision (`str`, *optional*): Branch, tag or commit on the Hub; by default the latest commit.

    Returns:
        [`Conversion`]: What was converted, and what of it was left out. The weights are float32.

    Raises:
        ValueError: The source is not known, a file cannot be read or written, or it is not what it is said to be.
    """
    path, commit, licence = Path(source), None, None
    if path.is_file():
        if revision is not None:
            raise ValueError(f"`revision` {revision!r} has no effect on the file {path}; leave it out.")
        name = str(path)
        state = _read_state_dict(path, name)
        known = _recognised(state, name, kind)
    else:
        known = _known_on_the_hub(str(source), kind)
        path, commit, licence = _download(known, revision)
        name = f"{known.hub_id}/{known.file}"
        state = _read_state_dict(path, name)
    audio, text = str(audio_config or known.audio_encoder), str(text_config or known.text_encoder)
    known = replace(known, audio_encoder=audio, text_encoder=text)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    left_out = _write(state, known, name, output)
    conversion = Conversion(known, known.hub_id if commit else path.name, commit, sha256, licence, left_out)
    (Path(output) / "conversion.json").write_text(conversion.to_json(), encoding="utf-8")
    return conversion


def _known_on_the_hub(source: str, kind: str | None) -> SpeechCLAP:
    found = next((known for known in KNOWN if known.hub_id == source), None)
    if found is None:
        wrong = "a folder" if Path(source).is_dir() else "neither a file nor a known model on the Hub"
        raise ValueError(f"{source!r} is {wrong}: {PASS_ONE_OF_KNOWN}.")
    if kind is not None:
        raise ValueError(f"`kind` {kind!r} has no effect: {source} is known to be {found.kind}; leave it out.")
    return found


def _download(known: SpeechCLAP, revision: str | None) -> tuple[Path, str, str | None]:
    """Return the file of the weights, the commit that it is of, and the licence that the repository states."""
    try:
        info = HfApi().model_info(known.hub_id, revision=revision)
        path = hf_hub_download(known.hub_id, known.file, revision=info.sha)
    except Exception as error:  # of the network, of the Hub, of the disk
        raise ValueError(
            f"Cannot download {known.file} of {known.hub_id} at {revision or 'its latest commit'} ({_reason(error)}); "
            f"try again, or pass the file and `--kind {known.kind}`."
        ) from error
    return Path(path), str(info.sha), info.card_data.license if info.card_data else None


def _recognised(state: Mapping[str, torch.Tensor], name: str, kind: str | None) -> SpeechCLAP:
    """Return what a file is: what it is said to be, if its tensors agree, or the only kind that has such tensors."""
    fitting = {known.kind: known for known in KNOWN if known.logit_scale in state}
    if not fitting:
        raise ValueError(_unknown(name, f"it lacks the scale, {' or '.join(sorted(SCALES))}"))
    if kind in fitting:
        return fitting[kind]
    if kind is not None or len(fitting) > 1:
        wrong = f", not {kind!r}" if kind is not None else ""
        raise ValueError(f"By its tensors {name} is {' or '.join(fitting)}{wrong}: say by --kind which it is.")
    return next(iter(fitting.values()))


def _write(state: Mapping[str, torch.Tensor], known: SpeechCLAP, name: str, output: str | Path) -> tuple[str, ...]:
    """Write model and processor; return which tensors were left out."""
    audio = _from_pretrained(AutoConfig, known.audio_encoder, "audio configuration", "--audio-config")
    text = _from_pretrained(AutoConfig, known.text_encoder, "text configuration", "--text-config")
    config = SmoothCLAPConfig(
        audio_config=without_training_noise(audio),
        text_config=text,
        projection_dim=state[PROJECTION].shape[0],
        training_corpora=list(known.training_corpora),
    )
    model = SmoothCLAPModel(config)
    extractor = SmoothCLAPFeatureExtractor.from_audio_config(audio, do_normalize=known.do_normalize)
    processor = SmoothCLAPProcessor(extractor, _read_tokenizer(known.text_encoder, text.vocab_size))
    renamed, left_out = _renamed(state, model, known, name)
    model.load_state_dict(renamed, strict=True)
    if (logit_scale := model.logit_scale.weight.item()) > MAX_LOGIT_SCALE:
        logger.warning(
            f"The checkpoint's logit scale, exp({logit_scale:.3f}), is above 100, where this model holds it. "
            "Embeddings and rankings are the original's; probabilities are closer together."
        )
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
        model.save_pretrained(output)
        processor.save_pretrained(output)
    except OSError as error:
        raise ValueError(f"Cannot write to {output} ({error.strerror or error}); choose another folder.") from error
    return left_out


def _read_state_dict(path: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the checkpoint's tensors under ParaCLAP's names, as today's torch names weight norm."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickle protocols; what matters of them is raised as well
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can make torch.load raise nearly anything
        raise ValueError(
            f"{name} cannot be read as a PyTorch checkpoint ({type(error).__name__}): it is damaged, of another "
            "format, or holds more than tensors and plain values, which is refused because loading it could run code; "
            f"{PASS_ONE_OF_KNOWN}."
        ) from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("model"), Mapping):
        loaded = loaded["model"]
    if not isinstance(loaded, Mapping):
        raise ValueError(_unknown(name, f"it holds a {type(loaded).__name__}, not a state dict"))
    odd = [key for key, value in loaded.items() if not (isinstance(key, str) and isinstance(value, torch.Tensor))]
    if odd:
        raise ValueError(_unknown(name, f"its entries {_some(odd)} are not named tensors"))
    if (state := _in_todays_spelling(loaded)).get(PROJECTION, torch.zeros(())).ndim != 2:
        raise ValueError(_unknown(name, f"it holds {_some(state)}, not the matrix {PROJECTION}"))
    return state


def _unknown(name: str, what: str) -> str:
    return f"{name} is not a checkpoint of a known kind: {what}; {PASS_ONE_OF_KNOWN}."


def _in_todays_spelling(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if all(name.startswith("module.") for name in state):  # saved from inside DataParallel
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    spelled = {}
    for name, tensor in state.items():
        for old, new in WEIGHT_NORM.items():
            # With both spellings in one file neither is the right one; the old is left to be refused as unexpected.
            if name.endswith(old) and name.removesuffix(old) + new not in state:
                name = name.removesuffix(old) + new
        spelled[name] = tensor.reshape(1) if name in SCALES and tensor.ndim == 0 else tensor
    return spelled


def _from_pretrained(loader: Any, source: str, what: str, option: str) -> Any:
    try:
        return loader.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # OSError, ValueError and more, by what is wrong with the files or the network
        raise ValueError(
            f"Cannot read the {what} from {source!r} ({_reason(error)}); pass as {option} a folder that holds it, or a "
            "Hub id while the Hub can be reached."
        ) from error


def _read_tokenizer(source: str, vocab_size: int) -> PreTrainedTokenizerBase:
    tokenizer = _from_pretrained(AutoTokenizer, source, "tokenizer", "--text-config")
    if len(tokenizer) > vocab_size:
        raise ValueError(
            f"The tokenizer from {source!r} has {len(tokenizer)} tokens, but the text configuration there has "
            f"room for {vocab_size}; pass as --text-config a folder where the two belong together."
        )
    return tokenizer


def _renamed(
    state: Mapping[str, torch.Tensor], model: SmoothCLAPModel, known: SpeechCLAP, checkpoint: str
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Return the checkpoint's tensors under the model's names, and the names of those that are left out on purpose.

    A `ValueError` says what does not fit.
    """
    theirs = {name: _their_name(name, known) for name in model.state_dict()}
    rest = [name for name in state if name not in theirs.values() and name != POSITION_IDS]
    left_out = tuple(name for name in rest if name in POOLER or re.match(known.extra_tensors, name))
    missing = [name for name in theirs.values() if name not in state]
    misshapen = [
        f"{theirs[name]} of shape {tuple(state[theirs[name]].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in model.state_dict().items()
        if theirs[name] in state and state[theirs[name]].shape != tensor.shape
    ]
    unexpected = [name for name in rest if name not in left_out]
    found = {"lacks": missing, "has the unexpected": unexpected, "has": misshapen}
    problems = [f"it {verb} {_some(names)}" for verb, names in found.items() if names]
    if problems:
        raise ValueError(
            f"{checkpoint} does not fit the configurations of {known.kind}: {'; '.join(problems)}; pass the "
            "configurations it was trained with as --audio-config and --text-config."
        )
    if left_out:
        logger.warning(f"Left out on purpose: {', '.join(left_out)}. No embedding of {known.kind} depends on them.")
    return {name: state[theirs[name]] for name in theirs}, left_out


def _their_name(name: str, known: SpeechCLAP) -> str:
    if name == "logit_scale.weight":
        return known.logit_scale
    part, _, rest = name.partition(".")
    return f"{BRANCHES.get(part, part)}.{rest}"


def _reason(error: Exception) -> str:
    said = getattr(error, "server_message", None) or error  # of the Hub
    return str(said).partition("\n")[0].strip(" .:") or type(error).__name__


def _some(names: Iterable[Any]) -> str:
    """Return the first three names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return (", ".join(listed[:3]) or "nothing") + more
