from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenops.testing.meters import SyntheticMeter
from tests.integration.observe.traced import Service


@pytest.fixture
def meter() -> SyntheticMeter:
    return SyntheticMeter(idle=2.0, watts={"parent": 5.0, "child": 8.0, "a": 5.0, "b": 8.0})


@pytest.fixture
def service(meter: SyntheticMeter) -> Iterator[Service]:
    made = Service(lambda: [meter])
    yield made
    made.provider.shutdown()
