"""Search: embeds a query with a real model and ranks the catalogue.

python -m greenops.demo.search --port 8801 --region eu-central-1
"""

from __future__ import annotations

import argparse

import numpy as np
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from greenops.demo.catalogue import products
from greenops.demo.embedding import embedder
from greenops.demo.host import serve
from greenops.demo.telemetry import set_up

TOP = 5


def main() -> None:
    """Run one replica."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--region", required=True)
    args = parser.parse_args()

    end = set_up("search", "search", args.region)
    tracer = trace.get_tracer("shop.search")
    with tracer.start_as_current_span("load index"):
        model, catalogue = embedder(), products()
        texts = [each.text for each in catalogue]
        index = np.vstack([model.embed(texts[i : i + 32]) for i in range(0, len(texts), 32)])

    def search(request: Request) -> JSONResponse:
        query = request.query_params.get("q", "")
        with tracer.start_as_current_span("GET /search", kind=SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", "GET")
            span.set_attribute("http.route", "/search")
            span.set_attribute("greenops.model.name", "all-MiniLM-L6-v2")
            span.set_attribute("greenops.model.precision", "int8")
            span.set_attribute("greenops.items", len(catalogue))
            with tracer.start_as_current_span("embed query"):
                vector = model.embed([query])[0]
            with tracer.start_as_current_span("rank"):
                near = index @ vector
                best = np.argsort(-near)[:TOP]
                found = [{"id": catalogue[i].id, "title": catalogue[i].title} for i in best]
        return JSONResponse({"region": args.region, "results": found})

    serve([Route("/search", search)], args.port, end)


if __name__ == "__main__":
    main()
