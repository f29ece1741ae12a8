"""Workflow commands that GitHub shows beside a line of a file."""

from __future__ import annotations

from greenops.errors import Location


def annotation(level: str, at: Location | None, title: str, text: str) -> str:
    """One command; `level` is `error`, `warning` or `notice`. Values are escaped as GitHub asks."""
    place = ""
    if at and at.file:
        place = f"file={_property(at.file)},line={max(1, at.line)},col={max(1, at.column)},"
    return f"::{level} {place}title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
