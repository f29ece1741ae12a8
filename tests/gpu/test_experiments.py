"""The experiments find the truth of a board that is made up, in no time: they run on a device as they run here."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.gpu import experiments
from tests.gpu.experiments import Bench
from tests.gpu.page import Findings
from tests.gpu.synthetic import EACH_J, EXTRA_W, FIXED_J, REST_W, SyntheticBoard


@pytest.fixture
def bench() -> Bench:
    board = SyntheticBoard()
    return Bench(board, board, board, board.now_ns, board.sleep)


def test_steps_and_lag_of_the_counter_are_found(bench: Bench) -> None:
    found = experiments.steps(bench, 3.0)

    assert found.period_ms == pytest.approx(100, abs=2)
    assert found.longest_ms == pytest.approx(100, abs=2)
    assert 50 <= found.lag_ms <= 202


@pytest.mark.parametrize("half_s", [0.005, 0.0125, 0.1])
def test_a_part_time_load_is_seen_by_the_counter_as_it_is(bench: Bench, half_s: float) -> None:
    found = experiments.part_time(bench, half_s, 5.0)

    true = REST_W + EXTRA_W["arithmetic"] / 2
    assert found.counter_w == pytest.approx(true, rel=0.12)
    assert found.instant_w == pytest.approx(true, rel=0.15)
    assert found.average_w is not None


def test_two_kernels_in_long_turns_are_told_apart_and_in_short_ones_not(bench: Bench) -> None:
    slow = experiments.turns(bench, 3.0, 18.0, 5.0)
    quick = experiments.turns(bench, 0.02, 4.0, 5.0)

    true = EXTRA_W["arithmetic"] / EXTRA_W["waiting"]
    assert slow.alone == pytest.approx(true, rel=0.03)
    assert slow.shared == pytest.approx(true, rel=0.05)
    assert quick.shared == pytest.approx(1.0, abs=0.05)


def test_requests_of_a_batch_are_given_what_they_drew(bench: Bench) -> None:
    found = experiments.batches(bench, (1, 8, 64), 4.0)

    for each in found:
        true = FIXED_J / each.size + EACH_J
        assert each.isolated_j == pytest.approx(true, rel=0.03)
        assert each.share_j == pytest.approx(true, rel=0.05)


def test_rest_is_the_same_before_and_after(bench: Bench) -> None:
    found = experiments.rest(bench, 3, 5.0, 5.0)

    assert found.before_w == pytest.approx(REST_W, rel=0.02)
    assert found.after_w == pytest.approx(REST_W, rel=0.02)
    assert found.before_c == 40.0


def test_the_page_has_a_row_for_each_finding_and_none_is_written_without(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENOPS_GPU_FINDINGS", str(tmp_path / "page.md"))
    found = Findings("a made-up board")
    found.write()
    assert not (tmp_path / "page.md").exists()

    found.add(experiments.Batch(8, 0.08, 0.0825, 200.0))
    found.add(experiments.Rest(80.0, 81.0, None, 40.0))
    found.write()

    assert "| 8 | 0.08 | 0.0825 | 200 |" in (tmp_path / "page.md").read_text()
    assert "| 80 | 81 |  | 40 |" in found.page(date(2026, 11, 26))
