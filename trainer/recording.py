"""A Trainer that writes down what it trained on, and the model card that tells it."""

from typing import Any

from transformers import AutoConfig

from .hub.card import write_model_card
from .hub.provenance import CorporaCallback, TrainingSources, corpora_of_encoder, corpora_of_rows, record_training
from .hub_trainer import HubTrainer


class RecordingTrainer(HubTrainer):
    """
    [`~hub_trainer.HubTrainer`] whose checkpoints say which corpora they heard, and whose card is ours.

    Before the first step the configuration of the model gets `training_corpora`: the corpora of the training and the
    evaluation rows, those of a frozen encoder behind the targets, and what the start had recorded.

    Args:
        sources ([`~records.TrainingSources`], *optional*): What records and card are to say of the data. By default
            that they are `train_dataset` and `eval_dataset`.
        **kwargs: As for [`~transformers.Trainer`].
    """

    objective: Any

    def __init__(self, *args: Any, sources: TrainingSources | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        splits: dict[str, Any] = {"train": self.train_dataset, "validation": self.eval_dataset}
        self.sources = sources or TrainingSources({name: rows for name, rows in splits.items() if rows is not None})
        self.add_callback(CorporaCallback(self._corpora))

    def _corpora(self) -> set[str]:
        heard = corpora_of_rows(self.train_dataset) | corpora_of_rows(self.eval_dataset)
        if self.sources.feature_encoder is not None:
            heard |= corpora_of_encoder(AutoConfig.from_pretrained(self.sources.feature_encoder))
        return heard

    def create_model_card(
        self,
        language: str | list[str] | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
    ) -> None:
        """
        Write what happened, and the model card that tells it, into `output_dir`, where the model already is.

        The first process does. It takes the place of [`~transformers.Trainer`]'s card, also in `push_to_hub`.

        Args:
            language, license, tags, finetuned_from, dataset_tags (*optional*): For the card's front matter, where the
                last two are `base_model` and `datasets`. They take precedence over what is known.
            model_name (`str`, *optional*): Hub id or name. By default `hub_model_id`, or the folder's name.
            tasks, dataset, dataset_args (*optional*): Refused: the card says itself on what it was measured.

        Raises:
            ValueError: One of what is refused is given, or there is no model in `output_dir` yet.
        """
        refused = {"tasks": tasks, "dataset": dataset, "dataset_args": dataset_args}
        if given := [name for name, value in refused.items() if value is not None]:
            raise ValueError(
                f"The card has no place for {', '.join(given)}: it tells the corpora of the rows and its own figures. "
                "Leave it out, or write what is missing into notes.md."
            )
        if not self.is_world_process_zero():
            return
        folder = str(self.args.output_dir)
        record_training(self, folder)
        front = {"language": language, "license": license, "base_model": finetuned_from, "datasets": dataset_tags}
        write_model_card(folder, model_name or self.args.hub_model_id, {**front, "tags": tags})
