"""Days of a shop's traces by the real OpenTelemetry SDK: requests, what they set off, and five side jobs.

Every service has a provider and an instance of its own, and starts with a load of its model. Times are given to
the SDK, so that three days take no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from greenops.service.rows import span_rows

DAY = datetime(2021, 9, 14, tzinfo=UTC)
DAYS = 3
REGION = "us-west-1"
MS = timedelta(milliseconds=1)


@dataclass(frozen=True)
class SideJob:
    """One of the jobs of a shop's list: when it runs, how long, and its steps."""

    workload: str
    service: str
    at_hours: tuple[float, ...]
    minutes: float
    steps: tuple[str, ...]
    joules: float


SIDE_JOBS = (
    SideJob("nightly-enrichment", "enrichment", (8,), 90, ("load model", "embed products"), 9e5),
    SideJob(
        "demand-forecast-refresh", "forecasting", (7,), 60, ("read sales", "fit", "write"), 6e5
    ),
    SideJob("image-embeddings", "vision", (6,), 120, ("load model", "embed images"), 2e6),
    SideJob("index-rebuild", "search", (9,), 45, ("read catalogue", "build index"), 4e5),
    SideJob(
        "candidate-sets", "recommendations", (7.5,), 60, ("score visitors", "write cache"), 7e5
    ),
)


class Shop:
    """Writes spans; `rows()` is what a receiver makes of them."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self._tracers = {}

    def tracer(self, service, workload=None, instance="1"):
        key = service, workload, instance
        if key not in self._tracers:
            told = {"service.name": service, "service.instance.id": f"{service}-{instance}"}
            told |= {"cloud.provider": "aws", "cloud.region": REGION}
            told |= {"greenops.workload": workload} if workload else {}
            provider = TracerProvider(resource=Resource(told))
            provider.add_span_processor(SimpleSpanProcessor(self._exporter))
            self._tracers[key] = provider.get_tracer("shop")
        return self._tracers[key]

    def span(
        self, tracer, name, start, length, joules, *, kind=SpanKind.INTERNAL, above=None, **said
    ):
        context = trace.set_span_in_context(above) if above is not None else trace.Context()
        attributes = {"greenops.energy.self": float(joules), **said}
        span = tracer.start_span(name, context, kind, attributes, start_time=ns(start))
        span.end(ns(start + length))
        return span

    def rows(self):
        return list(span_rows(encode_spans(self._exporter.get_finished_spans()), lambda at: at))

    # -- what a shop does

    def start(self, at):
        """Every service that answers people loads its model, once."""
        for service in ("shop", "payments", "search"):
            self.span(self.tracer(service, service), "load model", at, 9000 * MS, 50.0)

    def checkout(self, at):
        """A purchase: payments are waited for, mails and the visitor's profile are not."""
        shop, payments = self.tracer("shop", "shop"), self.tracer("payments", "payments")
        mailer = self.tracer("mailer", "mailer")
        root = self.span(shop, "POST /checkout", at, 120 * MS, 2.0, kind=SpanKind.SERVER)
        self.span(shop, "price basket", at + 2 * MS, 10 * MS, 1.0, above=root)
        call = self.span(shop, "POST", at + 15 * MS, 80 * MS, 0.2, kind=SpanKind.CLIENT, above=root)
        inner = self.span(
            payments, "POST /score", at + 20 * MS, 60 * MS, 1.5, kind=SpanKind.SERVER, above=call
        )
        self.span(payments, "score risk", at + 25 * MS, 40 * MS, 4.0, above=inner)
        sent = self.span(
            shop, "orders publish", at + 100 * MS, 5 * MS, 0.1, kind=SpanKind.PRODUCER, above=root
        )
        taken = self.span(
            mailer,
            "orders process",
            at + 110 * MS,
            900 * MS,
            0.5,
            kind=SpanKind.CONSUMER,
            above=sent,
        )
        self.span(mailer, "render receipt", at + 120 * MS, 700 * MS, 3.0, above=taken)
        after = self.span(shop, "update profile", at + 110 * MS, 400 * MS, 5.0, above=root)
        self.span(shop, "embed visitor", at + 115 * MS, 300 * MS, 6.0, above=after)

    def search(self, at):
        """A search; what it looks up beside ends in time, so nobody can tell that it was not waited for."""
        search = self.tracer("search", "search")
        root = self.span(search, "GET /search", at, 40 * MS, 0.5, kind=SpanKind.SERVER)
        self.span(search, "embed query", at + 1 * MS, 20 * MS, 2.0, above=root)
        self.span(search, "prefetch images", at + 2 * MS, 30 * MS, 0.5, above=root)

    def job(self, of, at, number):
        """A run of a side job, as `greenops.batch` writes it, by a process of its own."""
        tracer = self.tracer(of.service, of.workload, instance=f"job-{number}")
        name = f"run {of.workload}"
        said = {"cicd.pipeline.name": of.workload, "cicd.pipeline.run.id": f"{at:%Y-%m-%dT%H}"}
        length = timedelta(minutes=of.minutes)
        root = self.span(tracer, name, at, length, 1.0, kind=SpanKind.SERVER, **said)
        for step, what in enumerate(of.steps):
            part = length / len(of.steps)
            self.span(tracer, what, at + step * part, part, of.joules / len(of.steps), above=root)


def a_few_days(requests=40):
    """Three days of it."""
    shop = Shop()
    shop.start(DAY)
    for day in range(DAYS):
        for number in range(requests):
            at = DAY + timedelta(days=day, minutes=10 + 30 * number)
            shop.checkout(at)
            shop.search(at + timedelta(minutes=7))
        for number, each in enumerate(SIDE_JOBS):
            for hour in each.at_hours:
                shop.job(each, DAY + timedelta(days=day, hours=hour), f"{number}-{day}")
    return shop


def ns(at):
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
