"""Files that come with GreenOps: in the wheel under `greenops/_files/`, in a checkout at the top."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from greenops.errors import Unreachable

NAMES: Final = ("policies", "dashboards", "collectors", "ci", "app.py")
"""What the wheel carries beside the code. Source: `force-include` in pyproject.toml."""

PACKAGE: Final = Path(__file__).parents[1]
"""Folder of the `greenops` package."""


def packaged(name: str, package: Path = PACKAGE) -> Path:
    """Where a packaged file or folder lies.

    Args:
        name: One of `NAMES`.
        package: Folder of the package; tests pass their own.

    Raises:
        Unreachable: This installation lacks it.
    """
    for folder in (package / "_files", package.parent):
        if name in NAMES and (folder / name).exists():
            return folder / name
    raise Unreachable(
        "GO0908",
        f"this installation has no `{name}`; it can have: {', '.join(NAMES)}",
        fix="install it anew: `pip install --force-reinstall greenops-engine`",
    )
