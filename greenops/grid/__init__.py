"""Arithmetic on carbon intensity, forecasts, regions and prices."""
