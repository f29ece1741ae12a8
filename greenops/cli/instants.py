"""Instants of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from greenops.errors import UsageError

EXAMPLE: Final = "2021-10-08T08:00:00Z"
DATE: Final = len("2021-10-08")


def instant(flag: str, text: str, *, dates: bool = False) -> datetime:
    """What a flag says.

    Args:
        flag: Its name, for the error.
        text: RFC 3339.
        dates: A date will do, and is its midnight in UTC.

    Raises:
        UsageError: It is no instant, or has no offset.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError("GO0805", f"`{flag} {text}` is no time", fix=EXAMPLE) from error
    if found.tzinfo is not None:
        return found
    if dates and len(text) <= DATE:
        return found.replace(tzinfo=UTC)
    raise UsageError("GO0805", f"`{flag} {text}` has no offset", fix=EXAMPLE)
