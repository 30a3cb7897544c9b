"""A Hub on the loopback address that holds model repositories in memory: what push and pull of a small folder need."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Hub:
    """Repositories by name, each as its files; and the commits that were made."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[tuple[str, list[str]]] = []
        self.url = ""

    def sha(self, repo: str) -> str:
        """A made-up commit id, which depends on the files."""
        return hashlib.sha1(repr(sorted(self.files[repo].items())).encode()).hexdigest()


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a Hub for as long as the block lasts."""
    hub = Hub()
    handler = type("BoundHandler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[1:] == ["repos", "create"]:
            asked = json.loads(body)
            name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
            self.hub.files.setdefault(name, {})
            self._answer({"url": f"{self.hub.url}/{name}"})
        elif "preupload" in parts:
            files = json.loads(body)["files"]
            self._answer(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        elif "commit" in parts:
            repo = "/".join(parts[2 : parts.index("commit")])
            lines = [json.loads(line) for line in body.splitlines()]
            files = {e["value"]["path"]: base64.b64decode(e["value"]["content"]) for e in lines if e["key"] == "file"}
            self.hub.files[repo] |= files
            self.hub.commits.append((repo, sorted(files)))
            sha = self.hub.sha(repo)
            self._answer({"commitOid": sha, "commitUrl": f"{self.hub.url}/{repo}/commit/{sha}", "success": True})
        else:
            self._answer({"error": f"no {self.path}"}, 404)

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        repo = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        if repo not in self.hub.files:
            self._answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif "tree" in parts:
            self._answer([{"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                          for name, data in self.hub.files[repo].items()])  # fmt: skip
        elif parts[0] == "api":
            siblings = [{"rfilename": name} for name in self.hub.files[repo]]
            self._answer({"id": repo, "sha": self.hub.sha(repo), "siblings": siblings, "private": False, "tags": []})
        else:
            data = self.hub.files[repo].get(parts[-1])
            if data is None:
                self._answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            else:
                headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.hub.sha(repo)}
                self._answer(data, 200, headers)

    do_HEAD = do_GET

    def _answer(self, content, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *args) -> None:
        """Say nothing."""
