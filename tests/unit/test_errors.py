from __future__ import annotations

import pickle

from greenops.errors import (
    AdapterUnavailable,
    DataMissing,
    ExitCode,
    InvalidFile,
    Location,
    PolicyFailed,
    Unreachable,
    UsageError,
    nearest,
)


def test_an_error_is_one_line_with_code_place_and_mend():
    error = InvalidFile(
        "GO0101", "unknown field\n`x`", at=Location("p.yaml", 3, 7), fix="did you mean `y`?"
    )

    assert str(error) == "GO0101 p.yaml:3:7: unknown field `x`; did you mean `y`?"


def test_a_place_without_a_line_is_the_file():
    assert str(Location("p.yaml")) == "p.yaml"


def test_each_kind_of_error_has_its_exit_code():
    kinds = (UsageError, InvalidFile, PolicyFailed, DataMissing, Unreachable, AdapterUnavailable)

    codes = [kind("GO0000", "x").exit_code for kind in kinds]

    assert codes == [
        ExitCode.USAGE,
        ExitCode.USAGE,
        ExitCode.POLICY,
        ExitCode.DATA,
        ExitCode.UNREACHABLE,
        ExitCode.UNREACHABLE,
    ]


def test_the_nearest_word_is_found_or_none():
    assert nearest("urgncy", ["urgency", "team"]) == "urgency"
    assert nearest("zzz", ["urgency", "team"]) is None


def test_an_error_is_the_same_after_it_was_pickled():
    made = DataMissing("GO0303", "no such day", at=Location("a.yaml", 3, 4), fix="bring it")

    back = pickle.loads(pickle.dumps(made))

    assert (type(back), str(back), back.args, back.at) == (
        DataMissing,
        str(made),
        made.args,
        made.at,
    )
