"""The hash chain, its checkpoints, and avoided emissions that can be recomputed."""
