"""Which piece of a clip is heard in an epoch."""

import math
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch


@dataclass(frozen=True)
class Crops:
    """
    Random crops of training clips, the same in every run: what is drawn depends on `seed`, the clip's id and the
    epoch alone, so that a resumed run, another batch size or another number of workers gets the same.

    Args:
        seconds (`float`, *optional*, defaults to 5.0): Length of a crop (5 s in ParaCLAP); `None` takes clips whole.
        per_clip (`int`, *optional*): How many different crops a clip has; each epoch hears one of them, drawn at
            random. `None` cuts a new one in every epoch, as ParaCLAP does, and then nothing can be cached.
        seed (`int`, defaults to 0): Another seed, other crops.

    Raises:
        ValueError: if `seconds` is not a positive number or `per_clip` is less than 1.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.data.crops import Crops
    >>> crops = Crops(seconds=2.0, per_clip=4)
    >>> number = crops.number("clip-7", epoch=3)
    >>> 0 <= number < 4
    True
    >>> crops.cut(np.zeros(80000, dtype=np.float32), 16000, "clip-7", number).shape
    (32000,)

    ```
    """

    seconds: float | None = 5.0
    per_clip: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(
                f"`seconds` is the length of a crop and must be positive, not {self.seconds}; None takes clips whole."
            )
        if self.per_clip is not None and self.per_clip < 1:
            raise ValueError(
                f"`per_clip` is {self.per_clip}, but a clip needs at least one crop; None cuts a new one every epoch."
            )

    def number(self, row_id: str, epoch: int) -> int:
        """Which of its crops the clip `row_id` gives in `epoch`; the number 0 where clips are taken whole."""
        if self.seconds is None:
            return 0
        if self.per_clip is None:
            return epoch
        return self._draw(f"epoch/{epoch}", row_id, self.per_clip)

    def cut(self, samples: np.ndarray, sampling_rate: int, row_id: str, number: int) -> np.ndarray:
        """
        Crop `number` of a clip: any start is as likely as any other. A clip no longer than `seconds` stays whole.

        Args:
            samples (`np.ndarray` of shape `(samples,)`): The whole clip, mono.
            sampling_rate (`int`): Its rate in Hz.
            row_id (`str`): The clip's id.
            number (`int`): From [`~Crops.number`].

        Returns:
            `np.ndarray` of shape `(min(samples, seconds * sampling_rate),)`, a view of `samples`.
        """
        if self.seconds is None:
            return samples
        length = max(1, round(self.seconds * sampling_rate))
        if len(samples) <= length:
            return samples
        start = self._draw(f"crop/{number}", row_id, len(samples) - length + 1)
        return samples[start : start + length]

    def _draw(self, what: str, row_id: str, count: int) -> int:
        generator = torch.Generator().manual_seed(crc32(f"{self.seed}/{what}/{row_id}".encode()))
        return int(torch.randint(count, (1,), generator=generator))
