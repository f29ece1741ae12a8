"""What one look sees, kept as it came: ten times a second a process pays for no more, and the books are kept later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from greenops.observe.times import Tick

if TYPE_CHECKING:
    from greenops.observe.host import Host, HostGlance
    from greenops.observe.meters import Answer, Meters

PERIOD_S: Final = 300
"""Simulated time whose energy is priced with one carbon intensity [s]; grids publish 5 min at best."""


class Glance(NamedTuple):
    """One look at every meter and clock.

    Attributes:
        answers: What the meters said.
        clocks: What the clocks of host, process and threads showed.
        at: Simulated time.
        until_ns: Notes of spans up to this instant belong to it at most [ns].
    """

    answers: Sequence[Answer]
    clocks: HostGlance
    at: datetime
    until_ns: int

    def tick(self, meters: Meters, host: Host) -> Tick:
        """What the books need of it."""
        clocks = host.clocks(self.clocks)
        return Tick(
            at_ns=clocks.at_ns,
            period=int(self.at.timestamp()) // PERIOD_S,
            readings=meters.readings(self.answers),
            host_ns=clocks.host_ns,
            process_ns=clocks.process_ns,
            threads=clocks.threads,
            overhead=clocks.overhead,
            native=clocks.native,
        )
