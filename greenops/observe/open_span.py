"""One open span, and the thread whose time it gets while it is innermost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from weakref import ref

from greenops.observe.device import share

SHORT_NS: Final = 20_000
"""A stretch between two starts or ends that is worth no reading of the thread's CPU clock [ns].

Source: docs/decisions/0010, measured: a reading costs 0.6 us, three per cent of this.
"""
MOST_CLAIMS: Final = 65_536
"""Stretches of a thread between two readings of its clock; only a driver that hangs lets so many gather."""


class TaskStack(list["OpenSpan"]):
    """Open spans of one asyncio task, innermost last; the thread's while a step of the task runs.

    Args:
        under: Key of the span that the task was made under, its innermost while it has none of its own.
    """

    __slots__ = ("under",)

    def __init__(self, under: int | None = None) -> None:
        super().__init__()
        self.under = under


class ThreadState:
    """Open spans of one thread, innermost last, and how far its clocks are charged.

    Its CPU clock is read now and then. What ran between two readings gets its part at the second: a short stretch is
    taken to have run throughout, the rest of the CPU time goes to long ones by wall time.
    """

    __slots__ = ("at_ns", "charged_ns", "claims", "cpu_ns", "ident", "own", "stack")

    def __init__(self, ident: int, cpu_ns: int, at_ns: int) -> None:
        self.ident = ident
        self.own: list[OpenSpan] = []
        """Spans that no task started."""
        self.stack = self.own
        """Spans of the task whose step runs, otherwise its own."""
        self.cpu_ns = cpu_ns
        """CPU clock at its last reading [ns]."""
        self.at_ns = at_ns
        self.charged_ns = 0
        self.claims: list[tuple[OpenSpan | None, int]] = []
        """Innermost span, if any, and wall time of each stretch since the last reading [ns]."""

    def charge(self, cpu_ns: int | None, at_ns: int) -> None:
        """Give the time since the cursor to the innermost open span, then move the cursor.

        Args:
            cpu_ns: CPU clock of the thread [ns]; none where it was not read.
            at_ns: Monotonic clock [ns].
        """
        stack = self.stack
        while stack and stack[-1].over:
            # A task was made under it, and it ended elsewhere.
            stack.pop()
        top = stack[-1] if stack else None
        wall_ns = max(0, at_ns - self.at_ns)
        self.at_ns = at_ns
        if top is not None:
            top.wall_ns += wall_ns
        if cpu_ns is None:
            if len(self.claims) < MOST_CLAIMS:
                self.claims.append((top, wall_ns))
            return
        used = max(0, cpu_ns - self.cpu_ns)
        self.cpu_ns = cpu_ns
        if self.claims:
            used = self._meet(used, wall_ns)
        if top is not None:
            top.cpu_ns += used
            self.charged_ns += used

    def _meet(self, used: int, last_ns: int) -> int:
        """Divide CPU time among the claims; what is left is of the stretch that ends now."""
        claims, self.claims = self.claims, []
        sure = [wall if wall <= SHORT_NS else 0 for _, wall in claims]
        rest = max(0, used - sum(sure))
        unsure = [0 if wall <= SHORT_NS else wall for _, wall in claims]
        short, long = share(used - rest, sure), share(rest, [*unsure, last_ns])
        for (span, _), one, other in zip(claims, short, long, strict=False):
            self._give(span, one + other)
        return used - sum(short) - sum(long[:-1])

    def _give(self, span: OpenSpan | None, cpu_ns: int) -> None:
        if span is not None:
            span.cpu_ns += cpu_ns
            self.charged_ns += cpu_ns

    def stand(self, at_ns: int) -> None:
        """Charge wall time alone: no thread's clock can be read here."""
        self.charge(None, at_ns)
        self.claims.clear()

    def gone(self) -> None:
        """The thread has died, and nobody will read its clock: short stretches get what they claim."""
        for span, wall_ns in self.claims:
            if wall_ns <= SHORT_NS:
                self._give(span, wall_ns)
        self.claims.clear()
        self.stack.clear()
        self.own.clear()


class OpenSpan:
    """What a span has gathered so far; energy in quanta. Defaults live on the class: a start must be cheap."""

    parent: OpenSpan | None
    cpu_ns = 0
    """CPU time in the tick that runs [ns]."""
    wall_ns = 0
    """Wall time as the innermost span of its thread in the tick that runs [ns]."""
    used_ns = 0
    """CPU time of its own, settled ticks [ns]."""
    devices: Mapping[str, int] = MappingProxyType({})
    periods: Mapping[int, int] = MappingProxyType({})
    rules: Mapping[str, int] = MappingProxyType({})
    """Its energy by the rule that shared it."""
    doubt = 0.0
    """What the rates it was weighed with may be off, half width of the 90 % range [quanta]."""
    read = 0
    """Tokens read for it in the tick that runs."""
    written = 0
    """Tokens written for it in the tick that runs."""
    below = 0
    """Energy of descendants that ended before it."""
    into: OpenSpan | None = None
    keep = True
    whole: object = None
    """The SDK's span until the next look; then `watch` tells when the SDK lets go of it without an end."""
    watch: ref[Any] | None = None
    over = False
    gap = False
    """True once a device used energy meanwhile that no reading will ever tell."""

    def __init__(self, key: int, name: str, thread: ThreadState, parent: OpenSpan | None) -> None:
        self.key = key
        self.name = name
        self.thread = thread
        self.home = thread.stack
        """The stack it was put on."""
        self.parent = parent

    def add(self, device: str, period: int, quanta: int) -> None:
        """Add energy that a tick gave."""
        if not self.devices:
            self.devices, self.periods = {device: quanta}, {period: quanta}
            return
        self.devices = {**self.devices, device: self.devices.get(device, 0) + quanta}
        self.periods = {**self.periods, period: self.periods.get(period, 0) + quanta}

    def note_rule(self, rule: str, quanta: int) -> None:
        """Say by what rule some of it was shared."""
        self.rules = (
            {**self.rules, rule: self.rules.get(rule, 0) + quanta} if self.rules else {rule: quanta}
        )

    @property
    def rule(self) -> str:
        """The rule that shared most of it."""
        rules = self.rules
        if len(rules) > 1:
            return max(rules, key=rules.__getitem__)
        return next(iter(rules), "cpu_time")

    @property
    def quanta(self) -> int:
        """Energy of its own."""
        return sum(self.devices.values())


class Lost:
    """What spans had that nobody will ask for again: time in the tick that runs [ns], and quanta by device."""

    __slots__ = ("cpu_ns", "quanta", "wall_ns")

    def __init__(self) -> None:
        self.cpu_ns = self.wall_ns = 0
        self.quanta: dict[str, int] = {}

    def add(self, span: OpenSpan) -> None:
        """Take over what a span has gathered."""
        self.cpu_ns += span.cpu_ns
        self.wall_ns += span.wall_ns
        for device, quanta in span.devices.items():
            self.quanta[device] = self.quanta.get(device, 0) + quanta
