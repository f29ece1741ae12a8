"""A process of the demo that does not start says why, and what to do."""

from __future__ import annotations

import pytest

from greenops.demo import processes
from greenops.demo.processes import Household, free_ports
from greenops.errors import Unreachable


def refusal(folder, script: str) -> str:
    """The line about a process that runs a script instead of a service."""
    (folder / "faulty.py").write_text(script)
    with Household(folder / "logs", {"PYTHONPATH": str(folder)}) as house:
        child = house.start("search", "faulty")
        child.process.wait()
        with pytest.raises(Unreachable) as error:
            house.wait_ready(child, "http://127.0.0.1:9/healthz")
    return str(error.value)


def test_a_module_that_is_not_installed_names_the_extra_and_the_lock(tmp_path):
    line = refusal(tmp_path, "import module_that_is_not_there")

    assert line.startswith("GO0911 `search` did not start: ModuleNotFoundError: ")
    assert "`pip install greenops-engine[demo]`" in line
    assert "locks/demo-models.txt" in line
    assert line.endswith("search.log")


def test_another_fault_names_the_log_alone(tmp_path):
    line = refusal(tmp_path, "raise SystemExit('no room')")

    assert line == (
        f"GO0911 `search` did not start: no room; see {tmp_path / 'logs' / 'search.log'}"
    )


@pytest.mark.enable_socket
def test_a_port_is_given_once_and_below_those_of_connections():
    found = [port for _ in range(50) for port in free_ports(3)]

    assert len(set(found)) == 150
    assert all(15_000 <= port < 32_000 for port in found)


@pytest.mark.enable_socket
def test_more_ports_than_are_left_say_so(monkeypatch):
    monkeypatch.setattr(processes, "PORTS", range(15_000, 15_002))
    monkeypatch.setattr(processes, "_given", {15_001})

    with pytest.raises(Unreachable, match="GO0501"):
        free_ports(2)
