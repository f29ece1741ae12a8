from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Any

import pytest

from greenops.domain.cpu_power import Coefficient, refused, tdp_power
from greenops.units import Watts


def shipped(name: str) -> Any:
    return json.loads((files("greenops") / "data" / name).read_text("utf-8"))


def test_upstream_rows_that_are_wrong_are_refused_and_no_others() -> None:
    rows = [Coefficient.of_family(row) for row in shipped("cpu_power.json")["families"]]

    said = refused(rows)

    assert set(said) == {"EPYC 5th Gen", "Graviton 2", "Graviton 3", "Graviton 4"}
    assert said["EPYC 5th Gen"] == "8.96 W is 4.2 times its vendor's median"
    assert said["Graviton 3"] == "a copy of EPYC 2nd Gen, of another vendor"
    assert len(rows) - len(said) == 7


def test_design_powers_that_are_shipped_are_believed() -> None:
    rows = [Coefficient.of_tdp(row) for row in shipped("cpu_tdp.json")["processors"]]

    assert refused(rows) == {}


def test_each_design_power_was_read_twice() -> None:
    data = shipped("cpu_tdp.json")

    assert {row["reader"] for row in data["processors"]} == set(data["readers"])
    assert all(reader["url"] and reader["date"] for reader in data["readers"].values())
    assert data["left_out"].keys().isdisjoint(row["name"] for row in data["processors"])


def test_a_table_whose_rows_upstream_made_wrong_is_refused_row_by_row() -> None:
    good = [
        Coefficient("EPYC 2nd Gen", "AuthenticAMD", 0.47, 1.69),
        Coefficient("EPYC 3rd Gen", "AuthenticAMD", 0.46, 1.96),
        Coefficient("EPYC 4th Gen", "AuthenticAMD", 0.74, 2.28),
    ]
    wrong = [
        Coefficient("EPYC 5th Gen", "AuthenticAMD", 3.68, 8.96),
        Coefficient("Graviton 4", "ARM", 0.47, 1.69),
    ]

    assert refused([*good, *wrong]).keys() == {"EPYC 5th Gen", "Graviton 4"}
    assert refused(good) == {}


def test_a_design_power_in_other_units_is_refused() -> None:
    rows = [Coefficient.of_tdp(row) for row in shipped("cpu_tdp.json")["processors"]]
    wrong = Coefficient.of_tdp(
        {"name": "in mW", "vendor": "AuthenticAMD", "tdp_w": 280_000, "threads": 128}
    )

    assert set(refused([*rows, wrong])) == {"in mW"}


@pytest.mark.parametrize(
    ("least", "most"), [(0, 1), (-1, 1), (2, 1), (math.nan, 1), (1, math.nan), (1, math.inf)]
)
def test_what_is_no_power_is_refused(least: float, most: float) -> None:
    assert refused([Coefficient("x", "v", least, most)]) == {"x": "not a power"}


@pytest.mark.parametrize("name", ["cpu_power.json", "cpu_tdp.json"])
def test_each_table_tells_version_source_date_and_licence(name: str) -> None:
    data = shipped(name)

    assert all(data[key] for key in ("version", "source", "url", "retrieved", "licence"))
    assert f"`{name}`" in (files("greenops") / "data" / "LICENSES.md").read_text("utf-8")


def test_a_vm_has_as_much_of_a_design_power_as_it_has_of_the_threads() -> None:
    shape = shipped("cpu_tdp.json")["shape"]

    one = tdp_power("EPYC 7763", Watts(280), 128, shape)

    assert one.power(1.0) * 8 == pytest.approx(280 * 8 / 128)
    assert one.power(0.0) == pytest.approx(one.full * 0.27)
    assert one.power(0.5) == pytest.approx(one.full * 0.62)
    assert (one.source, one.uncertainty) == ("tdp_model", 0.36)
