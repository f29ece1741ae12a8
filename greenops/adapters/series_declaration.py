"""The small YAML file in which somebody says what their own files of intensity or prices are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import yaml

from greenops.errors import AdapterUnsupported, InvalidFile, Location, nearest

LARGEST: Final = 1 << 20
"""Longest declaration that is read [bytes]."""
STEPS: Final = {"5m": 5, "10m": 10, "15m": 15, "20m": 20, "30m": 30, "1h": 60, "60m": 60}
"""Steps as they are written → minutes."""
NEEDED: Final = ("file", "source", "replay")
OPTIONAL: Final = ("zone", "time_zone", "columns", "naive_times", "step", "gaps")
WORDS: Final = {"replay": ("true", "false"), "naive_times": ("utc",), "gaps": ("absent", "refused")}
"""Keys that take one of a few words."""


@dataclass(frozen=True, slots=True)
class Further:
    """A key that one kind of declaration has beside those of all.

    Attributes:
        words: What it may say; empty takes any text.
        default: What holds where it is not there; none where it must be.
    """

    words: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """One file and what it is.

    Attributes:
        path: The file.
        at: Where it is declared.
        source: Who says what it holds.
        replay: Whether it is history that is played back.
        zone: The zone of every row, where the file has no column for it.
        time_zone: Of its zones and their market; none where it is not said.
        columns: Our names of columns → the file's.
        naive_utc: Whether times without an offset are UTC; else they are refused.
        step: Time between two rows; none where the rows tell.
        gaps_absent: Whether rows may be missing.
        further: The further keys of this kind of declaration.
    """

    path: Path
    at: Location
    source: str
    replay: bool
    zone: str | None
    time_zone: str | None
    columns: Mapping[str, str]
    naive_utc: bool
    step: timedelta | None
    gaps_absent: bool
    further: Mapping[str, str]

    def theirs(self, column: str) -> str:
        """What the file calls one of our columns."""
        return self.columns.get(column, column)


def declaration_in(environ: Mapping[str, str], variable: str, what: str) -> Path:
    """The file that an environment variable names.

    Args:
        environ: The environment.
        variable: Its name.
        what: What the file declares, for a person.

    Raises:
        AdapterUnsupported: It is not set.
    """
    path = environ.get(variable, "").strip()
    if not path:
        fix = f"set `{variable}` to the YAML file that declares them"
        raise AdapterUnsupported("GO0325", f"no {what} files are declared", fix=fix)
    return Path(path)


def read_declaration(
    path: Path, further: Mapping[str, Further], columns: tuple[str, ...]
) -> tuple[Declared, ...]:
    """Every file that a declaration names.

    Args:
        path: The declaration; files in it are relative to its folder.
        further: Keys of this kind of declaration.
        columns: Columns that a file of this kind may have, by our names.

    Raises:
        InvalidFile: It cannot be read, or says something that cannot be; names line and column.
    """
    reading = _Reading(str(path))
    top = reading.mapping(_compose(path), "a declaration")
    for key in top:
        if key.value != "series":
            raise reading.wrong(key, f"unknown key `{key.value}`", "the one key here is `series`")
    rows = next(iter(top.values()), None)
    if not isinstance(rows, yaml.SequenceNode) or not rows.value:
        raise reading.wrong(
            rows, "no file is declared", "write `series:` and a list of files below"
        )
    return tuple(_declared(reading, row, path.parent, further, columns) for row in rows.value)


class _Reading:
    """Takes YAML nodes apart and knows where each stands."""

    def __init__(self, file: str) -> None:
        self._file = file

    def at(self, node: yaml.Node | None) -> Location:
        mark = node.start_mark if node is not None else None
        return (
            Location(self._file, mark.line + 1, mark.column + 1) if mark else Location(self._file)
        )

    def wrong(self, node: yaml.Node | None, what: str, fix: str | None = None) -> InvalidFile:
        return InvalidFile("GO0331", what, at=self.at(node), fix=fix)

    def mapping(self, node: yaml.Node | None, what: str) -> dict[yaml.ScalarNode, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(node, f"{what} is `key: value` pairs")
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                raise self.wrong(key, "a key that is no word, or stands here twice")
            seen.add(key.value)
        return dict(node.value)

    def word(self, key: str, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self.wrong(node, f"`{key}` must be a text")
        return str(node.value)


def _compose(path: Path) -> yaml.Node | None:
    at = Location(str(path))
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidFile("GO0331", "longer than a declaration may be", at=at)
        return yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = Location(str(path), mark.line + 1, mark.column + 1) if mark else at
        raise InvalidFile("GO0331", f"not YAML: {error.problem}", at=at) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFile("GO0331", f"not YAML: {type(error).__name__}", at=at) from error
    except OSError as error:
        raise InvalidFile(
            "GO0331", f"the declaration cannot be read: {error.strerror or error}", at=at
        ) from error


def _declared(
    reading: _Reading,
    row: yaml.Node,
    folder: Path,
    further: Mapping[str, Further],
    columns: tuple[str, ...],
) -> Declared:
    nodes = reading.mapping(row, "a file's entry")
    known = (*NEEDED, *OPTIONAL, *further)
    for node in nodes:
        if node.value not in known:
            near = nearest(node.value, known)
            hint = f"did you mean `{near}`?" if near else f"known: {', '.join(known)}"
            raise reading.wrong(node, f"unknown key `{node.value}`", hint)
    by_key = {key.value: node for key, node in nodes.items()}
    said = {key: reading.word(key, node) for key, node in by_key.items() if key != "columns"}
    for key in (*NEEDED, *(key for key, each in further.items() if each.default is None)):
        if key not in said:
            words = WORDS.get(key) or further.get(key, Further()).words
            raise reading.wrong(row, f"`{key}` is missing", _choices(key, words))
    for key, words in (*WORDS.items(), *((key, each.words) for key, each in further.items())):
        if words and key in said and said[key] not in words:
            raise reading.wrong(by_key[key], f"`{key}: {said[key]}`", _choices(key, words))
    return Declared(
        path=folder / said["file"],
        at=reading.at(row),
        source=said["source"],
        replay=said["replay"] == "true",
        zone=said.get("zone"),
        time_zone=_time_zone(reading, by_key.get("time_zone")),
        columns=_columns(reading, by_key.get("columns"), columns),
        naive_utc="naive_times" in said,
        step=_step(reading, by_key.get("step")),
        gaps_absent=said.get("gaps") == "absent",
        further={key: said.get(key, each.default or "") for key, each in further.items()},
    )


def _choices(key: str, words: tuple[str, ...]) -> str:
    return f"write `{key}: {' | '.join(words) or '…'}`"


def _columns(
    reading: _Reading, node: yaml.Node | None, known: tuple[str, ...]
) -> Mapping[str, str]:
    if node is None:
        return {}
    found = {}
    for key, value in reading.mapping(node, "`columns`").items():
        if key.value not in known:
            raise reading.wrong(
                key, f"unknown column `{key.value}`", f"ours are {', '.join(known)}"
            )
        found[key.value] = reading.word(key.value, value)
    return found


def _time_zone(reading: _Reading, node: yaml.Node | None) -> str | None:
    if node is None:
        return None
    name = reading.word("time_zone", node)
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError) as error:
        fix = "write it as `Europe/Berlin`"
        raise reading.wrong(node, f"no time zone is named `{name}`", fix) from error


def _step(reading: _Reading, node: yaml.Node | None) -> timedelta | None:
    if node is None:
        return None
    name = reading.word("step", node)
    if name not in STEPS:
        raise reading.wrong(node, f"`step: {name}`", _choices("step", tuple(STEPS)))
    return timedelta(minutes=STEPS[name])
