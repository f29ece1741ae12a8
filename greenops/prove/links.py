"""What entries say of each other: a decision, the actions and receipts of it, what a run came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenops.domain.action import Outcome
from greenops.domain.decision import Mode
from greenops.domain.evidence import EntryKind


@dataclass(frozen=True, slots=True)
class _Decided:
    """Of a decision, what its run's outcome must agree with.

    Attributes:
        says: Fields of an outcome that the decision settles.
        region: Where the run was to be.
        home: Where it would have been without GreenOps.
        start: When it would have started; none where that is the start it had.
        latest: Its latest safe start, as written; none where it has no deadline.
    """

    says: Mapping[str, object]
    region: str | None
    home: str | None
    start: datetime | None
    latest: str | None


class Links:
    """Entries so far, as far as later ones refer to them."""

    __slots__ = ("_applied", "_decided")

    def __init__(self) -> None:
        self._decided: dict[str, _Decided] = {}
        self._applied: dict[str, set[str]] = {}

    def knows(self, decision_id: str) -> bool:
        """Whether this decision came before."""
        return decision_id in self._decided

    def faults(self, kind: EntryKind, body: Mapping[str, Any]) -> list[str]:
        """What in a body does not agree with earlier entries, a sentence each."""
        try:
            match kind:
                case EntryKind.DECISION:
                    return list(self._of_replaced(_decided(body), body["record"]["decision"]))
                case EntryKind.ACTION | EntryKind.RECEIPT:
                    return list(self._of_decision(kind, body))
                case EntryKind.OUTCOME:
                    return list(self._of_outcome(body))
                case EntryKind.OVERRIDE if "order" not in body:
                    return list(self._of_override(body))
                case _:
                    pass
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return [f"its {kind} lacks what others refer to: {error!r}"]
        return []

    def take(self, kind: EntryKind, body: Mapping[str, Any]) -> list[str]:
        """Give the faults of the next body; one that has none is remembered."""
        found = self.faults(kind, body)
        if not found and kind is EntryKind.DECISION:
            self._decided[str(body["id"])] = _decided(body)
        elif not found and kind is EntryKind.RECEIPT and body.get("outcome") == Outcome.APPLIED:
            of_action = self._applied.setdefault(str(body.get("action_id")), set())
            of_action.add(str(body.get("decision_id")))
        return found

    def _of_decision(self, kind: EntryKind, body: Mapping[str, Any]) -> Iterator[str]:
        named = body.get("decision_id")
        # A run that nobody decided leaves a receipt as well.
        if kind is EntryKind.RECEIPT and not named:
            return
        if named not in self._decided:
            yield f"its {kind} is of decision `{named}`, which no earlier line holds"

    def _of_replaced(self, decided: _Decided, made: Mapping[str, Any]) -> Iterator[str]:
        named = made.get("supersedes")
        if named is None:
            return
        before = self._decided.get(named)
        if before is None:
            yield f"its decision takes the place of `{named}`, which no earlier line holds"
        elif before.says["run_key"] != decided.says["run_key"]:
            yield f"its decision takes the place of `{named}`, which is of another run"

    def _of_override(self, body: Mapping[str, Any]) -> Iterator[str]:
        for name in ("who", "why"):
            if not body[name].strip():
                yield f"its override does not say `{name}`"
        if _instant(body["until"]) <= _instant(body["at"]):
            yield "its override was over before it began"
        if "overrode" in body:
            yield from self._of_overrode(body, body["overrode"])

    def _of_overrode(self, body: Mapping[str, Any], overrode: Mapping[str, Any]) -> Iterator[str]:
        named = overrode["decision_id"]
        decided = self._decided.get(named)
        if decided is None:
            yield f"its override is of decision `{named}`, which no earlier line holds"
            return
        for name in ("run_key", "workload"):
            if body.get(name) != decided.says[name]:
                yield (
                    f"its override says `{name}` is `{body.get(name)}`, "
                    f"its decision `{decided.says[name]}`"
                )
        if overrode.get("latest_safe_start") != decided.latest:
            yield (
                f"its override put a latest safe start of {overrode.get('latest_safe_start')} aside, "
                f"its decision says {decided.latest}"
            )

    def _of_outcome(self, body: Mapping[str, Any]) -> Iterator[str]:
        named = str(body["decision_id"])
        decided = self._decided.get(named)
        if decided is None:
            yield f"its outcome is of decision `{named}`, which no earlier line holds"
            return
        if named not in self._applied.get(str(body["receipt_id"]), ()):
            yield (
                f"its outcome names receipt `{body['receipt_id']}`, "
                "which no earlier line holds as applied for that decision"
            )
        for name, wanted in decided.says.items():
            if body.get(name) != wanted:
                yield f"its outcome says `{name}` is `{body.get(name)}`, its decision `{wanted}`"
        yield from _of_windows(body["chosen"], body["baseline"], decided)


def _of_windows(
    chosen: Mapping[str, Any], baseline: Mapping[str, Any], decided: _Decided
) -> Iterator[str]:
    if chosen["region"] not in (decided.region, decided.home):
        yield f"its outcome ran in `{chosen['region']}`, where its decision did not place it"
    if baseline["region"] != decided.home:
        yield f"its baseline is in `{baseline['region']}`, that of its decision in `{decided.home}`"
    started, ended = _instant(chosen["start"]), _instant(chosen["end"])
    before, after = _instant(baseline["start"]), _instant(baseline["end"])
    wanted = decided.start or started
    if before != wanted:
        yield f"its baseline starts at {before.isoformat()}, not at {wanted.isoformat()}"
    if after - before != ended - started:
        yield "its baseline is not as long as its run"


def _decided(body: Mapping[str, Any]) -> _Decided:
    made = body["record"]["decision"]
    if body["id"] != made["id"]:
        raise ValueError("two names")
    chosen, baseline = made["chosen"], made["baseline"]
    held_out = made.get("held_out", False)
    # As the planner has it: what is not enforced, or held out, does not move.
    placed = chosen if made["mode"] == Mode.ENFORCE and not held_out else baseline
    moved, start = placed["id"] != baseline["id"], baseline.get("start")
    return _Decided(
        says={
            "run_key": made["job_id"],
            "workload": made["workload"],
            "held_out": held_out,
            "replay": made["replay"],
        },
        region=placed.get("region"),
        home=baseline.get("region"),
        start=_instant(start) if moved and start is not None else None,
        latest=made.get("latest_safe_start"),
    )


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"`{text}` has no time zone")
    return found
