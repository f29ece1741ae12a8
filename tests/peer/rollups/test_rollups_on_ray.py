"""A lake in a real SeaweedFS is rolled up by a real Ray of two nodes, to the bit as in one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from greenops.adapters.packaged import packaged
from tests.peer.rollups.cluster import ADDRESSES, RayCluster

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]
A_HOUR_AGAIN = 2_000
"""Spans of the hour before that each hour but the first has once more."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = RayCluster(tmp_path_factory.mktemp("ray"))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def here(cluster):
    """Roll-ups of the lake by one process."""
    cluster.drive("write")
    return cluster.drive("here")


def without_place(told):
    return {name: told[name] for name in ("spans", "repeats", "damaged", "digests", "recomputed")}


def test_two_nodes_make_the_same_roll_ups_as_one_process(cluster, here):
    for each in Path(cluster.folder).glob("worked-*"):
        each.unlink()
    found = cluster.drive("ray")

    assert set(found["worked"]) == set(ADDRESSES)
    assert here["spans"] == 24 * 20_000
    assert here["repeats"] == 23 * A_HOUR_AGAIN
    assert len(here["digests"]) == 24 + 1 + 1
    assert without_place(found) == without_place(here)


def test_a_replay_on_the_cluster_tells_what_one_process_tells(cluster):
    words = ["plan", "--replay", "--from", "2021-09-01", "--to", "2021-09-04"]
    words += ["--policies", str(packaged("policies") / "demo"), "-o", "json", "--no-best"]

    told = [
        subprocess.run(
            cluster.on(0, str(Path(sys.executable).with_name("greenops")), *words, *more),
            env=cluster.environment | {"GREENOPS_STATE": str(cluster.folder / "state")},
            capture_output=True, text=True, timeout=100, check=True, cwd=cluster.folder,
        ).stdout
        for more in ([], ["--engine", "ray"])
    ]  # fmt: skip

    assert json.loads(told[0])["total"]["runs"] == 3
    assert told[1] == told[0]


def test_a_node_that_is_killed_in_the_middle_changes_nothing(cluster, here):
    for each in Path(cluster.folder).glob("worked-*"):
        each.unlink()
    try:
        found = cluster.drive("killed", ADDRESSES[1], *map(str, cluster.pids(1)))
        left = cluster.pids(1)
    finally:
        cluster.join()

    assert found["killed"]
    assert set(found["worked"]) == set(ADDRESSES)
    assert left == []
    assert without_place(found) == without_place(here)
