"""`greenops run`: hold a command until its planned start, and start it at most once per key.

Everything fails open: no server, policies, data, disk or usable settings means that it runs now.
The one thing that stops it is the claim of another holder of the same key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from greenops.act.hold import Hold, at_once, hold_for, obey, on_time
from greenops.adapters.clock import SystemClock
from greenops.adapters.command import (
    SHELL_NOT_FOUND,
    SHELL_SIGNAL,
    Command,
    Stopped,
    alive,
    found,
    own_claim,
)
from greenops.adapters.holding import Holding
from greenops.adapters.local_process import RunFolder
from greenops.config import Settings, find_state, load_settings
from greenops.domain.console import DecisionRecord, JobRequest
from greenops.domain.decision import Decision
from greenops.domain.run import RunReceipt
from greenops.domain.workload import Workload
from greenops.errors import ExitCode, GreenOpsError, InvalidFile, Location
from greenops.pipeline.overrides_here import ready
from greenops.pipeline.plan_here import PlanHere
from greenops.pipeline.run_report import (
    RunServer,
    WhileItAnswers,
    keep_receipt,
    leave_decision,
    leave_receipt,
    silent,
)
from greenops.pipeline.waiting import Look, Say, as_it_is, wait
from greenops.ports import Clock

Decide = Callable[[JobRequest, Workload], DecisionRecord]
Again = Callable[[DecisionRecord], DecisionRecord | None]


@dataclass(frozen=True, slots=True)
class HeldRun:
    """One run to hold.

    Attributes:
        server: Control loop to ask first, and no more in this run once it did not answer; none:
            decide here.
        decide: Decides here where the server does not.
        broken: Why the settings cannot be used: then it is not held; none where they can.
        again: Decides once more here, in the place of what was decided here; none: a start that was
            planned stays.
    """

    workload: Workload
    run_key: str
    command: tuple[str, ...]
    decide: Decide
    server: RunServer | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    broken: str | None = None
    again: Again | None = None


def say(line: str) -> None:
    """Tell a person one line; a terminal that is gone is no reason to stop."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"greenops: {line}\n")
        sys.stderr.flush()


def surroundings(flags: Mapping[str, object]) -> tuple[Settings, Clock, str | None]:
    """Settings and clock, and what is wrong with them; then defaults and wall time stand in.

    The state folder is kept where anything tells it: a key starts once, whatever else is broken.
    """
    settings, clock, wrong = Settings(state=find_state(flags=flags)), SystemClock(), None
    try:
        settings = load_settings(flags=flags)
    except Exception as error:  # noqa: BLE001  (law: whatever fails here, the work runs on)
        wrong = _line(error)
    try:
        replayed = SystemClock.from_environment()
        replayed.now()  # A rate may go beyond every calendar.
        clock = replayed
    except Exception as error:  # noqa: BLE001  (law: whatever fails here, the work runs on)
        wrong = wrong or _line(error)
    return settings, clock, wrong


def _line(error: Exception) -> str:
    """What is wrong with the settings, in one line."""
    if isinstance(error, GreenOpsError):
        return str(error)
    said = " ".join(str(error).split())
    return f"GO0623 settings cannot be read ({type(error).__name__}: {said})"


def read_workload(path: Path, name: str | None = None) -> Workload:
    """The workload of a file.

    Args:
        path: A workload file.
        name: Which one, where the file declares several.

    Raises:
        InvalidFile: The file cannot be read, is invalid, or does not declare exactly that.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidFile(
            "GO0620", f"workload file cannot be read: {why}", at=Location(str(path))
        ) from error
    from greenops.policy import compile_policies

    declared = _named(compile_policies([(str(path), text)]).workloads)
    if name is None and len(declared) == 1:
        return next(iter(declared.values()))
    if name is not None and name in declared:
        return declared[name]
    known = ", ".join(sorted(declared)) or "none"
    raise InvalidFile(
        "GO0621",
        f"no workload `{name}` here" if name else "need exactly one workload here",
        at=Location(str(path)),
        fix=f"name one as `--workload FILE#NAME`; declared: {known}",
    )


def _named(workloads: Mapping[str, Workload] | Sequence[Workload]) -> dict[str, Workload]:
    each = workloads.values() if isinstance(workloads, Mapping) else workloads
    return {workload.name: workload for workload in each}


def default_key(workload: Workload, now: datetime) -> str:
    """`<workload>/<date>`: the simulated date where the workload's clock hangs, else UTC."""
    zone = workload.schedule.time_zone if workload.schedule else "UTC"
    return f"{workload.name}/{now.astimezone(ZoneInfo(zone)).date().isoformat()}"


def run_held(run: HeldRun, settings: Settings, clock: Clock, tell: Say = say) -> int:
    """Hold the command, start it once, and give its exit code.

    Returns:
        The command's exit code, 128 + signal, also where the key has run already; 0 where it is
        running; 127 where there is no such command; 3 where the key was started and nobody saw it
        end.
    """
    folder = RunFolder(settings.state, run.run_key)
    if run.server is not None:
        run = replace(run, server=WhileItAnswers(run.server))
    if not found(run.command):
        tell(f"GO0622 no command `{run.command[0]}`; nothing was held")
        return SHELL_NOT_FOUND
    if folder.claimed():
        return _again(folder, settings, tell)
    environ = {"GREENOPS_RUN_KEY": run.run_key, "GREENOPS_WORKLOAD": run.workload.name}
    command = Command(run.command, environ)
    command.listen()
    try:
        with Holding(folder.path) as holding:
            hold = _held_until_its_start(run, settings, folder, clock, tell, holding)
            mine = _claim(folder, clock, tell)
        if not mine:
            return _again(folder, settings, tell)
        return _carry_out(run, hold, folder, settings, clock, command, tell)
    except Stopped as stop:
        folder.give_claim_back()
        tell(f"`{run.run_key}` was called off by {stop} before its start; nothing ran")
        return SHELL_SIGNAL + stop.number


# -- what to wait for ---------------------------------------------------------


def _held_until_its_start(
    run: HeldRun,
    settings: Settings,
    folder: RunFolder,
    clock: Clock,
    tell: Say,
    holding: Holding,
) -> Hold:
    if run.broken is not None:
        tell(f"{run.broken}; running now")
        return at_once(clock.now(), "settings cannot be used")
    try:
        hold, made_here = _first_hold(run, settings, folder, clock, tell)
        ready(holding, settings, clock, run.run_key, run.workload.name, tell)
        look: Look = as_it_is
        if run.again is not None and made_here is not None:
            look = PlanHere(run.again, made_here, folder, settings, clock)
        return wait(folder, hold, clock, tell, look)
    except Exception as error:  # noqa: BLE001  (law: whatever fails here, the work runs on)
        tell(f"GO0623 holding failed ({type(error).__name__}: {error}); running now")
        return at_once(clock.now(), "holding failed")


def _first_hold(
    run: HeldRun, settings: Settings, folder: RunFolder, clock: Clock, tell: Say
) -> tuple[Hold, DecisionRecord | None]:
    """What to wait for first, and all that it rests on where it was decided here just now."""
    kept = folder.decision()
    order = folder.order()
    if kept is None and order is not None:
        hold = Hold(order.change.start_at, order.change.latest_safe_start, "ordered", None)
        return obey(hold, order.change, order.action_id, order.decision_id), None
    decision, made_here = (kept, None) if kept else _ask(run, settings, clock, tell)
    now = clock.now()
    if decision is None:
        return at_once(now, "no decision could be made"), None
    if not decision.forecast_ids and decision.chosen.id == decision.baseline.id:
        tell(_unforeseen(decision))
    if kept is None:
        try:
            folder.keep_decision(decision)
        except OSError as error:
            tell(
                f"GO0601 decision cannot be kept: {error.strerror or error}; it holds all the same"
            )
    return hold_for(decision, now, settings.mode), made_here


def _unforeseen(decision: Decision) -> str:
    zone = decision.baseline.zone or decision.baseline.region
    return (
        f"GO0626 no forecast for `{zone}` that can be used, so `{decision.job_id}` starts as "
        "without GreenOps; look with `greenops doctor`"
    )


def _ask(
    run: HeldRun, settings: Settings, clock: Clock, tell: Say
) -> tuple[Decision | None, DecisionRecord | None]:
    request = JobRequest(run.workload.name, run.run_key, clock.now(), run.labels, triggered=True)
    if run.server is not None:
        try:
            return run.server.submit(request), None
        except GreenOpsError as error:
            tell(f"{error}; deciding here")
        except Exception as error:  # noqa: BLE001  (law: whatever fails here, the work runs on)
            tell(f"GO0623 asking failed ({type(error).__name__}: {error}); deciding here")
    try:
        record = run.decide(request, run.workload)
    except GreenOpsError as error:
        tell(f"{error}; running now")
    except Exception as error:  # noqa: BLE001  (law: whatever fails here, the work runs on)
        tell(f"GO0623 deciding failed ({type(error).__name__}: {error}); running now")
    else:
        kept = leave_decision(record, settings, tell)
        return record.decision, record if kept else None
    return None, None


# -- starting once ------------------------------------------------------------


def _claim(folder: RunFolder, clock: Clock, tell: Say) -> bool:
    try:
        return folder.take_claim(own_claim(clock.now()))
    except OSError as error:
        if folder.claimed():
            return False
        why = error.strerror or error
        tell(f"GO0601 state cannot be written ({why}); running `{folder.run_key}` now, unclaimed")
        return True


def _carry_out(
    run: HeldRun,
    hold: Hold,
    folder: RunFolder,
    settings: Settings,
    clock: Clock,
    command: Command,
    tell: Say,
) -> int:
    started = clock.now()
    try:
        pid = command.start(_environ(hold))
    except OSError as error:
        folder.give_claim_back()
        tell(f"GO0622 `{run.command[0]}` cannot be started: {error.strerror or error}")
        return SHELL_NOT_FOUND - isinstance(error, PermissionError)
    made = RunReceipt(
        run_key=run.run_key,
        workload=run.workload.name,
        started_at=started,
        on_time=on_time(hold, started),
        decision_id=hold.decision_id,
        action_id=hold.action_id,
        pid=pid,
    )
    kept = keep_receipt(folder, made, tell)
    code = command.wait()
    made = replace(made, ended_at=clock.now(), exit_code=code)
    # What could not be kept at the start has been told.
    keep_receipt(folder, made, tell if kept else silent)
    leave_receipt(made, run.server, settings, tell)
    return code


def _environ(hold: Hold) -> dict[str, str]:
    return {"GREENOPS_DECISION_ID": hold.decision_id} if hold.decision_id else {}


def _again(folder: RunFolder, settings: Settings, tell: Say) -> int:
    made, holder = folder.receipt(), folder.claim_holder()
    if made is not None and made.exit_code is not None:
        tell(f"`{folder.run_key}` ran already, exit code {made.exit_code}; nothing was started")
        return made.exit_code
    if holder is not None and alive(holder):
        if made is not None:
            # Its holder may yet die, and nobody ask again; if it lives, its own receipt comes too.
            leave_receipt(made, None, settings, tell, running=True)
        tell(f"`{folder.run_key}` is running already; nothing was started")
        return ExitCode.OK
    if made is not None:
        leave_receipt(made, None, settings, tell)
    by = f"process {holder.pid}" if holder else "a process that left no name"
    tell(
        f"GO0624 `{folder.run_key}` was started by {by}, and nobody saw it end; "
        f"nothing was started; to run it again remove `{folder.path / 'claim'}`"
    )
    return ExitCode.DATA
