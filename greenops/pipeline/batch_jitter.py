"""Spreads the starts of jobs that would all begin at one instant, by a hash of each id: the same at every plan."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256

from greenops.pipeline.batch_draft import Draft, Pieces


def spread_starts(draft: Draft, jitter_s: int) -> None:
    """Move the planned runs that begin together by up to `jitter_s` [s] each.

    A start stays inside its slot; a run keeps its deadline, ends before what waits for it starts, stays inside the
    slots that are held for it under a limit, and is foretold from end to end.
    """
    together: dict[tuple[str, int], list[int]] = defaultdict(list)
    for job, pieces in draft.pieces.items():
        together[draft.site(job).place, pieces[0][0]].append(job)
    soonest: dict[int, int] = {}
    for earlier, later in draft.links:
        if later in draft.pieces:
            start = draft.pieces[later][0][0]
            soonest[earlier] = min(start, soonest.get(earlier, start))
    moved = {
        job: _moved(draft, job, jitter_s, soonest.get(job))
        for some in together.values()
        if len(some) > 1
        for job in some
    }
    foretold = draft.planned_g(moved)
    draft.pieces |= {job: pieces for job, pieces in moved.items() if job in foretold}


def _moved(draft: Draft, job: int, jitter_s: int, before: int | None) -> Pieces:
    pieces = draft.pieces[job]
    end = pieces[-1][1]
    ends = [int(draft.asked.deadline_s[job]), *([] if before is None else [before])]
    if job in draft.held_until:
        # In more pieces than one, some slot between is full to its end.
        ends.append(draft.held_until[job] if len(pieces) == 1 else end)
    in_slot = draft.step_s - 1 - pieces[0][0] % draft.step_s
    by = _share(draft.jobs[job].id, min(jitter_s, in_slot, min(ends) - end))
    return [(start + by, stop + by) for start, stop in pieces]


def _share(name: str, most: int) -> int:
    """A whole number of `0..most` that belongs to a name."""
    return int.from_bytes(sha256(name.encode()).digest()[:8]) % (max(0, most) + 1)
