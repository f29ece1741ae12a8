"""What a choice in columns rests on, beside what is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenops.policy.columns import Mask, Values
from greenops.policy.job_groups import NONE


@dataclass(frozen=True, slots=True)
class Told:
    """What a choice rests on, one value per job.

    Attributes:
        allowed: Ways beside the baseline that no rule refuses.
        able: Ways that might have been chosen, what stays among them.
        compliant: No rule refuses the baseline.
        objective: Objective that counts, by its place in the ruling policy; -1 where none does.
        score: What the choice was ranked by, the least first; NaN where there is no such number.
    """

    allowed: Values
    able: Values
    compliant: Mask
    objective: Values
    score: Values

    @classmethod
    def of(cls, jobs: int) -> Told:
        """Nothing is known of so many jobs yet."""
        none = np.full(jobs, NONE)
        return cls(none, none.copy(), np.zeros(jobs, np.bool_), none.copy(), np.full(jobs, np.nan))
