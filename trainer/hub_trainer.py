"""A Trainer that pushes whole checkpoints, and nothing else, to the Hub."""

from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging
from transformers.utils.hub import hf_api

from .hub.push import explained, push
from .resumable import ResumableTrainer


logger = logging.get_logger(__name__)


class HubTrainer(ResumableTrainer):
    """
    [`~resumable.ResumableTrainer`] that pushes by [`~smoothclap_trainer.hub.push.push`].

    The stock Trainer uploads all of `output_dir`: prepared clips, and `training_args.bin`, in which `hub_token` can be
    read. Here a push is model, processor, code, card and records, in one commit. The repository of `hub_model_id` is
    the run's: what it holds is replaced, and stays in its history.

    As with the stock one, the model is also pushed whenever a checkpoint is saved, unless `hub_strategy` is `"end"`;
    training waits for it. Should that fail, there is a warning and training goes on. Optimiser states are never pushed,
    so the strategies `checkpoint` and `all_checkpoints` are no more than `every_save`. PEFT adapters, which alone are
    no whole checkpoint, are not pushed while training.
    """

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """
        Makes the repository if there is none, before anything is trained.

        Args:
            token (`str`, *optional*): By default `hub_token`, or the one of `hf auth login` or `HF_TOKEN`.
            private (`bool`, *optional*): Of a new repository. By default `hub_private_repo`.

        Raises:
            ValueError: The Hub refused or could not be reached.
        """
        with explained(self.args.hub_model_id or Path(str(self.args.output_dir)).absolute().name):
            super().init_hf_repo(token, private)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """
        Save the model, write its card and push `output_dir`.

        Args:
            commit_message (`str`, *optional*): Of the commit.
            blocking (`bool`, defaults to `True`): Whether to wait until it is there.
            token, revision, private (*optional*): By default `hub_token`, `hub_revision` and `hub_private_repo`.
            **kwargs: For `create_model_card`.

        Returns:
            `CommitInfo`, a `Future` of it if not `blocking`, and nothing in all processes but the first.

        Raises:
            ValueError: As in [`~smoothclap_trainer.hub.push.push`], or the model is one with PEFT adapters.
        """
        if hasattr(self.model, "peft_config"):
            # Saved into the folder of a merged model, they would be applied to it a second time.
            raise ValueError(
                "Adapters alone are no whole checkpoint. `run_training` pushes one at its end; otherwise write it with "
                "`save_lora` and a card, and push that folder with `push_folder`."
            )
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        self.create_model_card(**{"model_name": self.hub_model_id} | kwargs)
        push = partial(self.push_folder, str(self.args.output_dir), commit_message, token, revision)
        return push() if blocking else hf_api().run_as_future(push)

    def push_folder(
        self,
        folder: str | Path,
        commit_message: str | None = None,
        token: str | None = None,
        revision: str | None = None,
    ) -> Any:
        """
        Push a checkpoint as it is, with its card, to the run's repository. For the first process alone.

        Args:
            folder (`str` or `Path`): The checkpoint.
            commit_message, token, revision (*optional*): As for [`~HubTrainer.push_to_hub`].

        Returns:
            `CommitInfo`: The new commit, or the one that holds the same.

        Raises:
            ValueError: As in [`~smoothclap_trainer.hub.push.push`].
        """
        result = push(
            folder,
            str(self.hub_model_id),
            revision=revision or self.args.hub_revision,
            overwrite=True,
            token=token or self.args.hub_token,
            message=commit_message,
        )
        return CommitInfo(str(result.url), commit_message or "", "", str(result.commit))

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self.args.hub_strategy == HubStrategy.END:
            return
        try:
            self.push_to_hub(f"Training in progress, step {self.state.global_step}")
        except ValueError as error:
            logger.warning(f"The model of step {self.state.global_step} was not pushed: {error}")
