"""The next of some things is made while one is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, cast

T = TypeVar("T")
END: Final = object()


def ahead(items: Iterator[T], name: str) -> Iterator[T]:
    """The same items, made one ahead in a thread of their own; what making one raises comes in its place.

    Args:
        items: For reading, which lets other threads run.
        name: Of the thread.
    """
    with ThreadPoolExecutor(1, name) as reader:
        coming = reader.submit(next, cast("Iterator[object]", items), END)
        while (item := coming.result()) is not END:
            coming = reader.submit(next, cast("Iterator[object]", items), END)
            yield cast("T", item)
