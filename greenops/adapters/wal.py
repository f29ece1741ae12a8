"""A write-ahead log: what was acknowledged is on disk before the acknowledgement leaves.

A segment is a file of frames, each `length (4 bytes) | CRC-32 (4 bytes) | payload`. A process that
dies loses nothing that was written, for the page cache outlives it; a torn last frame was never
acknowledged and is left out.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from greenops.errors import Unreachable

FRAME: Final = struct.Struct(">II")


class Wal:
    """Segments in one folder; one writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: int | None = None
        self._size = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        heads = [path.stem.partition("-")[0] for path in folder.glob("*.wal")]
        self._next = max((int(head) for head in heads if head.isdigit()), default=0) + 1
        # Lake files are named for their segment: a name that comes twice would replace rows.
        self._run = uuid.uuid4().hex

    def append(self, payload: bytes) -> None:
        """Write one frame; on return it outlives this process.

        Raises:
            Unreachable: The disk is full or gone; the frame is not there.
        """
        frame = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        with self._lock:
            try:
                file = self._open()
                written = os.write(file, frame)
            except OSError as error:
                raise self._unusable(error) from error
            if written != len(frame):
                os.ftruncate(file, self._size)
                raise self._unusable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            self._size += written

    def rotate(self) -> None:
        """Close the segment that is written; the next frame opens another."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def closed(self) -> list[Path]:
        """Segments that are not written any more, oldest first."""
        with self._lock:
            current = self._stem(self._next - 1) if self._file is not None else None
            found = sorted(self._folder.glob("*.wal"))
            return [path for path in found if path.stem != current]

    def read(self, segment: Path) -> Iterator[bytes]:
        """Every whole frame of a segment."""
        data = segment.read_bytes()
        at = 0
        while at + FRAME.size <= len(data):
            length, check = FRAME.unpack_from(data, at)
            payload = data[at + FRAME.size : at + FRAME.size + length]
            if len(payload) != length or zlib.crc32(payload) != check:
                return
            yield payload
            at += FRAME.size + length

    def remove(self, segment: Path) -> None:
        """Forget a segment whose frames are safe elsewhere."""
        segment.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._file is None:
            path = self._folder / f"{self._stem(self._next)}.wal"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            self._next += 1
            self._size = 0
        return self._file

    def _stem(self, number: int) -> str:
        return f"{number:012d}-{self._run}"

    def _unusable(self, error: OSError) -> Unreachable:
        return Unreachable(
            "GO0410",
            f"cannot write to {self._folder}: {error.strerror}",
            fix="free space, or set GREENOPS_STATE to a folder that can be written",
        )
