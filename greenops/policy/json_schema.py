"""The JSON Schema of policy files, for editors; `tests/unit/policy/test_json_schema.py` holds it to the loader.

It tells the shape: keys, types, words, what is required. What needs a look at other documents or at
an expression only `greenops policy check` tells.
"""

from __future__ import annotations

import json
from typing import Final

from greenops.policy.heads import BUDGET, KINDS, PLAN, POLICY, TARGET, VERSION, WORKLOAD
from greenops.policy.schema_kinds import budget_spec, plan_spec, target_spec, workload_spec
from greenops.policy.schema_parts import NAME, Schema, free, mapping, says, text, texts, where
from greenops.policy.schema_policy import policy_spec, policy_tests

TITLE: Final = "GreenOps policy files"


def json_schema() -> Schema:
    """The schema of one document of a policy file (JSON Schema, draft 7)."""
    kinds = {
        POLICY: _policy(),
        WORKLOAD: _document(WORKLOAD, workload_spec(), owners=False),
        BUDGET: _document(BUDGET, budget_spec()),
        TARGET: _document(TARGET, target_spec()),
        PLAN: _document(PLAN, plan_spec()),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": TITLE,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {"apiVersion": {"const": VERSION}, "kind": {"enum": list(KINDS)}},
        "allOf": [
            where(says(kind=name), {"$ref": f"#/definitions/{name}"}) for name in sorted(kinds)
        ],
        "definitions": {name: kinds[name] for name in sorted(kinds)},
    }


def _document(kind: str, spec: Schema, *, owners: bool = True, **more: Schema) -> Schema:
    pack = text("the pack it belongs to: it holds where a policy extends it", NAME)
    metadata = {
        **({"pack": pack} if kind == POLICY else {}),
        "name": text("lower-case letters, digits, - and .; unique among its kind", NAME),
        "owners": texts("who answers for it", least=1 if owners else 0),
        "annotations": free(text("a text"), "anything else worth a note, such as a ticket"),
    }
    parts = {
        "apiVersion": {"const": VERSION},
        "kind": {"const": kind},
        "metadata": mapping(
            metadata, "what it is called", required=["name", *(["owners"] if owners else [])]
        ),
        "spec": spec,
        **more,
    }
    return mapping(parts, f"a {kind}", required=["apiVersion", "kind", "metadata", "spec"])


def _policy() -> Schema:
    builds_on = {"properties": {"spec": {"required": ["extends"]}}}
    in_pack = {"properties": {"metadata": {"required": ["pack"]}}}
    alone = {"properties": {"spec": {"required": ["match"]}}}
    approves_none = {"properties": {"spec": {"properties": {"exceptions": {"maxItems": 0}}}}}
    return {
        **_document(POLICY, policy_spec(), tests=policy_tests()),
        "anyOf": [builds_on, in_pack, alone],
        "allOf": [where({"properties": {"metadata": {"required": ["pack"]}}}, approves_none)],
    }


def schema_text() -> str:
    """The schema as the file that is shipped beside the policies."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
