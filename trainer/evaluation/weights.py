"""Which weights a checkpoint has."""

import hashlib
from pathlib import Path

from ..files import file_sha256


# In the order in which transformers prefers them. Other files of a training run are no weights of the model.
_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin", "adapter_model*.bin"))


def weights_sha256(folder: Path) -> str:
    """
    Say which weights a checkpoint has.

    Args:
        folder (`Path`): Of a checkpoint or of PEFT adapters.

    Returns:
        `str`: In hexadecimal, the SHA-256 of the file of weights: safetensors if there are any, as transformers
        prefers them. Of several files, that of what `sha256sum` prints of them in the order of their names.

    Raises:
        ValueError: if the folder has no weights.
    """
    for patterns in _WEIGHTS:
        if files := sorted(path for pattern in patterns for path in folder.glob(pattern)):
            break
    else:
        raise ValueError(f"{str(folder)!r} holds no file of weights: none is called {' or '.join(sum(_WEIGHTS, ()))}.")
    sums = [file_sha256(path) for path in files]
    if len(files) == 1:
        return sums[0]
    listing = "".join(f"{each}  {path.name}\n" for each, path in zip(sums, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()
