"""Ed25519 keys in files: the private half for its owner alone, the public half to be pinned elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from greenops.adapters.disk import sync
from greenops.errors import DataMissing, Location, Unreachable

SECRET_MODE = 0o600
"""Only the owner reads and writes."""
SEED_BYTES = 32
"""Length of an Ed25519 private key [byte]. Source: RFC 8032, section 5.1.5."""


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """A key pair. Stability: beta.

    Attributes:
        public: Public half, 32 bytes as in RFC 8032.
        sign: Message → signature of 64 bytes.
    """

    public: bytes
    sign: Callable[[bytes], bytes]


def open_key(folder: Path, public_text: Callable[[bytes], str], name: str = "ledger") -> LedgerKey:
    """The key in `folder`, made there once if there is none.

    Args:
        folder: Holds `ledger.key` (hex of the seed, mode 0600) and `ledger.pub`.
        public_text: Public key → the line that `ledger.pub` is to hold.
        name: What it signs, in place of `ledger` in the names of both files.

    Raises:
        Unreachable: The folder cannot be written or read.
        DataMissing: `ledger.key` is damaged, or other people can read it.
    """
    path = folder / f"{name}.key"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _create_once(path, os.urandom(SEED_BYTES).hex() + "\n")
        key = _load(path)
        public = key.public_key().public_bytes_raw()
        _keep_public(folder / f"{name}.pub", public_text(public) + "\n")
    except OSError as error:
        raise Unreachable(
            "GO0406",
            f"cannot use the key of the {name}: {error.strerror or error}",
            at=Location(str(path)),
            fix="make the folder readable and writable for the user that runs greenops",
        ) from error
    return LedgerKey(public, key.sign)


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the Ed25519 signature is right; false for malformed keys and signatures too."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _create_once(path: Path, text: str) -> None:
    # The link is the one atomic step: of two processes, one makes the key and both use it.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write(draft, text, SECRET_MODE)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def _keep_public(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(errors="replace") == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    _write(draft, text, 0o644)
    draft.replace(path)
    sync(path.parent)


def _write(path: Path, text: str, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)


def _load(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise DataMissing(
            "GO0407",
            "other users can read or write the ledger's private key",
            at=Location(str(path)),
            fix=f"if nobody else has copied it, run `chmod 600 {path}`",
        )
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise DataMissing(
            "GO0407",
            "is not an Ed25519 key: 64 hexadecimal digits belong here",
            at=Location(str(path)),
            fix="put the key back from its copy, or start a new ledger in a new state folder",
        ) from error
