"""Signed bundles: the same bytes from the same policies, and none is taken that was touched since."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import tarfile
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.adapters.policy_bundle import MOST_BYTES, archive, read_bundle
from greenops.cli import policy_bundle as cli
from greenops.errors import DataMissing, InvalidFile, PolicyFailed, Unreachable, UsageError
from greenops.pipeline.evidence import load_key
from greenops.pipeline.policy_bundle import SIGNATURE, changed, make_bundle, named, open_bundle

NOW = datetime(2026, 11, 26, tzinfo=UTC)
LINE = "— stranger AAAAAAAA\n".encode()
RULES = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: NAME, owners: [a@example.com]}
spec:
  match: [{expression: 'true'}]
  constraints: [{name: cheap, expression: candidate.cost_usd < 5.0}]
tests:
- name: too dear
  job: {name: j, kind: batch}
  baseline: {id: now}
  candidates: [{id: dear, cost_usd: 9.0}]
  expect: {choose: now, rejected: {dear: [cheap]}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies" / "more").mkdir(parents=True)
    (tmp_path / "policies" / "a.yaml").write_text(RULES.replace("NAME", "one"))
    (tmp_path / "policies" / "more" / "b.yaml").write_text(RULES.replace("NAME", "two"))
    return tmp_path / "policies"


@pytest.fixture
def bundle(folder, tmp_path):
    make_bundle(folder, tmp_path / "b.bundle", tmp_path / "state")
    return tmp_path / "b.bundle"


@pytest.fixture
def key(bundle, tmp_path):
    return load_key(tmp_path / "state" / "keys" / "policies.pub")


def run(*argv):
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    args = parser.parse_args(list(map(str, argv)))
    return args.run(args)


def rewritten(bundle, change):
    """The bundle with its entries changed, packed as the writer packs."""
    bundle.write_bytes(archive(change(read_bundle(bundle))))


def test_the_same_policies_give_the_same_bytes(folder, bundle, tmp_path):
    make_bundle(folder, tmp_path / "again.bundle", tmp_path / "state")

    assert (tmp_path / "again.bundle").read_bytes() == bundle.read_bytes()


def test_a_bundle_as_it_was_signed_is_taken(bundle, key):
    found = open_bundle(bundle, key, NOW)

    assert [path for path, _ in found.files] == ["a.yaml", "more/b.yaml"]
    assert sorted(each.name for each in found.policies.policies) == ["one", "two"]
    assert (found.manifest.tests, found.manifest.hash) == (2, found.policies.hash)


def test_a_bundle_holds_the_packs_that_its_policies_extend(folder, bundle, key, tmp_path):
    text = RULES.replace("NAME", "three").replace(
        "spec:\n", "spec:\n  extends: [greenops/residency]\n"
    )
    (folder / "c.yaml").write_text(text)
    out = tmp_path / "c.bundle"

    make_bundle(folder, out, tmp_path / "state")

    assert open_bundle(out, key, NOW).files[-1][0] == "shipped-packs/greenops.yaml"


@pytest.mark.parametrize("at", [0, 700, 1600, 2200, -9_000, -1])
def test_any_changed_byte_is_found(bundle, key, at):
    content = bytearray(bundle.read_bytes())
    content[at] ^= 1
    bundle.write_bytes(bytes(content))

    with pytest.raises(DataMissing, match=r"GO0163|GO0165"):
        open_bundle(bundle, key, NOW)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(data=st.data())
def test_bytes_changed_or_cut_or_added_anywhere_are_found(bundle, key, data, tmp_path):
    whole = bundle.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.binary(max_size=600))
    touched = tmp_path / "touched.bundle"
    touched.write_bytes(whole[:at] + piece + whole[at + data.draw(st.integers(0, 600)) :])

    if touched.read_bytes() != whole:
        with pytest.raises(DataMissing, match=r"GO0163|GO0165"):
            open_bundle(touched, key, NOW)


def test_a_changed_file_is_named_where_the_archive_is_whole(bundle, key):
    rewritten(
        bundle,
        lambda e: [(n, c.replace(b"5.0", b"6.0")) if "a.yaml" in n else (n, c) for n, c in e],
    )

    with pytest.raises(DataMissing, match=r"GO0165 .*`files/a.yaml` is not what was signed"):
        open_bundle(bundle, key, NOW)


@pytest.mark.parametrize(
    ("change", "why"),
    [  # re-ordered, truncated, extra, path traversal, an absolute path, then damaged heads
        (lambda e: [e[0], e[1], e[3], e[2]], "`files/more/b.yaml` stands where `files/a.yaml`"),
        (lambda e: e[:-1], "it holds 1 files, where 2 were signed"),
        (lambda e: [*e, ("files/extra.yaml", b"")], "it holds 3 files, where 2 were signed"),
        (
            lambda e: [*e[:3], ("files/../../b.yaml", e[3][1])],
            r"`files/\.\./\.\./b.yaml` stands where",
        ),
        (lambda e: [*e[:3], ("/etc/b.yaml", e[3][1])], "`/etc/b.yaml` stands where"),
        (lambda e: [e[1], e[0], *e[2:]], "it does not begin with"),
        (lambda e: e[:1], "not begin with `manifest.json` and"),
        (lambda e: [], "does not begin with|no whole bundle"),
        (lambda e: [e[0], (SIGNATURE, b"\xff"), *e[2:]], "its signature"),
        (
            lambda e: [(e[0][0], e[0][1].replace(b'"tests":2', b'"tests":3')), *e[1:]],
            "its manifest",
        ),
    ],
)
def test_entries_that_are_not_those_that_were_signed_are_refused(bundle, key, change, why):
    rewritten(bundle, change)

    with pytest.raises(DataMissing, match=why):
        open_bundle(bundle, key, NOW)


def test_a_truncated_bundle_is_refused(bundle, key):
    bundle.write_bytes(bundle.read_bytes()[:-512])

    with pytest.raises(DataMissing, match="GO0163"):
        open_bundle(bundle, key, NOW)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_a_link_or_whatever_is_no_plain_file_is_refused(bundle, key, kind):
    with tarfile.open(bundle, "a", format=tarfile.USTAR_FORMAT) as opened:
        info = tarfile.TarInfo("files/link.yaml")
        info.type, info.linkname = kind, "/etc/passwd"
        opened.addfile(info)

    with pytest.raises(DataMissing, match=r"`files/link.yaml` is no plain file"):
        open_bundle(bundle, key, NOW)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(bundle, key):
    bundle.write_bytes(gzip.compress(bytes(200 * 2**20)))

    with pytest.raises(DataMissing, match="GO0163"):
        open_bundle(bundle, key, NOW)


def test_an_entry_that_claims_more_than_the_file_holds_is_refused(bundle, key):
    info = tarfile.TarInfo("manifest.json")
    info.size = 2**33 - 1
    bundle.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240))

    with pytest.raises(DataMissing, match="GO0163"):
        open_bundle(bundle, key, NOW)


def test_a_sparse_entry_is_refused(bundle, key):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as opened:
        info = tarfile.TarInfo("manifest.json")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(2**40)}
        opened.addfile(info)
    bundle.write_bytes(out.getvalue())

    with pytest.raises(DataMissing, match="GO0163"):
        open_bundle(bundle, key, NOW)


def test_a_file_larger_than_any_bundle_is_not_read_whole(bundle, key):
    with bundle.open("wb") as file:
        file.truncate(MOST_BYTES + 1)

    with pytest.raises(DataMissing, match="it is over 32 MiB"):
        open_bundle(bundle, key, NOW)


def test_the_signature_of_another_key_is_refused(bundle, key, folder, tmp_path):
    make_bundle(folder, bundle, tmp_path / "stranger")

    with pytest.raises(DataMissing, match=r"GO0165 .*its signature carries no signature of"):
        open_bundle(bundle, key, NOW)


def test_a_key_of_the_same_name_does_not_stand_for_the_pinned_one(bundle, key):
    from greenops.prove.checkpoint import PublicKey

    with pytest.raises(DataMissing, match="GO0165"):
        open_bundle(bundle, PublicKey(key.name, bytes(31) + b"\x01"), NOW)


def test_a_signature_made_for_another_purpose_is_refused(bundle, tmp_path):
    from greenops.adapters.keys import open_key
    from greenops.prove.checkpoint import sign_note

    pair = open_key(tmp_path / "state" / "keys", str, "policies")
    note = sign_note("greenops.dev/ledger\n1\nAAAA\n", named(pair.public), pair.sign)
    rewritten(bundle, lambda e: [e[0], (SIGNATURE, note.encode()), *e[2:]])

    with pytest.raises(DataMissing, match="not the one that was signed"):
        open_bundle(bundle, named(pair.public), NOW)


def test_an_expired_bundle_is_refused_from_its_first_instant_on(folder, bundle, key, tmp_path):
    make_bundle(folder, bundle, tmp_path / "state", expires=NOW)

    assert open_bundle(bundle, key, datetime(2026, 11, 25, 23, 59, 59, tzinfo=UTC))
    with pytest.raises(PolicyFailed, match=r"GO0166 .*expired at 2026-11-26T00:00:00Z"):
        open_bundle(bundle, key, NOW)


def test_policies_whose_tests_fail_are_not_bundled(folder, tmp_path):
    (folder / "a.yaml").write_text(RULES.replace("NAME", "one").replace("9.0", "1.0"))

    with pytest.raises(PolicyFailed, match="GO0164 1 of 2 tests do not hold: `too dear`"):
        make_bundle(folder, tmp_path / "x.bundle", tmp_path / "state")
    assert not (tmp_path / "x.bundle").exists()


def test_what_another_engine_would_decide_otherwise_is_refused(bundle, key, folder, tmp_path):
    """A manifest that was signed over other canonical texts, as by a version that compiles otherwise."""
    from greenops.adapters.keys import open_key
    from greenops.pipeline.policy_bundle import _signed
    from greenops.prove.checkpoint import sign_note

    pair = open_key(tmp_path / "state" / "keys", str, "policies")

    def resigned(entries):
        content = json.loads(entries[0][1])
        content["documents"]["one"] = "0" * 64
        manifest = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        note = sign_note(_signed(manifest), named(pair.public), pair.sign)
        return [("manifest.json", manifest), (SIGNATURE, note.encode()), *entries[2:]]

    rewritten(bundle, resigned)
    with pytest.raises(PolicyFailed, match=r"GO0164 .*compile to something else: ~one"):
        open_bundle(bundle, named(pair.public), NOW)


@pytest.mark.parametrize("name", ["a b\n.yaml", "…\u200b.yaml", "x" * 95 + ".yaml"])
def test_a_path_that_systems_read_in_two_ways_is_not_bundled(folder, tmp_path, name):
    (folder / name).write_text(RULES.replace("NAME", "three"))

    with pytest.raises(InvalidFile, match="GO0168"):
        make_bundle(folder, tmp_path / "x.bundle", tmp_path / "state")


@pytest.mark.parametrize("name", ["one.yaml", "one.YML"])
def test_verify_compares_with_a_file_however_its_ending_is_written(bundle, key, tmp_path, name):
    (tmp_path / name).write_text(RULES.replace("NAME", "one"))

    found = changed(open_bundle(bundle, key, NOW), tmp_path / name, key, NOW)

    assert found == "-two"


def test_verify_says_in_one_line_what_a_folder_changed(bundle, folder, tmp_path, capsys):
    (folder / "a.yaml").write_text(RULES.replace("NAME", "one").replace("5.0", "6.0"))
    (folder / "more" / "b.yaml").write_text(RULES.replace("NAME", "three"))

    assert run("verify", bundle, "--state", tmp_path / "state", "--against", folder) == 0

    said = capsys.readouterr().out
    assert said.startswith(
        "verified: 2 policies and workloads, 2 tests hold, signed by greenops.dev/policies/"
    )
    assert said.endswith(f"{folder} differs: +three -two ~one\n")


def test_verify_writes_the_files_to_a_new_folder_only(bundle, tmp_path, folder, capsys):
    out = tmp_path / "taken"

    assert (
        run("verify", bundle, "--state", tmp_path / "state", "--out", out, "--against", folder) == 0
    )

    assert (out / "more" / "b.yaml").read_bytes() == (folder / "more" / "b.yaml").read_bytes()
    assert capsys.readouterr().out.endswith("means the same\n")
    with pytest.raises(UsageError, match=r"GO0167 .*is there already"):
        run("verify", bundle, "--state", tmp_path / "state", "--out", out)


def test_bundle_prints_the_hash_that_decisions_name(folder, tmp_path, capsys):
    out = tmp_path / "x.bundle"

    assert (
        run(
            "bundle", folder, "--out", out, "--state", tmp_path / "state", "--expires", "2099-01-31"
        )
        == 0
    )

    printed = capsys.readouterr()
    assert run("verify", out, "--state", tmp_path / "state", "-o", "json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["hash"] == printed.out.strip()
    assert record["expires"] == "2099-01-31T00:00:00Z"
    assert "2 tests hold, until 2099-01-31" in printed.err


@pytest.mark.parametrize("out", ["p.yaml", "."])
def test_a_bundle_is_not_written_over_policies(folder, tmp_path, out):
    with pytest.raises(UsageError, match="GO0167"):
        run("bundle", folder, "--out", folder / out, "--state", tmp_path / "state")


def test_a_bundle_that_is_refused_on_the_day_it_is_made_is_not_made(folder, tmp_path):
    with pytest.raises(UsageError, match=r"GO0167 .*is refused already"):
        run("bundle", folder, "--out", tmp_path / "x", "--expires", "2020-01-01")
    assert not (tmp_path / "x").exists()


def test_a_name_that_moves_the_cursor_is_shown_as_it_is_written(bundle, key):
    rewritten(bundle, lambda e: [*e[:3], ("files/\x1b[2J.yaml", e[3][1])])

    with pytest.raises(DataMissing) as error:
        open_bundle(bundle, key, NOW)
    assert "\x1b" not in str(error.value)


def test_a_disk_that_takes_no_bundle_is_told(folder, tmp_path):
    with pytest.raises(Unreachable, match="GO0162"):
        make_bundle(folder, tmp_path / "no" / "x.bundle", tmp_path / "state")


def test_no_bundle_and_no_key_are_told(bundle, tmp_path, key):
    with pytest.raises(DataMissing, match=r"GO0163 .*cannot read a bundle"):
        open_bundle(tmp_path / "none", key, NOW)
    with pytest.raises(DataMissing, match="GO0405"):
        run("verify", bundle, "--state", tmp_path / "elsewhere")


def test_a_pipe_is_no_bundle_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(DataMissing, match="it is no file"):
        read_bundle(tmp_path / "pipe")
