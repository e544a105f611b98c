"""HTTP servers on this machine, as tests want them: quiet, each with its URL, and gone when the test is over."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final, TypeVar

HOST: Final = "127.0.0.1"
POLL_SECONDS: Final = 0.01


class LocalServer(ThreadingHTTPServer):
    """Listens on a port of this machine; no request that still hangs keeps it from ending."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], *, port: int = 0) -> None:
        """Listen on `port`, or on one that is free."""
        super().__init__((HOST, port), handler)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://{HOST}:{self.server_port}"


class QuietHandler(BaseHTTPRequestHandler):
    """Reads bodies whole, answers in one go, and writes no log."""

    def read_body(self) -> bytes:
        """Return the body of the request."""
        return self.rfile.read(int(self.headers["content-length"]))

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


ServerT = TypeVar("ServerT", bound=LocalServer)


@contextmanager
def serving(server: ServerT) -> Iterator[ServerT]:
    """Let `server` answer, on a thread of its own."""
    thread = Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
    with server:
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
