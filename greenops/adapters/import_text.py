"""Text of a file that another tool wrote: bounded, unpacked, decoded."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from pathlib import Path
from typing import Any, Final

from greenops.adapters.disk import read_bounded
from greenops.errors import DataMissing, InvalidFile, Location

LARGEST: Final = 128 << 20
"""Largest file that is read, and largest text that a packed one may hold [byte]."""
GZIP: Final = b"\x1f\x8b"


def content_of(path: Path) -> bytes:
    """What a file holds, unpacked where it is gzip.

    Raises:
        DataMissing: It cannot be read, is no file, or is too large.
        InvalidFile: It is damaged gzip.
    """
    at = Location(str(path))
    try:
        content = read_bounded(path, LARGEST)
    except OSError as error:
        raise DataMissing("GO0443", f"cannot be read: {error.strerror}", at=at) from error
    if content is None:
        raise DataMissing("GO0443", "cannot be read: it is no file", at=at)
    if content.startswith(GZIP):
        content = _unpacked(content, at)
    if len(content) > LARGEST:
        fix = "split it, or ask its tool for a coarser step"
        raise DataMissing("GO0448", f"holds more than {LARGEST >> 20} MiB", at=at, fix=fix)
    return content


def _unpacked(content: bytes, at: Location) -> bytes:
    import io

    try:
        with gzip.open(io.BytesIO(content)) as file:
            return file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidFile("GO0440", f"is damaged gzip: {error}", at=at) from error


def text_of(path: Path) -> str:
    """The text of a file; a byte order mark is left out.

    Raises:
        DataMissing, InvalidFile: As of `content_of`; or it is not UTF-8.
    """
    try:
        return content_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fix = "save it as UTF-8"
        raise InvalidFile("GO0440", "not UTF-8 text", at=Location(str(path)), fix=fix) from error


def plain_number(told: Any) -> float:
    """A number of JSON; not a number where it is none, or larger than any that counts something."""
    if not isinstance(told, int | float) or isinstance(told, bool):
        return math.nan
    try:
        return float(told)
    except OverflowError:
        return math.nan


def documents(text: str, path: Path) -> list[tuple[int, Any]]:
    """JSON values that stand one after another in a text, each with the line where it begins.

    Raises:
        InvalidFile: It is no JSON; says at which line and column.
    """
    found: list[tuple[int, Any]] = []
    decoder, place, line = json.JSONDecoder(), 0, 1
    while True:
        skipped = place
        while place < len(text) and text[place] in " \t\r\n":
            place += 1
        if place == len(text):
            return found
        line += text.count("\n", skipped, place)
        try:
            value, end = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _no_json(error, path) from error
        found.append((line, value))
        line += text.count("\n", place, end)
        place = end


def _no_json(error: Exception, path: Path) -> InvalidFile:
    if isinstance(error, json.JSONDecodeError):
        at = Location(str(path), error.lineno, error.colno)
        return InvalidFile("GO0440", f"is no JSON: {error.msg}", at=at, fix="export it again")
    return InvalidFile("GO0440", "is JSON nested too deep", at=Location(str(path)))
