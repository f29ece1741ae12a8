"""Two lines instrument a service: finds meters and factors, hands them to `observe`."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from greenops.errors import GreenOpsError
from greenops.observe.operations import Spanned, batch, operation
from greenops.pipeline.meters import discover

if TYPE_CHECKING:
    from greenops.domain.factors import FactorTable
    from greenops.observe.exporter import SpanExporter
    from greenops.observe.session import Session

__all__ = ["Spanned", "batch", "discover", "init", "operation", "shutdown", "wrap"]

_log = logging.getLogger(__name__)
_lock = threading.RLock()
_session: Session | None = None
_tried = False
"""True once `init` was called: a failure is not tried again, so that twice is once then too."""
_over = False
"""True once `shutdown` was called: only `init` itself begins again."""


def init(
    *, service: str | None = None, workload: str | None = None, region: str | None = None
) -> None:
    """Put energy, carbon and cost on the spans of this process; twice is once, and it never raises.

    Args:
        service: `service.name` where the provider is made here.
        workload: `greenops.workload` where the resource has none; else `GREENOPS_WORKLOAD`.
        region: `cloud.region` where neither span nor resource has one; else as the environment tells.
    """
    global _session, _tried  # noqa: PLW0603 - one instrumentation per process, as OpenTelemetry has one provider
    with _lock:
        if _tried:
            return
        _tried = True
        if _says("GREENOPS_DISABLED", "true") or _says("OTEL_SDK_DISABLED", "true"):
            return
        try:
            _session = _start(service, workload, region)
        except GreenOpsError as error:
            _log.warning("GO0701 spans of this process get no energy: %s", error)
        except Exception:  # noqa: BLE001 - a service must start whatever happens to its telemetry
            _log.warning("GO0701 spans of this process get no energy", exc_info=True)


def _says(variable: str, word: str) -> bool:
    return os.environ.get(variable, "").strip().lower() == word


def wrap(exporter: SpanExporter) -> SpanExporter:
    """An exporter whose spans carry energy; for exporters added after `init` or that `init` cannot see.

    It makes no tracer provider: spans are observed from `init` on, or from its first export at the latest.
    """
    from greenops.observe.late import LateSpanExporter

    return LateSpanExporter(exporter, _current)


def _current() -> Session | None:
    """The instrumentation of this process, begun here where the service has a tracer provider and never called `init`."""
    with _lock:
        if not _tried and not _over and _provider_is_set():
            init()
        return _session


def _provider_is_set() -> bool:
    from greenops.observe import join

    return join.provider_is_set()


def shutdown() -> None:
    """Last look at the meters, spans out, then the accounts; a later `init` starts anew."""
    global _session, _tried, _over
    with _lock:
        session, _over = _session, True
    if session is not None:
        # Exporters ask for the session while the last spans go out.
        session.end()
    with _lock:
        if _session is session:
            _session, _tried = None, False


def _start(service: str | None, workload: str | None, region: str | None) -> Session:
    from greenops.adapters.clock import SystemClock
    from greenops.observe.detector import region_here, workload_here
    from greenops.observe.session import Session
    from greenops.pipeline.service_settings import idle, switched_on
    from greenops.pipeline.span_parts import span_parts

    workload = workload or workload_here(os.environ)
    name = service or os.environ.get("OTEL_SERVICE_NAME") or workload or "service"
    return Session(
        lambda: discover(name),
        _factors(),
        clock=SystemClock.from_environment(),
        service=service,
        workload=workload,
        region=region or region_here(os.environ),
        parts=span_parts(),
        idle=idle(),
        record_unsampled=switched_on("GREENOPS_RECORD_UNSAMPLED"),
        meter_steps=switched_on("GREENOPS_METER_STEPS"),
        meter_clocks=switched_on("GREENOPS_METER_CLOCKS"),
    )


def _factors() -> Callable[[], FactorTable]:
    from greenops.adapters.factor_file import FactorFile

    table: Callable[[], FactorTable] = FactorFile(_state() / "factors.json").table
    return table


def _state() -> Path:
    given = os.environ.get("GREENOPS_STATE")
    if given:
        return Path(given)
    from greenops.config import Settings

    return Settings().state
