"""Prompts: their wordings, and an encoder that takes vectors in the place of words."""

import copy
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import AfterValidator
from tokenizers import AddedToken

from modeling_smoothclap.scores_smoothclap import logit_scale_of
from modeling_smoothclap.towers_smoothclap import longest_text

from ..config import Settings
from ..data.cache import CONFIG_ORIGINS


SLOT = "<ctx>"
"""Stands for the vectors of an acoustic context in a template."""
EMOTION = "{emotion}"
"""Stands for the name of a class in a template; the name is inserted as it is, so its form must fit the sentence."""


def _slots(contexts: int, emotions: int) -> AfterValidator:
    def check(template: str) -> str:
        if (template.count(SLOT), template.count(EMOTION)) != (contexts, emotions):
            marks = ((SLOT, contexts), (EMOTION, emotions))
            wanted = " and ".join(f"{'one' if count else 'no'} {mark}" for mark, count in marks)
            raise ValueError(f"must have {wanted}, unlike {template!r}")
        return template

    return AfterValidator(check)


class PromptTemplates(Settings):
    """Three wordings: of an acoustic context, of an emotion in a context, and of an emotion."""

    # English, ours, after PromptStyler's "a S* style of a [class]"; those of the CLEP-DG paper are not known to us.
    context: Annotated[str, _slots(1, 0)] = "speech recorded in a <ctx> acoustic environment"
    joint: Annotated[str, _slots(1, 1)] = "{emotion} speech recorded in a <ctx> acoustic environment"
    content: Annotated[str, _slots(0, 1)] = "{emotion} speech"

    def joint_prompts(self, class_names: Sequence[str]) -> list[str]:
        """Return the joint template for each class; a `ValueError` names class names that cannot be used."""
        return _filled(self.joint, class_names)

    def written_prompts(self, class_names: Sequence[str], language: str) -> list[list[str]]:
        """Return the content prompt of each class in each hand-written context, (40, N)."""
        content = self.content_prompts(class_names)
        return [[context.replace("{content}", prompt) for prompt in content] for context in written_contexts(language)]

    def content_prompts(self, class_names: Sequence[str]) -> list[str]:
        """Return the content template for each class, as [`~PromptTemplates.joint_prompts`]."""
        return _filled(self.content, class_names)


ENGLISH = PromptTemplates()
GERMAN = PromptTemplates(
    context="Sprache, aufgenommen in einer <ctx> akustischen Umgebung",
    joint="Sprache, die {emotion} klingt, aufgenommen in einer <ctx> akustischen Umgebung",
    content="Sprache, die {emotion} klingt",
)
"""German wordings (ours). An adjective in the place of `{emotion}` keeps its plain form: "traurig", "wütend"."""


LANGUAGES = ("en", "de")
"""Of the hand-written contexts."""


@cache
def written_contexts(language: str) -> tuple[str, ...]:
    """Return the 40 hand-written contexts in a language, each with a place for `{content}`, a prompt."""
    said = _written()[language]
    return tuple(said["frame"].replace("{context}", context) for context in said["contexts"])


@cache
def kinds_of_written() -> tuple[str, ...]:
    """Return the kind of each hand-written context, the same in every language: "telephones", "noise", ..."""
    return tuple(kind for kind, count in _written()["kinds"].items() for _ in range(count))


def _written() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("written_contexts.toml").read_text(encoding="utf-8"))


def _filled(template: str, class_names: Sequence[str]) -> list[str]:
    if isinstance(class_names, str) or not len(class_names):
        raise ValueError(f"`class_names` must be a list of at least one name, not {class_names!r}.")
    if unfit := [name for name in class_names if not isinstance(name, str) or not name.strip() or SLOT in name]:
        raise ValueError(f"Class names must be words without {SLOT}, unlike {unfit}.")
    if repeated := [name for name, times in Counter(class_names).items() if times > 1]:
        raise ValueError(f"Class names must differ, but these are repeated: {repeated}.")
    return [template.replace(EMOTION, name) for name in class_names]


PROBES = (
    "Speech recorded in a <ctx> acoustic environment.",
    "<ctx>: WÜTENDE Stimmen, naïve cafés; don't re-record 1,234.5 dB!",
    "грустный голос  悲しい声 صوت حزين 슬픈\n(unhappily) <ctx>",
)
"""Texts that a tokenizer's fingerprint covers: case, accents, scripts, spaces, punctuation, the slot."""
# Fields of a configuration that do not decide an embedding: those of other heads, of training and of bookkeeping.
DECIDES_NOTHING = (*CONFIG_ORIGINS, "id2label", "label2id", "problem_type", "use_cache")
DECIDES_NOTHING_IN = ("dropout", "initializer_", "output_")


FIRST_TOKEN_FAMILIES = ("bert", "roberta", "xlm-roberta", "clap_text_model")
"""Types of text towers whose layers end as those of BERT."""


class PromptTokens(NamedTuple):
    """Prompts as token ids, padded on the right, and a mask that is 1 for tokens; both of shape `(prompts, tokens)`."""

    ids: torch.Tensor
    mask: torch.Tensor


class PromptEncoder:
    """
    Embed prompts with a dual encoder's text tower and projection; vectors for `<ctx>` replace token embeddings.

    `model` is a [`SmoothCLAPModel`] or transformers' [`ClapModel`] in evaluation mode, which is not copied; `tokenizer`
    is its own, of which a copy learns the slot.
    """

    def __init__(self, model: Any, tokenizer: Any):
        self.model = model
        self.tokenizer = copy.deepcopy(tokenizer)
        # As RoBERTa's own <mask>: the space before it belongs to it, that after it to the next word.
        self.tokenizer.add_tokens([AddedToken(SLOT, lstrip=True, normalized=False)], special_tokens=True)
        self.slot_id = int(self.tokenizer.convert_tokens_to_ids(SLOT))

    @property
    def token_width(self) -> int:
        """D, the width of token embeddings and of a context's vectors."""
        return int(self.model.text_model.get_input_embeddings().embedding_dim)

    @property
    def logit_scale(self) -> float:
        """The factor between cosine and logit, from clips to texts; a model without one: `ValueError`."""
        return logit_scale_of(self.model, type(self.model).__name__)

    def tokenize(self, prompts: Sequence[str], context_length: int = 1) -> PromptTokens:
        """Turn prompts into tokens, `context_length` for a `<ctx>`; too long a prompt is a `ValueError`."""
        rows = self.tokenizer([prompt.replace(SLOT, SLOT * context_length) for prompt in prompts])["input_ids"]
        length = max(map(len, rows))
        if length > (limit := longest_text(self.model.config.text_config)):
            longest = prompts[[len(row) for row in rows].index(length)]
            raise ValueError(
                f"The prompt {longest!r} has {length} tokens, but the text tower takes at most {limit}. Shorten it, or "
                "`context_length` if it has a context."
            )
        padding = self.tokenizer.pad_token_id
        # On the right, whatever the tokenizer does: RoBERTa counts positions from the left when it gets vectors.
        ids = torch.tensor([[*row, *[padding] * (length - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        return PromptTokens(ids.to(self.model.device), mask.to(self.model.device))

    def embed(self, tokens: PromptTokens, contexts: torch.Tensor | None = None) -> torch.Tensor:
        """Embed prompts, (prompts, width), at unit length; `contexts`, (prompts, length, width), fill their slots."""
        if self.model.training:
            raise ValueError("The model is in training mode, where dropout makes embeddings random; call `eval()`.")
        slots = tokens.ids == self.slot_id  # (prompts, tokens)
        token_embeddings = self.model.text_model.get_input_embeddings()
        embeds = token_embeddings(tokens.ids.masked_fill(slots, 0))  # (prompts, tokens, token_width)
        if contexts is None:
            contexts = embeds.new_zeros(len(embeds), 0, self.token_width)
        per_prompt = slots.sum(dim=1)
        if contexts.ndim != 3 or contexts.shape[::2] != embeds.shape[::2] or (per_prompt != contexts.shape[1]).any():
            raise ValueError(
                f"Contexts of shape {tuple(contexts.shape)} do not fill the slots: the prompts have "
                f"{per_prompt.tolist()} slot tokens, {self.token_width} wide. Give (prompts, slot tokens, width)."
            )
        embeds = embeds.masked_scatter(slots.unsqueeze(-1), contexts.to(embeds))
        # Named, because ClapModel requires `input_ids` and passes on other arguments.
        output = self.model.get_text_features(input_ids=None, attention_mask=tokens.mask, inputs_embeds=embeds)
        return F.normalize(output.pooler_output.float(), dim=-1)  # in bfloat16, unit length is off by 1e-3

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep the model in evaluation mode and without gradients of its own; restore both afterwards."""
        modes = [(module, module.training) for module in self.model.modules()]
        flags = [(parameter, parameter.requires_grad) for parameter in self.model.parameters()]
        try:
            self.model.eval().requires_grad_(False)
            yield
        finally:
            for module, training in modes:
                module.training = training
            for parameter, requires_grad in flags:
                parameter.requires_grad_(requires_grad)

    @contextmanager
    def first_token_alone(self) -> Iterator[None]:
        """
        Compute the last layer for the first token only, where an embedding is read from no other.

        In a tower of three layers this leaves out a quarter of the products. Embeddings are equal but for rounding
        (1e-6). Towers of other families, or with the mean over tokens, are not changed.
        """
        config, hook = self.model.config, None
        if config.text_config.model_type in FIRST_TOKEN_FAMILIES and getattr(config, "text_pooling", "cls") == "cls":
            # What follows attention works token by token.
            rest = self.model.text_model.encoder.layer[-1].attention.output
            hook = rest.register_forward_pre_hook(lambda _, given: tuple(each[:, :1] for each in given))
        try:
            yield
        finally:
            if hook is not None:
                hook.remove()

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of weights and configuration of text tower and projection, and of the tokenizer as it works."""
        # What differs from the defaults: a later version of transformers may have more fields.
        config = self.model.config.text_config.to_diff_dict()
        kept = {
            name: value
            for name, value in config.items()
            if name not in DECIDES_NOTHING and not any(part in name for part in DECIDES_NOTHING_IN)
        }
        if (pooling := getattr(self.model.config, "text_pooling", "cls")) != "cls":  # as before there was a choice
            kept["text_pooling"] = pooling
        digest = hashlib.sha256(f"{self.model.config.model_type} {_json(kept)}".encode())
        for part in ("text_model", "text_projection"):
            for name, tensor in sorted(getattr(self.model, part).state_dict().items()):
                digest.update(f"{part}.{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        # The tokenizer's files would differ between versions that split texts alike.
        probed = _json([self.tokenizer.get_vocab(), self.tokenizer(list(PROBES))["input_ids"]])
        return {"encoder": digest.hexdigest(), "tokenizer": hashlib.sha256(probed.encode()).hexdigest()}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
