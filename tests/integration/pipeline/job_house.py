"""A control loop that looks after suspended Jobs of one cluster."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from greenops.adapters.parquet_lake import ParquetLake
from greenops.config import Settings
from greenops.domain.evidence import EntryKind
from greenops.domain.replay import Replay
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.testing.clock import FakeClock

NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)
WORKLOAD = """\
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: NAME, owners: [reports@example.com]}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: us-west-1
  duration: 1h
  durationP95: 2h
  energyKwh: 0.4
  deadline: {within: 12h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
  dataClass: internal
  containsPersonalData: false
  team: reports
  target: kubernetes-jobs
---
"""
POLICY = """\
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [reports@example.com]}
spec:
  enforcement: {mode: enforce}
  match:
  - {name: reports, expression: job.team == "reports"}
  objectives:
  - {name: least-carbon, minimize: candidate.carbon_g}
"""


class Deaf:
    """Telemetry that nobody reads."""

    def __getattr__(self, _name):
        return lambda *_: None


class House:
    """The loop, on a state folder of its own; `tick` looks around once."""

    def __init__(self, folder, config, replay=True, **more):
        write_policies(folder / "policies")
        self.settings = Settings(
            state=folder / "state",
            policies=folder / "policies",
            kubernetes_namespaces="batch",
            kubernetes_config=config,
            **more,
        )
        self.clock = FakeClock(NOW, Replay(NOW, NOW, 1.0) if replay else None)
        self.open()

    def open(self):
        footprint, lake = Footprint(), ParquetLake(self.settings.state / "lake")
        self.parts = assemble(
            self.settings, self.clock, footprint, Deaf(), lake, lambda _traces: []
        )
        self.engine, self.tick = self.parts.engine, self.parts.loop.tick

    def restart(self):
        self.parts.close()
        self.open()

    def rows(self, kind):
        return [e.body for e in self.parts.ledger.read() if e.kind is EntryKind(kind)]


def write_policies(folder):
    """Two workloads, of which one is no Job, and a policy that looks for the cleanest start."""
    elsewhere = WORKLOAD.replace("target: kubernetes-jobs", "target: local-process")
    files = {"nightly": WORKLOAD, "here": elsewhere}
    text = "".join(each.replace("NAME", name) for name, each in files.items())
    folder.mkdir()
    (folder / "reports.yaml").write_text(text + POLICY)


def kubeconfig(path, server, token=None, authority=None, **user):
    """A file as `kubectl` reads it."""
    cluster = {"server": server, **({"certificate-authority": str(authority)} if authority else {})}
    user = {**user, **({"token": token} if token else {})}
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))
    return path
