"""Nightly enrichment: a batch process that embeds the whole catalogue and leaves an index.

greenops run --workload nightly-enrichment.yaml -- python -m greenops.demo.enrichment --out f.npy
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from opentelemetry import trace

import greenops
from greenops.demo.catalogue import products
from greenops.demo.embedding import embedder
from greenops.demo.telemetry import set_up

BATCH = 32


def main() -> None:
    """Embed every product, write the vectors, end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--region", default="us-west-1")
    args = parser.parse_args()

    end = set_up("enrichment", "nightly-enrichment", args.region)
    tracer = trace.get_tracer("shop.enrichment")
    with greenops.batch("run nightly-enrichment", workload="nightly-enrichment"):
        with tracer.start_as_current_span("load model"):
            model, texts = embedder(), [each.text for each in products()]
        parts = []
        for first in range(0, len(texts), BATCH):
            with tracer.start_as_current_span("embed products") as span:
                part = texts[first : first + BATCH]
                span.set_attribute("greenops.items", len(part))
                parts.append(model.embed(part))
        with tracer.start_as_current_span("write index"):
            np.save(args.out, np.vstack(parts))
    end()


if __name__ == "__main__":
    main()
