"""One GET over the web: within time and size, and a failure in words that hold neither address nor key."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUT_S: Final = (5.0, 10.0)
"""How long a connection and one piece of an answer may take [s]."""
LONGEST: Final = 8 * 2**20
"""Longest answer that is read, unpacked [bytes]; a zone's year of hours is about 2 MB."""
PIECE: Final = 65_536
THREAD: Final = "greenops-get"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: status, headers by name in any case, and the text."""

    status: int
    headers: Mapping[str, str]
    text: str


def web_get(
    url: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    auth: tuple[str, str] | None,
    deadline_s: float,
) -> Answer | str:
    """What is at an address, or in words why nothing came; no error is raised, for its words may hold a key.

    It is asked in a thread, since looking up a name and headers that trickle know no timeout. Redirects are not
    followed: they would carry the key elsewhere.

    Args:
        url: Of http or https, without a query.
        params: Of the query.
        headers: Further ones.
        auth: User and password for Basic; none leaves `headers` alone, also where a `.netrc` knows the host.
        deadline_s: Longest wait for all of it [s].
    """
    found: list[Answer | str] = []

    def ask() -> None:
        try:
            with _session(url) as session:
                session.auth = auth or _no_netrc
                answer = session.get(
                    url,
                    params=dict(params),
                    headers={"Accept": "application/json, */*;q=0.5", **headers},
                    timeout=TIMEOUT_S,
                    stream=True,
                    allow_redirects=False,
                )
                text = _text(answer, deadline_s)
                found.append(Answer(answer.status_code, answer.headers, text))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told by its kind
            found.append(_failure(error))

    logging.getLogger("urllib3.connectionpool").addFilter(_FILTER)
    worker = threading.Thread(target=ask, name=THREAD, daemon=True)
    worker.start()
    worker.join(deadline_s)
    return found[0] if found else f"no whole answer within {deadline_s:g} s"


def _session(url: str) -> Session:
    """Honours the proxies and authorities of the environment, and nothing else that lies there."""
    import requests
    from requests.utils import get_environ_proxies

    session = requests.Session()
    session.trust_env = False
    if urlsplit(url).hostname not in LOOPBACK:
        session.proxies = dict(get_environ_proxies(url, None))
    authority = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    session.verify = authority or True
    return session


def _no_netrc(request: Any) -> Any:
    """Leaves the request's own authorization as it is."""
    return request


def _text(answer: Response, deadline_s: float) -> str:
    """The body, as it comes.

    Raises:
        ValueError: It is too long, or takes too long.
    """
    until, text = time.monotonic() + deadline_s, bytearray()
    while piece := answer.raw.read1(PIECE, decode_content=True):
        text += piece
        if len(text) > LONGEST:
            raise ValueError(f"the answer is longer than {LONGEST // 2**20} MiB")
        if time.monotonic() > until:
            raise ValueError("the answer takes too long")
    return text.decode("utf-8-sig", errors="replace")


def _failure(error: Exception) -> str:
    """Why nothing came, without the words of the error: they hold the address, and it may hold a key."""
    import requests
    import urllib3

    match error:
        case requests.exceptions.SSLError():
            return f"its certificate is not accepted{_certificate(error)}"
        case requests.exceptions.ProxyError():
            return "the proxy of the environment does not answer"
        case requests.exceptions.ConnectTimeout():
            return f"no connection within {TIMEOUT_S[0]:g} s"
        case requests.exceptions.Timeout() | urllib3.exceptions.TimeoutError() | TimeoutError():
            return f"no answer within {TIMEOUT_S[1]:g} s"
        case requests.exceptions.ConnectionError():
            return "no connection; refused, or no such host"
        case ValueError() if type(error) is ValueError:
            return str(error)
    return f"the answer breaks off or is garbled ({type(error).__name__})"


def _certificate(error: BaseException) -> str:
    """What OpenSSL has against it, from the innermost error."""
    import ssl

    seen: BaseException | None = error
    for _ in range(8):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f": {seen.verify_message}"
        inner = [each for each in getattr(seen, "args", ()) if isinstance(each, BaseException)]
        reason = getattr(seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else next(iter(inner), None)
    return ""


class _WithoutQueries(logging.Filter):
    """Takes queries out of the HTTP library's own log lines of our requests: some sources want their key there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line, without what follows a question mark."""
        if record.threadName == THREAD and isinstance(record.args, tuple):
            record.args = tuple(
                each.partition("?")[0] if isinstance(each, str) else each for each in record.args
            )
        return True


_FILTER: Final = _WithoutQueries()
