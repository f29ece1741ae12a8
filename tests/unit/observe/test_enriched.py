"""Spans with more on them, and the resource that they share."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from greenops.observe.enriched import EnrichedSpan, SharedResource

PLAIN = Resource({"service.name": "a", "greenops.pue": 1.2}, "https://schema.example")


def test_a_shared_resource_is_the_one_it_was_made_of():
    shared = SharedResource(PLAIN)

    assert (shared, hash(shared)) == (PLAIN, hash(PLAIN))
    assert {PLAIN: "found"}[shared] == "found"
    assert (shared.schema_url, shared.to_json()) == (PLAIN.schema_url, PLAIN.to_json())
    assert shared != Resource({"service.name": "b"})


def test_spans_of_one_resource_go_out_together_whichever_of_the_two_they_carry():
    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("x")
    span.end()
    assert isinstance(span, ReadableSpan)

    sent = encode_spans(
        [EnrichedSpan(span, {}, PLAIN), EnrichedSpan(span, {}, SharedResource(PLAIN))]
    )

    assert len(sent.resource_spans) == 1


def test_a_span_without_attributes_takes_ours():
    bare = ReadableSpan("x", attributes=None, resource=PLAIN)

    assert dict(EnrichedSpan(bare, {"a": 1.0}, PLAIN).attributes or {}) == {"a": 1.0}


def test_what_is_added_leaves_the_span_it_was_made_of_as_it_is():
    bare = ReadableSpan("x", attributes={"b": 1}, resource=PLAIN)

    found = EnrichedSpan(bare, {"a": 1.0}, PLAIN)

    assert dict(found.attributes or {}) == {"a": 1.0, "b": 1}
    assert dict(bare.attributes or {}) == {"b": 1}
