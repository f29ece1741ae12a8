"""What an instrumented service may choose, from its environment alone; a wrong value is one warning and the default."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops.errors import GreenOpsError
from greenops.units import Watts

if TYPE_CHECKING:
    from greenops.config import Settings
    from greenops.observe.idle import Idle

IDLE: Final = ("IDLE_POLICY", "IDLE_RESERVED", "IDLE_W")
"""Settings that say what idle energy is, and who answers for it."""

_log = logging.getLogger(__name__)


def service_settings(names: Iterable[str], environ: Mapping[str, str]) -> Settings:
    """Settings with those names, in capitals, as the environment says; all others at their default.

    An instrumented service lives in anyone's folder: no file there is ours to read, nor is it its fault where a
    variable for another process is wrong.

    Raises:
        UsageError: One has a value that it cannot have.
    """
    from greenops.config import PREFIX, load_settings

    ours = {name: environ[name] for name in (PREFIX + each for each in names) if name in environ}
    return load_settings(ours, Path(os.devnull))


def idle(environ: Mapping[str, str] | None = None) -> Idle:
    """Who answers for idle energy; nobody where a setting is wrong."""
    from greenops.observe.idle import SEPARATE, Idle, IdlePolicy

    try:
        chosen = service_settings(IDLE, os.environ if environ is None else environ)
    except GreenOpsError as error:
        _log.warning("GO0734 idle energy stays apart: %s", error)
        return SEPARATE
    pairs = (each.strip().rpartition("=") for each in chosen.idle_w.split(",") if each.strip())
    watts = {device: Watts(float(told)) for device, _, told in pairs}
    return Idle(IdlePolicy(chosen.idle_policy), chosen.idle_reserved, watts)


def switched_on(variable: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether something that is on by default stays so; on where the word is neither `true` nor `false`."""
    said = (os.environ if environ is None else environ).get(variable, "")
    word = said.strip().lower()
    if word not in {"", "true", "false"}:
        _log.warning(
            "GO0733 `%s` must be `true` or `false`, not `%s`: taken as `true`", variable, said
        )
    return word != "false"
