"""A shop on real input: search, assistant, checkout scoring, nightly enrichment."""
