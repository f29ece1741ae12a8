"""`greenops serve` with a taken port, a damaged lake, a full disk, garbage at its doors."""

from __future__ import annotations

import random
import socket
from datetime import UTC, datetime

import pytest
import requests

from greenops.adapters.parquet_lake import ParquetLake
from greenops.errors import DataMissing

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(90)]

NIGHT = datetime(2021, 10, 8, 7, 0, tzinfo=UTC)


def stop(server):
    """End a server as an operator does; its exit code."""
    server.terminate()
    return server.wait(15)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["api", "grpc", "http"])
def test_a_taken_port_ends_serve_with_code_4_and_one_line(house, which):
    made = house()
    with socket.socket() as other:
        other.bind(("127.0.0.1", made.ports[which]))
        other.listen()

        server = made.serve(ready=False)

        assert server.wait(25) == 4, made.log
    assert made.log.count("\n") == 1, made.log
    assert made.log.startswith(
        f"greenops: GO0501 port {made.ports[which]} on 127.0.0.1 is taken; end what listens there"
    )


def test_a_damaged_lake_file_is_named_and_the_rest_counts(house, tools):
    made = house()
    server = made.serve("--state", str(made.state))
    rng = random.Random(3)
    kept = set()
    for _ in range(2):
        message, ids = tools.spans(rng, 10)
        assert tools.post(made.otlp, message)
        kept |= ids
        files = made.state / "lake" / "v1" / "spans"
        count = len(kept) // 10
        assert tools.until(lambda: len(list(files.glob("day=*/*.parquet"))) == count, 10)  # noqa: B023
    assert stop(server) == 0, made.log
    damaged = sorted(files.glob("day=*/*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])

    server = made.serve()

    seen = requests.get(f"{made.api}/v1/overview", timeout=5).json()
    assert "GO0412" in made.log
    assert str(damaged) in made.log
    assert "Traceback" not in made.log
    assert seen["spans"] == 10
    with pytest.raises(DataMissing, match=f"GO0412 {damaged}"):
        list(ParquetLake(made.state / "lake").spans())
    message, _ = tools.spans(rng, 5)
    assert tools.post(made.otlp, message)
    after = requests.get(f"{made.api}/v1/overview", timeout=5).json()
    assert after["spans"] == 15
