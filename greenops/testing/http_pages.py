"""A fake of an exporter or a management controller: a small HTTP server on the loopback interface."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, bytes]


class FakePages:
    """Answers GET by path; a context manager. `answers` may be changed while it runs.

    Args:
        answers: Status and body by path; others are 404.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, str | None]] = []
        """Path and `Authorization` of every request."""
        self.slow = threading.Event()
        """Cleared: answers stop half way until it is set."""
        self.slow.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages.asked.append((self.path, self.headers.get("Authorization")))
                status, body = pages.answers.get(self.path, (404, b""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                half = len(body) // 2
                self.wfile.write(body[:half])
                self.wfile.flush()
                pages.slow.wait()
                self.wfile.write(body[half:])

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self.slow.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
