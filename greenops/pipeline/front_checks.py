"""What a file of routes must keep beyond its shape: known words, names that are there, numbers that can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Final

from greenops.domain.route import Front
from greenops.errors import InvalidFile, Location, nearest

OURS: Final = frozenset({"origin"})
"""Fields that no file gives."""
WITH_ORIGINS: Final = ("max_rtt_ms", "max_p95_ms", "kilobytes_per_request")
OF_BACKENDS: Final = ("capacity_rps", "joules_per_request")
"""What counts only where a route says where its requests come from."""


def check_words(document: object, kinds: Mapping[str, type], path: Path) -> None:
    """Refuse a key that means nothing, before anything else is asked of the file.

    Args:
        document: What the file says.
        kinds: Name of a list → record of each of its entries, at any depth.
        path: The file.

    Raises:
        InvalidFile: One; names the nearest known.
    """
    for where, kind, entry in _entries(document, kinds, ""):
        known = [each.name for each in dataclasses.fields(kind) if each.name not in OURS]
        for key in entry:
            if key not in known:
                near = nearest(str(key), known)
                raise _wrong(
                    path,
                    f"`{where}` has no field `{key}`",
                    f"did you mean `{near}`?" if near else f"known are {', '.join(known)}",
                )


def _entries(
    value: object, kinds: Mapping[str, type], where: str
) -> Iterator[tuple[str, type, Mapping[object, object]]]:
    if not isinstance(value, Mapping):
        return
    for name, kind in kinds.items():
        listed = value.get(name)
        for number, each in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(each, Mapping):
                place = f"{where}{name}[{number}]"
                yield place, kind, each
                yield from _entries(each, kinds, f"{place}.")


def check_routes(routes: Iterable[Front], path: Path) -> None:
    """Refuse routes whose names or numbers cannot be.

    Raises:
        InvalidFile: One; says which and why.
    """
    listed = list(routes)
    _once([each.name for each in listed], "route", path)
    for each in listed:
        _check(each, path)


def _check(route: Front, path: Path) -> None:
    of = f"route `{route.name}`: "
    backends = [each.name for each in route.backends]
    if not backends:
        raise _wrong(path, f"{of}no backend", "give at least one under `backends`")
    _once(backends, f"backend of route `{route.name}`", path)
    _once([each.name for each in route.origins], f"origin of route `{route.name}`", path)
    for what, number in _numbers(route):
        if number is not None and not 0 <= number < inf:
            raise _wrong(path, f"{of}`{what}` is {number}", "a number, zero or more")
    if route.origins:
        _check_origins(route, path)
        return
    lost = [each for each in WITH_ORIGINS if getattr(route, each)]
    lost += [e for e in OF_BACKENDS if any(getattr(b, e) is not None for b in route.backends)]
    if lost:
        fix = "say under `origins` where requests come from, or leave it out"
        raise _wrong(path, f"{of}`{lost[0]}` counts only with `origins`", fix)


def _check_origins(route: Front, path: Path) -> None:
    of, backends = f"route `{route.name}`: ", [each.name for each in route.backends]
    for origin in route.origins:
        asked = {"home": (origin.home,), "rtt_ms": origin.rtt_ms}
        asked |= {"allowed_backends": origin.allowed_backends or ()}
        for word, names in asked.items():
            for name in names:
                _backend(name, backends, f"{of}`{word}` of origin `{origin.name}`", path)
    if not any(each.requests_per_s for each in route.origins):
        raise _wrong(path, f"{of}no origin sends requests", "give `requests_per_s` of each")


def _numbers(route: Front) -> Iterator[tuple[str, float | None]]:
    for word in WITH_ORIGINS:
        yield word, getattr(route, word)
    for backend in route.backends:
        for word in ("p95_ms", *OF_BACKENDS):
            yield f"{word} of {backend.name}", getattr(backend, word)
    for origin in route.origins:
        yield f"requests_per_s of {origin.name}", origin.requests_per_s
        for name, trip in origin.rtt_ms.items():
            yield f"rtt_ms of {origin.name} to {name}", trip


def _once(names: Collection[str], what: str, path: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or "@" in name:
            raise _wrong(path, f"`{name}` is no name of a {what}", "letters, without `@`")
        if name in seen:
            raise _wrong(path, f"two of one name, `{name}`: {what}", "name each once")
        seen.add(name)


def _backend(name: str, known: Collection[str], where: str, path: Path) -> None:
    if name not in known:
        near = nearest(name, known)
        fix = f"did you mean `{near}`?" if near else f"backends are {', '.join(known)}"
        raise _wrong(path, f"{where}: no backend `{name}`", fix)


def _wrong(path: Path, said: str, fix: str) -> InvalidFile:
    return InvalidFile("GO0651", said, at=Location(str(path)), fix=fix)
