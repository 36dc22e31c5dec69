"""Links from names in code to the API page: where they lead, and what they leave as it is."""

import logging
import sys

import pytest
from sphinx_codeautolink.extension.block import SourceTransform
from sphinx_codeautolink.parse import parse_names

from tools.settings import BOOK

sys.path.append(str(BOOK / "_extensions"))

import code_links

CODE = """\
<span></span><span class="kn">from</span><span class="w"> </span>\
<span class="nn">reluspec_lib</span><span class="w"> </span>\
<span class="kn">import</span> <span class="n">fisher</span>

<span class="k">assert</span> <span class="n">fisher</span><span class="o">.</span>\
<span class="n">trace</span><span class="p">(</span><span class="n">W</span>\
<span class="p">)</span> <span class="o">&lt;</span> <span class="n">fisher</span>\
<span class="o">.</span><span class="n">trace</span><span class="p">(</span>\
<span class="n">V</span><span class="p">)</span>
"""
SOURCE = "from reluspec_lib import fisher\n\nassert fisher.trace(W) < fisher.trace(V)\n"
BLOCK = '<div class="highlight-python notranslate"><div class="highlight"><pre>{}</pre></div></div>'
OTHER = BLOCK.format("<span></span><span class='n'>fisher</span>")
PAGE = f"<p>fisher &amp; trace&nbsp;<br>\n{OTHER}\n{BLOCK.format(CODE)}\n<p>fisher\n"


def transform(source):
    """Return what sphinx_codeautolink asks for: each name and what it leads to."""
    names = parse_names(source, None)
    for name in names:
        name.resolved_location = name.code_str.split(".")[-1]
    return SourceTransform(source, [name for name in names if "fisher" in name.code_str], None, 1)


def linked(folder, source, page=PAGE):
    path = folder / "book" / "part" / "page.html"
    path.parent.mkdir(parents=True)
    path.write_text(page, encoding="utf-8")
    inventory = {"fisher": "api.html#fisher", "trace": "api.html#trace"}
    code_links.link_html("book/part/page", str(folder), [transform(source)], inventory, {}, [])
    return path.read_text(encoding="utf-8")


def test_names_become_links_and_the_rest_of_the_page_stays(tmp_path):
    found = linked(tmp_path, SOURCE)
    start = '<a href="../../api.html#{0}" title="{0}" class="sphinx-codeautolink-a">'
    assert found.count(start.format("fisher")) == 1
    assert found.count(start.format("trace")) == 2
    assert f'{start.format("fisher")}<span class="n">fisher</span></a>\n' in found
    dot = '<span class="o">.</span>'
    name = f'<span class="n">fisher</span>{dot}<span class="n">trace</span>'
    assert found.count(f"{start.format('trace')}{name}</a>") == 2
    for link in ("fisher", "trace"):
        found = found.replace(start.format(link), "")
    assert found.replace("</a>", "") == PAGE


def test_code_that_is_not_on_the_page_is_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        logging.getLogger("sphinx").propagate = True
        assert linked(tmp_path, "fisher.trace(1)") == PAGE
    assert "no block of code is" in caplog.text


@pytest.mark.parametrize(
    "name, shown",
    [
        ("_weights.sample_weights", "network.sample_weights"),
        ("_weights.StreamedWeights.columns", "network.StreamedWeights.columns"),
        ("fisher", "spectrum.fisher"),
        ("simulate.TABLE_1", "width.simulate.TABLE_1"),
    ],
)
def test_the_way_to_what_is_defined_elsewhere(name, shown):
    names = code_links.moved_names(code_links.public_modules())
    assert names[f"reluspec_lib.{name}"] == f"reluspec_lib.{shown}"
    assert not any("._" in target for target in names.values())
