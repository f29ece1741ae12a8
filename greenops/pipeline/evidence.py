"""The ledger of a state folder: opened for its one writer, verified for anyone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from greenops.adapters import keys
from greenops.adapters.file_ledger import CHECKPOINTS, FILE, FileLedger
from greenops.domain.evidence import Verification
from greenops.errors import DataMissing, Location
from greenops.ports import Clock
from greenops.prove.chain import Chain, parse
from greenops.prove.checkpoint import Notary, PublicKey, named, parse_key
from greenops.prove.verify import verify_ledger

FOLDER = "ledger"
KEYS = "keys"
PUBLIC = "ledger.pub"


def open_ledger(
    state: Path, clock: Clock, *, checkpoint_entries: int = 100, mirror: Path | None = None
) -> FileLedger:
    """The ledger of a state folder, for its one writer; its key is made on first use.

    Args:
        state: Settings' state folder.
        clock: Gives the simulated time of entries.
        checkpoint_entries: Entries between two signed checkpoints.
        mirror: Second folder for checkpoints, kept where this process cannot rewrite them.

    Raises:
        Unreachable: Another writer has it (GO0402), or disk or key cannot be used (GO0401, GO0406).
        DataMissing: Key or ledger are damaged or altered (GO0403, GO0407).
    """
    pair = keys.open_key(state / KEYS, lambda raw: str(named(raw)))
    return FileLedger(
        state / FOLDER,
        clock,
        Chain(),
        Notary(named(pair.public), keys.verify, pair.sign),
        parse,
        checkpoint_entries=checkpoint_entries,
        mirror=mirror,
    )


def verify(
    state: Path, public_key: Path | None = None, checkpoints: Path | None = None
) -> Verification:
    """Check the ledger of a state folder; reads only, and works while it is being written.

    Args:
        state: Settings' state folder.
        public_key: Pinned public key; none takes the folder's own, which shows that the ledger is
            whole, but not who wrote it.
        checkpoints: Folder of checkpoints kept elsewhere, looked at besides the ledger's own.

    Raises:
        DataMissing: There is no ledger, no key or no such folder (GO0405), or the key is not one
            (GO0407).
    """
    path = state / FOLDER / FILE
    if not path.is_file():
        raise DataMissing(
            "GO0405",
            "no ledger is here",
            at=Location(str(path)),
            fix="name the state folder with `--state`; `greenops serve` makes one",
        )
    key = load_key(public_key or state / KEYS / PUBLIC)
    notes = list(_notes(state / FOLDER / CHECKPOINTS))
    if checkpoints is not None:
        notes += _kept_notes(checkpoints)
    with path.open("rb") as lines:
        return verify_ledger(lines, notes, Notary(key, keys.verify))


def load_key(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        DataMissing: The file is not there (GO0405) or holds something else (GO0407).
    """
    try:
        return parse_key(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataMissing(
            "GO0405",
            f"no public key to check with: {error.strerror}",
            at=Location(str(path)),
            fix="name the key you pinned with `--key`",
        ) from error
    except ValueError as error:
        raise DataMissing("GO0407", f"public key {error}", at=Location(str(path))) from error


def _kept_notes(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise DataMissing("GO0405", "no such folder of checkpoints", at=Location(str(folder)))
    return _notes(folder)


def _notes(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.txt")):
        # What is not UTF-8 becomes a note that does not verify, and so a problem with a name.
        yield path.read_bytes().decode("utf-8", errors="replace")
