"""Rules: YAML files with CEL expressions, compiled, checked, and asked about every candidate."""

from greenops.policy.compile import compile_policies, lint
from greenops.policy.expiry import warnings
from greenops.policy.model import PolicyTest
from greenops.policy.policy_set import PolicySet
from greenops.policy.report import Problem

__all__ = ["PolicySet", "PolicyTest", "Problem", "compile_policies", "lint", "warnings"]
