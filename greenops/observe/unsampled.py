"""Lets a provider record the spans that its sampler drops, so that their energy has a name; exports none of them.

Checked against opentelemetry-sdk 1.43.0 to 1.45.2: a provider hands its `sampler` to each tracer it makes, and keeps
those tracers in `_tracers`.
"""

# ruff: noqa: SLF001 - the SDK has no public way to change the sampler of tracers that are there
from __future__ import annotations

import logging
from typing import Any, Final

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult

from greenops.observe.attach import EXPORTING, leaves

SAFE_ENDS: Final = tuple(each.on_end for each in (SpanProcessor, *EXPORTING))
"""What processors do at a span's end that pass over spans which are not sampled, or do nothing."""

_log = logging.getLogger(__name__)


class RecordDropped(Sampler):
    """What a sampler says, with `RECORD_ONLY` for `DROP`: the `AlwaysRecordSampler` that the SDK has from 1.45 on."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(self, *args: Any, **named: Any) -> SamplingResult:
        """Ask the inner sampler with what it was asked, and let nothing be dropped."""
        said = self._inner.should_sample(*args, **named)
        if said.decision is not Decision.DROP:
            return said
        return SamplingResult(Decision.RECORD_ONLY, said.attributes, said.trace_state)

    def get_description(self) -> str:
        """The inner sampler's, inside of our name."""
        return f"RecordDropped{{{self._inner.get_description()}}}"


class Unsampled:
    """The provider's sampler, wrapped so that a dropped span is recorded and not exported.

    Left as it is where a processor of the service's own might take such a span for a sampled one.

    Args:
        provider: Of the SDK.
        ours: Our processor, which looks at the flag.
    """

    def __init__(self, provider: TracerProvider, ours: SpanProcessor) -> None:
        self._provider = provider
        self._before = provider.sampler
        self._after = RecordDropped(self._before)
        self.recorded = _records_all(self._before)
        """True where every span is seen."""
        active: Any = provider._active_span_processor
        others = [each for each in active._span_processors if each is not ours]
        strange = [leaf for each in others for leaf in leaves(each) if _strange(leaf)]
        if self.recorded:
            return
        if strange:
            _log.warning(
                "GO0709 span processor `%s` may export spans that are not sampled, so the sampler stays as it is; "
                "energy of spans that it drops is unattributed",
                type(strange[0]).__name__,
            )
            return
        self._replace(self._before, self._after)
        self.recorded = True

    def undo(self) -> None:
        """Give the sampler back."""
        self._replace(self._after, self._before)

    def _replace(self, old: object, new: Any) -> None:
        with self._provider._tracers_lock:
            owners: list[Any] = [self._provider, *self._provider._tracers.values()]
            for each in owners:
                if each.sampler is old:
                    each.sampler = new


def _strange(processor: SpanProcessor) -> bool:
    return "on_end" in vars(processor) or type(processor).on_end not in SAFE_ENDS


def _records_all(sampler: Sampler) -> bool:
    # By its name, since an SDK before 1.45 has no such class to compare with.
    return sampler is ALWAYS_ON or type(sampler).__name__ in {
        "AlwaysRecordSampler",
        "RecordDropped",
    }
