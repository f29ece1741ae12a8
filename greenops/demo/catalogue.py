"""The shop's catalogue: 280 products, written for this demo."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Product:
    """One thing the shop sells."""

    id: str
    category: str
    title: str
    description: str
    price_usd: float

    @property
    def text(self) -> str:
        """What is embedded."""
        return f"{self.title}. {self.description}"


def products() -> list[Product]:
    """Every product, in the order of the file."""
    text = (files("greenops.demo") / "data" / "catalogue.csv").read_text()
    return [
        Product(
            row["id"], row["category"], row["title"], row["description"], float(row["price_usd"])
        )
        for row in csv.DictReader(text.splitlines())
    ]
