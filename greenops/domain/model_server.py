"""What an inference server counts of its own work, and what a token of it was found to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from greenops.domain.energy import Boundary
from greenops.units import Joules, Seconds, Watts


class Work(NamedTuple):
    """Tokens of one language model, counted since a server's start or between two looks.

    Attributes:
        read: Input tokens, those from the cache among them.
        cached: Input tokens taken from the prefix cache; zero where the server does not tell.
        wrote: Output tokens.
        steps: Passes that wrote tokens; none where the server does not tell.
    """

    read: float
    cached: float
    wrote: float
    steps: float | None = None


@dataclass(frozen=True, slots=True)
class ServerLook:
    """One look at a server's counters.

    Attributes:
        server: Its kind: `vllm`, `tgi`, `sglang`.
        lag: How much later than the work itself the counters may move [s].
        work: By name of the language model, as the server has it; none where it names no model.
        running: Requests in its batch; none where it does not tell.
        at_end: True where output is counted as a request ends, and passes as they are made.
    """

    server: str
    lag: Seconds
    work: Mapping[str | None, Work]
    running: float | None
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class TokenEnergy:
    """What a token of one language model draws on a metered server.

    Attributes:
        model: Name, as the server has it; none where it names no model.
        output: Per output token [J].
        input: Per input token that is computed [J].
        factor: Half width of the 90 % range of both, as a factor.
        apart: True where input and output were told apart by the meter; else the split is an assumption.
        work: What it counted.
    """

    model: str | None
    output: Joules
    input: Joules
    factor: float
    apart: bool
    work: Work


@dataclass(frozen=True, slots=True)
class MeteredServer:
    """What a time of metering found.

    Attributes:
        server: Its kind.
        boundary: What the meters cover.
        devices: The meters' devices.
        models: Per language model.
        ticks: Looks in which it worked.
        lost: Looks that gave nothing: no answer, a restart, a meter that could not be read.
        busy: Time in which it worked [s].
        energy: What was drawn in that time [J].
        idle: Power with nothing running [W]; none where it was not seen and no meter tells.
        running: Requests that ran at once, on average; none where it does not tell.
        gain: Error on ticks that were not fitted to, as a part of one rate's for all; none where nothing was fitted.
    """

    server: str
    boundary: Boundary
    devices: tuple[str, ...]
    models: tuple[TokenEnergy, ...]
    ticks: int
    lost: int
    busy: Seconds
    energy: Joules
    idle: Watts | None
    running: float | None
    gain: float | None
