"""The built book, file by file: offline, complete, linked, and true to the record.

Run after `make book`. BOOK_HTML names another built book to test.
"""

import html
import itertools
import json
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from reluspec_lib import ledger
from tools import mutants
from tools import record as book_record
from tools.settings import BOOK, ROOT
from tools.settings import HTML as BUILT

HTML = Path(os.environ.get("BOOK_HTML", BUILT))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
LISTED = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]
NOTEBOOKS = [path for name in LISTED if (path := ROOT / f"{name}.ipynb").is_file()]
STATEMENTS = yaml.safe_load((BOOK / "record" / "statements.yml").read_text(encoding="utf-8"))
RECORDS = {
    record["statement"]: (path.stem, record) for path in NOTEBOOKS for record in ledger.read(path)
}
LAYERS = {"S": "symbolic", "N": "numeric", "M": "simulation"}

# Pages that Sphinx makes itself; their form is the theme's.
GENERATED = {"genindex", "prf-prf", "py-modindex", "search"}
MEGABYTE = 2**20


def all_pages():
    """Return the pages, without the redirect at the top and the theme's files in _static."""
    pages = [path for path in HTML.rglob("*.html") if "_static" not in path.parts]
    return sorted(path for path in pages if path != HTML / "index.html")


def page_of(name):
    """Return the built page of a notebook or page, in whichever room it stands."""
    (page,) = (HTML / "book").rglob(f"{name}.html")
    return page


def link_between(name, other, anchor):
    """Return how a page links to an anchor of another one."""
    return f"{os.path.relpath(page_of(other), page_of(name).parent)}#{anchor}"


def written_pages():
    """Return the pages that come from a source in book/."""
    return [path for path in all_pages() if path.stem not in GENERATED]


@cache
def soup_of(path):
    """Return a parsed page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def name_of(path):
    """Return a page's name for test ids."""
    return str(path.relative_to(HTML).with_suffix(""))


def article_of(path):
    """Return the part of a page that its author wrote."""
    article = soup_of(path).select_one("article.bd-article")
    assert article is not None, f"{name_of(path)} has no article"
    return article


@pytest.fixture(scope="module", autouse=True)
def _built():
    if not (HTML / "book" / "index.html").is_file():
        pytest.fail(
            f"the book is not built: no {HTML / 'book' / 'index.html'}; run make book first"
        )


every_page = pytest.mark.parametrize("page", all_pages(), ids=name_of)
every_written_page = pytest.mark.parametrize("page", written_pages(), ids=name_of)


def test_every_page_of_the_table_of_contents_is_built_and_no_other():
    """Given _toc.yml, the built pages are those it lists and Sphinx's own."""
    assert {name_of(path) for path in written_pages()} == set(LISTED)


# --- offline --------------------------------------------------------------------------------

# What makes a browser load something, in tags and attributes.
LOADING = {
    "script": ["src"],
    "link": ["href"],
    "img": ["src", "srcset"],
    "source": ["src", "srcset"],
    "video": ["src", "poster"],
    "audio": ["src"],
    "iframe": ["src"],
    "embed": ["src"],
    "object": ["data"],
    "image": ["href", "xlink:href"],
    "use": ["href", "xlink:href"],
    "form": ["action"],
}
# Links that name a page and load nothing.
NAMING = {"search", "next", "prev", "index", "canonical", "author", "copyright", "license"}
ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


def outside_loads(page):
    """Return what a page would load from another host."""
    found = []
    for tag, attributes in LOADING.items():
        for element in soup_of(page).find_all(tag):
            if tag == "link" and set(element.get("rel", [])) <= NAMING:
                continue
            for attribute in attributes:
                for part in (element.get(attribute) or "").split(","):
                    if ELSEWHERE.match(part):
                        found.append(f"<{tag} {attribute}={part}>")
    styles = [style.get_text() for style in soup_of(page).find_all("style")]
    styles += [element["style"] for element in soup_of(page).find_all(style=True)]
    found += outside_styles("\n".join(styles))
    scripts = [s.get_text() for s in soup_of(page).find_all("script") if not s.get("src")]
    return found + outside_scripts("\n".join(scripts))


def outside_styles(text):
    """Return what style rules would load from another host."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    loaded = re.findall(r"url\(\s*['\"]?([^'\")]*)", text)
    loaded += re.findall(r"@import\s+['\"]([^'\"]*)", text)
    return [f"url({address})" for address in loaded if ELSEWHERE.match(address)]


def outside_scripts(text):
    """Return what a script would plainly load from another host."""
    calls = r"(?:fetch|import|importScripts|open|Worker|EventSource|WebSocket|sendBeacon)"
    pattern = rf"\b{calls}\s*\(\s*(?:['\"`](?:GET|POST)['\"`]\s*,\s*)?['\"`]([^'\"`]*)"
    pattern += r"|\bimport\b[^;'\"(]*?\bfrom\s*['\"]([^'\"]*)|\.src\s*=\s*['\"`]([^'\"`]*)"
    addresses = [part for match in re.findall(pattern, text) for part in match if part]
    return [f"script loads {address}" for address in addresses if ELSEWHERE.match(address)]


@every_page
def test_page_loads_nothing_from_another_host(page):
    """Given a built page, nothing it loads is elsewhere; links to click on may be."""
    assert outside_loads(page) == []


def test_styles_and_scripts_load_nothing_from_another_host():
    """Given the copied styles and scripts, none of them loads something from elsewhere."""
    found = []
    for path in sorted((HTML / "_static").rglob("*.css")):
        found += [f"{path.name}: {load}" for load in outside_styles(path.read_text("utf-8"))]
    for path in sorted((HTML / "_static").rglob("*.js")):
        found += [f"{path.name}: {load}" for load in outside_scripts(path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        'fetch("https://example.org/x")',
        "import('//example.org/x.js')",
        'import x from "https://example.org/x.js"',
        's.src = "http://example.org/x.js"',
        'r.open("GET", "https://example.org")',
    ],
)
def test_the_search_for_outside_loads_finds_them_in_scripts(text):
    """Given a script that loads from elsewhere, the search above reports it."""
    assert outside_scripts(text)


@pytest.mark.parametrize(
    "text", ["a{background:url(https://example.org/x.png)}", "@import '//example.org/x.css';"]
)
def test_the_search_for_outside_loads_finds_them_in_styles(text):
    """Given a style sheet that loads from elsewhere, the search above reports it."""
    assert outside_styles(text)


def test_mathjax_is_local_and_complete():
    """Given the pages, their MathJax is the copied one, with fonts."""
    for page in written_pages():
        sources = [script.get("src", "") for script in soup_of(page).find_all("script")]
        mathjax = [source for source in sources if "mathjax" in source.lower()]
        if article_of(page).select("span.math, div.math"):
            assert mathjax, f"{name_of(page)} has formulas and no MathJax"
        for source in mathjax:
            assert (page.parent / urlsplit(source).path).resolve().is_file()
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    for part in config["sphinx"]["config"]["mathjax3_config"]["loader"]["load"]:
        assert (HTML / "_static" / "mathjax" / f"{part}.js").is_file()
    fonts = HTML / "_static" / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2"
    assert len(list(fonts.glob("*.woff"))) > 20


# --- markup ---------------------------------------------------------------------------------

LEFT_OVER = [":::", "{prf:", "{cite", "{verified}", "{ref}", "{doc}", "{eq}", "{numref}", "$$"]
LEFT_OVER += ["\\begin{", "<Figure size", "```"]


@every_written_page
def test_page_has_no_left_over_markup(page):
    """Given a page, its text outside code and formulas has no markup that was not understood."""
    article = BeautifulSoup(str(article_of(page)), "html.parser")
    for element in article.select("pre, code, script, style, .math, .text_latex"):
        element.decompose()
    text = article.get_text()
    found = [mark for mark in LEFT_OVER if mark in text]
    # Formulas that were not parsed keep their dollars.
    found += re.findall(r"\$[^$\n]{1,80}\$", text)
    assert found == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_uses_no_macro_of_the_book(notebook):
    """Given a notebook, its formulas are complete: Jupyter and GitHub do not know our macros."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    macros = config["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    assert re.findall(rf"\\(?:{'|'.join(macros)})(?![a-zA-Z])", text) == []


@every_written_page
def test_page_has_no_unknown_directive_shown_as_code(page):
    """Given a page, no fence that should be a directive became a block of raw text."""
    blocks = [pre.get_text() for pre in article_of(page).select("pre")]
    assert [block for block in blocks if re.match(r"\s*(:::|\{[a-z:-]+\})", block)] == []


@every_written_page
def test_page_has_one_heading_and_a_title(page):
    """Given a page, it has one h1 that a reader sees, and a title that repeats it."""
    headings = [h.get_text() for h in article_of(page).find_all("h1")]
    assert len(headings) == 1, headings
    title = soup_of(page).title.get_text()
    words = re.sub(r"^[\d.\s]+|#$", "", headings[0]).strip()
    assert words in title
    assert soup_of(page).html["lang"]


@every_written_page
def test_headings_do_not_skip_a_level(page):
    """Given a page, its headings form an outline."""
    levels = [int(h.name[1]) for h in article_of(page).find_all(re.compile(r"^h[1-6]$"))]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every_page
def test_every_image_has_an_alternative_text(page):
    """Given a page, each image says in words what it shows."""
    images = soup_of(page).find_all("img")
    missing = [image.get("src", "")[:80] for image in images if not image.get("alt", "").strip()]
    # The logo is named by the title beside it.
    assert [source for source in missing if "logo" not in source] == []
    for image in article_of(page).find_all("img") if page.stem not in GENERATED else []:
        assert len(image["alt"]) > 15
        # A ratio may stand there, the name of a file may not.
        assert not re.search(r"\.(png|svg)\b|_images", image["alt"])


@every_written_page
def test_ids_are_used_once(page):
    """Given a page, a link to an anchor has one place to go."""
    ids = [element["id"] for element in soup_of(page).find_all(id=True)]
    assert sorted({i for i in ids if ids.count(i) > 1}) == []


# --- links ----------------------------------------------------------------------------------


@cache
def anchors_of(path):
    """Return the anchors of a page."""
    soup = soup_of(path)
    names = {element["id"] for element in soup.find_all(id=True)}
    return names | {element["name"] for element in soup.find_all("a", attrs={"name": True})}


@every_page
def test_internal_links_and_anchors_resolve(page):
    """Given a page, every link within the book leads to a file, and to an anchor that it has."""
    broken = []
    for link in soup_of(page).find_all(["a", "link", "script", "img"]):
        address = link.get("href") or link.get("src") or ""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not address or address == "#":
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            broken.append(f"{address}: no such file")
        elif target.suffix == ".html" and parts.fragment:
            known = unquote(parts.fragment) in anchors_of(target)
            broken += [] if known else [f"{address}: no such anchor"]
    assert broken == []


@every_written_page
def test_references_are_resolved(page):
    """Given a page, references show numbers and titles, not the labels of the source."""
    article = article_of(page)
    assert [e.get_text() for e in article.select(".xref.myst, span.pending_xref")] == []
    labels = {item["id"] for item in STATEMENTS}
    shown = [link.get_text().strip() for link in article.select("a.reference.internal")]
    assert [text for text in shown if text in labels or not text] == []
    assert [t for t in shown if re.fullmatch(r"(Theorem|Fig\.|Exercise|\(\)|Table)?\s*", t)] == []


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_what_links_lead_to_is_carried_by_the_page(page):
    """Given links to statements and equations of other pages, the page has each for its preview."""
    carried = {t["data-target"]: text_of(t) for t in soup_of(page).select("template.preview")}
    wanted = set()
    for link in article_of(page).select("a[href*='.html#']") if page in written_pages() else []:
        path, _, name = link["href"].partition("#")
        target = (page.parent / path).resolve()
        place = None if ":" in path else article_of(target).find("div", id=unquote(name))
        if place is None or not {"math", "proof"} & set(place["class"]) or target == page:
            continue
        wanted.add(link["href"])
        words = text_of(place).removesuffix("#").split("#")
        assert all(part.strip() in carried[link["href"]] for part in words)
    assert wanted == {target for target in carried if "#term-" not in target}


def test_root_leads_to_the_landing_page():
    """Given index.html at the top, it sends the reader to the book."""
    text = (HTML / "index.html").read_text(encoding="utf-8")
    assert "book/index.html" in text
    assert not ELSEWHERE.search(text.split("url=")[-1])


# --- the record -----------------------------------------------------------------------------


def shown_number(value):
    """Return the text that a page shows for a ledger's value."""
    if value is None:
        return "none"
    if isinstance(value, int | float):
        return f"{100 * value:.2g} %"
    fitted = re.search(r"(-?[\d.]+) ± ([\d.]+)", value)
    if fitted:
        return f"{fitted[1]} ± {fitted[2]}".replace("-", "−")
    text = re.sub(r"\b1e([+-]?\d+)", lambda match: f"10{int(match[1])}", value)
    text = re.sub(r"([\d.]+)e([+-]?\d+)", lambda m: f"{m[1]} × 10{int(m[2])}", text)
    return text.replace("-", "−")


def text_of(element):
    """Return an element's text on one line."""
    return re.sub(r"\s+", " ", element.get_text()).strip()


def to_verify():
    """Return the statements that the verification page has to list."""
    return [item for item in STATEMENTS if item.get("verify")]


def test_verification_page_lists_every_statement_once_and_in_order():
    """Given statements.yml, the page has one row for each statement to verify."""
    table = article_of(page_of("verification")).select_one("table.verification-table")
    rows = table.select("tbody tr")
    assert [row["id"] for row in rows] == [f"verified-{item['id']}" for item in to_verify()]


@pytest.mark.parametrize("item", to_verify(), ids=lambda item: item["id"])
def test_verification_page_agrees_with_the_ledgers(item):
    """Given the ledgers stored in the notebooks, the page shows their status and numbers."""
    row = article_of(page_of("verification")).find(id=f"verified-{item['id']}")
    cells = row.find_all("td")
    if item["id"] not in RECORDS:
        assert [text_of(cell) for cell in cells[1:]] == ["no chapter yet"]
        return
    chapter, record = RECORDS[item["id"]]
    certified = sum(check["certified"] for check in record["checks"])
    status = [record["status"][layer] for layer in LAYERS]
    status[1] += f" {certified} certified" if certified else ""
    assert [text_of(cell) for cell in cells[1:4]] == status
    expected = [shown_number(record[key]) for key in ("worst_error", "sensitivity", "rate")]
    assert [text_of(cell) for cell in cells[4:]] == expected
    links = [link["href"] for link in cells[0].select("a.reference")]
    anchor = place_of(item["id"], article_of(page_of(chapter)))["id"]
    assert link_between("verification", chapter, anchor) in links


def test_verification_page_says_what_each_statement_rests_on():
    """Given statements.yml, each row of the page names what is assumed and links what is used."""
    article = article_of(page_of("verification"))
    for item in to_verify():
        ground = article.find(id=f"verified-{item['id']}").select_one(".item-ground")
        assert text_of(ground).startswith("Assumes ")
        assert len(ground.select("a.reference")) >= len(item["uses"])


def test_verification_page_lists_what_is_not_verified():
    """Given statements.yml, what it says is open, cited or not treated stands on the page."""
    table = article_of(page_of("verification")).select_one("table.open-table")
    shown = {row["id"]: text_of(row.find_all("td")[1]) for row in table.select("tbody tr")}
    assert shown == {f"open-{i['id']}": i["state"] for i in STATEMENTS if i.get("state")}
    assert shown


def test_verification_page_shows_all_simulated_checks_together():
    """Given the ledgers, the figure has their number, and words for who does not see it."""
    article = article_of(page_of("verification"))
    figure = article.select_one("figure.record-figure")
    found = [row for path in NOTEBOOKS for row in book_record.rows([path])]
    pooled = book_record.pool(book_record.simulated(found))
    caption = text_of(figure.find("figcaption"))
    assert caption.startswith(f"{len(pooled.z)} simulated checks")
    assert f"Root mean square {pooled.rms:.2f}, p = {pooled.p:.2g}." in caption
    assert "root mean square" in figure.find("svg")["aria-label"]
    assert len(figure.select("rect.bar")) > 5


def test_map_has_a_box_for_each_statement_and_an_arrow_for_each_use():
    """Given statements.yml, the map shows what it says, and each box leads to its statement."""
    article = article_of(page_of("map"))
    uses = {i["id"]: i.get("uses", []) for i in STATEMENTS if i.get("verify")}
    assert len(article.select("path.map-arrow")) == sum(
        other in uses for others in uses.values() for other in others
    )
    leads = [a["href"] for a in article.select("svg.statement-map a")]
    for statement in uses:
        ids = {f"#{statement}", f"#equation-{statement}", f"#verified-{statement}"}
        assert statement not in RECORDS or any(
            ids & {f"#{a.partition('#')[2]}"} or a.endswith(f"{RECORDS[statement][0]}.html")
            for a in leads
        ), statement
    assert len(leads) == len(uses)


def test_verification_page_shows_the_mutation_scores():
    """Given the stored scores, the page has a row for each module of the library."""
    stored = book_record.scores(BOOK / "record" / "mutants.json")
    table = article_of(page_of("verification")).select_one("table.mutation-table")
    rows = [[text_of(cell) for cell in row.find_all("td")] for row in table.select("tbody tr")]
    assert [row[0] for row in rows] == mutants.modules()
    for module, *row in rows:
        if score := stored["modules"].get(module):
            assert row[:3] == [str(score[key]) for key in ("mutants", "killed", "equivalent")]
        else:
            assert row == ["", "", "", "not measured yet"]


# --- equations ------------------------------------------------------------------------------

LABELS = book_record.labels()
COVERED = book_record.covered(list(book_record.rows()))
EXPLAINED = book_record.load_equations()


@pytest.mark.parametrize("label", LABELS)
def test_the_number_of_an_equation_says_what_covers_it(label):
    """Given a labelled equation, its number leads to a row that covers it, or says why not."""
    page = page_of(LABELS[label])
    place = article_of(page).find(id=f"equation-{label}")
    assert place is not None, f"no equation {label} on {page.name}"
    number = place.select_one(".eqno")
    link = number.select_one("a.equation-checked")
    states = [text_of(state) for state in number.select(".equation-state")]
    assert states == ([EXPLAINED[label]["state"]] if label in EXPLAINED else [])
    if label not in COVERED:
        assert link is None
        assert label in EXPLAINED
        return
    target, anchor = urlsplit(link["href"]).path, urlsplit(link["href"]).fragment
    rows = {row.anchor: row for row in COVERED[label]}
    assert anchor in rows
    assert (page.parent / target if target else page).stem == rows[anchor].chapter
    assert re.fullmatch(r"\(\d+(\.\d+)*\)", link.get_text())
    assert re.match(r"checked: \d+ (certified|symbolic|numeric|simulated|rate)", link["title"])
    row = article_of(page_of(rows[anchor].chapter)).find("tr", id=anchor)
    assert rows[anchor].check["name"] in row.get_text()


def place_of(statement, article):
    """Return what carries the label of a statement; that of an equation has a word before it."""
    return article.find(id=f"equation-{statement}") or article.find(id=statement)


@pytest.mark.parametrize("statement", RECORDS)
def test_badge_stands_under_its_statement_and_agrees_with_the_ledger(statement):
    """Given a verified statement, its badge follows it in its chapter and tells the same."""
    chapter, record = RECORDS[statement]
    place = place_of(statement, article_of(page_of(chapter)))
    badge = place.find_next(class_="verified")
    assert badge is not None, f"no badge after {statement}"
    layers = [text_of(layer) for layer in badge.select(".layer")]
    wanted = [f"{key} {word} {record['status'][key]}" for key, word in LAYERS.items()]
    assert layers == wanted
    assert badge["role"] == "group"
    assert badge["aria-label"].startswith("Verification of")
    links = {text_of(link): link["href"] for link in badge.select(".verified-values a")}
    wanted = {"full record": f"verified-{statement}"}
    if record.get("sensitivity") is not None:
        wanted["sensitivity"] = "sensitivity"
    assert links == {word: link_between(chapter, "verification", to) for word, to in wanted.items()}
    between = place.find_all_next(class_=["theorem", "lemma", "verified"])
    assert between[0] is badge, f"another statement stands between {statement} and its badge"


@pytest.mark.parametrize("statement", RECORDS)
def test_neighbours_are_drawn_under_a_statement(statement):
    """Given statements.yml, each box of the drawing leads to what is used, or to what uses it."""
    page = page_of(RECORDS[statement][0])
    badge = place_of(statement, article_of(page)).find_next(class_="verified")
    uses = {i["id"]: i.get("uses", []) for i in STATEMENTS if i.get("verify")}
    used = [other for other in uses if statement in uses[other]]
    wanted = [other for other in uses[statement] if other in uses] + used
    drawing = badge.select_one("svg.statement-map")
    assert (drawing is None) == (not wanted)
    boxes = drawing.select("a") if drawing else []
    assert len(boxes) == len(wanted)
    for other, box in zip(wanted, boxes, strict=True):
        chapter = page_of(RECORDS[other][0])
        path, _, name = box["href"].partition("#")
        assert ((page.parent / path).resolve() if path else page) == chapter
        assert name in {"", place_of(other, article_of(chapter))["id"]}
        assert re.search(r": (partly )?verified", box["aria-label"])
    tips = {tip["id"] for tip in drawing.select("marker")} if drawing else set()
    assert tips == ({f"tip-{statement}"} if wanted else set())


def test_landing_page_shows_the_status_of_the_main_results():
    """Given the landing page, its table names each main result and what is verified of it."""
    table = article_of(HTML / "book" / "index.html").select_one("table.status-table")
    rows = table.select("tbody tr")
    main = [item for item in STATEMENTS if item.get("summary")]
    assert len(rows) == len(main)
    for row, item in zip(rows, main, strict=True):
        status = RECORDS.get(item["id"], (None, {"status": {}}))[1]["status"]
        expected = [f"{k} {word} {status.get(k, 'not yet')}" for k, word in LAYERS.items()]
        assert [text_of(layer) for layer in row.select(".layer")] == expected


def test_crosswalk_lists_every_item_of_the_paper():
    """Given statements.yml, the crosswalk has a row for each item, with its address and state."""
    rows = article_of(page_of("crosswalk")).select("table tbody tr")
    assert sorted(row["id"] for row in rows) == sorted(f"paper-{i['id']}" for i in STATEMENTS)
    for row in rows:
        address = row.find_all("td")[1]
        state = text_of(address.select_one(".state"))
        assert address.find("a") or state in book_record.STATES
        pages = [link["href"].partition("#")[0] for link in address.find_all("a")]
        assert len(pages) == len(set(pages)), "a page is named twice"
        item = next(i for i in STATEMENTS if row["id"] == f"paper-{i['id']}")
        assert state == item.get("state", state)
        complete = RECORDS.get(item["id"], (None, {"status": {"S": ""}}))[1]["status"].values()
        assert not item.get("verify") or (state == "verified") == (set(complete) == {"passed"})
    treated = {row["id"].removeprefix("paper-") for row in rows if row.select_one("td a")}
    assert treated >= RECORDS.keys()


def test_every_ledger_table_of_a_notebook_is_on_its_page():
    """Given the notebooks, each ledger they show is a table in the built page."""
    for path in NOTEBOOKS:
        tables = article_of(page_of(path.stem)).select("table.reluspec-ledger")
        assert len(tables) == len(ledger.read(path)), path.name


# --- what a reader can take along -----------------------------------------------------------


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_can_be_downloaded(notebook):
    """Given a chapter, its page links to the notebook, and the copy is the notebook."""
    page = page_of(notebook.stem)
    links = [a["href"] for a in soup_of(page).select("a[href$='.ipynb']")]
    assert links, "no download link"
    copy = (page.parent / unquote(links[0])).resolve()
    assert json.loads(copy.read_text("utf-8")) == json.loads(notebook.read_text("utf-8"))


def test_every_output_of_a_notebook_is_on_its_page():
    """Given the notebooks, their printed lines and their figures are all in the built pages."""
    for path in NOTEBOOKS:
        article = article_of(page_of(path.stem))
        text, pictures = article.get_text(), len(article.select("img"))
        cells = json.loads(path.read_text("utf-8"))["cells"]
        for output in (output for cell in cells for output in cell.get("outputs", [])):
            for line in "".join(output.get("text", [])).splitlines():
                # Spaces at the end of a line do not reach the page.
                assert line.rstrip() in text, f"{path.name}: {line}"
            pictures -= "image/png" in output.get("data", {})
        assert pictures == 0, f"{path.name}: pictures missing or added: {pictures}"


def test_search_index_holds_the_chapters():
    """Given the search index, it is there and knows the book's words and pages."""
    text = (HTML / "searchindex.js").read_text(encoding="utf-8")
    assert text.startswith("Search.setIndex(")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {name_of(page) for page in written_pages()} == set(index["docnames"])
    assert {"norm", "eigenvector", "fisher"} <= set(index["terms"]) | set(index["titleterms"])


def test_sizes_stay_readable():
    """Given the built book, no page is above 1.5 MB with its figures, nor all pages above 30 MB."""
    for page in written_pages():
        images = {page.parent / unquote(i["src"]) for i in article_of(page).select("img[src]")}
        size = page.stat().st_size + sum(image.stat().st_size for image in images)
        assert size < 1.5 * MEGABYTE, f"{name_of(page)}: {size / MEGABYTE:.2f} MB"
    # Notebooks, their archive and the book as one file are for those who want them.
    later = {".ipynb", ".zip", ".pdf"}
    files = [path for path in HTML.rglob("*") if path.is_file() and path.suffix not in later]
    assert sum(path.stat().st_size for path in files) < 30 * MEGABYTE


def test_pages_name_no_path_of_the_machine_that_built_them():
    """Given the built text files, none holds the path of this folder or of a home."""
    marks = [str(ROOT), str(Path.home()), os.environ.get("USER") or str(ROOT)]
    marks = [mark for mark in marks if len(mark) > 5]
    for path in [*HTML.rglob("*.html"), HTML / "searchindex.js"]:
        text = html.unescape(path.read_text(encoding="utf-8"))
        assert [mark for mark in marks if mark in text] == [], path.name
