"""Which entry of a table a model's name means: spellings differ by provider, version, date and place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

LONGEST: Final = 200
"""Characters of a name that is looked at; the longest in use have about eighty."""
VENDOR: Final = re.compile(
    r"^(?:(?:us|eu|apac|global)\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\."
)
"""What Amazon Bedrock puts before a name: a group of regions, and who made the model."""
SEPARATORS: Final = re.compile(r"[:@_\s]+")
END: Final = "-"

T = TypeVar("T")


class Names(Generic[T]):
    """Entries by name; the longest known name that begins a spelling is meant."""

    def __init__(self, known: Mapping[str, T]) -> None:
        self._known = dict(known)
        self._longest = max(map(len, self._known), default=0)

    @staticmethod
    def plain(model: str) -> str | None:
        """A name without its place: `meta-llama/Llama-3.1-8B-Instruct` → `llama-3.1-8b-instruct`; none if too long."""
        if len(model) > LONGEST:
            return None
        last = model.strip().rsplit("/", 1)[-1].lower()
        return SEPARATORS.sub(END, VENDOR.sub("", last))

    def find(self, model: str) -> T | None:
        """The entry that a spelling means; none where it is not known.

        A longer spelling means the entry only where a separator follows: `gpt-4o-2024-08-06` is `gpt-4o`, `gpt-4ox` is not.
        """
        name = self.plain(model)
        if not name:
            return None
        for end in range(min(len(name), self._longest), 0, -1):
            if end < len(name) and name[end] != END:
                continue
            found = self._known.get(name[:end])
            if found is not None:
                return found
        return None
