"""Joules and grams on the spans a service already emits, and rules for where and when work runs.

Two lines instrument a service that already has an OpenTelemetry SDK:

    import greenops
    greenops.init()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["__version__", "batch", "init", "operation", "tokens", "wrap"]

if TYPE_CHECKING:
    from greenops.observe.counted_tokens import tokens
    from greenops.pipeline.instrument import batch, init, operation, wrap


def __getattr__(name: str) -> object:
    """Load the SDK when it is first used, so that `import greenops` stays light."""
    if name == "tokens":
        return import_module("greenops.observe.counted_tokens").tokens
    if name in __all__:
        return getattr(import_module("greenops.pipeline.instrument"), name)
    raise AttributeError(f"module `greenops` has no attribute `{name}`")
