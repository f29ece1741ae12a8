"""The bodies of OTLP requests: protobuf or JSON, plain or gzip; whatever else comes is refused in one line."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

LARGEST: Final = 16 * 2**20
"""Largest message that is taken [bytes], after decompression."""
PROTOBUF: Final = "application/x-protobuf"
IDS: Final = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
"""Hex digits of an id. Source: OTLP specification, JSON Protobuf encoding."""

M = TypeVar("M", bound=Message)


class Refused(Exception):
    """Why a request is not taken, in one line, and the HTTP status that says so."""

    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(why)


def decoded(body: bytes, encoding: str) -> bytes:
    """A body without its content encoding.

    Raises:
        Refused: It is not encoded so, or is larger than what is taken.
    """
    if encoding == "gzip":
        return _inflated(body)
    if encoding in ("", "identity"):
        return body
    raise Refused(415, f"GO0504 content encoding `{encoding[:40]}`; send plain or gzip")


def _inflated(body: bytes) -> bytes:
    found = b""
    # A gzip file is one member after another, and each is part of the message.
    while body:
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            found += inflater.decompress(body, LARGEST + 1 - len(found))
        except zlib.error as error:
            raise Refused(400, f"GO0503 not gzip: {error}") from error
        if len(found) > LARGEST:
            raise Refused(
                413, f"GO0502 inflates to more than {LARGEST} bytes; send smaller batches"
            )
        if not inflater.eof:
            raise Refused(400, "GO0503 not gzip: it ends too early")
        body = inflater.unused_data
    return found


def parsed(body: bytes, kind: str, empty: M) -> M:
    """A message from its bytes.

    Raises:
        Refused: They are none, or of another content type.
    """
    try:
        if kind == "application/json":
            return _of_json(json.loads(body, object_hook=_ids), empty)
        if kind == PROTOBUF:
            empty.ParseFromString(body)
            return empty
    except RecursionError as error:
        raise Refused(400, "GO0503 not an OTLP message: nested too deep") from error
    except (DecodeError, json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Refused(400, f"GO0503 not an OTLP message: {first}") from error
    raise Refused(415, f"GO0504 content type `{kind[:40]}`; send application/x-protobuf or JSON")


def _of_json(known: object, empty: M) -> M:
    if not isinstance(known, dict):
        raise TypeError('an object is needed, such as `{"resourceSpans": []}`')
    json_format.ParseDict(known, empty, ignore_unknown_fields=True)
    return empty


def _ids(value: dict[str, Any]) -> dict[str, Any]:
    # OTLP/JSON writes ids as hex where protobuf's own JSON has base64.
    for name, digits in IDS.items():
        found = value.get(name)
        if isinstance(found, str) and len(found) == digits:
            value[name] = base64.b64encode(bytes.fromhex(found)).decode()
    return value
