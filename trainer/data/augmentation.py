"""Under which acoustic condition a training clip is heard in an epoch."""

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from .acoustic_conditions import CONDITIONS, LOWEST_RATE, apply_condition, nothing_to_hear
from .clips import MIN_SECONDS


@dataclass(frozen=True)
class Augmentation:
    """
    Lets training clips be heard under acoustic conditions. In every epoch a clip gets one of them, each as likely as
    any other, and new noise. As with [`~smoothclap_trainer.data.crops.Crops`], what is drawn depends on `seed`, the
    clip's id and the epoch alone; the number of the crop does not matter, because few crops are heard again and again.

    To train on degraded speech, and how it is degraded, is this project's choice.

    Args:
        conditions (`tuple[str, ...]`): Names of [`~smoothclap_trainer.data.acoustic_conditions.CONDITIONS`], each
            once. `"clean"` among them leaves its share of the crops as recorded.
        seed (`int`, defaults to 0): Another seed, other conditions and other noise.

    Raises:
        ValueError: if there is no condition, one is unknown, or one comes twice.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.data.augmentation import Augmentation
    >>> augmentation = Augmentation(("clean", "noise-10db"))
    >>> voice = np.sin(np.arange(16000) * 0.05).astype(np.float32)
    >>> heard = [augmentation.apply(voice, 16000, "clip-7", epoch) for epoch in range(20)]
    >>> {bool(np.array_equal(each, voice)) for each in heard} == {True, False}
    True

    ```
    """

    conditions: tuple[str, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.conditions, str) or not self.conditions:
            raise ValueError(
                f"Acoustic conditions are some of {list(CONDITIONS)}, at least one, not {self.conditions or 'none'!r}."
            )
        if unknown := [name for name in self.conditions if name not in CONDITIONS]:
            raise ValueError(f"There are no acoustic conditions {unknown}; there are {list(CONDITIONS)}.")
        if repeated := [name for name, times in Counter(self.conditions).items() if times > 1]:
            raise ValueError(f"Acoustic conditions come once each, but {repeated} come more than once.")

    def apply(self, crop: np.ndarray, sampling_rate: int, row_id: str, epoch: int) -> np.ndarray:
        """
        What is heard of a clip in an epoch.

        A crop of which nothing can be heard stays as it is: one that is silent (all samples equal), as the pauses of a
        good clip may be, or shorter than 60 ms. None of them may end a training of hours.

        Args:
            crop (`np.ndarray` of shape `(samples,)`): float32 mono waveform.
            sampling_rate (`int`): Its rate in Hz, at least 8000.
            row_id (`str`): The clip's id.
            epoch (`int`): Of the training.

        Returns:
            `np.ndarray` of shape `(samples,)`: float32. Noise and loudness follow the crop, not the whole clip.

        Raises:
            ValueError: if the crop is not a finite float32 mono waveform, or its rate is lower.
            ImportError: The extra `acoustics` is not installed; see [`~Augmentation.try_out`].
        """
        if nothing_to_hear(crop, sampling_rate):
            return crop
        digest = blake2b(f"{self.seed}/{epoch}/{row_id}".encode(), digest_size=16).digest()
        generator = np.random.default_rng(int.from_bytes(digest, "little"))
        name = self.conditions[int(generator.integers(len(self.conditions)))]
        noise_seed = int(generator.integers(2**63))
        return apply_condition(CONDITIONS[name], crop, sampling_rate, row_id, noise_seed)

    def try_out(self, sampling_rate: int) -> None:
        """
        Find out whether all conditions can be heard, before a worker does after hours. Rooms are simulated here, too:
        workers that are forked from this process need not do it again.

        Args:
            sampling_rate (`int`): In Hz.

        Raises:
            ValueError: if it is below 8000 Hz.
            ImportError: The extra `acoustics` is not installed, and a condition needs it.
        """
        if sampling_rate < LOWEST_RATE:
            raise ValueError(
                f"The model hears audio at {sampling_rate} Hz, but acoustic conditions need at least {LOWEST_RATE} Hz: "
                "train without them."
            )
        tone = np.sin(np.arange(round(2 * MIN_SECONDS * sampling_rate))).astype(np.float32)
        for name in self.conditions:
            apply_condition(CONDITIONS[name], tone, sampling_rate, "a tone")
