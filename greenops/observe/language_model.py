"""Energy of a call of a language model from its tokens; pure, and quick once a model is known.

    E = stack x PUE x (output x J_out + (fresh + share x cached) x J_in)        [J], boundary of the site

Ranges of batch size, utilisation, model size and the fit's own error are independent of each other: their logarithms
add as squares.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, hypot, log1p
from typing import Any, Final

from greenops.domain.energy import Method
from greenops.domain.language_model import (
    CallEnergy,
    CallUnknown,
    LanguageModel,
    LanguageModelTable,
    Measured,
    Tokens,
    Trust,
)
from greenops.observe.model_names import Names
from greenops.observe.per_token import Formula, PerToken
from greenops.units import Joules

REMEMBERED: Final = 1024
"""Spellings whose model is remembered; more are looked up each time."""
_record = tuple.__new__
"""Makes a record as its class does, without the call in between: a tenth of an estimate's time."""

Servers = dict[str | None, PerToken]
"""Measurements of one model by server; none for any server."""


class LanguageModels:
    """Estimates by name of model. Thread-safe: what two threads find at once is the same. Stability: beta.

    Args:
        table: Models and figures.
        default_tier: Tier of models that are not in the table; none leaves them unknown.

    Raises:
        KeyError: The table names a tier, a precision or a figure that it does not hold.
    """

    def __init__(self, table: LanguageModelTable, default_tier: str | None = None) -> None:
        formula = Formula(table)
        figures = formula.figures
        self._cached, self._pue = figures["cached_share"], figures["pue"]
        self._reported = figures["reported_factor"]
        tiers = {each.name: (formula.of_tier(each), each) for each in table.tiers}
        known = {each.name: tiers[each.tier] for each in table.hosted}
        for model in table.models:
            entry = (formula.of_size(model), model)
            known.update(dict.fromkeys((model.name, *model.aliases), entry))
        self._known = Names(known)
        self._default = None if default_tier is None else tiers[default_tier]
        self._measured = Names(_by_model(table.measured, formula))
        self._found: dict[tuple[str, str | None], PerToken | None] = {}

    def estimate(
        self, model: str, tokens: Tokens, *, server: str | None = None, pue: float | None = None
    ) -> CallEnergy | CallUnknown:
        """Energy of a call.

        Args:
            model: Name as it stands on the span.
            tokens: What it read and wrote, as `greenops.observe.gen_ai` checks them.
            server: `server.address`, for what was measured on that server.
            pue: Of the server's region; none takes the fleet's.
        """
        key = (model, server)
        try:
            found = self._found[key]
        except KeyError:
            found = self._look(key)
        if found is None:
            return CallUnknown.UNKNOWN_MODEL
        return self._energy(found, tokens, self._pue if pue is None else pue)

    def size(self, model: str) -> LanguageModel | None:
        """Size of a model, or of the tier it is taken for; none where it is not known."""
        found = self._known.find(model) or self._default
        return None if found is None else found[1]

    def reported(self, energy: Joules) -> CallEnergy:
        """What the provider itself said of a call [J], with the range that such numbers are given."""
        low, high = Joules(energy / self._reported), Joules(energy * self._reported)
        return CallEnergy(energy, low, high, Method.REPORTED, Trust.PROVIDER)

    def _energy(self, per: PerToken, tokens: Tokens, pue: float) -> CallEnergy:
        # Plain floats and one unpacking: a unit's constructor costs as much as a logarithm.
        output, read, out_low, out_high, read_low, read_high, down, up, site, how, trust, factor = (
            per
        )
        fresh, cached, wrote = tokens
        writing, reading = wrote * output, (fresh + self._cached * cached) * read
        both = writing + reading
        energy: Any = both * (site * pue or 1.0)
        if factor:
            return _record(CallEnergy, (energy, energy / factor, energy * factor, how, trust))
        if both <= 0:
            return _record(CallEnergy, (energy, energy, energy, how, trust))
        part, rest = writing / both, reading / both
        low = energy * exp(-hypot(log1p(part * out_low), log1p(rest * read_low), down))
        high = energy * exp(hypot(log1p(part * out_high), log1p(rest * read_high), up))
        return _record(CallEnergy, (energy, low, high, how, trust))

    def _look(self, key: tuple[str, str | None]) -> PerToken | None:
        model, server = key
        servers = self._measured.find(model) or {}
        found = servers.get(server) or servers.get(None)
        if found is None:
            known = self._known.find(model) or self._default
            found = None if known is None else known[0]
        if len(self._found) < REMEMBERED and Names.plain(model) is not None:
            self._found[key] = found
        return found


def _by_model(rows: Iterable[Measured], formula: Formula) -> dict[str, Servers]:
    found: dict[str, Servers] = {}
    # The newest measurement of a server comes last, and stays.
    for row in sorted(rows, key=lambda each: each.date):
        found.setdefault(Names.plain(row.model) or "", {})[row.server] = formula.of_server(row)
    return found
