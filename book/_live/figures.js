// The live figures of the book: reads a figure's controls, computes by formulas.js, and hands the
// numbers to the drawing, which live_figures.py made with Bokeh. Works from file:// and offline.
(function () {
  "use strict";
  const book = globalThis.reluspec;
  const POINTS = 300; // inputs of a drawn network
  const GRID = 40; // points along each side of the surface
  const SAMPLES = 40; // points of the risk curve

  /** Standard Gaussian numbers that a seed decides: mulberry32, then Box and Muller. */
  function gaussian(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
    };
    return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  const columns = (count, d, draw, scale = 1) =>
    Array.from({ length: count }, () => Array.from({ length: d }, () => scale * draw()));

  /** A number with three digits, as it is printed. */
  const short = (value) => {
    if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5)) {
      return String(Number(value.toPrecision(3)));
    }
    const [digits, power] = value.toExponential(2).split("e");
    const raised = [...power.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
    return `${Number(digits)}·10${raised.join("")}`;
  };

  // Each takes the parameters and returns { sources, text, numbers }: what the drawing shows, what
  // stands below it, and what a test may compare.
  const figures = {
    network({ d, m, group, seed }) {
      const draw = gaussian(seed);
      const weights = columns(m, d, draw, 1 / Math.sqrt(m));
      const inputs = columns(POINTS, d, draw);
      const form = book.form(group, d);
      const v = weights.map((w) => book.entry(form, w));
      const output = book.forward(inputs, weights, v);
      const limit = inputs.map((x) => book.limit(form, d, x));
      const band = inputs.map((x) => 2 * Math.sqrt(book.variance(form, d, x) / m));
      const observed = output.reduce((sum, f, i) => sum + Math.abs(f - limit[i]), 0) / POINTS;
      const expected = book.expectedMae(form, d, m, inputs);
      const inside = output.filter((f, i) => Math.abs(f - limit[i]) <= band[i]).length;
      const ends = [Math.min(...limit), Math.max(...limit)];
      return {
        sources: {
          points: { x: limit, y: output, low: limit.map((F, i) => F - band[i]),
            high: limit.map((F, i) => F + band[i]) },
          diagonal: { x: ends, y: ends },
        },
        text: `Mean absolute error ${short(observed)}; expected at this width ${short(expected)}. ` +
          `${inside} of ${POINTS} outputs lie within two standard deviations of their limit.`,
        numbers: { weights, inputs, output, limit, band, observed, expected },
      };
    },

    spectrum({ d, m }) {
      const degrees = [0, 1, 2, 4, 6, 8];
      const values = degrees.map((k) => book.eigenvalue(d, k));
      const shares = degrees.map((k) => book.share(d, k));
      const counts = degrees.map((k) => book.dimension(d, k));
      const edges = [0, 1, 2].map((k) => book.clusterEdges(d, k, m).map((edge) => Math.max(edge, 0)));
      const rest = 1 - shares[0] - shares[1] - shares[2];
      const names = degrees.map(String);
      return {
        sources: {
          values: { x: names, value: values, count: counts },
          edges: { x: names.slice(0, 3), low: edges.map((e) => Math.max(e[0], 1e-9)),
            high: edges.map((e) => e[1]) },
          shares: { x: names, share: shares.map((s) => 100 * s) },
        },
        text: `Eigenvalues ${degrees.slice(0, 3).map((k, i) =>
          `${short(values[i])} (${counts[i] > 1 ? `${counts[i]} times` : "once"})`).join(", ")}. ` +
          `The norm is learned ${short(4 * values[0])} times as fast as the coordinates. ` +
          `Beyond the three groups lies ${short(100 * rest)} % of the trace.`,
        numbers: { values, shares, counts, edges },
      };
    },

    order({ d, step, time, norm, coordinate, product }) {
      const powers = [norm, coordinate, product];
      const values = [0, 1, 2].map((k) => book.eigenvalue(d, k));
      const steps = Array.from({ length: 81 }, (_, i) => Math.round(10 ** (i / 20)) - 1);
      const curves = powers.map((p, k) => steps.map((t) => book.descent(p, values[k], step, t)));
      const forms = ["norm", "coordinate", "product"].map((name) => book.form(name, d));
      // What is learned of a part whose mean square is its power.
      const learned = powers.map((p, k) =>
        Math.sqrt(p / values[k]) * (1 - (1 - step * values[k]) ** time));
      const side = Array.from({ length: GRID }, (_, i) => (6 * (i + 0.5)) / GRID - 3);
      const places = side.flatMap((second) => side.map((first) => [first, second]));
      const surface = places.map((place) => {
        const x = Array.from({ length: d }, (_, l) => place[l] || 0);
        return forms.reduce((sum, form, k) => sum + learned[k] * book.limit(form, d, x), 0);
      });
      const left = powers.map((p, k) => book.descent(p, values[k], step, time));
      const stable = step < 2 / values[0];
      return {
        sources: {
          curves: { t: steps.map((t) => t + 1), norm: curves[0], coordinate: curves[1],
            product: curves[2] },
          now: { t: [time + 1, time + 1], y: [1e-8, 2] },
          surface: { x: places.map((p) => p[0]), y: places.map((p) => p[1]), value: surface },
        },
        text: stable
          ? `After ${time} steps the error left is ${left.map(short).join(", ")}: norm, ` +
            "coordinate, product."
          : `The step is too large: it has to stay below ${short(2 / values[0])}.`,
        numbers: { steps, curves, surface, places, left },
      };
    },

    width({ group, d, error, probability }) {
      const kinds = ["expected", "pointwise", "uniform"];
      const errors = Array.from({ length: 31 }, (_, i) => 10 ** (-3 + i / 15));
      const curves = kinds.map((kind) =>
        errors.map((e) => book.widthFor(group, d, e, probability / 100, kind)));
      const now = kinds.map((kind) => book.widthFor(group, d, error / 100, probability / 100, kind));
      return {
        sources: {
          curves: { error: errors.map((e) => 100 * e), expected: curves[0], pointwise: curves[1],
            uniform: curves[2] },
          now: { error: [error, error, error], width: now },
        },
        text: `For ${error} %: on average ${short(now[0])} units; at any one input, with ` +
          `${probability} %, ${short(now[1])}; at all inputs at once ${short(now[2])}. ` +
          "Theorems promise this; in practice fewer do.",
        numbers: { errors, curves, now },
      };
    },

    risk({ d, m, n, alpha, noise }) {
      const powers = { 0: 0.5, 1: 0.3, 2: 0.2 };
      const [levels, lengths] = [book.spectrum(d), book.law(d)];
      const sizes = Array.from({ length: SAMPLES }, (_, i) =>
        Math.round(10 ** (1 + (3 * i) / (SAMPLES - 1))));
      const at = (count) => book.ridgeRisk(levels, lengths, d, m, count, alpha, powers, noise);
      const risks = sizes.map(at);
      const now = at(n);
      return {
        sources: {
          curve: { n: sizes, risk: risks },
          now: { n: [n], risk: [now] },
          width: { n: [m, m], risk: [1e-4, 1e2] },
        },
        text: `With ${n} samples and ${m} features the excess risk is ${short(now)}; ` +
          `the zero function has 1.`,
        numbers: { sizes, risks, now },
      };
    },
  };

  /** The parameters as a figure's controls stand. */
  function parameters(figure) {
    const found = { seed: Number(figure.dataset.seed || 1) };
    for (const control of figure.querySelectorAll("[name]")) {
      let value = control.value;
      if (control.tagName === "INPUT") {
        value = Number(value);
        // A slider of a size holds its logarithm; what is shown is what is used.
        if (control.dataset.scale === "log") value = Number((10 ** value).toPrecision(2));
        control.parentElement.querySelector("output").textContent = short(value);
        control.setAttribute("aria-valuetext", short(value));
      }
      found[control.name] = value;
    }
    return found;
  }

  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** Put the page's colours on a drawing; they change with its mode. */
  function paint(model) {
    const [ink, muted, rule] = ["--ink", "--muted", "--rule"].map(colour);
    for (const plot of model.references()) {
      if ("axis_label_text_color" in plot.attributes) {
        plot.setv({ axis_label_text_color: ink, major_label_text_color: ink, axis_line_color: muted,
          major_tick_line_color: muted, minor_tick_line_color: null });
      }
      if ("label_text_color" in plot.attributes) plot.setv({ label_text_color: ink });
      if ("grid_line_color" in plot.attributes) plot.setv({ grid_line_color: rule });
      if (plot.type === "Title") plot.setv({ text_color: ink });
    }
  }

  async function start(figure) {
    const item = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    item.target_id = figure.querySelector(".live-drawing");
    const views = await Bokeh.embed.embed_item(item);
    const model = views.roots[0].model;
    const sources = Object.fromEntries([...model.references()]
      .filter((found) => found.type === "ColumnDataSource" && found.name)
      .map((found) => [found.name, found]));

    const update = () => {
      const given = parameters(figure);
      const result = figures[figure.dataset.live](given);
      for (const [name, data] of Object.entries(result.sources)) sources[name].data = data;
      figure.querySelector(".live-result").textContent = result.text;
      figure.live = { parameters: given, numbers: result.numbers };
    };

    figure.addEventListener("input", update);
    figure.querySelector("button")?.addEventListener("click", () => {
      figure.dataset.seed = Number(figure.dataset.seed || 1) + 1;
      update();
    });
    new MutationObserver(() => paint(model)).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
    paint(model);
    update();
  }

  addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll("figure[data-live]").forEach(start));
})();
