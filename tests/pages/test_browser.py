"""The built book as a browser shows it: offline, typeset, without sideways scrolling, legible.

Run after `make book`. Needs Chromium, on the path or named by CHROMIUM; without one the tests skip,
unless REQUIRE_BROWSER=1. BOOK_HTML names another built book to test.
"""

import itertools
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages.conftest import DEVICES, HTML, MODES, NARROW, Reader, pages

AA = 4.5  # WCAG 2 contrast of text


def address_of(name):
    """Return the file address of a page."""
    return (HTML / name).as_uri()


# --- every page, on a phone and on a desktop, in both modes --------------------------------------

# Elements outside the window that no box of their own scrolls or clips. What a formula is made of
# is looked at in PAST_THEIR_BOX.
SIDEWAYS = """() => {
  const width = document.documentElement.clientWidth;
  const page = document.scrollingElement.scrollWidth - width;
  const contained = (element) => {
    const article = element.closest('article.bd-article');
    for (let box = element.parentElement; box !== article; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== 'visible') return true;
    }
    return false;
  };
  const wide = [...document.querySelectorAll('article.bd-article :not(mjx-math *)')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.right > width + 1 && !contained(e);
  });
  return {page, wide: wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 120))};
}"""

# What holds at every width: formulas are complete, and so are pictures; one heading is seen.
WHOLE = """() => {
  const article = document.querySelector('article.bd-article') || document.createElement('p');
  // MathJax sets an unknown macro as red text.
  const wrong = 'mjx-merror, [data-mjx-error], mjx-mtext[style*="red"]';
  const sources = article.querySelectorAll('span.math, div.math').length;
  // Code may write TeX, what is read beside it may not.
  const text = [...article.querySelectorAll('.cell_input pre')]
    .reduce((rest, code) => rest.replace(code.innerText, () => ''), article.innerText);
  return {
    untypeset: sources - article.querySelectorAll('.math > mjx-container').length,
    errors: [...article.querySelectorAll(wrong)].map((e) => e.textContent.slice(0, 100)),
    raw: text.match(/\\\\[([]|\\\\(frac|sqrt|operatorname|mathbb)/g) || [],
    // Formulas without MathML for screen readers.
    unnamed: [...article.querySelectorAll('mjx-container')]
      .filter((e) => !e.querySelector('mjx-assistive-mml math')).length,
    headings: [...document.querySelectorAll('h1')].filter((e) => e.checkVisibility()).length,
    missing: [...article.querySelectorAll('img')]
      .filter((e) => !e.complete || !e.naturalWidth).map((e) => e.src),
  };
}"""
COMPLETE = {"untypeset": 0, "errors": [], "raw": [], "unnamed": 0, "headings": 1, "missing": []}

# Boxes that scroll sideways and that the keyboard cannot reach.
UNREACHABLE = """() => [...document.querySelectorAll('article.bd-article *')].filter((e) => {
  if (e.closest('mjx-math, mjx-assistive-mml, details:not([open])')) return false;
  const scrolls = /auto|scroll/.test(getComputedStyle(e).overflowX);
  return scrolls && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0;
}).map((e) => e.outerHTML.slice(0, 160))"""

# Formulas that reach past a box: those that nothing shows (the box neither scrolls nor fades at its
# edge), and those in a statement, where nothing may have to be scrolled.
PAST_THEIR_BOX = """() => {
  const article = document.querySelector('article.bd-article');
  const found = {unseen: [], scrolled: []};
  if (!article) return found;
  for (const math of article.querySelectorAll('.math > mjx-container > mjx-math')) {
    const parts = [...math.querySelectorAll('.formula-piece')];
    const edges = (parts.length ? parts : [math]).map((e) => e.getBoundingClientRect());
    const right = Math.max(...edges.map((box) => box.right));
    if (!edges[0].width) continue;
    const name = math.parentElement.innerText.slice(0, 60) + ' ' + right;
    let past = right > document.documentElement.clientWidth + 1;
    for (let box = math.parentElement; box !== article; box = box.parentElement) {
      const flow = getComputedStyle(box).overflowX;
      if (flow === 'visible' || right <= box.getBoundingClientRect().right + 1) continue;
      past = !(/auto|scroll/.test(flow) && (box.dataset.more || '').includes('right'));
      if (math.closest('div.proof.admonition')) found.scrolled.push(name);
      break;
    }
    if (past) found.unseen.push(name);
  }
  return found;
}"""
# Clicks on what is folded, in it and in what it held; returns what did not open, and how many did.
UNFOLD = """() => {
  const found = {shut: [], opened: 0};
  const folded = () => [...document.querySelectorAll('article details:not([open]) > summary')]
    .filter((summary) => summary.checkVisibility());
  for (let all = folded(); all.length && !found.shut.length; all = folded()) {
    for (const summary of all) {
      summary.scrollIntoView({block: 'center'});
      const box = summary.getBoundingClientRect();
      const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      if (summary.contains(hit)) hit.click();
      if (summary.parentElement.open) found.opened += 1;
      else found.shut.push(summary.innerText.slice(0, 80));
    }
  }
  return found;
}"""
SETTLED = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"""


def whole(page, name):
    """Assert that what a page shows is complete."""
    found = page.evaluate(WHOLE)
    # Sphinx's own pages have the headings of the theme.
    expected = {} if name.startswith("book/") else {"headings": found["headings"]}
    assert found == COMPLETE | expected


def fits(page):
    """Assert that nothing reaches out of a page at its present width, and that all is reachable."""
    page.evaluate(SETTLED)
    assert page.evaluate(SIDEWAYS) == {"page": 0, "wide": []}
    assert page.evaluate(UNREACHABLE) == []


@pytest.mark.parametrize("name", pages())
def test_page_reads_offline(windows, name):
    """Given a page opened from its file, it is complete, quiet, light, legible, and fits."""
    reader = windows("phone")
    page = reader.open(address_of(name))
    chapter = name.startswith("book/")
    whole(page, name)
    fits(page)
    assert page.evaluate(UNFOLD)["shut"] == []
    for width in (DEVICES["phone"][0], NARROW):
        page.set_viewport_size({"width": width, "height": DEVICES["phone"][1]})
        fits(page)
        past = page.evaluate(PAST_THEIR_BOX)
        assert past["unseen"] == [], width
        assert past["scrolled"] == [], width
    page.set_viewport_size(dict(zip(("width", "height"), DEVICES["desktop"], strict=True)))
    whole(page, name)
    for mode in MODES:
        page.emulate_media(color_scheme=mode)
        page.wait_for_function("mode => document.documentElement.dataset.theme === mode", arg=mode)
        fits(page)
        if chapter:
            seen = page.evaluate(CONTRAST, list(itertools.chain(*TEXTS.values())))
            assert seen, "nothing was measured"
            assert {key: value for key, value in seen.items() if value[0] < AA} == {}, mode
    # Last, so that what comes late is counted as well.
    if chapter:
        weigh(reader.requests)
    assert reader.requests, "the account of requests is empty"
    assert reader.outside() == []
    assert reader.errors == []


def test_folded_parts_open(windows):
    """Given a chapter, there are folded parts, and a part that something covers does not open."""
    page = windows().open(address_of("book/theorems/theorem-3-1-norm.html"))
    page.add_style_tag(content="article details::before {content: ''; position: fixed; inset: 0}")
    assert len(page.evaluate(UNFOLD)["shut"]) > 1
    page = windows().open(address_of("book/theorems/theorem-3-1-norm.html"))
    assert page.evaluate(UNFOLD)["opened"] > 1


# --- weight -----------------------------------------------------------------------------------

MEGABYTE = 1_000_000
FIRST_PAGE, NEXT_PAGE = 2.5 * MEGABYTE, 0.8 * MEGABYTE


def weight_of(addresses):
    """Return how many bytes lie behind these file addresses, each counted once."""
    files = {Path(unquote(urlsplit(url).path)) for url in addresses if url.startswith("file:")}
    return sum(path.stat().st_size for path in files if path.is_file())


def weigh(requests):
    """Assert that a page and what it loads are small, and what the next page loads is smaller."""
    # What figures that a reader can move need is loaded on their pages only, and weighs more.
    loaded = [url for url in requests if "bokeh" not in url]
    own = [url for url in loaded if "/_static/" not in url]
    assert own, "the page itself was not counted"
    assert weight_of(loaded) <= FIRST_PAGE
    assert weight_of(own) <= NEXT_PAGE


# --- colours --------------------------------------------------------------------------------

# Contrast of each text with what is behind it, colours with transparency laid over each other.
CONTRAST = """(selectors) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const rgb = (colours) => {  // from back to front; the canvas understands every notation
    const key = colours.join();
    if (!known.has(key)) known.set(key, mixed(colours));
    return known.get(key);
  };
  const mixed = (colours) => {
    brush.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
    }
    return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => {
      c /= 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const grounds = new Map([[null, []]]);
  const behind = (box) => {
    if (!grounds.has(box)) {
      const colour = getComputedStyle(box).backgroundColor;
      const layers = behind(box.parentElement);
      grounds.set(box, colour === 'rgba(0, 0, 0, 0)' ? layers : [...layers, colour]);
    }
    return grounds.get(box);
  };
  const seen = {};
  for (const selector of selectors) {
    for (const element of document.querySelectorAll(selector)) {
      const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
      if (!words || !element.getClientRects().length) continue;
      const back = behind(element);
      const front = getComputedStyle(element).color;
      const [one, other] = [luminance(rgb([...back, front])), luminance(rgb(back))];
      const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (!(selector in seen) || ratio < seen[selector][0]) {
        seen[selector] = [ratio, element.outerHTML.slice(0, 120)];
      }
    }
  }
  return seen;
}"""

TEXTS = {
    "body": ["article p", "article li", "article h1", "article h2", "article h3", "figcaption *"],
    "links": ["article p a", "article td a", "nav.bd-links a", ".bd-sidebar-secondary a"],
    "statements": [".admonition p", ".admonition-title", ".admonition-title *", ".admonition a"],
    "badges": [".verified *", ".layer", ".layer *", ".not-yet", ".relation", ".no-value"],
    "tables": ["article td *", "article td", "article th", "caption"],
    "code": ["article pre", "article pre span", "article code", "article code span", "dt.sig *"],
    "around": [".prev-next-footer p", "footer p", "summary *", ".caption-text", ".eqno"],
}


KINDS = ("index", "theorems/theorem-3-1-norm", "record/verification", "reference/api")


def test_contrast_is_measured_where_it_matters(windows):
    """Given pages of every form, each kind of text is measured, and a pale one is caught."""
    measured = {}
    for name in KINDS:
        page = windows().open(address_of(f"book/{name}.html"))
        measured |= page.evaluate(CONTRAST, list(itertools.chain(*TEXTS.values())))
    for kind, selectors in TEXTS.items():
        assert measured.keys() & set(selectors), f"no text of the kind {kind}"
    page = windows().open(address_of("book/index.html"))
    page.add_style_tag(content="article p { color: #999 !important; }")
    assert page.evaluate(CONTRAST, ["article p"])["article p"][0] < AA


def test_figures_lie_on_the_colour_of_the_page(browser):
    """Given a page in light, its background is the one that figures are drawn on."""
    with Reader(browser) as reader:
        page = reader.open(address_of("book/index.html"))
        paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(253, 252, 249)"
        picture = page.locator("article img").first
        style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).filter]"
        assert picture.evaluate(style) == ["rgb(253, 252, 249)", "none"]


# --- accessibility --------------------------------------------------------------------------

# Pages of every form that are short: a long one takes the rules 20 processor seconds in all.
# `make test-axe` looks at all pages.
SHORT = ("book/index", "book/reference/references", "book/reference/try-it", "genindex", "search")
LOOKED_AT = pages() if os.environ.get("AXE") == "all" else [f"{name}.html" for name in SHORT]
AXE = """async ([options, dropped]) => {
  document.querySelectorAll(dropped).forEach((e) => e.replaceChildren());
  const found = await axe.run(document, {resultTypes: ['violations'], preload: false, ...options});
  return found.violations.flatMap((v) => v.nodes.map((n) => [v.id, n.html.slice(0, 160)]));
}"""
# Formulas are read from their MathML, and what is drawn of them is hidden from screen readers. The
# second rule is on trial, for those who speak to a page: what is called is what is seen.
RULES = {"color-contrast": {"enabled": False}, "label-content-name-mismatch": {"enabled": True}}
BY_RULES = [{"rules": RULES}, "mjx-math"]
# Formulas have the colour of the text around them, and code is measured on every page above: both
# are most of a page.
BY_CONTRAST = [{"runOnly": ["color-contrast"]}, "mjx-container, pre"]


@pytest.mark.parametrize("name", LOOKED_AT)
def test_page_keeps_the_rules_of_accessibility(windows, name):
    """Given a page on both devices and in both modes, axe finds nothing."""
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = windows("phone").open(address_of(name))
    page.evaluate(sync_playwright.Axe().axe_script)
    # The mode changes colours alone.
    for asked, modes in ((BY_RULES, MODES[:1]), (BY_CONTRAST, MODES)):
        for size, mode in itertools.product(DEVICES.values(), modes):
            page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
            page.emulate_media(color_scheme=mode)
            page.wait_for_function(
                "mode => document.documentElement.dataset.theme === mode", arg=mode
            )
            page.evaluate(SETTLED)
            assert page.evaluate(AXE, asked) == []


def test_axe_finds_what_is_wrong(windows):
    """Given a page with a picture without words and a pale line, axe reports both."""
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = windows().open(address_of("search.html"))
    page.evaluate(sync_playwright.Axe().axe_script)
    pale = "<img src='x.svg'><p style='color: #bbb; background: #fff'>pale</p>"
    pale += "<button aria-label='other'>word</button>"
    page.evaluate(
        "html => document.querySelector('main').insertAdjacentHTML('beforeend', html)", pale
    )
    found = {rule for asked in (BY_RULES, BY_CONTRAST) for rule, _ in page.evaluate(AXE, asked)}
    assert {"image-alt", "color-contrast", "label-content-name-mismatch"} <= found


# --- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("served", [False, True], ids=["file", "server"])
def test_search_finds_the_norm(browser, server, served):
    """Given the word norm, the search finds the chapter, from files and from a server."""
    base = server if served else HTML.as_uri()
    with Reader(browser) as reader:
        page = reader.open(f"{base}/search.html?q=norm")
        page.wait_for_selector("#search-results ul.search li a", timeout=15_000)
        page.wait_for_function(
            "() => /finished|found/i.test(document.querySelector('#search-results').innerText)"
        )
        found = page.locator("#search-results ul.search li a").evaluate_all(
            "links => links.map(link => link.href)"
        )
        assert any("theorem-3-1-norm" in address for address in found), found
        page.wait_for_timeout(300)  # quotes of the found pages arrive after their titles
        assert reader.errors == []
        assert reader.outside() == []


FIRST_HIT = """(query) => {
  const found = Search._performSearch(...Search._parseQuery(query));
  return found.length ? found.at(-1)[0] : null;
}"""
QUERIES = {
    "Theorem 3.1": "book/theorems/theorem-3-1-norm",
    "theorem 3.2": "book/theorems/theorem-3-2-coordinates",
    "Lemma 3.3": "book/theorems/lemma-3-3-squares",
    "Theorem 3.4": "book/theorems/theorem-3-4-orthonormal-squares",
    "Theorem 3.5": "book/theorems/theorem-3-5-products",
    "Lemma B.1": "book/theorems/theorem-3-2-coordinates",
    "Equation (5)": "book/spectrum/fisher-spectrum",
    "Table 1": "book/width/table-1",
    "Figure 1": "book/width/figure-1",
    "97.7": "book/spectrum/trace-share",
    "GPU": "book/width/running-bigger",
    "Dask": "book/width/running-bigger",
    "neural tangent kernel": "book/spectrum/mercer",
    "NTK": "book/spectrum/mercer",
    "Mercer": "book/spectrum/mercer",
    "spherical harmonics": "book/theorems/funk-hecke",
    "Funk-Hecke": "book/theorems/funk-hecke",
    "arc-cosine kernel": "book/theorems/model",
    "double descent": "book/learning/ridge-risk",
    "order of learning": "book/learning/learning-order",
    "early stopping": "book/learning/truncated-model",
    "Hessian": "book/learning/limitations",
    "Bernstein": "book/width/bounds",
    "which width": "book/width/bounds",
    "correlated inputs": "book/beyond/other-inputs",
    "Marchenko–Pastur": "book/proportional/quartic",
    "sensitivity": "book/reference/glossary",
    "notation": "book/reference/notation",
    "glossary": "book/reference/glossary",
    "how to cite": "book/index",
}


def test_search_puts_the_right_page_first(browser):
    """Given what readers look for, the first result is the page that treats it."""
    with Reader(browser) as reader:
        page = reader.open(address_of("search.html"))
        page.wait_for_function("() => typeof Search !== 'undefined' && Search._index")
        found = {query: page.evaluate(FIRST_HIT, query) for query in QUERIES}
        assert found == QUERIES


@pytest.mark.parametrize("device", DEVICES)
def test_search_opens_from_a_page(browser, device):
    """Given a page, the search field opens, takes a word and leads to the results."""
    with Reader(browser, device) as reader:
        page = reader.open(address_of("book/theorems/model.html"))
        page.locator(".search-button__button:visible, .search-button:visible").first.click()
        page.keyboard.type("norm")
        page.keyboard.press("Enter")
        page.wait_for_selector("#search-results ul.search li a", timeout=15_000)
        assert reader.errors == []


def test_theme_toggle_changes_the_palette_and_is_remembered(browser):
    """Given the toggle, it leads through both palettes, and the next page keeps the choice."""
    with Reader(browser) as reader:
        page = reader.open(address_of("book/index.html"))
        seen = {}
        for _ in range(3):
            page.locator("button.theme-switch-button:visible").first.click()
            mode = page.evaluate("() => document.documentElement.dataset.theme")
            seen[mode] = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert seen == {"light": "rgb(253, 252, 249)", "dark": "rgb(22, 24, 28)"}
        while page.evaluate("() => document.documentElement.dataset.mode") != "dark":
            page.locator("button.theme-switch-button:visible").first.click()
        page = reader.open(address_of("book/theorems/model.html"))
        assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
        assert reader.errors == []


def test_links_of_a_badge_and_of_the_contents_lead_somewhere(browser):
    """Given a chapter, its badge leads to the row of the record, and that leads back."""
    with Reader(browser) as reader:
        page = reader.open(address_of("book/theorems/theorem-3-1-norm.html"))
        page.locator(".verified a", has_text="full record").first.click()
        page.wait_for_url("**/verification.html#verified-theorem-3-1")
        row = page.locator("tr:target")
        assert row.count() == 1
        row.locator("a").first.click()
        page.wait_for_url("**/theorem-3-1-norm.html#theorem-3-1")
        assert page.locator("#theorem-3-1").is_visible()


def test_a_figure_that_is_small_can_be_enlarged(windows):
    """Given a phone, a key or a tap shows a figure at its own size; a desktop needs neither."""
    reader = windows("phone")
    page = reader.open(address_of("book/index.html"))
    offer, full = page.locator("article .enlarge:visible"), page.locator(".figure-full[open] > div")
    offer.first.focus()
    page.keyboard.press("Enter")
    picture = full.locator("img")
    size = "e => [e.getBoundingClientRect().width, Number(e.getAttribute('width')), e.naturalWidth]"
    shown, own, pixels = picture.evaluate(size)
    assert shown == own > DEVICES["phone"][0]
    assert pixels // 2 == own
    assert picture.get_attribute("alt")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.figure-full > div').scrollLeft > 0")
    page.keyboard.press("Escape")
    full.wait_for(state="hidden")
    assert page.evaluate("() => document.activeElement.className") == "enlarge"
    page.locator("article figure img").first.tap()
    full.wait_for(state="visible")
    page.locator(".figure-full button").click()
    full.wait_for(state="hidden")
    page.set_viewport_size({"width": DEVICES["desktop"][0], "height": DEVICES["desktop"][1]})
    page.evaluate(SETTLED)
    assert offer.count() == 0
    assert reader.errors == []


# The preview: its words, what of it is not typeset, and whether it lies in the window.
PREVIEW = """() => {
  const card = document.querySelector('.preview-shown');
  const box = card.getBoundingClientRect();
  return {
    words: card.innerText,
    raw: card.querySelectorAll('.math:not(:has(> mjx-container))').length,
    inside: box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight,
    said: document.querySelector('[aria-describedby="preview"]').getAttribute('href'),
    colours: [getComputedStyle(card).backgroundColor, getComputedStyle(document.body).color],
  };
}"""
LEADS_TO = {
    "book/spectrum/mercer": ("../theorems/funk-hecke.html#funk-hecke", "8. One theorem"),
    "book/record/map": ("../theorems/theorem-3-1-norm.html#theorem-3-1", "2. Theorem 3.1"),
    "book/spectrum/fisher-spectrum": ("#equation-generalised-mp", "(9.3)"),
    "book/reference/glossary": ("#term-spherical-harmonic", "Laplacian"),
}


@pytest.mark.parametrize("name", LEADS_TO)
def test_what_a_link_leads_to_is_shown_beside_it(windows, name):
    """Given a page from its file, pointer and key show a statement in its window; Esc hides it."""
    reader = windows("desktop", "dark")
    page = reader.open(address_of(f"{name}.html"))
    address, words = LEADS_TO[name]
    link = page.locator(f'article a[href="{address}"]:not(.headerlink):visible').last
    card = page.locator(".preview-shown")
    link.hover()
    card.wait_for()
    found = page.evaluate(PREVIEW)
    assert words in found["words"]
    assert (found["raw"], found["inside"], found["said"]) == (0, True, address)
    assert found["colours"] == ["rgb(32, 36, 42)", "rgb(226, 222, 213)"]
    card.hover()
    page.wait_for_timeout(600)  # longer than it waits before it goes
    assert card.is_visible()
    page.keyboard.press("Escape")
    card.wait_for(state="detached")
    page.mouse.move(0, 0)  # away from what lay behind it, a link perhaps
    page.wait_for_function("() => !document.querySelector('[aria-describedby=preview]')")
    page.keyboard.press("Tab")  # from here on the focus shows itself
    link.focus()
    card.wait_for()
    page.emulate_media(media="print")
    assert not card.is_visible()
    page.emulate_media(media="screen")
    page.keyboard.press("Tab")
    page.locator(f".preview-card:has-text('{words}')").wait_for(state="detached")
    assert reader.errors == []
    assert reader.outside() == []


def test_a_finger_follows_a_link(windows):
    """Given a phone, a tap on a link leads to its statement at once."""
    page = windows("phone").open(address_of("book/reference/glossary.html"))
    page.locator('article a[href="#term-group"]:not(.headerlink):visible').first.tap()
    page.wait_for_url("**/glossary.html#term-group")
    assert page.locator(".preview-card").count() == 0


def test_text_is_set_at_a_readable_measure(browser):
    """Given a chapter on a desktop, lines of text have about 68 characters."""
    with Reader(browser) as reader:
        page = reader.open(address_of("book/record/how-it-works.html"))
        lengths = page.evaluate("""() => {
          const lengths = [];
          for (const p of document.querySelectorAll('article section > p')) {
            const range = document.createRange();
            let top = null, count = 0;
            for (const walker = document.createTreeWalker(p, 4); walker.nextNode();) {
              const node = walker.currentNode;
              for (let i = 0; i < node.length; i++) {
                range.setStart(node, i);
                range.setEnd(node, i + 1);
                const box = range.getClientRects()[0];
                if (!box || !box.width) continue;
                if (top !== null && box.top > top + 12) {
                  lengths.push(count);
                  count = 0;
                }
                if (top === null || box.top > top + 12) top = box.top;
                count += 1;
              }
            }
          }
          return lengths;
        }""")
        assert len(lengths) > 5
        assert 60 <= sum(lengths) / len(lengths) <= 76


def test_printed_page_has_text_and_no_side_bars(browser):
    """Given a page in print, the side bars are gone and nothing is lost at the right."""
    with Reader(browser) as reader:
        page = reader.open(address_of("book/theorems/theorem-3-1-norm.html"))
        assert page.locator(".bd-sidebar-primary:visible").count() == 1
        page.emulate_media(media="print")
        for selector in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article"):
            assert page.locator(f"{selector}:visible").count() == 0, selector
        page.set_viewport_size({"width": 720, "height": 1000})
        assert page.locator("h1:visible").count() == 1
        assert page.locator("h1:visible .section-number").inner_text().strip() == "2."
        assert page.evaluate(SIDEWAYS)["page"] == 0


def test_paper_is_light_and_shows_what_is_folded(browser):
    """Given a page in the dark, print is light and open, and the screen is as before after it."""
    state = """() => [
      document.documentElement.dataset.theme,
      document.querySelectorAll('article details:not([open])').length,
    ]"""
    with Reader(browser, mode="dark") as reader:
        page = reader.open(address_of("book/theorems/theorem-3-1-norm.html"))
        before = page.evaluate(state)
        assert before[0] == "dark"
        assert before[1] > 0
        page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(state) == ["light", 0]
        selectors = ["article p", "article pre", "article pre span", "article td", "figcaption *"]
        seen = page.evaluate(CONTRAST, selectors)
        assert {key: value for key, value in seen.items() if value[0] < AA} == {}
        page.emulate_media(media="screen", color_scheme="dark")
        page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
        assert page.evaluate(state) == before
