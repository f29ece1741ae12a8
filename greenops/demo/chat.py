"""An OpenAI-style client whose calls are `gen_ai` spans, as the GenAI conventions name them."""

from __future__ import annotations

from dataclasses import dataclass

import requests
from opentelemetry import trace
from opentelemetry.trace import SpanKind

MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and the tokens it took as the server counted them."""

    text: str
    input_tokens: int
    output_tokens: int


class ChatClient:
    """Calls `/v1/chat/completions` of any server that speaks the OpenAI API."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/v1/chat/completions"
        self._session = requests.Session()
        self._tracer = trace.get_tracer("shop.chat")

    def ask(self, question: str, max_tokens: int = 24) -> Answer:
        """One question, one answer.

        Raises:
            requests.RequestException: The server did not answer.
        """
        with self._tracer.start_as_current_span(f"chat {MODEL}", kind=SpanKind.CLIENT) as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.provider.name", "llama.cpp")
            span.set_attribute("gen_ai.request.model", MODEL)
            span.set_attribute("gen_ai.request.max_tokens", max_tokens)
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": question}],
                "max_tokens": max_tokens,
                "temperature": 0,
            }
            response = self._session.post(self._url, json=body, timeout=30)
            response.raise_for_status()
            said = response.json()
            usage = said["usage"]
            span.set_attribute("gen_ai.response.model", said.get("model", MODEL))
            span.set_attribute("gen_ai.usage.input_tokens", usage["prompt_tokens"])
            span.set_attribute("gen_ai.usage.output_tokens", usage["completion_tokens"])
        text = said["choices"][0]["message"]["content"]
        return Answer(text, usage["prompt_tokens"], usage["completion_tokens"])
