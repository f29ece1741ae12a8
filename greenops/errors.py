"""Errors a person can act on: one line that tells what, where, why, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command line returns; scripts rely on these numbers."""

    OK = 0
    POLICY = 1
    """A policy or its test failed, or a budget is spent."""
    USAGE = 2
    """Wrong usage, or an invalid policy, workload or settings file."""
    DATA = 3
    """Data is missing, stale or damaged."""
    UNREACHABLE = 4
    """A service, a port or a disk cannot be reached or used."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file; line and column count from 1, 0 where the whole file is meant."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Give `file:line:col`, shorter where line or column is not known."""
        return ":".join([self.file, *(str(part) for part in (self.line, self.column) if part)])


MOST_SHOWN = 2_000
"""Longest line that is printed [characters]; what was quoted may be a whole file."""


def one_line(text: str, most: int = MOST_SHOWN) -> str:
    """A text as one line that a terminal only shows: what it quotes cannot move the cursor or hide.

    Args:
        text: Any text; controls, and signs that turn the direction of writing, become escapes.
        most: Longest result; the middle of a longer one is left out.
    """
    text = _shortened(text.replace("\n", " "), most)
    if text.isprintable():
        return text
    return _shortened("".join(map(_visible, text)), most)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-(most // 2) :]}"


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else f"\\u{ord(sign):04x}"


class GreenOpsError(Exception):
    """Base of every error that GreenOps raises on purpose.

    Args:
        code: Stable code such as `GO0101`; `docs/reference/errors.md` has a section for it.
        message: What is wrong and what would be right; lower case, no full stop.
        at: Where it is, if it is in a file.
        fix: What to do next, if that is not plain from the message.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(
        self, code: str, message: str, *, at: Location | None = None, fix: str | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.at = at
        self.fix = fix
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle whole, so that a worker's error is ours here too."""
        return _again, (type(self), self.__dict__)

    def __str__(self) -> str:
        """Give the one line that is printed."""
        where = f"{self.at}: " if self.at else ""
        then = f"; {self.fix}" if self.fix else ""
        return one_line(f"{self.code} {where}{self.message}{then}")


def _again(kind: type[GreenOpsError], parts: dict[str, object]) -> GreenOpsError:
    made = kind.__new__(kind)
    made.__dict__.update(parts)
    made.args = (str(made),)
    return made


class UsageError(GreenOpsError):
    """The command line or a setting is wrong."""


class InvalidFile(GreenOpsError):
    """A policy, workload or settings file is not what it should be."""


class PolicyFailed(GreenOpsError):
    """A policy, or a test in a policy file, does not hold."""

    exit_code = ExitCode.POLICY


class DataMissing(GreenOpsError):
    """Data that an answer needs is absent, stale or damaged."""

    exit_code = ExitCode.DATA


class Unreachable(GreenOpsError):
    """A service, a port or a disk cannot be used now."""

    exit_code = ExitCode.UNREACHABLE


class AdapterUnavailable(GreenOpsError):
    """The outside system does not answer now; later it may.

    Args:
        code, message, at, fix: As of every error.
        retry_after_s: How long the outside system asks to wait [s]; none where it does not say.
    """

    exit_code = ExitCode.UNREACHABLE

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: Location | None = None,
        fix: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, at=at, fix=fix)
        self.retry_after_s = retry_after_s


class AdapterUnsupported(GreenOpsError):
    """The outside system never will do this here."""

    exit_code = ExitCode.UNREACHABLE


class MixedQuantities(GreenOpsError):
    """Two numbers of different kinds (signal, account, boundary) must not be added."""

    exit_code = ExitCode.DATA


def nearest(word: str, known: object) -> str | None:
    """The known word most like `word`, or none where nothing is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, [str(each) for each in known], n=1, cutoff=0.6)  # type: ignore[attr-defined]
    return found[0] if found else None
