"""Take pictures of the built book: pages x desktop, phone x light, dark.

Usage: python tools/screenshots.py [page ...]     pages such as book/model; default: all

Writes to _build/screenshots. Needs Chromium (or the path of one in CHROMIUM).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import FloatRect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
TALLEST = 15_000  # pixels; Chromium takes no picture of a page that is much taller
SIZES = {"desktop": (1400, 900), "phone": (390, 844)}


def main() -> None:
    """Take the pictures."""
    pages = sys.argv[1:] or [
        str(path.relative_to(HTML).with_suffix("")) for path in sorted(HTML.glob("book/**/*.html"))
    ]
    target = HTML.parent / "screenshots"
    target.mkdir(exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        for device, (width, height) in SIZES.items():
            for mode in ("light", "dark"):
                # Without motion, so that no side bar is caught half way.
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=mode,
                    reduced_motion="reduce",
                )
                page = context.new_page()
                for name in pages:
                    page.goto((HTML / f"{name}.html").as_uri())
                    page.evaluate("() => window.MathJax && MathJax.startup.promise")
                    picture = target / f"{name.replace('/', '-')}-{device}-{mode}.png"
                    tall = page.evaluate("() => document.documentElement.scrollHeight")
                    area = FloatRect(x=0, y=0, width=width, height=min(tall, TALLEST))
                    page.screenshot(path=picture, full_page=True, clip=area)
                    print(picture)
        browser.close()


if __name__ == "__main__":
    main()
