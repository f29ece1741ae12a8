"""What cloud providers and OpenCost tell, kept as they tell it: accounting, scope, unit, and when it was published."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.reported import Amount, by_kind, total
from greenops.errors import MixedQuantities
from tests.integration.cli.foreign import (
    NOVEMBER,
    OCTOBER,
    SAMPLES,
    amounts,
    bring,
    files,
    refused,
    told,
)


def sums(found: list[Amount]) -> dict[tuple[str | None, str | None], float]:
    """Emissions [g] by scope and accounting."""
    return {
        (kind.scope, kind.accounting): pytest.approx(total(group))
        for kind, group in by_kind(found).items()
    }


AWS = {
    ("total", "location"): 5800.0,
    ("total", "market"): 1800.0,
    ("1", None): 100.0,
    ("2", "location"): 4000.0,
    ("2", "market"): 100.0,
    ("3", "location"): 1700.0,
    ("3", "market"): 1600.0,
}


@pytest.mark.feature("K5")
def test_awss_months_keep_scope_accounting_and_publication(tmp_path: Path) -> None:
    bring(tmp_path, "aws-carbon", str(SAMPLES / "aws_carbon.csv"))

    found = amounts(tmp_path)
    # The row of the older model tells the same month and counts no more.
    assert sums(found) == AWS
    assert {each.version for each in found} == {"v3.0.0"}
    assert {(each.start, each.end) for each in found} == {(OCTOBER, NOVEMBER)}
    assert {each.published for each in found} == {datetime(2026, 11, 17, 8, tzinfo=UTC)}
    assert {(each.kind.method, each.kind.boundary) for each in found} == {
        (Method.REPORTED, Boundary.SITE)
    }
    assert {each.region for each in found} == {"eu-central-1", "eu-west-1"}


@pytest.mark.feature("K5")
@pytest.mark.parametrize("form", ["gzip", "parquet"])
def test_aws_exports_are_read_packed_and_as_parquet(form: str, tmp_path: Path) -> None:
    sample = SAMPLES / "aws_carbon.csv"
    file = tmp_path / f"export.{'csv.gz' if form == 'gzip' else 'parquet'}"
    if form == "gzip":
        file.write_bytes(gzip.compress(sample.read_bytes()))
    else:
        options = pa_csv.ConvertOptions(
            column_types={
                "usage_account_id": pa.string(),
                **{
                    name: pa.timestamp("ns", "UTC")
                    for name in ("usage_period_start", "usage_period_end", "last_refresh_timestamp")
                },
            }
        )
        pq.write_table(pa_csv.read_csv(sample, convert_options=options), file)

    bring(tmp_path, "aws-carbon", str(file))

    assert sums(amounts(tmp_path)) == AWS


@pytest.mark.feature("K5")
def test_totals_of_awss_older_model_are_of_scopes_1_and_2(tmp_path: Path) -> None:
    head, _, _, old, _ = (SAMPLES / "aws_carbon.csv").read_text().splitlines()
    (tmp_path / "old.csv").write_text(f"{head}\n{old}\n")

    bring(tmp_path, "aws-carbon", str(tmp_path / "old.csv"))

    assert sums(amounts(tmp_path)) == {("1+2", "market"): 900.0}


@pytest.mark.feature("K5")
def test_googles_rows_are_read_nested_and_flat(tmp_path: Path) -> None:
    bring(
        tmp_path, "gcp-carbon", str(SAMPLES / "gcp_carbon.jsonl"), str(SAMPLES / "gcp_carbon.csv")
    )

    found = amounts(tmp_path)
    assert sums([each for each in found if each.start == OCTOBER]) == {
        ("total", "location"): 3360.0,
        ("total", "market"): 1760.0,
        ("1", None): 10.0,
        ("2", "location"): 2600.0,
        ("2", "market"): 1000.0,
        ("3", None): 750.0,
    }
    assert {each.account for each in found} == {"shop"}
    assert {each.service for each in found} == {"Compute Engine", "Cloud Storage"}
    assert {each.published for each in found} == {None}


@pytest.mark.feature("K5")
def test_zones_of_a_region_are_added_up_and_a_row_told_again_is_not(tmp_path: Path) -> None:
    first, *_ = (SAMPLES / "gcp_carbon.jsonl").read_text().splitlines()
    other_zone = first.replace("europe-west3-a", "europe-west3-b")
    (tmp_path / "zones.jsonl").write_text(f"{first}\n{other_zone}\n{first}")

    bring(tmp_path, "gcp-carbon", str(tmp_path / "zones.jsonl"))

    assert sums(amounts(tmp_path))["2", "location"] == 4800.0
    assert {each.region for each in amounts(tmp_path)} == {"europe-west3"}


@pytest.mark.feature("K5")
def test_a_month_by_two_versions_of_a_method_is_no_sum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = (SAMPLES / "gcp_carbon.jsonl").read_text().splitlines()
    newer = first.replace('"carbon_model_version":"14"', '"carbon_model_version":"15"')
    (tmp_path / "two.jsonl").write_text(f"{first}\n{newer}\n")

    said = refused(capsys, tmp_path, "gcp-carbon", str(tmp_path / "two.jsonl"))

    assert ":2: `usage_month` is told in line 1, too, in another way" in said


@pytest.mark.feature("K5")
def test_azures_accounting_is_untold_until_somebody_tells_it(tmp_path: Path) -> None:
    file = str(SAMPLES / "azure_carbon.csv")
    bring(tmp_path / "a", "azure-carbon", file)
    bring(tmp_path / "b", "azure-carbon", file, "--accounting", "market")

    # A byte order mark, semicolons, thousands set off by commas, and the unit in the header.
    assert sums(amounts(tmp_path / "a")) == {
        ("1", None): 1_002_500.0,
        ("2", None): 2500.0,
        ("3", None): 1500.0,
    }
    assert sums(amounts(tmp_path / "b")) == {
        ("1", None): 1_002_500.0,
        ("2", Basis.MARKET): 2500.0,
        ("3", None): 1500.0,
    }
    assert {each.region for each in amounts(tmp_path / "a")} == {"westeurope"}


@pytest.mark.feature("K5")
def test_accounting_that_is_told_later_takes_the_place_of_what_was_untold(tmp_path: Path) -> None:
    file = str(SAMPLES / "azure_carbon.csv")
    bring(tmp_path, "azure-carbon", file)
    bring(tmp_path, "azure-carbon", file, "--accounting", "location")
    before = files(tmp_path)

    bring(tmp_path, "azure-carbon", file, "--accounting", "location")

    assert sums(amounts(tmp_path)) == {
        ("1", None): 1_002_500.0,
        ("2", Basis.LOCATION): 2500.0,
        ("3", None): 1500.0,
    }
    assert files(tmp_path) == before


@pytest.mark.feature("K5")
def test_azures_answers_are_in_the_unit_of_their_api(tmp_path: Path) -> None:
    entity = {"dateKey": 20261001, "scope": "Scope2", "totalEmissions": 0.5, "subscriptionId": "s"}
    (tmp_path / "entity.json").write_text(json.dumps({"value": [entity]}))
    items = [
        {"date": "2026-10-01", "categoryType": "Location", "itemName": "West Europe", "latestMonthEmissions": 4.0},
        {"date": "2026-10-01", "categoryType": "Resource", "itemName": "vm-1", "subscriptionId": "s", "latestMonthEmissions": 3.0},
    ]  # fmt: skip
    (tmp_path / "items.json").write_text(json.dumps({"value": items}))

    bring(tmp_path, "azure-carbon", str(tmp_path / "entity.json"), str(tmp_path / "items.json"))

    found = {
        (each.kind.level, each.region, each.workload): each.value for each in amounts(tmp_path)
    }
    assert found == {
        ("account", None, None): 500_000.0,  # tonnes
        ("region", "westeurope", None): 4000.0,  # kilograms
        ("resource", None, "vm-1"): 3000.0,
    }


@pytest.mark.feature("K5", "J8")
def test_what_is_counted_by_location_and_by_market_cannot_be_summed(tmp_path: Path) -> None:
    bring(tmp_path, "gcp-carbon", str(SAMPLES / "gcp_carbon.jsonl"))

    with pytest.raises(MixedQuantities, match="GO0301"):
        total(each for each in amounts(tmp_path) if each.kind.scope == "2")


@pytest.mark.feature("K5")
def test_an_export_brought_twice_changes_nothing_and_a_corrected_one_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = SAMPLES / "aws_carbon.csv"
    bring(tmp_path, "aws-carbon", str(sample))
    before = files(tmp_path)
    (again,) = told(capsys, tmp_path, "aws-carbon", str(sample))
    assert (again["changed"], files(tmp_path)) == (0, before)
    newer = sample.read_text().replace("2026-11-17", "2026-12-17").replace("0.0030", "0.0031")
    (tmp_path / "newer.csv").write_text(newer)

    bring(tmp_path, "aws-carbon", str(tmp_path / "newer.csv"))
    bring(tmp_path, "aws-carbon", str(sample))

    # What was published earlier does not come back.
    assert sums(amounts(tmp_path))["2", "location"] == 4100.0


def test_opencosts_costs_keep_their_level_and_currency(tmp_path: Path) -> None:
    bring(tmp_path, "opencost", str(SAMPLES / "opencost.json"), "--currency", "eur")

    found = {each.workload: each for each in amounts(tmp_path)}
    shop, idle = found["shop/checkout"], found["__idle__"]
    assert (shop.value, shop.kind.unit, shop.kind.level) == (2.02, "EUR", "controller")
    assert (shop.kind.method, shop.kind.boundary) == (Method.MODELED, None)
    assert (shop.account, shop.host) == ("c1", "n1")
    assert shop.more["cpuCost"] == "1.5"
    assert (idle.kind.level, idle.value) == ("idle", 1.0)


def test_a_week_beside_its_days_is_listed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = json.loads((SAMPLES / "opencost.json").read_text())["data"][0]["shop/checkout"]
    days = [
        {
            **day,
            "window": {"start": f"2026-10-0{n}T00:00:00Z", "end": f"2026-10-0{n + 1}T00:00:00Z"},
        }
        for n in (2, 3, 1)
    ]
    week = {
        **day,
        "totalCost": 14.0,
        "window": {"start": "2026-10-01T00:00:00Z", "end": "2026-10-08T00:00:00Z"},
    }
    for name, steps in (("week", [week]), ("days", days)):
        document = {"code": 200, "data": [{"shop/checkout": step} for step in steps]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        bring(tmp_path, "opencost", str(tmp_path / f"{name}.json"))

    (found,) = told(capsys, tmp_path, "list")
    bring(tmp_path, "list")

    assert (found["value"], found["rows"], found["left_out"]) == (pytest.approx(3 * 2.02), 3, 1)
    assert "1 row of the same time left out" in capsys.readouterr().out


def test_kubecosts_carbon_is_an_estimate_apart_from_its_cost(tmp_path: Path) -> None:
    document = json.loads((SAMPLES / "opencost.json").read_text())
    document["data"][0]["shop/checkout"]["carbonCost"] = 0.25
    (tmp_path / "answer.json").write_text(json.dumps(document))

    bring(tmp_path, "opencost", str(tmp_path / "answer.json"))

    found = {str(each.kind.quantity): each for each in amounts(tmp_path) if each.workload == "shop/checkout"}  # fmt: skip
    assert found["carbon"].value == 250.0
    assert found["carbon"].kind.method is Method.ESTIMATED
    assert found["cost"].kind.unit == "USD"


def changed(sample: str, **cells: str) -> str:
    """A sample whose first row has other cells."""
    lines = (SAMPLES / sample).read_text("utf-8-sig").splitlines()
    separator = ";" if sample.startswith("azure") else ","
    (row,) = csv.DictReader(lines[:2], delimiter=separator)
    head = list(row)
    row.update(cells)
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, head, delimiter=separator)
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue() + "\n".join(lines[2:]) + "\n"


def opencost(**cells: object) -> str:
    document = json.loads((SAMPLES / "opencost.json").read_text())
    document["data"][0]["shop/checkout"].update(cells)
    return json.dumps(document)


@pytest.mark.feature("K5")
@pytest.mark.parametrize(
    ("tool", "text", "says"),
    [
        ("aws-carbon", changed("aws_carbon.csv", total_lbm_emissions_unit="kg"), "GO0441 {}:2:84: `total_lbm_emissions_unit` must be `MTCO2e`, not `kg`"),
        ("aws-carbon", changed("aws_carbon.csv", total_lbm_emissions_value="-1"), "{}:2:91: `total_lbm_emissions_value` must not be below 0: `-1`"),
        ("aws-carbon", changed("aws_carbon.csv", total_lbm_emissions_value="NaN"), "must be a number, not `NaN`"),
        ("aws-carbon", changed("aws_carbon.csv", total_lbm_emissions_value="1,234"), "`1,234` can be read in two ways; export it with a decimal point"),
        ("aws-carbon", changed("aws_carbon.csv", total_lbm_emissions_value="1.234,5"), "can be read in two ways"),
        ("aws-carbon", changed("aws_carbon.csv", usage_period_start="2026-10-05"), "must be the first day of a month, not `2026-10-05`; as 2026-10-01"),
        ("aws-carbon", changed("aws_carbon.csv", usage_period_start="2026-13-01"), "is no month: `2026-13-01`"),
        ("aws-carbon", changed("aws_carbon.csv", usage_period_end="2027-10-31"), "must lie in the month after `usage_period_start`"),
        ("aws-carbon", changed("aws_carbon.csv", usage_account_id=""), "`usage_account_id` must not be empty"),
        ("aws-carbon", changed("aws_carbon.csv", model_version="new"), "`model_version` must be a version, not `new`; as v3.0.0"),
        ("aws-carbon", changed("aws_carbon.csv", last_refresh_timestamp="soon"), "{}:2:1: `last_refresh_timestamp` must be a date and time, not `soon`"),
        ("aws-carbon", changed("aws_carbon.csv") + changed("aws_carbon.csv", total_scope_3_lbm_emissions_value="9").splitlines()[1] + "\n", "GO0445 {}:6:"),
        ("aws-carbon", changed("aws_carbon.csv") + "a,b\n", "GO0441 {}:6: the row has 2 cells, the header 23"),
        ("aws-carbon", changed("aws_carbon.csv") + '"x\n', "is not CSV"),
        ("aws-carbon", (SAMPLES / "gcp_carbon.csv").read_text(), "it looks like one for `greenops import gcp-carbon`"),
        ("aws-carbon", "", "GO0440 {}:1: no file of AWS Data Exports (carbon emissions): it lacks `usage_period_start`"),
        ("gcp-carbon", (SAMPLES / "gcp_carbon.jsonl").read_text().replace("2.4", '"2.4t"'), "GO0441 {}:1: `carbon_footprint_kgco2e_scope2_location_based` must be a number, not `2.4t`"),
        ("gcp-carbon", (SAMPLES / "gcp_carbon.jsonl").read_text().replace("2.4", "NaN"), "must be a number, not `nan`"),
        ("gcp-carbon", (SAMPLES / "gcp_carbon.jsonl").read_text() * 2 + (SAMPLES / "gcp_carbon.jsonl").read_text().replace("2.4", "2.5"), "GO0445 {}:5: `usage_month` is told in line 1, too"),
        ("gcp-carbon", '{"usage_month": "2026-10-01"}\n{"a"', "GO0440 {}:2:5: is no JSON"),
        ("gcp-carbon", "[1, 2]", "it holds no objects"),
        ("azure-carbon", changed("azure_carbon.csv", Scope="4"), "GO0441 {}:2:62: `scope` must be scope 1, 2 or 3, not `4`"),
        ("azure-carbon", "dateKey,emissions\n20261001,1\n", "it lacks a total (`totalEmissions`, `latestMonthEmissions`)"),
        ("azure-carbon", '{"value": [{"itemName": "x", "latestMonthEmissions": 1}]}', "it lacks a month (`dateKey`, `date`)"),
        ("azure-carbon", '{"value": [{"date": "2026-10-01", "latestMonthEmissions": -3}]}', "row 1, `latestmonthemissions` must not be below 0"),
        ("opencost", opencost(currency="EUR"), "GO0446 {}: costs are in EUR and USD; export each currency by itself"),
        ("opencost", opencost(totalCost="2"), "`data[0].shop/checkout.totalCost` must be a number, not `2`"),
        ("opencost", opencost(carbonCost=-1), "that is not negative, not `-1`"),
        ("opencost", opencost(window={"start": "2026-10-02T00:00:00Z", "end": "2026-10-01T00:00:00Z"}), "ends before it starts"),
        ("opencost", opencost(window={"start": "soon", "end": "later"}), "`data[0].shop/checkout.window.start` must be a date and time"),
        ("opencost", '{"code": 200, "data": [{"a": {"co2e": 3}}]}', "lacks `totalCost` or `window`"),
        ("opencost", "{}", "no answer of OpenCost's allocation API; save what"),
    ],
)  # fmt: skip
def test_an_export_that_cannot_be_is_refused_in_one_line(
    tool: str, text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text(text)

    said = refused(capsys, tmp_path, tool, str(tmp_path / "file"))

    assert says.replace("{}", str(tmp_path / "file")) in said


def test_a_file_that_cannot_be_read_or_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 1000)[:-20])
    (tmp_path / "no.parquet").write_text("PAR1")
    (tmp_path / "latin.csv").write_bytes("usage_month,Zürich\n".encode("latin-1"))

    def said(name: str, code: int) -> str:
        return refused(capsys, tmp_path, "gcp-carbon", str(tmp_path / name), code=code)

    assert "GO0443" in said("missing", 3)
    assert "it is no file" in said(".", 3)
    assert "damaged gzip" in said("cut.csv.gz", 2)
    assert "is no Parquet" in said("no.parquet", 2)
    assert "not UTF-8 text; save it as UTF-8" in said("latin.csv", 2)
    argv = ("opencost", str(SAMPLES / "opencost.json"), "--currency", "euros")
    assert "GO0446 `euros` is no currency; as `EUR`" in refused(capsys, tmp_path, *argv)


def test_a_damaged_file_of_the_lake_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(tmp_path, "opencost", str(SAMPLES / "opencost.json"))
    (kept,) = (tmp_path / "lake").glob("v1/reported/*/*.parquet")
    kept.write_bytes(b"PAR1")
    from greenops.cli.main import main

    assert main(["import", "list", "--state", str(tmp_path)]) == 3

    assert f"GO0412 {kept}: this lake file is damaged" in capsys.readouterr().err
