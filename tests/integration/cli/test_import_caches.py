"""Caches: how often a CDN and GPTCache answered; what that spares is a range, and a hit is no right answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenops.domain.reported import Quantity
from tests.integration.cli.foreign import (
    SAMPLES,
    amounts,
    bring,
    files,
    refused,
    span,
    told,
    write,
)

KWH = 3.6e6


@pytest.mark.feature("F6")
def test_cloudflares_days_tell_what_its_cache_spares_as_ranges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brought, report = told(capsys, tmp_path, "cloudflare", str(SAMPLES / "cloudflare.json"))

    assert brought["changed"] == 8
    assert report["hit_ratio"] == pytest.approx(1.32e6 / 2.2e6)
    assert report["byte_ratio"] == pytest.approx(85 / 110)
    assert (report["days"], report["method"]) == (2, "estimated")
    # 0.001 to 0.06 kWh/GB: a band without a middle, and the server apart from it.
    assert report["now"]["network_low"] == pytest.approx(85 * 0.001 * KWH)
    assert report["now"]["network_high"] == pytest.approx(85 * 0.06 * KWH)
    assert report["most"]["network_high"] == pytest.approx(25 * 0.06 * KWH)
    assert "server" not in report["now"]


@pytest.mark.feature("F6")
def test_a_server_is_spared_at_most_its_mean_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = 31 * 86_400
    write(
        tmp_path,
        span(day, energy_j=2.0),
        span(day + 1, energy_j=4.0),
        # Below the second request; a night's batch, another day and another tool's run are no requests.
        span(day + 2, trace_id=f"{day + 1:032x}", parent_id=f"{day + 1:016x}", kind="INTERNAL", energy_j=3.0),
        span(day + 3, kind="INTERNAL", energy_j=900.0),
        span(0, energy_j=900.0),
        span(day + 4, energy_j=900.0, attributes={"greenops.import.tool": '"eco2ai"'}),
    )  # fmt: skip

    _, report = told(capsys, tmp_path, "cloudflare", str(SAMPLES / "cloudflare.json"))

    assert report["now"]["server"] == pytest.approx(1.32e6 * (2 + 4 + 3) / 2)
    assert report["most"]["server"] == pytest.approx(0.88e6 * (2 + 4 + 3) / 2)


@pytest.mark.feature("F6")
def test_the_recommendation_is_from_nothing_to_a_bound_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, span(31 * 86_400, energy_j=4.5))

    bring(tmp_path, "cloudflare", str(SAMPLES / "cloudflare.json"))

    said = capsys.readouterr().out
    assert "cloudflare: 60.0 % of requests and 77.3 % of bytes out of the cache, 2 days" in said
    assert "spares, estimated: network 0.085 to 5.1 kWh; servers 0 to 1.65 kWh" in said
    assert "servers: at most 4.5 J, the mean of 1 request on 2026-11-02" in said
    assert (
        "recommend: cache more of the other 880,000 requests; from nothing to network 0.025 to 1.5 kWh; servers 0 to 1.1 kWh"
        in said
    )
    assert "the export does not tell which of them can be cached" in said


@pytest.mark.feature("F6")
def test_vercels_log_counts_what_was_answered_without_the_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = told(capsys, tmp_path, "vercel", str(SAMPLES / "vercel.jsonl"))

    # A stale answer is made anew behind it; a line that a function printed is no request.
    assert (report["site"], report["requests"], report["cached_requests"]) == ("shop.example", 4, 1)
    assert (report["bytes"], report["cached_bytes"]) == (15_500, 4000)


@pytest.mark.feature("F6")
def test_a_log_as_csv_and_as_an_array_are_read_alike(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (SAMPLES / "vercel.jsonl").read_text().splitlines()]
    (tmp_path / "log.json").write_text(json.dumps(rows))
    fields = ("host", "timestamp", "proxy.vercelCache", "proxy.responseByteSize", "proxy.statusCode")  # fmt: skip
    lines = [
        ",".join(
            str(row["proxy"].get(name.removeprefix("proxy."), ""))
            for name in fields
        )
        for row in rows
        if "proxy" in row
    ]  # fmt: skip
    (tmp_path / "log.csv").write_text("\n".join([",".join(fields), *lines]) + "\n")
    for form in ("json", "csv"):
        bring(tmp_path / form, "vercel", str(tmp_path / f"log.{form}"))

    counted = [
        {each.kind.quantity: each.value for each in amounts(tmp_path / form)}
        for form in ("json", "csv")
    ]

    assert counted[0] == counted[1]
    assert counted[0][Quantity.REQUESTS] == 4


@pytest.mark.feature("F6")
def test_days_of_any_cdn_brought_twice_change_nothing(tmp_path: Path) -> None:
    bring(tmp_path, "vercel", str(SAMPLES / "cdn_days.csv"))
    before = files(tmp_path)

    bring(tmp_path, "vercel", str(SAMPLES / "cdn_days.csv"))

    assert files(tmp_path) == before
    assert sum(each.value for each in amounts(tmp_path) if each.kind.quantity is Quantity.REQUESTS) == 2200  # fmt: skip


@pytest.mark.feature("F6")
def test_a_cache_that_answers_everything_has_no_more_to_recommend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "days.csv").write_text(
        "date,requests,cached_requests,bytes,cached_bytes\n2026-11-01,5,5,9,9\n2026-11-02,0,0,0,0\n"
    )

    bring(tmp_path, "vercel", str(tmp_path / "days.csv"))

    assert "recommend" not in capsys.readouterr().out


def cloudflare(**sums: object) -> str:
    whole = {"requests": 5, "cachedRequests": 1, "bytes": 9, "cachedBytes": 2, **sums}
    day = {"dimensions": {"date": "2026-11-01"}, "sum": whole}
    return json.dumps({"data": {"viewer": {"zones": [{"days": [day]}]}}})


DAYS = "date,requests,cached_requests,bytes,cached_bytes\n"
LOG = '{"host": "h", "timestamp": %s, "proxy": {"vercelCache": "%s", "statusCode": 200}}'


@pytest.mark.feature("F6", "K7")
@pytest.mark.parametrize(
    ("tool", "text", "says"),
    [
        ("cloudflare", cloudflare(cachedRequests=6), "zones[0], day 0: `cachedRequests` is more than `requests`"),
        ("cloudflare", cloudflare(bytes=-1), "`bytes` must be a number that is not negative, not `-1`"),
        ("cloudflare", cloudflare(bytes=float("nan")), "not `nan`"),
        ("cloudflare", cloudflare().replace("2026-11-01", "today"), "`date` must be a day, not `today`"),
        ("cloudflare", cloudflare().replace("cachedBytes", "edgeBytes"), "it lacks 'cachedBytes'; ask `httpRequests1dGroups` for"),
        ("cloudflare", '{"data": {"viewer": {"zones": []}}}', "it has no days; ask"),
        ("cloudflare", '{"data": null, "errors": [{"message": "no"}]}', "no answer of Cloudflare's GraphQL API"),
        ("cloudflare", cloudflare() + cloudflare(requests=7), "GO0445 {}: 2026-11-01 is told twice"),
        ("vercel", DAYS + "2026-11-01,5,6,9,2\n", "GO0441 {}:2:14: `cached_requests` is more than `requests`"),
        ("vercel", DAYS + "2026-11-01,5,,9,2\n", "{}:2:14: `cached_requests` must not be empty"),
        ("vercel", DAYS + "01/11/2026,5,1,9,2\n", "{}:2:1: `date` must be a date and time, not `01/11/2026`"),
        ("vercel", DAYS + "2026-11-01,5,1,9,2\n2026-11-01,6,1,9,2\n", "GO0445 {}:3:1: `date` has 2026-11-01 twice"),
        ("vercel", "date,requests\n2026-11-01,5\n", "it lacks `cached_requests`, `bytes`, `cached_bytes`"),
        ("vercel", DAYS, "it has no rows"),
        ("vercel", LOG % (1, "WARM"), "`vercelCache` must be one of HIT, PRERENDER, STALE, MISS"),
        ("vercel", LOG % ('"now"', "HIT"), "`timestamp` must be a number, not `now`"),
        ("vercel", LOG % ("1e30", "HIT"), "`timestamp` must be milliseconds since 1970"),
        ("vercel", '{"host": "h", "timestamp": 1, "statusCode": 200}', "it lacks `proxy.vercelCache`"),
        ("gptcache", '{"hint_cache_count": 3}', "no report of GPTCache: it lacks `op_search.count`"),
        ("gptcache", '{"hint_cache_count": 3, "op_search": {"count": 2}}', "`hint_cache_count` (3) is more than the looks, `op_search.count` (2)"),
        ("gptcache", '{"hint_cache_count": -3, "op_search": {"count": 2}}', "`hint_cache_count` must be a count, not `-3`"),
        ("gptcache", '{"hint_cache_count": true, "op_search": {"count": 2}}', "must be a count, not `True`"),
        ("gptcache", "gptcache_hint_cache_count much\ngptcache_op_search_count 2\n", "must be a count, not `much`"),
        ("gptcache", DAYS, "no report of GPTCache"),
    ],
)  # fmt: skip
def test_a_caches_file_that_cannot_be_is_refused_in_one_line(
    tool: str, text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text(text)

    said = refused(capsys, tmp_path, tool, str(tmp_path / "file"))

    assert says.replace("{}", str(tmp_path / "file")) in said


@pytest.mark.feature("K7")
@pytest.mark.parametrize("sample", ["gptcache.json", "gptcache_page.txt"])
def test_gptcaches_hit_ratio_is_told_and_never_as_quality(
    sample: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = told(capsys, tmp_path, "gptcache", str(SAMPLES / sample))
    bring(tmp_path, "gptcache", str(SAMPLES / sample))

    assert (found["hits"], found["looks"], found["made"], found["made_s"]) == (31, 50, 21, 33.6)
    assert found["hit_ratio"] == pytest.approx(0.62)
    assert found["quality"] is None
    said = capsys.readouterr().out
    assert "hit ratio 62.0 % (31 of 50 looks, 21 asked of the model)" in said
    assert "how many of these answers were right is not told, so nothing counts as spared" in said
    assert not list(tmp_path.glob("lake/**/*.parquet"))


@pytest.mark.feature("K7")
def test_a_cache_that_was_never_asked_has_no_hit_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text('{"hint_cache_count": 0, "op_search": {"count": 0}}')

    bring(tmp_path, "gptcache", str(tmp_path / "report.json"))

    assert "hit ratio an unknown part (0 of 0 looks)" in capsys.readouterr().out
