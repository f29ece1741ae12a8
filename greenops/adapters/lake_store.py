"""Object storage of a lake: files that are there whole or not at all, below one address.

Amazon S3 and what speaks as it does, Google Cloud Storage, Azure, a mounted folder: what `pyarrow.fs` knows.
Credentials come from the environment as Arrow's drivers take them, never from the address.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from greenops.adapters.disk import sync
from greenops.errors import InvalidFile, Unreachable, UsageError

KEPT: Final = "store.json"
"""File of a lake that says where its other files are."""
SCHEMES: Final = ("s3", "gs", "gcs", "abfs", "abfss", "file")
CONNECT_S: Final = 5.0
"""Longest wait for a connection to object storage [s]."""
TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Store:
    """One address of object storage.

    Attributes:
        url: The address, without what tells the driver how to get there.
        files: Arrow's file system below it.
    """

    url: str
    files: Any = field(repr=False, compare=False)
    local: bool = False

    def found(self, folder: str) -> dict[str, int]:
        """Files below a folder and their sizes [bytes], by path; none where it is not there.

        Raises:
            Unreachable: The store does not answer.
        """
        from pyarrow.fs import FileSelector, FileType

        if self.local and not Path(self.files.base_path).is_dir():
            # A folder that is not mounted is no folder without files.
            raise self.away("list", "there is no such folder")
        with self._told("list"):
            asked = FileSelector(folder, allow_not_found=True, recursive=True)
            found = self.files.get_file_info(asked)
            if not found and not self.local:
                self._look_at_bucket()
        return {
            each.path: each.size
            for each in found
            if each.type == FileType.File and not each.base_name.startswith(".")
        }

    def size(self, key: str) -> int | None:
        """Length of a file [bytes]; none where it is not there."""
        from pyarrow.fs import FileType

        with self._told("look at"):
            found = self.files.get_file_info(key)
        return int(found.size) if found.type == FileType.File else None

    def opened(self, key: str) -> Any:
        """A file that is read where it lies, piece by piece.

        Raises:
            FileNotFoundError: It is not there.
        """
        with self._told("read"):
            return self.files.open_input_file(key)

    def read(self, key: str) -> bytes:
        """A whole file."""
        with self._told("read"), self.files.open_input_stream(key) as stream:
            return bytes(stream.readall())

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Keep a file, which is there whole afterwards or not at all.

        Raises:
            Unreachable: The store does not answer, or does not keep it.
        """
        with self._told("write to"):
            if self.local:
                self._put_here(key, data)
            else:
                # An object is there once its stream is closed: nothing may stop between the two.
                stream = self.files.open_output_stream(key)
                stream.write(data)
                stream.close()
        if self.size(key) != len(data):
            raise self.away("write to", "it does not hold what was written")

    def remove(self, key: str) -> None:
        """Remove a file; none is no fault."""
        with self._told("remove from"):
            try:
                self.files.delete_file(key)
            except FileNotFoundError:
                return

    def _look_at_bucket(self) -> None:
        """A bucket that is not there is no bucket without files."""
        from pyarrow.fs import FileType

        bucket = str(self.files.base_path).partition("/")[0]
        if self.files.base_fs.get_file_info(bucket).type == FileType.NotFound:
            raise self.away("list", f"there is no bucket `{bucket}`")

    def _put_here(self, key: str, data: bytes | memoryview) -> None:
        path = Path(self.files.normalize_path(key))
        folder = Path(self.files.base_path) / path.parent
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{path.name}.{uuid.uuid4().hex}"
        try:
            temporary.write_bytes(data)
            sync(temporary)
            temporary.rename(folder / path.name)
            sync(folder)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise self.away(what, str(error)) from error

    def away(self, what: str, why: str) -> Unreachable:
        """The error that it does not answer."""
        return no_answer(what, self.url, why)


def no_answer(what: str, where: str, why: str) -> Unreachable:
    """The error that object storage does not answer."""
    return Unreachable(
        "GO0420",
        f"cannot {what} {where}: {(why.splitlines() or ['it does not answer'])[0]}",
        fix="what lies here is kept and read; files are sent once the store answers",
    )


@cache
def store_at(url: str) -> Store:
    """The store at an address such as `s3://bucket/prefix?endpoint_override=host:port`.

    Raises:
        UsageError: The address is wrong; nothing is asked of the store yet.
    """
    from pyarrow.fs import SubTreeFileSystem

    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise _wrong(url, f"begins with none of {', '.join(f'`{each}://`' for each in SCHEMES)}")
    if "@" in parts.netloc and parts.scheme in ("s3", "gs", "gcs"):
        raise _wrong(parts.scheme + "://...", "carries credentials; they belong in the environment")
    if parts.scheme != "file" and not parts.netloc:
        raise _wrong(url, "names no bucket")
    try:
        files, base = _driver(url)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _wrong(url, (str(error).splitlines() or ["it is no address"])[0]) from error
    return Store(url.partition("?")[0], SubTreeFileSystem(base, files), parts.scheme == "file")


def store_of(lake: Path) -> Store | None:
    """Where a lake says its other files are; none: all are here.

    Args:
        lake: `<state>/lake`.

    Raises:
        InvalidFile: What it says cannot be read.
    """
    try:
        return store_at(json.loads((lake / KEPT).read_bytes())["url"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        path = lake / KEPT
        raise InvalidFile(
            "GO0421", f"{path} does not say where the lake goes on: {error}"
        ) from error


def keep_store(lake: Path, url: str) -> None:
    """Let a lake say where its other files are, for whoever reads it; it stays said.

    Raises:
        UsageError: The address is wrong, or another one than that where files of this lake are.
        Unreachable: The disk is full or gone.
    """
    store, kept = store_at(url), store_of(lake)
    if kept is not None and kept.url != store.url:
        raise _wrong(url, f"is not where this lake has files: {kept.url}")
    temporary = lake / f".{KEPT}.{os.getpid()}"
    try:
        lake.mkdir(parents=True, exist_ok=True)
        if store.local and kept is None:
            Path(store.files.base_path).mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"url": url}))
        sync(temporary)
        temporary.replace(lake / KEPT)
    except OSError as error:
        raise Unreachable("GO0411", f"cannot write {lake / KEPT}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _driver(url: str) -> tuple[Any, str]:
    """Arrow's file system, and the path in it."""
    from pyarrow import fs

    parts = urlsplit(url)
    if parts.scheme != "s3":
        files, base = fs.FileSystem.from_uri(url)
        return files, str(base)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    known = {"endpoint_override", "scheme", "region"}
    if strange := sorted(asked.keys() - known):
        raise ValueError(f"unknown option `{strange[0]}`; there are {', '.join(sorted(known))}")
    files = fs.S3FileSystem(
        **asked,
        connect_timeout=CONNECT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )
    return files, (parts.netloc + parts.path).rstrip("/")


def _wrong(url: str, why: str) -> UsageError:
    return UsageError(
        "GO0421",
        f"lake_url `{url}` {why}",
        fix="write it as `s3://bucket/prefix?region=eu-central-1`; see the reference of the lake",
    )
