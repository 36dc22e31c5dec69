"""The browser for the tests of the built book, and what a window keeps account of."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest

from tools.settings import HTML as BUILT

HTML = Path(os.environ.get("BOOK_HTML", BUILT))
REQUIRED = os.environ.get("REQUIRE_BROWSER") == "1"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
DEFAULT_PATHS = (
    "/usr/bin/chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# No sandbox: continuous integration runs as root. The others stop the browser's own requests.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEVICES = {"desktop": (1400, 900), "phone": (390, 844)}
NARROW = 360  # the narrowest phone on sale
MODES = ("light", "dark")
PATIENCE = 120_000  # milliseconds: the machine may be busy


def find_browser():
    """Return the path of a browser, or None."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), *DEFAULT_PATHS]
    return next((path for path in candidates if path and Path(path).exists()), None)


def pages():
    """Return the names of the pages, Sphinx's own included."""
    found = [path for path in HTML.rglob("*.html") if "_static" not in path.parts]
    return sorted(str(path.relative_to(HTML)) for path in found if path != HTML / "index.html")


@pytest.fixture(scope="module")
def browser():
    """Start the browser once."""
    if not (HTML / "book" / "index.html").is_file():
        pytest.fail(
            f"the book is not built: no {HTML / 'book' / 'index.html'}; run make book first"
        )
    path = find_browser()
    if path is None:
        message = "no Chromium found on the path or in CHROMIUM"
        if REQUIRED:
            pytest.fail(f"{message}, and REQUIRE_BROWSER=1")
        pytest.skip(f"{message}: the pages were not read in a browser")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield instance
        instance.close()


@pytest.fixture(scope="module")
def server():
    """Serve the book on this machine, for the tests in which file:// is not enough."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as instance:
        thread = threading.Thread(target=instance.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{instance.server_address[1]}"
        instance.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def windows(browser):
    """Return one window for each device and mode: its cache makes the next page quick."""
    opened = {}

    def window(device="desktop", mode="light"):
        if (device, mode) not in opened:
            opened[device, mode] = Reader(browser, device, mode)
        opened[device, mode].reset()
        return opened[device, mode]

    yield window
    for reader in opened.values():
        reader.context.close()


class Reader:
    """A browser window that keeps account of requests and errors."""

    def __init__(self, browser, device="desktop", mode="light"):
        self.size = dict(zip(("width", "height"), DEVICES[device], strict=True))
        self.mode = mode
        self.context = browser.new_context(
            viewport=self.size,
            color_scheme=mode,
            reduced_motion="reduce",
            has_touch=device == "phone",
        )
        self.requests, self.errors = [], []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self.listen)
        self.page.on("requestfailed", lambda r: self.errors.append(f"{r.url}: {r.failure}"))

    def reset(self):
        """Forget what was, and give the window its size and mode again."""
        self.requests.clear()
        self.errors.clear()
        self.page.set_viewport_size(self.size)
        self.page.emulate_media(color_scheme=self.mode, media="screen")

    def listen(self, message):
        """Keep what a page complains about."""
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def open(self, address):
        """Open a page and wait until its formulas are typeset."""
        self.page.goto(address)
        self.page.evaluate("() => window.MathJax && MathJax.startup && MathJax.startup.promise")
        return self.page

    def outside(self):
        """Return the requests that left this machine."""
        local = ("file:", "data:", "blob:", "http://127.0.0.1:")
        return [url for url in self.requests if not url.startswith(local)]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.context.close()
