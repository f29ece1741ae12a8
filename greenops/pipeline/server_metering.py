"""Meters an inference server: its counters beside an energy meter, for a time, and what a token drew at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.domain.language_model import Measured
from greenops.domain.model_server import MeteredServer, ServerLook, TokenEnergy, Work
from greenops.errors import AdapterUnavailable, DataMissing, Unreachable, UsageError
from greenops.observe.device import DeviceAccount, joules
from greenops.observe.server_tokens import ServerTokens, row_seconds
from greenops.units import Joules, Seconds, Watts, seconds

if TYPE_CHECKING:
    from greenops.adapters.model_server import ModelServer
    from greenops.ports import Clock, EnergyMeter

CODE: Final = "GO0719"
EVERY_S: Final = 1.0
"""Time between two looks [s]: a server's page takes some milliseconds to write."""
LEAST_TICKS: Final = 10
"""Ticks with work without which nothing is said."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    at_ns: int
    readings: Sequence[EnergyReading]
    look: ServerLook


class ServerMetering:
    """Looks at server and meters in turn, and keeps what lies between two looks that both gave something.

    Args:
        server: Whose counters.
        meters: What it draws; together they are all that it draws, and no other program draws much there.
        cached_share: Energy of a cached token as a part of one that is computed.
        monotonic_ns: Monotonic clock.

    Raises:
        UsageError: No meter, a model instead of one, or meters that cover different things.
    """

    def __init__(
        self,
        server: ModelServer,
        meters: Sequence[EnergyMeter],
        cached_share: float,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._server, self._meters, self._now = server, tuple(meters), monotonic_ns
        self._infos = [meter.info for meter in self._meters]
        self._boundary = _boundary(self._infos)
        self._counted = [DeviceAccount(info) for info in self._infos]
        idle = [info.idle_power for info in self._infos if info.idle_power is not None]
        told = Watts(sum(idle)) if len(idle) == len(self._infos) else None
        uncertainty = max(info.uncertainty for info in self._infos)
        self._tokens = ServerTokens(cached_share, uncertainty, told)
        self._before: _Seen | None = None
        self._running: list[float] = []
        self._looks = self._lost = 0
        self._why: str | None = None

    def look(self) -> bool:
        """Look once; false where nothing came of it. Never raises for what server or driver do."""
        self._looks += 1
        try:
            seen = self._see()
        except AdapterUnavailable as error:
            return self._lose(str(error))
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            return self._lose(f"{CODE} {type(error).__name__}: {error}")
        before, self._before = self._before, seen
        energy = self._drawn(seen.readings)
        if before is None:
            return True
        work, took = _between(before.look, seen.look), seconds(seen.at_ns - before.at_ns)
        if work is None or energy is None or took <= 0:
            return self._lose(f"{CODE} counters of server or meter fell: a restart")
        self._why = None
        running = _mean(before.look.running, seen.look.running)
        self._tokens.record(energy, took, work, running, at_end=seen.look.at_end)
        if running:
            self._running.append(running)
        return True

    def _see(self) -> _Seen:
        look = self._server.look()
        readings = [meter.read() for meter in self._meters]
        return _Seen(self._now(), readings, look)

    def _lose(self, why: str) -> bool:
        self._lost += 1
        if self._why is None:
            # Once for each time that it is gone: the next look that comes covers the gap.
            _log.warning("%s", why)
        self._why = why
        return False

    def _drawn(self, readings: Sequence[EnergyReading]) -> Joules | None:
        """Energy of all counters' steps since the last look [J]; none where one was refused."""
        refused = self._refused()
        steps = [
            account.advance(reading)[0]
            for account, reading in zip(self._counted, readings, strict=True)
        ]
        return joules(sum(steps)) if self._refused() == refused else None

    def _refused(self) -> int:
        return sum(sum(account.refused.values()) for account in self._counted)

    def result(self, every_s: float = EVERY_S) -> MeteredServer:
        """What was found so far.

        Raises:
            Unreachable: The server never answered.
            DataMissing: It did not work, or too shortly to say anything.
        """
        if self._before is None:
            raise Unreachable(CODE, self._why or "the server was not looked at")
        if self._tokens.ticks < LEAST_TICKS:
            raise DataMissing(
                CODE,
                f"the server worked in {self._tokens.ticks} of {self._looks} looks; {LEAST_TICKS} are needed",
                fix="meter it while it is used, or longer",
            )
        look = self._before.look
        update = max((info.update_period for info in self._infos), default=Seconds(0.0))
        models = self._tokens.learn(row_seconds(update, look.lag, every_s))
        if not models:
            raise DataMissing(CODE, "the server read tokens and wrote none")
        return MeteredServer(
            server=look.server,
            boundary=self._boundary,
            devices=tuple(info.device for info in self._infos),
            models=tuple(models),
            ticks=self._tokens.ticks,
            lost=self._lost,
            busy=self._tokens.busy,
            energy=self._tokens.energy,
            idle=self._tokens.idle,
            running=sum(self._running) / len(self._running) if self._running else None,
            gain=self._tokens.gain,
        )


def meter_for(
    metering: ServerMetering, duration: timedelta, every: timedelta, clock: Clock
) -> None:
    """Look again and again; Ctrl-C ends it early, with what there is by then."""
    until = clock.monotonic_ns() + int(duration.total_seconds() * 1e9)
    try:
        while True:
            metering.look()
            if clock.monotonic_ns() >= until:
                return
            clock.sleep(every)
    except KeyboardInterrupt:
        return


def rows(found: MeteredServer, server: str, at: datetime, name: str | None) -> list[Measured]:
    """What was found as rows of the table of language models.

    Args:
        found: What was found.
        server: `server.address` by which clients call it.
        at: When.
        name: The model's, where the server names none.

    Raises:
        UsageError: The server names no model, and neither does the caller; or it names several and the caller one.
    """
    if name and len(found.models) > 1:
        known = ", ".join(str(each.model) for each in found.models)
        raise UsageError(
            CODE, f"the server has several models ({known})", fix="leave `--model` out"
        )
    return [_row(found, each, name or each.model, server, at) for each in found.models]


def _row(
    found: MeteredServer, each: TokenEnergy, name: str | None, server: str, at: datetime
) -> Measured:
    if not name:
        raise UsageError(CODE, "the server does not name its model", fix="name it with `--model`")
    low, high = each.output / each.factor, each.output * each.factor
    split = "" if each.apart else ", input and output not told apart"
    at_once = "" if found.running is None else f", {found.running:.1f} requests at once"
    return Measured(
        model=name,
        output_j=each.output,
        input_j=each.input,
        boundary=found.boundary,
        factor=each.factor,
        server=server,
        source=(
            f"greenops meter-server: {found.server}, {', '.join(found.devices)}; {found.ticks} ticks, "
            f"{found.busy:.0f} s busy, {each.work.read:.0f} tokens read, {each.work.wrote:.0f} written{at_once}; "
            f"output {low:.4g} to {high:.4g} J{split}"
        ),
        date=f"{at:%Y-%m-%d}",
        licence="own",
    )


def _boundary(infos: Sequence[MeterInfo]) -> Boundary:
    if not infos:
        raise UsageError(
            CODE, "no energy meter to read", fix="`greenops doctor` says which there are"
        )
    for info in infos:
        if info.method not in {Method.MEASURED, Method.REPORTED}:
            raise UsageError(CODE, f"`{info.device}` is modeled, and a model tells no tokens apart")
    boundaries = {info.boundary for info in infos}
    if len(boundaries) > 1:
        raise UsageError(CODE, "a whole machine and a part of it cannot be added")
    return boundaries.pop()


def _mean(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else (before + after) / 2


def _between(before: ServerLook, after: ServerLook) -> dict[str | None, Work] | None:
    """What a server did between two looks; none where its counters fell, or are others."""
    if (before.server, before.lag, before.at_end) != (after.server, after.lag, after.at_end):
        return None
    # A model that went is a server that began anew; one that came has counted from zero.
    if before.work.keys() - after.work.keys():
        return None
    done = {}
    for model, now in after.work.items():
        then = before.work.get(model, Work(0.0, 0.0, 0.0, None if now.steps is None else 0.0))
        steps = None if now.steps is None or then.steps is None else now.steps - then.steps
        step = Work(now.read - then.read, now.cached - then.cached, now.wrote - then.wrote, steps)
        if min(step.read, step.cached, step.wrote, steps or 0.0) < 0:
            return None
        done[model] = step
    return done


__all__ = ["EVERY_S", "ServerMetering", "meter_for", "rows"]
