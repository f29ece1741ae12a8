"""A fake web service on the loopback interface that looks at the whole request before it answers."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: path, parameters, and headers by lower-case name."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered.

    Attributes:
        body: Bytes as they are, a text, or anything else as JSON.
        status: HTTP status.
        headers: Further ones.
        drip_s: Time between two bytes of the body; 0 sends it at once.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip_s: float = 0.0

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


class LoopbackServer:
    """A server on a free port of the loopback interface; a context manager.

    Args:
        handler: Answers one connection.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.over = threading.Event()
        """Set when it ends: whoever waits, waits no more."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FakeWebService(LoopbackServer):
    """Answers GET as the test says.

    Args:
        answer: From a request to its reply; may be changed while it runs.
    """

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self.asked: list[Request] = []
        """Every request, oldest first."""
        super().__init__(type("Handler", (_Handler,), {"service": self}))

    def wrap(self, context: ssl.SSLContext) -> None:
        """Answer over TLS from now on."""
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )


class _Handler(BaseHTTPRequestHandler):
    """One connection of a fake."""

    service: FakeWebService

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
        )
        self.service.asked.append(request)
        self._send(self.service.answer(request))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        with suppress(OSError):  # whoever asked may have gone
            if not reply.drip_s:
                self.wfile.write(reply.content)
                return
            for byte in reply.content:
                if self.service.over.wait(reply.drip_s):
                    return
                self.wfile.write(bytes([byte]))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
