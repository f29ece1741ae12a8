"""Carrying an action out once, in time, or not at all."""
