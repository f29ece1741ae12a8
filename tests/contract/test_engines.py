"""Every engine gives the results of all parts, in their order, and fails in one line."""

import os
from dataclasses import dataclass

import pytest

from greenops.adapters.process_engine import ProcessEngine
from greenops.adapters.ray_engine import RayEngine
from greenops.errors import DataMissing, Unreachable
from greenops.plugins import ENGINES, load
from greenops.ports import Engine


@dataclass(frozen=True)
class Squares:
    """Work with data of its own; a part that is told to fails or dies."""

    plus: int
    fails_at: int | None = None
    dies_at: int | None = None

    def __call__(self, part):
        if part == self.fails_at:
            raise DataMissing("GO0303", f"part {part} is missing", fix="bring it")
        if part == self.dies_at:
            os._exit(1)
        return part, part * part + self.plus, os.getpid()


@pytest.fixture(scope="module", params=["threads", "processes", "ray"])
def engine(request):
    if request.param == "ray":
        pytest.importorskip("ray", reason="no Ray; `pip install greenops-engine[ray]`")
    made = load(ENGINES, request.param)(workers=2)
    yield made
    made.close()
    made.close()


pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.network]


def test_an_engine_is_one(engine):
    assert isinstance(engine, Engine)
    assert engine.name in {"threads", "processes", "ray"}


def test_results_come_in_the_order_of_the_parts_and_from_where_they_should(engine):
    found = list(engine.run(Squares(plus=7), iter(range(25))))

    assert [each[:2] for each in found] == [(at, at * at + 7) for at in range(25)]
    assert ({each[2] for each in found} == {os.getpid()}) is (engine.name == "threads")


def test_no_parts_are_no_results(engine):
    assert list(engine.run(Squares(plus=0), [])) == []


def test_few_parts_are_held_at_once(engine):
    taken = []

    def parts():
        for at in range(40):
            taken.append(at)
            yield at

    results = engine.run(Squares(plus=0), parts())
    next(results)

    assert len(taken) <= 8
    results.close()


def test_an_error_of_ours_comes_back_as_it_was_raised(engine):
    with pytest.raises(DataMissing) as caught:
        list(engine.run(Squares(plus=0, fails_at=3), range(6)))

    assert str(caught.value) == "GO0303 part 3 is missing; bring it"


def test_a_worker_that_dies_is_told_in_one_line_and_the_next_run_works(engine):
    if engine.name == "threads":
        pytest.skip("a thread dies with its process alone")
    with pytest.raises(Unreachable, match="GO0681") as caught:
        list(engine.run(Squares(plus=0, dies_at=2), range(4)))

    assert "\n" not in str(caught.value)
    assert [each[1] for each in engine.run(Squares(plus=1), range(3))] == [1, 2, 5]


def test_a_cluster_that_is_not_there_is_told(monkeypatch):
    pytest.importorskip("ray", reason="no Ray; `pip install greenops-engine[ray]`")
    import ray

    if ray.is_initialized():
        pytest.skip("this process is in a cluster already")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")

    with pytest.raises(Unreachable, match="GO0680 no cluster at `127"):
        list(RayEngine().run(Squares(plus=0), [1]))


def test_one_process_is_enough():
    assert [each[0] for each in ProcessEngine(workers=1).run(Squares(plus=0), range(3))] == [
        0,
        1,
        2,
    ]
