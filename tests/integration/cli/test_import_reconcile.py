"""A month of a provider, from both sides: a gap where the two are of one account, a reason where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli.main import main
from tests.integration.cli.foreign import SAMPLES, bring, refused, span, told, write

AWS = str(SAMPLES / "aws_carbon.csv")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A lake with a month of AWS's figures, and spans of which not all count."""
    write(
        tmp_path,
        *(span(number) for number in range(20)),
        span(20, method="modeled", carbon_g=500.0, region="eu-west-1"),
        # Energy that lies in no grid zone that is known.
        span(21, carbon_g=None, grid_zone=None),
        # Of another provider, of nobody, of another month, and another tool's.
        span(22, region="europe-west3"),
        span(23, region=None),
        span(40 * 86_400),
        span(24, carbon_g=7.0, attributes={"greenops.import.tool": '"codecarbon"'}),
    )
    bring(tmp_path, "aws-carbon", AWS)
    return tmp_path


@pytest.mark.feature("K5")
def test_the_gap_is_against_the_same_scope_and_account(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, state, "reconcile", "aws", "--month", "2026-10")

    location, market = found["figures"]
    assert (location["accounting"], location["scope"], location["grams"]) == ("location", "2", 4000)
    assert location["gap"] == pytest.approx((4000 - 2500) / 4000)
    assert found["own"]["grams"] == 2500
    # The spans' ranges of energy, 8 to 14 J about 10 J.
    assert (found["own"]["low"], found["own"]["high"]) == (1600 + 400, 2800 + 700)
    assert found["by_method"] == {"measured": 2000, "modeled": 500}
    assert found["own"]["method"] == "modeled"
    assert (market["accounting"], market.get("gap")) == ("market", None)
    assert "the lake is location-based, this is market-based (GO0301)" in market["why_not"]


@pytest.mark.feature("K5")
def test_a_span_that_came_twice_counts_once_before_and_after_packing(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ParquetLake(state / "lake").write_spans([span(0), span(30, carbon_g=-5.0)], "again")
    loose = told(capsys, state, "reconcile", "aws", "--month", "2026-10")
    assert main(["lake", "pack", "--state", str(state)]) == 0

    packed = told(capsys, state, "reconcile", "aws", "--month", "2026-10")

    assert loose == packed
    assert (loose["own"]["grams"], loose["spans"], loose["with_carbon"]) == (2500, 23, 21)


@pytest.mark.feature("K5")
def test_lag_and_coverage_are_told(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, state, "reconcile", "aws", "--month", "2026-10")

    assert (found["lag_days"], found["due"][:10]) == (16, "2026-11-21")
    assert found["published"].startswith("2026-11-17T08:00")
    assert (found["spans"], found["with_carbon"]) == (22, 21)
    assert found["known"] == pytest.approx(21 / 22)
    assert (found["days"], found["of_days"], found["nowhere"]) == (1, 31, 1)
    assert (found["imported"], found["imported_g"]) == (1, 7.0)
    assert found["unseen"] == []
    assert found["services"] == {"AmazonEC2": 3800.0, "AmazonS3": 200.0}
    assert found["versions"] == ["v3.0.0"]


@pytest.mark.feature("K5")
def test_a_region_and_services_may_be_compared_alone(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("reconcile", "aws", "--month", "2026-10", "--region", "eu-central-1")
    one = told(capsys, state, *argv, "--service", "AmazonEC2", "--lake-service", "checkout")
    none = told(capsys, state, *argv, "--lake-service", "nobody")

    assert one["figures"][0]["grams"] == 3000
    assert one["own"]["grams"] == 2000
    assert none["figures"][0]["why_not"] == "no span of the month in these regions has emissions"
    assert none["unseen"] == ["eu-central-1"]


@pytest.mark.feature("K5")
def test_a_person_reads_the_gap_its_reasons_and_what_is_left_out(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    bring(state, "reconcile", "aws", "--month", "2026-10")

    apart = (
        "  provider: 100 g, market-based, reported (scope 2, electricity, as the lake's own): "
        "not comparable: the lake is location-based, this is market-based (GO0301)"
    )
    assert capsys.readouterr().out.splitlines() == [
        "aws, 2026-10",
        "  provider: 4 kg, location-based, reported (scope 2, electricity, as the lake's own): the lake is 37.5 % below it",
        apart,
        "  lake: 2.5 kg (2 kg to 3.5 kg), location-based, modeled or better: measured 2 kg, modeled 500 g",
        "  coverage: 21 of 22 spans have emissions, with 95.5 % of their energy; 1 of 31 days; idle energy is on no span",
        "  left out: 1 span without a region",
        "  left out: 1 run that other tools accounted for, 7 g",
        "  the provider's by service: AmazonEC2 3.8 kg, AmazonS3 200 g",
        "  lag: published 2026-11-17, 16 days after the month; its pages say by 2026-11-21; its method v3.0.0",
    ]


@pytest.mark.feature("K5")
def test_a_figure_without_an_account_is_not_compared_until_it_has_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, span(1, region="westeurope", carbon_g=3000.0))
    file = str(SAMPLES / "azure_carbon.csv")
    argv = ("reconcile", "azure", "--month", "2026-10")
    bring(tmp_path, "azure-carbon", file)
    (untold,) = told(capsys, tmp_path, *argv)["figures"]
    bring(tmp_path, "azure-carbon", file, "--accounting", "location")

    (figure,) = told(capsys, tmp_path, *argv)["figures"]

    assert "gap" not in untold
    assert "import it with `--accounting`" in untold["why_not"]
    assert figure["gap"] == pytest.approx((2500 - 3000) / 2500)


@pytest.mark.feature("K5")
def test_totals_with_hardware_in_them_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, first, *_ = (SAMPLES / "aws_carbon.csv").read_text().splitlines()
    columns = head.split(",")
    keep = [n for n, name in enumerate(columns) if "scope" not in name]
    # The one quoted cell of the sample has no comma in it.
    cells = first.split(",")
    text = "\n".join(",".join(row[n] for n in keep) for row in (columns, cells))
    (tmp_path / "totals.csv").write_text(text + "\n")
    write(tmp_path, span(1))
    bring(tmp_path, "aws-carbon", str(tmp_path / "totals.csv"))
    capsys.readouterr()

    bring(tmp_path, "reconcile", "aws", "--month", "2026-10")

    said = capsys.readouterr().out
    assert "(scopes 1, 2 and 3: hardware and buildings are in it, and not in the lake's)" in said
    assert "the lake is 97.6 % below it" in said


@pytest.mark.feature("K5")
@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (("aws", "--month", "2026-09"), 3, "nothing of `aws` was imported for 2026-09; `greenops import aws-carbon FILE`"),
        (("aws", "--month", "October"), 2, "GO0447 `--month October` is no month; as 2026-10"),
        (("ibm", "--month", "2026-10"), 2, "unknown provider `ibm`; one of `aws`, `azure`, `gcp`"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_told_in_one_line(
    argv: tuple[str, ...],
    code: int,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert says in refused(capsys, tmp_path, "reconcile", *argv, code=code)


@pytest.mark.feature("K5")
def test_scopes_without_electricity_are_no_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, one, _, three = (SAMPLES / "azure_carbon.csv").read_text("utf-8-sig").splitlines()
    (tmp_path / "parts.csv").write_text(f"{head}\n{one}\n{three}\n")
    bring(tmp_path, "azure-carbon", str(tmp_path / "parts.csv"))
    argv = ["import", "reconcile", "azure", "--month", "2026-10", "--state", str(tmp_path)]
    assert main(argv) == 3

    assert "scopes 1 and 3 alone were imported" in capsys.readouterr().err
