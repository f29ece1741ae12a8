"""The real Envoy follows our file, survives us, and keeps its routes over a restart."""

import subprocess
import time
from collections import Counter
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests

from greenops.adapters.clock import SystemClock
from greenops.adapters.envoy import Envoy, bootstrap, envoy_binary
from greenops.config import Settings
from greenops.demo.processes import free_ports
from greenops.domain.action import Action, Outcome, SetWeights

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(60)]


def upstream(name):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


class Gateway:
    def __init__(self, state, backends):
        binary = envoy_binary()
        if binary is None:
            pytest.skip("no Envoy; install `greenops-engine[envoy]`")
        self.binary, self.folder = binary, state / "envoy"
        self.port, self.admin = free_ports(2)
        text = bootstrap("search", backends, self.port, self.admin, self.folder)
        self.config = self.folder / "bootstrap.yaml"
        self.config.write_text(text)

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "-c", self.config, "--concurrency", "1", "--disable-hot-restart"],
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if requests.get(f"http://127.0.0.1:{self.admin}/ready", timeout=1).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.02)
        raise AssertionError("Envoy is not ready")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def split(self, count):
        with requests.Session() as session:
            url = f"http://127.0.0.1:{self.port}/"
            return Counter(session.get(url, timeout=5).text for _ in range(count))


@pytest.fixture
def gateway(tmp_path):
    servers = {name: upstream(name) for name in ("de", "se")}
    gateway = Gateway(tmp_path, {name: s.server_port for name, s in servers.items()})
    gateway.start()
    yield gateway
    gateway.kill()
    for server in servers.values():
        server.shutdown()
        server.server_close()


def send(envoy, number, weights):
    clock = SystemClock()
    change = SetWeights("search", weights)
    action = Action(f"a-{number}", "envoy", change, f"d-{number}", clock.now() + timedelta(hours=1))
    return action, envoy.apply(action)


def test_all_traffic_moves_and_stays_over_a_restart_of_envoy(gateway, tmp_path):
    envoy = Envoy(Settings(state=tmp_path), SystemClock())
    first, made = send(envoy, 1, {"de": 100, "se": 0})
    assert (made.outcome, envoy.verify(first, timedelta(seconds=5))) == (Outcome.APPLIED, True)
    assert gateway.split(200) == {"de": 200}

    second, _ = send(envoy, 2, {"de": 0, "se": 100})
    assert envoy.verify(second, timedelta(seconds=5))
    assert gateway.split(200) == {"se": 200}
    del envoy
    gateway.kill()
    gateway.start()

    assert gateway.split(200) == {"se": 200}


def test_shares_are_those_that_were_sent_and_a_rollback_restores_them(gateway, tmp_path):
    envoy = Envoy(Settings(state=tmp_path), SystemClock())
    first, _ = send(envoy, 1, {"de": 20, "se": 80})
    assert envoy.verify(first, timedelta(seconds=5))
    assert gateway.split(1000)["se"] == pytest.approx(800, abs=60)  # 4.7 standard deviations

    second, _ = send(envoy, 2, {"de": 100, "se": 0})
    assert envoy.verify(second, timedelta(seconds=5))
    undone = envoy.rollback("d-2")
    end = time.monotonic() + 5
    while envoy.served_version("search") != undone.version and time.monotonic() < end:
        time.sleep(0.02)

    assert gateway.split(1000)["se"] == pytest.approx(800, abs=60)


def test_a_table_that_a_person_changed_is_left_alone(gateway, tmp_path):
    envoy = Envoy(Settings(state=tmp_path), SystemClock())
    send(envoy, 1, {"de": 100, "se": 0})
    table = gateway.folder / "rds.yaml"
    table.write_text(table.read_text().replace("weight: 100", "weight: 60"))

    _, made = send(envoy, 2, {"de": 0, "se": 100})

    assert made.outcome is Outcome.CONFLICT
    assert "weight: 60" in table.read_text()
