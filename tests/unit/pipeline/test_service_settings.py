"""What an instrumented service may choose, and what a wrong word costs it: a line in the log."""

from __future__ import annotations

import logging

import pytest

from greenops.config import CHOICES, PREFIX, Settings
from greenops.observe.idle import SEPARATE, Idle, IdlePolicy
from greenops.pipeline.service_settings import IDLE, idle, switched_on
from greenops.units import Watts


def test_idle_energy_belongs_to_nobody_until_someone_says_so():
    assert idle({}) == SEPARATE


def test_the_policy_of_idle_energy_can_be_chosen():
    environ = {
        "GREENOPS_IDLE_POLICY": "by_reservation",
        "GREENOPS_IDLE_RESERVED": "0.25",
        "GREENOPS_IDLE_W": "gpu=70, package-0=18",
    }

    watts = {"gpu": Watts(70.0), "package-0": Watts(18.0)}
    assert idle(environ) == Idle(IdlePolicy.BY_RESERVATION, 0.25, watts)
    assert idle({"GREENOPS_IDLE_POLICY": "by_dynamic_share"}).policy is IdlePolicy.BY_DYNAMIC_SHARE


@pytest.mark.parametrize(
    "wrong",
    [
        {"GREENOPS_IDLE_POLICY": "mine"},
        {"GREENOPS_IDLE_POLICY": "by_reservation", "GREENOPS_IDLE_RESERVED": "1.5"},
        {"GREENOPS_IDLE_RESERVED": "-0.1"},
        {"GREENOPS_IDLE_RESERVED": "nan"},
        {"GREENOPS_IDLE_RESERVED": "half"},
        {"GREENOPS_IDLE_W": "70"},
        {"GREENOPS_IDLE_W": "gpu=-1"},
        {"GREENOPS_IDLE_W": "gpu=much"},
    ],
    ids=lambda each: ",".join(f"{k}={v}" for k, v in each.items()),
)
def test_a_wrong_policy_is_told_in_one_line_and_leaves_idle_energy_apart(wrong, caplog):
    with caplog.at_level(logging.WARNING):
        found = idle(wrong)

    (record,) = caplog.records
    assert found == SEPARATE
    assert record.getMessage().startswith("GO0734")
    assert "\n" not in record.getMessage()


def test_every_policy_can_be_chosen_and_every_setting_it_reads_is_one():
    assert CHOICES["idle_policy"] == tuple(IdlePolicy)
    assert {each.lower() for each in IDLE} <= set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("word", "on"),
    [("", True), ("true", True), (" True ", True), ("false", False), ("FALSE", False)],
)
def test_a_switch_is_on_until_it_is_told_false(word, on, caplog):
    assert switched_on("GREENOPS_METER_CLOCKS", {"GREENOPS_METER_CLOCKS": word}) is on
    assert caplog.text == ""


def test_a_switch_that_is_not_there_is_on():
    assert switched_on(PREFIX + "METER_CLOCKS", {})


@pytest.mark.parametrize("word", ["0", "no", "falsch"])
def test_another_word_is_told_and_leaves_the_switch_on(word, caplog):
    assert switched_on("GREENOPS_METER_CLOCKS", {"GREENOPS_METER_CLOCKS": word})
    assert f"GO0733 `GREENOPS_METER_CLOCKS` must be `true` or `false`, not `{word}`" in caplog.text
