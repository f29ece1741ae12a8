"""Routes as small files: weights that services look up in their own process.

`<state>/routes/<route>.json` holds `{route, version, weights, decision_id, action_id, at}` and is
replaced as a whole; its journal, and a lock for its one writer, stand beside it. When we die, the
last table stays.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

from greenops.adapters.disk import one_writer, write_whole
from greenops.domain.action import Action, Diff, Outcome, Receipt, SetWeights, StartJob, TargetState
from greenops.domain.outbox import NEVER_SET, Journal, JournalEntry, content_version, receipt
from greenops.domain.record import canonical, parse, plain
from greenops.errors import AdapterUnavailable, AdapterUnsupported, Location
from greenops.ports import Clock

LOOK_S: Final = 0.05
"""Shortest wall time between two looks at a table's age [s]; between them a pick is memory only."""
WHOLE: Final = 100
"""Sum of a route's weights [percent]."""


class HasState(Protocol):
    """Settings, as far as this target needs them."""

    @property
    def state(self) -> Path:
        """Folder of the control state."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a route's file says; `decision_id` and `action_id` are none where a person wrote it."""

    route: str
    version: str
    weights: dict[str, int]
    decision_id: str | None = None
    action_id: str | None = None
    at: datetime | None = None


def route_path(state: Path, route: str) -> Path:
    """File of a route."""
    return state / "routes" / f"{quote(route, safe=' @+=,:')}.json"


class _Shares(NamedTuple):
    """A table as it is picked from: backend `i` has the places below `bounds[i]`."""

    names: tuple[str, ...]
    bounds: tuple[int, ...]
    version: str | None


class RouteReader:
    """Picks a backend by the newest table; never raises, keeps the last good one. Stability: beta.

    Args:
        path: The route's file.
        default: Backend where there never was a good table.
    """

    def __init__(self, path: Path, default: str = "") -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        # Law: replaced as a whole, so that no thread picks by half of an old and half of a new table.
        self._shares = _Shares((default,), (WHOLE,), None)

    @property
    def version(self) -> str | None:
        """Version of the table in use; none before there was one."""
        return self._shares.version

    def pick(self, key: str | None = None) -> str:
        """A backend in proportion to the weights; the same key stays where it is.

        Args:
            key: What must stick to its backend, such as a session; none: at random.
        """
        now = monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._refresh()
        shares = self._shares
        total = shares.bounds[-1]
        if key is None:
            place = random.random() * total  # noqa: S311  (no secret)
        else:
            digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest()
            place = int.from_bytes(digest) % total
        return shares.names[bisect_right(shares.bounds, place)]

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            table = _parse(self._path.read_bytes())
        except (OSError, ValueError):
            return
        pairs = sorted((name, share) for name, share in table.weights.items() if share > 0)
        bounds = tuple(accumulate(share for _, share in pairs))
        self._shares = _Shares(tuple(name for name, _ in pairs), bounds, table.version)


class RouteTable:
    """The target `route-table`. Stability: beta."""

    name = "route-table"

    def __init__(self, settings: HasState, clock: Clock) -> None:
        self._state = settings.state
        self._clock = clock

    def observe(self, scope: str) -> TargetState:
        """The weights in force.

        Raises:
            AdapterUnavailable: The table is damaged or cannot be read.
        """
        path = route_path(self._state, scope)
        try:
            table = _parse(path.read_bytes())
        except FileNotFoundError:
            return TargetState(NEVER_SET, None)
        except (OSError, ValueError) as error:
            raise AdapterUnavailable(
                "GO0605", "route table is damaged", at=Location(str(path)), fix="mend or remove it"
            ) from error
        # Law: the version is of what the file says, so that an edit by hand shows.
        return TargetState(_version(table), SetWeights(table.route, table.weights))

    def plan(self, change: StartJob | SetWeights) -> Diff:
        """What new weights would alter."""
        state = self.observe(_weights(change).route)
        return Diff(state.change, change, state.version)

    def validate(self, diff: Diff) -> None:
        """Refuse weights that no table can hold."""
        weights = _weights(diff.after).weights
        if any(share < 0 for share in weights.values()) or sum(weights.values()) != WHOLE:
            raise AdapterUnsupported("GO0603", f"weights must be shares that sum to {WHOLE}")

    def apply(self, action: Action) -> Receipt:
        """Replace the table; readers follow within `LOOK_S`."""
        change = _weights(action.change)
        self.validate(Diff(None, change, ""))
        with one_writer(_beside(self._state, change.route, "lock")):
            journal, state = self._journal(change.route), self.observe(change.route)
            known = journal.entry(action.id)
            if known:
                if state.version == known.before_version and not known.undone:
                    self._write(_table(change, known.receipt))
                return known.receipt
            now = self._clock.now()
            if refused := journal.refusal(action, state, now):
                return refused
            made = receipt(action, Outcome.APPLIED, _said(change), at=now)
            made = replace(made, version=_version(_table(change, made)))
            # The journal first: a table without an entry would look like someone else's.
            self._keep(change.route, journal.with_entry(action, made, state))
            self._write(_table(change, made))
            return made

    def verify(self, action: Action, within: timedelta) -> bool:
        """True once the file shows the weights; looks 20 times."""
        change = _weights(action.change)
        for _ in range(20):
            if self.observe(change.route).change == change:
                return True
            self._clock.sleep(within / 20)
        return self.observe(change.route).change == change

    def rollback(self, decision_id: str) -> Receipt:
        """Put the weights back that stood before the decision, on every route that it set; the same again is one.

        Where some of them changed again since, those stay, and the receipt says so.
        """
        made = [self._undone(route, decision_id) for route in self._routes_of(decision_id)]
        return next((each for each in made if each.outcome is Outcome.CONFLICT), made[0])

    def _undone(self, route: str, decision_id: str) -> Receipt:
        with one_writer(_beside(self._state, route, "lock")):
            journal, state = self._journal(route), self.observe(route)
            entry = journal.of_decision(decision_id)
            if entry is None:
                raise AdapterUnsupported("GO0607", f"decision `{decision_id}` set no route here")
            if entry.undone:
                if state.version == entry.receipt.version:
                    self._restore(route, entry, entry.undone)
                return entry.undone
            action = replace(entry.action, id=f"{entry.action.id}-rollback")
            if state.version != entry.receipt.version:
                detail = "changed again since"
                return receipt(action, Outcome.CONFLICT, detail, version=state.version)
            made = receipt(action, Outcome.APPLIED, "as before the decision", at=self._clock.now())
            version = NEVER_SET
            if isinstance(entry.before, SetWeights):
                version = _version(_table(entry.before, made))
            made = replace(made, version=version)
            self._keep(route, journal.with_undone(entry, made))
            self._restore(route, entry, made)
            return made

    def freeze(self, scope: str, ttl: timedelta) -> None:
        """Refuse every change of a route until the (simulated) time is over."""
        with one_writer(_beside(self._state, scope, "lock")):
            until = self._clock.now() + ttl
            self._keep(scope, replace(self._journal(scope), frozen_until=until))

    # -- files ----------------------------------------------------------------

    def _restore(self, route: str, entry: JournalEntry, made: Receipt) -> None:
        if isinstance(entry.before, SetWeights):
            self._write(_table(entry.before, made))
        else:
            route_path(self._state, route).unlink(missing_ok=True)

    def _write(self, table: Table) -> None:
        write_whole(
            route_path(self._state, table.route), json.dumps(plain(table), indent=1).encode()
        )

    def _keep(self, route: str, journal: Journal) -> None:
        write_whole(_beside(self._state, route, "journal"), canonical(journal))

    def _journal(self, route: str) -> Journal:
        path = _beside(self._state, route, "journal")
        try:
            return parse(Journal, path.read_bytes())
        except FileNotFoundError:
            return Journal()
        except ValueError as error:
            raise AdapterUnavailable(
                "GO0605", "journal is damaged", at=Location(str(path)), fix="remove it"
            ) from error

    def _routes_of(self, decision_id: str) -> list[str]:
        found = []
        for path in sorted((self._state / "routes").glob("*.journal")):
            with suppress(ValueError, OSError):
                entry = parse(Journal, path.read_bytes()).of_decision(decision_id)
                if entry:
                    found.append(_weights(entry.action.change).route)
        if not found:
            raise AdapterUnsupported("GO0607", f"decision `{decision_id}` set no route here")
        return found


def _beside(state: Path, route: str, kind: str) -> Path:
    return route_path(state, route).with_suffix(f".{kind}")


def _weights(change: StartJob | SetWeights) -> SetWeights:
    if isinstance(change, SetWeights):
        return change
    raise AdapterUnsupported("GO0603", "`route-table` sets weights; it cannot start jobs")


def _said(change: SetWeights) -> str:
    return ", ".join(f"{name} {share} %" for name, share in sorted(change.weights.items()))


def _table(change: SetWeights, made: Receipt) -> Table:
    table = Table(change.route, "", dict(change.weights), made.decision_id, made.action_id, made.at)
    return replace(table, version=_version(table))


def _version(table: Table) -> str:
    return content_version(canonical(replace(table, version="")))


def _parse(content: bytes) -> Table:
    table = parse(Table, content)
    if any(share < 0 for share in table.weights.values()):
        raise ValueError("a share below zero")
    if not 0 < sum(table.weights.values()) <= sys.maxsize:
        raise ValueError("no shares that can be picked from")
    return table
