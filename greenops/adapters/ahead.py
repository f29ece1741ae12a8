"""Some things are made while one is looked at, and come in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar, cast

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")
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


def in_order(submit: Callable[[P], Future[R]], parts: Iterable[P], held: int) -> Iterator[R]:
    """The result of every part, in the order of the parts.

    Args:
        submit: Begins one.
        parts: Taken as there is room for them.
        held: Most that are begun and not yet given [1].
    """
    waiting: deque[Future[R]] = deque()
    for part in parts:
        waiting.append(submit(part))
        if len(waiting) >= held:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
