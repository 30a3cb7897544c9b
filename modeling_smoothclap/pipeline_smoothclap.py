"""A zero-shot pipeline for speech: labels are embedded once, clips come in any form, and checkpoints carry it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from os import PathLike
from typing import Any

import numpy as np
from huggingface_hub import get_session
from torch.utils.data import Dataset
from transformers import Pipeline

from .batching_smoothclap import as_clips
from .encoding_smoothclap import SmoothCLAPEncoder
from .scores_smoothclap import as_texts, check_comparable, probabilities, unit_rows


class SpeechDescriptionPipeline(Pipeline):
    """
    Say how well texts describe the way in which clips are spoken: `pipeline("zero-shot-speech-description")`.

    Its answers are those of the stock zero-shot-audio-classification pipeline. That one embeds the labels again for
    each batch and pads clips in the order in which they come; this one keeps the embeddings of its last labels for as
    long as the weights stay the same, and batches a list of clips by length. Everything is embedded by
    [`SmoothCLAPEncoder`], which also reads the clips, at any rate.

    `candidate_labels`, `hypothesis_template`, `batch_size` and `num_workers` may be given here, once for all calls.

    Example:

    ```python
    >>> from transformers import pipeline
    >>> from modeling_smoothclap import DEMO_CLIPS, SMOOTHCLAP_TINY
    >>> describe = pipeline("zero-shot-speech-description", model=SMOOTHCLAP_TINY, device="cpu")
    >>> [answer["label"] for answer in describe(DEMO_CLIPS[0], candidate_labels=["a high voice", "a low voice"])]
    ['a low voice', 'a high voice']

    ```
    """

    # mypy takes transformers' own `None` for the type.
    _load_processor = True  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_tokenizer = False  # type: ignore[assignment]

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        if self.processor is None:
            raise ValueError("Besides a model in memory, its processor is needed: give `processor=`.")
        self._encoder = SmoothCLAPEncoder(self.model, self.processor, self.model.name_or_path or "model")
        self._kept: tuple[Any, np.ndarray] = (None, np.empty(0))

    def __call__(  # type: ignore[override]
        self,
        audios: Any,
        candidate_labels: Sequence[str] | None = None,
        hypothesis_template: str | Sequence[str] | None = None,
        *,
        batch_size: int | None = None,
        num_workers: int | None = None,
    ) -> Any:
        """
        Score labels for one clip or several.

        Args:
            audios: One clip: a path, an http address, the bytes of an audio file, a float waveform of shape
                `(samples,)` at the model's rate, or a row with `path`, `audio` or `array` (or `raw`) and
                `sampling_rate`. Or a list, a table or a generator of clips, or a data set of either kind.
            candidate_labels (`Sequence[str]`): Two or more different descriptions.
            hypothesis_template (`str` or `Sequence[str]`, defaults to `"{}"`): What each label is put into. With
                several, a label's embedding is the mean of its unit-length embeddings, scaled to unit length.
            batch_size (`int`, *optional*): Clips per batch at most; by default 1 on a CPU, which is fastest, else 16.
            num_workers (`int`, *optional*): Threads that decode ahead of the model, by default 2.

        Returns:
            `list[dict]`: The `score` and `label` of each label, best first; a score is the softmax of the logit scale
            times the cosines over these labels. For a list or a table it is a list of such lists, for a generator, an
            iterable data set or a data set of torch an iterator that reads `batch_size` clips at a time.

        Raises:
            ValueError: if the labels are not two or more different texts, a template has no `{}`, there is no clip, or
                one cannot be read.
        """
        given = self._preprocess_params | self._sanitize_parameters(candidate_labels, hypothesis_template)[0]
        labels, text_embeds = self.preprocess(**given)
        options = {
            "batch_size": _first(batch_size, self._batch_size, 1 if self.device.type == "cpu" else 16),
            "num_workers": _first(num_workers, self._num_workers, 2),
        }
        if (stream := _as_stream(audios)) is not None:
            return self._answers(stream, labels, text_embeds, options)
        clips, is_one = as_clips(audios)
        if not len(clips):
            return []
        answers = self.postprocess(self._forward(clips, text_embeds, **options), labels)
        return answers[0] if is_one else answers

    def preprocess(  # type: ignore[override]
        self, candidate_labels: Any = None, hypothesis_template: str | Sequence[str] = "{}"
    ) -> tuple[list[str], np.ndarray]:
        """Return the labels and their embeddings `(labels, width)`."""
        if candidate_labels is None or isinstance(candidate_labels, str):
            raise ValueError(f"`candidate_labels` is {candidate_labels!r}; give a list of two or more descriptions.")
        templates = as_texts(hypothesis_template)
        labels = check_comparable(candidate_labels, templates)
        weights = [(each.data_ptr(), 0 if each.is_inference() else each._version) for each in self.model.parameters()]
        key = (labels, templates, weights)  # training changes the versions, a move or a cast the places
        kept, embeds = self._kept
        if key != kept:
            texts = [template.replace("{}", label) for template in templates for label in labels]
            units = self._encoder.encode_text(texts).reshape(len(templates), len(labels), -1)
            embeds = unit_rows(units.mean(axis=0), "means over templates")
            self._kept = key, embeds  # in one step, because threads may share a pipeline
        return labels, embeds

    def _forward(  # type: ignore[override]
        self, clips: Sequence[Any], text_embeds: np.ndarray, batch_size: int, num_workers: int
    ) -> np.ndarray:
        """Scores (clips, labels)."""
        if isinstance(clips, list | tuple):  # the rows of a data set are read later
            clips = [_known_form(clip) for clip in clips]
        embeds = self._encoder.encode_audio(clips, batch_size, show_progress_bar=False, num_workers=num_workers)
        return probabilities(self._encoder.similarity(embeds, text_embeds), self._encoder.logit_scale)

    def postprocess(self, scores: np.ndarray, labels: list[str]) -> list[list[dict[str, Any]]]:  # type: ignore[override]
        """Return labels and scores, best first, of each clip's scores `(clips, labels)`."""
        orders = np.argsort(-scores, axis=1, kind="stable")
        return [
            [{"score": float(row[index]), "label": labels[index]} for index in order]
            for row, order in zip(scores, orders, strict=True)
        ]

    def save_pretrained(self, save_directory: str | PathLike[str], **kwargs: Any) -> None:
        """Save the model and the processor, with their code and this pipeline's."""
        self.model.save_pretrained(save_directory, **kwargs)
        self._encoder.processor.save_pretrained(save_directory, **kwargs)

    def _answers(
        self, clips: Iterator[Any], labels: list[str], text_embeds: np.ndarray, options: dict[str, int]
    ) -> Iterator[list[dict[str, Any]]]:
        while group := list(islice(clips, options["batch_size"])):
            yield from self.postprocess(self._forward(group, text_embeds, **options), labels)

    def _sanitize_parameters(
        self, candidate_labels: Any = None, hypothesis_template: Any = None, **unknown: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise ValueError(
                f"This pipeline takes `candidate_labels` and `hypothesis_template`, not {sorted(unknown)}."
            )
        given = {"candidate_labels": candidate_labels, "hypothesis_template": hypothesis_template}
        return {name: value for name, value in given.items() if value is not None}, {}, {}


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _as_stream(audios: Any) -> Iterator[Any] | None:
    """Clips that are read one after another: those of a generator or of a data set of torch."""
    if isinstance(audios, Dataset) and isinstance(audios, Sized):
        return (audios[index] for index in range(len(audios)))
    is_stream = isinstance(audios, Iterable) and not isinstance(audios, Sized) and not hasattr(audios, "read")
    return iter(audios) if is_stream else None


def _known_form(clip: Any) -> Any:
    """A clip as the encoder takes it: an address is fetched, and `raw` is transformers' other name of `array`."""
    if isinstance(clip, Mapping) and "raw" in clip:
        return {"array": clip["raw"], "sampling_rate": clip.get("sampling_rate")}
    if not isinstance(clip, str) or not clip.startswith(("http://", "https://")):
        return clip
    try:
        response = get_session().get(clip, follow_redirects=True)
        response.raise_for_status()
    except Exception as error:
        raise ValueError(f"{clip!r} cannot be fetched: {error}") from error
    return response.content
