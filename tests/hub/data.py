"""Data sets on the Hub of the tests: corpora in parquet files, with the audio as it was encoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets.config
import huggingface_hub.constants
import huggingface_hub.utils._cache_assets
import pytest
from datasets import Audio, Dataset, Features

from tests.hub.here import hub_here
from tests.hub.repositories import Repository, StoredFile
from tests.hub.server import Hub


@contextmanager
def hub_with_data(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """A Hub that this process's clients, also `datasets`, talk to; what they keep is in `cache`."""
    with hub_here(monkeypatch) as server:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", server.url)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache / "datasets")
        monkeypatch.setattr(huggingface_hub.utils._cache_assets, "HF_ASSETS_CACHE", str(cache / "assets"))
        yield server


def put(server: Hub, name: str, rows: list[dict[str, Any]], shards: int = 2, **features: Any) -> str:
    """Put rows whose `audio` has `bytes` and `path` on the Hub, as a split `train`; return the commit."""
    table = Dataset.from_list(rows)
    table = table.cast(Features(table.features | {"audio": Audio()} | features))
    tree = {".gitattributes": StoredFile(b"")}
    for number in range(shards):
        file = f"data/train-{number:05}-of-{shards:05}.parquet"
        tree[file] = StoredFile(parquet(table.shard(shards, number)))
    repository = server.repositories.setdefault(f"datasets/{name}", Repository("ann", private=False))
    # Caches are kept by commit: its name has to tell the content.
    return repository.commit("main", tree, sha256(b"".join(file.content for file in tree.values())).hexdigest())


def parquet(rows: Dataset) -> bytes:
    """The bytes of a parquet file with rows."""
    file = BytesIO()
    rows.to_parquet(file)
    return file.getvalue()


def audio(path: Path, name: str | None = "") -> dict[str, Any]:
    """What `datasets` keeps of an audio file: its bytes, and its name, which may be another or none."""
    return {"bytes": path.read_bytes(), "path": path.name if name == "" else name}
