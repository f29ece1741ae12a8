import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.evidence import EntryKind
from greenops.prove.chain import (
    GENESIS,
    Chain,
    Frontier,
    included,
    inclusion_proof,
    leaf_hash,
    naive_root,
    parse,
)

NOW = datetime(2021, 10, 8, 8, tzinfo=UTC)
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Test vectors of Google's certificate-transparency for RFC 6962 trees of 1 to 8 leaves."""


def test_the_root_of_no_leaves_is_the_hash_of_nothing():
    assert Frontier().root() == naive_root([]) == hashlib.sha256(b"").digest()


def test_roots_are_those_of_rfc_6962():
    frontier = Frontier()

    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        frontier.add(leaf_hash(leaf))
        assert frontier.root().hex() == root


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_frontier_has_the_root_of_the_definition(lines):
    leaves = [leaf_hash(line) for line in lines]
    frontier = Frontier()

    for leaf in leaves:
        frontier.add(leaf)

    assert frontier.root() == naive_root(leaves)
    assert len(frontier._peaks) == len(leaves).bit_count()


@given(st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_a_proof_shows_its_own_leaf_and_no_other(case):
    size, index = case
    leaves = [leaf_hash(str(n).encode()) for n in range(size)]
    root = naive_root(leaves)

    proof = inclusion_proof(index, leaves)

    assert included(leaves[index], index, size, proof, root)
    assert not included(leaf_hash(b"forged"), index, size, proof, root)
    assert not included(leaves[index], index, size, (*proof, root), root)
    assert not included(leaves[index], index, size, proof, leaves[0][::-1])
    if size > 1:
        assert not included(leaves[index], (index + 1) % size, size, proof, root)
        assert not included(leaves[index], index, size, proof[:-1], root)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_outside_the_tree(index):
    leaves = [leaf_hash(b"a")] * 3

    with pytest.raises(IndexError):
        inclusion_proof(index, leaves)
    assert not included(leaves[0], index, 3, (), naive_root(leaves))


def test_a_line_comes_back_as_the_entry_it_was():
    entry, line = Chain().add(EntryKind.ACTION, {"b": 1, "a": "ü"}, NOW)

    assert parse(line) == entry
    assert entry.prev == GENESIS
    assert b"\n" not in line


def test_a_copy_goes_its_own_way():
    chain = Chain()
    ahead = chain.copy()

    ahead.add(EntryKind.ACTION, {}, NOW)

    assert (chain.size, ahead.size) == (0, 1)


def test_take_refuses_what_does_not_fit_and_stays_where_it_was():
    source, chain = Chain(), Chain()
    lines = [source.add(EntryKind.ACTION, {"n": n}, NOW)[1] for n in range(3)]
    chain.take(lines[0])

    with pytest.raises(ValueError, match="seq 2 where 1"):
        chain.take(lines[2])

    chain.take(lines[1])
    assert chain.size == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"seq":0,"seq":1}', "comes twice"),
        (b'{"seq":NaN}', "no JSON number"),
        (b"[]", "not an object"),
        (b'{"seq":0}', "not an object"),
        (b'{"body":{},"kind":"action","prev":"","seq":true,"ts":""}', "wrong type"),
        (b'{"body":{},"kind":"action","prev":"","seq":0,"ts":"2021-10-08"}', "time zone"),
        (b'{"body":{},"kind":"action","prev":"","seq":0,"ts":3}', "time zone"),
        (b'{"body":{},"kind":"x","prev":"","seq":0,"ts":"2021-10-08T00:00Z"}', "unknown kind"),
        (b'{"body":{},"kind":[],"prev":"","seq":0,"ts":"2021-10-08T00:00Z"}', "unknown kind"),
    ],
)
def test_what_is_no_entry_is_refused_with_a_reason(line, why):
    with pytest.raises(ValueError, match=why):
        parse(line)
