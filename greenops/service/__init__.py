"""Doors: the OTLP receiver, the decision API, the metrics page."""
