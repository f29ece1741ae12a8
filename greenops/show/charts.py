"""Charts as Vega-Lite, made from records without Streamlit; each with its words for who cannot see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from greenops.domain.console import DecisionRecord, FrontierPoint, WhatIfAnswer
from greenops.domain.decision import Candidate, Decision
from greenops.show import format as show
from greenops.show.tables import place

Spec = dict[str, Any]

MOST_BARS: Final = 16
"""Places in one chart: the cleanest, beside what was chosen and the baseline; more cannot be read."""
HEIGHT: Final = 260

CHOSEN: Final = "chosen"
BASELINE: Final = "baseline"
ALLOWED: Final = "allowed"
REFUSED: Final = "refused"
COLOURS: Final = {CHOSEN: "#1a7f37", BASELINE: "#0969da", ALLOWED: "#8c959f", REFUSED: "#cf222e"}
SHAPES: Final = {CHOSEN: "triangle-up", BASELINE: "square", ALLOWED: "circle", REFUSED: "cross"}
"""A second sign beside the colour, for who cannot tell red from green."""

SIZES: Final = {CHOSEN: 260, BASELINE: 160, ALLOWED: 60, REFUSED: 60}
"""Area of a point [square pixels]: what was chosen stands out."""


def frontier_spec(answer: WhatIfAnswer) -> Spec:
    """Carbon of the best choice against the longest delay [h]."""
    asked = [{"h": answer.question.max_delay_h, "label": "asked"}]
    size, unit = show.grams_scale(each.carbon_g for each in answer.frontier)
    points = [
        {"h": each.max_delay_h, "g": each.carbon_g / size, "cost": show.usd(each.cost_usd)}
        for each in answer.frontier
    ]
    x = {"field": "h", "type": "quantitative", "title": "longest delay of the end [h]"}
    y = {"field": "g", "type": "quantitative", "title": f"CO2e of the run [{unit}]"}
    tooltip = [x, y, {"field": "cost", "title": "cost"}]
    grey = {"color": "#808495"}
    return {
        "height": HEIGHT,
        "layer": [
            {
                "data": {"values": points},
                "mark": {"type": "line", "point": {"size": 70}, "interpolate": "step-after"},
                "encoding": {"x": x, "y": {**y, "scale": {"zero": True}}, "tooltip": tooltip},
            },
            {
                "data": {"values": asked},
                "mark": {"type": "rule", "strokeDash": [6, 4], **grey},
                "encoding": {"x": x},
            },
            {
                "data": {"values": asked},
                "mark": {"type": "text", "align": "right", "dx": -5, **grey},
                "encoding": {"x": x, "y": {"value": 10}, "text": {"field": "label"}},
            },
        ],
    }


def frontier_alt(points: Sequence[FrontierPoint]) -> str:
    """The chart in words."""
    said = ", ".join(f"{each.max_delay_h:g} h: {show.grams(each.carbon_g)}" for each in points)
    return f"Line chart of CO2e of the best choice by longest delay: {said}"


def candidates_spec(record: DecisionRecord) -> Spec | None:
    """Every way there was: by start where they differ in time, else by place.

    Returns:
        None where fewer than two candidates have a carbon figure.
    """
    known = [each for each in record.candidates if each.carbon_g is not None]
    if len(known) < 2:  # noqa: PLR2004  (one point compares with nothing)
        return None
    timed = len({each.start for each in known if each.id != record.decision.baseline.id}) > 1
    return _by_start(record.decision, known) if timed else _by_place(record.decision, known)


def candidates_alt(record: DecisionRecord) -> str:
    """The chart in words."""
    decision = record.decision
    return (
        f"Chart of CO2e of {len(record.candidates)} candidates: chosen "
        f"{show.grams(decision.chosen.carbon_g)}, baseline "
        f"{show.grams(decision.baseline.carbon_g)}, {len(decision.rejected)} refused"
    )


def _by_start(decision: Decision, candidates: Sequence[Candidate]) -> Spec:
    values, unit = _values(decision, [each for each in candidates if each.start is not None])
    x = {
        "field": "start",
        "type": "temporal",
        "title": "start (UTC)",
        "scale": {"type": "utc"},
        "axis": {"format": "%d %b %H:%M", "labelOverlap": True},
    }
    return {
        "height": HEIGHT,
        "data": {"values": values},
        "mark": {"type": "point", "filled": True, "opacity": 0.85},
        "encoding": {
            "x": x,
            "y": {"field": "g", "type": "quantitative", "title": f"CO2e [{unit}]"},
            "color": _scale(COLOURS),
            "shape": _scale(SHAPES),
            "size": _scale(SIZES),
            "tooltip": _tooltip(unit),
        },
    }


def _by_place(decision: Decision, candidates: Sequence[Candidate]) -> Spec:
    values, unit = _values(decision, _readable(decision, candidates))
    return {
        "height": {"step": 22},
        "data": {"values": values},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "place",
                "type": "nominal",
                "sort": "x",
                "title": None,
                "axis": {"labelOverlap": False, "labelLimit": 260},
            },
            "x": {
                "field": "g",
                "type": "quantitative",
                "title": f"CO2e [{unit}]",
                "axis": {"tickCount": 8},
            },
            "color": _scale(COLOURS),
            "tooltip": _tooltip(unit),
        },
    }


def _readable(decision: Decision, candidates: Sequence[Candidate]) -> list[Candidate]:
    named = (decision.chosen.id, decision.baseline.id)
    always = [each for each in candidates if each.id in named]
    others = [each for each in candidates if each.id not in named]
    return always + sorted(others, key=lambda each: each.carbon_g or 0.0)[:MOST_BARS]


def _values(decision: Decision, candidates: Sequence[Candidate]) -> tuple[list[Spec], str]:
    size, unit = show.grams_scale(each.carbon_g for each in candidates)
    found: list[Spec] = []
    for each in candidates:
        row = {
            "place": _place(decision, each),
            "g": None if each.carbon_g is None else each.carbon_g / size,
            "start": each.start.isoformat() if each.start else None,
            "state": _state(decision, each),
            "rules": ", ".join(decision.rejected.get(each.id, ())) or "none",
            "cost": show.usd(each.cost_usd),
        }
        found.append(row)
    # What is drawn later lies on top: the choice and the baseline are seen.
    found.sort(key=lambda row: -list(SHAPES).index(row["state"]))
    return found, unit


def _state(decision: Decision, candidate: Candidate) -> str:
    if candidate.id == decision.chosen.id:
        return CHOSEN
    if candidate.id == decision.baseline.id:
        return BASELINE
    return REFUSED if candidate.id in decision.rejected else ALLOWED


def _place(decision: Decision, candidate: Candidate) -> str:
    if candidate.id == decision.baseline.id:
        return f"{candidate.region or 'here'} (baseline)"
    return place(candidate)


def _scale(signs: Mapping[str, str | int]) -> Spec:
    scale = {"domain": list(signs), "range": list(signs.values())}
    return {"field": "state", "type": "nominal", "title": None, "scale": scale}


def _tooltip(unit: str) -> list[Spec]:
    return [
        {"field": "place", "title": "where"},
        {"field": "start", "type": "temporal", "title": "start (UTC)", "format": "%Y-%m-%d %H:%M"},
        {"field": "g", "type": "quantitative", "title": f"CO2e [{unit}]", "format": ".3~g"},
        {"field": "cost", "title": "cost"},
        {"field": "rules", "title": "refused by"},
    ]
