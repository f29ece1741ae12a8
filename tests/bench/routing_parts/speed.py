"""CPU time of one table; of one core, the best of five."""

from __future__ import annotations

import time

import numpy as np

from greenops.plan.routing_lp import Traffic, share_traffic
from tests.bench.common.figures import Figure

SIZES = ((6, 6), (34, 34), (170, 34))
"""Rows and targets: one class at six origins, one at 34, five at 34."""


def figures():
    took = {size: milliseconds(*size) for size in SIZES}
    return [
        Figure("table_6x6_ms", took[6, 6], 20, 5, at_most=True),
        Figure("table_170x34_ms", took[170, 34], 10_000, 1_000, at_most=True),
    ], {"table_ms": {f"{rows}x{targets}": each for (rows, targets), each in took.items()}}


def milliseconds(rows, targets):
    random = np.random.default_rng(0)
    traffic = Traffic(
        demand=random.uniform(1, 100, rows),
        capacity=random.uniform(50, 150, targets) * rows / targets,
        cost=random.uniform(20, 800, (rows, targets)),
        may=random.random((rows, targets)) < 0.6,
        home=np.arange(rows) % targets,
    )
    took = []
    for _ in range(5):
        began = time.process_time()
        share_traffic(traffic)
        took.append(time.process_time() - began)
    return 1000 * min(took)
