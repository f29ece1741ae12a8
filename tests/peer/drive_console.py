"""Drive the console in a real Chromium: ask what-if, send, print the receipt. Its own process.

python tests/peer/drive_console.py URL ACTOR SCREENSHOT
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import sys

from playwright.sync_api import sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main(url: str, actor: str, screenshot: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        page.get_by_role("heading", name="Overview").wait_for(timeout=30_000)
        page.goto(f"{url}/what-if")
        workload = page.get_by_role("combobox").first
        workload.wait_for(timeout=30_000)
        workload.fill("nightly-enrichment")
        workload.press("Enter")
        page.get_by_text("What waiting longer would give").wait_for(timeout=30_000)
        address = page.get_by_label("Your e-mail address")
        address.fill(actor)
        address.press("Enter")
        send = page.get_by_role("button", name="Send")
        send.and_(page.locator(":not([disabled])")).wait_for(timeout=30_000)
        send.click()
        receipt = page.get_by_text("Receipt:")
        receipt.wait_for(timeout=30_000)
        page.screenshot(path=screenshot)
        print(json.dumps({"receipt": receipt.inner_text(), "faults": faults}))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
