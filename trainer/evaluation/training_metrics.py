"""What a `Trainer` computes on the whole evaluation set: zero-shot metrics and retrieval."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from transformers import EvalPrediction

from modeling_smoothclap import SmoothCLAPEncoder

from .metrics import accuracy, recall_at_k, unweighted_average_recall, zero_shot_predictions


class ZeroShotMetrics:
    """
    `compute_metrics` of a [`~smoothclap_trainer.SmoothCLAPTrainer`]: `uar`, `accuracy` and R@k.

    UAR is the paper's metric; accuracy and retrieval are ours. The first two need `wordings` of at least two classes,
    such as `{"sad": "a sad voice"}`; a label id is the place of its name in `label_names`.
    """

    def __init__(
        self,
        processor: Any,
        wordings: Mapping[str, str] | None = None,
        label_names: Sequence[str] = (),
        ks: Sequence[int] = (1, 5, 10),
    ):
        self.processor = processor
        self.ks = tuple(ks)
        self.class_embeds: np.ndarray | None = None
        self.texts: list[str] = []
        if wordings:
            if missing := [name for name in label_names if name not in wordings]:
                raise ValueError(f"The labels {missing} have no wording; there are wordings for {sorted(wordings)}.")
            self.texts = [wordings[name] for name in label_names]

    @property
    def names(self) -> list[str]:
        """The metrics of a set with labels and more clips than the largest k."""
        recalls = [f"{way}_r@{k}" for way in ("audio_to_text", "text_to_audio") for k in self.ks]
        return [*(["uar", "accuracy"] if len(self.texts) > 1 else []), *recalls]

    def prepare(self, model: Any) -> None:
        """Embed the classes' texts before an evaluation, with a model that is not wrapped, except by FSDP2."""
        if len(self.texts) < 2:
            return
        if isinstance(model, FSDPModule):
            register_fsdp_forward_method(model, "get_text_features")  # type: ignore[arg-type]  # gathers the weights
        training = model.training
        model.eval()
        try:
            self.class_embeds = SmoothCLAPEncoder(model, self.processor).encode_text(self.texts)
        finally:
            model.train(training)

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        """Compute metrics of the embeddings of clips and captions, and of label ids, -1 if unknown, and caption ids."""
        (audio_embeds, text_embeds), (labels, caption_ids) = cast(Any, (prediction.predictions, prediction.label_ids))
        return self._zero_shot(audio_embeds, labels) | recall_at_k(audio_embeds, text_embeds, caption_ids, self.ks)

    def _zero_shot(self, audio_embeds: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        known = labels >= 0
        if len(self.texts) < 2 or not known.any():
            return {}
        if self.class_embeds is None:
            raise ValueError("The classes' texts are not embedded: call `prepare(model)` before each evaluation.")
        if labels.max() >= len(self.texts):
            raise ValueError(
                f"Label id {labels.max()} has no name among the {len(self.texts)} `label_names`; ids count from 0, and "
                "-1 means unknown."
            )
        predicted = zero_shot_predictions(audio_embeds[known], self.class_embeds)
        true = labels[known]
        return {"uar": unweighted_average_recall(predicted, true), "accuracy": accuracy(predicted, true)}
