"""Repositories in memory, as the Hub keeps them: commits of whole trees, branches, large files apart."""

from dataclasses import dataclass, field
from hashlib import sha1, sha256
from typing import Any


@dataclass(frozen=True)
class StoredFile:
    """The content of a file, and whether it is kept as a large file."""

    content: bytes
    large: bool = False

    @property
    def digest(self) -> str:
        """What identifies the content: git's for a file, and for a large one its SHA-256."""
        if self.large:
            return sha256(self.content).hexdigest()
        return sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    def described(self, path: str) -> dict[str, Any]:
        """An entry of a listing."""
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.digest[:40]}
        if self.large:
            entry["lfs"] = {"oid": self.digest, "size": len(self.content), "pointerSize": 134}
        return entry


Tree = dict[str, StoredFile]


@dataclass
class Repository:
    """One repository; it begins with a commit of `.gitattributes`, as on the Hub."""

    owner: str
    private: bool
    trees: dict[str, Tree] = field(default_factory=dict)
    titles: list[tuple[str, str]] = field(default_factory=list)
    """Commit and title, the oldest first, of all branches."""
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit("main", {".gitattributes": StoredFile(b"*.safetensors filter=lfs\n")}, "initial commit")

    def commit(self, branch: str, tree: Tree, title: str) -> str:
        """Makes `tree` the content of `branch`, at once and as a whole."""
        name = sha1(f"{branch} {title} {len(self.titles)}".encode()).hexdigest()
        self.trees[name] = tree
        self.titles.append((name, title))
        self.branches[branch] = name
        return name

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a commit's name stands for."""
        commit = self.branches.get(revision) or self.tags.get(revision, revision)
        return commit if commit in self.trees else None

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Path to content."""
        return {path: file.content for path, file in self.trees[self.branches[revision]].items()}

    def commits(self) -> list[str]:
        """Titles, the oldest first."""
        return [title for _, title in self.titles]
