"""One outside system, one file."""
