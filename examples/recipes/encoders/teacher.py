"""Sentence embeddings of the teacher, kept in a file for the next run."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm.auto import tqdm
from transformers import AutoTokenizer, BertModel, PreTrainedTokenizerBase

from .length_batches import sorted_batches


PREFIX = "query: "  # what multilingual-e5 was trained to see before a text to compare


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are no padding: (batch, tokens, hidden) and (batch, tokens) to (batch, hidden)."""
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1)


class Teacher:
    """
    A sentence encoder of the E5 kind.

    Args:
        source (`str` or `Path`): A directory or a model id of the hub.
        dtype (`torch.dtype`): What to compute in.

    Raises:
        ValueError: The source cannot be loaded.
    """

    def __init__(self, source: str | Path, dtype: torch.dtype) -> None:
        try:
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(source))
            model = BertModel.from_pretrained(str(source), add_pooling_layer=False, dtype=dtype)
        except OSError as error:
            raise ValueError(f"The teacher {str(source)!r} could not be loaded: {error}") from error
        self.model = model.eval()
        self.width: int = model.config.hidden_size

    def fingerprint(self) -> str:
        """Names the weights and the precision: embeddings of another teacher must not be taken for this one's."""
        digest = hashlib.sha256(str(self.model.dtype).encode())
        for weight in self.model.state_dict().values():
            digest.update(weight.contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], batch_size: int = 64) -> Tensor:
        """Embeddings of length 1 and shape (texts, hidden), in float32. Texts are cut after 128 tokens."""
        encoded = self.tokenizer([PREFIX + text for text in texts], truncation=True, max_length=128)["input_ids"]
        found = torch.zeros(len(texts), self.width)
        lengths = [len(ids) for ids in encoded]
        with tqdm(total=len(texts), desc="teacher's embeddings", unit="texts") as progress:
            for batch in sorted_batches(lengths, batch_size):
                padded = self.tokenizer.pad({"input_ids": [encoded[index] for index in batch]}, return_tensors="pt")
                hidden = self.model(**padded).last_hidden_state  # (batch, tokens, hidden)
                found[batch] = functional.normalize(mean_pool(hidden, padded["attention_mask"]), dim=-1)
                progress.update(len(batch))
        return found


def cached_embeddings(teacher: Teacher, texts: Sequence[str], folder: Path) -> Tensor:
    """
    Embeddings of the texts, of which only those not seen before are computed.

    Args:
        teacher (`Teacher`): The teacher.
        texts (`Sequence[str]`): The texts.
        folder (`Path`): Where the embeddings of each teacher are kept, in half precision.

    Returns:
        `Tensor`: Shape (texts, hidden), float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vectors_path = folder / f"{teacher.fingerprint()}.npy"
    texts_path = vectors_path.with_suffix(".json")
    known: list[str] = []
    vectors = np.zeros((0, teacher.width), np.float16)
    if texts_path.exists() and vectors_path.exists():
        known, vectors = json.loads(texts_path.read_text("utf-8")), np.load(vectors_path)
    rows = {text: row for row, text in enumerate(known)}
    new = [text for text in dict.fromkeys(texts) if text not in rows]
    if new:
        vectors = np.concatenate([vectors, teacher.embed(new).numpy().astype(np.float16)])
        rows |= {text: len(known) + index for index, text in enumerate(new)}
        np.save(vectors_path, vectors)
        texts_path.write_text(json.dumps(list(rows), ensure_ascii=False), "utf-8")
    return torch.from_numpy(vectors[[rows[text] for text in texts]].astype(np.float32))
