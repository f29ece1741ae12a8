"""What is done to a lake beside packing: files go to object storage, and days that are too old go for good."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from greenops.adapters.lake_deletion import Deleted, Deletion, delete_days
from greenops.adapters.lake_shipping import Sent, Shipper
from greenops.adapters.lake_store import keep_store, store_of
from greenops.adapters.lake_subjects import ATTRIBUTE, FIELDS
from greenops.adapters.parquet_lake import TABLES
from greenops.config import Settings
from greenops.errors import Unreachable, UsageError, nearest
from greenops.ports import Clock

FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 300.0
"""How long object storage that does not answer is left alone, at first and at most [s]."""

log = logging.getLogger("greenops.lake")


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a lake keeps what.

    Attributes:
        here: Days that lie here as well after they were sent [simulated days].
        retention: Days that rows are kept at all, by table [simulated days]; none: for ever.
    """

    here: int = 7
    retention: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Upkeep:
    """Does what is due to a lake; object storage that does not answer is asked again later and later.

    Attributes:
        lake: Its folder.
        clock: Says which days are over.
        kept: How long what is kept.
        stopped: True ends it between two files.
    """

    lake: Path
    clock: Clock
    kept: Kept = field(default_factory=Kept)
    stopped: Callable[[], bool] = lambda: False
    _failures: int = 0

    def once(self, over: date) -> Sent:
        """Send, remove copies here, remove what is too old.

        Args:
            over: Days before it are over.
        """
        today = self.clock.now().date()
        try:
            self._retain(today)
            sent = self._send(over, today)
        except Unreachable as error:
            self._failures += 1
            if self._failures == 1:
                log.warning("%s", error)
            return Sent()
        if self._failures:
            log.warning("object storage answers again; what waited is there now")
        self._failures = 0
        return sent

    def wait_s(self, every_s: float) -> float:
        """How long to wait until the next time [s]."""
        if not self._failures:
            return every_s
        return min(every_s, LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 16))

    def _retain(self, today: date) -> None:
        for table, days in self.kept.retention.items():
            gone = delete_days(self.lake, table, today - timedelta(days=days))
            if gone:
                log.warning("removed %d days of %s that are older than %d days", gone, table, days)

    def _send(self, over: date, today: date) -> Sent:
        store = store_of(self.lake)
        if store is None:
            return Sent()
        shipper = Shipper(self.lake, store, TABLES, self.clock.wall, self.stopped)
        sent = shipper.ship(over)
        gone = shipper.drop(min(over, today - timedelta(days=self.kept.here)))
        return Sent(sent.files, sent.bytes, gone.gone)


def upkeep_of(settings: Settings, clock: Clock) -> Upkeep:
    """Upkeep as the settings say; the lake knows from here on where its files go.

    Raises:
        UsageError: A setting is wrong.
    """
    lake = settings.state / "lake"
    if settings.lake_keep_local_days < 0:
        raise UsageError("GO0804", "`lake_keep_local_days` must not be negative")
    kept = Kept(settings.lake_keep_local_days, retention_of(settings.lake_retention_days))
    if settings.lake_url:
        keep_store(lake, settings.lake_url)
    return Upkeep(lake, clock, kept)


def retention_of(text: str) -> dict[str, int]:
    """Days by table, from `30` or `spans=30,accounts=90`.

    Raises:
        UsageError: It says something else.
    """
    found: dict[str, int] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, sign, days = each.rpartition("=")
        if not days.strip().isdigit() or int(days) < 1:
            raise UsageError(
                "GO0804",
                f"`lake_retention_days` must be a number of days from 1, not `{each}`",
                fix="write `30`, or `spans=30,accounts=90`",
            )
        if sign and name.strip() not in TABLES:
            hint = nearest(name.strip(), TABLES) or "spans"
            raise UsageError(
                "GO0804",
                f"`lake_retention_days` names table `{name.strip()}`, which the lake has not",
                fix=f"did you mean `{hint}`? there are {', '.join(TABLES)}",
            )
        found |= dict.fromkeys([name.strip()] if sign else TABLES, int(days))
    return found


def delete_subject(lake: Path, clock: Clock, name: str, value: str) -> Deleted:
    """Delete the rows of a subject, now and as they come late.

    Args:
        lake: Its folder.
        clock: Rows that end after now stay.
        name: Column, or `attributes.KEY`.
        value: Its value, as people write it.

    Raises:
        UsageError: There is no such column.
        GreenOpsError: Not all rows could be deleted; late rows stay out all the same.
    """
    if not name.startswith(ATTRIBUTE) and name not in FIELDS:
        hint = nearest(name, FIELDS)
        raise UsageError(
            "GO0424",
            f"rows cannot be deleted by `{name}`",
            fix=(f"did you mean `{hint}`? " if hint else "")
            + f"columns: {', '.join(FIELDS)}; or an attribute, with `--attribute KEY=VALUE`",
        )
    if not lake.is_dir():
        raise UsageError("GO0424", f"there is no lake in `{lake.parent}`")
    return Deletion(lake, TABLES).delete(name, value, clock.wall(), clock.now())
