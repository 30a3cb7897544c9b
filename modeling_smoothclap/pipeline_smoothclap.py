"""A pipeline for descriptions of speech: text embeddings are made once, and clips come in any form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import get_session
from transformers import Pipeline

from .encoding_smoothclap import SmoothCLAPEncoder
from .scores_smoothclap import check_comparable, probabilities, unit_rows


TASK = "zero-shot-speech-description"
"""Its own name: `pipeline("zero-shot-audio-classification")` stays the stock one."""
_ONE = str | Path | bytes | np.ndarray | torch.Tensor | Mapping
_GROUPS = 4  # batches that are sorted by length together, where the number of clips is not known


class SpeechDescriptionPipeline(Pipeline):
    """
    Score descriptions of how something is said, zero-shot.

    Its answers are those of the stock zero-shot-audio-classification pipeline, without its costs: texts are embedded
    once and not again for each batch, and clips are batched by their length. Paths need no `ffmpeg`.

    Example:

    ```python
    >>> from transformers import pipeline
    >>> from modeling_smoothclap import DEMO_CLIPS, SMOOTHCLAP_TINY
    >>> describe = pipeline("zero-shot-speech-description", model=SMOOTHCLAP_TINY)
    >>> [answer["label"] for answer in describe(DEMO_CLIPS[0], candidate_labels=["a high voice", "a low voice"])]
    ['a low voice', 'a high voice']

    ```
    """

    _load_processor = True  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_tokenizer = False  # type: ignore[assignment]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._encoder = SmoothCLAPEncoder(self.model, self.processor, self.model.name_or_path or "model")
        self._texts: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._text_embeds = np.empty((0, 0), np.float32)

    def __call__(  # type: ignore[override]
        self,
        audios: Any,
        candidate_labels: Sequence[str] | None = None,
        hypothesis_template: str | Sequence[str] = "{}",
        batch_size: int = 16,
        num_workers: int = 2,
    ) -> Any:
        """
        Score labels for one clip or many.

        Args:
            audios: One clip: an array of shape `(samples,)` at the model's rate, a path, an address, the bytes of a
                file, or a dictionary with `array` (or `raw`) and `sampling_rate`. Or a list, a data set or a generator
                of clips.
            candidate_labels (`Sequence[str]`): Two or more descriptions.
            hypothesis_template (`str` or `Sequence[str]`, defaults to `"{}"`): What each label is put into. Of several
                templates the mean of the unit-length text embeddings is taken, scaled to unit length (ours).
            batch_size (`int`, defaults to 16): Clips in a batch.
            num_workers (`int`, defaults to 2): Threads that decode.

        Returns:
            `list[dict]`: `label` and `score` of each label, best first. For a list or a data set a list of these, for a
            generator a generator. A score is the softmax over the labels of the logit scale times the cosines.

        Raises:
            ValueError: if the labels are not two or more different texts, a template lacks `{}`, or a clip cannot be
                read.
        """
        inputs = self.preprocess(candidate_labels, hypothesis_template)
        if not isinstance(audios, Iterable) or isinstance(audios, _ONE):
            return self.postprocess(self._forward([audios], inputs, batch_size, num_workers), inputs)[0]
        if isinstance(audios, Sized):
            clips = list(audios)
            return self.postprocess(self._forward(clips, inputs, batch_size, num_workers), inputs) if clips else []
        return self._stream(iter(audios), inputs, batch_size, num_workers)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:  # type: ignore[override]
        """Save the model, the processor and the code of both and of this pipeline, for `trust_remote_code=True`."""
        super().save_pretrained(save_directory, **options)
        self._encoder.processor.save_pretrained(save_directory)

    def _stream(self, clips: Iterator[Any], inputs: Any, batch_size: int, num_workers: int) -> Iterator[Any]:
        while group := list(islice(clips, _GROUPS * batch_size)):
            yield from self.postprocess(self._forward(group, inputs, batch_size, num_workers), inputs)

    def _sanitize_parameters(self, **_: Any) -> tuple[dict, dict, dict]:
        return {}, {}, {}

    def preprocess(self, candidate_labels: Any, templates: str | Sequence[str] = "{}") -> Any:  # type: ignore[override]
        """Return the labels and their embeddings `(labels, width)`, which are kept for the next call."""
        templates = [templates] if isinstance(templates, str) else list(templates)
        if isinstance(candidate_labels, str):
            raise ValueError(f"`candidate_labels` is {candidate_labels!r}; give a list of two or more descriptions.")
        labels = check_comparable(candidate_labels, templates)
        key = (tuple(labels), tuple(templates))
        if key != self._texts:
            texts = [template.replace("{}", label) for template in templates for label in labels]
            embeds = self._encoder.encode_text(texts).reshape(len(templates), len(labels), -1)
            self._texts, self._text_embeds = key, unit_rows(embeds.mean(axis=0), "means over templates")
        return {"labels": labels, "text_embeds": self._text_embeds}

    def _forward(self, clips: list[Any], inputs: Any, batch_size: int, num_workers: int) -> np.ndarray:  # type: ignore[override]
        """Return the scores of the labels for each clip, `(clips, labels)`."""
        embeds = self._encoder.encode_audio([_clip(clip) for clip in clips], batch_size, False, num_workers)
        return probabilities(embeds @ inputs["text_embeds"].T, self._encoder.logit_scale)

    def postprocess(self, scores: np.ndarray, inputs: Any) -> list[list[dict[str, Any]]]:  # type: ignore[override]
        """Return labels and scores, best first, for each clip."""
        labels = inputs["labels"]
        return [[{"score": float(row[index]), "label": labels[index]} for index in np.argsort(-row)] for row in scores]


def _clip(clip: Any) -> Any:
    """A clip as the encoder takes it: addresses are fetched, and `raw` is another name of `array`."""
    if isinstance(clip, str) and clip.startswith(("http://", "https://")):
        answer = get_session().get(clip, follow_redirects=True)
        if answer.status_code != 200:
            raise ValueError(f"{clip!r} could not be fetched: status {answer.status_code}.")
        return answer.content
    if isinstance(clip, Mapping) and "raw" in clip:
        return {"array": clip["raw"], "sampling_rate": clip.get("sampling_rate")}
    return clip
