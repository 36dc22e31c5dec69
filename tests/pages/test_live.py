"""The live figures of the built book: what a page computes is what the library computes."""

import math

import numpy as np
import pytest
from pages.conftest import HTML

from helpers import rng
from reluspec_lib import forward, groups, guarantees, harmonics, risk

PAGE = "book/reference/try-it.html"
GROUPS = {group.name: group for group in groups.ALL}
SETTINGS = 5
ACCURACY = 1e-9

# Sets the controls of a figure, each to a place between its ends, and returns what it computed.
SET = """([name, places]) => {
  const figure = document.querySelector(`figure[data-live='${name}']`);
  [...figure.querySelectorAll('[name]')].forEach((control, i) => {
    if (control.tagName === 'SELECT') {
      control.selectedIndex = Math.floor(places[i] * control.options.length);
    } else {
      control.value = +control.min + places[i] * (control.max - control.min);
    }
  });
  figure.dispatchEvent(new Event('input'));
  return figure.live;
}"""


def check_network(given, found):
    group, m = GROUPS[given["group"]], given["m"]
    W, x = np.array(found["weights"]).T, np.array(found["inputs"])
    assert W.shape == (given["d"], m)
    # Drawn as the library draws: entries of variance 1/m.
    assert abs(math.sqrt(m) * W.mean()) < 5 / math.sqrt(W.size)
    assert abs(m * (W**2).mean() - 1) < 5 * math.sqrt(2 / W.size)
    spread = np.sqrt(group.variance(x, [0])[:, 0] / m)
    yield found["output"], forward(x, W, group.eigenvectors(W, [0]))[:, 0]
    yield found["limit"], group.limit(x, [0])[:, 0]
    yield found["band"], 2 * spread
    yield found["expected"], math.sqrt(2 / math.pi) * spread.mean()
    yield found["observed"], np.abs(np.subtract(found["output"], found["limit"])).mean()


def check_spectrum(given, found):
    d, degrees = given["d"], [0, 1, 2, 4, 6, 8]
    values = np.array([harmonics.eigenvalue(d, k) for k in degrees])
    counts = np.array([harmonics.dimension(d, k) for k in degrees])
    ratio = counts[:3, None] / given["m"]
    edges = 1 + [-2, 2] * np.sqrt(ratio * (1 + 2 / d)) + ratio * (1 + 4 / d)
    yield found["values"], values
    yield found["counts"], counts
    yield found["shares"], 2 / d * counts * values
    yield found["edges"], np.maximum(values[:3, None] * edges, 0)


def check_order(given, found):
    d, members = given["d"], (groups.NORM, groups.COORDINATE, groups.PRODUCT)
    powers = np.array([given[group.name] for group in members])
    values = np.array([harmonics.eigenvalue(d, k) for k in range(3)])
    kept = 1 - given["step"] * values
    x = np.zeros((len(found["places"]), d))
    x[:, :2] = found["places"]
    with np.errstate(all="ignore"):  # too large a step
        curves = powers[:, None] * kept[:, None] ** (2 * np.array(found["steps"]))
        learned = np.sqrt(powers / values) * (1 - kept ** given["time"])
        surface = learned @ [group.limit(x, [0])[:, 0] for group in members]
    yield found["curves"], curves
    yield found["surface"], surface


def check_width(given, found):
    group, d, probability = GROUPS[given["group"]], given["d"], given["probability"] / 100
    for kind, curve, now in zip(
        ("expected", "pointwise", "uniform"), found["curves"], found["now"], strict=True
    ):
        errors = [*found["errors"], given["error"] / 100]
        widths = [guarantees.width_for(group, d, e, probability, kind) for e in errors]
        # Rounding may take a width to the next integer.
        yield np.array([*curve, now]), np.array(widths), 1


def check_risk(given, found):
    power = {0: 0.5, 1: 0.3, 2: 0.2}
    sizes = [*found["sizes"], given["n"]]
    ridge = risk.Ridge(
        given["d"], given["m"], sizes, given["alpha"], power=power, noise=given["noise"]
    )
    yield [*found["risks"], found["now"]], ridge.risk


CHECKS = {
    "network": check_network,
    "spectrum": check_spectrum,
    "order": check_order,
    "width": check_width,
    "risk": check_risk,
}


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_page_of_live_figures_needs_no_network(windows, device):
    reader = windows(device)
    page = reader.open((HTML / PAGE).as_uri())
    page.wait_for_function("[...document.querySelectorAll('figure[data-live]')].every(f => f.live)")
    drawings = page.locator(".live-drawing canvas")
    assert drawings.count() >= len(CHECKS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert reader.outside() == []
    assert reader.errors == []


@pytest.mark.parametrize("name", CHECKS)
def test_a_live_figure_computes_what_the_library_computes(windows, name):
    page = windows().open((HTML / PAGE).as_uri())
    page.wait_for_function(f"document.querySelector(`figure[data-live='{name}']`).live")
    for places in rng(len(name)).random((SETTINGS, 6)):
        live = page.evaluate(SET, [name, places.tolist()])
        for found, right, *slack in CHECKS[name](live["parameters"], live["numbers"]):
            found = np.asarray(found, float)
            np.testing.assert_allclose(found, right, ACCURACY, 1e-15 + sum(slack))


def test_a_live_figure_moves_by_the_keyboard_and_says_so(windows):
    page = windows().open((HTML / PAGE).as_uri())
    page.wait_for_function("document.querySelector(`figure[data-live='spectrum']`).live")
    before = page.inner_text("figure[data-live='spectrum'] .live-result")
    page.focus("figure[data-live='spectrum'] input[name='d']")
    page.keyboard.press("ArrowRight")
    figure = "document.querySelector(`figure[data-live='spectrum']`)"
    assert page.evaluate(f"{figure}.live.parameters.d") == 11
    assert page.inner_text("figure[data-live='spectrum'] .live-result") != before
    assert page.get_attribute("figure[data-live='spectrum'] .live-result", "aria-live") == "polite"


def test_a_new_draw_has_other_weights(windows):
    page = windows().open((HTML / PAGE).as_uri())
    figure = "document.querySelector(`figure[data-live='network']`)"
    page.wait_for_function(f"{figure}.live")
    first = page.evaluate(f"{figure}.live.numbers.weights[0]")
    page.click("figure[data-live='network'] button")
    assert page.evaluate(f"{figure}.live.numbers.weights[0]") != first
