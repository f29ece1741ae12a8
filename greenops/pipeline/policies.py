"""Reads policies from where they are kept: a folder, a file, or a signed bundle."""

from __future__ import annotations

from pathlib import Path

from greenops.config import Settings
from greenops.pipeline.policy_bundle import open_trusted
from greenops.pipeline.policy_files import file_sources, is_bundle
from greenops.policy import PolicySet, compile_policies


def policy_sources(folder: Path, settings: Settings | None = None) -> list[tuple[str, str]]:
    """(name, text) of every policy file of a folder, of a file itself, or of a bundle.

    A file that does not end as YAML does is a bundle, and is taken only as it was signed.

    Args:
        folder: Where they are.
        settings: They name the keys that a bundle may be signed with; none: those of this place.

    Raises:
        InvalidFile: There is no such folder, or a folder or file cannot be read.
        DataMissing: A bundle is not whole, or not signed by a key that is trusted here.
        PolicyFailed: A bundle has expired, or this engine decides otherwise.
    """
    if not is_bundle(folder):
        return file_sources(folder)
    files = open_trusted(folder, settings).files
    return [(f"{folder}/{name}", content.decode()) for name, content in files]


def read_policies(folder: Path, settings: Settings | None = None) -> PolicySet:
    """The policies and workloads of every YAML file below a folder, or of a bundle.

    Args:
        folder: Where they are.
        settings: They name the keys that a bundle may be signed with; none: those of this place.

    Raises:
        InvalidFile: The folder is missing, or the first problem of a file.
        DataMissing: A bundle is not whole, or not signed by a key that is trusted here.
        PolicyFailed: A bundle has expired, or this engine decides otherwise.
    """
    if is_bundle(folder):
        return open_trusted(folder, settings).policies
    return compile_policies(file_sources(folder))
