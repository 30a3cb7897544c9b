"""Processor of SmoothCLAP: clips and texts in, one batch out."""

import threading
from reprlib import repr
from typing import Any

from transformers import AutoConfig, AutoTokenizer, BatchEncoding, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.processing_utils import ProcessingKwargs

from .feature_extraction_smoothclap import SmoothCLAPFeatureExtractor, check_sizes

# Transformers saves the code that a file imports: so the pipeline's goes where a processor goes.
from .pipeline_smoothclap import SpeechDescriptionPipeline as SpeechDescriptionPipeline


_TOKENIZING = threading.Lock()
"""Held while texts are tokenized, because a tokenizer keeps the options of a call for padding in shared state."""


class SmoothCLAPProcessorKwargs(ProcessingKwargs, total=False):
    """Keyword arguments of [`SmoothCLAPProcessor`]: by default a batch is padded to its longest item."""

    # transformers' own idiom, which mypy does not know
    _defaults = {"text_kwargs": {"padding": True}, "audio_kwargs": {"padding": True}}  # type: ignore[misc]


class SmoothCLAPProcessor(ProcessorMixin):
    r"""
    A [`SmoothCLAPFeatureExtractor`] and a tokenizer in one. Call it with `text`, with `audio`, or with both; what it
    returns goes into [`SmoothCLAPModel`] as it is. Threads may share it; its tokenizer by itself they may not.

    Args:
        feature_extractor ([`SmoothCLAPFeatureExtractor`]): For the clips.
        tokenizer ([`PreTrainedTokenizerBase`]): For the texts. It must pad on the right, because a text's embedding is
            read at its first token.
    """

    valid_processor_kwargs = SmoothCLAPProcessorKwargs

    def __init__(self, feature_extractor: SmoothCLAPFeatureExtractor, tokenizer: PreTrainedTokenizerBase, **kwargs):
        if tokenizer.padding_side != "right":
            raise ValueError(
                f"The tokenizer pads on the {tokenizer.padding_side}, but a text's embedding is read at its first "
                "token. Set `tokenizer.padding_side = 'right'`."
            )
        if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
            raise ValueError(
                "The tokenizer knows nothing but its special tokens; transformers makes up such a one where the "
                "tokenizer's files are missing. Load it from a directory that holds tokenizer.json or vocab.txt."
            )
        super().__init__(feature_extractor, tokenizer, **kwargs)

    def __call__(self, text: Any = None, audio: Any = None, **kwargs: Any) -> BatchFeature:
        r"""
        Prepare texts, clips or both.

        Args:
            text (`str` or `list[str]`, *optional*): One text or several.
            audio (*optional*): One clip or several, waveforms or files, as [`SmoothCLAPFeatureExtractor`] takes them.
            **kwargs: Options of the tokenizer and the feature extractor, e.g. `sampling_rate` and `return_tensors`.

        Returns:
            [`BatchFeature`]: `input_ids` and `attention_mask` of the texts, `input_values` or `input_features` and
            `audio_attention_mask` of the clips.

        Raises:
            ValueError: if there is neither text nor audio, or one of them is not what it should be.
        """
        if (text is None and audio is None) or kwargs.keys() & {"images", "videos"}:
            raise ValueError("Give at least one input, `text` or `audio`; this processor takes nothing else.")
        batch = BatchFeature()
        try:
            options = self._merge_kwargs(
                SmoothCLAPProcessorKwargs,  # type: ignore[arg-type]
                tokenizer_init_kwargs=self.tokenizer.init_kwargs,
                **kwargs,
            )
            taken = {name for part in options.values() if isinstance(part, dict) for name in part}
            if unknown := sorted(kwargs.keys() - taken - options.keys() - {"common_kwargs"}):
                raise ValueError(f"Neither the tokenizer nor the feature extractor takes {unknown}; leave it out.")
            if text is not None:
                batch.update(self._tokenize(text, options["text_kwargs"]))
            if audio is not None:
                batch.update(self.feature_extractor(audio, **options["audio_kwargs"]))
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
            raise ValueError(f"These options cannot be used, {repr(kwargs)}: {error}") from error
        return batch

    def _tokenize(self, text: Any, options: dict[str, Any]) -> BatchEncoding:
        _check_texts(text)
        check_sizes(max_length=options.get("max_length"), pad_to_multiple_of=options.get("pad_to_multiple_of"))
        if options.get("padding_side", "right") != "right":
            raise ValueError("Texts are padded on the right, because an embedding is read at the first token.")
        with _TOKENIZING:
            return self.tokenizer(text, **options)

    @classmethod
    def from_audio_text_pretrained(cls, audio: str, text: str, **kwargs) -> "SmoothCLAPProcessor":
        r"""
        The processor for a model built by [`SmoothCLAPModel.from_audio_text_pretrained`] from the same two encoders.

        Args:
            audio (`str`): Hub id or directory of the audio encoder.
            text (`str`): Hub id or directory of the text encoder and its tokenizer.
            **kwargs: Further arguments of [`SmoothCLAPFeatureExtractor`]. Waveforms are not normalised unless
                `do_normalize=True` is among them, whatever the encoder's own preprocessor does: ParaCLAP does not,
                and normalising removes the loudness.
        """
        audio_config = AutoConfig.from_pretrained(audio)
        extractor = SmoothCLAPFeatureExtractor.from_audio_config(audio_config, **kwargs)
        return cls(extractor, AutoTokenizer.from_pretrained(text))


def _check_texts(text: Any) -> None:
    texts = text if isinstance(text, list) and text else [text]
    for index, each in enumerate(texts):
        if not isinstance(each, str):
            raise ValueError(f"Text {index} is {repr(each)}; give a string, or a list of at least one string.")
        try:
            each.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"Text {index}, {repr(each)}, is not valid Unicode ({error.reason}); correct it."
            ) from error


__all__ = ["SmoothCLAPProcessor"]
