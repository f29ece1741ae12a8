"""A finished span with what we know about it added."""

from __future__ import annotations

from types import MappingProxyType

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.types import AttributeValue

Attributes = dict[str, AttributeValue]


class SharedResource(Resource):
    """A resource of many spans, equal to the one it was made of.

    Encoders look a span's resource up once a span, and the SDK works its hash out of its JSON each time.
    """

    def __init__(self, resource: Resource) -> None:
        super().__init__(dict(resource.attributes), resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


class EnrichedSpan(ReadableSpan):
    """A finished span with more attributes; what its source dropped stays counted."""

    def __init__(self, span: ReadableSpan, more: Attributes, resource: Resource) -> None:
        super().__init__(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=resource,
            attributes=said_by(span) | more,
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        """As the source counted."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """As the source counted."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """As the source counted."""
        return self._dropped[2]


def said_by(span: ReadableSpan) -> Attributes:
    """A copy of a span's attributes: the SDK makes one in less time than it looks one name up."""
    said = span.attributes
    return said.copy() if isinstance(said, MappingProxyType) else dict(said or {})
