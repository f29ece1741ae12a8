"""Engine over a Ray cluster: one task for each part, the function put in its object store once.

`RAY_ADDRESS` names a cluster to join (its nodes need the same greenops); without it, workers are started
on this machine and end with us. Tasks over batches, with sums inside: `ray.data` was four to seven times slower.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar, cast

from greenops.errors import GreenOpsError, Unreachable
from greenops.ports import Work

P = TypeVar("P")
R = TypeVar("R")

AHEAD: Final = 2
"""Tasks that wait for each core of the cluster."""
KNOCK_S: Final = 5.0
"""Longest wait for a cluster to take a connection [s]."""
INSTALL: Final = "`pip install greenops-engine[ray]`"


class RayEngine:
    """The engine `ray`. Stability: beta.

    Args:
        workers: Cores that a cluster on this machine gets; none: all that this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers
        self._started = False

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "ray"

    def run(self, work: Work[P, R], parts: Iterable[P]) -> Iterator[R]:
        """The result of every part, in the order of the parts.

        Raises:
            Unreachable: Ray is not installed, its cluster does not answer, or a worker died.
        """
        ray = self._ray()
        task, shared = ray.remote(_one), ray.put(work)
        room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting: deque[Any] = deque()
        try:
            for part in parts:
                waiting.append(task.remote(shared, part))
                if len(waiting) >= room:
                    yield cast("R", ray.get(waiting.popleft()))
            while waiting:
                yield cast("R", ray.get(waiting.popleft()))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, GreenOpsError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            said = str(error).strip().split("\n")[0][:200]
            raise Unreachable("GO0681", f"a worker of Ray died: {said}") from error
        finally:
            for each in waiting:
                ray.cancel(each, force=True)

    def close(self) -> None:
        """Leave the cluster; one that we started ends."""
        if self._started:
            self._started = False
            self._ray().shutdown()

    def _ray(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise Unreachable(
                "GO0680", "the engine `ray` needs Ray, which is not installed", fix=INSTALL
            ) from error
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS") or "local"
            cores = None if address != "local" else self._workers or len(os.sched_getaffinity(0))
            try:
                _knock(address)
                ray.init(
                    address=address,
                    num_cpus=cores,
                    include_dashboard=False if address == "local" else None,
                    log_to_driver=False,
                    configure_logging=False,
                )
            except (OSError, RuntimeError, ValueError) as error:
                said = str(error).strip().split("\n")[0][:200]
                raise Unreachable(
                    "GO0680",
                    f"no cluster at `{address}`: {said}",
                    fix="set RAY_ADDRESS to one that runs, or unset it",
                ) from error
            self._started = True
        return ray


def _knock(address: str) -> None:
    """Ask whether anybody listens: Ray itself would ask for a minute, and say little."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def _one(work: Work[Any, Any], part: object) -> object:
    return work(part)
