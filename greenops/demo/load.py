"""A load generator with a day-shaped arrival curve; it follows the clock of the replay.

python -m greenops.demo.load --search URL [--search URL …] --checkout URL --assistant URL
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import requests

from greenops.adapters.clock import SystemClock
from greenops.adapters.route_table import RouteReader

PEAK_HOUR, TROUGH_SHARE = 19.0, 0.25
"""Busiest hour of the shop's day [local hour], and the quietest rate as a share of the busiest."""
RATES = {"search": 14.0, "checkout": 5.0, "assistant": 0.8}
"""Requests per wall second at the peak."""
QUERIES = (
    "boots that stay dry in the rain",
    "quiet keyboard for the office",
    "a lamp to read in bed",
    "warm blanket as a gift",
    "something to make espresso at home",
    "tent for two that stands in a storm",
    "keep squirrels away from the bird feeder",
    "headphones for the train",
    "knife that stays sharp",
    "shorts for a long bike ride",
)
QUESTIONS = (
    "Name a good gift for a cook.",
    "How do I keep leather boots dry?",
    "What should I pack for a rainy hike?",
    "How do I clean a cast iron pan?",
)


def share_of_peak(now: datetime) -> float:
    """Arrival rate as a share of the busiest hour's, a cosine over the day (simulated UTC)."""
    hour = now.hour + now.minute / 60
    wave = (1 + math.cos((hour - PEAK_HOUR) / 24 * 2 * math.pi)) / 2
    return TROUGH_SHARE + (1 - TROUGH_SHARE) * wave


class Shop:
    """The doors of the shop, as its customers use them."""

    def __init__(self, urls: dict[str, str], replicas: dict[str, str], routes: Path) -> None:
        self._urls = urls
        self._replicas = replicas
        self._table = RouteReader(routes)
        self._random = random.Random(7)  # noqa: S311  (customers, not secrets)
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def request(self, kind: str, session: requests.Session) -> None:
        """One request of a kind; counts how it ended."""
        url, question = self._question(kind)
        try:
            response = session.get(url, params=question, timeout=20)
        except requests.RequestException:
            self.failed[kind] += 1
            return
        self.answered[kind] += response.ok
        self.failed[kind] += not response.ok

    def _question(self, kind: str) -> tuple[str, dict[str, str]]:
        draw = self._random
        if kind == "search":
            front = self._urls.get("search")
            url = front or self._replicas[self._replica()]
            return f"{url}/search", {"q": draw.choice(QUERIES)}
        if kind == "assistant":
            return f"{self._urls[kind]}/ask", {"q": draw.choice(QUESTIONS)}
        row = {
            "amount_usd": draw.lognormvariate(3.8, 0.9),
            "account_age_days": draw.expovariate(1 / 400),
            "items": draw.randint(1, 6),
            "hour": draw.randrange(24),
            "new_device": draw.random() < 0.2,  # noqa: PLR2004
            "country_differs": draw.random() < 0.1,  # noqa: PLR2004
        }
        return f"{self._urls[kind]}/score", {name: f"{float(v):.4f}" for name, v in row.items()}

    def _replica(self) -> str:
        chosen = self._table.pick(None)
        return chosen if chosen in self._replicas else next(iter(self._replicas))


def customers(shop: Shop, kind: str, clock: SystemClock, stop: threading.Event) -> None:
    """Send requests of one kind at the hour's rate, evenly spaced, until told to stop."""
    session = requests.Session()
    due = time.monotonic()
    while not stop.is_set():
        due += 1 / (RATES[kind] * share_of_peak(clock.now()))
        # A late customer does not bring the next ones closer: the load stays bounded.
        due = max(due, time.monotonic() - 1)
        if not stop.wait(max(0.0, due - time.monotonic())):
            shop.request(kind, session)


def run(shop: Shop, clock: SystemClock, stop: threading.Event) -> None:
    """All customers at once, one thread a kind."""
    threads = [
        threading.Thread(target=customers, args=(shop, kind, clock, stop), daemon=True)
        for kind in RATES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _on_signal(stop: threading.Event) -> Callable[[int, object], None]:
    return lambda _signal, _frame: stop.set()


def main() -> None:
    """Send requests until SIGTERM, then print how many were answered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--front", help="URL of the proxy before search, if there is one")
    parser.add_argument("--replica", action="append", required=True, metavar="NAME=URL")
    parser.add_argument("--routes", type=Path, required=True, help="file of the search route")
    parser.add_argument("--checkout", required=True)
    parser.add_argument("--assistant", required=True)
    args = parser.parse_args()

    urls = {"checkout": args.checkout, "assistant": args.assistant}
    if args.front:
        urls["search"] = args.front
    shop = Shop(urls, dict(each.split("=", 1) for each in args.replica), args.routes)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal(stop))
    run(shop, SystemClock.from_environment(), stop)
    sys.stdout.write(json.dumps({"answered": shop.answered, "failed": shop.failed}) + "\n")


if __name__ == "__main__":
    main()
