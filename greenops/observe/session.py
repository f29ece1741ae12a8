"""One process's instrumentation: providers joined, meter thread running, accounts flushed last."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter

from greenops.domain.factors import FactorTable
from greenops.observe import accounts, join
from greenops.observe import attributes as names
from greenops.observe.attach import Attachment
from greenops.observe.exporter import EnergySpanExporter
from greenops.observe.idle import SEPARATE, Idle
from greenops.observe.observer import Observer
from greenops.observe.pools import Pools
from greenops.observe.processor import EnergySpanProcessor
from greenops.observe.span_parts import SpanParts
from greenops.observe.steps import Steps
from greenops.observe.unsampled import Unsampled
from greenops.observe.workers import call_at_exit

if TYPE_CHECKING:
    from greenops.ports import Clock, EnergyMeter

_log = logging.getLogger(__name__)


QUEUES: Final = 4
"""Results are kept for so many full queues: exporters of one span may lag behind each other."""


class Instance:
    """`service.instance.id` for resources without one: random, new in a forked child."""

    def __init__(self) -> None:
        self._made: tuple[int, str] | None = None

    def __call__(self) -> str:
        """The id of this process."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = (os.getpid(), str(uuid.uuid4()))
        return self._made[1]


class Session:
    """What `greenops.init()` set up; ends itself at exit or with its tracer provider. Stability: beta.

    Args:
        meters: Opens the meters.
        factors: Gives the table in force.
        clock: Simulated time.
        service: `service.name` where the provider is made here.
        workload: `greenops.workload` where the resource has none.
        region: `cloud.region` where neither span nor resource has one.
        parts: What spans carry beyond their own energy and carbon; none for nothing.
        idle: Who answers for idle energy.
        record_unsampled: Spans that the sampler drops are recorded, so that their energy is theirs.
        meter_steps: asyncio is metered per step of a coroutine, and work in thread pools is followed.
        meter_clocks: Threads' clocks are read at starts and ends of spans; otherwise CPU time between two looks goes by
            wall time, and spans say so.
    """

    def __init__(
        self,
        meters: Callable[[], Sequence[EnergyMeter]],
        factors: Callable[[], FactorTable],
        *,
        clock: Clock,
        service: str | None = None,
        workload: str | None = None,
        region: str | None = None,
        parts: SpanParts | None = None,
        idle: Idle = SEPARATE,
        record_unsampled: bool = True,
        meter_steps: bool = True,
        meter_clocks: bool = True,
    ) -> None:
        self._factors, self._clock = factors, clock
        self._region, self._parts = region, parts
        self._instance = Instance()
        self._ended = threading.Lock()
        self._flushed = False
        self._exporters = 0
        self._traces = join.tracer_provider(service, workload, region)
        self._workload = workload or _text(self._traces.resource, names.WORKLOAD)
        self._meter_clocks = meter_clocks
        self.observer = Observer(meters, clock=clock, idle=idle, clocks=meter_clocks)
        self._attachment: Attachment | None = None
        self._record_unsampled = record_unsampled
        self._unsampled: Unsampled | None = None
        self._steps = Steps(self.observer.switch) if meter_steps else None
        self._pools = Pools(self._steps) if self._steps is not None else None
        try:
            self._begin()
        except Exception:
            self._undo()
            raise
        atexit.register(self.end)
        call_at_exit(self.end)

    def _begin(self) -> None:
        self._attach()
        self.observer.run()
        found = self._traces.resource
        if names.SERVICE_INSTANCE_ID not in found.attributes:
            found = found.merge(Resource({names.SERVICE_INSTANCE_ID: self._instance()}))
        self._metrics: metrics.MeterProvider = join.meter_provider(found)
        accounts.register(self._metrics, self.observer, self._workload)

    def _attach(self) -> None:
        processor = EnergySpanProcessor(self.observer)
        self._attachment = Attachment(self._traces, processor, self.wrap)
        self.observer.keep(QUEUES * self._attachment.queued)
        if self._record_unsampled:
            self._unsampled = Unsampled(self._traces, processor)
        if self._steps is not None and self._pools is not None:
            self._steps.install()
            self._pools.install()

    def _undo(self) -> None:
        self._let_go()
        if self._attachment is not None:
            self._attachment.undo()
        self.observer.close()

    def wrap(self, exporter: SpanExporter) -> SpanExporter:
        """An exporter whose spans carry energy, carbon and cost."""
        self._exporters += 1
        return EnergySpanExporter(
            exporter,
            self.observer,
            self._factors,
            clock=self._clock,
            region=self._region,
            workload=self._workload,
            instance=self._instance,
            parts=self._parts,
            clocks=self._meter_clocks,
            after_shutdown=self._shut_down,
        )

    def end(self) -> None:
        """Last look, spans out, then the accounts: their sums agree. Twice is once."""
        if not self._ended.acquire(blocking=False):
            return
        atexit.unregister(self.end)
        if self._flushed:
            return
        self._flushed = True
        self.observer.close()
        try:
            self._traces.force_flush()
        except Exception:  # noqa: BLE001 - a provider that ends with the interpreter may raise anything
            _log.warning("GO0705 the last spans could not be sent", exc_info=False)
        self._let_go()
        if self._attachment is not None:
            self._attachment.remove()
        self._flush_accounts()

    def _let_go(self) -> None:
        if self._steps is not None and self._pools is not None:
            self._steps.remove()
            self._pools.remove()
        if self._unsampled is not None:
            self._unsampled.undo()

    def _shut_down(self) -> None:
        # The tracer provider was shut down by its owner: once its last exporter is, no span can
        # follow. The books close first: a later look would be in the meter's log, not in them.
        self._exporters -= 1
        if self._flushed or self._exporters > 0:
            return
        self._flushed = True
        self.observer.close()
        self._let_go()
        self._flush_accounts()

    def _flush_accounts(self) -> None:
        flush = getattr(self._metrics, "force_flush", None)
        if flush is None:
            return
        try:
            flush()
        except Exception:  # noqa: BLE001 - the SDK raises a bare Exception when a reader fails
            _log.warning("GO0705 the last energy accounts could not be sent", exc_info=True)


def _text(resource: Resource, name: str) -> str | None:
    value = resource.attributes.get(name)
    return str(value) if value else None
