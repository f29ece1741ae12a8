"""What a cache of answers of language models counted: how often it answered, never how well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerCache:
    """Counts of one cache since its process began.

    Attributes:
        hits: Looks that it answered itself; how many of the answers are right nothing tells.
        looks: How often it was asked.
        made: How often the model was asked after all; none where that is not told.
        made_s: How long that took, together [s].
    """

    hits: int
    looks: int
    made: int | None = None
    made_s: float | None = None

    @property
    def hit_ratio(self) -> float | None:
        """Hits over looks; none before the first. No measure of success: a wrong answer is a hit, too."""
        return self.hits / self.looks if self.looks else None
