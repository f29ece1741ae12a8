"""Policies: read, checked, compiled to canonical CEL, evaluated."""
