"""Subjects that were deleted from the lake: rows of theirs that come late, or again, stay out.

A subject is one value of one field: a service, an instance, an attribute such as `enduser.id`. What is kept of it
is a keyed hash, which says whether a value is the subject's and does not say the value.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.disk import one_writer, sync
from greenops.errors import DataMissing, Location, Unreachable

KEPT: Final = "subjects.json"
ATTRIBUTE: Final = "attributes."
FIELDS: Final = (
    *("service", "instance", "workload", "region", "grid_zone"),
    *("trace_id", "decision_id", "account", "host"),
)
"""Columns that a subject may be of; attributes beside them."""
OF_SUBJECTS: Final[Mapping[str, tuple[str, bool]]] = {
    "spans": ("end", True),
    "accounts": ("at", False),
    # An amount of a month that began before is of that time in part, and nobody can tell the parts apart.
    "reported": ("start", True),
    "readings": ("at", True),
}
"""Tables that hold rows of subjects, the instant that says of which time a row is, and whether that is
the time of day. Decisions are part of what the ledger proves, and stay."""
WRITTEN: Final = ("labels", "more")
"""Columns that hold names and values as JSON: what attributes are to spans they are to what others accounted for."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEVER: Final = -(2**63)
"""Before every instant [us since 1970]."""
REMEMBERED: Final = 100_000
"""Hashes that are kept at hand [1]."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One that was deleted.

    Attributes:
        name: Column, or `attributes.KEY`.
        digest: Keyed hash of the value.
        wall: Rows that ended after this instant are of a later time, and stay.
        now: The same in simulated time, of readings of energy accounts.
    """

    name: str
    digest: str
    wall: datetime
    now: datetime


@dataclass(slots=True)
class Subjects:
    """The subjects of a lake; looked for again where its file changed."""

    lake: Path
    salt: bytes = b""
    _known: tuple[Subject, ...] = ()
    _seen: tuple[int, int] | None = None
    _digests: dict[str, str] = field(default_factory=dict)

    def known(self) -> tuple[Subject, ...]:
        """All that were deleted.

        Raises:
            DataMissing: What is kept of them is damaged: no row may be written, for it might be one of theirs.
        """
        path = self.lake / KEPT
        try:
            about = path.stat()
        except FileNotFoundError:
            self._known, self._seen = (), None
            return ()
        seen = about.st_ino, about.st_mtime_ns
        if seen != self._seen:
            self.salt, self._known = _read(path)
            self._seen, self._digests = seen, {}
        return self._known

    def kept(self, name: str, table: pa.Table) -> pa.Table:
        """Those rows of a table that are of no deleted subject; all where it holds none of subjects.

        Args:
            name: What the table is called.
            table: Some of its rows.
        """
        if name not in OF_SUBJECTS:
            return table
        by_name: defaultdict[str, dict[str, Subject]] = defaultdict(dict)
        for subject in self.known():
            by_name[subject.name][subject.digest] = subject
        for field_, subjects in by_name.items():
            mine = self._theirs(name, table, field_, subjects)
            if mine is not None and mine.any():
                table = table.filter(pa.array(~mine))
        return table

    def of(self, name: str, table: pa.Table, subject: Subject) -> Any:
        """Whether each row of a table of a name is the subject's; none where the table cannot say."""
        return self._theirs(name, table, subject.name, {subject.digest: subject})

    def _theirs(
        self, called: str, table: pa.Table, name: str, subjects: Mapping[str, Subject]
    ) -> Any:
        """Whether each row is one of some subjects', by digest; values are looked at once each."""
        column = _values(table, name)
        if column is None:
            return None
        words = column.cast(pa.string()).dictionary_encode().unify_dictionaries().combine_chunks()
        if isinstance(words, pa.ChunkedArray):
            return np.zeros(0, np.bool_)
        found = [subjects.get(self.digest(name, each)) for each in words.dictionary.to_pylist()]
        if not any(found):
            return np.zeros(len(table), np.bool_)
        # Rows of a later time are nobody's that was deleted.
        ended, wall = OF_SUBJECTS[called]
        until = [NEVER if e is None else _us(e.wall if wall else e.now) for e in (*found, None)]
        places = pc.fill_null(words.indices, len(found)).to_numpy(zero_copy_only=False)
        limits = np.array(until)[places]
        times = pc.fill_null(table[ended].cast(pa.int64()), NEVER + 1).to_numpy()
        return times <= limits

    def digest(self, name: str, value: str) -> str:
        """What is kept of a value."""
        text = _plain(value) if name.startswith(ATTRIBUTE) else value
        asked = f"{name}={text}"
        if asked not in self._digests:
            if len(self._digests) > REMEMBERED:
                self._digests.clear()
            made = hashlib.blake2b(
                asked.encode("utf-8", "surrogatepass"), key=self.salt, digest_size=16
            )
            self._digests[asked] = made.hexdigest()
        return self._digests[asked]

    def add(self, name: str, value: str, wall: datetime, now: datetime) -> Subject:
        """Keep that a subject was deleted, so that it stays so.

        Raises:
            Unreachable: The disk is full or gone.
        """
        with one_writer(self.lake / "subjects.lock", Unreachable, "subjects cannot be kept"):
            self.known()
            self.salt = self.salt or secrets.token_bytes(32)
            made = Subject(name, self.digest(name, value), wall, now)
            others = [e for e in self._known if (e.name, e.digest) != (made.name, made.digest)]
            _write(self.lake / KEPT, self.salt, [*others, made])
        self.known()
        return made


def _us(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def tells(schema: pa.Schema, name: str) -> bool:
    """Whether rows of a table can be of a subject of this name."""
    if name.startswith(ATTRIBUTE):
        return not {"attributes", *WRITTEN}.isdisjoint(schema.names)
    return name in schema.names


def _values(table: pa.Table, name: str) -> Any:
    if name in table.column_names:
        return table[name]
    if name.startswith(ATTRIBUTE) and "attributes" in table.column_names:
        return pc.map_lookup(table["attributes"], name.removeprefix(ATTRIBUTE), "first")
    written = next((each for each in WRITTEN if each in table.column_names), None)
    if name.startswith(ATTRIBUTE) and written is not None:
        return _written(table[written], name.removeprefix(ATTRIBUTE))
    return None


def _written(column: pa.ChunkedArray, key: str) -> pa.ChunkedArray:
    """What JSON texts say under a key; each text is looked at once."""
    told = {text: _under(key, text) for text in pc.unique(column).to_pylist()}
    return pa.chunked_array([[told[text] for text in column.to_pylist()]], pa.string())


def _under(key: str, text: str | None) -> str | None:
    value = None if text is None else json.loads(text).get(key)
    return None if value is None else str(value)


def _plain(text: str) -> str:
    """A value of an attribute as people write it: its JSON text without the quotes of a string."""
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _read(path: Path) -> tuple[bytes, tuple[Subject, ...]]:
    try:
        told = json.loads(path.read_bytes())
        found = tuple(
            Subject(
                each["name"],
                each["digest"],
                datetime.fromisoformat(each["wall"]),
                datetime.fromisoformat(each["now"]),
            )
            for each in told["subjects"]
        )
        return bytes.fromhex(told["salt"]), found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataMissing(
            "GO0422",
            f"the list of deleted subjects is damaged: {error}",
            at=Location(str(path)),
            fix="put it back from its copy; until then no span is written, for it might be one of theirs",
        ) from error


def _write(path: Path, salt: bytes, subjects: Iterable[Subject]) -> None:
    rows: list[Mapping[str, str]] = [
        {
            "name": each.name,
            "digest": each.digest,
            "wall": each.wall.isoformat(),
            "now": each.now.isoformat(),
        }
        for each in subjects
    ]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps({"salt": salt.hex(), "subjects": rows}))
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)
