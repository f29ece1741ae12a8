"""Documents of ENTSO-E's transparency platform: asked with a token, read from XML without its dangers, zones by code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.parsers import expat

from greenops.adapters.grid_http import WebSource, required
from greenops.adapters.grid_points import instant, number
from greenops.domain.grid import GridZone
from greenops.errors import AdapterUnavailable, DataMissing, nearest

TOKEN: Final = "GREENOPS_ENTSOE_TOKEN"  # noqa: S105 - the variable's name
URL: Final = "GREENOPS_ENTSOE_URL"
"""Environment variable: address of the service, where it is not the usual one."""
USUAL_URL: Final = "https://web-api.tp.entsoe.eu"
PATH: Final = "/api"
NO_DATA: Final = "999"
"""Reason of an acknowledgement that stands for no data."""
DEEPEST: Final = 16
"""Deepest nesting that is read; documents have six levels."""
MOST_POINTS: Final = 200_000
"""Most values of one document; a week of quarter hours of 21 kinds of plant is 14,112."""
STEPS: Final = {"PT15M": 15, "PT30M": 30, "PT60M": 60, "PT1H": 60}
"""Resolutions → minutes."""
REPEATS: Final = "A03"
"""Curve type in which a position that is left out repeats the one before."""
EIC: Final = re.compile(r"[0-9]{2}[A-Z][0-9A-Z-]{12}[0-9A-Z]")
EIC_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"


@dataclass(frozen=True, slots=True)
class EntsoeZone:
    """A zone: the area of its generation, and that of its prices where it is another one; empty where it has none."""

    zone: GridZone
    eic: str
    bidding: str | None = None


def _zone(id_: str, name: str, city: str, eic: str, bidding: str | None = None) -> EntsoeZone:
    return EntsoeZone(GridZone(id_, name, f"Europe/{city}"), eic, bidding)


ZONES: Final = (
    _zone("AT", "Austria", "Vienna", "10YAT-APG------L"),
    _zone("BE", "Belgium", "Brussels", "10YBE----------2"),
    _zone("BG", "Bulgaria", "Sofia", "10YCA-BULGARIA-R"),
    _zone("CH", "Switzerland", "Zurich", "10YCH-SWISSGRIDZ"),
    _zone("CZ", "Czechia", "Prague", "10YCZ-CEPS-----N"),
    _zone("DE", "Germany", "Berlin", "10Y1001A1001A83F", "10Y1001A1001A82H"),
    _zone("DE-LU", "Germany and Luxembourg", "Berlin", "10Y1001A1001A82H"),
    _zone("DK-DK1", "West Denmark", "Copenhagen", "10YDK-1--------W"),
    _zone("DK-DK2", "East Denmark", "Copenhagen", "10YDK-2--------M"),
    _zone("EE", "Estonia", "Tallinn", "10Y1001A1001A39I"),
    _zone("ES", "Spain", "Madrid", "10YES-REE------0"),
    _zone("FI", "Finland", "Helsinki", "10YFI-1--------U"),
    _zone("FR", "France", "Paris", "10YFR-RTE------C"),
    _zone("GR", "Greece", "Athens", "10YGR-HTSO-----Y"),
    _zone("HR", "Croatia", "Zagreb", "10YHR-HEP------M"),
    _zone("HU", "Hungary", "Budapest", "10YHU-MAVIR----U"),
    _zone("IE", "Ireland", "Dublin", "10Y1001A1001A59C"),
    _zone("IT-NO", "North Italy", "Rome", "10Y1001A1001A73I"),
    _zone("LT", "Lithuania", "Vilnius", "10YLT-1001A0008Q"),
    _zone("LV", "Latvia", "Riga", "10YLV-1001A00074"),
    _zone("NL", "Netherlands", "Amsterdam", "10YNL----------L"),
    _zone("NO-NO1", "East Norway", "Oslo", "10YNO-1--------2"),
    _zone("NO-NO2", "South Norway", "Oslo", "10YNO-2--------T"),
    _zone("NO-NO3", "Middle Norway", "Oslo", "10YNO-3--------J"),
    _zone("NO-NO4", "North Norway", "Oslo", "10YNO-4--------9"),
    _zone("NO-NO5", "West Norway", "Oslo", "10Y1001A1001A48H"),
    _zone("PL", "Poland", "Warsaw", "10YPL-AREA-----S"),
    _zone("PT", "Portugal", "Lisbon", "10YPT-REN------W"),
    _zone("RO", "Romania", "Bucharest", "10YRO-TEL------P"),
    _zone("RS", "Serbia", "Belgrade", "10YCS-SERBIATSOV"),
    _zone("SE", "Sweden", "Stockholm", "10YSE-1--------K", ""),
    _zone("SE-SE1", "North Sweden", "Stockholm", "10Y1001A1001A44P"),
    _zone("SE-SE2", "Middle Sweden", "Stockholm", "10Y1001A1001A45N"),
    _zone("SE-SE3", "Central Sweden", "Stockholm", "10Y1001A1001A46L"),
    _zone("SE-SE4", "South Sweden", "Stockholm", "10Y1001A1001A47J"),
    _zone("SI", "Slovenia", "Ljubljana", "10YSI-ELES-----O"),
    _zone("SK", "Slovakia", "Bratislava", "10YSK-SEPS-----K"),
)
"""Zones that have a name here; any other is asked by its energy identification code. SE has no price of its own."""
BY_ID: Final = {each.zone.id: each for each in ZONES}


@dataclass(slots=True)
class Period:
    """Values on a regular grid, by position from 1."""

    words: dict[str, str] = field(default_factory=dict)
    points: dict[int, float] = field(default_factory=dict)

    def values(self, curve: str) -> Iterator[tuple[datetime, timedelta, float]]:
        """Start and length of each step, and its value.

        Raises:
            ValueError: It is not what the schema says.
        """
        start, end = instant(self.words["start"]), instant(self.words["end"])
        step = timedelta(minutes=STEPS[self.words["resolution"]])
        count = (end - start) // step
        if not all(1 <= position <= count for position in self.points) or count > MOST_POINTS:
            raise ValueError("a position outside its period")
        last: float | None = None
        for position in range(1, count + 1):
            value = self.points.get(position, last if curve == REPEATS else None)
            if value is not None:
                yield start + (position - 1) * step, step, value
            last = value


@dataclass(slots=True)
class TimeSeries:
    """One series of a document: its words by tag, and its periods."""

    words: dict[str, str] = field(default_factory=dict)
    periods: list[Period] = field(default_factory=list)

    def values(self) -> Iterator[tuple[datetime, timedelta, float]]:
        """As of its periods."""
        for period in self.periods:
            yield from period.values(self.words.get("curveType", ""))


@dataclass(slots=True)
class Document:
    """What was answered: the name of its root, its words by tag, and its series."""

    root: str = ""
    words: dict[str, str] = field(default_factory=dict)
    series: list[TimeSeries] = field(default_factory=list)


class Entsoe:
    """The service, for those that ask it for a kind of document."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._token = required(
            environ, TOKEN, "the token of an account at the transparency platform"
        )
        self.source = WebSource(
            "entsoe",
            environ.get(URL, USUAL_URL).rstrip("/"),
            key=f"`{TOKEN}`",
            url_setting=f"`{URL}`",
            secrets=(self._token,),
        )

    def ask(self, zone: str, params: Mapping[str, str], start: datetime, end: datetime) -> Document:
        """A document about `[start, end)`; one without series where there is no data.

        Raises:
            DataMissing: The service does not take the question.
            AdapterUnavailable: It does not answer, or not to this token, or with what is no such document.
        """
        asked = {
            "securityToken": self._token,
            **params,
            "periodStart": f"{start.astimezone(UTC):%Y%m%d%H%M}",
            "periodEnd": f"{end.astimezone(UTC):%Y%m%d%H%M}",
        }
        text = self.source.get_text(PATH, asked, zone=zone)
        with self.source.reading(PATH):
            document = read_document(text)
            if not document.root.endswith("_MarketDocument"):
                raise ValueError(f"`{document.root}` instead of a market document")
        if document.root.startswith("Acknowledgement"):
            if document.words.get("code") == NO_DATA:
                return Document(document.root)
            said = self.source.hide(document.words.get("text", "without a reason"))
            raise AdapterUnavailable("GO0322", f"`entsoe` refuses the question: {said}")
        return document


def find_zone(zone: str) -> EntsoeZone:
    """A zone by our name, or any one by its energy identification code.

    Raises:
        DataMissing: It is neither.
    """
    if zone in BY_ID:
        return BY_ID[zone]
    if is_eic(zone):
        return EntsoeZone(GridZone(zone, zone), zone)
    near = nearest(zone, BY_ID)
    hint = f"did you mean `{near}`?" if near else f"known: {', '.join(BY_ID)}, or any EIC code"
    raise DataMissing("GO0302", f"`entsoe` does not have grid zone `{zone}`", fix=hint)


def is_eic(code: str) -> bool:
    """Whether this is an energy identification code: its last sign checks the others.

    Source: ENTSO-E, The Energy Identification Coding Scheme reference manual, release 5.
    """
    if not EIC.fullmatch(code):
        return False
    total = sum(EIC_SIGNS.index(sign) * (16 - place) for place, sign in enumerate(code[:15]))
    return EIC_SIGNS[36 - (total - 1) % 37] == code[15]


def read_document(text: str) -> Document:
    """A document out of its XML.

    Raises:
        ValueError: It is not XML, declares a document type or entities, or is nested or long beyond any such document.
    """
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    # Without a document type there are no entities, and so nothing that expands or is fetched.
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise ValueError(f"not XML: {error}") from error
    return reader.document


class _Reader:
    """Builds a document as its tags go by."""

    def __init__(self) -> None:
        self.document = Document()
        self._path: list[str] = []
        self._text = ""
        self._point: dict[str, str] = {}
        self._points = 0

    def doctype(self, *_: object) -> None:
        raise ValueError("declares a document type, which no answer needs")

    def start(self, name: str, _: object) -> None:
        tag = name.rpartition(":")[2]
        if not self._path:
            self.document.root = tag
        self._path.append(tag)
        if len(self._path) > DEEPEST:
            raise ValueError("nested deeper than any market document")
        match self._path[1:]:
            case ["TimeSeries"]:
                self.document.series.append(TimeSeries())
            case ["TimeSeries", "Period"]:
                self.document.series[-1].periods.append(Period())
            case ["TimeSeries", "Period", "Point"]:
                self._point = {}
            case _:
                pass
        self._text = ""

    def text(self, text: str) -> None:
        self._text += text

    def end(self, _: object) -> None:
        word = self._text.strip()
        self._text = ""
        match self._path[1:]:
            case ["TimeSeries", "Period", "Point", tag]:
                self._point[tag] = word
            case ["TimeSeries", "Period", "Point"]:
                self._add_point(self.document.series[-1].periods[-1])
            case ["TimeSeries", "Period", *_, tag] if word:
                self.document.series[-1].periods[-1].words[tag] = word
            case ["TimeSeries", *_, tag] if word:
                self.document.series[-1].words[tag] = word
            case [*_, tag] if word:
                self.document.words[tag] = word
            case _:
                pass
        self._path.pop()

    def _add_point(self, period: Period) -> None:
        self._points += 1
        if self._points > MOST_POINTS:
            raise ValueError("more values than a document may have")
        said = self._point.get("quantity", self._point.get("price.amount"))
        if said is None:
            return
        value, position = number(float(said)), int(self._point["position"])
        if value is None or period.points.setdefault(position, value) != value:
            raise ValueError(f"position {position} has no value, or two")
