"""Order a held run to start from the decisions page in a real Chromium. Its own process.

python tests/peer/drive_run_now.py URL WHO WHY SCREENSHOT
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import sys

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def fill(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label)
    field.fill(text)
    field.press("Enter")


def main(url: str, who: str, why: str, screenshot: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 1700})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{url}/decisions")
        button = page.get_by_role("button", name="Run now")
        button.wait_for(timeout=30_000)
        off = page.get_by_text("Off:").inner_text()
        was_off = button.is_disabled()
        page.screenshot(path=screenshot.replace(".png", "-off.png"))
        fill(page, "Your name", who)
        page.get_by_text("Off: say why").wait_for(timeout=30_000)
        fill(page, "Why it cannot wait", why)
        button.and_(page.locator(":not([disabled])")).wait_for(timeout=30_000)
        page.screenshot(path=screenshot.replace(".png", "-on.png"))
        button.click()
        said = page.get_by_text(": ordered, o-")
        said.wait_for(timeout=30_000)
        page.screenshot(path=screenshot)
        shown = {"off": off, "was_off": was_off, "said": said.inner_text(), "faults": faults}
        print(json.dumps(shown))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
