"""A web source that fails in every way a service on the loopback interface can be made to."""

import gzip
import logging
import socket
import ssl
import threading
import time
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from greenops.adapters.grid_http import KeyRefused, WebSource, required, utc_now
from greenops.adapters.web_get import LONGEST
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = pytest.mark.network

KEY = "sesame-4711"


def source(url, deadline_s=5.0, key="`GREENOPS_MADE_UP_KEY`"):
    return WebSource(
        "made-up",
        url,
        key=key,
        url_setting="`GREENOPS_MADE_UP_URL`",
        secrets=(KEY,),
        deadline_s=deadline_s,
    )


@contextmanager
def answering(reply):
    with FakeWebService(lambda _: reply) as service:
        yield service


def failure(reply, *, zone="", kind=AdapterUnavailable):
    with answering(reply) as service, pytest.raises(kind) as caught:
        source(service.url).get_json("/v1/x", {"securityToken": KEY}, {"auth": KEY}, zone=zone)
    return caught.value


def test_json_comes_with_what_was_asked():
    with answering(Reply({"a": [1]})) as service:
        found = source(service.url).get_json("/v1/x", {"zone": "D E&x=y"}, {"auth-token": KEY})

    assert found == {"a": [1]}
    (asked,) = service.asked
    assert (asked.path, asked.params) == ("/v1/x", {"zone": "D E&x=y"})
    assert asked.headers["auth-token"] == KEY


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply("<!doctype html><title>Sign in</title>"), "a web page instead of JSON"),
        (Reply("no json"), "not JSON"),
        (Reply(b""), "not JSON"),
        (Reply("[" * 100_000), "not JSON"),
        (Reply("1" * 10_000), "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_in_a_line(reply, said):
    error = failure(reply)

    assert error.code == "GO0322"
    assert str(error).endswith(f"`made-up` gives no answer that makes sense at `/v1/x`: {said}")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "refuses the key (status 401)"),
        (403, "refuses the key, or its plan lacks this (status 403)"),
    ],
)
def test_a_refused_key_names_the_setting_that_holds_it_and_not_the_key(status, said):
    error = failure(Reply({"message": f"bad token {KEY}"}, status))

    assert str(error) == f"GO0321 `made-up` {said}: bad token …; check `GREENOPS_MADE_UP_KEY`"
    assert isinstance(error, KeyRefused) == (status == 401)


def test_a_source_without_a_key_refuses_to_answer():
    with answering(Reply("", 403)) as service, pytest.raises(AdapterUnavailable) as caught:
        source(service.url, key="").get_text("/")

    assert str(caught.value) == "GO0321 `made-up` refuses to answer (status 403)"


@pytest.mark.parametrize(
    ("zone", "what"), [("XX", "grid zone `XX`"), ("", "`/v1/x`")], ids=["zone", "page"]
)
def test_status_404_means_that_the_source_does_not_have_it(zone, what):
    error = failure(Reply("<html>", 404), zone=zone, kind=DataMissing)

    assert str(error) == f"GO0302 `made-up` does not have {what}"


@pytest.mark.parametrize("status", [400, 416, 422, 501])
def test_a_question_that_is_not_taken_is_missing_data_with_the_sources_words(status):
    error = failure(Reply({"detail": "range\n too long"}, status), kind=DataMissing)

    assert str(error) == (
        f"GO0324 `made-up` does not take the question (status {status}): range  too long"
    )


def test_nothing_to_say_is_missing_data():
    assert failure(Reply(b"", 204), kind=DataMissing).code == "GO0303"


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("17", 17.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("999999999", 86_400.0),
        ("soon", None),
        ("-3", None),
        ("1e999", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_how_long_a_source_asks_to_wait_is_carried(status, said, wait):
    headers = {} if said is None else {"Retry-After": said}

    error = failure(Reply("", status, headers))

    assert error.retry_after_s == wait
    assert error.code == {429: "GO0323", 503: "GO0320"}[status]


def test_a_source_may_name_the_instant_until_which_to_wait():
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)

    error = failure(Reply("", 429, {"Retry-After": in_an_hour}))

    assert error.retry_after_s == pytest.approx(3600, abs=60)


def test_a_redirect_is_not_followed_for_it_would_carry_the_key_away():
    with answering(Reply({})) as elsewhere:
        error = failure(Reply("", 302, {"Location": elsewhere.url}))

    assert elsewhere.asked == []
    assert str(error) == (
        "GO0322 `made-up` sends elsewhere (status 302); "
        "set `GREENOPS_MADE_UP_URL` to where it lives now"
    )


def test_no_message_cause_or_log_holds_a_key(caplog):
    caplog.set_level(logging.DEBUG)
    replies = [Reply({}, status) for status in (200, 302, 400, 401, 404, 429, 500)]
    told = []
    for reply in replies:
        with answering(reply) as service:
            try:
                source(service.url).get_json("/", {"securityToken": KEY}, {"auth": KEY})
            except (AdapterUnavailable, DataMissing) as error:
                told += traceback.format_exception(error, chain=True)
    with pytest.raises(AdapterUnavailable) as caught:
        source("http://127.0.0.1:9").get_json("/", {"securityToken": KEY})
    told += traceback.format_exception(caught.value, chain=True)

    assert len(told) > len(replies)
    assert "127.0.0.1" in caplog.text
    assert KEY not in "".join(told) + caplog.text + repr(source("http://127.0.0.1:9"))


def test_nobody_there_is_unavailable():
    with pytest.raises(AdapterUnavailable) as caught:
        source("http://someone:secret@127.0.0.1:9/base").get_text("/x")

    assert str(caught.value) == (
        "GO0320 `made-up` cannot be reached at `http://127.0.0.1:9/base`: "
        "no connection; refused, or no such host"
    )


def test_an_answer_that_drips_ends_at_the_deadline():
    began = time.monotonic()
    with (
        answering(Reply("x" * 1000, drip_s=0.05)) as service,
        pytest.raises(AdapterUnavailable, match=r"GO0320 .*: (no whole|the answer takes)"),
    ):
        source(service.url, deadline_s=0.5).get_text("/")

    assert time.monotonic() - began < 20


def test_an_answer_that_stops_half_way_is_told_by_its_time(monkeypatch):
    monkeypatch.setattr("greenops.adapters.web_get.TIMEOUT_S", (1.0, 0.2))
    with answering(Reply("{}", drip_s=30)) as service, pytest.raises(AdapterUnavailable) as caught:
        source(service.url).get_text("/")

    assert str(caught.value).endswith("no answer within 0.2 s")


@contextmanager
def raw(first, *, over):
    """A server that says `first` to whoever connects, then a byte now and then until `over`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(first)
                while not over.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join(5)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX-Header: "])
def test_headers_that_drip_end_at_the_deadline(first):
    began = time.monotonic()
    with raw(first, over=threading.Event()) as url, pytest.raises(AdapterUnavailable) as caught:
        source(url, deadline_s=0.3).get_text("/")

    assert "no whole answer within 0.3 s" in str(caught.value)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b" " * (LONGEST + 2)),
        Reply(gzip.compress(b" " * (LONGEST * 4)), headers={"Content-Encoding": "gzip"}),
    ],
    ids=["long", "packed small"],
)
def test_an_answer_that_is_too_long_is_not_read_to_its_end(reply):
    error = failure(reply)

    assert str(error).endswith("the answer is longer than 8 MiB")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
        Reply(b"{}", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_an_answer_that_is_garbled_is_unavailable(reply):
    assert failure(reply).code == "GO0320"


def test_an_answer_that_breaks_off_is_unavailable_and_not_shorter():
    with answering(Reply({"a": 1})) as service:
        whole = Reply({"a": 1}).content
        service.answer = lambda _: Reply(whole[:-2], headers={"Content-Length": str(len(whole))})
        with pytest.raises(AdapterUnavailable):
            source(service.url).get_json("/")


def certificate(name, *, days):
    """A certificate that signs itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")])
    end = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=9))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM) + private


HERE = x509.IPAddress(ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    ("name", "days", "trusted", "said"),
    [
        (HERE, 5, True, None),
        (HERE, 5, False, "self-signed certificate"),
        (HERE, -1, True, "certificate has expired"),
        (x509.DNSName("other.example"), 5, True, "IP address mismatch"),
    ],
    ids=["good", "unknown", "expired", "of another"],
)
def test_a_certificate_that_is_not_accepted_says_why(
    name, days, trusted, said, tmp_path, monkeypatch
):
    pem = tmp_path / "service.pem"
    pem.write_bytes(certificate(name, days=days))
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with answering(Reply({"a": 1})) as service:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        service.wrap(context)
        url = service.url.replace("http:", "https:")
        if said is None:
            assert source(url).get_json("/") == {"a": 1}
            return
        with pytest.raises(AdapterUnavailable) as caught:
            source(url).get_json("/")

    assert f"its certificate is not accepted: {said}" in str(caught.value)


def test_a_netrc_does_not_replace_the_key(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with answering(Reply({})) as service:
        source(service.url).get_json("/", headers={"Authorization": "Bearer mine"})

    assert service.asked[0].headers["authorization"] == "Bearer mine"


def test_the_proxy_of_the_environment_is_used_and_not_for_the_loopback_interface(monkeypatch):
    with answering(Reply({"by": "proxy"})) as proxy, answering(Reply({"by": "itself"})) as service:
        for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url)

        assert source("http://grid.invalid").get_json("/x") == {"by": "proxy"}
        assert source(service.url).get_json("/x") == {"by": "itself"}


@pytest.mark.parametrize("url", ["", "ftp://x", "api.example.org", "http://", "http://[::1"])
def test_what_is_no_address_is_refused_at_the_start(url):
    with pytest.raises(AdapterUnsupported, match=r"GO0325 .GREENOPS_MADE_UP_URL. must be an http"):
        WebSource("made-up", url, url_setting="`GREENOPS_MADE_UP_URL`")


@pytest.mark.parametrize("value", ["a\nb", "ключ", "a\x00b"])
def test_a_key_that_no_header_takes_is_refused_without_being_shown(value):
    with pytest.raises(AdapterUnsupported) as caught:
        required({"GREENOPS_MADE_UP_KEY": value}, "GREENOPS_MADE_UP_KEY", "the key")

    assert str(caught.value) == "GO0325 `GREENOPS_MADE_UP_KEY` holds signs that cannot be sent"


@pytest.mark.parametrize("environ", [{}, {"GREENOPS_MADE_UP_KEY": " "}])
def test_a_key_that_is_not_set_is_told_with_where_to_get_it(environ):
    with pytest.raises(AdapterUnsupported) as caught:
        required(environ, "GREENOPS_MADE_UP_KEY", "the key of your account")

    assert str(caught.value) == (
        "GO0325 `GREENOPS_MADE_UP_KEY` is not set; set it to the key of your account"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("forecast"), "`forecast` is missing"),
        (ValueError(f"`{KEY}` is no time"), "`…` is no time"),
        (TypeError("x"), "of another shape (TypeError)"),
        (IndexError("x"), "a list is shorter than it should be"),
    ],
)
def test_an_answer_of_another_shape_is_told_in_words(error, said):
    with pytest.raises(AdapterUnavailable) as caught, source("http://x").reading("/v1"):
        raise error

    assert str(caught.value) == (
        f"GO0322 `made-up` gives no answer that makes sense at `/v1`: {said}"
    )


def test_time_is_of_the_wall_and_aware():
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)
