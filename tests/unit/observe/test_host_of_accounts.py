from __future__ import annotations

import platform

from greenops.observe.accounts import host_id


def test_the_host_is_known_by_its_boot_where_the_kernel_tells(tmp_path):
    told = tmp_path / "boot_id"
    told.write_text("3f0c5f6e-8a54-4b6e-9f0d-1d2c3b4a5968\n")

    assert host_id(told) == "3f0c5f6e-8a54-4b6e-9f0d-1d2c3b4a5968"


def test_a_host_that_tells_no_boot_is_known_by_its_name(tmp_path):
    empty = tmp_path / "boot_id"
    empty.write_text("")

    assert host_id(tmp_path / "none") == host_id(empty) == (platform.node() or "unknown")
