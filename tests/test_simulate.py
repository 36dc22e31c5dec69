"""Monte Carlo over hidden weights, against the same numbers by plain array code."""

import math

import numpy as np
import pytest

from reluspec_lib import features, groups, simulate

SIZES = {"d": 4, "m": 30, "n": 7, "draws": 3}


def rng(seed=1):
    return np.random.default_rng(seed)


def mae(groups=groups.ALL, rng=None, **sizes):
    generator = np.random.default_rng(1) if rng is None else rng
    return simulate.mae(**(SIZES | sizes), groups=groups, rng=generator)


def test_rows_hold_the_setting_and_one_error_per_group():
    rows = mae([*groups.ALL, groups.CENTRED_SQUARE])
    names = ("d", "m", "n", "draw", "norm", "coordinate", "square", "product", "centred square")
    assert rows.dtype.names == names
    assert rows[["d", "m", "n", "draw"]].tolist() == [(4, 30, 7, k) for k in range(3)]
    assert all((rows[name] > 0).all() for name in names[4:])


@pytest.mark.parametrize("group", [*groups.ALL, groups.CENTRED_SQUARE, groups.Square(-1)])
def test_errors_are_means_over_inputs_of_the_distance_to_the_limit(group):
    generator = rng(5)
    expected = []
    for _ in range(3):
        W, x = generator.standard_normal((4, 30)) / math.sqrt(30), generator.standard_normal((7, 4))
        f = features(x, W) @ group.eigenvectors(W)[:, 0]
        expected.append(np.abs(f - group.limit(x)[:, 0]).mean())
    np.testing.assert_allclose(mae([group], rng(5))[group.name], expected, rtol=1e-12)


def test_groups_share_their_draws():
    together = mae(groups.ALL, rng(3))
    for group in groups.ALL:
        np.testing.assert_allclose(mae([group], rng(3))[group.name], together[group.name])


def test_draws_are_independent_and_decided_by_the_seed():
    rows = mae(draws=20)
    assert len(np.unique(rows["norm"])) == 20
    np.testing.assert_array_equal(mae(draws=20), rows)
    assert not np.isin(mae(draws=20, rng=rng(2))["norm"], rows["norm"]).any()


def expected_error(group, d, m, inputs):
    """sqrt(2 / (pi m)) E s(x), s(x) the standard deviation over units of the central limit."""
    norm2, F = (inputs**2).sum(axis=1), group.limit(inputs)[:, 0]
    variance = {
        "norm": norm2 * (d + 2) / (2 * d),
        "coordinate": norm2 / 2 + inputs[:, 0] ** 2,
        "product": (d + 2) / (2 * (d + 4)) * (norm2 + 2 * (inputs[:, :2] ** 2).sum(axis=1)),
    }[group.name] - F**2
    return math.sqrt(2 / (math.pi * m)) * np.sqrt(variance).mean()


@pytest.mark.parametrize("d", [2, 10])
@pytest.mark.parametrize("group", [groups.NORM, groups.COORDINATE, groups.PRODUCT])
def test_errors_are_those_of_the_central_limit_theorem_over_units(group, d):
    m, draws = 2000, 400
    errors = mae([group], d=d, m=m, n=20, draws=draws)[group.name]
    standard_error = errors.std(ddof=1) / math.sqrt(draws)
    expected = expected_error(group, d, m, rng(2).normal(size=(100_000, d)))
    assert standard_error < 0.04 * expected
    assert abs(errors.mean() - expected) < 5 * standard_error


def test_one_dimension_works_for_the_groups_that_have_a_vector():
    assert mae([groups.NORM, groups.COORDINATE], d=1)["norm"].shape == (3,)
    for group in (groups.SQUARE, groups.PRODUCT):
        with pytest.raises(ValueError, match=rf"^groups must have a vector each, got {group.name}"):
            mae([group], d=1)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, 2.0, True, None, "2"])
def test_sizes_that_are_not_counts_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be an integer >= 1, got "):
        mae(**{name: value})


@pytest.mark.parametrize("value", [1, np.random.RandomState(1), "rng"])
def test_a_source_of_randomness_that_is_no_generator_is_refused(value):
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator"):
        mae(rng=value)


@pytest.mark.parametrize("value", [[], [groups.SQUARE, groups.Square(-1)]])
def test_no_groups_or_two_of_one_name_are_refused(value):
    with pytest.raises(ValueError, match=r"^groups must be at least one, with different names"):
        mae(value)
