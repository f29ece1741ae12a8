"""Notes of starts and ends that wait to be told."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from greenops.observe.open_spans import OpenSpans
from greenops.observe.span_log import MOST_NOTES, NEVER_NS, SpanLog


def span(key: int, parent: int | None = None, flags: int = 1) -> Any:
    return SimpleNamespace(
        name=f"op{key}",
        parent=None if parent is None else SimpleNamespace(span_id=parent),
        context=SimpleNamespace(span_id=key, trace_flags=flags),
    )


def test_notes_are_told_once_in_their_order() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.started(span(1))
    log.started(span(2, parent=1))
    log.ended(span(2))

    log.tell(spans)
    log.tell(spans)

    assert list(spans.open) == [1]
    assert spans.waiting[2].into is spans.open[1]


def test_what_came_after_an_instant_waits_for_the_next_telling() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.started(span(1))
    log.ended(span(1))

    log.tell(spans, until_ns=0)
    waits = log.ends([1])
    log.tell(spans)

    assert waits
    assert list(spans.waiting) == [1]
    assert not log.ends([1])


def test_only_a_long_stretch_reads_the_clock_of_its_thread() -> None:
    spans = OpenSpans()
    never, always = SpanLog(lambda _: None, NEVER_NS), SpanLog(lambda _: None, -1)

    for log in (never, always):
        log.started(span(1))
        log.ended(span(1))
        log.tell(spans)
        claims = len(spans.threads.popitem()[1].claims)
        assert claims == (1 if log is never else 0)


def test_a_log_that_nobody_reads_loses_the_oldest_notes() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    for key in range(MOST_NOTES + 5):
        log.started(span(key))

    log.tell(spans)

    assert len(spans.open) == MOST_NOTES
    assert min(spans.open) == 5


def test_a_closed_log_keeps_nothing() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.close()

    log.started(span(1))
    log.tell(spans)

    assert not spans.open


def test_each_thread_is_made_known_once_before_its_first_note() -> None:
    known: list[int] = []
    log = SpanLog(known.append)
    thread = threading.Thread(target=lambda: list(map(log.ended, [span(1), span(2)])))

    log.started(span(1))
    log.started(span(2))
    thread.start()
    thread.join()

    assert known == [threading.get_native_id(), thread.native_id]


def test_an_unsampled_span_is_not_kept_for_an_exporter() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.started(span(1, flags=0))
    log.ended(span(1, flags=0))

    log.tell(spans)

    assert not spans.waiting[1].keep


def test_tokens_are_told_for_a_span_that_is_open_or_waits() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.started(span(1))
    log.counted(1, read=30)
    log.counted(1, written=2)
    log.ended(span(1))
    log.counted(1, written=1)
    log.counted(9, written=1)
    log.counted(1, written=-5)

    log.tell(spans)

    assert (spans.waiting[1].read, spans.waiting[1].written) == (30, 3)


def test_a_log_rests_once_nothing_started_and_the_next_start_wakes_whoever_looks() -> None:
    log, spans, woken = SpanLog(lambda _: None), OpenSpans(), []
    log.started(span(1))
    log.ended(span(1))
    log.tell(spans)
    at_once = log.rest(lambda: woken.append(1))
    log.tell(spans)

    later = log.rest(lambda: woken.append(2))
    log.switched(None)
    log.started(span(2))
    log.started(span(3))

    assert (at_once, later, woken) == (False, True, [2])


def test_the_start_that_ends_a_rest_comes_after_what_was_drawn_before_it() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.tell(spans)
    log.rest(lambda: None)
    log.started(span(1))

    log.tell(spans, log.before_first())
    first = list(spans.open)
    log.rest(lambda: None)
    log.tell(spans, log.before_first())

    assert (first, list(spans.open)) == ([], [1])


def test_a_log_does_not_rest_while_a_start_waits_to_be_told() -> None:
    log, spans = SpanLog(lambda _: None), OpenSpans()
    log.tell(spans)
    log.started(span(1))

    assert not log.rest(lambda: None)
