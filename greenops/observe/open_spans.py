"""Which spans are open on which thread, and what each used since the last look."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from itertools import chain, islice
from typing import Any, Final
from weakref import ref

from greenops.observe.open_span import SHORT_NS, Lost, OpenSpan, TaskStack, ThreadState

__all__ = ["SHORT_NS", "Lost", "OpenSpan", "OpenSpans", "TaskStack", "ThreadState"]

MOST_OPEN: Final = 10_000
"""Spans open at once; beyond it the oldest are taken for forgotten. A tick then costs about a millisecond."""
MOST_WAITING: Final = 16_384
"""Spans that wait for one look; only a driver that hangs lets so many gather."""

Ending = Callable[[], AbstractSet[int]]
"""Gives the keys of spans whose end is yet to be told."""


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

    def count(self, key: int, read: int, written: int) -> None:
        """Tokens that a language model read and wrote for an open span; unknown spans and negative counts do not."""
        span = self.open.get(key) or self.waiting.get(key)
        if span is not None:
            span.read += max(0, read)
            span.written += max(0, written)

    def shed(self) -> None:
        """Give up the oldest where too many are open, or wait for a look that does not come."""
        if len(self.open) > MOST_OPEN:
            self._drop(list(islice(self.open.values(), len(self.open) - MOST_OPEN)))
        if len(self.waiting) > MOST_WAITING:
            for key in list(islice(self.waiting, len(self.waiting) - MOST_WAITING)):
                self.abandon(key)

    def bury(self, ending: Ending = frozenset) -> None:
        """Drop open spans that the SDK threw away without an end.

        Args:
            ending: Keys of spans whose end is yet to be told.
        """
        # Few spans outlast a look: watching only those keeps a start cheap.
        for span in self.open.values():
            if span.whole is not None:
                span.watch, span.whole = ref(span.whole, self._note_gone), None
        if not self._gone:
            return
        gone = {id(self._gone.popleft()) for _ in range(len(self._gone))}
        # Asked after: a span that is gone now and had an end has left its note before.
        ends = ending()
        self._drop(
            [each for each in self.open.values() if id(each.watch) in gone and each.key not in ends]
        )

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
