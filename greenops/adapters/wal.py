"""A write-ahead log: what was acknowledged is on disk before the acknowledgement leaves.

A segment is a file of frames, each `length (4 bytes) | CRC-32 (4 bytes) | payload`. A process that
dies loses nothing that was written, for the page cache outlives it; a torn last frame was never
acknowledged and is left out. A frame that was damaged later is another matter: its place is told.
A machine that loses power loses what the kernel had not written back, unless the log is told to wait
for the disk at each frame.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greenops.adapters.disk import sync
from greenops.errors import Unreachable

FRAME: Final = struct.Struct(">II")
LONGEST: Final = 64 * 2**20
"""Longest payload that is believed [bytes]; well above the largest message that is taken."""
LOOKS: Final = 10_000
"""Places behind a cut frame where another one is looked for."""
DAMAGED: Final = ".damaged"
"""Ending of a segment that is kept for a person to look at."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment holds.

    Attributes:
        payloads: Of every frame that is whole, in order.
        damaged_at: Where the first frame that was damaged begins [bytes]; none: no frame was.
        torn: Whether it ends in a frame that was cut off while it was written, as by a kill.
    """

    payloads: tuple[bytes, ...]
    damaged_at: int | None = None
    torn: bool = False


class Wal:
    """Segments in one folder; one writer.

    Args:
        folder: Of the segments.
        sync: Whether a frame is on the disk itself before `append` returns.
    """

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self._folder, self._sync = folder, sync
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

    def append(self, *parts: bytes) -> str:
        """Write one frame; on return it outlives this process.

        Args:
            parts: Of its payload, one after the other.

        Returns:
            Name of the segment that it is in.

        Raises:
            Unreachable: The disk is full or gone; the frame is not there.
        """
        length, check = 0, 0
        for part in parts:
            length, check = length + len(part), zlib.crc32(part, check)
        head = FRAME.pack(length, check)
        with self._lock:
            try:
                file = self._open()
                written = os.writev(file, (head, *parts))
                whole = written == len(head) + length
                if whole and self._sync:
                    os.fdatasync(file)
            except OSError as error:
                self._take_back()
                raise self._unusable(error) from error
            if not whole:
                self._take_back()
                raise self._unusable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            self._size += written
            return self._stem(self._next - 1)

    def _take_back(self) -> None:
        """Cut off what was written of a frame that is not acknowledged."""
        if self._file is not None:
            # Where even that fails a later reader finds a frame that is torn, or one more than was told.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)

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

    def read(self, segment: Path) -> Segment:
        """Every whole frame of a segment, and whether others were damaged.

        A damaged frame is stepped over where its length leads to a whole one; where it does not,
        nothing behind it is read, for there is no telling where a frame begins.
        """
        data = segment.read_bytes()
        payloads: list[bytes] = []
        at, damaged_at = 0, None
        while at < len(data):
            payload = _payload(data, at)
            if payload is None:
                if damaged_at is None and _torn(data, at):
                    return Segment(tuple(payloads), torn=True)
                damaged_at = at if damaged_at is None else damaged_at
                if _payload(data, _behind(data, at)) is None:
                    break
            else:
                payloads.append(payload)
            at = _behind(data, at)
        return Segment(tuple(payloads), damaged_at)

    def set_aside(self, segment: Path) -> Path:
        """Keep a segment's bytes where it is read no more; gives the new name.

        Raises:
            OSError: It cannot be renamed.
        """
        return segment.rename(segment.with_name(segment.name + DAMAGED))

    def remove(self, segment: Path) -> None:
        """Forget a segment whose frames are safe elsewhere."""
        segment.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._file is None:
            path = self._folder / f"{self._stem(self._next)}.wal"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            self._next += 1
            self._size = 0
            if self._sync:
                # The file's name must outlast the power as its bytes do.
                sync(self._folder)
        return self._file

    def _stem(self, number: int) -> str:
        return f"{number:012d}-{self._run}"

    def _unusable(self, error: OSError) -> Unreachable:
        return Unreachable(
            "GO0410",
            f"cannot write to {self._folder}: {error.strerror}",
            fix="free space, or set GREENOPS_STATE to a folder that can be written",
        )


def _behind(data: bytes, at: int) -> int:
    """Where the frame at `at` ends by its own word; the end of the data where it has none."""
    if at + FRAME.size > len(data):
        return len(data)
    return at + FRAME.size + int(FRAME.unpack_from(data, at)[0])


def _payload(data: bytes, at: int) -> bytes | None:
    """Payload of the frame at `at`, never empty; none where no whole frame is."""
    end = _behind(data, at)
    payload = data[at + FRAME.size : end]
    if not payload or end > len(data):
        return None
    return payload if zlib.crc32(payload) == FRAME.unpack_from(data, at)[1] else None


def _torn(data: bytes, at: int) -> bool:
    """Whether the last write stopped at `at`: a frame longer than what is left, and none behind it."""
    if at + FRAME.size > len(data):
        return True
    length, check = FRAME.unpack_from(data, at)
    if not len(data) - at - FRAME.size < length <= LONGEST:
        return False
    # The payload is whole, or another frame follows: then it is the length that is wrong.
    return zlib.crc32(data[at + FRAME.size :]) != check and not _another(data, at)


def _another(data: bytes, at: int) -> bool:
    """Whether a whole frame begins anywhere behind `at`; where too many might, it is held to be so."""
    for _ in range(LOOKS):
        # The first byte of a length below 2**24 is 0; the longest message is shorter.
        at = data.find(b"\0", at + 1)
        if at < 0:
            return False
        if _payload(data, at) is not None:
            return True
    return True
