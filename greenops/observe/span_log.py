"""What a request pays for: a note of each start and end, read later by whoever looks at the meters.

A note takes no lock and, for a stretch shorter than `SHORT_NS`, no system call: the thread's CPU clock is read only
after a longer one, and at each look by the meter thread (docs/decisions/0010).
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from threading import get_native_id
from time import monotonic_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from greenops.observe.open_spans import MOST_WAITING, SHORT_NS, OpenSpans, TaskStack

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

MOST_NOTES: Final = 2 * MOST_WAITING
"""Notes that wait to be read; where nobody looks, neither meter thread nor exporter, the oldest are lost."""
SAMPLED: Final = 1
"""Bit of the trace flags. Source: W3C Trace Context, section 3.2.2.5.1."""
NEVER_NS: Final = sys.maxsize
"""Stands for no bound in time: every note, and no reading of a thread's clock [ns]."""


class Lane:
    """One thread as its notes know it: the kernel's id, and when it last made one [ns]."""

    __slots__ = ("at_ns", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.at_ns = -NEVER_NS


class Tokens(NamedTuple):
    """What a language model read and wrote for a span."""

    key: int
    read: int
    written: int


Note = tuple[bool | None, int, int, int | None, Any]
"""Start, end or neither; thread; monotonic clock [ns]; CPU clock, where it was read [ns]; what it is of."""


class SpanLog:
    """Starts and ends of spans in the order in which they came.

    Args:
        know: Told of each thread once, before its first note.
        short_ns: A longer stretch between two notes of a thread is worth a reading of its CPU clock [ns].
    """

    def __init__(self, know: Callable[[int], None], short_ns: int = SHORT_NS) -> None:
        self._know, self._short_ns = know, short_ns
        self._wake: Callable[[], object] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all: a forked child has one thread, and none of its parent's notes."""
        self._here = threading.local()
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._append: Callable[[Note], None] = self._notes.append
        self._note = self._append
        self._busy, self._woken_ns = True, NEVER_NS

    def close(self) -> None:
        """Take no more notes."""
        self._note = self._append = deque[Any](maxlen=0).append

    def rest(self, wake: Callable[[], object]) -> bool:
        """Ask to be woken by the next start; false where spans came since the notes were last told but one time."""
        self._woken_ns = NEVER_NS
        if self._busy:
            return False
        self._wake = wake
        self._note = self._wait
        # One that another thread noted a moment ago has woken nobody.
        if self._notes and any(note[0] for note in self._notes.copy()):
            self._note = self._append
            return False
        return True

    def _wait(self, note: Note) -> None:
        self._append(note)
        if note[0] and self._wake is not None:
            self._note, self._woken_ns = self._append, note[2]
            self._wake()

    def before_first(self) -> int:
        """The last moment before the start that ended a rest [ns], told once: what was drawn till then is not of its span."""
        first, self._woken_ns = self._woken_ns, NEVER_NS
        return first - 1

    @property
    def waiting(self) -> int:
        """How many notes wait to be told."""
        return len(self._notes)

    def _enter(self) -> Lane:
        # Asking the kernel for a thread's id costs a system call, so each thread asks once.
        lane = self._here.lane = Lane(get_native_id())
        self._know(lane.thread)
        return lane

    def started(self, span: Span, parent_context: object = None) -> None:  # noqa: ARG002
        """A span starts on the calling thread; as the SDK calls a processor, so that no call lies between."""
        try:
            lane = self._here.lane
        except AttributeError:
            lane = self._enter()
        at_ns = monotonic_ns()
        cpu_ns = thread_time_ns() if at_ns - lane.at_ns > self._short_ns else None
        lane.at_ns = at_ns
        self._note((True, lane.thread, at_ns, cpu_ns, span))

    def ended(self, span: ReadableSpan) -> None:
        """A span ends, on whatever thread."""
        try:
            lane = self._here.lane
        except AttributeError:
            lane = self._enter()
        at_ns = monotonic_ns()
        cpu_ns = thread_time_ns() if at_ns - lane.at_ns > self._short_ns else None
        lane.at_ns = at_ns
        self._note((False, lane.thread, at_ns, cpu_ns, span))

    def switched(self, stack: TaskStack | None) -> None:
        """A step of a task begins on the calling thread, or none where one ends.

        Left out while many notes wait, so that no start or end is lost for it.
        """
        if len(self._notes) > MOST_NOTES // 2:
            return
        try:
            lane = self._here.lane
        except AttributeError:
            lane = self._enter()
        at_ns = monotonic_ns()
        cpu_ns = thread_time_ns() if at_ns - lane.at_ns > self._short_ns else None
        lane.at_ns = at_ns
        self._note((None, lane.thread, at_ns, cpu_ns, stack))

    def counted(self, key: int, *, read: int = 0, written: int = 0) -> None:
        """Tokens that a language model read and wrote for a span since the last such note.

        Left out while many notes wait, so that no start or end is lost for it.
        """
        if len(self._notes) <= MOST_NOTES // 2:
            self._note((None, 0, monotonic_ns(), None, Tokens(key, read, written)))

    def tell(self, spans: OpenSpans, until_ns: int = NEVER_NS) -> None:
        """Tell of all starts and ends up to an instant, each once; the caller locks."""
        notes, later = self._notes, []
        self._busy = False
        for _ in range(len(notes)):
            note = notes.popleft()
            started, thread, at_ns, cpu_ns, span = note
            if at_ns > until_ns:
                later.append(note)
            elif isinstance(span, Tokens):
                spans.count(*span)
            elif started is None:
                spans.switch(thread, span, cpu_ns, at_ns)
            elif started:
                self._busy = True
                parent = span.parent
                spans.start(
                    span.context.span_id,
                    span.name,
                    # A remote parent is not among the open spans here, so its id finds nothing.
                    parent.span_id if parent else None,
                    thread,
                    cpu_ns,
                    at_ns,
                    span,
                )
            else:
                context = span.context
                keep = context.trace_flags & SAMPLED != 0
                spans.end(context.span_id, cpu_ns, at_ns, keep, thread=thread)
        notes.extendleft(reversed(later))

    def ending(self) -> frozenset[int]:
        """Keys of spans that have ended, where that was not told yet."""
        notes = self._notes.copy()
        return frozenset(note[4].context.span_id for note in notes if note[0] is False)

    def ends(self, keys: Iterable[int]) -> bool:
        """True where one of these spans has ended and that was not told yet."""
        return not self.ending().isdisjoint(keys)
