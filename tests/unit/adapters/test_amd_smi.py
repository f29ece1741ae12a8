"""No machine here has such a board: the library is a fake with the calls of `amdsmi` 7.0."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from greenops.adapters.amd_smi import discover
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.meter_systems import FakeAmdSmi


def test_counts_times_their_resolution_are_microjoules() -> None:
    library = FakeAmdSmi({"a": 2_000_000, "b": None, "c": 0}, resolution=15.25)
    library.limits["a"] = 750_000_000

    meters = discover(library)

    assert [meter.info.device for meter in meters] == ["AMD-uuid-a", "AMD-uuid-c"]
    assert [meter.info.rated_power for meter in meters] == [750.0, None]
    assert meters[0].read().joules == 30.5
    for meter in meters:
        meter.close()
        meter.close()
    assert library.users == 0


def test_a_limit_in_watts_of_an_older_library_is_understood() -> None:
    library = FakeAmdSmi({"a": 1})
    library.limits["a"] = 750

    assert discover(library)[0].info.rated_power == 750.0


@pytest.mark.parametrize("resolution", [math.nan, math.inf, -1.0, None, "x"])
def test_a_count_that_is_no_energy_is_unavailable(resolution: Any) -> None:
    library = FakeAmdSmi({"a": 1})
    (meter,) = discover(library)

    library.resolution = resolution

    with pytest.raises(AdapterUnavailable, match="GO0717"):
        meter.read()


def test_a_board_that_vanishes_is_unavailable() -> None:
    library = FakeAmdSmi({"a": 1})
    (meter,) = discover(library)

    library.boards.clear()

    with pytest.raises(AdapterUnavailable, match="GO0717"):
        meter.read()
    meter.close()
    with pytest.raises(AdapterUnavailable, match="closed"):
        meter.read()


@pytest.mark.parametrize("library", [FakeAmdSmi({}), FakeAmdSmi({"a": 1}, driver=False)])
def test_a_machine_without_driver_or_board_has_no_meter(library: FakeAmdSmi) -> None:
    with pytest.raises(AdapterUnsupported, match="GO0717"):
        discover(library)

    assert library.users == 0


def test_a_package_that_cannot_be_imported_tells_the_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", None)

    with pytest.raises(AdapterUnsupported, match=r"not installed; install .* ROCm"):
        discover()


def test_a_package_that_does_not_find_its_library_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "amdsmi.py").write_text(
        "print('Unable to find libamd_smi.so')\nraise KeyError('libamd_smi.so')"
    )
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(AdapterUnsupported, match="libamd_smi"):
        discover()
    assert capsys.readouterr().out == ""
