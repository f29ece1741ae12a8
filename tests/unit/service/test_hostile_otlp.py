"""Twenty thousand damaged OTLP messages: each is taken or refused in one line, within a second and 300 MiB in all."""

from __future__ import annotations

import pytest

from tests.soak import hostile_otlp

COUNT = 20_000


@pytest.mark.untraced
@pytest.mark.timeout(300)
def test_damaged_messages_are_taken_or_refused_in_one_line():
    tally = hostile_otlp.trial(range(COUNT))

    assert tally.faults == {}
    assert tally.answers.total() == COUNT
    assert set(tally.answers) <= {"taken", "GO0502", "GO0503"}
    assert tally.answers["taken"] > COUNT / 10
    assert tally.answers["GO0503"] > COUNT / 10
    assert tally.grown < hostile_otlp.GROWTH


def test_a_fault_of_one_message_among_many_is_found(monkeypatch):
    house = hostile_otlp.House()
    own, taken = house._take, []

    def take(*messages: bytes) -> str | None:
        taken.append(messages)
        return "ours" if house._raw[3] in messages else own(*messages)

    monkeypatch.setattr(house, "_take", take)
    for seed, raw in enumerate(house._raw[:6]):
        house._spans(seed, raw, hostile_otlp.PROTOBUF)

    assert house.settle() == {3: "ours"}
    assert len(taken) == 7
