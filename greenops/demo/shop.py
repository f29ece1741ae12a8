"""The whole loop once: a shop's day on real input, measured, decided on, acted on, proved, shown."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from greenops.adapters.clock import SystemClock
from greenops.adapters.control_client import ControlClient
from greenops.adapters.envoy import bootstrap, envoy_binary
from greenops.adapters.packaged import packaged
from greenops.config import Settings
from greenops.demo import day
from greenops.demo.day import Ports
from greenops.demo.processes import Child, Household, free_ports
from greenops.demo.result import result
from greenops.domain.console import DecisionRecord, Overview
from greenops.errors import AdapterUnavailable, Unreachable
from greenops.pipeline.conservation import residual_of
from greenops.pipeline.evidence import verify

Tell = Callable[[str], None]

STOPS = (signal.SIGTERM, signal.SIGHUP)
"""What ends the demo besides Ctrl-C; SIGHUP comes when its terminal closes."""
SETTLE_WITHIN_S = 15.0
"""Longest wait for the last spans and receipts to reach the lake and the ledger [s]."""


class Shop:
    """One run of the demo.

    Args:
        state: Folder of everything it writes.
        tell: Where progress goes.
    """

    def __init__(self, state: Path, tell: Tell) -> None:
        self.state = state
        self.tell = tell
        self.ports = take_ports()
        self.policies = packaged("policies")
        self.replay = day.replay_from(SystemClock().wall())
        self.clock = SystemClock(self.replay)
        self.envoy = envoy_binary()

    def household(self) -> Household:
        """Where the processes live."""
        environ = day.environment(self.state, self.policies, self.ports, self.replay)
        return Household(self.state / "logs", environ)

    # -- opening

    def open(self, house: Household) -> None:
        """Start every service and wait until each answers.

        Raises:
            Unreachable: One did not start; gives its last line.
        """
        (self.state / "routes.yaml").write_text(day.routes_text(self.envoy is not None))
        ports = self.ports
        # The receiver first: an exporter gives a batch up after ten seconds without one.
        serve = house.start("serve", "greenops.cli.main", "serve")
        house.wait_ready(serve, f"{ports.api_url}/healthz")
        shops = [
            (self._service(house, f"search-{region}", "search", port, region), port)
            for region, port in zip(day.SEARCH_REGIONS, ports.search, strict=True)
        ]
        shops += [
            (self._service(house, name, module, port, region), port)
            for name, module, port, region in (
                ("checkout", "checkout", ports.checkout, day.CHECKOUT_REGION),
                ("assistant", "assistant", ports.assistant, day.ASSISTANT_REGION),
            )
        ]
        for child, port in shops:
            house.wait_ready(child, f"http://127.0.0.1:{port}/healthz")
        if self.envoy:
            self._open_envoy(house)
        self._open_doors(house)

    def _service(self, house: Household, name: str, module: str, port: int, region: str) -> Child:
        return house.start(name, f"greenops.demo.{module}", "--port", str(port), "--region", region)

    def _open_envoy(self, house: Household) -> None:
        ports = self.ports
        folder = self.state / "envoy"
        folder.mkdir(parents=True, exist_ok=True)
        backends = dict(zip(day.SEARCH_REGIONS, ports.search, strict=True))
        config = folder / "bootstrap.yaml"
        config.write_text(bootstrap("search", backends, ports.front, ports.front_admin, folder))
        proxy = house.start(
            "envoy",
            str(self.envoy),
            *("-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"),
        )
        house.wait_ready(proxy, f"http://127.0.0.1:{ports.front_admin}/ready")

    def _open_doors(self, house: Household) -> None:
        ports = self.ports
        front = ["--front", f"http://127.0.0.1:{ports.front}"] if self.envoy else []
        replicas = [f"--replica={name}={url}" for name, url in ports.replicas.items()]
        house.start(
            "customers",
            "greenops.demo.load",
            *front,
            *replicas,
            *("--routes", str(self.state / "routes" / "search.json")),
            *("--checkout", f"http://127.0.0.1:{ports.checkout}"),
            *("--assistant", f"http://127.0.0.1:{ports.assistant}"),
        )

    # -- the day

    def play(self, house: Household) -> None:
        """The 24 hours: submit the nightly job at its hour, tell how it goes, close the doors."""
        ends = day.DAY + day.STARTS_AT + day.LASTS
        nightly: Child | None = None
        with ControlClient(self.ports.api_url) as control:
            while (now := self.clock.now()) < ends:
                if nightly is None and now >= day.ENRICHMENT_AT:
                    nightly = self._submit(house)
                self._progress(control, now)
                self.clock.sleep(timedelta(hours=1) if nightly else day.ENRICHMENT_AT - now)
        house.end("customers")
        if nightly is not None:
            nightly.process.wait(SETTLE_WITHIN_S * 2)

    def _submit(self, house: Household) -> Child:
        """What cron would do: ask for the run now, and let GreenOps hold it."""
        return house.start(
            "nightly",
            *("greenops.cli.main", "run"),
            *("--workload", str(self.policies / "demo" / "nightly-enrichment.yaml")),
            *("--key", day.ENRICHMENT_KEY, "--server", self.ports.api_url, "--"),
            *(sys.executable, "-m", "greenops.demo.enrichment"),
            *("--out", str(self.state / "index.npy"), "--region", day.ENRICHMENT_REGION),
        )

    def _progress(self, control: ControlClient, now: datetime) -> None:
        try:
            seen = control.overview()
        except AdapterUnavailable as error:
            self.tell(str(error))
            return
        weights = seen.routes.get("search", {})
        share = ", ".join(f"{name} {percent} %" for name, percent in weights.items())
        grid = seen.intensity.get(day.ENRICHMENT_REGION)
        clean = f"{grid:4.0f} g/kWh in California" if grid is not None else "grid not known"
        self.tell(
            f"{now:%H:%M} UTC  {clean}  {seen.spans:6d} spans  "
            f"{seen.decisions} decisions  search: {share or 'not routed yet'}"
        )

    # -- closing

    def settle(self, house: Household) -> tuple[Overview, list[DecisionRecord]]:
        """End the services, so that they flush, and wait until all has arrived.

        Raises:
            Unreachable: `greenops serve` does not answer any more.
        """
        services = [each.name for each in house.children if each.name not in ("serve", "envoy")]
        house.end(*services)
        wall = SystemClock()
        until = wall.wall() + timedelta(seconds=SETTLE_WITHIN_S)
        with ControlClient(self.ports.api_url, timeout_s=10) as control:
            seen = -1
            while wall.wall() < until:
                view = control.overview()
                if view.spans == seen and view.avoided is not None:
                    break
                seen = view.spans
                wall.sleep(timedelta(seconds=1))
            else:
                self.tell("not everything arrived in time; the numbers say what did")
            # What the receiver took in last is in its log; the lake has it after the next flush.
            wall.sleep(timedelta(seconds=Settings().flush_s + 1))
            records = [control.decision(each.id) for each in control.decisions()]
            return control.overview(), list(reversed(records))

    def conclude(
        self, view: Overview, records: Sequence[DecisionRecord], console_url: str | None
    ) -> dict[str, Any]:
        """Check the ledger as an auditor would, and sum up."""
        checked = verify(self.state, None)
        return result(view, records, checked, residual_of(self.state), console_url)


def take_ports() -> Ports:
    """Free loopback ports for one demo."""
    api, grpc, http, north, south, checkout, assistant, front, admin, console = free_ports(10)
    return Ports(api, grpc, http, (north, south), checkout, assistant, front, admin, console)


def run(
    settings: Settings, *, once: bool, tell: Tell, show: Callable[[dict[str, Any]], None]
) -> None:
    """Play the day, show what it came to, and keep the console up unless `once`.

    Raises:
        Unreachable: A process of the demo did not start or went away.
    """
    _listen()
    wall = SystemClock().wall()
    state = (settings.state / "demo" / f"{wall:%Y%m%d-%H%M%S}").absolute()
    state.mkdir(parents=True)
    shop = Shop(state, tell)
    with shop.household() as house:
        tell(f"opening the shop; everything it writes is in {state}")
        shop.open(house)
        tell(f"playing {day.DAY:%A %d %B %Y}, 24 hours in a minute; grid data is a replay")
        shop.play(house)
        tell("closing; waiting for the last spans")
        view, records = shop.settle(house)
        url = None if once else f"http://127.0.0.1:{shop.ports.console}"
        show(shop.conclude(view, records, url))
        if url is not None:
            _keep_console(house, url, tell)


def _listen() -> None:
    for number in STOPS:
        # What is ignored stays so: `nohup greenops demo` outlives its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(_number: int, _frame: object) -> None:
    # A terminal that closes may tell it twice, which must not break off the end of the processes.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    # Leaving by an exception ends every process that was started.
    raise KeyboardInterrupt


def _keep_console(house: Household, url: str, tell: Tell) -> None:
    child = house.start("console", "greenops.cli.main", "console", "--port", url.rsplit(":", 1)[1])
    try:
        house.wait_ready(child, f"{url}/_stcore/health")
        tell(f"the console is at {url} (Ctrl-C ends it)")
        child.process.wait()
    except Unreachable as error:
        tell(f"no console: {error}")
    except KeyboardInterrupt:
        tell("closed")
