"""The doors: OTLP over gRPC and HTTP, the decision API and the metrics page, opened together."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

from greenops.adapters.allocator import give_back
from greenops.config import Settings
from greenops.errors import Unreachable
from greenops.ports import ControlPlane
from greenops.service.api import api
from greenops.service.intake import Intake, every
from greenops.service.metrics import Telemetry
from greenops.service.otlp import http_app, start_grpc, taken

GRACE_S: Final = 3.0
"""How long open requests may take to end when the doors close [s]."""
BACKLOG: Final = 2048
"""Connections that may wait to be taken; uvicorn's own default."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that are listened on."""

    api: int
    otlp_grpc: int
    otlp_http: int


class Doors:
    """All ports of `greenops serve`; none is open until all are bound."""

    def __init__(
        self, settings: Settings, intake: Intake, control: ControlPlane, telemetry: Telemetry
    ) -> None:
        self._settings, self._intake = settings, intake
        self._control, self._telemetry = control, telemetry
        self._stop = threading.Event()
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []
        self._grpc: Any = None
        self.ports = Ports(0, 0, 0)

    def open(self) -> None:
        """Bind every port, then answer.

        Raises:
            Unreachable: A port is taken; names it, and nothing stays open.
        """
        settings = self._settings
        held: list[socket.socket] = []
        try:
            held.append(_bind(settings.host, settings.api_port, "api_port"))
            held.append(_bind(settings.host, settings.otlp_http_port, "otlp_http_port"))
            self._grpc, port = start_grpc(self._intake, settings.host, settings.otlp_grpc_port)
        except Unreachable:
            for each in held:
                each.close()
            raise
        for each in held:
            each.listen(BACKLOG)
        apps = (
            api(self._control, self._telemetry.answer, settings.host),
            http_app(self._intake),
        )
        # The API last: whoever is told there that all is well may send to every other port.
        for app, listening in reversed(list(zip(apps, held, strict=True))):
            self._servers.append(_serve(app, listening))
        numbers = [each.getsockname()[1] for each in held]
        self.ports = Ports(numbers[0], port, numbers[1])
        every(settings.flush_s, self._flush, self._stop)

    def _flush(self) -> None:
        self._intake.flush()
        give_back()

    def close(self) -> None:
        """Stop listening, let open requests end, flush what was accepted."""
        self._stop.set()
        if self._grpc is not None:
            self._grpc.stop(GRACE_S).wait()
        for server, thread in self._servers:
            server.should_exit = True
            thread.join(GRACE_S)
        self._intake.flush()
        self._telemetry.close()


def _bind(host: str, port: int, setting: str) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise taken(host, port, setting) from error
    return listening


def _serve(app: Any, listening: socket.socket) -> tuple[uvicorn.Server, threading.Thread]:
    server = uvicorn.Server(
        uvicorn.Config(app, ws="none", log_level="error", access_log=False, lifespan="off")
    )
    thread = threading.Thread(
        target=server.run, args=([listening],), name="greenops-http", daemon=True
    )
    thread.start()
    until = time.monotonic() + GRACE_S
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.005)
    return server, thread
