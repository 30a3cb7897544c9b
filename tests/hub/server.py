"""
A Hub on the loopback device, for the real `huggingface_hub` client: what pushing and pulling models asks of it.

    users, private repositories, branches, commits with a check of their parent, large files by the LFS protocol.

`faults` tell it to break off once, by repository: `"upload"` stops reading in the middle of a large file until the
client is gone, `"commit"` hangs up instead of making a commit, `"race"` makes another commit just before.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from huggingface_hub import RepoCard

from tests.hub.exchange import Exchange, Refusal
from tests.hub.repositories import Repository, StoredFile


ANN, BOB, READER = ("hf_" + name.ljust(34, "x") for name in ("ann", "bob", "annreads"))
TOKENS = {ANN: ("ann", True), BOB: ("bob", True), READER: ("ann", False)}
"""Token to user, and whether the token may write."""


class Hub(ThreadingHTTPServer):
    """The server and what it holds."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}
        self.halfway = threading.Event()
        """Set when the fault `"upload"` has come to its point."""
        self.requests: list[tuple[str, str]] = []

    def writes(self) -> list[tuple[str, str]]:
        """Requests so far that may have changed something."""
        return [(method, path) for method, path in self.requests if method not in ("GET", "HEAD")]


class Handler(Exchange):
    """Answers one request."""

    server: Hub

    def answer(self) -> None:
        """Finds the route, and replies with JSON or with a refusal."""
        self.path, _, self.query = self.path.partition("?")
        self.server.requests.append((self.command, self.path))
        try:
            for method, pattern, route in ROUTES:
                found = re.fullmatch(pattern, self.path)
                if found and self.command in method:
                    reply = route(self, *(unquote(part) for part in found.groups()))
                    return None if reply is None else self.send(200, json.dumps(reply).encode())
            raise Refusal(404, f"no such endpoint: {self.command} {self.path}")
        except Refusal as refusal:
            headers = {"X-Error-Message": str(refusal)} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            self.send(refusal.status, json.dumps({"error": str(refusal)}).encode(), headers)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = answer

    # Who may do what

    def user(self) -> tuple[str | None, bool]:
        """Whose token came with the request, if one did, and whether it may write."""
        said = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if said and said not in TOKENS:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return TOKENS.get(said, (None, False))

    def repository(self, name: str, write: bool = False) -> Repository:
        """A repository that the user may see, or write to."""
        user, may_write = self.user()
        found = self.server.repositories.get(name)
        if found is None or (found.private and user != found.owner):
            raise Refusal(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not (may_write and user == found.owner):
            self.body()
            raise Refusal(403 if user else 401, "You have no right to write here")
        return found

    def at(self, name: str, revision: str) -> tuple[Repository, str]:
        """A repository and the commit that a revision of it stands for."""
        repository = self.repository(name)
        commit = repository.resolve(revision)
        if commit is None:
            raise Refusal(404, "Invalid rev id", "RevisionNotFound")
        return repository, commit

    # Reading

    def info(self, name: str, revision: str = "main") -> dict[str, Any]:
        """What there is at a revision."""
        repository, commit = self.at(name, revision)
        siblings = [{"rfilename": path} for path in repository.trees[commit]]
        card = repository.trees[commit].get("README.md")
        said = {"cardData": RepoCard(card.content.decode()).data.to_dict()} if card else {}
        return {"id": name, "private": repository.private, "sha": commit, "siblings": siblings} | said

    def refs(self, name: str) -> dict[str, Any]:
        """Branches and tags."""
        repository = self.repository(name)
        branches, tags = (
            [{"name": each, "ref": f"refs/{kind}/{each}", "targetCommit": commit} for each, commit in refs.items()]
            for kind, refs in (("heads", repository.branches), ("tags", repository.tags))
        )
        return {"branches": branches, "tags": tags, "converts": []}

    def commits(self, name: str, revision: str) -> list[dict[str, Any]]:
        """All commits, the latest first."""
        repository, _ = self.at(name, revision)
        fixed = {"authors": [], "date": "2026-01-01T00:00:00.000Z", "message": ""}
        return [{"id": commit, "title": title} | fixed for commit, title in reversed(repository.titles)]

    def tree(self, name: str, revision: str, folder: str | None = None) -> list[dict[str, Any]]:
        """The files below a folder; without `recursive`, the files and folders in it."""
        repository, commit = self.at(name, revision)
        start = f"{folder}/" if folder else ""
        listed = {path: file.described(path) for path, file in repository.trees[commit].items()}
        listed = {path: entry for path, entry in listed.items() if path.startswith(start)}
        if folder and not listed:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        if "recursive=true" not in self.query.lower():
            deeper = {start + path.removeprefix(start).partition("/")[0]: path for path in listed}
            folders = {path: {"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in deeper}
            listed = {path: listed.get(path, folders[path]) for path in deeper}
        return list(listed.values())

    def resolve(self, name: str, revision: str, path: str) -> None:
        """A file's content, or the range of it that is asked for."""
        repository, commit = self.at(name, revision)
        file = repository.trees[commit].get(path)
        if file is None:
            missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            return self.send(404, b"Entry not found", missing)
        headers = {"ETag": f'"{file.digest}"', "X-Repo-Commit": commit}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2]), len(file.content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(file.content)}"
            return self.send(206, file.content[first : last + 1], headers)
        return self.send(200, file.content, headers)

    # Writing

    def create(self) -> dict[str, Any]:
        """A new repository."""
        user, may_write = self.user()
        asked = json.loads(self.body())
        name = f"{asked.get('organization') or user}/{asked['name']}"
        if not may_write or name.split("/")[0] != user:
            raise Refusal(403 if user else 401, f"You have no right to create {name}")
        if name in self.server.repositories:
            raise Refusal(409, "You already created this model repo")
        private = asked.get("private") or asked.get("visibility") == "private"
        self.server.repositories[name] = Repository(str(user), bool(private))
        return {"url": f"{self.server.url}/{name}"}

    def validate(self) -> dict[str, Any] | None:
        """Looks at the head of a card."""
        if json.loads(self.body())["content"].startswith("---\nlicense: nonsense"):
            message = {"errors": [{"message": '"license" must be one of those there are'}], "warnings": []}
            return self.send(400, json.dumps(message).encode())
        return {"errors": [], "warnings": []}

    def branch(self, name: str, branch: str) -> dict[str, Any]:
        """A new branch."""
        repository = self.repository(name, write=True)
        start = json.loads(self.body() or b"{}").get("startingPoint", "main")
        repository.branches[branch] = str(repository.resolve(start))
        return {}

    def preupload(self, name: str, revision: str) -> dict[str, Any]:
        """Which files are to be sent as large ones."""
        repository = self.repository(name, write=True)
        held = repository.trees[str(repository.resolve(revision))]
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": held[file["path"]].digest if file["path"] in held else None,
                }
                for file in json.loads(self.body())["files"]
            ]
        }

    def batch(self, name: str) -> dict[str, Any]:
        """Where large files are to be sent, if they are not there yet."""
        self.repository(name, write=True)
        objects = []
        for each in json.loads(self.body())["objects"]:
            place = f"{self.server.url}/{name}.git/large/{each['oid']}"
            there = each["oid"] in self.server.large
            actions = {"upload": {"href": place}, "verify": {"href": f"{self.server.url}/{name}.git/verify"}}
            objects.append(each if there else each | {"actions": actions})
        return {"transfer": "basic", "objects": objects}

    def put(self, name: str, digest: str) -> dict[str, Any]:
        """A large file, which is kept if it came whole."""
        if self.server.faults.get(name) == "upload":
            del self.server.faults[name]
            self.rfile.read(1000)
            self.server.halfway.set()
            while self.rfile.read(1000):  # until the client is gone
                pass
            self.hang_up()
        content = self.body()
        if sha256(content).hexdigest() != digest:
            raise Refusal(400, "The content is not what was announced")
        self.server.large[digest] = content
        return {}

    def verify(self, name: str) -> dict[str, Any]:
        """Whether a large file has come."""
        self.repository(name, write=True)
        asked = json.loads(self.body())
        if len(self.server.large.get(asked["oid"], b"")) != asked["size"]:
            raise Refusal(404, "The file is not here")
        return {}

    def commit(self, name: str, branch: str) -> dict[str, Any]:
        """All changes of a commit, or none."""
        repository = self.repository(name, write=True)
        lines = [json.loads(line) for line in self.body().splitlines()]
        fault = self.server.faults.pop(name, None)
        if fault == "commit":
            self.hang_up()
        if fault == "race":
            beside = {"other.txt": StoredFile(b"of somebody else")}
            repository.commit(branch, repository.trees[repository.branches[branch]] | beside, "a push at the same time")
        head = repository.branches[branch]
        if lines[0]["value"].get("parentCommit", head) != head:
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(repository.trees[head])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "deletedFile":
                del tree[value["path"]]
            elif line["key"] == "lfsFile":
                tree[value["path"]] = StoredFile(self.server.large[value["oid"]], large=True)
            else:
                tree[value["path"]] = StoredFile(base64.b64decode(value["content"]))
        commit = repository.commit(branch, tree, lines[0]["value"]["summary"])
        return {"commitUrl": f"{self.server.url}/{name}/commit/{commit}", "commitOid": commit, "success": True}


NAME, DATA, PART = r"([\w.-]+/[\w.-]+)", r"(datasets/[\w.-]+/[\w.-]+)", "([^/]+)"
ROUTES: list[tuple[tuple[str, ...], str, Callable[..., Any]]] = [
    (("POST",), "/api/repos/create", Handler.create),
    (("POST",), "/api/validate-yaml", Handler.validate),
    (("GET",), f"/api/models/{NAME}", Handler.info),
    (("GET",), f"/api/models/{NAME}/revision/{PART}", Handler.info),
    (("GET",), f"/api/models/{NAME}/refs", Handler.refs),
    (("GET",), f"/api/models/{NAME}/commits/{PART}", Handler.commits),
    (("GET",), f"/api/models/{NAME}/tree/{PART}", Handler.tree),
    (("GET",), f"/api/models/{NAME}/tree/{PART}/(.+)", Handler.tree),
    (("POST",), f"/api/models/{NAME}/branch/{PART}", Handler.branch),
    (("POST",), f"/api/models/{NAME}/preupload/{PART}", Handler.preupload),
    (("POST",), f"/api/models/{NAME}/commit/{PART}", Handler.commit),
    (("POST",), rf"/{NAME}\.git/info/lfs/objects/batch", Handler.batch),
    (("PUT",), rf"/{NAME}\.git/large/{PART}", Handler.put),
    (("POST",), rf"/{NAME}\.git/verify", Handler.verify),
    (("GET", "HEAD"), f"/{NAME}/resolve/{PART}/(.+)", Handler.resolve),
    (("GET",), f"/api/{DATA}", Handler.info),
    (("GET",), f"/api/{DATA}/revision/{PART}", Handler.info),
    (("GET",), f"/api/{DATA}/tree/{PART}", Handler.tree),
    (("GET",), f"/api/{DATA}/tree/{PART}/(.+)", Handler.tree),
    (("GET", "HEAD"), f"/{DATA}/resolve/{PART}/(.+)", Handler.resolve),
]


@contextmanager
def hub() -> Iterator[Hub]:
    """A Hub that holds nothing yet."""
    server = Hub()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
