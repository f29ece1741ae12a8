"""Counts in words, one of which is no plural."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """`1 error`, `2 errors`, `0 policies`."""
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count} {what if count == 1 else many}"
