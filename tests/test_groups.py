"""The groups of approximate eigenvectors, by cubature rules under which the theorems are exact.

Hidden weights that are the points of a cubature rule, times the roots of its weights, make sums
over units equal to Gaussian expectations. Two rules serve:

* ``gram_rule``: exact for |g|^2 P(g/|g|), P even of degree up to 4: the vectors are orthonormal;
* ``limit_rule``: exact for quadratic harmonics times ReLU(g.x), x given: f_v(x) is its limit.
"""

import copy
import functools
import itertools
import math
import multiprocessing
import pickle
import re

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from helpers import rng, rotation, with_peak
from reluspec_lib import forward, groups, sample_weights, targets
from reluspec_lib.groups import (
    CENTRED_SQUARE,
    COORDINATE,
    NORM,
    PRODUCT,
    SQUARE,
    Basis,
    Linear,
    Quadratic,
    Square,
)

OTHER_ROOT = Square(root=-1)
EVERY = [*groups.ALL, CENTRED_SQUARE, OTHER_ROOT]
QUADRATIC = [CENTRED_SQUARE, SQUARE, OTHER_ROOT, PRODUCT]

each_group = pytest.mark.parametrize(
    "group", EVERY, ids=lambda group: f"{group.name}{getattr(group, 'root', '')}"
)


def gram_rule(d):
    """Columns w with sum |w|^2 P(w/|w|) = E |g|^2 P(g/|g|) for even P up to degree 4."""
    roots, weights = np.polynomial.hermite_e.hermegauss(3)
    points = np.array(list(itertools.product(roots, repeat=d))).T  # (d, 3^d)
    share = np.array([math.prod(w) for w in itertools.product(weights / weights.sum(), repeat=d)])
    lengths = np.linalg.norm(points, axis=0)
    kept = lengths > 1e-12
    # |g|^2 is replaced by |g|^4 / (d + 2), which has the same mean and leaves a polynomial.
    return (points * lengths * np.sqrt(share / (d + 2)))[:, kept]


def complement(direction):
    """An orthonormal basis, as columns, of the complement of a unit vector."""
    return np.linalg.svd(direction[None, :])[2][1:].T


def limit_rule(x):
    """Columns w with sum Y(w) ReLU(w.x) = E Y(g) ReLU(g.x), Y homogeneous of degree 1 as in v."""
    d = len(x)
    pole = x / np.linalg.norm(x)
    if d == 1:
        return np.array([[1.0, -1.0]]) / math.sqrt(2)
    power = (d - 3) / 2
    nodes, weights = special.roots_jacobi(60, power, 0)
    t, share = (nodes + 1) / 2, weights * ((nodes + 3) / 2) ** power  # one half of the sphere
    share = share / share.sum() / (2 * 2 * (d - 1))
    rest = np.hstack([complement(pole), -complement(pole)])  # exact for degree 3 across the pole
    columns = [
        (sign * t_i * pole[:, None] + math.sqrt(1 - t_i**2) * rest) * math.sqrt(d * share_i)
        for t_i, share_i in zip(t, share, strict=True)
        for sign in (1, -1)
    ]
    return np.hstack(columns)


def projection(A):
    """The orthogonal projection onto the span of the columns."""
    U, s, _ = np.linalg.svd(A, full_matrices=False)
    U = U[:, s > 1e-9 * s[0]]
    return U @ U.T


# --- form


def test_all_holds_the_four_groups_in_the_papers_order():
    assert groups.ALL == (NORM, COORDINATE, SQUARE, PRODUCT)
    assert [g.theorem[-3:] for g in groups.ALL] == ["3.1", "3.2", "3.4", "3.5"]
    assert CENTRED_SQUARE.theorem == "Lemma 3.3"
    assert len({g.name for g in (*groups.ALL, CENTRED_SQUARE)}) == 5


@pytest.mark.parametrize("d", [1, 2, 3, 10, 100])
def test_the_groups_have_d_times_d_plus_3_over_2_vectors(d):
    assert [g.size(d) for g in groups.ALL] == [1, d, d - 1, d * (d - 1) // 2]
    assert sum(g.size(d) for g in groups.ALL) == d * (d + 3) // 2
    assert CENTRED_SQUARE.size(d) == d


def test_labels_count_from_one_in_the_order_of_the_columns():
    assert NORM.labels(3) == ("0",)
    assert COORDINATE.labels(3) == ("l=1", "l=2", "l=3")
    assert SQUARE.labels(3) == ("g=1", "g=2")
    assert CENTRED_SQUARE.labels(2) == ("gg=1,1", "gg=2,2")
    assert PRODUCT.labels(4) == ("ab=1,2", "ab=1,3", "ab=1,4", "ab=2,3", "ab=2,4", "ab=3,4")


@each_group
@pytest.mark.parametrize("d", [1, 2, 7])
def test_size_labels_vectors_and_limits_agree(group, d):
    size = group.size(d)
    V, F = group.eigenvectors(rng().normal(size=(d, 9))), group.limit(rng().normal(size=(4, d)))
    assert len(set(group.labels(d))) == size
    assert V.shape == (9, size)
    assert F.shape == (4, size)
    assert group.limit(np.ones(d)).shape == (size,)
    assert V.flags.f_contiguous


def test_the_name_and_theorem_show():
    assert repr(NORM) == "<group 'norm', Theorem 3.1>"
    assert repr(CENTRED_SQUARE) == "<group 'centred square', Lemma 3.3>"
    assert repr(OTHER_ROOT) == "<group 'square', Theorem 3.4, root -1>"


# --- identity


@each_group
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda group, protocol=protocol: pickle.loads(pickle.dumps(group, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_copies_are_the_same_group(group, copied):
    twin = copied(group)
    assert twin == group
    assert hash(twin) == hash(group)
    assert [g for g in EVERY if g == twin] == [group]


def test_groups_are_equal_by_kind_and_root():
    assert Square() == Square(1) == Square(np.int64(1)) == SQUARE != OTHER_ROOT == Square(-1)
    assert groups.Norm() == NORM != COORDINATE != CENTRED_SQUARE != SQUARE
    assert len({*EVERY, Square(1), groups.Product(), groups.Norm()}) == len(EVERY)
    assert len({hash(group) for group in EVERY}) == len(EVERY)
    assert SQUARE != "square"
    assert Square(1) in groups.ALL
    with pytest.raises(AttributeError):
        SQUARE.root = -1


def test_groups_keep_their_identity_in_another_process():
    # Another start of Python, which shares no object with this one.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(functools.partial(targets.limit, d=4), groups.ALL)
        returned = pool.map(copy.copy, EVERY)
    assert found == [targets.limit(group, 4) for group in groups.ALL]
    assert returned == EVERY


# --- vectors


@pytest.mark.parametrize("d", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("square", [SQUARE, OTHER_ROOT])
def test_all_vectors_together_are_orthonormal_under_an_exact_rule(d, square):
    W = gram_rule(d)
    V = np.hstack([g.eigenvectors(W) for g in (NORM, COORDINATE, square, PRODUCT)])
    np.testing.assert_allclose(V.T @ V, np.eye(d * (d + 3) // 2), atol=1e-12)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_centred_squares_have_squared_norm_d_minus_1_over_d_under_an_exact_rule(d):
    V = CENTRED_SQUARE.eigenvectors(gram_rule(d))
    np.testing.assert_allclose(V.T @ V, np.eye(d) - 1 / d, atol=1e-12)


def test_every_vector_of_one_unit_by_hand():
    W = np.array([[2.0], [3.0], [6.0]])  # of norm 7
    root = math.sqrt(5)
    assert NORM.eigenvectors(W) == pytest.approx(7 / math.sqrt(3))
    assert COORDINATE.eigenvectors(W).tolist() == [[2, 3, 6]]
    assert PRODUCT.eigenvectors(W)[0] == pytest.approx(root * np.array([6, 12, 18]) / 7)
    centred = root / math.sqrt(2) * (np.array([4, 9, 36]) - 49 / 3) / 7
    assert CENTRED_SQUARE.eigenvectors(W)[0] == pytest.approx(centred)
    for square, kappa in [(SQUARE, 1 / (3**0.5 - 1)), (OTHER_ROOT, -1 / (3**0.5 + 1))]:
        assert square.eigenvectors(W)[0] == pytest.approx(centred[:2] + kappa * centred[2])


@each_group
@pytest.mark.parametrize("d", [2, 3, 10])
def test_random_vectors_become_orthonormal_at_the_rate_of_one_over_root_m(group, d):
    target = np.eye(group.size(d)) - (1 / d if group is CENTRED_SQUARE else 0)
    sizes, generator = np.array([400, 1600, 6400]), rng()

    def gap(m):
        V = group.eigenvectors(sample_weights(d, m, generator))
        return np.linalg.norm(V.T @ V - target)

    gaps = np.array([[gap(m) for m in sizes] for _ in range(30)])
    # log error is spread by 0.75 (one entry) or less over draws; the slope of 30 draws by 0.1
    slope = np.polyfit(np.log(sizes), np.log(np.sqrt((gaps**2).mean(axis=0))), 1)[0]
    assert abs(slope + 0.5) < 0.2
    assert gaps[:, -1].mean() < 1.5 * group.size(d) / math.sqrt(sizes[-1])


@pytest.mark.parametrize("d", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("law", ["standard_normal", "standard_cauchy"])
def test_centred_squares_sum_to_zero_for_all_weights(d, law):
    V = CENTRED_SQUARE.eigenvectors(getattr(rng(), law)((d, 50)))
    np.testing.assert_allclose(V.sum(axis=1), 0, atol=1e-10 * max(1, np.abs(V).max()))


@settings(max_examples=30)
@given(st.integers(2, 10**8))
def test_both_roots_solve_the_quadratic_of_kappa(d):
    one, other = SQUARE.kappa(d), OTHER_ROOT.kappa(d)
    assert one > 0 > other
    assert one + other == pytest.approx(2 / (d - 1), rel=1e-6)  # Vieta, cancels at large d
    assert one * other == pytest.approx(-1 / (d - 1), rel=1e-12)
    for kappa in (one, other):
        assert abs((d - 1) * kappa**2 - 2 * kappa - 1) < 1e-12


@pytest.mark.parametrize("d", [2, 3, 5, 20])
def test_both_roots_and_the_centred_squares_have_one_span(d):
    W = rng().normal(size=(d, 200))
    spans = [projection(g.eigenvectors(W)) for g in (SQUARE, OTHER_ROOT, CENTRED_SQUARE)]
    assert np.trace(spans[0]) == pytest.approx(d - 1)
    np.testing.assert_allclose(spans[1], spans[0], atol=1e-10)
    np.testing.assert_allclose(spans[2], spans[0], atol=1e-10)


@pytest.mark.parametrize("d", [2, 3, 7])
def test_products_of_any_two_rows_over_the_norm_span_groups_one_and_three(d):
    W = rng().normal(size=(d, 300))
    norms = np.linalg.norm(W, axis=0)
    raw = np.array([W[a] * W[b] / norms for a in range(d) for b in range(a, d)]).T
    V = np.hstack([g.eigenvectors(W) for g in (NORM, SQUARE, PRODUCT)])
    np.testing.assert_allclose(projection(V), projection(raw), atol=1e-10)


# --- limits


@each_group
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7, 50])
def test_limits_are_the_outputs_of_a_network_that_is_an_exact_rule(group, d):
    for x in rng().normal(size=(3, d)) * [[0.1], [1], [30]]:
        W = limit_rule(x)
        f = forward(x, W, group.eigenvectors(W)) if group.size(d) else np.empty(0)
        np.testing.assert_allclose(group.limit(x), f, rtol=1e-11, atol=1e-12 * np.linalg.norm(x))


@pytest.mark.parametrize("d, axis", [(2, 0), (3, 1), (5, 4)])
def test_limits_hold_on_the_axes(d, axis):
    x = np.zeros(d)
    x[axis] = -2.0
    W = limit_rule(x)
    for group in EVERY:
        expected = forward(x, W, group.eigenvectors(W))
        np.testing.assert_allclose(group.limit(x), expected, rtol=1e-11, atol=1e-12)


@each_group
@pytest.mark.parametrize("d", [2, 3, 6])
def test_random_networks_scatter_about_the_limits_as_the_central_limit_theorem_says(group, d):
    x, m = np.linspace(-1, 2, d), 400_000
    W = sample_weights(d, m, rng())
    V = group.eigenvectors(W)
    terms = np.maximum(x @ W, 0)[:, None] * V * m  # one term per unit, of which f is the mean
    error = terms.std(axis=0) / math.sqrt(m)
    assert (error < 0.02).all()
    assert (np.abs(forward(x, W, V) - group.limit(x)) < 5 * error).all()


@each_group
@settings(max_examples=15)
@given(d=st.integers(1, 8), seed=st.integers(0, 2**32), c=st.just(0.0) | st.floats(1e-100, 1e100))
def test_limits_scale_with_non_negative_inputs(group, d, seed, c):
    x = rng(seed).normal(size=(3, d))
    expected = c * group.limit(x)
    np.testing.assert_allclose(group.limit(c * x), expected, rtol=1e-10, atol=1e-10 * c)


@each_group
def test_limits_vanish_at_the_origin(group):
    x = np.array([[0.0, 0, 0], [1, 2, 3], [0, 0, 0]])
    F = group.limit(x)
    assert not F[[0, 2]].any()
    np.testing.assert_array_equal(F[1], group.limit(x[1]))


@pytest.mark.parametrize("d", [2, 3, 10])
def test_limits_of_the_centred_squares_sum_to_zero(d):
    F = CENTRED_SQUARE.limit(rng().normal(size=(20, d)))
    np.testing.assert_allclose(F.sum(axis=1), 0, atol=1e-13)


@pytest.mark.parametrize("d", [2, 3, 10, 100, 10**4])
def test_the_constant_of_the_products_is_that_of_the_norm_two_dimensions_higher(d):
    x = np.zeros(d)
    x[:2] = math.sqrt(0.5)
    higher = np.zeros(d + 2)
    higher[0] = 1
    product = PRODUCT.limit(x, [0])[0] / (1 / 2)
    assert product == pytest.approx(NORM.limit(higher)[0], rel=1e-12)


@pytest.mark.parametrize("d", [2, 3, 10, 100, 10**5])
def test_the_constant_of_the_norm_against_fifty_digits(d):
    x = np.zeros(d)
    x[-1] = -1
    with mp.workdps(50):
        expected = mp.sqrt(d) * mp.beta(mp.mpf(d) / 2, 0.5) / (2 * mp.pi)
        assert abs(mp.mpf(float(NORM.limit(x)[0])) / expected - 1) < 1e-13


# --- fluctuations


def exact_variance(group, x):
    """The variance at rows x, from a cubature rule of degree 6."""
    # v^2 (g.x)^2 times |g|^2, which linear forms do not need, is a polynomial of degree up to 6.
    # Half of its mean lies where g.x is positive; the length is independent of the rest.
    d = x.shape[1]
    roots, weights = np.polynomial.hermite_e.hermegauss(4)
    points = np.array(list(itertools.product(roots, repeat=d))).T
    share = np.array([math.prod(w) for w in itertools.product(weights / weights.sum(), repeat=d)])
    squares = group.eigenvectors(points) ** 2
    if group.degree != 1:
        squares *= (points**2).sum(axis=0)[:, None] / (d + 4)
    return ((x @ points) ** 2 * share) @ squares / 2 - group.limit(x) ** 2


@each_group
@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_variances_are_those_of_an_exact_rule(group, d):
    x = rng().normal(size=(3, d))
    np.testing.assert_allclose(group.variance(x), exact_variance(group, x), rtol=1e-12)
    np.testing.assert_allclose(group.variance(x[0]), group.variance(x)[0], rtol=1e-14)
    last = group.variance(x, [group.size(d) - 1])
    np.testing.assert_allclose(last[:, 0], group.variance(x)[:, -1], rtol=1e-14)


@each_group
@pytest.mark.parametrize("exponent", [-480, 480])
def test_variances_grow_with_the_square_of_the_input(group, exponent):
    x = rng().normal(size=(3, 4))
    expected = np.ldexp(group.variance(x), 2 * exponent)
    np.testing.assert_array_equal(group.variance(np.ldexp(x, exponent)), expected)


@each_group
@pytest.mark.parametrize("d", [2, 3, 5])
def test_forms_are_symmetric_and_give_the_vectors(group, d):
    W = rng().normal(size=(d, 7))
    for position in range(group.size(d)):
        form = group.form(d, position)
        full = form.dense()
        if full.ndim == 1:
            v = full @ W
        else:
            np.testing.assert_array_equal(full, full.T)
            v = (W * (full @ W)).sum(axis=0) / np.linalg.norm(W, axis=0)
            assert form.trace == pytest.approx(np.trace(full), abs=1e-14)
            assert form.square == pytest.approx((full**2).sum(), rel=1e-13)
        np.testing.assert_allclose(v, group.eigenvectors(W)[:, position], rtol=1e-12, atol=1e-14)


def axes(group, d, position):
    """The coordinates that a vector singles out, in increasing order."""
    return tuple(sorted(group.form(d, position).axes.tolist()))


def test_axes_are_the_coordinates_that_a_vector_singles_out():
    assert axes(NORM, 4, 0) == ()
    assert axes(COORDINATE, 4, 2) == axes(CENTRED_SQUARE, 4, 2) == (2,)
    assert COORDINATE.form(4).axes.tolist() == [0]
    assert axes(SQUARE, 4, 2) == axes(OTHER_ROOT, 4, 2) == (2, 3)
    assert [axes(PRODUCT, 4, k) for k in range(6)] == list(itertools.combinations(range(4), 2))


@pytest.mark.parametrize(
    "d, column, message",
    [
        (
            3,
            3,
            "column must be below 3, the number of vectors of the group product at d = 3, got 3",
        ),
        (
            1,
            0,
            "column must be below 0, the number of vectors of the group product at d = 1, got 0",
        ),
        (3, -1, "column must be an integer >= 0, got -1"),
        (3.0, 0, "d must be an integer >= 1, got 3.0"),
    ],
)
def test_forms_that_a_group_lacks_are_refused(d, column, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        PRODUCT.form(d, column)


# --- eigenvalues


def legendre_moment(d, k):
    """E[ReLU(u_1) P_k(u_1)] for the Legendre polynomials P_0, P_1, P_2 in dimension d."""
    polynomial = [lambda t: 1, lambda t: t, lambda t: (d * t**2 - 1) / (d - 1)][k]

    def weight(a):
        return mp.sin(a) ** (d - 2)

    half = [0, mp.pi / 4, mp.pi / 2]
    mean = mp.quad(lambda a: mp.cos(a) * polynomial(mp.cos(a)) * weight(a), half)
    return mean / (2 * mp.quad(weight, half))


@pytest.mark.parametrize("group, k", [(NORM, 0), (COORDINATE, 1), *((g, 2) for g in QUADRATIC)])
@pytest.mark.parametrize("d", [2, 3, 4, 10, 50])
def test_eigenvalues_are_squares_of_funk_hecke_coefficients(group, k, d):
    with mp.workdps(30):
        expected = float((d * legendre_moment(d, k)) ** 2)
    assert group.eigenvalue(d) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("square", [SQUARE, OTHER_ROOT])
def test_limit_functions_are_orthogonal_with_the_eigenvalues_as_squared_norms(d, square):
    family = [g for g in (NORM, COORDINATE, square, PRODUCT) if g.size(d)]
    x = gram_rule(d).T
    F = np.hstack([g.limit(x) for g in family])
    expected = np.repeat([g.eigenvalue(d) for g in family], [g.size(d) for g in family])
    np.testing.assert_allclose(F.T @ F, np.diag(expected), atol=1e-12)


@pytest.mark.parametrize("d", [3, 5, 10])
def test_eigenvalues_and_those_of_higher_degree_sum_to_the_trace(d):
    total = sum(g.size(d) * g.eigenvalue(d) for g in groups.ALL)
    coefficient = math.sqrt(SQUARE.eigenvalue(d)) / d
    for k in range(2, 4000, 2):
        coefficient *= -(k - 1) / (k + d + 1)
        count = math.comb(d + k + 1, k + 2) - math.comb(d + k - 1, k)
        total += count * (d * coefficient) ** 2
    assert total == pytest.approx(d / 2, rel=1e-9)  # the series is cut at degree 4000


@pytest.mark.parametrize("d, share", [(3, 0.99219), (10, 0.98393), (50, 0.97899), (10**7, 0.97746)])
def test_eigenvalues_carry_this_share_of_the_trace(d, share):
    total = sum(g.size(d) * g.eigenvalue(d) for g in groups.ALL)
    assert total / (d / 2) == pytest.approx(share, abs=5.1e-6)


@pytest.mark.parametrize("d", [2, 3, 10, 1000])
def test_the_papers_eigenvalues_carry_the_same_share_of_the_trace_at_every_d(d):
    total = sum(g.size(d) * g.paper_eigenvalue(d) for g in groups.ALL)
    assert total / (d / 2) == pytest.approx(3 / (2 * math.pi) + 1 / 2, rel=1e-13)


@pytest.mark.parametrize("d", [2, 3, 10, 1000, 10**7])
def test_the_papers_eigenvalues_by_hand(d):
    assert NORM.paper_eigenvalue(d) == pytest.approx(0.15915494309189535 * (d + 0.5), rel=1e-14)
    assert COORDINATE.paper_eigenvalue(d) == COORDINATE.eigenvalue(d) == 0.25
    for group in QUADRATIC:
        assert group.paper_eigenvalue(d) == pytest.approx(0.15915494309189535 / (d + 2), rel=1e-14)


@pytest.mark.parametrize("d", [30, 300, 3000])
def test_the_papers_eigenvalues_are_too_small_by_one_over_8_d_squared_and_one_over_2_d(d):
    assert d**2 * (NORM.eigenvalue(d) / NORM.paper_eigenvalue(d) - 1) == pytest.approx(
        1 / 8, rel=2 / d
    )
    for group in QUADRATIC:
        excess = d * (group.eigenvalue(d) / group.paper_eigenvalue(d) - 1)
        assert excess == pytest.approx(1 / 2, rel=4 / d)


# --- columns


@each_group
@pytest.mark.parametrize("columns", [[0], [-1], [0, -1], "reversed", "all", "repeated"])
def test_columns_agree_with_slicing(group, columns):
    d = 5
    size = group.size(d)
    named = {
        "reversed": list(range(size))[::-1],
        "all": list(range(size)),
        "repeated": [0] * (size + 2),
    }
    columns = named[columns] if isinstance(columns, str) else [c % size for c in columns]
    W, x = rng().normal(size=(d, 30)), rng().normal(size=(7, d))
    for given_as in (columns, tuple(columns), np.array(columns)):
        V, F = group.eigenvectors(W, given_as), group.limit(x, given_as)
        np.testing.assert_allclose(V, group.eigenvectors(W)[:, columns], rtol=1e-14)
        np.testing.assert_allclose(F, group.limit(x)[:, columns], rtol=1e-14)
        assert V.flags.f_contiguous
    np.testing.assert_array_equal(group.limit(x[0], columns), group.limit(x, columns)[0])


@each_group
@pytest.mark.parametrize(
    "columns", [[-1], ["size"], [0.0], [True], 0, [[0]], "0", [0, 99], [None], [[0], [0, 1]]]
)
def test_columns_that_are_no_positions_are_refused(group, columns):
    columns = [group.size(4)] if columns == ["size"] else columns
    message = (
        f"^columns must be integers >= 0 and < {group.size(4)}, the size of the group {group.name} "
        f"at d = 4, got {re.escape(repr(columns))}$"
    )
    with pytest.raises(ValueError, match=message):
        group.eigenvectors(np.ones((4, 2)), columns)
    with pytest.raises(ValueError, match=message):
        group.limit(np.ones(4), columns)


# --- symmetry


SPANS = [(NORM,), (COORDINATE,), (SQUARE, PRODUCT), (OTHER_ROOT, PRODUCT)]


@pytest.mark.parametrize("span", SPANS, ids=["1", "2", "3", "3 with the other root"])
@settings(max_examples=25)
@given(d=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_rotations_move_limits_inside_the_span_of_their_group_and_keep_its_kernel(span, d, seed):
    generator = rng(seed)
    Q, x = rotation(d, generator), generator.normal(size=(80, d))

    def F(x):
        return np.hstack([g.limit(x) for g in span])

    plain, turned = F(x), F(x @ Q.T)
    scale = 1e-10 * (x**2).sum()
    np.testing.assert_allclose(turned @ turned.T, plain @ plain.T, rtol=1e-9, atol=scale)
    if plain.shape[1]:
        mixing = np.linalg.lstsq(plain, turned, rcond=None)[0]
        np.testing.assert_allclose(plain @ mixing, turned, atol=1e-9 * np.abs(x).max())
        np.testing.assert_allclose(mixing @ mixing.T, np.eye(len(mixing)), atol=1e-8)


@pytest.mark.parametrize("span", SPANS, ids=["1", "2", "3", "3 with the other root"])
@settings(max_examples=15)
@given(d=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_rotated_weights_give_vectors_with_the_same_span(span, d, seed):
    generator = rng(seed)
    Q, W = rotation(d, generator), generator.normal(size=(d, 60))
    V, turned = (np.hstack([g.eigenvectors(w) for g in span]) for w in (W, Q @ W))
    np.testing.assert_allclose(turned @ turned.T, V @ V.T, rtol=1e-9, atol=1e-9 * (W**2).sum())
    np.testing.assert_allclose(projection(turned), projection(V), atol=1e-9)


def test_a_rotation_does_not_keep_the_span_of_the_squares_alone():
    W = rng().normal(size=(3, 60))
    Q = rotation(3, rng())
    spans = [projection(SQUARE.eigenvectors(w)) for w in (W, Q @ W)]
    assert np.abs(spans[1] - spans[0]).max() > 0.01


# --- numbers, memory and bad input


@each_group
def test_float32_is_kept(group):
    W, x = rng().normal(size=(4, 50)), rng().normal(size=(5, 4))
    V, F = group.eigenvectors(W.astype(np.float32)), group.limit(x.astype(np.float32))
    assert V.dtype == F.dtype == np.float32
    assert group.variance(x.astype(np.float32)).dtype == np.float32
    assert group.eigenvectors(W.astype(np.float32), [0]).dtype == np.float32
    np.testing.assert_allclose(V, group.eigenvectors(W), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(F, group.limit(x), rtol=1e-4, atol=1e-5)
    assert group.eigenvectors(np.ones((4, 5), int)).dtype == np.float64


@each_group
def test_types_are_kept_where_a_group_is_empty(group):
    W = np.ones((1, 5), np.float32)
    assert group.eigenvectors(W).dtype == group.limit(W.T).dtype == np.float32
    assert group.eigenvectors(W).shape == (5, group.size(1))
    assert group.limit(W.T).shape == group.variance(W.T).shape == (5, group.size(1))


@each_group
@pytest.mark.parametrize("order", ["C", "F"])
def test_arguments_are_neither_modified_nor_shared(group, order):
    W, x = (np.array(rng().normal(size=s), order=order) for s in [(4, 30), (6, 4)])
    copies = W.copy(), x.copy()
    V, F = group.eigenvectors(W), group.limit(x)
    assert not np.shares_memory(V, W)
    assert not np.shares_memory(F, x)
    V[:], F[:] = 7, 7
    np.testing.assert_array_equal(W, copies[0])
    np.testing.assert_array_equal(x, copies[1])
    assert not (group.eigenvectors(W) == 7).any()


@each_group
def test_any_memory_layout_gives_the_same_vectors(group):
    W, x = rng().normal(size=(4, 30)), rng().normal(size=(6, 4))
    for layout in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(group.eigenvectors(layout(W)), group.eigenvectors(W), rtol=1e-12)
        np.testing.assert_allclose(group.limit(layout(x)), group.limit(x), rtol=1e-12)


def test_all_products_cost_little_memory_beyond_the_result():
    W = sample_weights(50, 2000, rng())
    V, peak = with_peak(lambda: PRODUCT.eigenvectors(W))
    assert peak < 1.1 * V.nbytes


def test_one_product_costs_the_memory_of_one_product():
    d = 20_000
    W, x, last = rng().normal(size=(d, 3)), rng().normal(size=(2, d)), PRODUCT.size(d) - 1

    def last_product():
        V, F = PRODUCT.eigenvectors(W, [0, last]), PRODUCT.limit(x, [0, last])
        s2, target = PRODUCT.variance(x, [last]), targets.limit(PRODUCT, d, last)
        return V, F, s2, target(x), target.moment(W)

    (V, F, s2, value, b), peak = with_peak(last_product)
    assert peak < 10 * (W.nbytes + x.nbytes)  # a list of all pairs has 3 GB
    norms = np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(V[:, 1], math.sqrt(d + 2) * W[-2] * W[-1] / norms, rtol=1e-12)
    np.testing.assert_allclose(F[:, 1], value, rtol=1e-13)
    np.testing.assert_allclose(b, PRODUCT.eigenvalue(d) * V[:, 1], rtol=1e-13)
    expected = ((x**2).sum(axis=1) + 2 * x[:, -2] ** 2 + 2 * x[:, -1] ** 2) / 2 * (d + 2) / (d + 4)
    np.testing.assert_allclose(s2[:, 0], expected - F[:, 1] ** 2, rtol=1e-12)


@given(st.data())
def test_pairs_are_found_without_a_list_of_all(data):
    d = data.draw(st.integers(2, 2 * 10**9))
    a = data.draw(st.integers(0, d - 2))
    b = data.draw(st.integers(a + 1, d - 1))
    position = a * (2 * d - 1 - a) // 2 + b - a - 1
    assert position < PRODUCT.size(d)
    assert axes(PRODUCT, d, position) == (a, b)


@pytest.mark.parametrize("d", [10**6, 2 * 10**9])
def test_pairs_at_the_ends_of_their_rows(d):
    for a in (0, 1, d // 2, d - 3, d - 2):
        for b in (a + 1, d - 1):
            position = a * (2 * d - 1 - a) // 2 + b - a - 1
            assert axes(PRODUCT, d, position) == (a, b)


@pytest.mark.parametrize("d", [2, 3, 4, 7, 40])
def test_pairs_come_in_lexicographic_order(d):
    found = groups._pairs(d, np.arange(d * (d - 1) // 2))
    np.testing.assert_array_equal(found, np.triu_indices(d, 1))


@each_group
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_columns_of_any_integer_type(group, kind):
    W, x, d = rng().normal(size=(30, 4)), rng().normal(size=(2, 30)), np.int8(30)
    columns = np.arange(group.size(d))[:28].astype(kind)
    np.testing.assert_array_equal(group.eigenvectors(W, columns), group.eigenvectors(W)[:, :28])
    np.testing.assert_array_equal(group.limit(x, columns), group.limit(x)[:, :28])
    np.testing.assert_array_equal(group.variance(x, columns), group.variance(x)[:, :28])


@each_group
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1e155, 1e200, 1e300])
def test_vectors_and_limits_of_any_size(group, scale):
    # Powers of two, so that nothing is rounded.
    scale = 2.0 ** math.floor(math.log2(scale))
    W, x = rng().normal(size=(4, 9)), rng().normal(size=(5, 4))
    sizes = np.where(np.arange(9) % 3, 1.0, scale)
    np.testing.assert_array_equal(
        group.eigenvectors(W * sizes), group.eigenvectors(W) * sizes[:, None]
    )
    x[2] = 0
    sizes = np.where(np.arange(5) % 2, 1.0, scale)
    np.testing.assert_array_equal(group.limit(x * sizes[:, None]), group.limit(x) * sizes[:, None])


@each_group
def test_sizes_at_the_edge_of_single_precision(group):
    W, x = rng().normal(size=(4, 9)).astype(np.float32), rng().normal(size=(5, 4))
    for scale in (2.0**-120, 2.0**-70, 2.0**100):
        V = group.eigenvectors(W * np.float32(scale))
        assert V.dtype == np.float32
        np.testing.assert_array_equal(V, group.eigenvectors(W) * np.float32(scale))
    tiny = 2.0**-700
    np.testing.assert_array_equal(group.variance(tiny * x[:2]), np.zeros((2, group.size(4))))
    small = 2.0**-400
    np.testing.assert_allclose(group.variance(small * x), small**2 * group.variance(x), rtol=1e-14)


def test_lengths_that_are_subnormal():
    W = np.full((4, 1), 2.0**-1070)
    assert NORM.eigenvectors(W).item() == 2.0**-1070
    assert COORDINATE.eigenvectors(W)[0, 0] == 2.0**-1070
    assert PRODUCT.limit(W.T)[0, 0] == pytest.approx(
        PRODUCT.limit(np.ones(4))[0] * 2.0**-1070, abs=5e-324
    )


@each_group
def test_a_zero_column_is_refused_where_the_group_divides_by_its_norm(group):
    W = np.ones((3, 5))
    W[:, 3] = 0
    if group in (NORM, COORDINATE):
        assert not group.eigenvectors(W)[3].any()
    else:
        with pytest.raises(ValueError, match=r"^W must have no zero column.*; column 3 is zero$"):
            group.eigenvectors(W)
        with pytest.raises(ValueError, match=r"column 3 is zero"):
            group.eigenvectors(W, [0])


@each_group
def test_arrays_that_are_no_weights_or_inputs_are_refused(group):
    with pytest.raises(ValueError, match=r"^W must have shape \(d, m\), got shape \(3,\)"):
        group.eigenvectors(np.ones(3))
    with pytest.raises(ValueError, match=r"^W must not be empty, got shape \(0, 3\)"):
        group.eigenvectors(np.ones((0, 3)))
    with pytest.raises(ValueError, match=r"^W must be finite, got nan at index \(0, 1\)"):
        group.eigenvectors([[1, np.nan]])
    with pytest.raises(ValueError, match=r"^x must have shape \(n, d\) or \(d,\), got shape \(\)"):
        group.limit(1.0)
    with pytest.raises(ValueError, match=r"^x must not be empty, got shape \(0, 3\)"):
        group.limit(np.ones((0, 3)))
    with pytest.raises(ValueError, match=r"^x must be finite, got inf at index \(1, 0\)"):
        group.limit([[1.0], [np.inf]])


@each_group
@pytest.mark.parametrize("method", ["size", "labels", "eigenvalue", "paper_eigenvalue"])
@pytest.mark.parametrize("d", [0, -2, 3.0, True, "3", None])
def test_dimensions_that_are_not_counts_are_refused(group, method, d):
    with pytest.raises(ValueError, match=r"^d must be an integer >= [12], got "):
        getattr(group, method)(d)


def test_at_dimension_one_only_the_norm_and_the_coordinate_have_an_eigenvalue():
    for group in (NORM, COORDINATE):
        assert group.eigenvalue(1) == pytest.approx(0.25, rel=1e-14)
    assert NORM.limit([-3.0]) == pytest.approx(3 / 2)
    assert COORDINATE.limit([-3.0]) == pytest.approx(-3 / 2)
    for group in QUADRATIC:
        for method in (group.eigenvalue, group.paper_eigenvalue):
            with pytest.raises(ValueError, match=r"^d must be an integer >= 2, got 1"):
                method(1)
            assert method(2) > 0


@pytest.mark.parametrize("d", [1, 0, 2.0, True])
def test_kappa_needs_two_dimensions(d):
    with pytest.raises(ValueError, match=r"^d must be an integer >= 2, got "):
        SQUARE.kappa(d)


@pytest.mark.parametrize("root", [0, 2, "1", None, 0.5, True, [1, -1], np.ones(2, int)])
def test_a_root_that_is_no_sign_is_refused(root):
    with pytest.raises(ValueError, match=r"^root must be 1 or -1, got "):
        Square(root)


def test_scatter_of_random_norms_is_chi_distributed():
    V = NORM.eigenvectors(sample_weights(3, 20_000, rng()))[:, 0]
    assert stats.kstest(V * math.sqrt(3 * 20_000), "chi", args=(3,)).pvalue > 1e-4


@each_group
def test_no_columns_give_no_vectors(group):
    assert group.eigenvectors(np.ones((4, 2)), []).shape == (2, 0)
    assert group.limit(np.ones((3, 4)), []).shape == (3, 0)


# --- groups of one's own


def symmetric(d, seed, count=3):
    A = rng(seed).normal(size=(count, d, d))
    return A + A.swapaxes(1, 2)


def traceless(d, seed, count=3):
    A = symmetric(d, seed, count)
    return A - np.trace(A, axis1=1, axis2=2)[:, None, None] * np.eye(d) / d


def rows(d, seed, count=3):
    return rng(seed).normal(size=(count, d))


def multiples(d, seed):
    return rng(seed).normal(size=(3, 1, 1)) * np.eye(d)


OWN = [(Linear, rows), (Quadratic, symmetric), (Quadratic, traceless), (Quadratic, multiples)]
each_own = pytest.mark.parametrize("kind, forms", OWN, ids=lambda made: made.__name__)


@each_own
@settings(max_examples=20)
@given(d=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_own_vectors_and_limits_under_an_exact_rule(kind, forms, d, seed):
    given_forms, x = forms(d, seed), rng(seed).normal(size=d)
    group, W = kind("mine", given_forms), limit_rule(x)
    V = group.eigenvectors(W)
    if kind is Linear:
        expected = (given_forms @ W).T
    else:
        expected = (
            np.einsum("aj,kab,bj->jk", W, given_forms, W) / np.linalg.norm(W, axis=0)[:, None]
        )
    np.testing.assert_allclose(V, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
    scale = np.abs(given_forms).max() * np.linalg.norm(x)
    np.testing.assert_allclose(group.limit(x), forward(x, W, V), rtol=1e-12, atol=1e-12 * scale)


@each_own
@settings(max_examples=5)
@given(d=st.integers(2, 5), seed=st.integers(0, 2**32))
def test_own_variances_under_an_exact_rule(kind, forms, d, seed):
    group, x = kind("mine", forms(d, seed)), rng(seed).normal(size=(3, d))
    np.testing.assert_allclose(group.variance(x), exact_variance(group, x), rtol=1e-12)


@pytest.mark.parametrize("group", EVERY, ids=repr)
@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_papers_groups_made_from_their_forms(group, d):
    kind = Linear if group is COORDINATE else Quadratic
    own = kind("copy", [group.form(d, k).dense() for k in range(group.size(d))])
    W, x = rng().normal(size=(d, 9)), rng(2).normal(size=(4, d))
    assert (own.size(d), own.degree) == (group.size(d), group.degree)
    assert own.eigenvalue(d) == group.eigenvalue(d)
    assert own.paper_eigenvalue(d) == group.paper_eigenvalue(d)
    np.testing.assert_allclose(own.eigenvectors(W), group.eigenvectors(W), atol=1e-13)
    np.testing.assert_allclose(own.limit(x), group.limit(x), atol=1e-13)
    np.testing.assert_allclose(own.variance(x), group.variance(x), rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 10])
def test_vectors_of_one_degree_come_back_times_the_root_of_the_eigenvalue(d):
    # The limit of a vector q(w) is the harmonic q(x) itself, times d b_k.
    x = rng().normal(size=(5, d))
    own = [Linear("a", rows(d, 1)), Quadratic("1", multiples(d, 1))]
    own += [Quadratic("0", traceless(d, 1))] if d > 1 else []
    for group in [*own, *(group for group in EVERY if d >= group.smallest_d)]:
        expected = math.sqrt(group.eigenvalue(d)) * group.eigenvectors(x.T)
        np.testing.assert_allclose(group.limit(x), expected, rtol=1e-12, atol=1e-13)


def test_forms_that_mix_degrees_have_no_eigenvalue():
    both = np.concatenate([traceless(3, 1), multiples(3, 1)])
    for forms in (symmetric(3, 1), both):
        group = Quadratic("mixed", forms)
        assert group.degree is None
        for method in (group.eigenvalue, group.paper_eigenvalue):
            with pytest.raises(
                ValueError, match=r"^eigenvalues belong to groups of one degree.*mixed"
            ):
                method(3)
    # What rounding leaves of a trace does not count, nor does the scale of the forms.
    for scale in (1e-100, 1.0, 1e100):
        rounded = scale * (traceless(3, 1) + 1e-14 * np.eye(3))
        assert Quadratic("0", rounded).degree == 2
        assert Quadratic("1", scale * (np.eye(3) + 1e-14 * traceless(3, 1, 1))).degree == 0


@each_own
def test_own_groups_keep_their_identity(kind, forms):
    group, other = kind("mine", forms(4, 1)), kind("mine", forms(4, 2))
    for twin in (
        kind("mine", forms(4, 1)),
        copy.deepcopy(group),
        pickle.loads(pickle.dumps(group)),
    ):
        assert twin == group
        assert hash(twin) == hash(group)
        assert repr(twin) == repr(group)
    assert len({group, other, kind("yours", forms(4, 1)), *EVERY}) == 3 + len(EVERY)
    # Simulations tell groups apart by what they show.
    assert repr(group) != repr(other)
    assert repr(group).startswith(f"<group 'mine', {kind.__name__.lower()} ({group.size(4)}, 4")


def test_own_forms_are_copied():
    given_rows = rows(3, 1)
    group = Linear("mine", given_rows)
    before = group.limit(np.ones(3))
    given_rows[:] = 7
    group.form(3).block[:] = 7
    np.testing.assert_array_equal(group.limit(np.ones(3)), before)


def test_forms_are_symmetric_up_to_rounding_whatever_their_size():
    bent = [[1.0, 2], [3, 4]]
    message = r"^forms must be symmetric, got form 1 with 2\.0 at \(0, 1\) and 3\.0 at \(1, 0\)$"
    for size in (1e-15, 1.0, 1e15):  # of another form, which does not count
        with pytest.raises(ValueError, match=message):
            Quadratic("a", [size * np.eye(2), bent])
    for scale in (1e-100, 1e-9, 1.0, 1e9, 1e100):
        rounded = scale * np.array([[[1.0, 2 + 1e-13], [2, 3]]])
        dense = Quadratic("a", rounded).form(2).dense()
        np.testing.assert_array_equal(dense, dense.T)
        np.testing.assert_allclose(dense, rounded[0], rtol=1e-13)


def test_zeros_of_either_sign_make_the_same_group():
    assert Linear("a", [[-0.0, 1.0]]) == Linear("a", [[0.0, 1.0]])


@each_own
def test_own_groups_take_columns_types_and_sizes_as_the_papers_do(kind, forms):
    group, W, x = kind("mine", forms(4, 1)), rng().normal(size=(4, 9)), rng().normal(size=(5, 4))
    assert group.labels(4) == ("k=1", "k=2", "k=3")
    V, F, s2 = group.eigenvectors(W), group.limit(x), group.variance(x)
    assert V.flags.f_contiguous
    for columns in ([2, 0], [1, 1], []):
        np.testing.assert_allclose(group.eigenvectors(W, columns), V[:, columns], rtol=1e-13)
        np.testing.assert_allclose(group.limit(x, columns), F[:, columns], rtol=1e-13)
        np.testing.assert_allclose(group.variance(x, columns), s2[:, columns], rtol=1e-13)
    for method, argument in [("eigenvectors", W), ("limit", x), ("variance", x)]:
        assert getattr(group, method)(argument.astype(np.float32)).dtype == np.float32
    scale = 2.0**-600
    np.testing.assert_array_equal(group.eigenvectors(scale * W), scale * V)
    np.testing.assert_array_equal(group.limit(scale * x), scale * F)
    assert not group.limit(np.zeros(4)).any()
    W[:, 3] = 0
    if group.degree in (0, 1):
        assert not group.eigenvectors(W)[3].any()
    else:
        with pytest.raises(ValueError, match="column 3 is zero"):
            group.eigenvectors(W)


SADDLE = [[[1.0, 0.0], [0.0, -1.0]]]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Linear("", [[1.0]]), "name must be a string with at least one letter, got ''"),
        (lambda: Quadratic(3, SADDLE), "name must be a string with at least one letter, got 3"),
        (lambda: Linear("a", [1.0, 2]), r"rows must have shape \(K, d\), got shape \(2,\)"),
        (lambda: Linear("a", [[1.0], [np.nan]]), r"rows must be finite, got nan at index \(1, 0\)"),
        (lambda: Linear("a", [[1.0, 0], [0, 0]]), "rows must be other than 0, got row 1 of zeros"),
        (lambda: Linear("a", np.zeros((0, 3))), "rows must not be empty"),
        (
            lambda: Quadratic("a", SADDLE[0]),
            r"forms must have shape \(K, d, d\), got shape \(2, 2\)",
        ),
        (lambda: Quadratic("a", [[[1.0, 2]]]), r"forms must have shape \(K, d, d\), got shape"),
        (lambda: Quadratic("a", 0 * np.ones((1, 2, 2))), "forms must be other than 0, got form 0"),
        (lambda: Quadratic("a", [[[1.0, 2], [3, 4]]]), "forms must be symmetric, got form 0 with"),
        (lambda: Quadratic("a", SADDLE).size(3), "d must be 2, that of the forms of a, got 3"),
        (
            lambda: Quadratic("a", SADDLE).eigenvalue(3),
            "d must be 2, that of the forms of a, got 3",
        ),
        (lambda: Quadratic("a", SADDLE).limit(np.ones(3)), "d must be 2, that of the forms of a"),
        (
            lambda: Quadratic("a", SADDLE).eigenvectors([[1.0]]),
            "d must be 2, that of the forms of a",
        ),
        (
            lambda: Quadratic("a", SADDLE).limit(np.ones(2), [1]),
            "columns must be integers >= 0 and < 1",
        ),
    ],
)
def test_own_groups_that_are_none_are_refused(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


# --- several groups side by side


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_basis_is_its_groups_side_by_side(d):
    members = (*groups.ALL, CENTRED_SQUARE, Linear("mine", rows(d, 1)))
    basis, W, x = Basis(iter(members), d), rng().normal(size=(d, 9)), rng().normal(size=(4, d))
    vectors = np.hstack([group.eigenvectors(W) for group in members])
    limits = np.hstack([group.limit(x) for group in members])
    assert basis.groups == members
    assert vectors.shape == (9, basis.size)
    assert basis.eigenvectors(W).flags.f_contiguous
    np.testing.assert_array_equal(basis.eigenvectors(W), vectors)
    np.testing.assert_array_equal(basis.limit(x), limits)
    np.testing.assert_allclose(basis.limit(x[0]), limits[0], rtol=1e-12, atol=1e-14)
    assert basis.eigenvectors(W.astype(np.float32)).dtype == np.float32
    assert len(set(basis.labels)) == basis.size
    assert basis.labels[:2] == ("norm 0", "coordinate l=1")
    for group in members:
        columns = basis.columns(group)
        np.testing.assert_array_equal(vectors[:, columns], group.eigenvectors(W))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_basis_has_the_eigenvalues_of_its_groups(d):
    found = Basis(groups.ALL, d).eigenvalues
    expected = [group.eigenvalue(d) for group in groups.ALL for _ in range(group.size(d))]
    np.testing.assert_array_equal(found, expected)


def test_a_basis_of_many_vectors_costs_nothing_before_it_is_asked():
    columns, peak = with_peak(lambda: Basis(groups.ALL, 10**6).columns(PRODUCT))
    assert columns == slice(2 * 10**6, 10**6 * (10**6 + 3) // 2)
    assert peak < 2**16


@pytest.mark.parametrize("door", [Basis(groups.ALL, 3), PRODUCT, Linear("mine", rows(3, 1))])
def test_weights_are_checked_once(door, monkeypatch):
    calls = []

    def counted(W):
        calls.append(W)
        return np.asarray(W)

    for module in ("_forms", "_own"):
        monkeypatch.setattr(f"reluspec_lib.{module}.check_weights", counted)
    door.eigenvectors(np.ones((3, 2)))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Basis("norm", 3), "groups must be a sequence such as groups.ALL, got 'norm'"),
        (lambda: Basis(NORM, 3), "groups must be a sequence such as groups.ALL, got <group 'norm'"),
        (lambda: Basis([], 3), r"groups must be a sequence such as groups.ALL, got \[\]"),
        (lambda: Basis([NORM, None], 3), "groups must be a sequence such as groups.ALL, got"),
        (lambda: Basis([NORM, groups.Norm()], 3), "groups must be different, got"),
        (lambda: Basis(groups.ALL, 0), "d must be an integer >= 1, got 0"),
        (lambda: Basis([Linear("a", [[1.0, 0]])], 3), "d must be 2, that of the forms of a, got 3"),
        (
            lambda: Basis([NORM], 3).columns(PRODUCT),
            r"group must be one of \(<group 'norm', .*got <",
        ),
        (
            lambda: Basis([NORM], 3).eigenvectors(np.ones((2, 4))),
            r"W must have shape \(3, m\), got",
        ),
        (lambda: Basis([NORM], 3).eigenvectors([1.0]), r"W must have shape \(d, m\), got"),
        (lambda: Basis([NORM], 3).limit([1.0, 2]), r"x must have 3 coordinates, got shape \(2,\)"),
        (lambda: Basis([NORM], 3).limit(1.0), r"x must have shape \(n, d\) or \(d,\), got"),
    ],
)
def test_bases_that_are_none_are_refused(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
