"""The table of language models that comes with GreenOps, and a file of one's own that adds to it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from greenops.domain.energy import Boundary
from greenops.domain.language_model import (
    LanguageModelTable,
    Measured,
)
from greenops.domain.record import canonical, plain, restore
from greenops.errors import InvalidFile, Location

SHIPPED: Final = "language_models.json"
OWN_KEYS: Final = ("models", "hosted", "measured")
"""What a file of one's own may hold; figures and tiers are the shipped ones."""


def shipped() -> LanguageModelTable:
    """The table in the package."""
    text = (files("greenops") / "data" / SHIPPED).read_text("utf-8")
    return restore(LanguageModelTable, json.loads(text))


def version(table: LanguageModelTable) -> str:
    """SHA-256 of the canonical content."""
    return hashlib.sha256(canonical(table)).hexdigest()


def with_own(table: LanguageModelTable, path: Path) -> LanguageModelTable:
    """A table with the rows of a file added; they stand above the shipped ones.

    Raises:
        InvalidFile: The file cannot be read, or a row is not what it should be.
    """
    at = Location(str(path))
    try:
        own = json.loads(path.read_text("utf-8"))
        unknown = [key for key in own if key not in OWN_KEYS]
        if unknown:
            raise ValueError(f"unknown key `{unknown[0]}`; known keys: {', '.join(OWN_KEYS)}")  # noqa: TRY301
        found = restore(LanguageModelTable, {"figures": {}, **_EMPTY, **own})
        whole = _above(found, table)
        _check(whole)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InvalidFile("GO0731", f"not a table of language models: {error}", at=at) from error
    return whole


def add_measured(table: LanguageModelTable, path: Path, rows: Sequence[Measured]) -> None:
    """Put measurements into a file of one's own; older ones of the same model and server make room.

    The file is made where there is none, and replaced as a whole: who reads it meanwhile sees the old or the new one.

    Raises:
        InvalidFile: The file is not one of language models, or cannot be written.
    """
    at = Location(str(path))
    try:
        own = json.loads(path.read_text("utf-8")) if path.exists() else {}
        new = {(row.model, row.server) for row in rows}
        kept = [
            each
            for each in own.get("measured", [])
            if (each["model"], each.get("server")) not in new
        ]
        own["measured"] = [*kept, *plain(list(rows))]
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(own, indent=1, ensure_ascii=False) + "\n", "utf-8")
        try:
            with_own(table, draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidFile("GO0731", f"cannot take measurements: {error}", at=at) from error


_EMPTY: Final[dict[str, list[object]]] = {
    "precisions": [],
    "tiers": [],
    "models": [],
    "hosted": [],
    "measured": [],
}


def _above(own: LanguageModelTable, table: LanguageModelTable) -> LanguageModelTable:
    taken = {name for each in own.models for name in (each.name, *each.aliases)}
    taken |= {each.name for each in own.hosted}
    models = (
        replace(each, aliases=tuple(name for name in each.aliases if name not in taken))
        for each in table.models
        if each.name not in taken
    )
    hosted = (each for each in table.hosted if each.name not in taken)
    return replace(
        table,
        models=(*models, *own.models),
        hosted=(*hosted, *own.hosted),
        measured=(*table.measured, *own.measured),
    )


def _check(table: LanguageModelTable) -> None:
    precisions = {each.name for each in table.precisions}
    tiers = {each.name for each in table.tiers}
    for model in table.models:
        if not 0 < model.active_b <= model.total_b < float("inf"):
            raise ValueError(f"`{model.name}` has sizes that cannot be")
        if model.precision not in precisions:
            raise ValueError(f"`{model.name}` has the unknown precision `{model.precision}`")
    for hosted in table.hosted:
        if hosted.tier not in tiers:
            raise ValueError(f"`{hosted.name}` has the unknown tier `{hosted.tier}`")
    for row in table.measured:
        _check_measured(row)


def _check_measured(row: Measured) -> None:
    energies = (row.output_j, row.input_j or 0.0)
    if not all(0 <= each < float("inf") for each in energies) or not 1 <= row.factor < float("inf"):
        raise ValueError(f"the measurement of `{row.model}` has numbers that cannot be")
    if row.boundary is Boundary.NETWORK:
        raise ValueError(
            f"the measurement of `{row.model}` is of a network, where no tokens are made"
        )
