"""Candidates, the exact choice among them, and the guards around it."""
