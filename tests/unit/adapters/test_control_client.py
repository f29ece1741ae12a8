"""The control loop over HTTP: records out, or one line."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from greenops.adapters.control_client import ControlClient
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import JobRequest, SendOrder, WhatIfQuestion
from greenops.domain.record import plain
from greenops.errors import AdapterUnavailable, DataMissing, UsageError
from greenops.ports import ControlPlane
from greenops.testing.clock import START

pytestmark = pytest.mark.network

RECEIPT = Receipt("a-1", "d-1", "local-process", "start_job", Outcome.APPLIED, "started", at=START)


class FakeLoop:
    """Answers every request with what the test says, and remembers what it was asked."""

    def __init__(self):
        self.status, self.answer = 200, b"null"
        self.asked: list[tuple[str, str, object]] = []
        loop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                loop.asked.append((self.command, self.path, json.loads(body) if body else None))
                self.send_response(loop.status)
                self.send_header("Content-Length", str(len(loop.answer)))
                self.end_headers()
                self.wfile.write(loop.answer)

            do_POST = do_GET  # noqa: N815  (http.server's name)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def loop():
    loop = FakeLoop()
    yield loop
    loop.server.shutdown()
    loop.server.server_close()


@pytest.fixture
def client(loop):
    with ControlClient(loop.url) as client:
        yield client


def test_it_is_a_control_plane(client):
    assert isinstance(client, ControlPlane) or set(dir(ControlPlane)) <= set(dir(client))


def test_a_receipt_goes_out_as_its_plain_record(client, loop):
    client.accept(RECEIPT)

    assert loop.asked == [("POST", "/v1/receipts", plain(RECEIPT))]


def test_a_record_comes_back_whole(client, loop):
    loop.answer = json.dumps(plain(RECEIPT)).encode()

    assert client.send(SendOrder("w-1", "ops@example.com")) == RECEIPT


def test_an_id_cannot_leave_its_place_in_the_path(client, loop):
    loop.status, loop.answer = 404, b'{"error": "GO0601 no decision `../x`"}'

    with pytest.raises(DataMissing, match=r"^GO0601 no decision"):
        client.decision("../x")
    assert loop.asked[0][1] == "/v1/decisions/..%2Fx"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, UsageError), (404, DataMissing), (503, AdapterUnavailable)]
)
def test_the_servers_own_line_is_told(client, loop, status, kind):
    loop.status, loop.answer = status, b'{"error": "GO0201 unknown workload `x`; known: night"}'

    with pytest.raises(kind, match=r"^GO0201 unknown workload `x`; known: night$"):
        client.submit(JobRequest("x", "x/1", START))


@pytest.mark.parametrize("answer", [b"<html>", b"{", b"[1]", b'{"id": 1}'])
def test_an_answer_without_sense_is_unavailable(client, loop, answer):
    loop.answer = answer

    for call in (
        client.overview,
        client.decisions,
        lambda: client.what_if(WhatIfQuestion("night", 3, 0.1, move_regions=True)),
    ):
        with pytest.raises(AdapterUnavailable, match="GO0611"):
            call()


def test_a_list_of_decisions_may_be_empty(client, loop):
    loop.answer = b"[]"

    assert client.decisions() == []


def test_an_error_without_a_line_names_the_status(client, loop):
    loop.status, loop.answer = 500, b'"oops"'

    with pytest.raises(AdapterUnavailable, match=r"GO0612 .*HTTP 500"):
        client.overview()


def test_no_server_is_unavailable(loop):
    loop.server.shutdown()
    loop.server.server_close()

    with ControlClient(loop.url) as client, pytest.raises(AdapterUnavailable, match="GO0610"):
        client.overview()
