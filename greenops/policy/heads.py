"""What every document begins with: `apiVersion`, `kind`, `metadata`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from greenops.errors import InvalidFile, Location
from greenops.policy.document import Node, documents
from greenops.policy.fields import Fields
from greenops.policy.report import Report

VERSION: Final = "greenops.dev/v1alpha1"
POLICY: Final = "PlacementPolicy"
WORKLOAD: Final = "Workload"
BUDGET: Final = "Budget"
TARGET: Final = "Target"
PLAN: Final = "ServicePlan"
KINDS: Final = (POLICY, WORKLOAD, BUDGET, TARGET, PLAN)
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


@dataclass(slots=True)
class Head:
    """A document whose head could be read.

    Attributes:
        pack: The pack that a policy belongs to; none: it holds by itself.
    """

    kind: str
    name: str
    owners: tuple[str, ...]
    pack: str | None
    root: Fields
    at: Location

    @property
    def full_name(self) -> str:
        """The name that `extends` says; a policy outside of packs has its own alone."""
        return f"{self.pack}/{self.name}" if self.pack else self.name


def read_heads(file: str, text: str, report: Report) -> list[Head]:
    """The heads of one file's documents; what is wrong goes to the report."""
    found = []
    try:
        for node in documents(file, text):
            head = _head(node, report)
            if head is not None:
                found.append(head)
    except InvalidFile as error:
        report.problems.append(error)
    return found


def _head(node: Node, report: Report) -> Head | None:
    if node.entries is None:
        report.add("GO0112", f"document is {node.shape}", node.at, "begin with `apiVersion:`")
        return None
    root = Fields(node, "", report)
    root.asked |= {"apiVersion", "kind", "metadata", "spec"}
    version, kind = root.text("apiVersion", required=True), root.text("kind", required=True)
    if version is not None and version != VERSION:
        root.bad("apiVersion", f"unknown apiVersion `{version}`", f"write `{VERSION}`")
    if kind is not None and kind not in KINDS:
        report.unknown("GO0113", "kind", kind, KINDS, root.at("kind"))
    if kind == POLICY:
        root.asked.add("tests")
    found = _metadata(root, kind)
    if kind not in KINDS or found is None or version != VERSION:
        return None
    name, owners, pack = found
    return Head(kind, name, owners, pack, root, node.at)


def _metadata(root: Fields, kind: str | None) -> tuple[str, tuple[str, ...], str | None] | None:
    metadata = root.map("metadata", required=True)
    if metadata is None:
        return None
    name = metadata.text("name", required=True)
    owners = metadata.texts("owners", required=kind != WORKLOAD and kind in KINDS)
    if annotations := metadata.map("annotations"):
        for each in annotations.entries():
            annotations.text(each)
    pack = metadata.text("pack") if kind == POLICY else None
    metadata.done()
    for key, given in (("name", name), ("pack", pack)):
        if given is not None and not NAME.fullmatch(given):
            metadata.wrong(key, "lower-case letters, digits, `-` and `.`, at most 63")
    return None if name is None else (name, owners, pack)


def refuse_twins(heads: Iterable[Head], report: Report) -> None:
    """Two documents of one kind with one name cannot be told apart."""
    seen: dict[tuple[str, str], Location] = {}
    for head in heads:
        first = seen.setdefault((head.kind, head.full_name), head.at)
        if first is not head.at:
            message = f"{head.kind} `{head.full_name}` is declared twice"
            report.add("GO0117", message, head.at, f"first: {first}")
