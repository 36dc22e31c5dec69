// The book's formulas for its live figures: one function each, in the order of the chapters.
// Inputs and weights are Gaussian. What stands here is compared with reluspec_lib by
// tests/pages/test_live.py; names and arguments are those of the library.
(function () {
  "use strict";

  const DEGREES = 400; // even degrees summed one by one; the trace beyond counts as one sum

  // --- the sphere and its harmonics

  /** c_d = E ReLU(u_1): c_1 = 1/2, c_2 = 1/pi, c_{d+2} = d/(d+1) c_d. */
  function reluMean(d) {
    let c = d % 2 ? 1 / 2 : 1 / Math.PI;
    for (let k = d % 2 ? 1 : 2; k < d; k += 2) c *= k / (k + 1);
    return c;
  }

  /** The number of spherical harmonics of degree k: (2k+d-2)/k binom(k+d-3, k-1). */
  function dimension(d, k) {
    if (k === 0) return 1;
    let count = 2 * k + d - 2;
    for (let j = 2; j <= k; j++) count *= (d - 3 + j) / j;
    return Math.round(count);
  }

  /** The eigenvalue d^2 b_k^2 of degree k, with b_{k+2} = -(k-1)/(k+d+1) b_k for even k. */
  function eigenvalue(d, k) {
    if (k === 1) return 1 / 4;
    if (k % 2) return 0;
    let b = reluMean(d);
    for (let j = 0; j < k; j += 2) b *= (1 - j) / (j + d + 1);
    return (d * b) ** 2;
  }

  /** The share of the trace d/2 in degree k. */
  function share(d, k) {
    return (2 / d) * dimension(d, k) * eigenvalue(d, k);
  }

  // --- the groups

  /** What is needed of a form q(w) = a.w or w.Aw/|w|: its invariants, x.Ax, |Ax|^2 and q. */
  function form(group, d) {
    const squareOfLength = (x) => x.reduce((sum, entry) => sum + entry * entry, 0);
    if (group === "coordinate") {
      return { linear: true, size: 1, values: [1], q: (w) => w[0] };
    }
    if (group === "norm") {
      return {
        trace: Math.sqrt(d),
        squares: 1,
        values: [1 / Math.sqrt(d)],
        inner: (x) => squareOfLength(x) / Math.sqrt(d),
        image: (x) => squareOfLength(x) / d,
      };
    }
    if (group === "product") {
      const half = Math.sqrt(d + 2) / 2;
      return {
        trace: 0,
        squares: 2 * half ** 2,
        values: [-half, half].concat(d > 2 ? [0] : []),
        inner: (x) => 2 * half * x[0] * x[1],
        image: (x) => half ** 2 * (x[0] ** 2 + x[1] ** 2),
      };
    }
    // Theorem 3.4 for g = 1, with the positive root kappa.
    const kappa = 1 / (Math.sqrt(d) - 1);
    const c = Math.sqrt((d + 2) / 2);
    const all = (-c * (1 + kappa)) / d;
    const [first, last] = [all + c, all + c * kappa];
    const weighted = (power) => (x) => {
      const rest = squareOfLength(x) - x[0] ** 2 - x[d - 1] ** 2;
      return first ** power * x[0] ** 2 + last ** power * x[d - 1] ** 2 + all ** power * rest;
    };
    return {
      trace: first + last + (d - 2) * all,
      squares: first ** 2 + last ** 2 + (d - 2) * all ** 2,
      values: [first, last].concat(d > 2 ? [all] : []),
      inner: weighted(1),
      image: weighted(2),
    };
  }

  const length = (x) => Math.hypot(...x);

  /** The entry of a group vector for hidden weights w. */
  function entry(A, w) {
    return A.linear ? A.q(w) : A.inner(w) / (length(w) || 1);
  }

  /** The limit F(x): a.x/2, or c_d (tr A |x| + d/(d+1) (x.Ax/|x| - tr A |x|/d)). */
  function limit(A, d, x) {
    if (A.linear) return A.q(x) / 2;
    const r = length(x);
    if (!r) return 0;
    return reluMean(d) * (A.trace * r + (d / (d + 1)) * (A.inner(x) / r - (A.trace * r) / d));
  }

  /** The variance s^2(x) of sqrt(m) (f_v(x) - F(x)). */
  function variance(A, d, x) {
    const square = length(x) ** 2;
    let second;
    if (A.linear) {
      second = square / 2 + A.q(x) ** 2;
    } else {
      second = (A.trace ** 2 + 2 * A.squares) * square + 4 * A.trace * A.inner(x);
      second = (second + 8 * A.image(x)) / (2 * (d + 4));
    }
    return second - limit(A, d, x) ** 2;
  }

  /** E q(g)^2, the limit of the squared length of the vector. */
  function size(A, d) {
    return A.linear ? 1 : (2 * A.squares + A.trace ** 2) / (d + 2);
  }

  /** E F(x)^2 over Gaussian inputs. */
  function power(A, d) {
    if (A.linear) return 1 / 4;
    const ofNorm = A.trace ** 2 / d;
    return ofNorm * eigenvalue(d, 0) + (size(A, d) - ofNorm) * eigenvalue(d, 2);
  }

  // --- the network

  /** The output sum_j v_j ReLU(w_j.x) at each input; weights is an array of m columns. */
  function forward(inputs, weights, v) {
    return inputs.map((x) => {
      let total = 0;
      for (let j = 0; j < weights.length; j++) {
        let product = 0;
        for (let l = 0; l < x.length; l++) product += x[l] * weights[j][l];
        if (product > 0) total += v[j] * product;
      }
      return total;
    });
  }

  /** The mean absolute error to expect at these inputs: sqrt(2/(pi m)) times the mean of s(x). */
  function expectedMae(A, d, m, inputs) {
    const mean = inputs.reduce((sum, x) => sum + Math.sqrt(variance(A, d, x)), 0) / inputs.length;
    return Math.sqrt(2 / (Math.PI * m)) * mean;
  }

  /** The edges of a cluster of N eigenvalues at width m, to second order in sqrt(N/m). */
  function clusterEdges(d, k, m) {
    const ratio = dimension(d, k) / m;
    const [shift, spread] = [ratio * (1 + 4 / d), 2 * Math.sqrt(ratio * (1 + 2 / d))];
    return [-1, 1].map((sign) => eigenvalue(d, k) * (1 + sign * spread + shift));
  }

  // --- guarantees

  const STEPS = Array.from({ length: 241 }, (_, i) => 50 ** (i / 120 - 1));

  /** Largest second moment and largest variance of a unit's term over all unit x. */
  function largest(A, d) {
    if (A.linear) return [3 / 2, 5 / 4];
    const ends = [Math.min(...A.values), Math.max(...A.values)];
    const [trace, squares] = [A.trace, A.squares];
    const second = ends.map(
      (a) => (trace ** 2 + 2 * squares + 4 * trace * a + 8 * a * a) / (2 * (d + 4)),
    );
    const at = ends.map((a) => reluMean(d) * (trace + (d / (d + 1)) * (a - trace / d)));
    const [rise, slope] = [second[1] - second[0], at[1] - at[0]];
    let best = 0;
    if (slope) best = Math.min(Math.max((rise / (2 * slope) - at[0]) / slope, 0), 1);
    return [Math.max(...second), second[0] + best * rise - (at[0] + best * slope) ** 2];
  }

  /** h with E q^(2k) <= (2k-1)!! h^(2k). */
  function height(A, d) {
    if (A.linear) return 1;
    const mean = A.trace / d;
    return Math.abs(mean) * Math.sqrt(d) + Math.sqrt(Math.max(A.squares - d * mean ** 2, 0));
  }

  /** r with P(error > t) <= 2 exp(-m r) at all unit x, by Bernstein's inequality. */
  function rate(A, d, t) {
    const h = height(A, d);
    const [second, spread] = largest(A, d);
    const bounds = [
      [second, 0.75 * h ** 2, 2 * h],
      [spread, 3 * h ** 2, 4 * h],
    ];
    let best = 0;
    for (const [square, cubic, pole] of bounds) {
      for (const factor of STEPS) {
        const step = (t / square) * factor;
        if (pole * step >= 1) continue;
        const growth = square / 2 + (cubic * pole * step) / (1 - pole * step);
        best = Math.max(best, step * t - step ** 2 * growth);
      }
    }
    return best;
  }

  /** The width from which on an error is guaranteed, as a fraction of the limit's size. */
  function widthFor(group, d, error, probability, kind) {
    const A = form(group, d);
    const allowed = error * Math.sqrt(power(A, d));
    let width;
    if (kind === "expected") {
      width = (((d + 2) / 2) * size(A, d) - power(A, d)) / allowed ** 2;
    } else if (kind === "pointwise") {
      const t = allowed / Math.sqrt(d);
      const chebyshev = largest(A, d)[1] / t ** 2 / (1 - probability);
      width = Math.min(chebyshev, Math.log(2 / (1 - probability)) / rate(A, d, t));
    } else {
      const factor = 4 + Math.sqrt(probability / (1 - probability));
      width = d * (d + 2) * size(A, d) * (factor / allowed) ** 2;
    }
    return Math.max(Math.ceil(width), 1);
  }

  // --- learning

  /** The error left at an eigenvalue after some steps of gradient descent from zero. */
  function descent(power, value, step, steps) {
    return power * (1 - step * value) ** (2 * steps);
  }

  /** Eigenvalues and their parts of the trace, the last for all degrees that are not summed. */
  function spectrum(d) {
    const values = [eigenvalue(d, 0), 1 / 4];
    const traces = [values[0], d / 4];
    let [value, trace] = [eigenvalue(d, 2), dimension(d, 2) * eigenvalue(d, 2)];
    let rest = d / 2 - traces[0] - traces[1];
    for (let k = 2; k <= 2 * DEGREES; k += 2) {
      values.push(value);
      traces.push(trace);
      rest -= trace;
      const step = ((k - 1) / (k + d + 1)) ** 2;
      value *= step;
      trace *= (((2 * k + d + 2) / (2 * k + d - 2)) * (k + d - 2) * (k + d - 1) * step) /
        ((k + 1) * (k + 2));
    }
    values.push(0);
    traces.push(Math.max(rest, 0));
    return { values, traces };
  }

  /** The law of chi^2_d/d as nodes and weights: the trapezoidal rule in its logarithm. */
  function law(d) {
    const a = d / 2;
    const low = a < 4 ? -42 / Math.max(Math.min(a, a - 1), 0.5) - 1 : -1 - 14 / Math.sqrt(a);
    const high = a < 40 ? Math.log1p(90 / a) : 14 / Math.sqrt(a);
    const step = Math.min(0.2, 0.4 / Math.sqrt(a));
    const nodes = [];
    const weights = [];
    for (let i = Math.floor(low / step); i <= Math.ceil(high / step); i++) {
      nodes.push(Math.exp(i * step));
      weights.push(Math.exp(a * (i * step - Math.expm1(i * step))));
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { nodes, weights: weights.map((weight) => weight / total) };
  }

  const mean = (law, f) => law.nodes.reduce((sum, r, i) => sum + law.weights[i] * f(r), 0);

  /** y in [0, 1] with E[r/(y + r u)] = 1, 0 where u >= 1, by Newton's method between logits. */
  function solve(law, u) {
    if (u >= 1) return 0;
    if (u <= 0) return 1;
    const wanted = Math.log1p(-u) - Math.log(u);
    let logZ = wanted;
    for (let i = 0; i < 60; i++) {
      const z = Math.exp(logZ);
      const left = mean(law, (r) => z / (z + r));
      const right = mean(law, (r) => r / (z + r));
      const slope = mean(law, (r) => (z * r) / (z + r) ** 2) / (left * right);
      const step = (wanted - Math.log(left) + Math.log(right)) / slope;
      logZ += step;
      if (Math.abs(step) < 1e-14 * Math.max(1, Math.abs(logZ))) break;
    }
    return Math.exp(logZ) * u;
  }

  /** The sums of N l/(l+k), N l^2/(l+k)^2 and N l/(l+k)^2. */
  function sums({ values, traces }, kappa) {
    let [first, third] = [0, 0];
    for (let i = 0; i < values.length; i++) {
      const part = traces[i] / (values[i] + kappa);
      first += part;
      third += part / (values[i] + kappa);
    }
    return [first, first - kappa * third, third];
  }

  /** The logarithm of kappa where a rising function of it passes zero, by bisection. */
  function root(rising, low, high) {
    for (let i = 0; i < 100 && high - low > 1e-15 * Math.abs(low + high); i++) {
      const middle = (low + high) / 2;
      if (rising(middle) < 0) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  /** kappa for a ridge alpha > 0: alpha = kappa s q. */
  function kappaFor(levels, lengths, m, n, alpha) {
    const excess = (logKappa) => {
      const kappa = Math.exp(logKappa);
      const D = sums(levels, kappa)[0];
      return (kappa / alpha) * solve(lengths, D / m) * solve(lengths, D / n) - 1;
    };
    const trace = levels.traces.reduce((sum, part) => sum + part, 0);
    const high = Math.log(Math.max((4 * trace) / Math.min(m, n), 16 * alpha)) + 4;
    return Math.exp(root(excess, Math.log(alpha), high));
  }

  /** The excess risk of ridge regression on all m features, and its parts by degree. */
  function ridgeRisk(levels, lengths, d, m, n, alpha, powers, noise) {
    const kappa = kappaFor(levels, lengths, m, n, alpha);
    const [D, D2, S1] = sums(levels, kappa);
    const [s, q] = [solve(lengths, D / n), solve(lengths, D / m)];
    const bare = (r) => r / (s + (r * D) / n);
    const omega = mean(lengths, (r) => bare(r) ** 2);
    const omega1 = mean(lengths, (r) => bare(r) ** 2 / r);
    const w = mean(lengths, (t) => (t / (q + (t * D) / m)) ** 2) / m;
    const mu = (w * S1) / (1 - w * D2);
    const tau = (D2 + kappa ** 2 * mu * S1) / n;
    let base = 0;
    for (const [degree, part] of Object.entries(powers)) {
      const value = eigenvalue(d, Number(degree));
      base += part * (kappa / (value + kappa)) ** 2 * (1 + value * mu);
    }
    return (base + noise ** 2 * omega1 * tau) / (1 - omega * tau);
  }

  globalThis.reluspec = {
    reluMean, dimension, eigenvalue, share, form, entry, limit, variance, size, power, forward,
    expectedMae, clusterEdges, widthFor, descent, spectrum, law, ridgeRisk,
  };
})();
