"""From rows of a data set to a batch: read and crop clips, draw captions, stack the inputs of targets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from math import ceil
from typing import Any, cast
from zlib import crc32

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Sampler
from transformers import TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import seed_worker

from .acoustic_conditions import Augmentation
from .captions import (
    MAX_PHRASES,
    caption,
    condition_phrases,
    full_caption,
    heard_conditions,
    language_data,
    row_levels,
    select_levels,
    tag_text,
)
from .captions.labels import category
from .captions.thresholds import AnyThresholds
from .clips import Crops, read_clip
from .functionals import Standardisation


CAPTION_KINDS = ("sampled", "full", "given")
"""Some of the clip's phrases, drawn anew in every epoch; all of its phrases, always the same; the row's `caption`."""

METADATA_INPUTS = ("caption_ids", "labels")
"""Entries of a batch that describe its clips and are not inputs of a model."""


@dataclass
class SmoothCLAPCollator:
    """
    Make training or evaluation batches from rows with `id` and `path` (or encoded `audio`).

    In training each clip gives one of its crops and gets a new caption in every epoch. What is drawn depends only on
    `seed`, `epoch` and the row's `id`. In evaluation clips are whole and as recorded, and captions always the same.

    Args:
        processor (`ProcessorMixin`): The model's; it has a `feature_extractor` and a `tokenizer`.
        thresholds ([`Thresholds`] or [`CorpusThresholds`], *optional*): Fitted on the training rows, for captions and
            tag texts.
        languages (`tuple[str, ...]`, defaults to `("en",)`): Captions are drawn evenly from these.
        captions (`str`, defaults to `"sampled"`): One of [`CAPTION_KINDS`].
        caption_groups (`tuple[str, ...]`, *optional*): What captions may mention; by default, as in tag texts, all.
        crops ([`Crops`], defaults to new crops of 5 s in every epoch): How training clips are cut.
        label_names (`tuple[str, ...]`, defaults to none): Classes; a row's `label` becomes its index among them.
        functionals ([`Standardisation`], *optional*): Fitted on the training rows, for targets by functionals.
        augmentation ([`Augmentation`], *optional*): Acoustic conditions for training clips. Tags,
            `local_features` and functionals describe the clip as recorded in any case, and so do captions unless
            `name_conditions` is set (our choice).
        training (`bool`, defaults to `True`): Whether to crop and to augment, and to draw anew in every epoch.
        seed (`int`, defaults to 0): Another seed gives other captions.
        epoch (`int`, defaults to 0): Kept up to date by [`~smoothclap_trainer.SmoothCLAPTrainer`].
        max_phrases (`int`, defaults to 5): Sampled captions have at most so many phrases.
        always_emotion (`bool`, defaults to `True`): Whether sampled captions always name a known emotion.
        name_conditions (`bool`, defaults to `False`): Whether sampled captions end with the acoustic condition that
            the clip is heard in (ours): what `augmentation` applied, and the row's `acoustic_condition`.

    Returns (when called with a list of rows):
        `dict[str, torch.Tensor]`: The model's inputs; `caption_ids` (batch,), equal for equal captions; `labels`
        (batch,), -1 where unknown; with thresholds `tag_input_ids` and `tag_attention_mask` (batch, tokens); if the
        rows have them `local_features` (batch, width); if asked for `functionals` (batch, columns). Rows with
        `pooled_audio`, the output of a frozen tower, are not decoded. Features are one vector per clip or per crop.
    """

    processor: Any
    thresholds: AnyThresholds | None = None
    languages: tuple[str, ...] = ("en",)
    captions: str = "sampled"
    caption_groups: tuple[str, ...] | None = None
    crops: Crops = field(default_factory=Crops)
    label_names: tuple[str, ...] = ()
    functionals: Standardisation | None = None
    augmentation: Augmentation | None = None
    training: bool = True
    seed: int = 0
    epoch: int = 0
    max_phrases: int = MAX_PHRASES
    always_emotion: bool = True
    name_conditions: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.languages, str):
            raise ValueError(f"`languages` is a tuple such as ({self.languages!r},), not {self.languages!r}.")
        for language in self.languages:
            language_data(language)  # raises for an unknown language
        if self.captions not in CAPTION_KINDS:
            raise ValueError(f"`captions` is one of {CAPTION_KINDS}, not {self.captions!r}.")
        if self.thresholds is None and self.captions != "given":
            raise ValueError(
                f"{self.captions!r} captions need thresholds: pass Thresholds.fit(training rows), or captions='given' "
                "to use the rows' own."
            )
        if self.caption_groups is not None:
            select_levels({}, self.caption_groups)  # raises for an unknown group
        if self.name_conditions:
            self._check_names()

    def _check_names(self) -> None:
        if self.captions != "sampled":
            raise ValueError(f"`name_conditions` needs sampled captions, not {self.captions!r} ones.")
        for language in self.languages:
            for condition in self.augmentation.conditions if self.augmentation else ():
                condition_phrases(condition, language)  # raises for one without wordings

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        if "id" not in rows[0]:
            raise ValueError("Rows lack `id`, which decides what is drawn for a clip.")
        levels = [row_levels(row, self.thresholds) if self.thresholds else {} for row in rows]
        audio, applied = self._audio(rows)
        captions = [self._caption(*each) for each in zip(rows, levels, applied, strict=True)]
        batch = self._tokens(captions, rows)
        batch["caption_ids"] = torch.tensor([_identity(text) for text in captions])
        batch["labels"] = torch.tensor([self._label(row) for row in rows])
        if self.thresholds:
            tags = self._tokens([tag_text(one) for one in levels], rows)
            batch |= {"tag_input_ids": tags["input_ids"], "tag_attention_mask": tags["attention_mask"]}
        if "local_features" in rows[0]:
            batch["local_features"] = self._features(rows, "local_features")
        if self.functionals:
            batch["functionals"] = torch.tensor(np.stack([self.functionals(row) for row in rows]))
        return batch | audio

    def _tokens(self, texts: list[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        tokenizer = self.processor.tokenizer
        tokens = dict(tokenizer(texts, padding=True, return_tensors="pt"))
        lengths = tokens["attention_mask"].sum(dim=1)
        if int(lengths.max()) > tokenizer.model_max_length:
            raise ValueError(
                f"The text of clip {rows[int(lengths.argmax())]['id']!r} has {lengths.max()} tokens, more than the "
                f"{tokenizer.model_max_length} that the text tower takes: shorten it, or name fewer `caption_groups`."
            )
        return tokens

    def _caption(self, row: Mapping[str, Any], levels: dict[str, str], applied: str) -> str:
        if self.captions == "given":
            if not row.get("caption"):
                raise ValueError(f"Clip {row['id']!r} has no `caption`; give it one, or set captions='sampled'.")
            return row["caption"]
        key = f"{self.seed}/{self.epoch}/{row['id']}" if self.training else row["id"]
        generator = torch.Generator().manual_seed(crc32(key.encode()))
        language = self.languages[int(torch.randint(len(self.languages), (1,), generator=generator))]
        if self.caption_groups is not None:
            levels = select_levels(levels, self.caption_groups)
        if not levels:
            raise ValueError(f"Clip {row['id']!r} has nothing that its caption may mention: {self.caption_groups}.")
        if self.captions == "full":
            return full_caption(levels, language)
        conditions: tuple[str, ...] = ()
        if self.name_conditions:
            own = row.get("acoustic_condition")
            conditions = heard_conditions(own and category(own, "acoustic_condition"), applied)
        return caption(levels, language, generator, self.max_phrases, self.always_emotion, conditions)

    def _label(self, row: Mapping[str, Any]) -> int:
        label = row.get("label")
        return self.label_names.index(label) if label in self.label_names else -1

    def _features(self, rows: Sequence[Mapping[str, Any]], column: str) -> torch.Tensor:
        vectors = [np.asarray(row[column], dtype=np.float32) for row in rows]
        if spoilt := [row["id"] for row, one in zip(rows, vectors, strict=True) if not np.isfinite(one).all()]:
            raise ValueError(f"The `{column}` of {spoilt} are not finite: leave these clips out, or compute them anew.")
        chosen = []
        for row, one in zip(rows, vectors, strict=True):
            number = self.crops.number(row["id"], self.epoch) if self.training else 0
            chosen.append(one if one.ndim == 1 else one[number % len(one)])
        return torch.tensor(np.stack(chosen))  # (batch, width)

    def _audio(self, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, torch.Tensor], list[str]]:
        """Return the inputs of the audio tower, and the acoustic condition that was applied to each clip."""
        if "pooled_audio" in rows[0]:
            if self.training and self.augmentation is not None:
                raise ValueError("`pooled_audio` is of clips as recorded: leave out that column or the augmentation.")
            return {"pooled_audio": self._features(rows, "pooled_audio")}, ["clean"] * len(rows)
        extractor = self.processor.feature_extractor
        rate = extractor.sampling_rate
        heard = [self._clip(row, rate) for row in rows]
        inputs = extractor([clip for clip, _ in heard], sampling_rate=rate, return_tensors="pt")
        return dict(inputs), [applied for _, applied in heard]

    def _clip(self, row: Mapping[str, Any], rate: int) -> tuple[np.ndarray, str]:
        clip, row_id = read_clip(row, rate), row["id"]
        if not self.training:
            return clip, "clean"
        crop = self.crops.cut(clip, rate, row_id, self.crops.number(row_id, self.epoch))
        if self.augmentation is None:
            return crop, "clean"
        drawn_by = (crop, rate, row_id, self.epoch)
        return self.augmentation.apply(*drawn_by), self.augmentation.applied(*drawn_by)


def _identity(text: str) -> int:
    """Return a number of 64 bits that identifies a text in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


class JointBatchSampler(Sampler[list[int]]):
    """
    Shuffle clips into joint batches of `batch_size` clips per process and yield one process's share of each.

    The order depends only on `seed` and `epoch`, and a joint batch is the same however many processes share it, so
    several processes train as one would. Every process gets the same number of shares; none is empty. A rest that is
    too small for a batch (fewer clips than processes, or a single clip, which has no negatives) joins the last batch;
    with `drop_last` every incomplete batch is left out.

    Raises:
        ValueError: There are fewer clips than processes, or, with `drop_last`, than a batch takes.
    """

    def __init__(
        self,
        clips: int,
        batch_size: int,
        num_processes: int = 1,
        process: int = 0,
        seed: int = 0,
        drop_last: bool = False,
    ):
        joint = batch_size * num_processes
        needed = joint if drop_last else max(2, num_processes)
        if clips < needed:
            raise ValueError(
                f"{clips} training clips are too few: {num_processes} processes of {batch_size} clips each need at "
                f"least {needed}, and a clip needs others to be compared with."
            )
        self.clips, self.joint, self.num_processes, self.process = clips, joint, num_processes, process
        self.seed, self.epoch = seed, 0
        self.batches, rest = divmod(clips, joint)
        # A batch of its own for the rest, if it is enough for one.
        self.rest_joins = not drop_last and 0 < rest < max(2, num_processes) and self.batches > 0
        self.batches += int(not drop_last and rest > 0 and not self.rest_joins)

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.clips, generator=generator)
        for index in range(self.batches):
            last = index == self.batches - 1
            stop = self.clips if last and self.rest_joins else (index + 1) * self.joint
            batch = order[index * self.joint : stop]
            yield batch.tensor_split(self.num_processes)[self.process].tolist()


class JoinedBatches(BatchSampler):
    """The clips in order; the last, which would be alone with nothing to compare it with, joins the batch before."""

    def __iter__(self) -> Iterator[list[int]]:
        *batches, before, alone = super().__iter__()
        return iter([*batches, before + alone])

    def __len__(self) -> int:
        return super().__len__() - 1


def evaluation_loader(rows: Sized, collator: Any, batch_size: int, arguments: TrainingArguments) -> DataLoader:
    """Return batches in order. Of several processes, which share them, Accelerate fills up the last ones."""
    if batch_size * arguments.world_size < 2 or len(rows) < 2:
        raise ValueError(
            f"In a batch of {min(batch_size, len(rows))} a clip has no other to be compared with: set "
            "per_device_eval_batch_size to 2 or more, and give two clips or more."
        )
    alone = arguments.world_size == 1 and len(rows) % batch_size == 1 and not arguments.dataloader_drop_last
    batches = JoinedBatches if alone else BatchSampler
    return DataLoader(
        cast(Any, rows),
        batch_sampler=batches(range(len(rows)), batch_size, arguments.dataloader_drop_last),
        collate_fn=collator,
        num_workers=arguments.dataloader_num_workers,
        pin_memory=arguments.dataloader_pin_memory,
        prefetch_factor=arguments.dataloader_prefetch_factor,
    )


class EpochCallback(TrainerCallback):
    """Set the attribute `epoch` of everything that draws by epoch, such as the collator and the sampler."""

    def __init__(self, listeners: list[Any]):
        self.listeners = listeners

    def on_epoch_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        for listener in self.listeners:
            listener.epoch = int((state.epoch or 0) + 1e-6)  # a sum of fractions may fall just short


def clips_of_step(rows: Any, sampler: Iterable[list[int]], step: int, chunks: int) -> list[Any]:
    """Return the ids of this process's clips in an optimiser step of so many chunks; steps count from 0."""
    batches = list(sampler)
    first = step % ceil(len(batches) / chunks) * chunks
    return [rows[index].get("id", index) for batch in batches[first : first + chunks] for index in batch]


def joint_loader(rows: Sized, collator: Any, batch_size: int, arguments: TrainingArguments) -> DataLoader:
    """Return a process's shares of joint batches, with `batch_size` clips in each but the last of an epoch."""
    sampler = JointBatchSampler(
        len(rows),
        batch_size,
        arguments.world_size,
        arguments.process_index,
        seed=arguments.seed if arguments.data_seed is None else arguments.data_seed,
        drop_last=arguments.dataloader_drop_last,
    )
    workers = arguments.dataloader_num_workers
    return DataLoader(
        cast(Any, rows),
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=workers,
        pin_memory=arguments.dataloader_pin_memory,
        prefetch_factor=arguments.dataloader_prefetch_factor,
        worker_init_fn=partial(seed_worker, num_workers=workers, rank=arguments.process_index),
    )
