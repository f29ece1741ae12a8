"""Grafana over HTTP: create or update dashboards, on the old `/api` and the newer `/apis`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import quote

import requests

from greenops.errors import AdapterUnavailable, AdapterUnsupported

Json = dict[str, Any]

TRIES: Final = 3
"""Writes of one dashboard before a conflict is reported."""

MESSAGE: Final = "greenops dashboards apply"
"""What Grafana's version history says."""

SERVED: Final = ("v1", "v1beta1")
"""Versions of the newer API that take the classic model, best first. Source: Grafana 12 and 13,
HTTP API documentation."""

VOLATILE: Final = ("id", "version", "uid")
"""What Grafana sets by itself; two dashboards that differ only here are the same."""

OK, NOT_FOUND, CONFLICTS = 200, 404, (409, 412)
BAD_TOKEN: Final = (401, 403)
REDIRECTS: Final = range(300, 400)


class Change(StrEnum):
    """What became of a dashboard."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Applied:
    """One dashboard and what became of it."""

    uid: str
    change: Change


@dataclass(frozen=True, slots=True)
class Stored:
    """A dashboard as Grafana holds it; `version` guards against another writer."""

    spec: Json
    version: Any
    folder: str | None


class _Bearer(requests.auth.AuthBase):
    """The token; given as `auth`, so that a `.netrc` file cannot replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Conflict(Exception):
    """Someone else wrote between our read and our write."""


class Grafana:
    """A Grafana server. Stability: beta; tested against a fake of both APIs.

    Args:
        url: Root of the server, `http://127.0.0.1:3000`.
        token: Service account token with the role Editor.
        org: Organisation id; none is the token's own.
        timeout_s: Longest wait for one answer [s].
    """

    def __init__(
        self, url: str, token: str, org: int | None = None, timeout_s: float = 10.0
    ) -> None:
        self._url = url.rstrip("/")
        self._org = org
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        if org is not None:
            self._session.headers["X-Grafana-Org-Id"] = str(org)

    def apply(
        self, dashboards: Iterable[Json], folder_uid: str = "greenops", title: str = "GreenOps"
    ) -> list[Applied]:
        """Make the folder and each dashboard as given; what is so already is not written.

        Raises:
            AdapterUnavailable: No answer, or another writer was faster every time.
            AdapterUnsupported: The token, or Grafana's own rules, forbid it.
        """
        api = self._api()
        api.ensure_folder(folder_uid, title)
        return [self._upsert(api, each, folder_uid) for each in dashboards]

    def _upsert(self, api: _Api, board: Json, folder: str) -> Applied:
        uid = board["uid"]
        for _ in range(TRIES):
            stored = api.read(uid)
            if stored and _same(stored.spec, board) and stored.folder == folder:
                return Applied(uid, Change.UNCHANGED)
            try:
                api.write(board, folder, stored)
            except _Conflict:
                continue
            return Applied(uid, Change.UPDATED if stored else Change.CREATED)
        raise AdapterUnavailable(
            "GO0903",
            f"dashboard `{uid}` was changed by someone else at each of {TRIES} tries",
            fix="try again; a dashboard that came through the 12 to 13 upgrade may refuse every "
            "write: delete it in Grafana, then apply",
        )

    def _api(self) -> _Api:
        boards = self._version("dashboard.grafana.app")
        folders = self._version("folder.grafana.app")
        if boards is None or folders is None:
            return _OldApi(self)
        space = "default" if self._org in (None, 1) else f"org-{self._org}"
        return _NewApi(self, boards, folders, space)

    def _version(self, group: str) -> str | None:
        """Best served version of an API group; none where this Grafana has none we know."""
        answer = self.call("GET", f"/apis/{group}", missing_ok=True)
        served = {each.get("version") for each in (answer or {}).get("versions", [])}
        return next((each for each in SERVED if each in served), None)

    def call(
        self, method: str, path: str, body: Json | None = None, *, missing_ok: bool = False
    ) -> Json | None:
        """One request; none where the thing is missing and `missing_ok`.

        Raises:
            AdapterUnavailable: No answer, or a server fault.
            AdapterUnsupported: Refused.
        """
        try:
            answer = self._session.request(
                method,
                f"{self._url}{path}",
                json=body,
                timeout=self._timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise AdapterUnavailable(
                "GO0901",
                f"Grafana at `{self._url}` does not answer ({type(error).__name__})",
                fix="check --url and that Grafana runs",
            ) from error
        if answer.status_code == NOT_FOUND and missing_ok:
            return None
        self._check(answer, method, path)
        return self._json(answer)

    def _check(self, answer: requests.Response, method: str, path: str) -> None:
        said, reason = _said(answer)
        code = answer.status_code
        if code in BAD_TOKEN:
            raise AdapterUnsupported(
                "GO0902",
                f"Grafana refused the token for `{method} {path}`: {said}",
                fix="make a service account token with the role Editor and set `GRAFANA_TOKEN`",
            )
        if code in CONFLICTS and reason not in ("name-exists", "plugin-dashboard"):
            raise _Conflict
        if code >= 500:  # noqa: PLR2004
            raise AdapterUnavailable(
                "GO0901", f"Grafana answered {code} to `{method} {path}`: {said}", fix="try later"
            )
        if code in REDIRECTS:
            raise AdapterUnsupported(
                "GO0905",
                f"`{self._url}` sends us elsewhere, to `{answer.headers.get('Location')}`",
                fix="give --url the root of Grafana itself, without a login page before it",
            )
        if code >= 400:  # noqa: PLR2004
            raise AdapterUnsupported(
                "GO0904",
                f"Grafana refused `{method} {path}` with {code}: {said}",
                fix="a dashboard of the same title stands in the folder, or a plugin owns it: "
                "rename or remove it"
                if reason in ("name-exists", "plugin-dashboard")
                else "run `greenops dashboards lint`",
            )

    def _json(self, answer: requests.Response) -> Json:
        try:
            found = answer.json()
        except requests.JSONDecodeError as error:
            raise self._no_grafana() from error
        if not isinstance(found, dict):
            raise self._no_grafana()
        return found

    def _no_grafana(self) -> AdapterUnsupported:
        return AdapterUnsupported(
            "GO0905",
            f"`{self._url}` does not answer like Grafana",
            fix="give --url the root of Grafana, for example http://127.0.0.1:3000",
        )


class _Api(Protocol):
    """One generation of Grafana's API."""

    def ensure_folder(self, uid: str, title: str) -> None: ...
    def read(self, uid: str) -> Stored | None: ...
    def write(self, board: Json, folder: str, stored: Stored | None) -> None: ...


class _OldApi:
    """Grafana 10 and 11: `/api/dashboards/db`."""

    def __init__(self, server: Grafana) -> None:
        self._server = server

    def ensure_folder(self, uid: str, title: str) -> None:
        found = self._server.call("GET", f"/api/folders/{quote(uid, safe='')}", missing_ok=True)
        if found is None:
            _race(lambda: self._server.call("POST", "/api/folders", {"uid": uid, "title": title}))

    def read(self, uid: str) -> Stored | None:
        path = f"/api/dashboards/uid/{quote(uid, safe='')}"
        found = self._server.call("GET", path, missing_ok=True)
        if found is None:
            return None
        spec = found.get("dashboard", {})
        return Stored(spec, spec.get("version"), found.get("meta", {}).get("folderUid") or None)

    def write(self, board: Json, folder: str, stored: Stored | None) -> None:
        # With the version we read and no overwrite, a faster writer is seen and not undone.
        version = {} if stored is None else {"version": stored.version}
        spec = {**board, "id": stored.spec.get("id") if stored else None, **version}
        body = {"dashboard": spec, "folderUid": folder, "message": MESSAGE, "overwrite": False}
        self._server.call("POST", "/api/dashboards/db", body)


class _NewApi:
    """Grafana 12 and later: Kubernetes-style resources."""

    def __init__(self, server: Grafana, boards: str, folders: str, space: str) -> None:
        self._server = server
        self._boards = f"/apis/dashboard.grafana.app/{boards}/namespaces/{space}/dashboards"
        self._folders = f"/apis/folder.grafana.app/{folders}/namespaces/{space}/folders"

    def ensure_folder(self, uid: str, title: str) -> None:
        path = f"{self._folders}/{quote(uid, safe='')}"
        if self._server.call("GET", path, missing_ok=True) is None:
            body = {"metadata": {"name": uid}, "spec": {"title": title}}
            _race(lambda: self._server.call("POST", self._folders, body))

    def read(self, uid: str) -> Stored | None:
        path = f"{self._boards}/{quote(uid, safe='')}"
        found = self._server.call("GET", path, missing_ok=True)
        if found is None:
            return None
        about = found.get("metadata", {})
        folder = about.get("annotations", {}).get("grafana.app/folder")
        return Stored(found.get("spec", {}), about.get("resourceVersion"), folder)

    def write(self, board: Json, folder: str, stored: Stored | None) -> None:
        notes = {"grafana.app/folder": folder, "grafana.app/message": MESSAGE}
        about: Json = {"name": board["uid"], "annotations": notes}
        spec = {key: each for key, each in board.items() if key not in VOLATILE}
        if stored is None:
            # A new object must not carry a resourceVersion.
            self._server.call("POST", self._boards, {"metadata": about, "spec": spec})
            return
        about["resourceVersion"] = stored.version
        path = f"{self._boards}/{quote(board['uid'], safe='')}"
        self._server.call("PUT", path, {"metadata": about, "spec": spec})


def _race(create: Any) -> None:
    """Create what was missing a moment ago; that it is there now is as good."""
    try:
        create()
    except _Conflict:
        return


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    return all(ours.get(key) == theirs.get(key) for key in {*ours, *theirs} if key not in VOLATILE)


def _said(answer: requests.Response) -> tuple[str, str]:
    """Grafana's message and its machine-readable reason, whatever the API generation."""
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        return answer.reason or "no reason given", ""
    reason = found.get("reason") or found.get("status") or ""
    return str(found.get("message") or answer.reason)[:200], str(reason)
