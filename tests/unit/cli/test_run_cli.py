"""`greenops run`: the command after `--` is the one that runs."""

from __future__ import annotations

import subprocess
import sys

WORKLOAD = """apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: etl}
spec:
  {kind: batch, homeRegion: us-west-1, deadline: {within: 1h}, durationP95: 1h, duration: 1h,
   energyKwh: 1.0, maxCost: {increase: 10%}, maxCarbon: {reduction: 0%}}
"""


def test_a_command_that_is_not_there_is_named_and_not_the_command_line_of_greenops(tmp_path):
    (tmp_path / "w.yaml").write_text(WORKLOAD)
    line = ["run", "--workload", "w.yaml", "--state", "state", "--", "no-such-command-here", "-x"]

    done = subprocess.run(
        [sys.executable, "-m", "greenops.cli.main", *line],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 127
    assert "GO0622 no command `no-such-command-here`" in done.stderr
