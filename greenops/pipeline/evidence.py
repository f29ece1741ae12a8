"""The ledger of a state folder: opened for its one writer, verified for anyone."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from greenops.adapters import keys
from greenops.adapters.checkpoint_files import CheckpointFiles
from greenops.adapters.clock import SystemClock
from greenops.adapters.file_ledger import FILE, FileLedger
from greenops.config import Settings
from greenops.domain.evidence import Verification
from greenops.errors import DataMissing, Location
from greenops.pipeline.grid import GridContext, load_grid
from greenops.pipeline.published import PublishedGrid
from greenops.ports import Clock
from greenops.prove.chain import Chain, parse
from greenops.prove.checkpoint import Notary, PublicKey, named, parse_key
from greenops.prove.verify import verify_ledger

FOLDER = "ledger"
CHECKPOINTS = "checkpoints"
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
        mirror: Second folder for checkpoints, kept where this process cannot rewrite them; what it
            holds already must fit the ledger.

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
        _checkpoints(state, mirror),
        checkpoint_entries=checkpoint_entries,
    )


def _checkpoints(state: Path, mirror: Path | None) -> CheckpointFiles:
    return CheckpointFiles(state / FOLDER / CHECKPOINTS, state / KEYS, mirror)


def verify(
    state: Path,
    public_key: Path | None = None,
    mirror: Path | None = None,
    grid: GridContext | None = None,
) -> Verification:
    """Check the ledger of a state folder; reads only, and works while it is being written.

    Args:
        state: Settings' state folder.
        public_key: Pinned public key; none takes the folder's own, which shows that the ledger is
            whole, but not who wrote it.
        mirror: Folder of checkpoints kept elsewhere, looked at besides those of the ledger and the
            one beside its key.
        grid: What outcomes are compared with; none: the shipped one.

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
    if mirror is not None and not mirror.is_dir():
        raise DataMissing("GO0405", "no such folder of checkpoints", at=Location(str(mirror)))
    notes = _checkpoints(state, mirror).notes()
    with path.open("rb") as lines:
        return verify_ledger(lines, notes, Notary(key, keys.verify), _published(grid))


def _published(grid: GridContext | None) -> PublishedGrid | None:
    # Where the shipped files are damaged, chain, signatures and arithmetic can still be checked.
    with suppress(DataMissing):
        return PublishedGrid(grid or load_grid(Settings(), SystemClock()))
    return None


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
