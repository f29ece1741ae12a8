"""Numbers as a person reads them: SI prefixes, ranges, UTC times; absent is `not known`, never 0."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from greenops.units import JOULES_PER_KWH

NOT_KNOWN: Final = "not known"
"""What stands in place of a number that is absent."""

NOT_SET: Final = "not set"
"""What stands in place of a limit that nobody gave."""

_PREFIXES: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
"""SI prefixes. Source: SI brochure, 9th edition, table 7."""

_KILO: Final = 1e3
"""Largest multiple of a gram that people write with a prefix; above it are tonnes."""

_TONNE_G: Final = 1e6
"""Grams in a tonne, the name above the kilogram. Source: SI brochure, 9th edition, table 8."""


def grams(value: float | None, ndigits: int = 3) -> str:
    """An amount of CO2e [g] as `12.3 g`, `4.56 kg`, `1.20 t`."""
    if value is not None and abs(value) >= _TONNE_G * 0.9995:
        return f"{_figures(value / _TONNE_G, ndigits)} t"
    return _scaled(value, "g", ndigits, largest=_KILO)


def grams_scale(values: Iterable[float | None]) -> tuple[float, str]:
    """Grams in one unit of an axis, and the unit, so that its largest value reads as 1 to 999."""
    largest = max((abs(each) for each in values if each is not None), default=1.0)
    for size, prefix in _PREFIXES:
        if size <= _KILO and largest >= size * 0.9995:
            return size, f"{prefix}g"
    size, prefix = _PREFIXES[-1]
    return size, f"{prefix}g"


def joules(value: float | None, ndigits: int = 3) -> str:
    """An amount of energy [J] as `850 mJ`, `3.42 kJ`."""
    return _scaled(value, "J", ndigits)


def kwh(value: float | None) -> str:
    """An amount of energy [kWh] as `1.25 kWh`; `450 Wh` below one."""
    return _scaled(None if value is None else value * 1000, "Wh", 3, largest=1e9)


def joules_with_kwh(value: float | None) -> str:
    """Energy [J] with its bill unit: `7.2 MJ (2 kWh)`."""
    if value is None:
        return NOT_KNOWN
    return f"{joules(value)} ({kwh(value / JOULES_PER_KWH)})"


def usd(value: float | None) -> str:
    """Money as `1.23 USD`; small amounts keep three figures: `0.00412 USD`."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    if abs(value) >= 1 or value == 0:
        return f"{value:,.2f} USD"
    whole, _, rest = _figures(value, 3).partition(".")
    return f"{whole}.{rest[:2]}{rest[2:].rstrip('0')} USD"


def signed(text: str) -> str:
    """A formatted number with its sign written, so that a rise does not read like a fall."""
    number = text.partition(" ")[0]
    nothing = text == NOT_KNOWN or not number.strip("0.,")
    return text if nothing or text.startswith("-") else f"+{text}"


def intensity(value: float | None) -> str:
    """Carbon intensity [gCO2e/kWh] as `312 g/kWh`."""
    return NOT_KNOWN if value is None or not math.isfinite(value) else f"{value:,.0f} g/kWh"


def percent(ratio: float | None, digits: int = 1) -> str:
    """A ratio as a percentage: 0.123 is `12.3 %`; what is not nothing never reads as nothing."""
    if ratio is None or not math.isfinite(ratio):
        return NOT_KNOWN
    smallest = 10**-digits
    if 0 < abs(ratio) * 100 < smallest:
        return f"below {smallest:g} %"
    return f"{ratio * 100:.{digits}f} %"


def grams_range(low: float | None, high: float | None) -> str:
    """A 90 % range of grams: `11 g to 13.5 g`."""
    return _between(grams(low), grams(high))


def joules_range(low: float | None, high: float | None) -> str:
    """A 90 % range of joules: `1.1 kJ to 1.4 kJ`."""
    return _between(joules(low), joules(high))


def instant(at: datetime | None) -> str:
    """An instant in UTC: `2021-10-08 07:30 UTC`."""
    return NOT_KNOWN if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration(length: timedelta | None) -> str:
    """A length of time: `12 h`, `2 h 30 min`, `45 s`."""
    if length is None:
        return NOT_KNOWN
    total = round(abs(length.total_seconds()))
    hours, rest = divmod(total, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (left if total < 60 else 0, "s")]  # noqa: PLR2004
    text = " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 s"
    return f"-{text}" if length < timedelta() else text


def change(value: float | None, reference: float | None) -> str:
    """How far `value` lies from `reference`: `-32.0 %`; not known where there is no reference."""
    if value is None or not reference:
        return NOT_KNOWN
    return f"{(value / reference - 1) * 100:+.1f} %"


def plain_text(text: str) -> str:
    r"""Text as it stands, safe to show as Markdown: `$` and the like lose their meaning."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>$#:~|" else each for each in text)


def _between(low: str, high: str) -> str:
    return NOT_KNOWN if NOT_KNOWN in (low, high) else f"{low} to {high}"


def _scaled(value: float | None, unit: str, ndigits: int, largest: float = 1e9) -> str:
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    if value == 0:
        return f"0 {unit}"
    # Rounding must not cross a prefix: 999.9 m is 1, not 1000 m.
    for size, prefix in _PREFIXES:
        if size <= largest and abs(value) >= size * 0.9995:
            return f"{_figures(value / size, ndigits)} {prefix}{unit}"
    size, prefix = _PREFIXES[-1]
    return f"{_figures(value / size, ndigits)} {prefix}{unit}"


def _figures(value: float, ndigits: int) -> str:
    """`ndigits` significant figures, never in powers of ten, thousands set apart."""
    whole = math.floor(math.log10(abs(value))) + 1 if value else 1
    # 9.996 rounds up to 10.0, which has one more digit before the point.
    rounded = round(value, ndigits - whole)
    whole = math.floor(math.log10(abs(rounded))) + 1 if rounded else whole
    return f"{rounded:,.{max(ndigits - whole, 0)}f}"
