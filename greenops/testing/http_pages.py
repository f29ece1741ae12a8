"""A fake of an exporter or a management controller: a small HTTP server on the loopback interface."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from greenops.testing.web_service import LoopbackServer

Answer = tuple[int, bytes]


class FakePages(LoopbackServer):
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
        super().__init__(self._handler())

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

    def __exit__(self, *what: object) -> None:
        """Listen no more; an answer that stands half way is given whole."""
        self.slow.set()
        super().__exit__(*what)
