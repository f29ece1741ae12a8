"""What other tools accounted for, in the lake with the numbers they gave."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from math import fsum
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli.main import main
from greenops.domain.spans import SpanRow

SAMPLES = Path(__file__).parents[2] / "data" / "imports"


def bring(state: Path, *argv: str) -> list[SpanRow]:
    assert main(["import", *argv, "--state", str(state)]) == 0
    return list(ParquetLake(state / "lake").spans())


def column(path: Path, name: str) -> list[float]:
    with path.open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.feature("K1")
def test_codecarbon_runs_keep_the_kilograms_of_their_file(tmp_path: Path) -> None:
    rows = bring(tmp_path, "codecarbon", str(SAMPLES / "codecarbon.csv"))

    kg = column(SAMPLES / "codecarbon.csv", "emissions")
    kwh = column(SAMPLES / "codecarbon.csv", "energy_consumed")
    assert fsum(row.carbon_g or 0 for row in rows) / 1000 == pytest.approx(fsum(kg), rel=1e-12)
    assert fsum(row.energy_j or 0 for row in rows) / 3.6e6 == pytest.approx(fsum(kwh), rel=1e-12)
    assert {row.method for row in rows} == {"reported"}
    assert {row.workload for row in rows} == {"night-report"}
    assert json.loads(rows[0].attributes["greenops.import.codecarbon_version"]) == "3.3.2"


@pytest.mark.feature("K1")
@pytest.mark.slow
@pytest.mark.skipif(find_spec("codecarbon") is None, reason="no codecarbon; pip install codecarbon")
def test_a_run_of_the_real_codecarbon_keeps_its_kilograms(tmp_path: Path) -> None:
    program = (
        "from codecarbon import OfflineEmissionsTracker\n"
        "tracker = OfflineEmissionsTracker(country_iso_code='DEU', measure_power_secs=1, log_level='error')\n"
        "tracker.start()\nsum(range(30_000_000))\ntracker.stop()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ}, check=True, timeout=60
    )

    (row,) = bring(tmp_path, "codecarbon", str(tmp_path / "emissions.csv"))

    (kg,) = column(tmp_path / "emissions.csv", "emissions")
    assert (row.carbon_g or 0) / 1000 == pytest.approx(kg, rel=1e-12)


@pytest.mark.feature("K3")
def test_eco2ai_runs_keep_the_numbers_of_their_file(tmp_path: Path) -> None:
    (row,) = bring(tmp_path, "eco2ai", str(SAMPLES / "eco2ai.csv"), "--timezone", "Europe/Berlin")

    (kg,) = column(SAMPLES / "eco2ai.csv", "CO2_emissions(kg)")
    (kwh,) = column(SAMPLES / "eco2ai.csv", "power_consumption(kWh)")
    assert row.carbon_g == pytest.approx(kg * 1000)
    assert row.energy_j == pytest.approx(kwh * 3.6e6)
    assert row.method == "reported"
    assert (
        row.start.astimezone(ZoneInfo("Europe/Berlin")).isoformat() == "2026-11-26T01:22:22+01:00"
    )


TRACKED = (
    '{{"timestamp": {at}, "rapl_estimated_attributable_power_draw": {cpu}, '
    '"nvidia_estimated_attributable_power_draw": {gpu}, "realtime_carbon_intensity": {intensity}}}\n'
)


def tracked(folder: Path, *samples: str) -> Path:
    file = folder / "night-training" / "impacttracker" / "data.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(samples))
    return file


@pytest.mark.feature("K3")
def test_experiment_impact_trackers_samples_are_one_run(tmp_path: Path) -> None:
    file = tracked(
        tmp_path,
        TRACKED.format(at=1_793_404_800.5, cpu=9.0, gpu=9.0, intensity='"n/a"'),
        TRACKED.format(at=1_793_404_810.5, cpu=20.0, gpu=100.0, intensity='"n/a"'),
        TRACKED.format(at=1_793_404_815.5, cpu=10.0, gpu=90.0, intensity=250.0),
    )

    (row,) = bring(tmp_path, "experiment-impact-tracker", str(file))

    # As the tool sums them: each draw over the time since the sample before, and a gap has the next intensity.
    joules = 120 * 10 + 100 * 5
    assert row.energy_j == pytest.approx(joules)
    assert row.carbon_g == pytest.approx(joules / 3.6e6 * 1.58 * 250)
    assert (row.workload, row.method) == ("night-training", "reported")
    assert (row.end - row.start).total_seconds() == pytest.approx(15)


@pytest.mark.feature("K3")
def test_a_run_that_went_on_replaces_what_was_known_of_it(tmp_path: Path) -> None:
    samples = [
        TRACKED.format(at=1_793_404_800 + 10 * n, cpu=20.0, gpu=0.0, intensity="null")
        for n in range(3)
    ]
    first = bring(tmp_path, "experiment-impact-tracker", str(tracked(tmp_path, *samples[:2])))

    second = bring(tmp_path, "experiment-impact-tracker", str(tracked(tmp_path, *samples)))

    assert [row.energy_j for row in first + second] == [200.0, 400.0]
    assert [row.carbon_g for row in first + second] == [None, None]
    assert first[0].trace_id == second[0].trace_id


@pytest.mark.feature("K3")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"timestamp": 1}\n', "no sample has a power draw"),
        ('{"time": 1}\n', "it lacks `timestamp`"),
        (TRACKED.format(at=1, cpu=-5, gpu=0, intensity=0) * 2, "must not be below 0: `-5`"),
        (TRACKED.format(at=1, cpu=1, gpu=0, intensity='"green"') * 2, "must be a number, not `green`"),
        (TRACKED.format(at="null", cpu=1, gpu=0, intensity=0) * 2, "`timestamp` must not be empty"),
        (TRACKED.format(at=1e300, cpu=1, gpu=0, intensity=0) * 2, "`timestamp` must be seconds since 1970"),
        ("timestamp,emissions\n1,2\n", "no sample has a power draw"),
    ],
)  # fmt: skip
def test_samples_that_cannot_be_are_refused_in_one_line(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tracked(tmp_path, text)

    assert main(["import", "experiment-impact-tracker", str(file), "--state", str(tmp_path)]) == 2

    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_file_of_another_tool_is_told_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["import", "eco2ai", str(SAMPLES / "codecarbon.csv"), "--state", str(tmp_path)]

    assert main(argv) == 2

    assert "it looks like one for `greenops import codecarbon`" in capsys.readouterr().err


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    file = tmp_path / "emissions.csv"
    file.write_bytes(b"\xef\xbb\xbf" + (SAMPLES / "codecarbon.csv").read_bytes())

    assert len(bring(tmp_path, "codecarbon", str(file))) == 2


@pytest.mark.feature("K2")
def test_the_calculators_paragraph_is_hours_times_power_times_efficiency(tmp_path: Path) -> None:
    (row,) = bring(tmp_path, "ml-impact", str(SAMPLES / "ml_impact.tex"))

    assert row.energy_j == pytest.approx(100 * 250 * 3600)
    assert row.carbon_g == pytest.approx(100 * 0.250 * 270)
    assert row.method == "estimated"
    assert row.region == "europe-west1"
    assert row.attributes["greenops.import.hardware"] == '"A100 PCIe 40/80GB"'


@pytest.mark.feature("K2")
def test_an_older_paragraph_without_power_has_carbon_alone(tmp_path: Path) -> None:
    text = (
        "Experiments were conducted using AWS in region us-east-1. A cumulative of 12.5 hours of "
        "computation was performed on hardware of type Tesla V100.\n\nThis emitted a total of "
        "approximately 1.39 kg CO2eq of which 0 kg CO2eq were directly offset."
    )
    (tmp_path / "card.md").write_text(text)

    (row,) = bring(tmp_path, "ml-impact", str(tmp_path / "card.md"))

    assert row.carbon_g == pytest.approx(1390)
    assert (row.energy_j, row.unknown) == (None, "not_reported")
    assert row.service == "card"


@pytest.mark.feature("K2")
def test_the_first_paragraph_of_all_is_read(tmp_path: Path) -> None:
    text = (
        "A cumulative of 3 hours of computation was performed on hardware of type Tesla K80.\n\n"
        "This emitted a total of 0.51 kg CO2eq of which 0 kg CO2eq were directly offset."
    )
    (tmp_path / "card.md").write_text(text)

    (row,) = bring(tmp_path, "ml-impact", str(tmp_path / "card.md"))

    assert row.carbon_g == pytest.approx(510)


CARD = """
Carbon emissions can be estimated using the Machine Learning Impact calculator.

- **Hardware Type:** {hardware}
- **Hours used:** {hours}
- **Cloud Provider:** private
- **Compute Region:** {region}
- **Carbon Emitted:** {carbon}
"""


@pytest.mark.feature("K2")
@pytest.mark.parametrize(
    ("hours", "carbon", "seconds", "grams"),
    [
        ("576 GPU-hours", "~150 kg CO2", 576 * 3600, 150_000),
        ("0.0013 h (again)", "0.0025 gCO2eq (0.045 Wh)", 4.68, 0.0025),
        ("7,480,000 GPU hours", "1,900 tCO2eq", 7_480_000 * 3600, 1.9e9),
        ("12", "3.5 metric tons of CO2", 12 * 3600, 3.5e6),
    ],
)
def test_the_list_of_a_model_card_is_read(
    hours: str, carbon: str, seconds: float, grams: float, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text(
        CARD.format(hardware="A100 80GB", hours=hours, region="europe-west4", carbon=carbon)
    )

    (row,) = bring(tmp_path, "ml-impact", str(tmp_path / "README.md"))

    assert row.carbon_g == pytest.approx(grams)
    assert (row.end - row.start).total_seconds() == pytest.approx(seconds, rel=1e-6)
    assert (row.energy_j, row.unknown, row.method) == (None, "not_reported", "estimated")
    assert row.region == "europe-west4"


@pytest.mark.feature("K2")
@pytest.mark.parametrize(
    ("hours", "carbon", "wrong"),
    [
        ("[More Information Needed]", "5 kg", "Hours used"),
        ("3 days", "5 kg", "Hours used"),
        ("1,5", "5 kg", "Hours used"),
        ("5", "Unknown", "Carbon Emitted"),
        ("5", "120", "Carbon Emitted"),
        ("5", "3 tons", "Carbon Emitted"),
        ("5", "100 lbs", "Carbon Emitted"),
    ],
)
def test_a_model_card_without_a_figure_of_one_meaning_is_refused(
    hours: str, carbon: str, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text(
        CARD.format(hardware="Unknown", hours=hours, region="[More]", carbon=carbon)
    )

    assert main(["import", "ml-impact", str(tmp_path / "README.md"), "--state", str(tmp_path)]) == 2

    said = capsys.readouterr().err
    assert "GO0441" in said
    assert f"`{wrong}`" in said


@pytest.mark.feature("K2")
def test_a_little_run_agrees_as_well_as_two_digits_let_it(tmp_path: Path) -> None:
    text = (SAMPLES / "ml_impact.tex").read_text()
    text = text.replace("0.27 kg", "0.03 kg").replace("100 hours", "1 hours")
    (tmp_path / "little.tex").write_text(text.replace("6.75 kg", "0.01 kg"))

    (row,) = bring(tmp_path, "ml-impact", str(tmp_path / "little.tex"))

    assert row.carbon_g == pytest.approx(10)


def test_a_run_that_wrote_its_sum_so_far_again_and_again_counts_once(tmp_path: Path) -> None:
    head, first, _ = (SAMPLES / "codecarbon.csv").read_text().splitlines()
    cells = first.split(",")
    early = [*cells[:4], "1.0", "1e-9", *cells[6:]]
    file = tmp_path / "emissions.csv"
    file.write_text("\n".join([head, ",".join(early), first]) + "\n")

    (row,) = bring(tmp_path, "codecarbon", str(file))

    assert row.carbon_g == pytest.approx(float(cells[5]) * 1000)


def test_a_file_brought_again_replaces_what_it_gave_before(tmp_path: Path) -> None:
    file = tmp_path / "emissions.csv"
    lines = (SAMPLES / "codecarbon.csv").read_text().splitlines()
    file.write_text("\n".join(lines[:2]))
    first = bring(tmp_path, "codecarbon", str(file))
    file.write_text("\n".join(lines))

    second = bring(tmp_path, "codecarbon", str(file))

    assert (len(first), len(second)) == (1, 2)


def test_what_was_brought_is_told_as_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(tmp_path, "codecarbon", str(SAMPLES / "codecarbon.csv"), "-o", "json")

    (told,) = json.loads(capsys.readouterr().out)
    assert (told["runs"], told["method"]) == (2, "reported")


HEAD = "timestamp,project_name,run_id,duration,emissions,energy_consumed\n"


@pytest.mark.parametrize(
    ("tool", "content", "code", "line"),
    [
        ("codecarbon", b"a,b\n1,2\n", 2, "GO0440"),
        ("codecarbon", HEAD.encode() + b"2026-01-01T00:00:00,p,r,1,much,1\n", 2, ":2: `emissions`"),
        ("codecarbon", HEAD.encode() + b"2026-01-01T00:00:00,p,r,1,nan,1\n", 2, "GO0441"),
        ("codecarbon", HEAD.encode() + b"yesterday,p,r,1,1,1\n", 2, "`timestamp`"),
        ("codecarbon", HEAD.encode() + b"2026-01-01T00:00:00,p\n", 2, "GO0441"),
        ("codecarbon", b"\xff\xfe\x00", 2, "GO0440"),
        ("eco2ai", b"", 2, "GO0440"),
        ("ml-impact", b"nothing of the kind", 2, "GO0440"),
        (
            "ml-impact",
            (SAMPLES / "ml_impact.tex").read_bytes().replace(b"6.75", b"67.5"),
            2,
            "GO0442",
        ),
    ],
)
def test_a_file_that_is_not_of_its_tool_is_refused_in_one_line(
    tool: str,
    content: bytes,
    code: int,
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_bytes(content)

    found = main(["import", tool, str(tmp_path / "file"), "--state", str(tmp_path)])

    said = capsys.readouterr().err
    assert found == code
    assert line in said
    assert said.count("\n") == 1
    assert not (tmp_path / "lake").exists()


def test_a_number_that_cannot_be_is_absent_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(HEAD + "2026-01-01T00:00:00,p,r,1,-1,-1\n")

    (row,) = bring(tmp_path, "codecarbon", str(tmp_path / "e.csv"))

    assert (row.energy_j, row.carbon_g, row.unknown) == (None, None, "out_of_range")


def test_a_missing_file_and_an_unknown_zone_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "codecarbon", str(tmp_path / "no"), "--state", str(tmp_path)]) == 3
    assert "GO0443" in capsys.readouterr().err
    assert main(["import", "codecarbon", "x", "--timezone", "Mars", "--state", str(tmp_path)]) == 2
    assert "GO0444" in capsys.readouterr().err
