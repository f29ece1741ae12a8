"""What a bundle of policies says of itself: its files, what they compile to, and how their tests went."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from greenops.domain.record import canonical, plain, restore
from greenops.policy.policy_set import PolicySet

VERSION: Final = 1
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@ +-]*")
"""A part of a path: nothing that a file system, an archive or a terminal reads in two ways."""
LONGEST: Final = 200
"""Longest path [characters]."""


@dataclass(frozen=True, slots=True)
class BundledFile:
    """One file.

    Attributes:
        size: Length [byte].
        sha256: Digest of its bytes, in hexadecimal digits.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed.

    Attributes:
        engine: Version of GreenOps that compiled the policies.
        files: In the order in which they are read, which is part of what they mean.
        documents: Name of each policy and workload → digest of its canonical text.
        hash: Digest of all canonical texts together; decisions name it.
        tests: How many tests the files hold; all of them held.
        expires: Instant from which the bundle is refused; none: never.
    """

    version: int
    engine: str
    files: tuple[BundledFile, ...]
    documents: Mapping[str, str]
    hash: str
    tests: int
    expires: datetime | None = None

    def content(self) -> bytes:
        """Canonical bytes; the same policies give the same."""
        return canonical(self)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def manifest_of(
    files: Sequence[tuple[str, bytes]], policies: PolicySet, engine: str, expires: datetime | None
) -> Manifest:
    """The manifest of some files and of what they compile to."""
    return Manifest(
        VERSION,
        engine,
        tuple(BundledFile(path, len(content), digest(content)) for path, content in files),
        documents_of(policies),
        policies.hash,
        len(policies.tests),
        expires,
    )


def documents_of(policies: PolicySet) -> dict[str, str]:
    """Name → digest of the canonical text."""
    return {name: digest(text.encode()) for name, text in policies.documents.items()}


def read_manifest(content: bytes) -> Manifest:
    """A manifest from its bytes.

    Raises:
        ValueError: It is none, or one that could be read in two ways.
    """
    try:
        value: Any = json.loads(content)
        found = restore(Manifest, value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no manifest: {str(error)[:100]}") from error
    if found.version != VERSION:
        raise ValueError(f"is of version {found.version}; this GreenOps reads {VERSION}")
    if canonical(plain(found)) != content:
        raise ValueError("is not written canonically")
    paths = [each.path for each in found.files]
    for each in paths:
        if not is_safe(each):
            raise ValueError(f"names the path `{each[:60]}`, which is refused")
    if len(set(paths)) != len(paths):
        raise ValueError("names a path twice")
    if not all(DIGEST.fullmatch(each.sha256) and each.size >= 0 for each in found.files):
        raise ValueError("holds a digest or a size that is none")
    return found


def is_safe(path: str) -> bool:
    """Does a path stay below the folder it is put in, on every file system?"""
    parts = path.split("/")
    named = all(PART.fullmatch(each) and not each.endswith((".", " ")) for each in parts)
    return named and len(path) <= LONGEST


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What differs between two sets of digests, in one line; empty where nothing does."""
    signs = [
        *(f"+{name}" for name in sorted(after.keys() - before.keys())),
        *(f"-{name}" for name in sorted(before.keys() - after.keys())),
        *(f"~{n}" for n in sorted(before.keys() & after.keys()) if before[n] != after[n]),
    ]
    return " ".join(signs)
