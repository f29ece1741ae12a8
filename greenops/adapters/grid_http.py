"""Asking a web service for grid data or prices: within time and size, with every failure one line, no key told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from greenops.adapters.clock import SystemClock
from greenops.adapters.web_get import web_get
from greenops.errors import (
    AdapterUnavailable,
    AdapterUnsupported,
    DataMissing,
    GreenOpsError,
    one_line,
)

DEADLINE_S: Final = 20.0
"""How long a whole answer may take, names looked up included [s]."""
LONGEST_WAIT_S: Final = 86_400.0
"""Longest wait that a source may ask for and is believed [s]."""
WORDS: Final = 160
"""Most characters of a source's own words that are shown."""
Now = Callable[[], datetime]
"""Tells the wall time, aware UTC."""
HIDDEN: Final = "…"
SUCCESS, REDIRECT, CLIENT = 2, 3, 4
"""Classes of HTTP status: the first digit."""
NONSENSE: Final = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What taking an answer apart may raise where it is not what was asked for."""


class KeyRefused(AdapterUnavailable):
    """The key is not valid, or no longer: status 401."""


@dataclass(frozen=True, slots=True)
class WebSource:
    """A web service that answers GET.

    Attributes:
        name: How errors call it: `electricitymaps`.
        url: Its address without a closing slash.
        key: The setting that holds its key, as errors name it, or several: "`A` and `B`"; empty where it takes none.
        url_setting: The setting that holds its address, in the same way; empty where there is none.
        secrets: What no error may repeat, whoever says it.
        deadline_s: How long a whole answer may take [s].
        plan_lacks: Whether a refusal, by status and text, means that the plan does not cover what was asked for, and
            not that the key is wrong; then other questions may still be answered.
    """

    name: str
    url: str = field(repr=False)
    key: str = ""
    url_setting: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    deadline_s: float = DEADLINE_S
    plan_lacks: Callable[[int, str], bool] = lambda _status, _text: False

    def __post_init__(self) -> None:
        """Refuse what is no address.

        Raises:
            AdapterUnsupported: The address is not one of the web.
        """
        if not _is_http(self.url):
            raise AdapterUnsupported(
                "GO0325",
                f"{self.url_setting or f'`{self.name}`'} must be an http address, as `https://api.example.org`",
            )

    def get_json(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        auth: tuple[str, str] | None = None,
        zone: str = "",
    ) -> Any:
        """The JSON at a path below the address.

        Args:
            path: Begins with a slash.
            params: Of the query.
            headers: Further ones; the place for a key, where the source takes it there.
            auth: User and password, for the few that want Basic.
            zone: What is asked about; status 404 says that the source does not have it.

        Raises:
            AdapterUnavailable: It does not answer now, refuses the key, or gives no JSON.
            DataMissing: It does not know what was asked for.
        """
        text = self.get_text(path, params, headers, auth=auth, zone=zone)
        with self.reading(path):
            return _json(text)

    def get_text(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        auth: tuple[str, str] | None = None,
        zone: str = "",
    ) -> str:
        """The text at a path below the address; arguments and errors as of `get_json`."""
        answer = web_get(self.url + path, params or {}, headers or {}, auth, self.deadline_s)
        if isinstance(answer, str):
            raise AdapterUnavailable(
                "GO0320", f"`{self.name}` cannot be reached at `{self.shown}`: {answer}"
            )
        if answer.status == HTTPStatus.NO_CONTENT:
            raise DataMissing("GO0303", f"`{self.name}` has nothing to say to that")
        if answer.status // 100 == SUCCESS:
            return answer.text
        words = self._words(answer.text)
        if self.plan_lacks(answer.status, answer.text):
            raise DataMissing(
                "GO0326",
                f"the plan of {self.key} does not cover what `{self.name}` was asked for"
                f" (status {answer.status}){words}",
            )
        raise self._refused(path, answer.status, answer.headers, words, zone)

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Take an answer apart in here; what does not fit becomes the one error for it.

        Raises:
            AdapterUnavailable: The answer is not what the source is documented to give.
        """
        try:
            yield
        except NONSENSE as error:
            why = self.hide(_why(error))
        else:
            return
        raise AdapterUnavailable(
            "GO0322", f"`{self.name}` gives no answer that makes sense at `{path}`: {why}"
        )

    @property
    def shown(self) -> str:
        """The address without the password that may be in it, and without a query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _refused(
        self, path: str, status: int, headers: Mapping[str, str], words: str, zone: str
    ) -> GreenOpsError:
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                known = status == HTTPStatus.FORBIDDEN
                what = f"the key{', or its plan lacks this' * known}" if self.key else "to answer"
                fix = f"check {self.key}" if self.key else None
                return (AdapterUnavailable if known else KeyRefused)(
                    "GO0321", f"`{self.name}` refuses {what} (status {status}){words}", fix=fix
                )
            case HTTPStatus.NOT_FOUND:
                what = f"grid zone `{zone}`" if zone else f"`{path}`"
                return DataMissing("GO0302", f"`{self.name}` does not have {what}{words}")
            case HTTPStatus.TOO_MANY_REQUESTS:
                wait = _retry_after(headers)
                then = "" if wait is None else f"; it asks to wait {wait:.0f} s"
                return AdapterUnavailable(
                    "GO0323", f"`{self.name}` was asked too often{then}", retry_after_s=wait
                )
            case _ if status // 100 == REDIRECT:
                why = f"sends elsewhere (status {status})"
                fix = f"set {self.url_setting or 'the address'} to where it lives now"
                return AdapterUnavailable("GO0322", f"`{self.name}` {why}", fix=fix)
            case _ if status // 100 == CLIENT or status == HTTPStatus.NOT_IMPLEMENTED:
                why = f"does not take the question (status {status}){words}"
                return DataMissing("GO0324", f"`{self.name}` {why}")
            case _:
                wait = _retry_after(headers)
                why = f"`{self.name}` fails (status {status})"
                return AdapterUnavailable("GO0320", why, retry_after_s=wait)

    def _words(self, text: str) -> str:
        """What the source says of a refusal, where it says it in a known way."""
        try:
            said = json.loads(text)
            found = [said[each] for each in ("message", "detail", "error") if each in said]
        except NONSENSE:
            return ""
        words = [each for each in found if isinstance(each, str)]
        return f": {self.hide(words[0])}" if words else ""

    def hide(self, text: str) -> str:
        """The source's own words as an error may repeat them: one short line, without a secret."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN) if secret else text
        return one_line(text, WORDS)


def utc_now() -> datetime:
    """Wall time, aware UTC; live sources know no other."""
    return SystemClock().wall()


def required(environ: Mapping[str, str], variable: str, what: str) -> str:
    """A setting without which a source cannot be asked.

    Raises:
        AdapterUnsupported: It is not set.
    """
    value = environ.get(variable, "").strip()
    if not value:
        raise AdapterUnsupported("GO0325", f"`{variable}` is not set", fix=f"set it to {what}")
    # A header takes only these, and an error of the one that sends it would show the value.
    if not (value.isascii() and value.isprintable()):
        raise AdapterUnsupported("GO0325", f"`{variable}` holds signs that cannot be sent")
    return value


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _json(text: str) -> Any:
    if text.lstrip()[:1] == "<":
        raise ValueError("a web page instead of JSON")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the source asks to wait; none where it says nothing that can be believed."""
    said = headers.get("Retry-After", "").strip()
    try:
        wait = float(said) if said[:1].isdigit() else _seconds_until(said)
    except NONSENSE:
        return None
    return min(wait, LONGEST_WAIT_S) if math.isfinite(wait) and wait >= 0 else None


def _seconds_until(said: str) -> float:
    at = parsedate_to_datetime(said)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - utc_now()).total_seconds())


def _why(error: Exception) -> str:
    match error:
        case KeyError():
            return f"`{error.args[0] if error.args else ''}` is missing"
        case ValueError():
            return str(error)
        case IndexError():
            return "a list is shorter than it should be"
        case _:
            return f"of another shape ({type(error).__name__})"
