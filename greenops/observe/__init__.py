"""Energy on spans: the meter thread, attribution, and what the SDK attaches."""
