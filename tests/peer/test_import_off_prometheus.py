"""Imports of what a real Prometheus answers: `make peers`; skipped where there is none."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from greenops.adapters.reported_lake import ReportedLake
from greenops.cli.main import main
from greenops.demo.processes import free_ports
from greenops.pipeline.reported import energy_of

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="no Prometheus here: make peers, or apt-get install --no-install-recommends prometheus",
    ),
]
STEP = timedelta(seconds=30)
LOOKS = 60
NODE = 'kepler_node_cpu_joules_total{node_name="n1",path="/sys/x",zone="package",instance="10.0.0.1:28282",job="kepler"}'
GPU = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{Hostname="g1",UUID="GPU-a",pod="train",namespace="ml",instance="10.0.0.2:9400",job="dcgm"}'
READY_WITHIN_S = 60.0


def shown(metric: str, look: int) -> int:
    """A counter of 40 W that begins anew after half the looks, and one of 300 W in millijoules that does not."""
    if metric == GPU:
        return 9_000_000 + look * 9_000_000
    return 1200 * (look - LOOKS // 2) + 700 if look >= LOOKS // 2 else 50_000 + 1200 * look


@pytest.fixture(scope="module")
def first() -> datetime:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return now - timedelta(hours=9)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, first: datetime) -> Iterator[str]:
    """A server over samples that were put into its store before."""
    folder = tmp_path_factory.mktemp("prometheus")
    rows = [
        f"{metric} {shown(metric, look)} {int((first + look * STEP).timestamp())}"
        for metric in (NODE, GPU)
        for look in range(LOOKS)
    ]
    (folder / "samples").write_text("\n".join(rows) + "\n# EOF\n")
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "samples", folder / "data"]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    (folder / "empty.yml").write_text("")
    (port,) = free_ports(1)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'empty.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"{url}/-/ready", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    pytest.fail("Prometheus did not start")


def answered(prometheus: str, file: Path, first: datetime, query: str) -> Path:
    """What a range query answers, in a file, byte for byte."""
    asked = {
        "query": query,
        "start": first.timestamp(),
        "end": (first + LOOKS * STEP).timestamp(),
        "step": STEP.total_seconds(),
    }
    answer = requests.get(f"{prometheus}/api/v1/query_range", asked, timeout=10)
    file.write_bytes(answer.content)
    return file


@pytest.mark.parametrize(
    ("tool", "metric", "joules"),
    [
        ("kepler", NODE, 1200 * (LOOKS - 2) + 700),
        ("dcgm", GPU, 9000 * (LOOKS - 1)),
    ],
)
def test_a_range_out_of_prometheus_is_the_energy_that_was_drawn(
    tool: str, metric: str, joules: float, prometheus: str, first: datetime, tmp_path: Path
) -> None:
    name = metric.partition("{")[0]
    file = answered(prometheus, tmp_path / "answer.json", first, name)

    assert main(["import", tool, str(file), "--state", str(tmp_path)]) == 0

    found = energy_of(ReportedLake(tmp_path / "lake").readings())
    # The last look is held for five minutes, over the end of what was stored: it adds nothing.
    assert sum(each.value for each in found) == pytest.approx(joules)
    assert {each.host for each in found} == {"n1" if tool == "kepler" else "g1"}


def test_a_rate_out_of_prometheus_is_refused_since_its_name_is_gone(
    prometheus: str, first: datetime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "sum(rate(kepler_node_cpu_joules_total[5m]))"
    file = answered(prometheus, tmp_path / "answer.json", first, query)

    assert main(["import", "kepler", str(file), "--state", str(tmp_path)]) == 2

    assert "`data.result[0].metric` has no `__name__`; ask for the counter itself" in (
        capsys.readouterr().err
    )


def test_a_query_that_failed_says_why(
    prometheus: str, first: datetime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = answered(prometheus, tmp_path / "answer.json", first, "sum(")

    assert main(["import", "kepler", str(file), "--state", str(tmp_path)]) == 2

    assert "the query failed: " in capsys.readouterr().err
