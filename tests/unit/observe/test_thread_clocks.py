"""CPU time of spans where a thread's clock is read now and then."""

from __future__ import annotations

from greenops.observe.open_spans import SHORT_NS, OpenSpan, OpenSpans

US = 1_000
THREAD = 1


def opened(spans: OpenSpans, key: int, cpu_us: int | None, at_us: int) -> OpenSpan:
    cpu_ns = None if cpu_us is None else cpu_us * US
    spans.start(key, f"op{key}", None, THREAD, cpu_ns, at_us * US)
    return spans.open[key]


def test_a_span_that_slept_gets_none_of_what_a_short_one_before_it_ran() -> None:
    spans = OpenSpans()
    short = opened(spans, 1, 0, 0)
    spans.end(1, None, 10 * US)
    asleep = opened(spans, 2, None, 10)

    spans.end(2, 10 * US, 50_010 * US)

    assert short.cpu_ns == 10 * US
    assert asleep.cpu_ns == 0


def test_a_span_that_slept_gets_none_of_what_runs_after_it() -> None:
    spans = OpenSpans()
    asleep = opened(spans, 1, 0, 0)
    spans.end(1, 5 * US, 50_000 * US)
    busy = opened(spans, 2, None, 50_002)

    spans.end(2, 50_005 * US, 100_000 * US)

    assert asleep.cpu_ns == 5 * US
    assert busy.cpu_ns == 50_000 * US - 2 * US


def test_short_stretches_share_what_the_clock_gives_where_they_claim_more() -> None:
    spans = OpenSpans()
    first = opened(spans, 1, 0, 0)
    spans.end(1, None, 10 * US)
    second = opened(spans, 2, None, 10)
    spans.end(2, None, 20 * US)

    spans.threads[THREAD].charge(10 * US, 20 * US)

    assert first.cpu_ns == second.cpu_ns == 5 * US


def test_what_ran_between_two_short_spans_is_of_neither() -> None:
    spans = OpenSpans()
    first = opened(spans, 1, 0, 0)
    spans.end(1, None, 10 * US)
    second = opened(spans, 2, None, 25)
    spans.end(2, None, 35 * US)

    spans.threads[THREAD].charge(40 * US, 40 * US)

    assert first.cpu_ns == second.cpu_ns == 10 * US
    assert spans.threads[THREAD].charged_ns == 20 * US


def test_a_long_span_that_ends_on_another_thread_shares_its_own_by_wall_time() -> None:
    spans = OpenSpans()
    far = opened(spans, 1, 0, 0)
    spans.end(1, 7 * US, 60_000 * US, thread=2)

    spans.threads[THREAD].charge(50_000 * US, 100_000 * US)

    assert far.cpu_ns == 30_000 * US


def test_short_spans_of_a_thread_that_died_get_what_they_claim() -> None:
    spans = OpenSpans()
    short = opened(spans, 1, 0, 0)
    spans.end(1, None, SHORT_NS)

    spans.gone(THREAD)

    assert short.cpu_ns == SHORT_NS
    assert THREAD not in spans.threads
