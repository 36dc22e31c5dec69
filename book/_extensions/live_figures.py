"""Figures that a reader can move: controls and a drawing, computed in the page.

A directive ``{live} NAME`` puts one of :data:`FIGURES` on a page. Its numbers come from
``book/_live/formulas.js``, one function for each formula of the book, which a browser test compares
with the library; its drawing is Bokeh's, defined here. The scripts, Bokeh's own 1.3 MB from the
installed wheel, are loaded on pages with such a figure only, and need no network.

The sources stand outside of ``book/_static``, whose scripts jupyter-book loads on every page.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bokeh
from bokeh.embed import json_item
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, LinearColorMapper
from bokeh.plotting import figure as new_plot
from bokeh.transform import factor_cmap
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SOURCES = Path(__file__).parent.parent / "_live"
BOKEH = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
OUTSIDE = re.compile(r"""(["'`])https://(?:cdn\.jsdelivr\.net|maps\.googleapis)[^"'`]*\1""")
SCRIPTS = ("bokeh.min.js", "formulas.js", "figures.js")

# The colours of the groups in every figure of the book, which read on light and dark paper.
NORM, COORDINATE, SQUARE, PRODUCT = "#3a8fc9", "#d9691e", "#1a9e78", "#c277a4"
BLUE, ORANGE, GREY = NORM, COORDINATE, "#8a8a8a"
GROUPS = ("norm", "coordinate", "square", "product")


@dataclass(frozen=True)
class Slider:
    """A control for a number; one on a logarithmic scale holds the decimal logarithm."""

    name: str
    label: str
    low: float
    high: float
    start: float
    step: float = 1
    log: bool = False

    def html(self) -> str:
        """Return the control with its label and the number that it stands at."""
        scale = ' data-scale="log"' if self.log else ""
        return (
            f"<label>{html.escape(self.label)} "
            f'<input type="range" name="{self.name}" min="{self.low}" max="{self.high}" '
            f'step="{self.step}" value="{self.start}"{scale}><output></output></label>'
        )


@dataclass(frozen=True)
class Choice:
    """A control for one of a few words."""

    name: str
    label: str
    options: tuple[str, ...]

    def html(self) -> str:
        """Return the control with its label."""
        options = "".join(f"<option>{option}</option>" for option in self.options)
        return f'<label>{self.label} <select name="{self.name}">{options}</select></label>'


@dataclass(frozen=True)
class Figure:
    """A figure: its controls, what it shows in words, and its drawing."""

    title: str
    controls: tuple[Slider | Choice, ...]
    caption: str
    drawing: Callable[[], Any]
    draws: bool = False


def _source(name: str, *columns: str) -> ColumnDataSource:
    """Return a source that the page fills, under a name."""
    # Two numbers stand in it until then: of an empty one the axes find no range, and say so.
    return ColumnDataSource({column: [0.1, 1.0] for column in columns}, name=name)


def _plot(x: str, y: str, **options: Any) -> Any:
    """Return an empty plot with labelled axes, in which nothing traps a finger that scrolls."""
    plot = new_plot(
        x_axis_label=x,
        y_axis_label=y,
        height=300,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **options,
    )
    plot.axis.axis_label_text_font_style = "normal"
    return plot


def _legend(plot: Any, place: str = "top_right") -> Any:
    plot.legend.location = place
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_color = None
    return plot


def _beside(left: Any, right: Any) -> Any:
    """Return two plots side by side, or one below the other on a phone."""
    for plot in (left, right):
        plot.min_width = 270
    return row(left, right, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})


def _network() -> Any:
    plot = _plot("limit F(x)", "output of the network")
    points = _source("points", "x", "y", "low", "high")
    plot.segment("x", "low", "x", "high", source=points, color=GREY, alpha=0.35)
    plot.scatter("x", "y", source=points, color=BLUE, size=4)
    plot.line("x", "y", source=_source("diagonal", "x", "y"), color=ORANGE, line_dash="dashed")
    return plot


def _spectrum() -> Any:
    names = ["0", "1", "2", "4", "6", "8"]
    left = _plot("degree", "eigenvalue", x_range=names, y_axis_type="log")
    edges = _source("edges", "x", "low", "high")
    left.segment("x", "low", "x", "high", source=edges, color=GREY, line_width=14, alpha=0.4)
    group = factor_cmap("x", [NORM, COORDINATE, SQUARE, GREY, GREY, GREY], names)
    values = _source("values", "x", "value", "count")
    left.scatter("x", "value", source=values, color=group, size=9)
    right = _plot("degree", "share of the trace, %", x_range=names)
    shares = _source("shares", "x", "share")
    right.vbar(x="x", top="share", width=0.7, source=shares, color=group)
    return _beside(left, right)


def _order() -> Any:
    left = _plot("step + 1", "error left", x_axis_type="log", y_axis_type="log")
    left.y_range.start, left.y_range.end = 1e-4, 2
    curves = _source("curves", "t", "norm", "coordinate", "product")
    for name, colour in (("norm", NORM), ("coordinate", COORDINATE), ("product", PRODUCT)):
        left.line("t", name, source=curves, color=colour, line_width=2, legend_label=name)
    left.line("t", "y", source=_source("now", "t", "y"), color=GREY, line_dash="dashed")
    right = _plot("x₁", "x₂")
    mapper = LinearColorMapper(palette="Cividis256")
    surface = _source("surface", "x", "y", "value")
    height = {"field": "value", "transform": mapper}
    right.rect("x", "y", 0.16, 0.16, source=surface, fill_color=height, line_color=None)
    return _beside(_legend(left, "bottom_left"), right)


def _width() -> Any:
    plot = _plot("error, %", "width", x_axis_type="log", y_axis_type="log")
    curves = _source("curves", "error", "expected", "pointwise", "uniform")
    # Colours are those of groups; these are three promises about any of them.
    dashes = (("expected", "solid"), ("pointwise", "dashed"), ("uniform", "dotted"))
    for name, dash in dashes:
        style = {"color": GREY, "line_dash": dash, "line_width": 2, "legend_label": name}
        plot.line("error", name, source=curves, **style)
    plot.scatter("error", "width", source=_source("now", "error", "width"), color=GREY, size=9)
    return _legend(plot)


def _risk() -> Any:
    plot = _plot("samples n", "excess risk", x_axis_type="log", y_axis_type="log")
    plot.y_range.start, plot.y_range.end = 1e-3, 1e2
    plot.line("n", "risk", source=_source("curve", "n", "risk"), color=BLUE, line_width=2)
    width = _source("width", "n", "risk")
    plot.line("n", "risk", source=width, color=GREY, line_dash="dashed", legend_label="n = m")
    plot.scatter("n", "risk", source=_source("now", "n", "risk"), color=ORANGE, size=9)
    return _legend(plot)


DIMENSION = Slider("d", "dimension d", 2, 50, 10)
GROUP = Choice("group", "group", GROUPS)

FIGURES = {
    "network": Figure(
        "Draw a network",
        (DIMENSION, Slider("m", "width m", 1, 4, 3, 0.1, log=True), GROUP),
        "A network of m hidden units with the first vector of a group as its readout, at 300 "
        "inputs, against the limit. Grey: two standard deviations, by the central limit theorem.",
        _network,
        draws=True,
    ),
    "spectrum": Figure(
        "The spectrum",
        (DIMENSION, Slider("m", "width m", 2, 6, 4, 0.1, log=True)),
        "Left: the eigenvalue of each degree (degrees 3, 5, … have 0); grey: from edge to edge of "
        "the three clusters at width m, to second order. Right: the share of the trace.",
        _spectrum,
    ),
    "order": Figure(
        "The order of learning",
        (
            DIMENSION,
            Slider("step", "step size", 0.1, 3, 1, 0.1),
            Slider("time", "steps", 0, 4, 1, 0.05, log=True),
            Slider("norm", "power of the norm", 0, 1, 0.4, 0.05),
            Slider("coordinate", "of a coordinate", 0, 1, 0.3, 0.05),
            Slider("product", "of a product", 0, 1, 0.3, 0.05),
        ),
        "Gradient descent from zero at infinite width. Left: the error left in each part of the "
        "target. Right: what is learned so far, on the plane of the first two coordinates.",
        _order,
    ),
    "width": Figure(
        "How wide?",
        (
            GROUP,
            DIMENSION,
            Slider("error", "error, %", -1, 2, 0, 0.1, log=True),
            Slider("probability", "probability, %", 50, 99.5, 95, 0.5),
        ),
        "The width from which on a theorem promises the error, as a fraction of the limit's root "
        "mean square: on average, at any one input of length up to √d, at all of them at once.",
        _width,
    ),
    "risk": Figure(
        "Double descent",
        (
            DIMENSION,
            Slider("m", "features m", 1, 3.5, 2.5, 0.1, log=True),
            Slider("n", "samples n", 1, 4, 2, 0.1, log=True),
            Slider("alpha", "ridge α", -8, 0, -7, 0.1, log=True),
            Slider("noise", "noise σ", 0, 1, 0.3, 0.05),
        ),
        "Excess risk of ridge regression on all m features, in closed form. The target has half of "
        "its power in the norm, 0.3 in the coordinates and 0.2 at degree 2.",
        _risk,
    ),
}


def html_of(name: str, label: str) -> str:
    """Return a figure as HTML."""
    spec = FIGURES[name]
    # "</script>" in it would end the element.
    item = json.dumps(json_item(spec.drawing())).replace("</", "\\u003c/")
    button = '<button type="button">new draw</button>' if spec.draws else ""
    controls = "".join(control.html() for control in spec.controls)
    return (
        f'<figure class="live" id="{label}" data-live="{name}">'
        f'<p class="live-title">{spec.title}</p>'
        f'<div class="live-controls">{controls}{button}</div>'
        f'<div class="live-drawing" role="img" aria-label="{html.escape(spec.caption)}"></div>'
        '<p class="live-result" aria-live="polite"></p>'
        f"<figcaption>{html.escape(spec.caption)}</figcaption>"
        f'<script type="application/json">{item}</script>'
        "</figure>"
    )


class Live(SphinxDirective):
    """Puts a live figure on a page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the figure, or an error that names those there are."""
        name = self.arguments[0]
        if name not in FIGURES:
            raise self.error(f"no live figure {name!r}; there are {', '.join(FIGURES)}")
        found: dict[str, bool] = self.env.metadata[self.env.docname].setdefault("live", {})
        found[name] = True
        return [nodes.raw("", html_of(name, f"live-{name}"), format="html")]


def copy_scripts(app: Sphinx) -> None:
    """Put the scripts into the output, where pages that use them find them."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "live"
    target.mkdir(parents=True, exist_ok=True)
    for path in SOURCES.iterdir():
        shutil.copyfile(path, target / path.name)
    # Glyphs that the book does not have would load scripts of other hosts.
    script = BOKEH.read_text(encoding="utf-8")
    (target / BOKEH.name).write_text(OUTSIDE.sub('""', script), encoding="utf-8")


def add_scripts(app: Sphinx, page: str, template: str, context: Any, doctree: Any) -> None:
    """Load the scripts on pages with a live figure."""
    if app.env.metadata.get(page, {}).get("live"):
        for script in SCRIPTS:
            app.add_js_file(f"live/{script}", loading_method="defer")
        app.add_css_file("live/figures.css")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("live", Live)
    app.connect("builder-inited", copy_scripts)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
