"""The write-ahead log tells damage from a write that was cut off."""

from __future__ import annotations

import pytest

from greenops.adapters.wal import FRAME, Segment, Wal

PAYLOADS = tuple(bytes([65 + number]) * (50 + number) for number in range(5))
STARTS = [sum(FRAME.size + len(each) for each in PAYLOADS[:number]) for number in range(6)]


@pytest.fixture
def wal(tmp_path):
    return Wal(tmp_path)


@pytest.fixture
def segment(wal):
    """A closed segment of five frames."""
    for payload in PAYLOADS:
        wal.append(payload)
    wal.rotate()
    (path,) = wal.closed()
    return path


def overwrite(path, at: int, new: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:at] + new + data[at + len(new) :])


def test_a_whole_segment_is_read_whole(wal, segment):
    assert wal.read(segment) == Segment(PAYLOADS)


@pytest.mark.parametrize("kept", range(STARTS[4] + 1, STARTS[5]))
def test_a_last_frame_that_is_cut_off_is_torn_and_no_damage(wal, segment, kept):
    segment.write_bytes(segment.read_bytes()[:kept])

    assert wal.read(segment) == Segment(PAYLOADS[:4], torn=True)


@pytest.mark.parametrize("number", range(5))
def test_a_damaged_payload_costs_its_own_frame_and_is_told(wal, segment, number):
    overwrite(segment, STARTS[number] + FRAME.size + 3, b"damage")

    others = (*PAYLOADS[:number], *PAYLOADS[number + 1 :])
    assert wal.read(segment) == Segment(others, damaged_at=STARTS[number])


@pytest.mark.parametrize("length", [0, 1, 49, 70, 5000, 2**26, 2**31])
@pytest.mark.parametrize("number", range(5))
def test_a_damaged_length_is_damage_wherever_it_leads(wal, segment, number, length):
    overwrite(segment, STARTS[number], length.to_bytes(4, "big"))

    assert wal.read(segment) == Segment(PAYLOADS[:number], damaged_at=STARTS[number])


@pytest.mark.parametrize("new", [bytes(40), b"\xff" * 40, b"x" * 40], ids=["zeros", "ones", "text"])
def test_forty_bytes_overwritten_before_the_last_frame_are_never_passed_over(wal, segment, new):
    whole = segment.read_bytes()

    for at in range(STARTS[4]):
        segment.write_bytes(whole[:at] + new + whole[at + 40 :])
        found = wal.read(segment)

        first = next(number for number in range(5) if at < STARTS[number + 1])
        assert segment.read_bytes() == whole or found.damaged_at is not None, at
        assert found.payloads[:first] == PAYLOADS[:first]
        assert set(found.payloads) <= set(PAYLOADS)


def test_a_segment_set_aside_keeps_its_bytes_and_is_read_no_more(wal, segment):
    before = segment.read_bytes()

    aside = wal.set_aside(segment)

    assert (aside.name, aside.read_bytes()) == (f"{segment.name}.damaged", before)
    assert wal.closed() == []
