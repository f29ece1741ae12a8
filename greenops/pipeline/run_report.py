"""What a held run leaves for the ledger: the decision that was made here, and its receipt.

Both lie in the spool until a control loop takes them in; without one they stay there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from greenops.adapters.local_process import RunFolder
from greenops.adapters.spool import Spool
from greenops.config import Settings
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import DecisionRecord, JobRequest
from greenops.domain.decision import Decision
from greenops.domain.run import RunReceipt
from greenops.errors import AdapterUnavailable, DataMissing, GreenOpsError, UsageError
from greenops.pipeline.waiting import Say

A = TypeVar("A")
R = TypeVar("R")


class RunServer(Protocol):
    """What a held run asks of a control loop."""

    def submit(self, request: JobRequest) -> Decision:
        """Ask for a decision of one run."""

    def accept(self, receipt: Receipt) -> None:
        """Bring a receipt."""


class WhileItAnswers:
    """A control loop until it fails once: a run waits for a silent one a single time, not at its end too.

    Its refusal is an answer.
    """

    def __init__(self, server: RunServer) -> None:
        self._server = server
        self._silent = False

    def submit(self, request: JobRequest) -> Decision:
        """Ask for a decision.

        Raises:
            AdapterUnavailable: It did not answer before, or what `ports.ControlPlane` raises.
        """
        return self._call(self._server.submit, request)

    def accept(self, receipt: Receipt) -> None:
        """Bring a receipt.

        Raises:
            AdapterUnavailable: It did not answer before, or what `ports.ControlPlane` raises.
        """
        self._call(self._server.accept, receipt)

    def _call(self, ask: Callable[[A], R], about: A) -> R:
        if self._silent:
            raise AdapterUnavailable("GO0610", "the server did not answer before")
        try:
            return ask(about)
        except (UsageError, DataMissing):
            raise
        except Exception:
            self._silent = True
            raise


def leave_decision(record: DecisionRecord, settings: Settings, tell: Say) -> bool:
    """Leave a decision that no control loop made, with all it rests on; whether it is kept."""
    try:
        Spool(settings.state / "spool").drop_decision(record)
    except GreenOpsError as error:
        tell(f"{error}; the ledger may lack this decision")
        return False
    return True


def keep_receipt(folder: RunFolder, made: RunReceipt, tell: Say) -> bool:
    """Write down how the run went so far; whether that is kept."""
    try:
        folder.keep_receipt(made)
    except OSError as error:
        tell(f"GO0601 receipt of `{made.run_key}` cannot be kept: {error.strerror or error}")
        return False
    return True


def silent(_line: str) -> None:
    """Tell nobody, where the same was told before."""


def leave_receipt(
    made: RunReceipt,
    server: RunServer | None,
    settings: Settings,
    tell: Say,
    *,
    running: bool = False,
) -> None:
    """Leave the receipt of a run that was decided, and bring it to the control loop that is there.

    Args:
        made: How it went so far.
        server: The control loop; none: the spool alone.
        settings: Where the spool is.
        tell: Told where the spool cannot be written.
        running: It has not ended yet; the receipt of its end is another one.
    """
    if made.decision_id is None:
        return
    receipt = _as_receipt(made, made.decision_id)
    if running:
        # Law: an action has one receipt per outcome in the ledger; this one must not stand for the end.
        detail = f"`{made.run_key}` started; it was running when it was asked for again"
        receipt = replace(receipt, action_id=f"running:{made.run_key}", detail=detail)
    try:
        Spool(settings.state / "spool").drop(receipt)
    except GreenOpsError as error:
        tell(f"{error}; the receipt stays in `runs`")
    if server is not None:
        # Nothing is told, whatever it answers: the spool has it, and the loop takes it from there.
        with suppress(Exception):
            server.accept(receipt)


def _as_receipt(made: RunReceipt, decision_id: str) -> Receipt:
    """A run's receipt in the ledger's words."""
    end = "its end was not seen" if made.exit_code is None else f"exit code {made.exit_code}"
    return Receipt(
        action_id=f"start:{made.run_key}",
        decision_id=decision_id,
        target="local-process",
        kind="start_job",
        outcome=Outcome.APPLIED,
        detail=f"`{made.run_key}` started; {end}",
        at=made.started_at,
        on_time=made.on_time,
    )
