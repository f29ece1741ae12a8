"""Signed checkpoints: the C2SP tlog-checkpoint text in a C2SP signed note, Ed25519.

Sources: https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note (v1.0.0). Signing and
checking bytes is passed in; the cryptography itself stands in an adapter.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from greenops.prove.chain import digest

ED25519: Final = b"\x01"
"""Signature type of plain Ed25519. Source: C2SP signed-note, section Signature types."""
KEY_BYTES: Final = 32
"""Length of an Ed25519 public key [byte]. Source: RFC 8032, section 5.1.5."""
ID_BYTES: Final = 4
"""Length of a key id [byte]. Source: C2SP signed-note, section Format."""
MOST_SIGNATURES: Final = 100
"""More signature lines than this are refused; the note format asks for at least 16."""

Sign = Callable[[bytes], bytes]
"""Message → signature."""
Verify = Callable[[bytes, bytes, bytes], bool]
"""(Public key, signature, message) → whether the signature is right; never raises."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` had `size` entries with this Merkle `root`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text that is signed, final newline included."""
        return f"{self.origin}\n{self.size}\n{_to64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Name and key that a checkpoint must be signed with; pinned outside the ledger."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that name the key in a signature line."""
        return digest(self.name.encode() + b"\n" + ED25519 + self.raw)[:ID_BYTES]

    def __str__(self) -> str:
        """Give the `vkey` text: name, key id and key, joined by plus signs."""
        return f"{self.name}+{self.id.hex()}+{_to64(ED25519 + self.raw)}"


def named(raw: bytes) -> PublicKey:
    """A ledger's own key under a name that no other key has."""
    return PublicKey(f"greenops.dev/ledger/{digest(raw).hex()[:16]}", raw)


def parse_key(text: str) -> PublicKey:
    """Read a `vkey` text.

    Raises:
        ValueError: It is not one of an Ed25519 key, or its key id belongs to another key.
    """
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _from64(encoded)
    if not _is_name(name) or raw[:1] != ED25519 or len(raw) != 1 + KEY_BYTES:
        raise ValueError("is not `<name>+<key id>+<base64>` of an Ed25519 key")
    key = PublicKey(name, raw[1:])
    if key.id.hex() != key_id:
        raise ValueError(f"names key id `{key_id}`, but the key has `{key.id.hex()}`")
    return key


def sign_note(text: str, key: PublicKey, sign: Sign) -> str:
    """The signed note of a text that ends in a newline."""
    return f"{text}\n— {key.name} {_to64(key.id + sign(text.encode()))}\n"


def open_note(note: str, key: PublicKey, verify: Verify) -> str:
    """The text of a note that `key` signed; other keys' signatures are passed over.

    Raises:
        ValueError: No signature of `key` is there, or it is wrong, or this is no note.
    """
    text, lines = _split(note)
    mine = [
        raw
        for name, raw in map(_signature, lines)
        if name == key.name and raw[:ID_BYTES] == key.id  # one of both is not enough
    ]
    if not mine:
        raise ValueError(f"carries no signature of `{key.name}` with key id {key.id.hex()}")
    if not all(verify(key.raw, raw[ID_BYTES:], text.encode()) for raw in mine):
        raise ValueError(f"carries a wrong signature of `{key.name}`")
    return text


def _split(note: str) -> tuple[str, list[str]]:
    if any(letter < " " and letter != "\n" for letter in note):
        raise ValueError("holds a control character")
    text, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() != "" or not lines:
        raise ValueError("is no note: a text, an empty line, then signature lines")
    if len(lines) > MOST_SIGNATURES:
        raise ValueError(f"has more than {MOST_SIGNATURES} signatures")
    return text + "\n", lines


def _signature(line: str) -> tuple[str, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _from64(encoded)
    if dash != "—" or not _is_name(name) or len(raw) <= ID_BYTES:
        raise ValueError("has a malformed signature line")
    return name, raw


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note text; lines after the third are opaque extensions.

    Raises:
        ValueError: It is not one.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or not all(lines):  # noqa: PLR2004  (three and the end)
        raise ValueError("is no checkpoint: origin, size and root, a line each")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdigit()) or str(int(size)) != size:
        raise ValueError(f"has size `{size}`, which is no plain decimal number")
    raw = _from64(root)
    if len(raw) != len(digest(b"")):
        raise ValueError("has a root that is no SHA-256")
    return Checkpoint(origin, int(size), raw)


@dataclass(frozen=True, slots=True)
class Notary:
    """Opens checkpoints of one key, and signs them where it holds the private half."""

    key: PublicKey
    verify: Verify
    sign: Sign | None = None

    def seal(self, size: int, root: bytes) -> str:
        """The signed checkpoint of a state.

        Raises:
            ValueError: Only the public half is here.
        """
        if self.sign is None:
            raise ValueError("no private key to sign with")
        return sign_note(Checkpoint(self.key.name, size, root).text(), self.key, self.sign)

    def open(self, note: str) -> tuple[int, bytes]:
        """Size and root that a checkpoint of this key vouches for.

        Raises:
            ValueError: It is no checkpoint of this key's log.
        """
        checkpoint = parse_checkpoint(open_note(note, self.key, self.verify))
        if checkpoint.origin != self.key.name:
            raise ValueError(f"is of the log `{checkpoint.origin}`, not `{self.key.name}`")
        return checkpoint.size, checkpoint.root


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


def _to64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _from64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("holds text that is not base64") from error
    # Two texts for one value would let a byte change unseen.
    if _to64(raw) != text:
        raise ValueError("holds base64 with stray bits")
    return raw
