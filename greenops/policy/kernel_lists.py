"""`in` on columns: among given values, and in a list field of the jobs."""

from __future__ import annotations

import numpy as np

from greenops.policy.columns import Column, both
from greenops.policy.tables import Lists


def member(item: Column, among: list[Column]) -> Column:
    """`item in [a, b]`: an error in the list is one of the whole."""
    ok = both(item.ok, *(each.ok for each in among))
    if all(each.values.shape == (1, 1) for each in among):
        values = np.array([each.values[0, 0] for each in among], item.values.dtype)
        return Column("bool", np.isin(item.values, values), ok)
    found = np.zeros((1, 1), np.bool_)
    for each in among:
        found = found | (item.values == each.values)
    return Column("bool", found, ok)


def members_of(item: Column, lists: Lists) -> Column:
    """`item in job.list`, round by round over the longest list."""
    found = np.zeros((1, 1), np.bool_)
    for at in range(lists.codes.shape[1]):
        here = (item.values == lists.codes[:, at : at + 1]) & (lists.lengths > at)
        found = found | here
    return Column("bool", found, both(item.ok, lists.ok))
