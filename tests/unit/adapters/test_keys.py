import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenops.adapters.keys import open_key, verify
from greenops.errors import DataMissing, Unreachable
from greenops.prove.checkpoint import named, parse_key


def vkey(raw: bytes) -> str:
    return str(named(raw))


def test_a_key_is_made_once_and_found_again(tmp_path):
    first = open_key(tmp_path / "keys", vkey)
    second = open_key(tmp_path / "keys", vkey)

    assert first.public == second.public
    assert verify(first.public, second.sign(b"x"), b"x")


def test_only_the_owner_can_read_the_private_half(tmp_path):
    open_key(tmp_path, vkey)

    assert stat.S_IMODE((tmp_path / "ledger.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.key", "ledger.pub"]


def test_the_public_half_is_a_vkey_and_is_mended(tmp_path):
    key = open_key(tmp_path, vkey)
    (tmp_path / "ledger.pub").write_text("someone else's")

    open_key(tmp_path, vkey)

    assert parse_key((tmp_path / "ledger.pub").read_text()).raw == key.public


def test_many_who_start_at_once_share_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: open_key(tmp_path, vkey).public, range(32)))

    assert len(found) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path):
    open_key(tmp_path, vkey)
    (tmp_path / "ledger.key").chmod(0o644)

    with pytest.raises(DataMissing, match=r"GO0407.*other users.*chmod 600"):
        open_key(tmp_path, vkey)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31])
def test_a_damaged_key_is_refused_and_not_replaced(tmp_path, text):
    path = tmp_path / "ledger.key"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(DataMissing, match="GO0407"):
        open_key(tmp_path, vkey)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unreachable, match="GO0406"):
        open_key(tmp_path / "file" / "keys", vkey)


def test_malformed_keys_and_signatures_do_not_verify():
    assert not verify(b"", b"", b"")
    assert not verify(os.urandom(32), b"short", b"x")
