"""Runs on this machine: a folder per run key, which a holding `greenops run` obeys.

    <state>/runs/<key>/decision.json   decision that was made, kept when the rest goes away
                       order.json      newest order of the control loop
                       journal.json    what the loop ordered, and when its freeze ends
                       holding         locked by whoever holds the run (`holding.py`)
                       claim           made once, right before the command starts
                       receipt.json    when it started, how it ended

All files but the claim are replaced as a whole; the claim is made exclusively and never rewritten.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import quote

from greenops.adapters.disk import one_writer, sync, write_whole
from greenops.domain.action import (
    Action,
    Diff,
    Outcome,
    Receipt,
    SetWeights,
    StartJob,
    TargetState,
)
from greenops.domain.decision import Decision
from greenops.domain.outbox import NEVER_SET, Journal, receipt
from greenops.domain.record import canonical, parse, plain
from greenops.domain.run import Claim, Order, RunReceipt
from greenops.errors import AdapterUnavailable, AdapterUnsupported, Location, UsageError
from greenops.ports import Clock

R = TypeVar("R")

NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK})
"""What a file system without hard links answers. Source: link(2)."""


class HasState(Protocol):
    """Settings, as far as this target needs them."""

    @property
    def state(self) -> Path:
        """Folder of the control state."""


class RunFolder:
    """Files of one run. Stability: beta.

    Raises:
        UsageError: The key has an empty part.
    """

    def __init__(self, state: Path, run_key: str) -> None:
        parts = run_key.split("/")
        if not all(part.strip(". ") for part in parts):
            raise UsageError("GO0604", f"run key `{run_key}` has an empty part")
        # Law: two keys never share a folder, and none leaves `runs`.
        self.path = state.joinpath("runs", *(quote(part, safe=" @+=,:") for part in parts))
        self.run_key = run_key
        self._mine: int | None = None

    def decision(self) -> Decision | None:
        """The decision that was made; none where none was, or its file is damaged."""
        return self._read(Decision, "decision.json")

    def order(self) -> Order | None:
        """The newest order; none where none came, or its file is damaged."""
        return self._read(Order, "order.json")

    def receipt(self) -> RunReceipt | None:
        """How the run went so far; none where it did not start."""
        return self._read(RunReceipt, "receipt.json")

    def claimed(self) -> bool:
        """Whether someone started the run, or is about to.

        A claim that cannot be looked at is none: whoever asks finds out when it takes its own.
        """
        try:
            (self.path / "claim").stat()
        except OSError:
            return False
        return True

    def claim_holder(self) -> Claim | None:
        """Who claimed it; none where nobody did, or died while writing it down."""
        return self._read(Claim, "claim")

    def keep_decision(self, decision: Decision) -> None:
        """Write the decision durably.

        Raises:
            OSError: The disk cannot take it.
        """
        self.write("decision.json", canonical(decision))

    def keep_receipt(self, made: RunReceipt) -> None:
        """Write the receipt durably.

        Raises:
            OSError: The disk cannot take it.
        """
        self.write("receipt.json", canonical(made))

    def take_claim(self, claim: Claim) -> bool:
        """Claim the run for a process; true for exactly one caller, for ever.

        Raises:
            OSError: The claim could not be made; nobody has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        new = self.path / f".claim.{uuid.uuid4().hex}"
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            self._mine = os.fstat(handle).st_ino
            with suppress(OSError):  # The name alone is the claim; what it says is for people.
                os.write(handle, canonical(claim))
                os.fsync(handle)
            return self._named(new)
        finally:
            os.close(handle)
            with suppress(OSError):
                new.unlink()

    def _named(self, new: Path) -> bool:
        """Give a written claim its name: whole or not at all, whenever this process dies."""
        name = self.path / "claim"
        try:
            os.link(new, name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._made_in_place(name, new.read_bytes())
        with suppress(OSError):
            sync(self.path)
        return True

    def _made_in_place(self, name: Path, content: bytes) -> bool:
        """The claim where no link can be made; a process that dies in here leaves an empty one."""
        try:
            with name.open("xb") as file:
                self._mine = os.fstat(file.fileno()).st_ino
                with suppress(OSError):
                    file.write(content)
                    file.flush()
        except FileExistsError:
            return False
        return True

    def give_claim_back(self) -> None:
        """Undo a claim that was taken here and whose command was not started; others' stay."""
        name = self.path / "claim"
        with suppress(OSError):
            if name.stat().st_ino == self._mine:
                name.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Replace a file as a whole, durably.

        Raises:
            OSError: The disk cannot take it; the old file stands.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / name, content)
        sync(self.path)

    def _read(self, kind: type[R], name: str) -> R | None:
        try:
            return parse(kind, (self.path / name).read_bytes())
        except (OSError, ValueError):
            return None


class LocalProcess:
    """The target `local-process`: orders for runs that are held on this machine. Stability: beta."""

    name = "local-process"

    def __init__(self, settings: HasState, clock: Clock) -> None:
        self._state = settings.state
        self._clock = clock

    def observe(self, scope: str) -> TargetState:
        """What a run is ordered to do."""
        order = RunFolder(self._state, scope).order()
        return TargetState(order.version, order.change) if order else TargetState(NEVER_SET, None)

    def plan(self, change: StartJob | SetWeights) -> Diff:
        """What an order would alter."""
        state = self.observe(_job(change).run_key)
        return Diff(state.change, change, state.version)

    def validate(self, diff: Diff) -> None:
        """Refuse what is no start of a job, or a run that has started."""
        change = _job(diff.after)
        if RunFolder(self._state, change.run_key).claimed():
            raise AdapterUnsupported("GO0603", f"run `{change.run_key}` has started already")

    def apply(self, action: Action) -> Receipt:
        """Write the order; a holder obeys it within its next look (0.2 s of wall time)."""
        change = _job(action.change)
        folder = RunFolder(self._state, change.run_key)
        with one_writer(folder.path / "lock"):
            journal = _journal(folder)
            known = journal.entry(action.id)
            if known:
                if self.observe(change.run_key).version == known.before_version:
                    _order(folder, change, known.receipt)
                return known.receipt
            now, state = self._clock.now(), self.observe(change.run_key)
            if folder.claimed():
                return receipt(action, Outcome.REFUSED, "the run has started already")
            if refused := journal.refusal(action, state, now):
                return refused
            made = self._receipt(action, change, now)
            # The journal first: an order without an entry would look like someone else's.
            folder.write("journal.json", canonical(journal.with_entry(action, made, state)))
            _order(folder, change, made)
            return made

    def _receipt(self, action: Action, change: StartJob, now: datetime) -> Receipt:
        version = Order(change, action.decision_id, action.id, now).version
        # Law: an order starts nothing by itself; whether somebody waits for it is not known here.
        start = f"{change.start_at:%Y-%m-%d %H:%M:%S} UTC"
        detail = f"ordered for {start}; starts when `greenops run` holds it"
        return receipt(action, Outcome.APPLIED, detail, version=version, at=now)

    def verify(self, action: Action, within: timedelta) -> bool:
        """True once the holder's receipt says that the run started; looks 20 times."""
        folder = RunFolder(self._state, _job(action.change).run_key)
        for _ in range(20):
            if folder.receipt() is not None:
                return True
            self._clock.sleep(within / 20)
        return folder.receipt() is not None

    def rollback(self, decision_id: str) -> Receipt:
        """Order the run as it was before the decision, or at once; refused once it started."""
        folder = self._folder_of(decision_id)
        with one_writer(folder.path / "lock"):
            journal = _journal(folder)
            entry = journal.of_decision(decision_id)
            if entry is None:
                raise AdapterUnsupported("GO0607", f"no order of `{decision_id}` is known")
            now, state = self._clock.now(), self.observe(folder.run_key)
            if entry.undone:
                if state.version == entry.receipt.version and not folder.claimed():
                    _order(folder, _back(entry.action, entry.before, entry.undone), entry.undone)
                return entry.undone
            action = replace(entry.action, id=f"{entry.action.id}-rollback")
            if folder.claimed():
                return receipt(action, Outcome.REFUSED, "the run has started already")
            if state.version != entry.receipt.version:
                return receipt(
                    action, Outcome.CONFLICT, "a later order stands", version=state.version
                )
            made = receipt(action, Outcome.APPLIED, "ordered as before the decision", at=now)
            change = _back(entry.action, entry.before, made)
            made = replace(made, version=Order(change, decision_id, action.id, now).version)
            folder.write("journal.json", canonical(journal.with_undone(entry, made)))
            _order(folder, change, made)
            return made

    def freeze(self, scope: str, ttl: timedelta) -> None:
        """Refuse every order for a run until the (simulated) time is over."""
        folder = RunFolder(self._state, scope)
        with one_writer(folder.path / "lock"):
            journal = replace(_journal(folder), frozen_until=self._clock.now() + ttl)
            folder.write("journal.json", canonical(journal))

    def _folder_of(self, decision_id: str) -> RunFolder:
        for path in sorted((self._state / "runs").rglob("journal.json")):
            with suppress(ValueError, OSError):
                journal = parse(Journal, path.read_bytes())
                entry = journal.of_decision(decision_id)
                if entry:
                    return RunFolder(self._state, _job(entry.action.change).run_key)
        raise AdapterUnsupported("GO0607", f"no order of decision `{decision_id}` is known here")


def _job(change: StartJob | SetWeights) -> StartJob:
    if isinstance(change, StartJob):
        return change
    raise AdapterUnsupported("GO0603", "`local-process` starts jobs; it cannot set weights")


def _back(action: Action, before: StartJob | SetWeights | None, undone: Receipt) -> StartJob:
    if isinstance(before, StartJob):
        return before
    start = undone.at or action.expires
    return replace(_job(action.change), start_at=start)


def _order(folder: RunFolder, change: StartJob, made: Receipt) -> None:
    order = Order(change, made.decision_id, made.action_id, made.at or change.start_at)
    folder.write("order.json", json.dumps(plain(order) | {}, indent=1).encode())


def _journal(folder: RunFolder) -> Journal:
    path = folder.path / "journal.json"
    try:
        return parse(Journal, path.read_bytes())
    except FileNotFoundError:
        return Journal()
    except ValueError as error:
        raise AdapterUnavailable(
            "GO0605", "journal is damaged", at=Location(str(path)), fix="remove it, or run by hand"
        ) from error
