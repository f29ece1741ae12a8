"""Rules that no linter knows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "greenops").rglob("*.py"))
LONGEST = 400


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_no_longer_than_a_reader_bears(module):
    assert len(module.read_text().splitlines()) <= LONGEST


def test_joules_become_kilowatt_hours_in_one_place():
    places = [
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if re.search(r"3\.6e6|3_?600_?000\b", path.read_text())
    ]

    assert places == ["greenops/units.py"]


def test_every_error_code_has_one_meaning_and_a_section_in_the_reference():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    described = set(re.findall(r"^### (GO\d{4})", page, re.MULTILINE))
    raised = {code for path in MODULES for code in re.findall(r'["`](GO\d{4})\b', path.read_text())}

    assert raised - described == set()
    assert described - raised == set()


def test_importing_greenops_loads_nothing_heavy():
    program = (
        "import sys, greenops\n"
        "heavy = {'numpy', 'pyarrow', 'streamlit', 'requests', 'sqlite3', 'celpy', 'grpc', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        # A run under coverage would measure the measuring.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
    )

    assert said.stdout.strip() == "[]"


FOREIGN = ("/" + "work/", "/" + "root/", "sess" + "ion id")


@pytest.mark.parametrize("word", FOREIGN)
def test_the_project_names_no_machine(word):
    texts = [*MODULES, *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "Makefile"]

    assert [str(path) for path in texts if word in path.read_text()] == []
