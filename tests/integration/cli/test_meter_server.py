"""`greenops meter-server` against a fake server that answers over HTTP, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from greenops.cli import meter_server
from greenops.cli.main import build_parser, main
from greenops.errors import AdapterUnavailable, DataMissing, GreenOpsError, UsageError
from greenops.ports import EnergyMeter
from greenops.testing.http_pages import FakePages
from greenops.testing.meters import SyntheticMeter
from greenops.testing.model_server import FakeModelServer, tgi_page, vllm_page

pytestmark = pytest.mark.network


@pytest.fixture
def server() -> Iterator[FakeModelServer]:
    made = FakeModelServer(vllm_page)
    yield from served(made)


def served(made: FakeModelServer) -> Iterator[FakeModelServer]:
    with FakePages({}) as pages:
        made.pages = pages
        made.publish()
        yield made


def metered(
    server: FakeModelServer, *more: str, meters: Sequence[EnergyMeter] | None = None
) -> int:
    assert server.pages is not None
    args = build_parser().parse_args(["meter-server", server.pages.url, *more])
    found = [server.meter] if meters is None else meters
    return meter_server.meter(args, server, lambda: found)


def test_the_command_finds_the_joules_and_writes_the_row(server, tmp_path, capsys):
    path = tmp_path / "own.json"

    code = metered(
        server, "--for", "5m", "--server", "llm.internal", "--write", str(path), "-o", "json"
    )

    said = json.loads(capsys.readouterr().out)
    drawn, model = server.meter.truth, said["models"][0]
    static = said["energy"] / sum(drawn.values())
    output = (drawn["wrote"] + drawn["pass"]) / server.wrote * static
    reading = drawn["read"] / (server.read - server.cached) * static
    assert code == 0
    assert model["output"] == pytest.approx(output, rel=0.05)
    assert model["input"] == pytest.approx(reading, rel=0.05)
    assert json.loads(path.read_text())["measured"] == said["rows"]
    assert said["rows"][0]["server"] == "llm.internal"
    assert server.meter.closed


def test_a_person_reads_both_ends_of_the_range(server, capsys):
    assert metered(server, "--for", "3m") == 0

    said = capsys.readouterr().out

    assert "vllm at " in said
    assert "J per token (90 %: " in said
    assert "idle power 90.0 W" in said or "idle power not seen" in said


def test_a_loopback_address_is_written_as_the_name_of_this_machine(server, capsys):
    from socket import gethostname

    metered(server, "--for", "1m", "-o", "json")

    assert json.loads(capsys.readouterr().out)["rows"][0]["server"] == gethostname()


def test_a_short_time_says_that_the_split_is_an_assumption(server, capsys):
    metered(server, "--for", "20s")

    assert "an assumption" in capsys.readouterr().out


def test_tgi_is_metered_under_the_name_that_is_given(capsys):
    for server in served(FakeModelServer(tgi_page, cached=0.0)):
        with pytest.raises(UsageError, match="--model"):
            metered(server, "--for", "1m")
        assert metered(server, "--for", "1m", "--model", "mistral-7b", "-o", "json") == 0

    assert json.loads(capsys.readouterr().out)["rows"][0]["model"] == "mistral-7b"


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"busy"), (200, b"<html>"), (200, b"x" * (9 * 2**20)), (302, b"")]
)
def test_what_is_no_page_of_counters_is_told_before_the_wait(server, status, body):
    server.pages.answers["/metrics"] = (status, body)

    with pytest.raises(AdapterUnavailable, match="GO0719"):
        metered(server)

    assert server.slept == []


def test_a_server_nobody_uses_gives_no_number(server):
    server.rate = 0.0

    with pytest.raises(DataMissing, match=r"GO0719 .*worked in"):
        metered(server, "--for", "1m")

    assert server.meter.closed


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--for", "soon"), "`--for soon`"),
        (("--for", "0s"), "`--for 0s`"),
        (("--every", "-1s"), "`--every"),
        (("--for", "90h"), "24 h"),
        (("--every", "1ms"), "100000 looks"),
        (("--device", "GPU-b"), "no meter `GPU-b`"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(server, more, why):
    more = (f"{more[0]}={more[1]}",)
    with pytest.raises(UsageError, match=why):
        metered(server, *more)


def test_without_a_gpu_a_meter_must_be_named(server):
    package = SyntheticMeter(idle=20.0, monotonic_ns=server.monotonic_ns)

    with pytest.raises(UsageError, match="package-0"):
        metered(server, meters=[package])

    assert package.closed


def test_a_file_that_is_none_is_told_before_the_wait(server, tmp_path):
    path = tmp_path / "own.json"
    path.write_text("[]")

    with pytest.raises(GreenOpsError, match="GO0731"):
        metered(server, "--write", str(path))

    assert server.slept == []


def test_an_address_that_is_none_is_one_line_and_an_exit_code(capsys):
    assert main(["meter-server", "gpu-1"]) == 4

    assert capsys.readouterr().err.startswith("greenops: GO0719 ")
