"""Dashboards come into Grafana once, and a second apply writes nothing."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from greenops.adapters.grafana import Applied, Change, Grafana
from greenops.cli import dashboards as command
from greenops.errors import AdapterUnavailable, AdapterUnsupported

pytestmark = pytest.mark.network

BOARD = {"uid": "greenops-overview", "title": "GreenOps / Overview", "panels": [{"id": 1}]}


class FakeGrafana:
    """Both generations of Grafana's HTTP API, as their documentation says; one shelf of boards.

    No real Grafana can be had from a package index or from Debian, so none was driven: what this
    fake gets wrong about Grafana, the adapter gets wrong too. `major` 11 has `/api` only, 12 serves
    `v1beta1`, 13 serves `v1`.
    """

    token = "glsa_right"

    def __init__(self, major: int) -> None:
        self.served = {11: [], 12: ["v0alpha1", "v1beta1"], 13: ["v1", "v2"]}[major]
        self.boards: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, str] = {}
        self.writes: list[tuple[str, str, dict[str, Any]]] = []
        self.races = 0
        self.folder_race = False
        self.answer_with: tuple[int, dict[str, Any] | str] | None = None
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def handle(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        self.headers.append(headers)
        if headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"message": "Invalid API key", "status": "Unauthorized"}
        if self.answer_with:
            return self.answer_with
        if method in ("POST", "PUT"):
            self.writes.append((method, path, body))
        parts = path.strip("/").split("/")
        if parts[0] == "apis":
            return self._apis(method, parts, body)
        return self._api(method, parts, body)

    def _raced(self, uid: str) -> bool:
        if not self.races:
            return False
        self.races -= 1
        if uid in self.boards:
            self.boards[uid]["version"] += 1
        return True

    def _api(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        match method, parts:
            case "GET", ["api", "folders", uid]:
                return (200, {"uid": uid}) if uid in self.folders else (404, {"message": "no"})
            case "POST", ["api", "folders"]:
                self.folders[body["uid"]] = body["title"]
                return (412, {"message": "exists"}) if self.folder_race else (200, body)
            case "GET", ["api", "dashboards", "uid", uid]:
                return self._read_old(uid)
            case "POST", ["api", "dashboards", "db"]:
                return self._save_old(body)
            case _:
                return 404, {"message": "Not found"}

    def _read_old(self, uid: str) -> tuple[int, Any]:
        if uid not in self.boards:
            return 404, {"message": "Dashboard not found"}
        held = self.boards[uid]
        spec = {**held["spec"], "id": 7, "uid": uid, "version": held["version"]}
        return 200, {"dashboard": spec, "meta": {"folderUid": held["folder"]}}

    def _save_old(self, body: Any) -> tuple[int, Any]:
        spec = body["dashboard"]
        uid, held = spec["uid"], self.boards.get(spec["uid"])
        mismatch = held is not None and spec.get("version") != held["version"]
        if self._raced(uid) or (mismatch and not body.get("overwrite")):
            return 412, {"status": "version-mismatch", "message": "changed by someone else"}
        version = held["version"] + 1 if held else 1
        self.boards[uid] = {"spec": spec, "version": version, "folder": body.get("folderUid", "")}
        return 200, {"status": "success", "uid": uid, "version": version}

    def _apis(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        if not self.served or (len(parts) > 2 and parts[2] not in self.served):
            return 404, {"message": "page not found"}
        match method, parts:
            case "GET", ["apis", _]:
                return 200, {"versions": [{"version": each} for each in self.served]}
            case "GET", ["apis", "folder.grafana.app", _, "namespaces", _, "folders", uid]:
                return (200, {"metadata": {"name": uid}}) if uid in self.folders else (404, {})
            case "POST", ["apis", "folder.grafana.app", _, "namespaces", _, "folders"]:
                self.folders[body["metadata"]["name"]] = body["spec"]["title"]
                return (409, {"reason": "AlreadyExists"}) if self.folder_race else (201, body)
            case "GET", [*_, "dashboards", uid]:
                return self._read_new(uid)
            case "POST", [*_, "dashboards"]:
                return self._create_new(body)
            case "PUT", [*_, "dashboards", uid]:
                return self._replace_new(uid, body)
            case _:
                return 404, {"reason": "NotFound", "message": "not found"}

    def _read_new(self, uid: str) -> tuple[int, Any]:
        if uid not in self.boards:
            return 404, {"reason": "NotFound", "message": "not found"}
        held = self.boards[uid]
        notes = {"grafana.app/folder": held["folder"]}
        about = {"name": uid, "resourceVersion": str(held["version"]), "annotations": notes}
        return 200, {"metadata": about, "spec": held["spec"]}

    def _create_new(self, body: Any) -> tuple[int, Any]:
        uid = body["metadata"]["name"]
        if "resourceVersion" in body["metadata"]:
            return 422, {"reason": "Invalid", "message": "resourceVersion should not be set"}
        if self._raced(uid) or uid in self.boards:
            return 409, {"reason": "AlreadyExists", "message": f"{uid} already exists"}
        self._keep(uid, body, 1)
        return 201, body

    def _replace_new(self, uid: str, body: Any) -> tuple[int, Any]:
        raced = self._raced(uid)
        held = self.boards[uid]
        if raced or body["metadata"].get("resourceVersion") != str(held["version"]):
            return 409, {"reason": "Conflict", "message": "requested RV does not match current RV"}
        self._keep(uid, body, held["version"] + 1)
        return 200, body

    def _keep(self, uid: str, body: Any, version: int) -> None:
        folder = body["metadata"]["annotations"]["grafana.app/folder"]
        self.boards[uid] = {"spec": body["spec"], "version": version, "folder": folder}


@contextlib.contextmanager
def listening(fake: FakeGrafana) -> Iterator[FakeGrafana]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            code, said = fake.handle(self.command, self.path, dict(self.headers), body)
            payload = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/login")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(params=[11, 12, 13], ids=lambda major: f"grafana-{major}")
def fake(request) -> Iterator[FakeGrafana]:
    with listening(FakeGrafana(request.param)) as fake:
        yield fake


def apply(fake: FakeGrafana, board: dict[str, Any] = BOARD, token: str = FakeGrafana.token):
    return Grafana(fake.url, token).apply([board])


@pytest.mark.feature("K8")
def test_a_new_dashboard_is_created_in_its_folder(fake):
    assert apply(fake) == [Applied("greenops-overview", Change.CREATED)]

    assert fake.folders == {"greenops": "GreenOps"}
    held = fake.boards["greenops-overview"]
    assert (held["spec"]["title"], held["folder"]) == ("GreenOps / Overview", "greenops")


def test_the_second_apply_writes_nothing(fake):
    apply(fake)
    fake.writes.clear()

    assert apply(fake) == [Applied("greenops-overview", Change.UNCHANGED)]

    assert fake.writes == []


def test_a_changed_dashboard_is_updated(fake):
    apply(fake)

    assert apply(fake, {**BOARD, "title": "new"})[0].change is Change.UPDATED

    assert fake.boards["greenops-overview"]["spec"]["title"] == "new"


def test_a_dashboard_that_was_moved_comes_back(fake):
    apply(fake)
    fake.boards["greenops-overview"]["folder"] = "elsewhere"

    assert apply(fake)[0].change is Change.UPDATED

    assert fake.boards["greenops-overview"]["folder"] == "greenops"


@pytest.mark.parametrize("races", [1, 2])
def test_a_faster_writer_is_read_again_and_then_followed(fake, races):
    apply(fake)
    fake.races = races

    assert apply(fake, {**BOARD, "title": "new"})[0].change is Change.UPDATED

    assert fake.boards["greenops-overview"]["spec"]["title"] == "new"


def test_a_conflict_that_stays_is_reported_after_three_tries(fake):
    apply(fake)
    fake.races, fake.writes[:] = 99, []

    with pytest.raises(AdapterUnavailable, match=r"GO0903 .*at each of 3 tries; try again"):
        apply(fake, {**BOARD, "title": "new"})

    assert len(fake.writes) == 3


def test_a_bad_token_says_what_to_do_and_is_not_told(fake):
    with pytest.raises(AdapterUnsupported, match=r"GO0902 .*GRAFANA_TOKEN") as caught:
        apply(fake, token="glsa_wrong")

    assert "glsa_wrong" not in str(caught.value)
    assert fake.boards == {}


@pytest.mark.parametrize(
    ("status", "said", "kind", "message"),
    [
        (500, {"message": "database is locked"}, AdapterUnavailable, "GO0901 .*database is locked"),
        (400, {"message": "bad panel"}, AdapterUnsupported, "GO0904 .*bad panel.*lint"),
        (412, {"status": "name-exists"}, AdapterUnsupported, "GO0904 .*same title"),
        (302, {}, AdapterUnsupported, "GO0905 .*/login"),
        (200, "<html>", AdapterUnsupported, "GO0905 .*does not answer like Grafana"),
        (200, "[]", AdapterUnsupported, "GO0905"),
        (502, "<html>", AdapterUnavailable, "GO0901 .*502"),
    ],
)
def test_each_refusal_is_one_line_that_says_what_to_do(status, said, kind, message):
    with listening(FakeGrafana(13)) as fake:
        fake.answer_with = (status, said)

        with pytest.raises(kind, match=message):
            apply(fake)


def test_a_server_that_is_away_is_unavailable():
    with pytest.raises(AdapterUnavailable, match=r"GO0901 .*does not answer"):
        Grafana("http://127.0.0.1:9", "t", timeout_s=1).apply([BOARD])


def test_a_folder_that_someone_else_makes_at_the_same_time_will_do(fake):
    fake.folder_race = True

    assert apply(fake)[0].change is Change.CREATED


def test_another_organisation_has_its_own_namespace():
    with listening(FakeGrafana(13)) as fake:
        Grafana(fake.url, fake.token, org=7).apply([BOARD])

        assert all("/namespaces/org-7/" in path for _, path, _ in fake.writes)
        assert {each["X-Grafana-Org-Id"] for each in fake.headers} == {"7"}


def test_the_command_says_what_became_of_each_dashboard(fake, monkeypatch, capsys):
    monkeypatch.setenv("GRAFANA_TOKEN", fake.token)
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["dashboards", "apply", "--url", fake.url])

    assert [args.run(args), args.run(args)] == [0, 0]

    assert capsys.readouterr().out == "greenops-overview: created\ngreenops-overview: unchanged\n"


def test_a_netrc_file_does_not_replace_the_token(fake, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert apply(fake)[0].change is Change.CREATED
