"""Damaged exports: whatever a file holds, it is read or refused in one line."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenops.errors import GreenOpsError
from greenops.pipeline.reported import AMOUNTS, METERS, Told, answer_cache, energy_of, named
from tests.integration.cli.foreign import SAMPLES, refused

OF = {
    "aws-carbon": ("aws_carbon.csv",),
    "azure-carbon": ("azure_carbon.csv", "azure_reports.json"),
    "cloudflare": ("cloudflare.json",),
    "dcgm": ("dcgm_page.txt", "dcgm_range.json"),
    "gcp-carbon": ("gcp_carbon.csv", "gcp_carbon.jsonl"),
    "gptcache": ("gptcache.json", "gptcache_page.txt"),
    "kepler": ("kepler_early_range.json", "kepler_page_1.txt"),
    "opencost": ("opencost.json",),
    "scaphandre": ("scaphandre.json", "scaphandre_page.txt"),
    "vercel": ("cdn_days.csv", "vercel.jsonl"),
}
MUTANTS = 40
"""Of each tool; 43,000 of all were tried while this was written."""
BITS = (
    b"NaN", b"-1", b"1e400", b"null", b"[]", b"{}", b'"', b",", b"\n", b"\x00", b"\xff", b"true", b"9" * 400,
    b"\xef\xbb\xbf", b"2026-02-31", "\u2028".encode(), b"\\",
)  # fmt: skip


def mutants(tool: str, count: int) -> Iterator[bytes]:
    chance = random.Random(tool)
    for _ in range(count):
        content = bytearray((SAMPLES / chance.choice(OF[tool])).read_bytes())
        for _ in range(chance.randint(1, 3)):
            words = [found.span() for found in re.finditer(rb"[-\w.+]+", content)] or [(0, 0)]
            first, last = chance.choice(words)
            at = chance.randrange(len(content) + 1)
            match chance.randrange(3):
                case 0:
                    content[first:last] = chance.choice(BITS)
                case 1:
                    content[at:at] = chance.choice(BITS)
                case _:
                    del content[at : at + chance.randint(1, 40)]
        yield bytes(content)


def read(tool: str, path: Path) -> None:
    if tool == "gptcache":
        answer_cache(path)
        return
    with named(tool, path):
        if tool in METERS:
            energy_of(METERS[tool](path, Told()))
        else:
            AMOUNTS[tool](path, Told())


@pytest.mark.untraced
@pytest.mark.parametrize("tool", sorted(OF))
def test_a_damaged_file_is_read_or_refused_in_one_line(tool: str, tmp_path: Path) -> None:
    said = []
    for content in mutants(tool, MUTANTS):
        (tmp_path / "file").write_bytes(content)
        try:
            read(tool, tmp_path / "file")
        except GreenOpsError as error:
            said.append(str(error))

    assert said
    assert not [line for line in said if "\n" in line or not line.startswith("GO04")]


@pytest.mark.parametrize(
    ("tool", "sample", "word", "other"),
    [
        ("cloudflare", "cloudflare.json", "1000000", "9" * 400),
        ("opencost", "opencost.json", "2.02", "9" * 400),
        ("gptcache", "gptcache.json", "31", "9" * 400),
        ("scaphandre", "scaphandre.json", "20000000.0", "9" * 400),
        ("dcgm", "dcgm_range.json", '"1000000"]', '"1000000", "5"]'),
    ],
)
def test_a_number_beyond_all_numbers_and_a_pair_of_three_are_refused(
    tool: str,
    sample: str,
    word: str,
    other: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text((SAMPLES / sample).read_text().replace(word, other, 1))

    assert "GO044" in refused(capsys, tmp_path, tool, str(tmp_path / "file"))
