"""Real systems that `make peers` built are found behind those that the machine has."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ["PATH"] += f"{os.pathsep}{CACHE / 'greenops' / 'peers' / 'bin'}"
