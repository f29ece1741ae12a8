"""Wiring: the loops that carry values between rooms."""
