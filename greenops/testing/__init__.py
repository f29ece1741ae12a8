"""Fakes, and the suites that every adapter must pass."""
