"""Puts together what spans carry beyond their own energy, from the settings of the traced process."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops.errors import GreenOpsError
from greenops.pipeline.service_settings import service_settings

if TYPE_CHECKING:
    from greenops.config import Settings
    from greenops.domain.language_model import LanguageModelTable
    from greenops.observe.embodied import Machine
    from greenops.observe.remote_call import RemoteCalls
    from greenops.observe.span_parts import Network, SpanParts

OFF: Final = "off"
VARIABLES: Final = (
    "LANGUAGE_MODEL_CALLS",
    "LANGUAGE_MODEL_TIER",
    "LANGUAGE_MODELS",
    "METERED_SERVERS",
    "SPAN_PARTS",
    "EMBODIED_G",
    "EMBODIED_LIFETIME_YEARS",
    "EMBODIED_VCPUS",
)
"""Settings that an instrumented service reads, from the environment alone."""

_log = logging.getLogger(__name__)


def span_parts(environ: Mapping[str, str] | None = None) -> SpanParts:
    """Parts as the environment says; a wrong setting leaves its spans without them, never the program without spans."""
    from greenops.observe.span_parts import SpanParts

    try:
        return build(service_settings(VARIABLES, os.environ if environ is None else environ))
    except GreenOpsError as error:
        _log.warning("GO0730 spans carry their own energy alone: %s", error)
        return SpanParts()


def build(settings: Settings) -> SpanParts:
    """Parts as settings say.

    Raises:
        InvalidFile: The file of own language models is not one.
    """
    from greenops.observe.span_parts import Part, SpanParts

    table = _table(settings.language_models)
    words = {each.strip() for each in settings.span_parts.split(",")}
    asked = frozenset(each for each in Part if each.value in words)
    off, flops = settings.language_model_calls == OFF, Part.FLOPS in asked
    return SpanParts(
        None if off else _calls(settings, table, flops),
        machine=_machine(settings),
        network=_network(table) if Part.NETWORK in asked else None,
        asked=asked,
    )


@cache
def _table(path: Path | None) -> LanguageModelTable:
    from greenops.adapters import language_model_file as file

    table = file.shipped()
    return table if path is None else file.with_own(table, path)


def _calls(settings: Settings, table: LanguageModelTable, flops: bool) -> RemoteCalls:
    from greenops.adapters.language_model_file import version
    from greenops.observe.call_place import Places
    from greenops.observe.language_model import LanguageModels
    from greenops.observe.remote_call import RemoteCalls

    places = Places(
        settings.metered_servers.split(","), all_calls=settings.language_model_calls == "all"
    )
    models = LanguageModels(table, settings.language_model_tier or None)
    return RemoteCalls(models, version(table), places, flops=flops)


def _machine(settings: Settings) -> Machine | None:
    from greenops.observe.embodied import YEAR_S, Machine
    from greenops.units import Grams, Seconds

    if not settings.embodied_g:
        return None
    vcpus = settings.embodied_vcpus or os.cpu_count() or 1
    lifetime = Seconds(settings.embodied_lifetime_years * YEAR_S)
    return Machine(Grams(settings.embodied_g), lifetime, vcpus)


def _network(table: LanguageModelTable) -> Network:
    from greenops.observe.span_parts import Network
    from greenops.units import Kwh

    figure = table.figures["network"]
    return Network(Kwh(figure.low or 0.0), Kwh(figure.high or 0.0))
