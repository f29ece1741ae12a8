"""Records to plain JSON values and back, so that what was decided can be decided again."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

R = TypeVar("R")


def plain(value: object) -> Any:
    """A record as JSON values: dataclass → object without absent fields, datetime → RFC 3339."""
    match value:
        case None | bool() | int() | float() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case date() | time():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return _plain_record(value)


def _plain_record(value: object) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(each) for name, each in pairs if each is not None}
    raise TypeError(f"`{type(value).__name__}` has no plain form")


def canonical(value: object) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII; the same record gives the same bytes."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def restore(kind: type[R], value: object) -> R:
    """A record of `kind` from what `plain` gave; every instant in it is aware UTC.

    Raises:
        ValueError: The value does not fit the record's fields; names the field.
    """
    try:
        return cast("R", _restore(kind, value, kind.__name__))
    except (TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no `{kind.__name__}`: {error}") from error


def parse(kind: type[R], content: bytes | str) -> R:
    """A record of `kind` from the bytes that `canonical` gave.

    Raises:
        ValueError: The content is not JSON, or not that record.
    """
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError(f"no `{kind.__name__}`: {error}") from error
    return restore(kind, value)


def _restore(kind: Any, value: Any, where: str) -> Any:
    kind = _resolve(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _restore_union(args, value, where)
    if origin is tuple:
        return tuple(_restore(args[0], each, where) for each in value)
    if origin is not None:
        return {key: _restore(args[1], each, f"{where}.{key}") for key, each in value.items()}
    if dataclasses.is_dataclass(kind):
        return _restore_record(kind, value, where)
    return _restore_scalar(kind, value, where)


def _resolve(kind: Any) -> Any:
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    return kind


def _restore_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None:
        return None
    failures = []
    for each in (arg for arg in args if arg is not type(None)):
        try:
            return _restore(each, value, where)
        except (ValueError, TypeError, AttributeError) as error:
            failures.append(str(error))
    raise ValueError(failures[0])


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _restore_record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"`{where}` must be an object")  # noqa: TRY004  (the caller reads text)
    hints = _hints(kind)
    unknown = [key for key in value if key not in hints]
    if unknown:
        raise ValueError(f"`{where}` has no field `{unknown[0]}`")
    given = {key: _restore(hints[key], each, f"{where}.{key}") for key, each in value.items()}
    needed = (field for field in dataclasses.fields(kind) if field.name not in given)
    for field in needed:
        if field.default is field.default_factory is dataclasses.MISSING:
            if type(None) not in typing.get_args(hints[field.name]):
                raise ValueError(f"`{where}` lacks `{field.name}`")
            given[field.name] = None
    return kind(**given)


def _restore_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind in (Any, object):
        return value
    if kind is timedelta:
        return timedelta(seconds=value)
    if kind is datetime:
        return _instant(value, where)
    if kind in (date, time):
        return kind.fromisoformat(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"`{where}` must be {kind.__name__}, not `{value}`")
    return value


def _instant(value: str, where: str) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError(f"`{where}` must say its offset from UTC, unlike `{value}`")
    return instant.astimezone(UTC)
