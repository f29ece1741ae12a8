"""Days and calendars in workload files."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

import pytest

from greenops.domain.record import canonical, parse
from greenops.domain.workload import Blackout, Calendar, ClockTime, Workload
from greenops.policy import compile_policies, lint

FILE = """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: night, owners: [a@example.com]}
spec:
  kind: batch
  homeRegion: us-west-1
  schedule: {at: "01:00", timeZone: Europe/Paris, days: [sun-tue, fri]}
  calendar:
    timeZone: Europe/Paris
    holidays: [2021-12-25, "2021-12-24"]
    blackouts:
    - {name: peak, from: "17:00", to: "21:00", days: [weekdays]}
    - {dates: ["2021-12-31"]}
  durationP95: 1h
  deadline: {at: "06:00", timeZone: Europe/Paris, days: [weekends]}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
"""
CLOSED = (date(2021, 12, 24), date(2021, 12, 25))


def read(text=FILE):
    return compile_policies([("w.yaml", text)]).workloads["night"]


def test_days_and_holidays_are_part_of_the_times_that_they_are_of():
    found = read()

    assert found.schedule == ClockTime(time(1), "Europe/Paris", (0, 1, 4, 6), CLOSED)
    assert found.limits.deadline_at == ClockTime(time(6), "Europe/Paris", (5, 6), CLOSED)
    assert found.calendar == Calendar(
        "Europe/Paris",
        CLOSED,
        (
            Blackout(time(17), time(21), (0, 1, 2, 3, 4), None, "peak"),
            Blackout(dates=(date(2021, 12, 31),)),
        ),
    )


def test_a_workload_with_a_calendar_is_kept_and_read_again():
    bare = replace(read(), source=None)

    assert parse(Workload, canonical(bare)) == bare


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[weekends]", "[weekend]", "`spec.deadline.days` has `weekend`"),
        ("[weekends]", "[]", "`spec.deadline.days` is empty"),
        ("[weekends]", "sat", "`spec.deadline.days` is `sat`"),
        ("2021-12-25", "2021-13-25", "has `2021-13-25`, which is no date"),
        ('to: "21:00", ', "", "`spec.calendar.blackouts[0].to` is missing"),
        ('to: "21:00"', 'to: "17:00"', "another time than `from`"),
        ('{dates: ["2021-12-31"]}', "{name: never}", "never ends"),
        ('{dates: ["2021-12-31"]}', '{dates: ["2021-12-31"], days: [mon]}', "both `days` and"),
        ("calendar:\n    timeZone: Europe/Paris", "calendar:\n    timeZone: Mars", "is `Mars`"),
        ("kind: batch\n", "kind: batch\n  urgency: interactive\n", "has `spec.calendar`"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(old, new, said):
    found = [str(each) for each in lint([("w.yaml", FILE.replace(old, new, 1))])]

    assert any(said in each for each in found), found
