"""What an outside system must offer. A new meter, provider, actuator or store fits one of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from greenops.domain.action import Action, Diff, Receipt, SetWeights, StartJob, TargetState
from greenops.domain.console import (
    DecisionRecord,
    JobRequest,
    Overview,
    SendOrder,
    WhatIfAnswer,
    WhatIfQuestion,
)
from greenops.domain.decision import Decision
from greenops.domain.energy import EnergyReading, MeterInfo
from greenops.domain.evidence import EntryKind, LedgerEntry, LedgerHead
from greenops.domain.grid import Forecast, GridZone, IntensitySeries, SeriesKind
from greenops.domain.override import Held, Override, OverrideOrder
from greenops.domain.prices import PriceSeries
from greenops.domain.replay import Replay
from greenops.domain.spans import EnergyAccount, SpanRow


@runtime_checkable
class Clock(Protocol):
    """Time, passed in so that tests own it."""

    @property
    def replay(self) -> Replay | None:
        """How simulated time runs; none where it is wall time."""

    def now(self) -> datetime:
        """Simulated instant, aware UTC; wall time where nothing is replayed."""

    def wall(self) -> datetime:
        """Wall instant, aware UTC."""

    def monotonic_ns(self) -> int:
        """Monotonic clock [ns]."""

    def sleep(self, duration: timedelta) -> None:
        """Wait a simulated duration (shorter on the wall in a replay)."""


@runtime_checkable
class EnergyMeter(Protocol):
    """A cumulative energy counter of one device; one thread reads it, and a slow reading holds up that one alone."""

    @property
    def info(self) -> MeterInfo:
        """What it is."""

    def read(self) -> EnergyReading:
        """Read the counter now.

        Raises:
            AdapterUnavailable: It cannot be read now.
        """

    def close(self) -> None:
        """Let go of files and handles; twice is once."""


@runtime_checkable
class DeferredMeter(EnergyMeter, Protocol):
    """A meter that can be looked at now and worked out later: ten looks a second pay for no more than the look."""

    def note(self) -> Any:
        """What the counter shows now, as it shows it.

        Raises:
            AdapterUnavailable: It cannot be read now.
        """

    def noted(self, note: Any) -> EnergyReading:
        """The reading that a note makes; notes come once each, in the order in which they were taken.

        Raises:
            AdapterUnavailable: It tells nothing.
        """


@runtime_checkable
class GridProvider(Protocol):
    """Carbon intensity of grid zones, as it was and as it was foretold."""

    @property
    def name(self) -> str:
        """Short name, such as `shipped`."""

    def zones(self) -> Sequence[GridZone]:
        """Zones it knows."""

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity that covers `[start, end)`.

        Raises:
            DataMissing: The zone or a part of the time is not known.
        """

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """Newest forecast issued at or before `at`.

        Raises:
            DataMissing: None was issued, or it ended before `at`.
        """


@runtime_checkable
class KindStated(Protocol):
    """A grid provider that says what its series are before it is asked for one.

    Providers that may stand in for each other are compared by it at the start; one that does not state its
    kind is compared at its first answer.
    """

    @property
    def kind(self) -> SeriesKind:
        """What all its series are."""


@runtime_checkable
class PriceProvider(Protocol):
    """Prices of electricity by grid zone."""

    @property
    def name(self) -> str:
        """Short name, such as `shipped`."""

    def zones(self) -> Sequence[GridZone]:
        """Zones it knows."""

    def prices(self, zone: str, start: datetime, end: datetime, at: datetime) -> PriceSeries:
        """Prices from the step that holds `start`, as they were published by `at`.

        The series ends with the step that holds the last instant before `end`, or earlier where no more was known: a
        day-ahead auction's prices of a day are published about 12:45 of the day before.

        Raises:
            DataMissing: The zone is not known, or no price for `start` was published by `at`.
        """


@runtime_checkable
class Actuator(Protocol):
    """A target that carries out one kind of change, at most once per action id."""

    @property
    def name(self) -> str:
        """Name of the target, as workload files use it."""

    def observe(self, scope: str) -> TargetState:
        """What a route or run is set to now.

        Raises:
            AdapterUnavailable: The target does not answer.
        """

    def plan(self, change: StartJob | SetWeights) -> Diff:
        """What `change` would alter."""

    def validate(self, diff: Diff) -> None:
        """Refuse what the target would refuse.

        Raises:
            AdapterUnsupported: The target cannot do this.
        """

    def apply(self, action: Action) -> Receipt:
        """Carry it out; the same `action.id` again returns the first receipt and changes nothing.

        A changed version gives a receipt `conflict`, never a second writer's fight.
        """

    def verify(self, action: Action, within: timedelta) -> bool:
        """True once the target shows the change, false where it does not in time."""

    def rollback(self, decision_id: str) -> Receipt:
        """Put back what stood before the decision."""

    def freeze(self, scope: str, ttl: timedelta) -> None:
        """Refuse every change to the scope until the time is over."""


@runtime_checkable
class LedgerStore(Protocol):
    """Append-only evidence, one writer."""

    def append(self, kind: EntryKind, body: Mapping[str, object]) -> LedgerEntry:
        """Add one entry durably, then return it.

        Raises:
            Unreachable: The disk is full or gone; nothing was added.
        """

    def read(self) -> Iterator[LedgerEntry]:
        """Every entry, oldest first."""

    def checkpoint(self) -> str:
        """Sign and keep the root of all entries; the C2SP note text."""

    def seal(self, *, at_once: bool = False) -> None:
        """Sign what is not signed yet: now, or else when the last signature is old enough.

        Raises:
            Unreachable: The signature cannot be kept or mirrored; entries stand.
        """


class ChainState(Protocol):
    """The pure half of a ledger: makes lines, checks lines, knows the root."""

    @property
    def size(self) -> int:
        """Number of entries."""

    def root(self) -> bytes:
        """Merkle root of all entries."""

    def copy(self) -> Self:
        """The same state, to go on from separately."""

    def add(
        self, kind: EntryKind, body: Mapping[str, object], ts: datetime
    ) -> tuple[LedgerEntry, bytes]:
        """Append an entry; give it with its line."""

    def take(self, line: bytes) -> LedgerEntry:
        """Append a stored line; ValueError where it does not fit."""


class Sealer(Protocol):
    """Signs and opens checkpoints."""

    def seal(self, size: int, root: bytes) -> str:
        """The signed note of a state."""

    def open(self, note: str) -> tuple[int, bytes]:
        """Size and root of a note; ValueError where it is not ours."""


class CheckpointKeeper(Protocol):
    """Keeps what vouches for the ledger, at best where whoever rewrites it cannot."""

    def prepare(self) -> None:
        """Make its folder; OSError where it cannot be made."""

    def notes(self) -> Iterable[tuple[str, str]]:
        """Every note that is kept: where, and its text; OSError where one cannot be read."""

    def keep(self, size: int, note: str, *, lasting: bool) -> None:
        """Keep the newest note; OSError where it cannot be."""

    def copy_to_mirror(self) -> str | None:
        """Copy what the mirror lacks; why that failed, or none."""

    def head(self) -> LedgerHead | None:
        """What the writer last set out on; ValueError where it is damaged."""

    def set_out(self, head: LedgerHead) -> None:
        """Keep what the ledger is about to become; OSError where it cannot be."""


@runtime_checkable
class Lake(Protocol):
    """Telemetry that stays: spans and energy accounts by simulated day."""

    def write_spans(self, rows: Sequence[SpanRow]) -> None:
        """Keep spans; the same (trace_id, span_id) again is one row."""

    def write_accounts(self, rows: Sequence[EnergyAccount]) -> None:
        """Keep readings of energy accounts."""

    def spans(self) -> Iterator[SpanRow]:
        """Every span.

        Raises:
            DataMissing: A file is damaged; the error names it.
        """

    def accounts(self) -> Iterator[EnergyAccount]:
        """Every reading of an energy account."""


@runtime_checkable
class ControlPlane(Protocol):
    """What the doors (HTTP API, console) ask of the control loop."""

    def overview(self) -> Overview:
        """What is going on."""

    def decisions(self) -> Sequence[Decision]:
        """Every decision, newest first."""

    def decision(self, decision_id: str) -> DecisionRecord:
        """One decision with all it rested on.

        Raises:
            DataMissing: No such decision.
        """

    def submit(self, request: JobRequest) -> Decision:
        """Decide one run and send the decision to its target; the same run key again is the same.

        Raises:
            UsageError: The workload is not declared.
        """

    def what_if(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """Answer without acting."""

    def send(self, order: SendOrder) -> Receipt:
        """Check the policies again, act, and keep order and receipt in the ledger."""

    def accept(self, receipt: Receipt) -> None:
        """Keep a receipt that a holder brings; the same again is one."""

    def override(self, order: OverrideOrder) -> Override:
        """Order a run to start now, or the next one of its workload; the same id again is one.

        Raises:
            UsageError: It cannot be; says why and what can.
        """

    def overrides(self) -> Sequence[Override]:
        """Every override, newest first."""

    def lift(self, override_id: str, who: str) -> Override:
        """Take an override back before its run starts.

        Raises:
            DataMissing: No override has this id.
            UsageError: It is over.
        """

    def held(self) -> Sequence[Held]:
        """Runs that a `greenops run` holds right now."""


P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
P = TypeVar("P")
R = TypeVar("R")


class Work(Protocol[P_contra, R_co]):
    """What is done to each part: a pure function that pickles, its data with it."""

    def __call__(self, part: P_contra, /) -> R_co:
        """The result of one part; depends on nothing else."""


@runtime_checkable
class Engine(Protocol):
    """Runs one function over many parts: here, in a pool of processes, on a cluster."""

    @property
    def name(self) -> str:
        """The name it is registered under."""

    def run(self, work: Work[P, R], parts: Iterable[P]) -> Iterator[R]:
        """The result of every part, in the order of the parts; few parts are held at once.

        Raises:
            Unreachable: A worker died, or there are none.
            GreenOpsError: As `work` raised it.
        """

    def close(self) -> None:
        """End the workers that were started; twice is once."""
