"""One thing that `policy check` says, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from greenops.errors import Location
from greenops.policy.report import Problem


class Severity(StrEnum):
    """Error: the rules cannot do what they say. Warning: they do less than they seem to."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a lint.

    Attributes:
        fix: What to do.
    """

    code: str
    severity: Severity
    message: str
    at: Location
    fix: str | None = None

    @classmethod
    def of(cls, problem: Problem, severity: Severity) -> Finding:
        """A problem of the compiler, or an exception that ran out, as a finding."""
        at = problem.at or Location("")
        return cls(problem.code, severity, problem.message, at, problem.fix)

    def __str__(self) -> str:
        """Give the one line that is printed."""
        then = f"; {self.fix}" if self.fix else ""
        mark = "" if self.severity is Severity.ERROR else " (warning)"
        return f"{self.code} {self.at}: {self.message}{then}{mark}".replace("\n", " ")
