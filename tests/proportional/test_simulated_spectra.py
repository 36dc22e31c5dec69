"""Simulated spectra, distances from a limit, and the stored run that the book shows."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from reluspec_lib import simulated_spectra
from reluspec_lib.proportional.resolvent import RandomFeatures, relu
from tools import spectra as tool

SEEDS = st.integers(0, 2**32 - 1)


def gaussian(rng, shape):
    return rng.standard_normal(shape)


# --- laws of the entries


@pytest.mark.parametrize(
    "law, known",
    [
        ("gaussian", stats.norm()),
        ("uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        ("student-t", stats.t(3, scale=1 / math.sqrt(3))),
    ],
)
def test_entries_have_their_law_with_mean_0_and_variance_1(law, known):
    found = simulated_spectra.sample_entries(law, (100, 200), np.random.default_rng(1))
    assert found.dtype == np.float64
    assert [known.mean(), known.var()] == pytest.approx([0, 1])
    assert stats.kstest(found.ravel(), known.cdf).pvalue > 1e-3
    # Independent in both directions, and not the same array twice.
    correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in neighbours(np.sign(found))]
    np.testing.assert_allclose(correlations, 0, atol=0.04)


def neighbours(x):
    return (x[1:], x[:-1]), (x[:, 1:], x[:, :-1])


def test_signs_are_signs():
    found = simulated_spectra.sample_entries("sign", (100, 200), np.random.default_rng(2))
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == [-1.0, 1.0]
    assert stats.binomtest(int(counts[0]), found.size).pvalue > 1e-3


def test_entries_of_a_function_are_taken_as_they_are():
    made = []

    def law(rng, shape):
        made.append(rng.integers(5, size=shape))
        return made[-1]

    found = simulated_spectra.sample_entries(law, (3, 4), np.random.default_rng(3))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, made[0])


@pytest.mark.parametrize(
    "law, message",
    [
        (
            "cauchy",
            r"entries must be one of gaussian, sign, uniform, student-t or a function, got 'cau",
        ),
        (
            None,
            r"entries must be one of gaussian, sign, uniform, student-t or a function, got None$",
        ),
        (lambda rng, shape: np.zeros(3), r"entries must have shape \(2, 3\), got shape \(3,\)"),
        (lambda rng, shape: np.full(shape, np.inf), r"entries must be finite, got inf"),
        (lambda rng, shape: "ab", r"entries must be an array of real numbers"),
    ],
)
def test_wrong_laws_are_refused(law, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        simulated_spectra.sample_entries(law, (2, 3), np.random.default_rng(1))


# --- eigenvalues


@given(SEEDS, st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_eigenvalues_are_squared_singular_values(seed, n1, m, rank):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((n1, rank)) @ rng.standard_normal((rank, m))
    found = simulated_spectra.eigenvalues(Y)
    expected = np.zeros(n1)
    singular = np.linalg.svd(Y, compute_uv=False)
    expected[: len(singular)] = singular**2 / m
    assert found.shape == (n1,)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(found, np.sort(expected), atol=1e-12 * expected.max())
    # What rank hides is exactly zero, not rounding.
    assert np.sum(found == 0) == n1 - min(n1, m, rank)


def test_eigenvalues_of_entries_whose_squares_no_float_holds():
    Y = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    for size in (1e-150, 1e150):
        np.testing.assert_allclose(
            simulated_spectra.eigenvalues(Y * size) / size / size, [0, 1, 4.5]
        )
    assert simulated_spectra.eigenvalues(Y * 1e-200).tolist() == [0, 0, 0]
    assert simulated_spectra.eigenvalues(np.zeros((2, 3))).tolist() == [0, 0]
    with pytest.raises(
        ValueError, match=r"^Y must have eigenvalues that a float holds, got .*e\+200"
    ):
        simulated_spectra.eigenvalues(Y * 1e200)


@pytest.mark.parametrize(
    "Y, message",
    [
        ([1.0, 2.0], r"Y must have shape \(n1, m\), got shape \(2,\)"),
        ([[1.0, np.nan]], r"Y must be finite, got nan at index \(0, 1\)"),
        (np.zeros((0, 3)), r"Y must not be empty"),
    ],
)
def test_wrong_matrices_are_refused(Y, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        simulated_spectra.eigenvalues(Y)


# --- one draw


@pytest.mark.parametrize("law", ["gaussian", "sign", "uniform", "student-t", gaussian])
@pytest.mark.parametrize("n0, n1, m", [(7, 5, 9), (4, 9, 5)])
def test_a_spectrum_is_that_of_the_matrix_written_out(law, n0, n1, m):
    found = simulated_spectra.simulate_spectrum(
        np.tanh, n0, n1, m, np.random.default_rng(4), entries=law
    )
    rng = np.random.default_rng(4)
    W = simulated_spectra.sample_entries(law, (n1, n0), rng) / math.sqrt(n0)
    X = simulated_spectra.sample_entries(law, (n0, m), rng)
    Y = np.tanh(W @ X)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(Y @ Y.T / m), atol=1e-13)


def test_biases_belong_to_rows():
    bias = np.array([-3.0, 0.5, 20.0])
    found = simulated_spectra.simulate_spectrum(
        relu, 50, 3, 40, np.random.default_rng(5), bias=bias
    )
    rng = np.random.default_rng(5)
    W, X = rng.standard_normal((3, 50)) / math.sqrt(50), rng.standard_normal((50, 40))
    Y = relu(W @ X + bias[:, None])
    np.testing.assert_allclose(found, np.linalg.eigvalsh(Y @ Y.T / 40), rtol=1e-10, atol=1e-12)


def test_random_biases_are_drawn_last_and_have_their_spread():
    def largest(std):
        rng = np.random.default_rng(6)
        return simulated_spectra.simulate_spectrum(lambda t: t, 4, 2000, 3, rng, bias_std=std)[-1]

    rng = np.random.default_rng(6)
    W, X = rng.standard_normal((2000, 4)) / 2, rng.standard_normal((4, 3))
    b = rng.standard_normal(2000)
    for std in (0.0, 1.7):
        Y = W @ X + std * b[:, None]
        assert largest(std) == pytest.approx(np.linalg.norm(Y, 2) ** 2 / 3, rel=1e-12)


def test_centring_takes_the_gaussian_mean_from_each_row():
    bias = [1.5, -0.3, 1.5, 0.0, 2.0]
    rng = np.random.default_rng(7)
    found = simulated_spectra.simulate_spectrum(special.erf, 30, 5, 8, rng, bias=bias, centred=True)
    rng = np.random.default_rng(7)
    W, X = rng.standard_normal((5, 30)) / math.sqrt(30), rng.standard_normal((30, 8))
    b = np.array(bias)[:, None]
    Y = special.erf(W @ X + b) - special.erf(b / math.sqrt(3))
    np.testing.assert_allclose(found, np.linalg.eigvalsh(Y @ Y.T / 8), rtol=1e-10)


def test_centring_knows_of_kinks():
    def hinge(t):
        return np.maximum(t - 0.4, 0)

    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match="smooth between its kinks"):
        simulated_spectra.simulate_spectrum(hinge, 5, 5, 5, rng, centred=True)
    simulated_spectra.simulate_spectrum(hinge, 5, 5, 5, rng)
    found = simulated_spectra.simulate_spectrum(
        hinge, 5, 1, 10**5, np.random.default_rng(9), centred=True, kinks=[0.4]
    )
    # One row: the eigenvalue is a mean square around a mean, not the mean square itself.
    rng = np.random.default_rng(9)
    w, X = rng.standard_normal((1, 5)) / math.sqrt(5), rng.standard_normal((5, 10**5))
    mean = math.exp(-0.08) / math.sqrt(2 * math.pi) - 0.4 * special.ndtr(-0.4)
    assert found[0] == pytest.approx(np.mean((hinge(w @ X) - mean) ** 2), rel=1e-9)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"n0": 0}, "n0 must be an integer >= 1, got 0"),
        ({"n1": 2.5}, "n1 must be an integer >= 1, got 2.5"),
        ({"m": True}, "m must be an integer >= 1, got True"),
        ({"rng": 1.5}, "rng must be a numpy.random.Generator"),
        ({"kinks": 0.4}, "kinks must be a sequence of numbers, got 0.4$"),
        ({"activation": "relu"}, "activation must be callable, got 'relu'"),
        ({"activation": lambda t: t[0]}, r"activation must keep the shape \(3, 4\), got.* \(4,\)"),
        ({"activation": lambda t: t / 0.0}, "values of the activation must be finite"),
        ({"activation": lambda t: t * 1j}, "values of the activation must be an array of real"),
        ({"entries": "levy"}, "entries must be one of"),
        ({"bias_std": -1.0}, "bias_std must be at least 0, got -1.0"),
        ({"bias_std": 1.0, "bias": [1, 2, 3]}, "bias must not be given together with a bias_std"),
        ({"bias": [1, 2]}, r"bias must have shape \(n1,\) = \(3,\), got shape \(2,\)"),
        ({"kinks": [np.nan]}, "kinks must be a finite number"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_wrong_arguments_are_refused(changed, message):
    arguments = {"activation": relu, "n0": 2, "n1": 3, "m": 4, "rng": np.random.default_rng(1)}
    with pytest.raises(ValueError, match=f"^{message}"):
        simulated_spectra.simulate_spectrum(**(arguments | changed))


@pytest.mark.parametrize(
    "f, bias_std, outliers",
    [(np.tanh, 0.0, 0), (relu, 0.0, 1), (lambda t: t, 0.0, 0), (relu, 0.5, 1)],
)
def test_a_spectrum_lies_on_its_limit(f, bias_std, outliers):
    rng = np.random.default_rng(10)
    model = RandomFeatures(f, 160 / 100, 160 / 200, bias_std=bias_std)
    found = simulated_spectra.simulate_spectrum(f, 160, 200, 100, rng, bias_std=bias_std)
    assert simulated_spectra.kolmogorov_smirnov(found, model.cdf, outliers=outliers) < 0.02
    # In units that are wrong by half it does not.
    assert simulated_spectra.kolmogorov_smirnov(1.5 * found, model.cdf, outliers=outliers) > 0.06


# --- the distance


@given(SEEDS, st.integers(1, 50))
def test_the_distance_is_that_of_scipy_where_there_is_no_jump(seed, count):
    values = np.random.default_rng(seed).standard_normal(count)
    expected = stats.kstest(values, stats.norm.cdf).statistic
    assert simulated_spectra.kolmogorov_smirnov(values, stats.norm.cdf) == pytest.approx(
        expected, abs=1e-14
    )


@given(SEEDS, st.integers(0, 8), st.integers(1, 20), st.floats(0, 0.9))
def test_the_distance_is_a_supremum_also_where_both_sides_jump(seed, zeros, others, atom):
    def cdf(x):
        return np.where(x < 0, 0.0, atom + (1 - atom) * np.clip(x, 0, 1))

    rng = np.random.default_rng(seed)
    # Ties among the positive ones, too.
    values = np.concatenate([np.zeros(zeros), rng.integers(1, 12, others) / 10])
    near = [f(values, 1e-13) for f in (np.add, np.subtract)]
    x = np.concatenate([values, *near, np.linspace(-0.5, 1.5, 2001)])
    gaps = np.abs((values <= x[:, None]).mean(axis=1) - cdf(x))
    found = simulated_spectra.kolmogorov_smirnov(rng.permutation(values), cdf)
    assert found == pytest.approx(gaps.max(), abs=1e-9)


def test_a_distribution_function_may_return_a_list():
    values = [0.25, 0.5]
    assert (
        simulated_spectra.kolmogorov_smirnov(values, lambda x: [min(max(v, 0), 1) for v in x])
        == 0.5
    )


def test_a_seed_does_for_a_generator():
    found = simulated_spectra.simulate_spectrum(np.tanh, 7, 5, 9, 4, bias_std=1.0)
    again = simulated_spectra.simulate_spectrum(
        np.tanh, 7, 5, 9, np.random.default_rng(4), bias_std=1.0
    )
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(
        simulated_spectra.sample_entries("sign", 5, 3),
        simulated_spectra.sample_entries("sign", (5,), 3),
    )
    with pytest.raises(ValueError, match=r"^shape must be an integer >= 1, got 0$"):
        simulated_spectra.sample_entries("sign", (2, 0), 3)


def test_outliers_are_left_out_of_values_and_count():
    values = [0.5, 900.0, 0.25, 30.0]
    inside = simulated_spectra.kolmogorov_smirnov([0.25, 0.5], lambda x: np.clip(x, 0, 1))
    assert (
        simulated_spectra.kolmogorov_smirnov(values, lambda x: np.clip(x, 0, 1), outliers=2)
        == inside
        == 0.5
    )


@pytest.mark.parametrize(
    "values, cdf, outliers, message",
    [
        (
            [1.0],
            np.cos,
            1,
            r"eigenvalues must have shape .* with n1 > outliers = 1, got shape \(1,\)$",
        ),
        ([[1.0]], np.cos, 0, r"eigenvalues must have shape \(n1,\)"),
        ([1.0, np.inf], np.cos, 0, r"eigenvalues must be finite, got inf at index \(1,\)"),
        ([1.0], np.cos, -1, r"outliers must be an integer >= 0, got -1"),
        (
            [1.0],
            lambda x: x[:1],
            0,
            r"cdf must return one number for each of 2 points, got shape \(1,\)$",
        ),
        ([1.0], 0.5, 0, r"cdf must be callable, got 0.5$"),
        ([1.0], lambda x: x * np.nan, 0, r"values of cdf must be finite"),
    ],
)
def test_wrong_distances_are_refused(values, cdf, outliers, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        simulated_spectra.kolmogorov_smirnov(values, cdf, outliers=outliers)


# --- the stored run


@pytest.fixture(scope="module")
def stored():
    return json.loads(tool.DATA.read_text(encoding="utf-8"))


def test_the_stored_run_is_one_of_this_program(stored):
    assert tool.DATA.read_text(encoding="utf-8") == tool.to_text(stored)
    assert stored["seed"] == tool.SEED
    assert stored["sizes"] == [*tool.SIZES]
    assert [
        tool.Case(c["activation"], c["law"], tuple(c["ratio"]), c["centred"], c["light"])
        for c in stored["cases"]
    ] == [*tool.CASES]
    for case in stored["cases"]:
        assert np.shape(case["distances"]) == (len(tool.SIZES), tool.DRAWS)


@pytest.mark.parametrize("k", range(len(tool.CASES)))
def test_the_smallest_size_gives_its_stored_distances_again(stored, k):
    for draw in (0, tool.DRAWS - 1):
        kept = stored["cases"][k]["distances"][0][draw]
        # Four digits are kept; the rounding of another processor moves a distance by far less.
        assert tool.distance(k, tool.SIZES[0], draw) == pytest.approx(kept, rel=6e-4)


def test_light_cases_are_below_a_hundredth_and_shrink_at_one_rate(stored):
    sizes = np.array(tool.SIZES)
    light = [case for case in stored["cases"] if case["light"]]
    assert {case["activation"] for case in light} == {"ReLU", "tanh", "erf", "|t|", "He2", "t"}
    assert {case["law"] for case in light} == {"gaussian", "sign", "uniform"}
    exponents = []
    for case in light:
        distances = np.array(case["distances"])
        assert distances[-1].max() < 0.01
        assert (np.diff(distances.mean(axis=1)) < 0).all()
        n1 = sizes * case["ratio"][1] / case["ratio"][0]
        logs = np.log(distances.mean(axis=1) / np.log(n1))
        exponents.append(np.polyfit(np.log(sizes), logs, 1)[0])
    assert np.mean(exponents) == pytest.approx(-1, abs=0.05)
    assert np.std(exponents) < 0.05


@pytest.mark.parametrize("power, side", [(0, 1), (1, -1)])
def test_neither_power_law_of_the_distance_is_exact(stored, power, side):
    sizes, slopes = np.array(tool.SIZES), []
    for case in (case for case in stored["cases"] if case["light"]):
        logarithm = np.log(sizes * case["ratio"][1] / case["ratio"][0])
        scaled = np.array(case["distances"]) / logarithm[:, None] ** power
        slopes.extend(np.polyfit(np.log(sizes), np.log(scaled), 1)[0])
    error = np.std(slopes, ddof=1) / math.sqrt(len(slopes))
    # D falls more slowly than 1/n, D / log n faster.
    assert side * (np.mean(slopes) + 1) > 4 * error


def test_heavy_tails_shrink_slowly_or_not_at_all(stored):
    sizes = np.array(tool.SIZES)
    mean = {c["law"]: np.mean(c["distances"], axis=1) for c in stored["cases"] if not c["light"]}
    slopes = {law: np.polyfit(np.log(sizes), np.log(D), 1)[0] for law, D in mean.items()}
    assert slopes["student 1.5"] > 0
    for (_, slower), (_, faster) in itertools.pairwise(
        (law, slopes[law]) for law in ("student 1.5", "student 2.5", "student 3", "sign")
    ):
        assert slower > faster + 0.1


def test_heavy_laws_are_scaled_as_they_say():
    rng = np.random.default_rng(11)
    for degrees in (2.5, 3):
        found = tool.LAWS[f"student {degrees}"](rng, (10**5,))
        known = stats.t(degrees, scale=math.sqrt((degrees - 2) / degrees))
        assert known.var() == pytest.approx(1)
        assert stats.kstest(found, known.cdf).pvalue > 1e-3
    assert np.mean(tool.LAWS["student 1.5"](rng, (50, 60)) ** 2) == pytest.approx(1)
    skewed = tool.LAWS["exponential"](rng, (10**5,))
    assert stats.kstest(skewed, stats.expon(-1).cdf).pvalue > 1e-3
