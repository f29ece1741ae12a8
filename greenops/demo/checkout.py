"""Checkout scoring: the risk that a transaction is fraud, by a trained model.

python -m greenops.demo.checkout --port 8803 --region eu-central-1
"""

from __future__ import annotations

import argparse

import numpy as np
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from greenops.demo.host import serve
from greenops.demo.risk import FEATURES, train
from greenops.demo.telemetry import set_up


def main() -> None:
    """Run the service."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--region", required=True)
    args = parser.parse_args()

    end = set_up("checkout-scoring", "checkout-scoring", args.region)
    tracer = trace.get_tracer("shop.checkout")
    with tracer.start_as_current_span("train risk model") as span:
        model = train()
        span.set_attribute("shop.risk.auc", model.auc)

    def score(request: Request) -> JSONResponse:
        with tracer.start_as_current_span("GET /score", kind=SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", "GET")
            span.set_attribute("http.route", "/score")
            span.set_attribute("service.criticality", "critical")
            try:
                row = np.array([[float(request.query_params[name]) for name in FEATURES]])
            except (KeyError, ValueError):
                span.set_attribute("http.response.status_code", 400)
                needed = ", ".join(FEATURES)
                return JSONResponse({"error": f"give numbers for {needed}"}, status_code=400)
            with tracer.start_as_current_span("score risk"):
                risk = float(model.score(row)[0])
        return JSONResponse({"region": args.region, "risk": risk})

    serve([Route("/score", score)], args.port, end)


if __name__ == "__main__":
    main()
