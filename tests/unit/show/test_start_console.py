"""`greenops console` starts Streamlit on the loopback address, or says what is missing."""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
from itertools import pairwise

import pytest
import requests
from requests.adapters import HTTPAdapter, Retry

from greenops.adapters.packaged import packaged
from greenops.cli import console
from greenops.cli.main import main
from greenops.demo.processes import free_ports
from greenops.errors import Unreachable
from greenops.show.control import api_url


def test_the_console_listens_on_the_loopback_address_and_tells_nobody():
    words = console.command("app.py", 8501)

    pairs = dict(pairwise(words))
    assert pairs["--server.address"] == "127.0.0.1"
    assert pairs["--browser.gatherUsageStats"] == "false"
    assert pairs["--client.showErrorDetails"] == "none"
    assert pairs["--server.port"] == "8501"


def test_without_streamlit_the_console_says_how_to_install_it():
    with pytest.raises(Unreachable, match=r"GO0907 .*pip install greenops-engine\[console\]"):
        console.need_streamlit("streamlit_that_is_not_there")


@pytest.mark.network
def test_a_taken_port_is_one_line_and_exit_code_4(capsys):
    pytest.importorskip("streamlit")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        code = main(["console", "--port", str(port)])

    assert code == 4
    assert capsys.readouterr().err == (
        f"greenops: GO0501 port {port} on 127.0.0.1 is taken; "
        "end what listens there, or take another with `--port`\n"
    )


@pytest.mark.slow
def test_the_child_gets_the_address_of_the_api_and_gives_its_exit_code():
    check = "import os, sys; sys.exit(7 if os.environ['GREENOPS_API'] == 'http://x' else 1)"

    assert console.start([sys.executable, "-c", check], "http://x") == 7


def test_the_command_takes_a_port_and_an_address():
    parser = argparse.ArgumentParser()
    console.add_parser(parser.add_subparsers())

    args = parser.parse_args(["console", "--port", "8600", "--api", "http://x"])

    assert (args.port, args.api, args.run) == (8600, "http://x", console.run)


@pytest.mark.parametrize("name", ["policies", "dashboards", "collectors", "app.py"])
def test_packaged_files_are_found_in_the_checkout(name):
    assert packaged(name).exists()


def test_the_wheel_copy_comes_before_the_checkout(tmp_path):
    (tmp_path / "greenops" / "_files" / "policies").mkdir(parents=True)
    (tmp_path / "policies").mkdir()

    found = packaged("policies", tmp_path / "greenops")

    assert found == tmp_path / "greenops" / "_files" / "policies"


@pytest.mark.parametrize("name", ["policies", "secrets"])
def test_a_file_that_is_not_there_is_one_line(tmp_path, name):
    with pytest.raises(Unreachable, match=f"GO0908 .*`{name}`"):
        packaged(name, tmp_path / "greenops")


def test_the_api_address_has_a_default():
    assert api_url({}) == "http://127.0.0.1:8710"
    assert api_url({"GREENOPS_API": "http://127.0.0.1:9000/"}) == "http://127.0.0.1:9000"


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(90)
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_console_answers_on_its_port_and_ends_with_its_child_when_told(tmp_path, told):
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "greenops.cli.main", "console", "--port", str(port)]
    # A test run in the background inherits an ignored SIGINT; a person at a terminal does not.
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import argparse; from greenops.cli import console as c; p = argparse.ArgumentParser(); c.add_parser(p.add_subparsers()); a = p.parse_args({words[3:]!r}); raise SystemExit(a.run(a))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert healthy(port)
        finally:
            child.send_signal(told)
        assert child.wait(20) == 0
    assert not answers(port)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def healthy(port: int) -> bool:
    session = requests.Session()
    # Without `total=None` ten tries are all, 5 s, whatever `connect` says.
    tries = Retry(total=None, connect=60, backoff_factor=0.1, backoff_max=0.5)
    session.mount("http://", HTTPAdapter(max_retries=tries))
    return session.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).text == "ok"
