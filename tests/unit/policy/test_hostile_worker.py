"""The process for policies that nobody vouches for: whatever it does, the caller gets one line, and it is gone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from greenops.adapters.policy_worker import BOUNDED, Limits, isolated
from greenops.cli.main import main
from greenops.errors import PolicyFailed

ROOT = Path(__file__).parents[3] / "policies"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BOUNDED, reason="only Linux holds a process to memory and CPU time"),
]
HOGS = r"""
import os, resource, signal, socket, sys, time

def answer(request):
    return {"twice": request["number"] * 2}

def memory(request):
    return {"size": len(bytearray(8 * 2**30))}

def memory_by_and_by(request):
    held = []
    while True:
        held.append("x" * 1000)

def cpu(request):
    while True:
        pass

def wait(request):
    time.sleep(600)

def crash(request):
    os.kill(os.getpid(), signal.SIGSEGV)

def leave(request):
    os._exit(0)

def forks(request):
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(600)
    time.sleep(600)

def big(request):
    return {"text": "x" * 2**25}

def flood(request):
    while True:
        for number in range(3, 10):
            try:
                os.write(number, b"x" * 65536)
            except OSError:
                pass

def nonsense(request):
    for number in range(3, 10):
        try:
            os.write(number, b"}{")
        except OSError:
            pass
    os._exit(0)

def chatter(request):
    print("x" * 2**20, flush=True)
    os.write(2, b"x" * 2**20)
    return {}

def fault(request):
    raise ValueError("bad \x1b[2J\nthing")

def see(request):
    return {
        "open": sorted(map(int, os.listdir("/proc/self/fd"))),
        "environ": sorted(os.environ),
        "path": sys.path,
        "memory": resource.getrlimit(resource.RLIMIT_AS),
        "cpu": resource.getrlimit(resource.RLIMIT_CPU),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "processes": resource.getrlimit(resource.RLIMIT_NPROC),
        "session": os.getsid(0) == os.getpid(),
    }

def write(request):
    with open(request["path"], "w") as file:
        file.write("x")
    return {}
"""


@pytest.fixture
def hogs(tmp_path, monkeypatch):
    """A folder with the functions; its name is in the environment of all that they start."""
    (tmp_path / "hogs.py").write_text(HOGS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def alive(folder):
    """Processes that bear the folder in their environment; one that has ended has none."""
    found = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        try:
            if int(each.parent.name) != os.getpid() and str(folder).encode() in each.read_bytes():
                found.append(each.parent.name)
        except OSError:
            continue
    return found


def failure(name, folder, limits, request=None):
    with pytest.raises(PolicyFailed) as caught:
        isolated(f"hogs:{name}", request or {}, limits)
    until = time.monotonic() + 10
    while alive(folder) and time.monotonic() < until:
        pass  # a killed process is gone when the system comes round to it
    assert alive(folder) == []
    assert caught.value.code == "GO0170"
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_what_the_process_answers_comes_back(hogs):
    assert isolated("hogs:answer", {"number": 21}) == {"twice": 42}


@pytest.mark.parametrize(
    ("name", "limits", "says"),
    [
        ("memory", Limits(memory_mib=512), "needed over 512 MiB of memory"),
        ("memory_by_and_by", Limits(memory_mib=256), "needed over 256 MiB of memory"),
        ("cpu", Limits(cpu_s=1), "used over 1 s of CPU time"),
        ("wait", Limits(wall_s=2.0), "ran over 2 s"),
        ("crash", Limits(), "got SIGSEGV"),
        ("leave", Limits(), "answered nothing that can be read"),
        ("forks", Limits(wall_s=4.0), ""),
        ("big", Limits(output_mib=1), "answered more than 1 MiB"),
        ("flood", Limits(output_mib=1), "answered more than 1 MiB"),
        ("nonsense", Limits(), "answered nothing that can be read"),
        ("fault", Limits(), "ValueError: bad \\u001b[2J thing"),
    ],
)
def test_a_process_that_misbehaves_is_one_line_and_gone(hogs, name, limits, says):
    assert says in failure(name, hogs, limits)


def test_what_libraries_print_is_no_part_of_the_answer(hogs):
    assert isolated("hogs:chatter", {}) == {}


def test_the_process_writes_no_file(hogs):
    target = hogs / "made"

    said = failure("write", hogs, Limits(), {"path": str(target)})

    assert "OSError" in said
    assert not target.exists() or target.stat().st_size == 0


def test_the_process_inherits_neither_descriptors_nor_secrets(hogs, tmp_path, monkeypatch):
    monkeypatch.setenv("CI_JOB_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    with (hogs / "hogs.py").open() as held:
        os.set_inheritable(held.fileno(), True)
        seen = isolated("hogs:see", {}, Limits(memory_mib=1_024, cpu_s=5))

    assert len(seen["open"]) <= 5  # nothing three times, the answer, and the folder being listed
    assert "CI_JOB_TOKEN" not in seen["environ"]
    assert "" not in seen["path"]
    assert seen["memory"] == [2**30, 2**30]
    assert seen["cpu"] == [5, 6]
    assert seen["core"] == [0, 0]
    assert seen["processes"] == [0, 0]
    assert seen["session"]


@pytest.mark.parametrize("output", ["table", "json"])
def test_isolated_tests_say_what_tests_say(output, capsys):
    argv = ["policy", "test", str(ROOT / "demo"), "-o", output]
    code, plain = main(argv), capsys.readouterr()

    assert main([*argv, "--isolated"]) == code == 0
    assert capsys.readouterr() == plain


def test_an_isolated_error_is_the_same_line_and_code(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text("a: &a 1\n")
    argv = ["policy", "test", str(tmp_path)]
    code, plain = main(argv), capsys.readouterr()

    assert main([*argv, "--isolated"]) == code == 2
    assert capsys.readouterr() == plain
    assert "GO0105" in plain.err


def test_the_name_of_a_test_in_an_isolated_answer_moves_no_cursor(tmp_path, capsys):
    text = (ROOT / "demo" / "search.yaml").read_text()
    first = next(line for line in text.split("\n") if line.startswith("- name:"))
    (tmp_path / "x.yaml").write_text(text.replace(first, '- name: "a\\e[2Jb"'))

    assert main(["policy", "test", str(tmp_path), "--isolated"]) == 0

    assert "a\\u001b[2Jb" in capsys.readouterr().out


def test_tests_of_many_files_that_take_too_long_together_are_ended(tmp_path, capsys, monkeypatch):
    ids = ", ".join(f"{{id: c{at}, cost_usd: 1.0}}" for at in range(80))
    rules = "".join(
        f"  - {{name: c{at}, expression: candidate.cost_usd + {at}.0 < 1e9}}\n" for at in range(60)
    )
    for file in range(60):
        (tmp_path / f"x{file}.yaml").write_text(
            "apiVersion: greenops.dev/v1alpha1\nkind: PlacementPolicy\n"
            f"metadata: {{name: p{file}, owners: [a@example.com]}}\n"
            f"spec:\n  match: [{{expression: 'true'}}]\n  constraints:\n{rules}"
            "tests:\n- {name: t, job: {name: a, kind: batch}, baseline: {id: a},"
            f" expect: {{choose: a}}, candidates: [{ids}]}}\n"
        )
    short = Limits(cpu_s=3)
    monkeypatch.setattr("greenops.cli.policy_isolated._limits", lambda *, tables: short)

    assert main(["policy", "test", str(tmp_path), "--isolated"]) == 1

    said = capsys.readouterr()
    assert "GO0170" in said.err
    assert "3 s of CPU time" in said.err


def test_the_interpreter_of_the_process_is_this_one(hogs):
    (hogs / "which.py").write_text(
        "import sys\n\ndef one(request):\n    return {'at': sys.executable}\n"
    )

    assert isolated("which:one", {}) == {"at": sys.executable}
