"""What resources say of all of their spans, read once each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from greenops.observe import attributes as names
from greenops.service.rows import attributes_of, number_of, text_of
from greenops.service.wire import Data, Fields, Odd


@dataclass(frozen=True, slots=True)
class Facts:
    """What resources say, one after the other; words in columns that spans may overrule."""

    said: list[dict[str, Any]]
    service: list[str]
    instance: list[str | None]
    workload: list[str | None]
    decision: list[str | None]
    region: list[str | None]
    zone: list[str | None]
    method: list[str | None]
    doubt: Any

    @classmethod
    def of(cls, data: Data, resources: Fields, count: int) -> Facts:
        """What lies in the fields of some resources, each of its owner.

        Raises:
            Odd: A word that is compared with others is no text.
        """
        said: list[dict[str, Any]] = [{}] * count
        known: dict[bytes, dict[str, Any]] = {}
        places = (resources.owner, resources.start, resources.start + resources.length)
        for at, first, end in zip(*(each.tolist() for each in places), strict=True):
            raw = data.raw[first:end]
            if raw not in known:
                known[raw] = attributes_of(Resource.FromString(raw).attributes)
            said[at] = known[raw]
        doubts = [number_of(each.get(names.ENERGY_UNCERTAINTY)) for each in said]
        return cls(
            said=said,
            service=[str(each.get(names.SERVICE_NAME, "unknown_service")) for each in said],
            instance=[text_of(each.get(names.SERVICE_INSTANCE_ID)) for each in said],
            workload=[text_of(each.get(names.WORKLOAD)) for each in said],
            decision=[text_of(each.get(names.DECISION_ID)) for each in said],
            region=[_word(each.get(names.CLOUD_REGION)) for each in said],
            zone=[_word(each.get(names.GRID_ZONE)) for each in said],
            method=[_word(each.get(names.ENERGY_METHOD)) for each in said],
            doubt=np.array([np.nan if each is None else each for each in doubts], np.float64),
        )


def _word(value: object) -> str | None:
    """A word that is compared with others; one that is no text compares otherwise than its text does."""
    if value is None or isinstance(value, str):
        return value
    raise Odd
