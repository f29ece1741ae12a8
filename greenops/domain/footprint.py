"""What rows add up to beside metered energy: calls to elsewhere, the fleet, caches, tokens by concurrency."""

from __future__ import annotations

import math
from dataclasses import dataclass

from greenops.units import Grams, Joules


@dataclass(frozen=True, slots=True)
class RemoteEnergy:
    """Calls of one service by one method, at the boundary of the site; never added to metered energy.

    Attributes:
        calls: How many have energy and count.
        energy_j: Their sum [J].
        energy_low_j: Sum of the lower ends [J]: the wide way, as if all were wrong alike.
        energy_high_j: Sum of the upper ends [J].
        carbon_g: Emissions of those whose region is known [gCO2e]; none of none.
        superseded: Calls left out because their server's own span has energy.
        calls_with_carbon: How many of `calls` have emissions.
        output_tokens: Tokens of those calls that tell them; none where none does.
        energy_j_per_output_token: Energy of those by their tokens [J].
    """

    service: str
    method: str
    calls: int
    energy_j: Joules
    energy_low_j: Joules
    energy_high_j: Joules
    carbon_g: Grams | None
    superseded: int
    calls_with_carbon: int = 0
    output_tokens: int | None = None
    energy_j_per_output_token: Joules | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that was metered against those it was for; None where the data does not tell.

    Attributes:
        requests: Requests that came from outside: root spans of kind SERVER.
        users: How many different `user.id` spans named; none where none did.
        energy_j: All metered energy, idle included [J].
        carbon_g: Its emissions [gCO2e], location-based; none where a part of it is not known.
    """

    requests: int
    users: int | None
    energy_j: Joules | None
    carbon_g: Grams | None


@dataclass(frozen=True, slots=True)
class CacheSavings:
    """What one cache of one service saved so far; may be negative.

    Attributes:
        energy_j: Hits times the mean energy of making what a miss lacked, less what the cache took
            itself [J]; none where no miss tells what making takes.
        carbon_g: The same in grams [gCO2e].
        miss_j: Mean energy of making what a miss lacked [J].
        cost_j: What looking up took, hits, misses and stale ones alike [J].
    """

    service: str
    cache: str
    hits: int
    misses: int
    stale: int
    energy_j: Joules | None
    carbon_g: Grams | None
    miss_j: Joules | None
    cost_j: Joules | None


@dataclass(frozen=True, slots=True)
class TokenPoint:
    """What a token took while so many calls ran at once [J]."""

    concurrency: int
    calls: int
    energy_j_per_output_token: Joules


@dataclass(frozen=True, slots=True)
class TokenCurve:
    """Energy per output token of one pool by how many calls run at once.

    ln J is a polynomial in ln n, between the least and the most that were seen.

    Attributes:
        pool: Service, and its region where it is known.
        calls: Calls that it rests on.
        factors: Of the polynomial, the constant one first.
        error: Mean relative error at calls that a fit without them had not seen [1]; none where too
            few were left out.
    """

    pool: str
    calls: int
    points: tuple[TokenPoint, ...]
    factors: tuple[float, ...]
    error: float | None

    def at(self, concurrency: float) -> Joules:
        """Energy of one output token while so many calls run at once [J]."""
        n = math.log(concurrency)
        return Joules(math.exp(sum(each * n**power for power, each in enumerate(self.factors))))
