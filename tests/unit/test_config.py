from __future__ import annotations

from pathlib import Path

import pytest

from greenops.config import Settings, load_origins, load_settings
from greenops.errors import InvalidFile, UsageError


def test_without_anything_the_defaults_hold(tmp_path):
    assert load_settings({}, tmp_path) == Settings()


def test_a_flag_beats_the_environment_beats_the_file_beats_the_project(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.greenops]\napi_port = 1\nhost = 'a'\n")
    (tmp_path / "greenops.yaml").write_text("api_port: 2\nprovider: x\n")

    found = load_settings({"GREENOPS_API_PORT": "3"}, tmp_path, {"api_port": 4})

    assert (found.api_port, found.host, found.provider) == (4, "a", "x")


def test_every_setting_says_where_it_came_from(tmp_path):
    (tmp_path / "greenops.yaml").write_text("tick_s: 2\n")

    origins = {o.name: o.origin for o in load_origins({"GREENOPS_STATE": "/s"}, tmp_path)}

    assert origins["state"] == "GREENOPS_STATE"
    assert origins["tick_s"].endswith("greenops.yaml")
    assert origins["host"] == "default"


def test_an_unknown_key_names_the_nearest(tmp_path):
    (tmp_path / "greenops.yaml").write_text("api_prt: 2\n")

    with pytest.raises(InvalidFile, match="did you mean `api_port`"):
        load_settings({}, tmp_path)


def test_a_value_of_the_wrong_kind_says_which_and_from_where(tmp_path):
    with pytest.raises(UsageError, match="`api_port` must be int, not `many`"):
        load_settings({"GREENOPS_API_PORT": "many"}, tmp_path)


def test_a_mirror_is_a_folder_and_none_by_default(tmp_path):
    given = load_settings({"GREENOPS_CHECKPOINT_MIRROR": "/mnt/worm"}, tmp_path)

    assert given.checkpoint_mirror == Path("/mnt/worm")
    assert load_settings({}, tmp_path).checkpoint_mirror is None
    assert load_settings({"GREENOPS_CHECKPOINT_MIRROR": ""}, tmp_path).checkpoint_mirror is None


def test_paths_are_paths(tmp_path):
    assert load_settings({"GREENOPS_STATE": "/x"}, tmp_path).state == Path("/x")
