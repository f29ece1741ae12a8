"""Spans as a Collector sees them: of any language, some with energy, some odd; the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MS = 1_000_000
"""Nanoseconds of a millisecond."""
INTERNAL, SERVER, CLIENT, PRODUCER = 1, 2, 3, 4
ODD: tuple[object, ...] = ("", "12", True, -1, 1.5, 12.0, 2**40, float("nan"), b"\x00", [1, 2])
"""Where a number of tokens, a name or a region should stand."""
MODEL_KEYS = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
TOKEN_KEYS = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
    ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
)


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span and its resource, in OTLP's numbers."""

    name: str
    kind: int
    parent: bool
    start_ns: int
    end_ns: int
    attributes: Mapping[str, object] = field(default_factory=dict)
    resource: Mapping[str, object] = field(default_factory=dict)


class SpanMaker:
    """Makes spans from a seed.

    Args:
        seed: Of all that is random.
        models: Names that the tables know.
        regions: Regions that the tables know.
        workloads: Workloads whose watts the tables know.
        now_ns: About when spans end [ns].
    """

    def __init__(
        self,
        seed: int,
        *,
        models: Sequence[str],
        regions: Sequence[str],
        workloads: Sequence[str],
        now_ns: int,
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._models, self._regions, self._workloads = models, regions, workloads
        self._now = now_ns

    def spans(self, count: int) -> list[CollectedSpan]:
        """So many spans, kinds mixed."""
        makers = (self._call, self._run, self._request, self._enriched, self._other)
        weights = (35, 15, 25, 15, 10)
        return [self._random.choices(makers, weights)[0]() for _ in range(count)]

    def _chance(self, part: float) -> bool:
        return self._random.random() < part

    def _span(
        self, name: str, kind: int, attributes: dict[str, object], **more: object
    ) -> CollectedSpan:
        pick = self._random
        end = self._now - pick.randrange(0, 60_000) * MS
        start = end - pick.randrange(-300_000_000, 30_000_000_000)
        resource = {"service.name": f"service-{pick.randrange(5)}", **more}
        if self._chance(0.8):
            resource["cloud.region"] = self._region()
        return CollectedSpan(name, kind, self._chance(0.5), start, end, attributes, resource)

    def _region(self) -> object:
        pick = self._random
        return self._odd() if self._chance(0.05) else pick.choice((*self._regions, "moon-1"))

    def _odd(self) -> object:
        return self._random.choice(ODD)

    def _model(self) -> object:
        pick = self._random
        if self._chance(0.1):
            return pick.choice(("nobody-knows", "gpt-4ox", "x" * 300, "é" * 150, *ODD))
        name = pick.choice(self._models)
        for before in pick.sample(
            ("us.anthropic.", "Meta-Llama/", "models/", " "), pick.randrange(2)
        ):
            name = before + name
        name += pick.choice(("", "", "-2026-01-01", ":latest", "@prod", "_v2", " (preview)", "x"))
        return name.upper() if self._chance(0.1) else name.replace("-", pick.choice("--_:"))

    def _tokens(self) -> dict[str, object]:
        pick = self._random
        read, wrote = pick.choice(TOKEN_KEYS)
        found: dict[str, object] = {read: pick.randrange(20_000), wrote: pick.randrange(4_000)}
        if self._chance(0.2):
            found["gen_ai.usage.cache_read.input_tokens"] = pick.randrange(20_000)
        if self._chance(0.1):
            found["gen_ai.usage.cache_creation_input_tokens"] = pick.randrange(20_000)
        if self._chance(0.1):
            found["gen_ai.usage.reasoning_tokens"] = pick.randrange(8_000)
        for key in list(found):
            if self._chance(0.03):
                found[key] = self._odd()
            elif self._chance(0.03):
                del found[key]
        return found

    def _call(self) -> CollectedSpan:
        pick = self._random
        said: dict[str, object] = {pick.choice(MODEL_KEYS): self._model(), **self._tokens()}
        if self._chance(0.3):
            said["gen_ai.request.model"] = self._model()
        if self._chance(0.7):
            said["gen_ai.operation.name"] = pick.choice(
                ("chat", "text_completion", "embeddings", "invoke_agent", 7)
            )
        if self._chance(0.6):
            said["cloud.region"] = self._region()
        return self._span("chat", pick.choice((CLIENT, CLIENT, INTERNAL, SERVER, 0)), said)

    def _run(self) -> CollectedSpan:
        pick = self._random
        name = pick.choice((*self._workloads, "of-unknown-draw"))
        marks = ("cicd.pipeline.name", "k8s.job.name", "k8s.cronjob.name", "cicd.pipeline.run.id")
        said: dict[str, object] = {pick.choice(marks): name}
        if self._chance(0.1):
            said["cicd.pipeline.task.name"] = "compile"
        if self._chance(0.5):
            return self._span("run", INTERNAL, {**said, "greenops.workload": name})
        more = {"greenops.workload": name}
        if self._chance(0.5):
            return self._span("run", INTERNAL, said, **more)
        return self._span("run", INTERNAL, {}, **more, **said)

    def _request(self) -> CollectedSpan:
        said: dict[str, object] = {"http.request.method": "GET", "url.path": "/"}
        return self._span("GET /", self._random.choice((SERVER, CLIENT)), said)

    def _enriched(self) -> CollectedSpan:
        pick = self._random
        energy: object = self._odd() if self._chance(0.1) else pick.random() * 100
        said = pick.choice(
            (
                {"greenops.energy.self": energy},
                {"greenops.energy.self": energy, "cloud.region": self._region()},
                {"greenops.energy.self": energy, "greenops.carbon.self": 1.0},
                {"greenops.energy.self": energy, "greenops.carbon.unknown": "no_region"},
                {"greenops.energy.unknown": "no_meter"},
                {"greenops.energy.remote": 3.0, "gen_ai.request.model": "gpt-4o"},
            )
        )
        return self._span("metered", pick.choice((SERVER, CLIENT, INTERNAL, PRODUCER)), dict(said))

    def _other(self) -> CollectedSpan:
        return self._span("SELECT", CLIENT, {"db.system.name": "postgresql"})
