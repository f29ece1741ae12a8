"""Price files that somebody brings."""

# Plain numbers stand for prices here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.price_files import PriceFiles, from_environment
from greenops.domain.prices import PriceKind
from greenops.errors import AdapterUnsupported, DataMissing, InvalidFile

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 3, 1, 23, tzinfo=UTC)
HEAD = "time,zone,value\n"


def rows(*values, start=FIRST, step=HOUR, more=""):
    return "".join(
        f"{(start + i * step).isoformat()},DE-LU,{value}{more}\n" for i, value in enumerate(values)
    )


def files(folder, text, kind="tariff", currency="EUR", more=", time_zone: Europe/Berlin"):
    (folder / "price.csv").write_text(text)
    path = folder / "price.yaml"
    path.write_text(
        f"series:\n  - {{file: price.csv, source: ours, replay: false, kind: {kind}, currency: {currency}{more}}}\n"
    )
    return PriceFiles(path)


def test_prices_may_be_negative_and_a_tariff_is_known_as_far_as_it_runs(tmp_path):
    prices = files(tmp_path, HEAD + rows(50, -12.5, 60))

    found = prices.prices("DE-LU", FIRST + HOUR / 2, FIRST + 9 * HOUR, FIRST)

    assert (found.start, found.step, found.values) == (FIRST, HOUR, (50, -12.5, 60))
    assert (found.kind, found.currency, found.source) == (PriceKind.TARIFF, "EUR", "ours")
    assert not found.replay
    assert found.published_at is None
    assert [each.time_zone for each in prices.zones()] == ["Europe/Berlin"]


def test_a_later_publication_stands_before_an_earlier_one_and_not_before_its_time(tmp_path):
    noon = FIRST + 13 * HOUR
    text = "time,zone,value,published_at\n"
    text += rows(10, 11, 12, 13, more=f",{FIRST.isoformat()}")
    text += rows(20, 21, start=FIRST + 2 * HOUR, more=f",{noon.isoformat()}")
    prices = files(tmp_path, text, kind="day-ahead")

    before = prices.prices("DE-LU", FIRST, FIRST + 4 * HOUR, noon - HOUR)
    after = prices.prices("DE-LU", FIRST, FIRST + 4 * HOUR, noon)

    assert (before.values, before.published_at) == ((10, 11, 12, 13), FIRST)
    assert (after.values, after.published_at) == ((10, 11, 20, 21), noon)
    with pytest.raises(DataMissing, match=r"GO0335 .*published by 2026-03-01T22:00Z"):
        prices.prices("DE-LU", FIRST, FIRST + HOUR, FIRST - HOUR)


def test_quarter_hours_after_hours_are_laid_on_the_finer_step(tmp_path):
    text = "time,zone,value,published_at\n" + rows(10, 11, more=f",{FIRST.isoformat()}")
    later = (FIRST + HOUR).isoformat()
    text += rows(1, 2, 3, 4, start=FIRST + 2 * HOUR, step=HOUR / 4, more=f",{later}")

    found = files(tmp_path, text).prices("DE-LU", FIRST, FIRST + 3 * HOUR, FIRST + HOUR)

    assert found.step == HOUR / 4
    assert found.values == (10,) * 4 + (11,) * 4 + (1, 2, 3, 4)


def test_a_days_prices_are_known_from_midday_before(tmp_path):
    prices = files(tmp_path, HEAD + rows(*range(10, 58)), kind="day-ahead")
    morning = FIRST + 9 * HOUR

    assert prices.prices("DE-LU", FIRST, FIRST + 2 * DAY, morning).end == FIRST + DAY
    assert prices.prices("DE-LU", FIRST, FIRST + 2 * DAY, FIRST + 13 * HOUR).end == FIRST + 2 * DAY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + rows(50, 30000), "price.csv:3:33: 30000 per MWh cannot be: it is -25000 to 25000"),
        (HEAD + rows(*[0.1, -0.2] * 84), "`DE-LU` is never above 0.2 per MWh; values are per MWh"),
        (HEAD + rows(50, "EUR 3"), "`EUR 3` is no number"),
        (
            "time,zone,value,published_at\n"
            + rows(1, 2, more=",")
            + rows(1, 2, more=f",{FIRST.isoformat()}"),
            "some rows of `DE-LU` say `published_at`, and some do not",
        ),
        (
            "time,zone,value,published_at\n"
            + rows(1, 2, more=f",{FIRST.isoformat()}")
            + rows(1, 2, start=FIRST + HOUR / 2, more=f",{(FIRST + HOUR).isoformat()}"),
            "lie on no common grid of time",
        ),
    ],
)
def test_a_fault_of_a_file_is_said(tmp_path, text, said):
    with pytest.raises(DataMissing, match="GO0332") as caught:
        files(tmp_path, text).zones()

    assert said in str(caught.value)


def test_a_fault_of_the_declaration_is_said(tmp_path):
    with pytest.raises(InvalidFile, match=r"GO0331 .*`euros` is no currency"):
        files(tmp_path, HEAD, currency="euros")
    with pytest.raises(InvalidFile, match=r"GO0331 .*`time_zone` is missing"):
        files(tmp_path, HEAD, kind="day-ahead", more="")
    with pytest.raises(InvalidFile, match=r"write `kind: day-ahead \| tariff \| real-time`"):
        files(tmp_path, HEAD, kind="spot")
    with pytest.raises(AdapterUnsupported, match="set `GREENOPS_PRICE_FILES`"):
        from_environment({})


def test_what_the_files_do_not_have_is_said_and_the_environment_names_them(tmp_path):
    files(tmp_path, HEAD + rows(50, 60))
    prices = from_environment({"GREENOPS_PRICE_FILES": str(tmp_path / "price.yaml")})

    with pytest.raises(DataMissing, match="GO0302 no file has prices of `DE`; they have DE-LU"):
        prices.prices("DE", FIRST, FIRST + HOUR, FIRST)
    with pytest.raises(DataMissing, match="GO0335"):
        prices.prices("DE-LU", FIRST - HOUR, FIRST + HOUR, FIRST)


def test_a_zone_in_two_files_is_refused(tmp_path):
    files(tmp_path, HEAD + rows(50, 60))
    entry = "{file: price.csv, source: ours, replay: false, kind: tariff, currency: EUR}"
    (tmp_path / "two.yaml").write_text(f"series:\n  - {entry}\n  - {entry}\n")

    with pytest.raises(DataMissing, match="another file has `DE-LU` too"):
        PriceFiles(tmp_path / "two.yaml").zones()
