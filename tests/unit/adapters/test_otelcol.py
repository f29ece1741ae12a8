"""What is said of a Collector that is there, is not, or refuses; a script stands for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenops.adapters import collector_files, otelcol
from greenops.errors import InvalidFile, Unreachable


def collector(folder: Path, script: str) -> Path:
    made = folder / "otelcol"
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)
    return made


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    made = tmp_path / "otelcol.yaml"
    made.write_text("receivers: {}\n")
    return made


def test_a_configuration_that_the_collector_takes_is_valid(
    configuration: Path, tmp_path: Path
) -> None:
    binary = collector(tmp_path, f'test "$1 $2" = "validate --config={configuration}"')

    assert otelcol.validate(configuration, binary) == binary


def test_a_refusal_is_one_line_with_the_collectors_own_reason(
    configuration: Path, tmp_path: Path
) -> None:
    binary = collector(
        tmp_path, "printf 'Error: cannot decode:\\n\\n  unknown type: x\\n' >&2; exit 1"
    )

    with pytest.raises(InvalidFile, match="GO0922") as caught:
        otelcol.validate(configuration, binary)

    assert "refuses it: cannot decode: unknown type: x" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_without_a_collector_nothing_is_said_of_the_file(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(Unreachable, match="GO0923"):
        otelcol.validate(configuration)


def test_one_that_was_built_is_found_where_none_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "greenops" / "peers" / "bin"
    folder.mkdir(parents=True)
    built = collector(folder, "exit 0").rename(folder / "otelcol-greenops")

    assert otelcol.find() == built


def test_a_file_that_holds_the_same_is_not_touched(tmp_path: Path) -> None:
    first = collector_files.write(tmp_path / "new", {"a": "1", "b": "2"})
    again = collector_files.write(tmp_path / "new", {"a": "1", "b": "3"})

    assert [path.name for path in first] == ["a", "b"]
    assert [path.name for path in again] == ["b"]
    assert collector_files.read(tmp_path / "new", ("a", "b")) == {"a": "1", "b": "3"}


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"GO0920.*models\.csv"):
        collector_files.read(tmp_path, ("models.csv",))
