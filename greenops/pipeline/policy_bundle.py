"""Makes signed bundles of policies, and takes none that was touched since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from greenops import __version__
from greenops.adapters import keys
from greenops.adapters.clock import SystemClock
from greenops.adapters.policy_bundle import read_bundle, shown, write_bundle
from greenops.config import Settings, load_settings
from greenops.errors import DataMissing, InvalidFile, Location, PolicyFailed, UsageError
from greenops.pipeline.evidence import KEYS, load_key
from greenops.pipeline.policy_files import file_sources, is_bundle
from greenops.pipeline.policy_tests import run_tests
from greenops.policy import PolicySet, compile_policies
from greenops.policy.bundle import (
    BundledFile,
    Manifest,
    changes,
    digest,
    documents_of,
    is_safe,
    manifest_of,
    read_manifest,
)
from greenops.prove.checkpoint import PublicKey, open_note, sign_note

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.note"
FILES: Final = "files/"
PACKS: Final = "shipped-packs"
"""Folder of packs that came with the package, not with the policies."""
PURPOSE: Final = "greenops.dev/policy-bundle/v1"
"""First line of what is signed, so that no signature made for another purpose can stand for it."""
SIGNED_LINES: Final = 4
"""Lines of the note: purpose, digest, an empty one, and one signature; a second one is refused."""
NAME: Final = "policies"
"""Name of the key's files: a ledger has a key of its own."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was verified.

    Attributes:
        files: (path, content), in the order in which they are compiled.
        signer: Name of the key that signed it.
    """

    manifest: Manifest
    files: Sequence[tuple[str, bytes]]
    policies: PolicySet
    signer: str


def make_bundle(folder: Path, out: Path, state: Path, expires: datetime | None = None) -> Manifest:
    """Compile, test and sign the policies of a folder or file; the same policies give the same bytes.

    Args:
        folder: The policies.
        out: The bundle to write.
        state: Folder whose `keys/policies.key` signs; the key is made on first use.
        expires: Instant from which the bundle is refused.

    Raises:
        InvalidFile: A file is wrong, none is there, or a path has signs that are refused.
        PolicyFailed: A test does not hold.
        Unreachable: Key or bundle cannot be written.
        UsageError: The policies are a bundle already.
    """
    refuse_bundle(folder)
    sources = file_sources(folder)
    if not sources:
        fix = "name a folder or file of policies, or set `policies` in `greenops.yaml`"
        raise InvalidFile("GO0108", "no policy file to bundle", at=Location(str(folder)), fix=fix)
    files = [(_inside(folder, path), text) for path, text in sources]
    policies = compile_policies(files)
    failed = [each for each in run_tests(policies) if not each.passed]
    if failed:
        raise PolicyFailed(
            "GO0164",
            f"{len(failed)} of {len(policies.tests)} tests do not hold: `{failed[0].test.name}`",
            fix="`greenops policy test` tells why; a bundle holds policies that pass theirs",
        )
    content = [(path, text.encode()) for path, text in files]
    manifest = manifest_of(content, policies, __version__, expires)
    pair = keys.open_key(state / KEYS, lambda raw: str(named(raw)), NAME)
    note = sign_note(_signed(manifest.content()), named(pair.public), pair.sign)
    entries = [(MANIFEST, manifest.content()), (SIGNATURE, note.encode())]
    write_bundle(out, [*entries, *((FILES + path, each) for path, each in content)])
    return manifest


def named(raw: bytes) -> PublicKey:
    """A key of policies under a name that no other key has."""
    return PublicKey(f"greenops.dev/policies/{digest(raw)[:16]}", raw)


def refuse_bundle(path: Path) -> None:
    """Refuse a bundle where files are wanted that can be changed.

    Raises:
        UsageError: It is one.
    """
    if is_bundle(path):
        fix = "name the folder or the YAML file that it was made of, and bundle that anew"
        raise UsageError("GO0167", f"`{path}` is a bundle, which nothing may change", fix=fix)


def trusted_keys(settings: Settings) -> tuple[PublicKey, ...]:
    """The public keys that a bundle may be signed with here.

    Raises:
        DataMissing: There is none, or a file holds something else.
    """
    place = settings.policies_key or settings.state / KEYS / f"{NAME}.pub"
    files: list[Path] = []
    with suppress(OSError):  # a folder that this user may not look into
        among = sorted(place.glob("*.pub")) if place.is_dir() else [place]
        files = [each for each in among if each.exists()]
    if not files:
        raise DataMissing(
            "GO0405",
            "no public key to check bundles of policies with",
            at=Location(str(place)),
            fix="put the signer's `policies.pub` there, or name it in the setting `policies_key`",
        )
    return tuple(map(load_key, files))


def open_trusted(path: Path, settings: Settings | None = None) -> Bundle:
    """Take a bundle that a key signed which the settings trust, as `open_bundle` does.

    Args:
        path: The bundle.
        settings: They name the keys; none: those of this place.

    Raises:
        DataMissing: It is not whole, or not signed by such a key, or there is no key.
        PolicyFailed: It has expired, or this engine compiles or decides otherwise.
    """
    known = trusted_keys(load_settings() if settings is None else settings)
    return open_bundle(path, known, SystemClock.from_environment().wall())


def open_bundle(path: Path, key: PublicKey | Sequence[PublicKey], now: datetime) -> Bundle:
    """Take a bundle: archive, signature, expiry, every file, what they compile to, and their tests.

    Args:
        path: The bundle.
        key: Public key it must be signed with, or several of which one will do.
        now: Wall instant.

    Raises:
        DataMissing: It is no whole bundle (GO0163), or signed by another key, or not as it was
            signed (GO0165).
        PolicyFailed: It has expired (GO0166), or this engine compiles or decides otherwise (GO0164).
    """
    entries = read_bundle(path)
    if [name for name, _ in entries[:2]] != [MANIFEST, SIGNATURE]:
        raise _altered(path, f"it does not begin with `{MANIFEST}` and `{SIGNATURE}`")
    try:
        among = [key] if isinstance(key, PublicKey) else key
        manifest, signer = _opened(entries[0][1], entries[1][1], among)
    except ValueError as error:
        raise _altered(path, str(error)) from error
    if manifest.expires is not None and now >= manifest.expires:
        raise PolicyFailed(
            "GO0166",
            f"the bundle expired at {manifest.expires.isoformat().replace('+00:00', 'Z')}",
            at=Location(str(path)),
            fix="ask its signer for a new one",
        )
    files = _as_signed(path, manifest, entries[2:])
    policies = _as_compiled(path, manifest, files)
    return Bundle(manifest, files, policies, signer)


def changed(
    bundle: Bundle, other: Path, key: PublicKey | Sequence[PublicKey], now: datetime
) -> str:
    """What another bundle, or a folder of policies, has that this one has not, in one line.

    Returns:
        Policies that came `+`, went `-` or mean something else `~`; empty where all mean the same.

    Raises:
        InvalidFile: The folder's files are wrong.
        DataMissing: The other bundle is not whole, or was altered.
    """
    before: Mapping[str, str] = bundle.manifest.documents
    if is_bundle(other):
        return changes(before, open_bundle(other, key, now).manifest.documents)
    return changes(before, documents_of(compile_policies(file_sources(other))))


def _inside(folder: Path, path: str) -> str:
    """Path in the bundle of a source."""
    root = folder if folder.is_dir() else folder.parent
    found = Path(path)
    inside = found.relative_to(root) if found.is_relative_to(root) else Path(PACKS, found.name)
    name = inside.as_posix()
    if not is_safe(name) or len(FILES + name) > 100:  # noqa: PLR2004 - a name's field in a tar header
        raise InvalidFile(
            "GO0168",
            f"`{name[:60]}` is no path for a bundle",
            at=Location(path),
            fix="use letters, digits, `_`, `-`, `.`, and at most 94 of them",
        )
    return name


def _opened(content: bytes, note: bytes, among: Sequence[PublicKey]) -> tuple[Manifest, str]:
    """The manifest and its signer's name, once that is known: nothing else reads it before.

    Raises:
        ValueError: None of the keys signed it, or it is none.
    """
    text, signer = _signed_by(note, among)
    if text != _signed(content) or note.count(b"\n") != SIGNED_LINES:
        raise ValueError("its manifest is not the one that was signed")
    try:
        return read_manifest(content), signer
    except ValueError as error:
        raise ValueError(f"its manifest {error}") from error


def _signed_by(note: bytes, among: Sequence[PublicKey]) -> tuple[str, str]:
    """What a note says, and which of the keys signed it."""
    for key in among[:-1]:
        with suppress(ValueError):
            return open_note(note.decode(), key, keys.verify), key.name
    try:
        return open_note(note.decode(), among[-1], keys.verify), among[-1].name
    except ValueError as error:
        raise ValueError(f"its signature {error}") from error


def _signed(manifest: bytes) -> str:
    return f"{PURPOSE}\n{digest(manifest)}\n"


def _as_signed(
    path: Path, manifest: Manifest, entries: Sequence[tuple[str, bytes]]
) -> list[tuple[str, bytes]]:
    found = [BundledFile(name, len(each), digest(each)) for name, each in entries]
    for given, wanted in zip(found, manifest.files, strict=False):
        if given.path != FILES + wanted.path:
            raise _altered(
                path, f"`{shown(given.path)}` stands where `{FILES}{wanted.path}` was signed"
            )
        if (given.size, given.sha256) != (wanted.size, wanted.sha256):
            raise _altered(path, f"`{given.path}` is not what was signed")
    if len(found) != len(manifest.files):
        many = f"{len(found)} files, where {len(manifest.files)} were signed"
        raise _altered(path, f"it holds {many}")
    return [(name.removeprefix(FILES), each) for name, each in entries]


def _as_compiled(path: Path, manifest: Manifest, files: Sequence[tuple[str, bytes]]) -> PolicySet:
    try:
        policies = compile_policies([(name, each.decode()) for name, each in files])
    except (InvalidFile, UnicodeDecodeError) as error:
        raise _otherwise(path, manifest, f"its files are refused: {error}") from error
    if differ := changes(manifest.documents, documents_of(policies)):
        raise _otherwise(path, manifest, f"its policies compile to something else: {differ}")
    failed = [each.test.name for each in run_tests(policies) if not each.passed]
    if failed:
        raise _otherwise(path, manifest, f"its test `{failed[0]}` does not hold")
    return policies


def _otherwise(path: Path, manifest: Manifest, why: str) -> PolicyFailed:
    return PolicyFailed(
        "GO0164",
        f"{why} (bundled by GreenOps {manifest.engine}, this is {__version__})",
        at=Location(str(path)),
        fix="use the version that made it, or bundle the policies anew",
    )


def _altered(path: Path, why: str) -> DataMissing:
    return DataMissing(
        "GO0165",
        f"this bundle is not verified: {why}",
        at=Location(str(path)),
        fix="use none of it; get it again, and pin the right key: `--key`, or the setting `policies_key`",
    )


def must_differ(folder: Path, out: Path) -> None:
    """Refuse to write a bundle over the policies that it holds.

    Raises:
        UsageError: It would be a policy file, or the folder.
    """
    if out.suffix in {".yaml", ".yml"} or out.is_dir() or out == folder:
        fix = "such as `policies.bundle`"
        raise UsageError("GO0167", f"`{out}` is no name for a bundle", fix=fix)
