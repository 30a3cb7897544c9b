"""One request and its answer over HTTP."""

from http.server import BaseHTTPRequestHandler
from typing import Any


class Refusal(Exception):
    """A status, with the code by which the client tells causes apart."""

    def __init__(self, status: int, message: str, code: str = ""):
        super().__init__(message)
        self.status, self.code = status, code


class Exchange(BaseHTTPRequestHandler):
    """What handling a request needs of HTTP."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """One whole response."""
        self.send_response(status)
        for name, value in (
            {"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        """What the client sent."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def hang_up(self) -> None:
        """Ends the connection without an answer."""
        self.close_connection = True
        raise ConnectionAbortedError
