"""What the theory says of a data set, against plain numpy and the other modules."""

import dataclasses
import math
import re
import types

import numpy as np
import pytest
import scipy.linalg

from helpers import NOT_COUNTS, relative, rng
from reluspec_lib import dynamics, groups, harmonics, inputs, risk
from reluspec_lib.beyond._data import check_data, check_responses, prepared

D, M = 3, 60


def table(n=200, seed=1):
    """Correlated, skew, off-centre, in units of very different size."""
    generator = rng(seed)
    z = generator.standard_normal((n, D)) + 0.3 * generator.exponential(size=(n, 1))
    return (z + np.array([1.0, 0.0, 2.0])) * [0.1, 1.0, 5.0]


def responses(x):
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    y = np.linalg.norm(z, axis=1) + z[:, 0] + z[:, 1] * z[:, 2]
    return y - y.mean()


def weights(m=M, seed=5):
    return rng(seed).standard_normal((D, m)) / math.sqrt(m)


def whole(message):
    return f"^{re.escape(message)}$"


def scaled(z):
    return z * math.sqrt(z.shape[1] / (z**2).sum(axis=1).mean())


def frame(values, columns):
    """What has the two attributes that are read of a frame."""
    return types.SimpleNamespace(to_numpy=lambda: np.asarray(values, object), columns=columns)


# --- what is done to the data


def test_the_three_views_of_the_data():
    x = table()
    views = dict(prepared(x))
    for z in views.values():
        assert relative((z**2).sum() / len(z), D) < 1e-12
    np.testing.assert_allclose(views["raw"], scaled(x), rtol=1e-12)
    np.testing.assert_allclose(views["centred"], scaled(x - x.mean(axis=0)), atol=1e-12)
    correlation = np.corrcoef(x.T)
    root = scipy.linalg.inv(scipy.linalg.sqrtm(correlation)).real
    z = (x - x.mean(axis=0)) / x.std(axis=0) @ root
    np.testing.assert_allclose(views["whitened"], z, atol=1e-10)
    np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(D), atol=1e-10)


# --- the views, by plain numpy, with more rows than units and fewer


@pytest.mark.parametrize("n, m", [(200, 60), (50, 60)])
@pytest.mark.parametrize("name", ["raw", "centred", "whitened"])
def test_a_view_against_plain_numpy(n, m, name):
    x = table(n)
    one = getattr(inputs.diagnose(x, m, 5), name)
    z, W = dict(prepared(x))[name], weights(m)
    X = np.maximum(z @ W, 0)
    _, s, Vt = np.linalg.svd(X / math.sqrt(n), full_matrices=False)
    assert (one.d, one.n, one.m, one.name) == (D, n, m, name)
    np.testing.assert_allclose(one.eigenvalues, s**2, atol=1e-12 * s[0] ** 2)
    J = X.T @ X / n
    basis = groups.Basis(groups.ALL, D)
    V, F = basis.eigenvectors(W), basis.limit(z)
    np.testing.assert_allclose(one.rates, (F**2).mean(axis=0), rtol=1e-12)
    ends = {"norm": (0, 1), "coordinates": (1, 1 + D), "group 3": (1 + D, basis.size)}
    for group, (start, stop) in ends.items():
        chosen = V[:, start:stop]
        share = np.trace(chosen.T @ J @ chosen) / np.trace(J)
        assert one.shares[group] == pytest.approx(share, rel=1e-10)
        away = []
        for v in chosen.T:
            theta = v @ J @ v / (v @ v)
            away.append(np.linalg.norm(J @ v - theta * v) / theta / np.linalg.norm(v))
        assert one.residuals[group] == pytest.approx(np.sqrt(np.mean(np.square(away))), rel=1e-9)
        angles = scipy.linalg.subspace_angles(V[:, :stop], Vt[:stop].T)
        np.testing.assert_allclose(one.angles[group], np.degrees(angles[::-1]), atol=1e-5)
        assert one.overlaps[group] == pytest.approx(np.mean(np.cos(angles) ** 2), rel=1e-9)
    assert sum(one.shares.values()) == pytest.approx(1, rel=1e-12)
    c = z - z.mean(axis=0)
    covariance = c.T @ c / n
    assert one.offset == pytest.approx((z.mean(axis=0) ** 2).sum() / D, abs=1e-12)
    assert one.effective_rank == pytest.approx(
        np.trace(covariance) ** 2 / np.trace(covariance @ covariance), rel=1e-10
    )
    assert one.kurtosis == pytest.approx(
        np.mean((c**4).mean(axis=0) / np.diag(covariance) ** 2), rel=1e-10
    )
    first = np.linalg.svd(F, full_matrices=False)[2][0]
    assert one.tilt == pytest.approx(math.degrees(math.acos(abs(first[0]))), abs=1e-6)
    assert one.late == (np.linalg.eigvalsh(z.T @ z / n) < 4 * harmonics.eigenvalue(D, 2)).sum()


@pytest.mark.parametrize("entries", [7 * M, 1])
def test_blocks_of_rows_add_up(monkeypatch, entries):
    x = table()
    whole = inputs.diagnose(x, M, 5, responses(x))
    monkeypatch.setattr("reluspec_lib.beyond._view._ENTRIES", entries)
    parts = inputs.diagnose(x, M, 5, responses(x))
    for one, two in zip(whole.views, parts.views, strict=True):
        np.testing.assert_allclose(one.eigenvalues, two.eigenvalues, atol=1e-11)
        np.testing.assert_allclose(one.rates, two.rates, rtol=1e-11)
        np.testing.assert_allclose(one.curves.network, two.curves.network, rtol=1e-9)
        np.testing.assert_allclose(one.curves.groups, two.curves.groups, rtol=1e-9)


def test_group_3_is_left_out_where_it_has_more_vectors_than_rows():
    x = rng().standard_normal((12, 4))
    found = inputs.diagnose(x, 50, 1, x[:, 0])
    one = found.whitened
    assert list(one.angles) == ["norm", "coordinates"]
    assert math.isnan(one.shares["group 3"])
    assert math.isnan(one.residuals["group 3"])
    assert one.rates.shape == (5,)
    assert len(found.labels) == 5
    assert math.isnan(found.records()[2]["overlap group 3"])
    with pytest.raises(ValueError, match=r"n > 14 rows, got 12"):
        one.ridge(5, 0.1)


@pytest.mark.parametrize("n, m", [(14, 50), (13, 50), (50, 14), (50, 13)])
def test_group_3_needs_as_many_rows_and_units_as_there_are_vectors(n, m):
    one = inputs.diagnose(rng().standard_normal((n, 4)), m, 1).raw
    there = min(n, m) == 14
    assert list(one.angles) == ["norm", "coordinates", "group 3"][: 3 if there else 2]
    assert math.isnan(one.shares["group 3"]) != there
    assert math.isnan(one.residuals["group 3"]) != there
    assert not math.isnan(one.residuals["coordinates"])
    assert one.rates.shape == (14 if there else 5,)


def test_rows_that_come_twice_have_no_angles_of_their_own():
    x = np.repeat(rng(6).standard_normal((6, D)), 2, axis=0)
    one = inputs.diagnose(x, M, 5, responses(x), times=[1.0, 5.0]).raw
    # Six functions are left on the data, fewer than the nine of all groups, more than the four.
    assert list(one.angles) == ["norm", "coordinates"]
    other = inputs.diagnose(x[::2], M, 5, responses(x)[::2], times=[1.0, 5.0]).raw
    np.testing.assert_allclose(one.eigenvalues[:6], other.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(one.eigenvalues[6:], 0, atol=1e-14)
    np.testing.assert_allclose(one.curves.network, other.curves.network, rtol=1e-9)
    for name in one.angles:
        np.testing.assert_allclose(one.angles[name], other.angles[name], rtol=1e-7)


# --- learning


@pytest.mark.parametrize("n", [9, 10])
def test_noise_needs_more_rows_than_functions(n):
    x = table(n)
    one = inputs.diagnose(x, M, 5, responses(x)).raw
    assert (one.noise is None) == (one.signal is None) == (n == 9)
    if n == 9:
        message = (
            "ridge needs responses and more rows than functions: give y to diagnose, with n > 9 "
            "rows, got 9"
        )
        with pytest.raises(ValueError, match=whole(message)):
            one.ridge(5, 0.1)


def test_noise_needs_as_many_units_as_functions():
    x = table(50)
    one = inputs.diagnose(x[:, :2], 4, 5, responses(x)).raw
    assert (one.noise, one.signal) == (None, None)


@pytest.mark.parametrize("share, late", [(1.1, 0), (0.9, 2)])
def test_directions_that_come_after_group_3_are_counted(share, late):
    low = 4 * share * harmonics.eigenvalue(D, 2)
    x = scipy.linalg.hadamard(8)[:, 1:4] * np.sqrt([D - 2 * low, low, low])
    assert inputs.diagnose(x, M, 5).raw.late == late


def test_the_times_are_from_before_the_norm_to_after_group_3():
    times = inputs.diagnose(table(20), M, 5, table(20)[:, 0]).raw.curves.times
    norm, _, third = (harmonics.eigenvalue(D, k) for k in range(3))
    np.testing.assert_allclose(times, np.geomspace(0.05 / norm, 5 / third, 60), rtol=1e-12)


@pytest.mark.parametrize("n, m", [(200, 60), (50, 60)])
@pytest.mark.parametrize("name", ["raw", "whitened"])
def test_curves_against_the_flow_itself(n, m, name):
    x = table(n)
    y, times = responses(x), [0.0, 0.3, 2.0, 30.0]
    one = getattr(inputs.diagnose(x, m, 5, y, times=times), name)
    z, W = dict(prepared(x))[name], weights(m)
    path = dynamics.flow(W, np.zeros(m), times, sample=(z, y))
    left = y[:, None] - np.maximum(z @ W, 0) @ path.readout
    size = (y**2).mean()
    np.testing.assert_allclose(one.curves.network, (left**2).mean(axis=0) / size, rtol=1e-8)
    F = groups.Basis(groups.ALL, D).limit(z)
    for t, value in zip(times, one.curves.groups, strict=True):
        left = scipy.linalg.expm(-t * F @ F.T / n) @ y
        assert value == pytest.approx((left**2).mean() / size, rel=1e-8)
    explained, shares = 0.0, []
    for stop in (1, 1 + D, F.shape[1]):
        fit = F[:, :stop] @ np.linalg.lstsq(F[:, :stop], y, rcond=None)[0]
        shares.append((fit**2).mean() / size - explained)
        explained += shares[-1]
    np.testing.assert_allclose(list(one.curves.power.values()), shares, atol=1e-9)
    # Unbiased: of n rows of noise, 9 functions fit 9.
    variance = size * (1 - explained) * n / (n - 9)
    assert one.noise**2 == pytest.approx(variance, rel=1e-7)
    signal = [max(size * p - k * variance / n, 0) for p, k in zip(shares, (1, 3, 5), strict=True)]
    np.testing.assert_allclose([one.signal[k] for k in range(3)], signal, atol=1e-8 * size)
    ideal = [
        1 - sum(p * -math.expm1(-2 * harmonics.eigenvalue(D, k) * t) for k, p in enumerate(shares))
        for t in times
    ]
    np.testing.assert_allclose(one.curves.ideal, ideal, atol=1e-9)


def test_signal_and_noise_are_those_of_the_responses():
    generator = rng(3)
    x = generator.standard_normal((20_000, D))
    y = 2 * x[:, 0] + x[:, 1] * x[:, 2] / np.linalg.norm(x, axis=1)
    y += 1.5 * generator.standard_normal(len(x))
    one = inputs.diagnose(x, 20, 1, y).whitened
    assert one.noise == pytest.approx(1.5, rel=0.02)
    # E x_a^2 x_b^2/|x|^2 = d/(d (d+2)) for x ~ N(0, I_d).
    assert one.signal[1] == pytest.approx(4, rel=0.03)
    assert one.signal[2] == pytest.approx(1 / (D + 2), rel=0.15)
    assert one.signal[0] < 0.01
    alphas = [0.1, 0.3]
    expected = risk.Ridge(D, 20, 100, alphas, power=one.signal, noise=one.noise).risk
    np.testing.assert_allclose(one.ridge(100, alphas), expected + one.noise**2, rtol=1e-12)


def test_without_responses_there_are_no_curves():
    one = inputs.diagnose(table(), M, 1).raw
    assert (one.curves, one.noise, one.signal) == (None, None, None)


# --- what does not depend on the data, and the theory on Gaussian data


@pytest.mark.parametrize("d, m", [(2, 5), (3, 60), (10, 1000)])
def test_expected_shares_from_limits_and_variances(d, m):
    x = table(4, seed=8)[:, [0] * d] * rng().uniform(1, 2, (4, d))
    shares, parts = inputs.expected_shares(d, m), {}
    half = (x**2).sum(axis=1).mean() / 2
    named = ("norm", "coordinates", "group 3", "group 3")
    for name, group in zip(named, groups.ALL, strict=True):
        square = (group.limit(x) ** 2 + group.variance(x) / m).sum(axis=1).mean()
        parts[name] = parts.get(name, 0.0) + square / half
    for name, part in parts.items():
        assert shares[name] == pytest.approx(part, rel=1e-10)
    assert sum(shares.values()) == pytest.approx(1, rel=1e-12)
    assert list(shares) == ["norm", "coordinates", "group 3", "rest"]


def test_gaussian_data_have_the_spectrum_of_the_theory():
    found = inputs.diagnose(rng(2).standard_normal((8000, 4)), 700, 3)
    for one in found.views:
        sizes = (1, 4, 9)
        expected = np.repeat(found.ideal, sizes)
        np.testing.assert_allclose(one.eigenvalues[:14], expected, rtol=0.25)
        assert one.overlaps["coordinates"] > 0.99
        assert one.overlaps["group 3"] > 0.95
        assert one.tilt < 3
        assert one.late == 0
        assert one.kurtosis == pytest.approx(3, abs=0.1)
    assert found.advice() == ["the groups can be used: raw, centred, whitened"]
    names = found.order("whitened")
    assert names[0] == "norm 0"
    assert all(name.startswith("coordinate") for name in names[1:5])


@pytest.mark.parametrize("offset", [0.0, 0.02, 0.3, 1.0])
def test_the_angle_of_mixing_is_that_of_a_matrix(offset):
    d = 7
    norm, along = harmonics.eigenvalue(d, 0), d * offset / 4
    cross = math.sqrt(norm * along)
    first = np.linalg.eigh([[norm, cross], [cross, along]])[1][:, -1]
    expected = math.degrees(math.acos(min(abs(first[0]), 1)))
    assert inputs.mixing_angle(d, offset) == pytest.approx(expected, abs=1e-6)


def test_rows_of_one_length_are_tilted_as_predicted():
    d = 5
    x = rng(4).standard_normal((4000, d))
    x[:, 0] = 0
    x *= 2 / np.linalg.norm(x, axis=1, keepdims=True)
    x[:, 0] = 0.5 + 1e-6 * rng(5).standard_normal(4000)
    one = inputs.diagnose(x, 20, 1).raw
    assert one.offset == pytest.approx(1 / 17, rel=0.02)
    # The squares, which the formula leaves out, turn it by a degree more.
    assert one.tilt == pytest.approx(inputs.mixing_angle(d, one.offset), abs=1.5)


# --- units, order, equality


def test_units_and_origin_change_what_they_should():
    x = table()
    y = responses(x)
    one, two = (inputs.diagnose(z, M, 5, y) for z in (x, 3 * x + [5.0, -7.0, 11.0]))
    np.testing.assert_allclose(one.centred.eigenvalues, two.centred.eigenvalues, atol=1e-10)
    assert one.raw.offset != pytest.approx(two.raw.offset, rel=0.01)
    two = inputs.diagnose(x * [7.0, 1e5, 1e-4], M, 5, y)
    np.testing.assert_allclose(one.whitened.eigenvalues, two.whitened.eigenvalues, atol=1e-9)
    assert one == inputs.diagnose(x, M, rng(5), y)
    assert one != two


def test_the_order_is_that_of_the_rates():
    found = inputs.diagnose(table(), M, 5)
    assert found.order()[0] == "coordinate l=3"  # by far the largest column
    rates = dict(zip(found.labels, found.centred.rates, strict=True))
    assert sorted(rates.values(), reverse=True) == [rates[name] for name in found.order("centred")]
    with pytest.raises(ValueError, match="name must be one of raw, centred, whitened, got 'white'"):
        found.order("white")


def test_equal_rates_keep_the_order_of_the_groups():
    found = inputs.diagnose(rng().standard_normal((30, 6)), 40, 1)
    rates = np.tile([1.0, 2.0, 1.0], 9)
    found = dataclasses.replace(found, raw=dataclasses.replace(found.raw, rates=rates))
    assert found.order() == [*found.labels[1::3], *(np.delete(found.labels, np.s_[1::3]))]


@pytest.mark.parametrize(
    "overlaps, steps, expected",
    [
        ([0.9, 0.9], [2, 0.5], True),  # the limits themselves
        ([0.89, 1], [1, 1], False),
        ([1, 0.89], [1, 1], False),
        ([1, 1], [1.9, 0.51], True),
        ([1, 1], [2.1, 1], False),
        ([1, 1], [1, 0.49], False),
        ([], [1, 1], False),
        ([1], [1, 1], False),
    ],
)
def test_what_makes_the_groups_usable(overlaps, steps, expected):
    named = dict(zip(["norm", "coordinates"], overlaps, strict=False))
    one = types.SimpleNamespace(overlaps=named, d=2, eigenvalues=np.array([3, *steps, 3]) / 4)
    assert inputs.usable(one) is expected


# --- what is shown


def test_table_records_and_advice():
    x = table()
    found = inputs.diagnose(x, M, 5, responses(x))
    records = found.records()
    assert [record["view"] for record in records] == ["raw", "centred", "whitened"]
    assert records[0]["offset"] == found.raw.offset
    three = ("norm", "coordinates", "group 3")
    for record, one in zip(records, found.views, strict=True):
        assert record == {
            "view": one.name,
            "offset": one.offset,
            "effective rank": one.effective_rank,
            "kurtosis": one.kurtosis,
            **{f"share {name}": one.shares[name] for name in (*three, "rest")},
            **{f"overlap {name}": one.overlaps[name] for name in three},
            **{f"residual {name}": one.residuals[name] for name in three},
            "tilt": one.tilt,
            "late": one.late,
            "usable": one.name == "whitened",
        }
    lines = found.table().splitlines()
    assert lines[:2] == [
        "200 rows, 3 columns, 60 units",
        "view                       raw   centred  whitened",
    ]
    assert f"offset{found.raw.offset:24.3g}{0:10}{0:10}" in lines
    assert f"tilt{found.raw.tilt:26.3g}{found.centred.tilt:10.3g}" in lines[-6]
    assert f"usable{'no':>24}{'no':>10}{'yes':>10}" == lines[-4]
    assert [line[:20].rstrip() for line in lines[1:-3]] == list(records[0])
    assert lines[-3:] == [f"- {line}" for line in found.advice()]
    angle = inputs.mixing_angle(3, found.raw.offset)
    assert found.advice() == [
        f"centre: the mean alone turns the first eigenvector by {angle:.0f} degrees",
        "whiten: 2 of 3 principal directions come after group 3",
        "the groups can be used: whitened",
    ]
    assert found.ideal == tuple(harmonics.eigenvalue(3, k) for k in range(3))
    assert repr(found) == "<Diagnosis of 200 rows, 3 columns at 60 units>"


def test_advice_where_the_coordinates_are_no_eigenspace():
    x = rng(0).standard_normal((80, 12)) * np.geomspace(1, 0.3, 12)
    found = inputs.diagnose(x, 400, 1)
    assert found.centred.late == 0
    assert found.centred.overlaps["coordinates"] < 0.9
    assert "whiten: the coordinates are not an eigenspace of the centred data" in found.advice()
    assert found.advice()[-1] == "the groups can be used: whitened"
    fewer = inputs.diagnose(x[:40], 40, 1)
    assert fewer.advice()[-1] == "the groups cannot be used, whatever is done first"


@pytest.mark.parametrize(
    "variances, mean, m",
    [([2.8, 0.4, 0.4, 0.4], 0, 600), ([1, 1, 1, 1], [0.7, 0, 0, 0], 600), ([1, 1, 1, 1], 0, 20)],
)
def test_the_span_alone_does_not_make_the_groups_usable(variances, mean, m):
    """Unequal coordinates, an offset, few units: the ideal curve is wrong, the span is right."""
    x = rng(3).standard_normal((1500, 4)) * np.sqrt(variances) + mean
    found = inputs.diagnose(x, m, 1, x[:, 0] - x[:, 0].mean())
    one = found.raw
    assert one.overlaps["coordinates"] > 0.9
    assert np.abs(one.curves.ideal - one.curves.network).max() > 0.1
    assert not found.records()[0]["usable"]
    assert "raw" not in found.advice()[-1]


def test_the_figure_has_the_spectra_and_the_curves():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    x = table()
    found = inputs.diagnose(x, M, 5, responses(x))
    fig = found.figure()
    left, right = fig.axes
    for line, one in zip(left.lines, found.views, strict=False):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 10))
        np.testing.assert_array_equal(line.get_ydata(), one.eigenvalues[:9])
    # Groups of 1, d and the rest of d(d + 3)/2 eigenvalues.
    theory = left.lines[3]
    np.testing.assert_array_equal(theory.get_xdata(), np.arange(1, 10))
    np.testing.assert_array_equal(theory.get_ydata(), np.repeat(found.ideal, [1, 3, 5]))
    assert theory.get_linestyle() == ":"
    assert theory.get_linewidth() < left.lines[0].get_linewidth()
    names = [text.get_text() for text in left.get_legend().texts]
    assert names == ["raw", "centred", "whitened", "theory, N(0, I)"]
    assert left.get_ylim() == (found.ideal[2] / 100, 2 * found.raw.eigenvalues[0])
    for i, one in enumerate(found.views):
        network, ideal = right.lines[2 * i : 2 * i + 2]
        np.testing.assert_array_equal(
            [network.get_xdata(), ideal.get_xdata()], [one.curves.times] * 2
        )
        np.testing.assert_array_equal(network.get_ydata(), one.curves.network)
        np.testing.assert_array_equal(ideal.get_ydata(), one.curves.ideal)
        assert network.get_color() == ideal.get_color() == left.lines[i].get_color()
        assert (network.get_linestyle(), ideal.get_linestyle()) == ("-", ":")
    assert len({line.get_color() for line in left.lines}) == 4
    styles = {line.get_label(): line.get_linestyle() for line in right.lines[6:]}
    assert styles == {"network": "-", "ideal groups": ":"}
    # Of no view: black, as the theory.
    assert {line.get_color() for line in right.lines[6:]} == {theory.get_color()}
    assert [text.get_text() for text in right.get_legend().texts] == list(styles)
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in fig.axes]
    assert labels == [
        ("rank", "eigenvalue of $J_n$"),
        ("time", "training error / mean square of y"),
    ]
    scales = [(ax.get_xscale(), ax.get_yscale()) for ax in fig.axes]
    assert scales == [("log", "log"), ("log", "linear")]
    alone = inputs.diagnose(x, M, 5).figure()
    assert len(alone.axes) == 1
    # Side by side on a page, and one picture in less.
    assert left.get_position().x1 < right.get_position().x0
    assert fig.get_figheight() == alone.get_figheight() < 4
    assert alone.get_figwidth() < 5.5
    assert fig.get_figwidth() < 8
    few = inputs.diagnose(x, 5, 5).figure().axes[0]
    assert [len(line.get_ydata()) for line in few.lines] == [5] * 4
    pyplot.close("all")


# --- what is refused and what is not


def with_smallest_variance(share):
    """Columns of which the correlation matrix has eigenvalues 2 - share, 1 and share, nearly."""
    u, v, w = scipy.linalg.hadamard(8)[:, 1:4].T
    return np.stack([u, u + math.sqrt(2 * share) * v, w], axis=1)


def test_columns_that_all_but_follow_from_others():
    # The limit is 1e-10 of the largest of the eigenvalues.
    x = with_smallest_variance(2.5e-10)
    np.testing.assert_array_equal(check_data(x), x / 2)
    message = (
        "x must have linearly independent columns, got rank 2 of 3 columns after centring; leave "
        "out those that follow from others"
    )
    with pytest.raises(ValueError, match=whole(message)):
        check_data(with_smallest_variance(1.5e-10))


def test_columns_of_sizes_that_floats_can_compare():
    x = np.array([[0.5, 1], [-0.5, 1], [0.25, -1], [-0.25, -1]])
    found = check_data(x * [1, 0.51e-150])
    np.testing.assert_array_equal(found, x * [1, 0.51e-150])
    message = (
        "x must have columns of comparable size, got one whose spread is below 1e-150 of the "
        "largest entry: column 1"
    )
    with pytest.raises(ValueError, match=whole(message)):
        check_data(x * [1, 0.5e-150])


@pytest.mark.parametrize("factor", [2.0**-1000, 1e-200, 1.0, 5e300, 2.0**1000])
def test_a_power_of_two_brings_data_to_the_size_of_1(factor):
    x = table(20) * factor
    found = check_data(x)
    assert 0.5 <= np.abs(found).max() < 1
    powers = np.frexp(found / x)
    assert (powers[0] == 0.5).all()
    assert len(np.unique(powers[1])) == 1


@pytest.mark.skipif(
    np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="no wider floats here"
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_wider_floats_that_are_no_floats():
    x = table(20).astype(np.longdouble)
    x[0, 1] = np.longdouble("1e400")
    with pytest.raises(ValueError, match=r"^x must be finite, got inf at index \(0, 1\)"):
        check_data(x)


def test_responses_come_from_frames_too():
    y = types.SimpleNamespace(to_numpy=lambda: np.array([1, 2, -3]))
    found = check_responses(y, 3)
    assert found.dtype == np.float64
    assert found.tolist() == [1, 2, -3]


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: check_data(broken(4, 2, np.nan)),
            "x must be finite, got NaN or infinity in column 2; fill such entries or leave rows or "
            "columns out",
        ),
        (
            lambda: check_data(table(3)),
            "x must have more rows than columns, got 3 rows and 3 columns; reduce the columns to "
            "principal components, or take more rows",
        ),
        (
            lambda: check_data(np.ma.masked_less(table(20), 0)),
            "x must have no masked entries; fill them or leave rows or columns out",
        ),
        (
            lambda: check_data([[1.0, 2.0], [3.0]]),
            "x must be a table with rows of one length, got ragged rows",
        ),
        (
            lambda: check_data(np.ones((20, 5))),
            "x must have no constant column, got columns 0, 1, 2, 3, 4; leave them out",
        ),
        (
            lambda: check_responses(["a", "b"], 2),
            "y must be an array of real numbers, got ['a', 'b']",
        ),
        (lambda: check_responses([0, 0], 2), "y must not be 0 everywhere"),
        (lambda: inputs.expected_shares(1, 1), "d must be an integer >= 2, got 1"),
        (lambda: inputs.expected_shares(2, 0), "m must be an integer >= 1, got 0"),
        (lambda: inputs.mixing_angle(0, 0.5), "d must be an integer >= 1, got 0"),
        (lambda: inputs.mixing_angle(1, "0.5"), "offset must be a number from 0 to 1, got '0.5'"),
        (lambda: inputs.diagnose(table(20), 0, 1), "m must be an integer >= 1, got 0"),
        (
            lambda: inputs.diagnose(table(20), 9, 1, times=[-1.0]),
            "times must be numbers >= 0 in increasing order, got [-1.0]",
        ),
        (
            lambda: inputs.diagnose(table(20), 9, 1).order("white"),
            "name must be one of raw, centred, whitened, got 'white'",
        ),
    ],
)
def test_messages_in_full(call, message):
    with pytest.raises(ValueError, match=whole(message)):
        call()


def broken(row, column, value):
    x = table(20)
    x[row, column] = value
    return x


def with_column(values):
    x = table(20)
    x[:, 1] = values(x)
    return x


@pytest.mark.parametrize(
    "x, message",
    [
        (np.ones(5), r"x must have shape \(n, d\) with d >= 2, got shape \(5,\)"),
        (np.ones((5, 1)), r"x must have shape \(n, d\) with d >= 2, got shape \(5, 1\)"),
        (table(3), "x must have more rows than columns, got 3 rows and 3 columns"),
        (broken(4, 2, np.nan), "x must be finite, got NaN or infinity in column 2; fill"),
        (broken(4, 0, -np.inf), "x must be finite, got NaN or infinity in column 0; fill"),
        (with_column(lambda x: 7.0), "x must have no constant column, got column 1; leave"),
        (
            with_column(lambda x: 7 + 1e-13 * x[:, 0]),
            "x must have no constant column, got column 1",
        ),
        (with_column(lambda x: 0.0), "x must have no constant column, got column 1; leave"),
        (with_column(lambda x: 2 * x[:, 0]), "linearly independent columns, got rank 2 of 3"),
        (with_column(lambda x: x[:, 0] - x[:, 2] + 4), "got rank 2 of 3 columns after centring"),
        (table(20).astype(str), "x must hold numbers, got others in columns 0, 1, 2; encode"),
        (table(20).astype("datetime64[s]"), "x must hold numbers, got others in columns 0, 1, 2"),
        (
            [[10**400, 1.0], *table(20)[:, :2].tolist()],
            "x must hold numbers, got others in column 0",
        ),
        (table(20) + 1j, "x must hold numbers, got others in columns 0, 1, 2; encode"),
        (
            np.array([[np.complex64(1j), 1, 2.0], [1, np.clongdouble(1j), 2.0]], object),
            "x must hold numbers, got others in columns 0, 1; encode",
        ),
        ([[1.0, 2.0], [3.0]], "x must be a table with rows of one length, got ragged rows"),
        (np.ma.masked_less(table(20), 0), "x must have no masked entries; fill them or leave"),
        (np.ones((20, 12)), r"got columns 0, 1, 2, 3, 4 and 7 more; leave"),
        (table(20) * [1e-200, 1, 1], "got one whose spread is below 1e-150 .* column 0"),
    ],
)
def test_data_that_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        inputs.diagnose(x, M, 1)


def test_frames_are_read_and_their_columns_named():
    x = table(20)
    found = inputs.diagnose(frame(x.tolist(), ["a", "b", "c"]), M, 1)
    assert found == inputs.diagnose(x, M, 1)
    named = [
        ([[*row[:2], "text"] for row in x.tolist()], "others in column c; encode"),
        ([[*row[:2], None] for row in x.tolist()], "NaN or infinity in column c; fill"),
        ([[1, *row[1:]] for row in x.tolist()], "no constant column, got column a; leave"),
    ]
    for values, message in named:
        with pytest.raises(ValueError, match=message):
            inputs.diagnose(frame(values, ["a", "b", "c"]), M, 1)


def test_other_arguments_are_refused():
    x = table(20)
    for m in NOT_COUNTS:
        with pytest.raises(ValueError, match="m must be an integer >= 1"):
            inputs.diagnose(x, m, 1)
    with pytest.raises(ValueError, match=r"y must have shape \(20,\), one per row of x, got"):
        inputs.diagnose(x, M, 1, np.ones(19))
    with pytest.raises(ValueError, match="y must not be 0 everywhere"):
        inputs.diagnose(x, M, 1, np.zeros(20))
    for size in (1e-100, 1e100):
        assert check_responses([0.0, -size], 2).tolist() == [0, -size]
    for factor in (1e-200, 1e200):
        with pytest.raises(ValueError, match="y must have its largest size from 1e-100 to 1e100"):
            inputs.diagnose(x, M, 1, factor * x[:, 0])
    with pytest.raises(ValueError, match="times"):
        inputs.diagnose(x, M, 1, x[:, 0], times=[-1.0])
    with pytest.raises(ValueError, match="rng must be"):
        inputs.diagnose(x, M, None)
    with pytest.raises(ValueError, match="d must be an integer >= 2"):
        inputs.expected_shares(1, 5)
    for offset in (-0.1, 1.1, np.nan, "0.5", None):
        with pytest.raises(ValueError, match="offset must be a number from 0 to 1"):
            inputs.mixing_angle(3, offset)
