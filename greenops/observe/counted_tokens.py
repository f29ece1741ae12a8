"""`tokens`: what a language model that runs in this process read and wrote for the current span.

A GPU that works for many requests at once is shared by the tokens of each (docs/explanation/how-energy-is-shared.md). No span tells
them while it is open, so the program does.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry import trace

from greenops.domain.language_model import CallUnknown
from greenops.observe import gen_ai

if TYPE_CHECKING:
    from greenops.observe.observer import Observer

_watching: WeakSet[Observer] = WeakSet()
"""Those who keep books of this process: one, as a rule."""


def watch(observer: Observer) -> None:
    """Tell an observer of tokens from now on, for as long as it lives."""
    _watching.add(observer)


def tokens(*, input: int | None = None, output: int | None = None) -> None:  # noqa: A002
    """Count tokens onto the current span; never raises. Stability: beta.

    Call it as they come, once per pass or batch of passes: energy is shared tick by tick. Without either, the span's
    `gen_ai.usage.*` is counted, all at once and each time. Without a span nothing is. A number that cannot be tokens
    is refused with its other half, and counted in `greenops.spans.unknown` as `bad_tokens`.

    Args:
        input: Tokens that were read and computed since the last call; those from a cache draw next to nothing.
        output: Tokens that were written since then.
    """
    try:
        _count(input, output)
    except Exception:  # noqa: BLE001 - a service goes on whatever it was given to count
        _refuse(CallUnknown.BAD_TOKENS)


def _count(read: object, wrote: object) -> None:
    span = trace.get_current_span()
    context = span.get_span_context()
    if not context.is_valid or not _watching:
        return
    if read is None and wrote is None:
        said = gen_ai.tokens(getattr(span, "attributes", None) or {})
        if isinstance(said, CallUnknown):
            _refuse(said)
            return
        counts: tuple[int | None, int | None] = (said.fresh, said.output)
    else:
        counts = (_whole(read), _whole(wrote))
    if counts[0] is None or counts[1] is None:
        _refuse(CallUnknown.BAD_TOKENS)
        return
    for observer in tuple(_watching):
        observer.tokens(context.span_id, read=counts[0], written=counts[1])


def _whole(value: object) -> int | None:
    """A number of tokens; none where it is not one.

    Tensors are none: to look at one that is on a device would wait for the device.
    """
    if value is None:
        return 0
    is_other = isinstance(value, Integral) and not isinstance(value, bool | int)
    return gen_ai.count(int(value) if is_other else value)  # type: ignore[call-overload]


def _refuse(reason: CallUnknown) -> None:
    for observer in tuple(_watching):
        observer.count_unknown(reason)
