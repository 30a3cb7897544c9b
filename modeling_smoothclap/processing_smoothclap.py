"""Processor of SmoothCLAP: clips and texts in, one batch out."""

from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase, ProcessorMixin
from transformers.processing_utils import ProcessingKwargs

from .feature_extraction_smoothclap import SmoothCLAPFeatureExtractor


class SmoothCLAPProcessorKwargs(ProcessingKwargs, total=False):
    """Keyword arguments of [`SmoothCLAPProcessor`]: by default a batch is padded to its longest item."""

    # transformers' own idiom, which mypy does not know
    _defaults = {"text_kwargs": {"padding": True}, "audio_kwargs": {"padding": True}}  # type: ignore[misc]


class SmoothCLAPProcessor(ProcessorMixin):
    r"""
    A [`SmoothCLAPFeatureExtractor`] and a tokenizer in one. Call it with `text`, with `audio` and `sampling_rate`, or
    with all three; what it returns goes into [`SmoothCLAPModel`] as it is.

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


__all__ = ["SmoothCLAPProcessor"]
