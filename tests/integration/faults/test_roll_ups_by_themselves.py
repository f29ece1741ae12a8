"""`greenops serve` keeps roll-ups up to date without a command, and whatever ends it ends its refresh as well."""

from __future__ import annotations

import random
import signal
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from greenops.adapters.rollup_files import MINUTE, RollupFiles

pytestmark = [pytest.mark.network, pytest.mark.slow]

OFTEN = {"GREENOPS_LAKE_ROLLUP_S": "0.1", "GREENOPS_FLUSH_S": "0.1"}


def counted(house):
    """Day → spans in its minutes."""
    rollups = RollupFiles.local(house.state / "lake")
    found = {}
    for day in rollups.days(MINUTE):
        tables = (
            rollups.read(rollups.path(MINUTE, day, f"{hour:02d}")) for hour in rollups.hours(day)
        )
        found[day] = sum(sum(table["spans"].to_pylist()) for table in tables if table is not None)
    return found


def refreshers(server):
    """Processes that a server has for its roll-ups."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(server.pid).encode() in words and any(b"rollup_worker" in word for word in words):
            found.append(int(each.name))
    return found


def test_spans_are_rolled_up_without_a_command_and_late_ones_too(house, tools):
    home, dice = house(environ=dict(OFTEN)), random.Random(1)
    server = home.serve()
    today = datetime.now(UTC).date()
    message, _ = tools.spans(dice, 7)
    assert tools.post(home.otlp, message)

    assert tools.until(lambda: sum(counted(home).values()) == 7, 30), home.log
    late, _ = tools.spans(dice, 3)
    for span in late.resource_spans[0].scope_spans[0].spans:
        span.start_time_unix_nano -= 50 * 3600 * 10**9
        span.end_time_unix_nano -= 50 * 3600 * 10**9
    assert tools.post(home.otlp, late)
    assert tools.post(home.otlp, message)

    assert tools.until(lambda: sum(counted(home).values()) == 10, 30), home.log
    assert min(counted(home)) <= today - timedelta(days=2)
    assert "GO0" not in home.log
    loaded = Path(f"/proc/{server.pid}/maps").read_text()
    assert "pyarrow" in loaded
    assert "pandas" not in loaded, "32 MB that nothing uses"
    server.terminate()
    assert server.wait(20) == 0


def test_a_refresh_ends_in_the_middle_with_its_server_and_the_next_one_goes_on(house, tools):
    home = house(environ=dict(OFTEN))
    rollups = RollupFiles.local(home.state / "lake")
    # A refresh that waits for another is in its middle for as long as a test likes.
    with rollups.alone():
        for ending in (signal.SIGTERM, signal.SIGKILL):
            server = home.serve()
            assert tools.post(home.otlp, tools.spans(random.Random(ending), 5)[0])
            assert tools.until(partial(refreshers, server), 30), home.log
            began = time.monotonic()
            server.send_signal(ending)
            server.wait(60)
            took_s = time.monotonic() - began
            assert tools.until(lambda gone=server: not refreshers(gone), 5)
            # Alone it takes a tenth of a second; on a busy machine some more.
            assert took_s < 6
    assert counted(home) == {}

    home.serve()

    assert tools.until(lambda: sum(counted(home).values()) == 10, 30), home.log
    assert "GO0" not in home.log


def test_a_full_disk_under_roll_ups_is_one_line_and_stops_nothing_else(house, tools):
    home = house(environ=dict(OFTEN))
    (home.state / "lake" / "v1").mkdir(parents=True)
    (home.state / "lake" / "v1" / "rollups").write_text("no folder")
    server = home.serve()
    message, _ = tools.spans(random.Random(3), 5)
    assert tools.post(home.otlp, message)

    assert tools.until(lambda: "GO0411" in home.log, 30), home.log

    assert home.answers()
    assert tools.post(home.otlp, tools.spans(random.Random(4), 5)[0])
    lines = [line for line in home.log.splitlines() if "GO0411" in line]
    assert len(lines) == 1
    assert "Traceback" not in home.log
    server.terminate()
    assert server.wait(20) == 0
