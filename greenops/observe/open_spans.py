"""Which spans are open on which thread, and what each used since the last look."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, Final
from weakref import ref

from greenops.observe.device import share

MOST_OPEN: Final = 10_000
"""Spans open at once; beyond it the oldest are taken for forgotten. A tick then costs about a millisecond."""
MOST_WAITING: Final = 16_384
"""Spans that wait for one look; only a driver that hangs lets so many gather."""
SHORT_NS: Final = 20_000
"""A stretch between two starts or ends that is worth no reading of the thread's CPU clock [ns].

Source: docs/decisions/0009, measured: a reading costs 0.6 us, three per cent of this.
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
        self.devices = {**self.devices, device: self.devices.get(device, 0) + quanta}
        self.periods = {**self.periods, period: self.periods.get(period, 0) + quanta}

    def note_rule(self, rule: str, quanta: int) -> None:
        """Say by what rule some of it was shared."""
        if quanta:
            self.rules = {**self.rules, rule: self.rules.get(rule, 0) + quanta}

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


class OpenSpans:
    """Spans from their start until a look at the meters settles them. Not thread-safe: the caller locks."""

    def __init__(self) -> None:
        self.open: dict[int, OpenSpan] = {}
        """Spans that are open, by key."""
        self.waiting: dict[int, OpenSpan] = {}
        """Spans that have ended since the last tick, by key."""
        self.threads: dict[int, ThreadState] = {}
        """Threads that have had spans and live, as far as the last tick knows."""
        self.lost = Lost()
        # The garbage collector may run anywhere, also while the lock is held: it only leaves a note here.
        self._gone: deque[ref[Any]] = deque(maxlen=MOST_OPEN)
        self._note_gone = self._gone.append

    def start(
        self,
        key: int,
        name: str,
        parent: int | None,
        thread: int,
        cpu_ns: int | None,
        at_ns: int,
        span: object = None,
    ) -> None:
        """A span starts on a thread and becomes its innermost.

        Args:
            key: Unique among open spans.
            name: Its operation.
            parent: Key of its parent; none, or of no open span here, where it has none.
            thread: It starts on this one.
            cpu_ns: CPU clock of the thread [ns]; none where it was not read.
            at_ns: Monotonic clock [ns].
            span: The SDK's; where it is thrown away without an end, so is what was gathered for it.
        """
        state = self.threads.get(thread)
        if state is None:
            state = self.threads[thread] = ThreadState(thread, cpu_ns or 0, at_ns)
        else:
            state.charge(cpu_ns, at_ns)
        opened = OpenSpan(key, name, state, self.open.get(parent) if parent else None)
        opened.whole = span
        self.open[key] = opened
        state.stack.append(opened)

    def end(
        self,
        key: int,
        cpu_ns: int | None,
        at_ns: int,
        keep: bool = True,
        *,
        thread: int | None = None,
    ) -> bool:
        """A span ends; false where it is not open here.

        Args:
            key: As given at its start.
            cpu_ns: CPU clock of the thread it ends on [ns]; none where it was not read.
            at_ns: Monotonic clock [ns].
            keep: False where nobody will ask for the result, as for unsampled spans.
            thread: It ends on this one; none where that is the one it started on.
        """
        span = self.open.pop(key, None)
        if span is None:
            return False
        state, stack = span.thread, span.home
        if stack:  # of a thread that died it is empty
            state.charge(cpu_ns if thread in {None, state.ident} else None, at_ns)
            if stack[-1] is span:
                stack.pop()
            else:
                stack.remove(span)
        # A child that outlives its parent adds to nobody's total.
        if span.parent is not None and span.parent.key in self.open:
            span.into = span.parent
        span.parent = span.whole = span.watch = None
        span.keep, span.over = keep, True
        self.waiting[key] = span
        return True

    def switch(self, thread: int, stack: TaskStack | None, cpu_ns: int | None, at_ns: int) -> None:
        """A step of a task begins or ends on a thread: what it uses from now on is charged to other spans.

        Args:
            thread: The one that runs it.
            stack: The task's; none for the thread's own.
            cpu_ns: CPU clock of the thread [ns]; none where it was not read.
            at_ns: Monotonic clock [ns].
        """
        state = self.threads.get(thread)
        if state is None:
            state = self.threads[thread] = ThreadState(thread, cpu_ns or 0, at_ns)
        else:
            state.charge(cpu_ns, at_ns)
        if stack is None:
            state.stack = state.own
            return
        state.stack = stack
        # After a fork a stack may hold spans of the parent process.
        while stack and self.open.get(stack[-1].key) is not stack[-1]:
            stack.pop()
        under = self.open.get(stack.under) if stack.under and not stack else None
        if under is not None:
            stack.append(under)

    def shed(self) -> None:
        """Give up the oldest where too many are open, or wait for a look that does not come."""
        self._drop(list(islice(self.open.values(), max(0, len(self.open) - MOST_OPEN))))
        for key in list(islice(self.waiting, max(0, len(self.waiting) - MOST_WAITING))):
            self.abandon(key)

    def bury(self) -> None:
        """Drop open spans that the SDK threw away without an end."""
        # Few spans outlast a look: watching only those keeps a start cheap.
        for span in self.open.values():
            if span.whole is not None:
                span.watch, span.whole = ref(span.whole, self._note_gone), None
        gone = {id(self._gone.popleft()) for _ in range(len(self._gone))}
        if gone:
            self._drop([span for span in self.open.values() if id(span.watch) in gone])

    def _drop(self, spans: Iterable[OpenSpan]) -> None:
        stacks = {}
        for span in spans:
            del self.open[span.key]
            span.parent = span.whole = span.watch = None
            span.over = True
            self.lost.add(span)
            stacks[id(span.home)] = span.home
        for stack in stacks.values():
            stack[:] = [span for span in stack if self.open.get(span.key) is span]

    def pending(self, keys: Iterable[int]) -> bool:
        """True where one of these spans has ended after the last tick."""
        return not self.waiting.keys().isdisjoint(keys)

    def abandon(self, key: int) -> bool:
        """Settle a span without a result: its energy is nobody's; false where it does not wait for a tick."""
        span = self.waiting.pop(key, None)
        if span is not None:
            self.lost.add(span)
        return span is not None

    def gone(self, thread: int) -> None:
        """A thread has died: spans that it left open use no more time, whoever may end them."""
        self.threads.pop(thread).gone()

    def held(self) -> dict[str, int]:
        """Energy by device that spans have gathered and no look has settled."""
        sums = dict(self.lost.quanta)
        for span in chain(self.open.values(), self.waiting.values()):
            for device, quanta in span.devices.items():
                sums[device] = sums.get(device, 0) + quanta
        return sums

    def active(self) -> Iterable[OpenSpan]:
        """Open spans that used something since the last tick."""
        return (
            span
            for span in self.open.values()
            if span.wall_ns or span.cpu_ns or span.written or span.read
        )

    def settled_before(self, span: OpenSpan) -> bool:
        """True where a span is neither open nor waiting."""
        return (self.open.get(span.key) or self.waiting.get(span.key)) is not span

    def settled(self) -> Lost:
        """A tick is over: what threads were charged starts anew, and what was lost is handed over."""
        for state in self.threads.values():
            state.charged_ns = 0
        lost, self.lost = self.lost, Lost()
        return lost

    def clear(self) -> None:
        """Nothing is open, nothing waits: what all of them had is lost."""
        for span in [*self.open.values(), *self.waiting.values()]:
            self.lost.add(span)
        self.open.clear()
        self.waiting.clear()
        self.threads.clear()
