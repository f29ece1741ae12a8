"""The part of a Kubernetes API that Jobs need, in memory: an emulator, for what a test must make happen.

It checks no schema and no rights, and runs no pods. What it does of JSON Patch, dry run, resource versions
and missing objects is held against the real server in `tests/peer/test_kubernetes_jobs.py`.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from greenops.testing.web_service import LoopbackServer

CREATED = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)


class FakeKubernetes(LoopbackServer):
    """Jobs in memory behind the paths of `batch/v1`; a context manager.

    Attributes:
        patched: Patches that changed something, oldest first.
        before: Called for each request with its method and path; a status that it gives is answered instead.
        after: The same, once the request took effect: its answer is lost.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.patched: list[Sequence[Mapping[str, Any]]] = []
        self.before: Callable[[str, str], int | None] = lambda _method, _path: None
        self.after: Callable[[str, str], int | None] = lambda _method, _path: None
        self.tokens: list[str] = []
        """What each request had as authorization."""
        self._lock = threading.Lock()
        self._version = 1000
        super().__init__(type("Handler", (_Handler,), {"cluster": self}))

    def create(
        self,
        name: str,
        workload: str = "nightly",
        namespace: str = "batch",
        *,
        suspend: bool = True,
        created: datetime = CREATED,
    ) -> dict[str, Any]:
        """A Job as a client creates it."""
        job: dict[str, Any] = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": str(uuid.uuid4()),
                "creationTimestamp": created.isoformat(),
                "labels": {"greenops.dev/workload": workload},
            },
            "spec": {"suspend": suspend, "template": {"metadata": {}, "spec": {}}},
            "status": {},
        }
        self.objects[namespace, name] = job
        self.touch(job)
        return job

    def touch(self, job: dict[str, Any]) -> None:
        """Give a Job a new resource version, as any change of it does."""
        self._version += 1
        job["metadata"]["resourceVersion"] = str(self._version)

    def key(self, name: str, namespace: str = "batch") -> str:
        """The run key of a Job."""
        meta = self.objects[namespace, name]["metadata"]
        workload = meta["labels"]["greenops.dev/workload"]
        return f"{workload}/{namespace}/{name}/{meta['uid'][:8]}"

    def path(self, name: str, namespace: str = "batch") -> str:
        """Where a Job is."""
        return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and document of a request."""
        as_told = {"kind": "Status", "message": "as the test says"}
        instead = self.before(method, path)
        if instead is not None:
            return instead, as_told
        status, document = self._answered(method, path, body)
        lost = self.after(method, path)
        return (status, document) if lost is None else (lost, as_told)

    def _answered(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        _, _, _, _, _, namespace, _, *name = parts.path.split("/")
        with self._lock:
            if not name:
                return 200, {"metadata": {}, "items": self._listed(namespace)}
            job = self.objects.get((namespace, name[0]))
            if job is None:
                return 404, {"kind": "Status", "message": f'jobs.batch "{name[0]}" not found'}
            if method == "GET":
                return 200, job
            return self._patched(job, body, dry="dryRun" in parse_qs(parts.query))

    def _listed(self, namespace: str) -> list[dict[str, Any]]:
        return [job for (where, _), job in self.objects.items() if where == namespace]

    def _patched(self, job: dict[str, Any], changes: Any, *, dry: bool) -> tuple[int, Any]:
        after = copy.deepcopy(job)
        for each in changes:
            *way, last = [
                part.replace("~1", "/").replace("~0", "~") for part in each["path"].split("/")[1:]
            ]
            at: Any = after
            for part in way:
                at = None if at is None else at.get(part)
            fits = at is not None and (each["op"] != "test" or at.get(last) == each["value"])
            if not fits:
                return 422, {"kind": "Status", "message": f"{each['op']} {each['path']} failed"}
            if each["op"] != "test":
                at[last] = each["value"]
        if not dry and after != job:
            job.clear()
            job.update(after)
            self.touch(job)
            self.patched.append(changes)
        return 200, after


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    cluster: FakeKubernetes
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write per answer: two would wait for each other's acknowledgement
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(None)

    def do_PATCH(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.cluster.tokens.append(self.headers.get("Authorization", ""))
        status, document = self.cluster.answer(self.command, self.path, body)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
