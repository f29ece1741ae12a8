"""Kepler, Scaphandre and the DCGM exporter: their joules, each with its level, boundary and method."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.energy import Boundary, Method
from greenops.domain.reported import by_kind, total
from greenops.errors import MixedQuantities
from tests.integration.cli.foreign import SAMPLES, bring, energies, files, refused, told


def sums(state: Path) -> dict[tuple[str, str, str], float]:
    """Energy [J] by level, boundary and method."""
    found = by_kind(energies(state))
    return {
        (kind.level, str(kind.boundary), str(kind.method)): total(group) or 0.0
        for kind, group in found.items()
    }


def test_two_pages_of_kepler_tell_the_energy_between_them(tmp_path: Path) -> None:
    bring(tmp_path, "kepler", str(SAMPLES / "kepler_page_1.txt"), "--at", "2026-10-31T00:00:00Z")
    bring(tmp_path, "kepler", str(SAMPLES / "kepler_page_2.txt"), "--at", "2026-10-31T00:01:00Z")

    # The zone `core` is a part of `package`, and adds nothing.
    assert sums(tmp_path) == {
        ("node", "chip", "measured"): 2400 + 300,
        ("pod", "chip", "modeled"): 900,
        ("container", "chip", "modeled"): 820,
    }
    pod = next(each for each in energies(tmp_path) if each.kind.level == "pod")
    assert (pod.host, pod.workload) == ("n1", "shop/checkout-7d9")
    looks = list(ReportedLake(tmp_path / "lake").readings())
    assert {look.labels["pod_id"] for look in looks if look.kind.level == "pod"} == {"a1"}


def test_a_page_without_an_instant_is_of_when_its_file_was_written(tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    page.write_text((SAMPLES / "kepler_page_1.txt").read_text())
    os.utime(page, (1_793_404_800, 1_793_404_800))

    bring(tmp_path, "kepler", str(page))

    looks = list(ReportedLake(tmp_path / "lake").readings())
    assert {look.at.timestamp() for look in looks} == {1_793_404_800}


def test_pages_that_are_brought_together_tell_the_energy_between_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [tmp_path / f"{number}.txt" for number in (1, 2)]
    for number, page in enumerate(pages):
        page.write_text((SAMPLES / f"kepler_page_{number + 1}.txt").read_text())
        os.utime(page, (1_793_404_800 + 60 * number,) * 2)

    bring(tmp_path, "kepler", *map(str, pages))

    said = capsys.readouterr().out
    assert "series with one look here: 4" in said
    assert "together: 2700 J energy (node, chip, measured)" in said
    *_, together = told(capsys, tmp_path, "kepler", *map(str, pages))
    assert {each["value"] for each in together["amounts"]} == {2700.0, 900.0, 820.0}


def test_one_instant_is_not_of_two_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [str(SAMPLES / f"kepler_page_{number}.txt") for number in (1, 2)]

    said = refused(capsys, tmp_path, "kepler", *pages, "--at", "2026-10-31T00:00:00Z")

    assert "GO0805 `--at` is of one page, here are 2; bring in one by one" in said


def test_early_keplers_counters_survive_a_restart(tmp_path: Path) -> None:
    bring(tmp_path, "kepler", str(SAMPLES / "kepler_early_range.json"))

    assert sums(tmp_path) == {
        # 5000 -> 5900, begun anew -> 300 -> 1200
        ("node", "chip", "measured"): 900 + 300 + 900,
        ("node", "chip", "modeled"): 150,
        ("container", "node", "modeled"): 120 + 20 + 60,
    }


def test_a_page_and_a_query_of_one_counter_are_one_series(tmp_path: Path) -> None:
    bring(tmp_path, "dcgm", str(SAMPLES / "dcgm_range.json"))
    bring(tmp_path, "dcgm", str(SAMPLES / "dcgm_page.txt"), "--at", "2026-10-31T00:01:00Z")

    looks = list(ReportedLake(tmp_path / "lake").readings())
    assert len({look.series for look in looks}) == 1
    # mJ; the power beside the counter would count the same board twice.
    assert sums(tmp_path) == {("device", "chip", "measured"): 13_000.0}


def test_a_gpu_without_a_counter_is_estimated_from_its_power(tmp_path: Path) -> None:
    document = json.loads((SAMPLES / "dcgm_range.json").read_text())
    del document["data"]["result"][0]
    (tmp_path / "power.json").write_text(json.dumps(document))

    bring(tmp_path, "dcgm", str(tmp_path / "power.json"))

    assert sums(tmp_path) == {("device", "chip", "estimated"): 400 * 15 + 405 * 15}


def test_a_board_without_a_counter_beside_one_with_it_is_estimated(tmp_path: Path) -> None:
    document = json.loads((SAMPLES / "dcgm_range.json").read_text())
    (_, power) = document["data"]["result"]
    power["metric"]["UUID"] = "GPU-old"
    (tmp_path / "mixed.json").write_text(json.dumps(document))

    bring(tmp_path, "dcgm", str(tmp_path / "mixed.json"))

    assert sums(tmp_path) == {
        ("device", "chip", "measured"): 12_000.0,
        ("device", "chip", "estimated"): 400 * 15 + 405 * 15,
    }


def test_a_board_that_several_pods_share_is_nobodys_alone(tmp_path: Path) -> None:
    text = (SAMPLES / "dcgm_page.txt").read_text()
    page = tmp_path / "page.txt"
    page.write_text(text.replace('GPU_I_ID="1",', "").replace('GPU_I_ID="2",', ""))

    bring(tmp_path, "dcgm", str(page), "--at", "2026-10-31T00:01:00Z")

    (look,) = ReportedLake(tmp_path / "lake").readings()
    assert (look.workload, look.joules) == (None, 14_000.0)


@pytest.mark.parametrize(
    ("labels", "workload"),
    [
        ({"namespace": "ml", "pod": "train", "container": "main"}, "ml/train/main"),
        ({"pod": "dcgm-exporter-x7", "namespace": "gpu", "exported_pod": "train", "exported_namespace": "ml"}, "ml/train"),
        ({"pod": "nvidia-dcgm-exporter-x7", "namespace": "gpu", "container": "nvidia-dcgm-exporter"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_exporters_own_pod_is_not_the_one_that_a_board_is_given_to(
    labels: dict[str, str], workload: str | None, tmp_path: Path
) -> None:
    document = json.loads((SAMPLES / "dcgm_range.json").read_text())
    (series, _) = document["data"]["result"]
    document["data"]["result"] = [series]
    series["metric"] = {"__name__": series["metric"]["__name__"], "UUID": "a", **labels}
    (tmp_path / "answer.json").write_text(json.dumps(document))

    bring(tmp_path, "dcgm", str(tmp_path / "answer.json"))

    assert {look.workload for look in ReportedLake(tmp_path / "lake").readings()} == {workload}


def test_labels_of_the_scrape_make_no_other_series_of_keplers_counter(tmp_path: Path) -> None:
    line = 'kepler_node_cpu_joules_total{{node_name="n1",zone="package"{more}}} {joules} {at}\n'
    scraped = ',job="kepler",instance="10.0.0.1:28282",namespace="monitoring",pod="kepler-x",container="kepler"'
    (tmp_path / "page.txt").write_text(
        line.format(more="", joules=100, at=1_793_404_800_000)
        + line.format(more=scraped, joules=160, at=1_793_404_801_000)
    )

    bring(tmp_path, "kepler", str(tmp_path / "page.txt"))

    assert sums(tmp_path) == {("node", "chip", "measured"): 60.0}


def test_a_module_with_a_processor_on_it_has_a_boundary_of_its_own(tmp_path: Path) -> None:
    text = (SAMPLES / "dcgm_page.txt").read_text()
    (tmp_path / "page.txt").write_text(text.replace("NVIDIA H100 80GB HBM3", "NVIDIA GH200 480GB"))

    bring(tmp_path, "dcgm", str(tmp_path / "page.txt"))

    (look,) = ReportedLake(tmp_path / "lake").readings()
    assert look.kind.boundary is Boundary.MODULE


def test_scaphandres_report_and_page_of_one_host_are_one_series(tmp_path: Path) -> None:
    report, page = SAMPLES / "scaphandre.json", SAMPLES / "scaphandre_page.txt"
    bring(tmp_path, "scaphandre", str(report), str(page), "--host", "box")

    # 20 W, 30 W after 2 s, 35 W after 3 more; at 0 s the page was brought last, with 25 W.
    node = (25 + 30) / 2 * 2 + (30 + 35) / 2 * 3
    assert sums(tmp_path)["node", "chip", "measured"] == pytest.approx(node)
    shares = {each.workload: each.value for each in energies(tmp_path) if each.workload}
    assert shares == {"web/4321": pytest.approx(20.0), "redis-server/77": pytest.approx(10.0)}


def test_scaphandre_counts_the_whole_machine_only_where_it_shows_the_platform(
    tmp_path: Path,
) -> None:
    page = tmp_path / "page.txt"
    page.write_text(
        "scaph_host_rapl_psys_microjoules 1000000 1793404800000\n"
        "scaph_host_rapl_psys_microjoules 61000000 1793404801000\n"
        "scaph_host_energy_microjoules 5 1793404800000\n"
    )

    bring(tmp_path, "scaphandre", str(page), "--host", "box")

    assert sums(tmp_path) == {("node", "node", "measured"): 60.0}


def test_imported_energy_is_in_no_sum_over_spans_or_accounts(tmp_path: Path) -> None:
    bring(tmp_path, "kepler", str(SAMPLES / "kepler_early_range.json"))

    lake = ParquetLake(tmp_path / "lake")
    assert list(lake.spans()) == []
    assert list(lake.accounts()) == []


@pytest.mark.feature("J8")
def test_a_pods_share_and_its_node_cannot_be_summed(tmp_path: Path) -> None:
    bring(tmp_path, "kepler", str(SAMPLES / "kepler_early_range.json"))

    with pytest.raises(MixedQuantities, match="GO0301"):
        total(energies(tmp_path))


def test_a_file_brought_twice_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("dcgm", str(SAMPLES / "dcgm_range.json"))
    (first,) = told(capsys, tmp_path, *argv)
    before = files(tmp_path)

    (second,) = told(capsys, tmp_path, *argv)

    assert (first["rows"], first["changed"], second["changed"]) == (3, 3, 0)
    assert files(tmp_path) == before
    assert first["amounts"] == second["amounts"]
    (amount,) = first["amounts"]
    assert (amount["value"], amount["unit"], amount["method"]) == (12_000.0, "J", Method.MEASURED)


def test_readings_that_overlap_count_once_in_any_order(tmp_path: Path) -> None:
    whole = json.loads((SAMPLES / "dcgm_range.json").read_text())
    parts = [json.loads(json.dumps(whole)) for _ in range(2)]
    for part, kept in zip(parts, (slice(1, None), slice(None, 2)), strict=True):
        for series in part["data"]["result"]:
            series["values"] = series["values"][kept]
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.json").write_text(json.dumps(part))
        bring(tmp_path, "dcgm", str(tmp_path / f"{number}.json"))

    assert sums(tmp_path) == {("device", "chip", "measured"): 12_000.0}


def test_what_was_brought_is_listed_by_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(tmp_path, "list")
    assert capsys.readouterr().out == "nothing was brought in\n"
    bring(tmp_path, "kepler", str(SAMPLES / "kepler_early_range.json"))

    bring(tmp_path, "list")

    said = capsys.readouterr().out
    assert "kepler: 2100 J energy (node, chip, measured), 1 row, 2026-10-31 00:00" in said
    assert {each["value"] for each in told(capsys, tmp_path, "list")} == {2100.0, 150.0, 200.0}


PAGE = (
    "# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Total energy consumption since boot (in {unit}).\n"
    'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{UUID="a"}} {first}\n'
)
ANSWER = '{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{metric},"values":[{values}]}}]}}}}'
COUNTER = '{"__name__":"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION","UUID":"a"}'


@pytest.mark.parametrize(
    ("tool", "text", "says"),
    [
        ("dcgm", PAGE.format(unit="J", first="5"), "GO0441 {}:1:1: `DCGM_FI_DEV_TOTAL_ENERGY"),
        ("dcgm", PAGE.format(unit="mJ", first="NaN"), "GO0441 {}:2:48: "),
        ("dcgm", PAGE.format(unit="mJ", first="-4"), "that is not negative, not `-4`"),
        ("dcgm", PAGE.format(unit="mJ", first="much"), "GO0441 {}:2:48: "),
        ("dcgm", PAGE.format(unit="mJ", first=""), "GO0441 {}:2:1: is no sample"),
        (
            "dcgm",
            ANSWER.format(metric=COUNTER, values='[1793404800,"5"],[1793404801,"5e9"]'),
            "rose by 5e+06 J in 1 s; no machine draws that: is it in another unit?",
        ),
        (
            "dcgm",
            ANSWER.format(metric='{"UUID":"a"}', values='[1793404800,"5"]'),
            "`data.result[0].metric` has no `__name__`; ask for the counter itself",
        ),
        ("dcgm", '{"status":"error","error":"parse error"}', "the query failed: parse error"),
        ("dcgm", '{"status":"success"}', "no answer of Prometheus"),
        ("dcgm", '{"status":\n "success"', "GO0440 {}:2:11: is no JSON"),
        (
            "dcgm",
            "kepler_node_cpu_joules_total 5\n",
            "it looks like one for `greenops import kepler`",
        ),
        ("kepler", "", "GO0440 {}: no file of Kepler"),
        ("kepler", "up 1\n", "GO0440 {}: no file of Kepler"),
        (
            "scaphandre",
            '{"host":{"consumption":9e11,"timestamp":1},"consumers":[]}',
            "`consumption` must be a power in microwatts, not `900000000000.0`",
        ),
        ("scaphandre", '{"host":{"timestamp":1},"consumers":[]}', "report 0 lacks 'consumption'"),
        ("scaphandre", "[]", "no report of Scaphandre: it is empty"),
        (
            "scaphandre",
            '{"host":{"consumption":1,"timestamp":"soon"},"consumers":[]}',
            "`timestamp` must be seconds, not `soon`",
        ),
    ],
)
def test_a_meters_file_that_cannot_be_is_refused_in_one_line(
    tool: str, text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text(text)

    said = refused(capsys, tmp_path, tool, str(tmp_path / "file"))

    assert says.replace("{}", str(tmp_path / "file")) in said
