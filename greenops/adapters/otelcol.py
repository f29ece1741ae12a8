"""The OpenTelemetry Collector on this machine: where it is, and what it says of a configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from greenops.errors import InvalidFile, Location, Unreachable, UsageError

NAMES: Final = ("otelcol-greenops", "otelcol-contrib", "otelcol-k8s", "otelcol")
"""Distributions, the one with just the components of `collectors/` first."""
BUILT: Final = "otelcol-greenops"
PATIENCE_S: Final = 60.0
"""Wall seconds that a Collector has to read a configuration [s]."""


def peers_folder() -> Path:
    """Where `make peers` puts what it builds."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "greenops" / "peers" / "bin"


def find() -> Path | None:
    """A Collector on the path, or one that `make peers` built; none where there is none."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    built = peers_folder() / BUILT
    return built if os.access(built, os.X_OK) else None


def validate(configuration: Path, collector: Path | None = None) -> Path:
    """Let a Collector check a configuration, with the files that it takes in.

    Returns:
        The Collector that found nothing wrong.

    Raises:
        InvalidFile: It refuses the configuration; its first reason is in the line.
        Unreachable: There is no Collector here, or it does not run.
        UsageError: There is no such file.
    """
    if not configuration.is_file():
        raise UsageError(
            "GO0924",
            f"{configuration}: no such file",
            fix="write one with `greenops collector render --role gateway -o DIR`",
        )
    binary = collector or find()
    if binary is None:
        raise Unreachable(
            "GO0923",
            f"{configuration}: not validated, for no Collector is installed here",
            fix="install `otelcol-contrib`, or run `make peers` where Go is; or name one with --collector",
        )
    try:
        done = subprocess.run(  # noqa: S603
            [binary, "validate", f"--config={configuration}"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable("GO0923", f"{binary} does not run: {error}") from error
    if done.returncode:
        why = _first_reason(done.stderr or done.stdout)
        raise InvalidFile(
            "GO0922", f"the Collector refuses it: {why}", at=Location(str(configuration))
        )
    return binary


def _first_reason(said: str) -> str:
    """Its complaint as one line, without the head that each has."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = " ".join(lines) or "no reason given"
    return re.sub(r"^Error:\s*", "", text)[:600]
