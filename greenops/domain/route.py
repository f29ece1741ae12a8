"""Routes: where requests come from, which backends answer them, which targets carry the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class FrontBackend:
    """One place that answers a route.

    Attributes:
        p95_ms: Latency seen by the route's callers, P95 [ms]; of a route with origins that at the place itself,
            the way there and back excluded. None where not measured.
        capacity_rps: Most requests per second that it answers for the route; none: no limit, zero: it is down.
        joules_per_request: Energy of a request answered there, idle machines with it [J]; none: as the workload
            says of an hour.
    """

    name: str
    region: str
    p95_ms: float | None = None
    capacity_rps: float | None = None
    joules_per_request: float | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests of a route come from: a gateway with weights of its own.

    Attributes:
        home: Backend that answers them without GreenOps.
        requests_per_s: What is expected of it, such as the mean of a day.
        rtt_ms: Backend → round trip [ms]; a backend without one gets nothing from here.
        allowed_backends: Backends that may answer them; none: all. Home always may.
        pinned: They stay at home.
        targets: Targets that show this origin's weights; none: those of the route.
    """

    name: str
    home: str
    requests_per_s: float
    rtt_ms: Mapping[str, float] = field(default_factory=dict)
    allowed_backends: tuple[str, ...] | None = None
    pinned: bool = False
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """One route, the workload behind it and the targets that must show its weights.

    Attributes:
        max_rtt_ms: Longest round trip of a request that is answered away from home [ms]; none: any.
        max_p95_ms: Longest P95 of such a request, round trip and place together [ms]; none: any.
        kilobytes_per_request: Data that a request and its answer carry [kB]; away from home the network counts.
        origins: All origins of the route, where it has some; there is then a front for each of them.
        origin: The one that this front is of.
    """

    name: str
    workload: str
    targets: tuple[str, ...]
    backends: tuple[FrontBackend, ...]
    max_rtt_ms: float | None = None
    max_p95_ms: float | None = None
    kilobytes_per_request: float = 0.0
    origins: tuple[Origin, ...] = ()
    origin: str | None = None

    @property
    def route(self) -> str:
        """Name of the route that the file gives."""
        return self.name if self.origin is None else self.name.removesuffix(f"@{self.origin}")

    @property
    def leads(self) -> bool:
        """Whether it stands for all origins of its route, so that they are looked at once."""
        return bool(self.origins) and self.origin == self.origins[0].name

    def of_origins(self) -> Iterator[Front]:
        """One front for each origin of the route, `route@origin`."""
        for each in self.origins:
            targets = self.targets if each.targets is None else each.targets
            name = f"{self.route}@{each.name}"
            yield replace(self, name=name, targets=targets, origin=each.name)
