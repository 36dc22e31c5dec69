"""The stored distribution of Table 1 is what its command computes, and fits together."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reluspec_lib import fluctuations, groups, simulate
from reluspec_lib._validation import spawn_seeds
from tools import table_1

TEXT = table_1.DATA.read_text(encoding="utf-8")
STORED = json.loads(TEXT)
CELLS = STORED["cells"]
DRAWS = STORED["draws"]
GROUPS = (groups.NORM, groups.COORDINATE, groups.CENTRED_SQUARE, groups.PRODUCT)


def column(cell):
    return next(group for group in GROUPS if group.name == cell["group"])


def named(cell):
    return f"{cell['group']}, d={cell['d']}, m={cell['m']}"


def draws_of_row(row, draws):
    """Return the first errors of one row only, from the streams that it has in the sweep."""
    setting = simulate.TABLE_1[row]
    sizes = int(setting["d"]), int(setting["m"]), STORED["inputs"]
    seeds = spawn_seeds(STORED["seed"], len(simulate.TABLE_1))[row].spawn(draws)
    return np.transpose([simulate._draw(*sizes, GROUPS, seed) for seed in seeds])


# Recomputation


@pytest.mark.parametrize("row", range(8))
def test_the_first_draws_of_every_cell_can_be_computed_again(row):
    cells = CELLS[4 * row : 4 * row + 4]
    # A draw at m = 10^5 takes up to half a second.
    count = len(cells[0]["first"]) if cells[0]["m"] <= 10_000 else 1
    again = draws_of_row(row, count)
    first = np.array([cell["first"] for cell in cells])[:, :count]
    np.testing.assert_allclose(again, first, rtol=1e-5)


@pytest.mark.parametrize("row, draws", [(0, 80), (1, 80), (2, 20)])
def test_more_draws_of_narrow_rows_have_the_stored_distribution(row, draws):
    again = draws_of_row(row, draws)
    for cell, errors in zip(CELLS[4 * row : 4 * row + 4], again, strict=True):
        # Being among the stored draws, they differ by less than a sample of their own would.
        assert abs(errors.mean() - cell["mean"]) < 4.5 * cell["std"] / draws**0.5
        for level, quantile in zip(STORED["levels"], cell["quantiles"], strict=True):
            expected = stats.binom(draws, level)
            assert expected.ppf(1e-6) <= (errors <= quantile).sum() <= expected.ppf(1 - 1e-6)


def test_the_command_stores_what_the_file_holds(monkeypatch, tmp_path, capsys):
    """The whole way on a few draws: rows, cells and text are laid out as in the file."""
    rng = np.random.default_rng(1)
    errors = rng.lognormal(-2, 0.3, size=(8, 50, 4))
    monkeypatch.setattr(table_1, "DATA", tmp_path / "data" / "table-1.json")
    monkeypatch.setattr(table_1, "CHECKPOINT", tmp_path / "build" / "checkpoint")
    monkeypatch.setattr(table_1, "draw", lambda *arguments, **options: errors)
    assert table_1.main(["--workers", "1"]) == 0
    assert "50 draws for each of 8 rows" in capsys.readouterr().out
    text = table_1.DATA.read_text(encoding="utf-8")
    written = json.loads(text)
    assert written.keys() == STORED.keys()
    assert [cell.keys() for cell in written["cells"]] == [cell.keys() for cell in CELLS]
    assert len(text.splitlines()) == len(TEXT.splitlines())
    for index, cell in enumerate(written["cells"]):
        sample = errors[index // 4, :, index % 4]
        assert cell["mean"] == pytest.approx(sample.mean(), rel=1e-4)
        assert cell["std"] == pytest.approx(sample.std(ddof=1), rel=1e-3)
        assert cell["first"] == pytest.approx(sample[:3], rel=1e-5)
        assert cell["quantiles"] == pytest.approx(np.quantile(sample, STORED["levels"]), rel=1e-3)
        assert cell["below"] == (np.round(sample, 4) < cell["paper"]).sum()


def test_the_file_is_what_the_writer_writes():
    assert table_1.to_text(STORED) == TEXT


# What the file says


def test_the_file_is_small_and_names_its_origin():
    assert len(TEXT) < 15_000
    assert STORED["command"].endswith("-m tools.table_1")
    assert all(STORED["versions"][name][0].isdigit() for name in ("reluspec", "numpy"))
    assert (STORED["seed"], STORED["inputs"]) == (table_1.SEED, table_1.INPUTS)
    assert STORED["draws"] == table_1.DRAWS >= 400
    assert STORED["levels"] == [*table_1.LEVELS]


def test_the_cells_are_the_papers_table_in_its_order():
    assert [cell["group"] for cell in CELLS] == 8 * [group.name for group in GROUPS]
    for cell, (row, name) in zip(
        CELLS, ((row, group.name) for row in simulate.TABLE_1 for group in GROUPS), strict=True
    ):
        assert (cell["d"], cell["m"], cell["paper"]) == (row["d"], row["m"], row[name])


@pytest.mark.parametrize("cell", CELLS, ids=named)
def test_percentiles_follow_from_the_quantiles(cell):
    low, high = cell["below"] / DRAWS, (cell["below"] + cell["equal"]) / DRAWS
    assert 0 <= low <= high <= 1
    quantiles = np.array(cell["quantiles"])
    assert (np.diff(quantiles) > 0).all()
    for level, quantile in zip(STORED["levels"], quantiles, strict=True):
        # The paper's four decimals and the stored four digits leave this much open.
        margin = 0.00005 + 0.0005 * quantile
        if cell["paper"] > quantile + margin:
            assert low >= level - 1 / DRAWS
        if cell["paper"] < quantile - margin:
            assert high <= level + 1 / DRAWS
    assert quantiles[0] < cell["mean"] < quantiles[-1]


@pytest.mark.parametrize("cell", CELLS, ids=named)
def test_mean_and_spread_are_those_of_the_central_limit_theorem(cell):
    predicted = fluctuations.expected_mae(column(cell), cell["d"], cell["m"])
    assert abs(cell["mean"] - predicted) < 4.5 * cell["std"] / DRAWS**0.5
    x = np.random.default_rng(2).standard_normal((300, cell["d"]))
    spread = fluctuations.mae_spread(column(cell), x, cell["m"])
    # 300 inputs in place of 1000 widen it, most where it is narrow. The tails of the law make the
    # error of a standard deviation about half as large again as for a Gaussian one.
    margin = 4.5 * 1.5 / (2 * DRAWS) ** 0.5
    assert 0.9 - margin < cell["std"] / spread < 1 + margin


def test_means_over_all_cells_have_no_common_bias():
    z = [
        (cell["mean"] / fluctuations.expected_mae(column(cell), cell["d"], cell["m"]) - 1)
        / (cell["std"] / cell["mean"] / DRAWS**0.5)
        for cell in CELLS
    ]
    assert abs(np.mean(z)) < 4.5 / 32**0.5
    assert stats.chi2(32).cdf(np.square(z).sum()) == pytest.approx(0.5, abs=0.4999)


def test_the_percentiles_of_the_paper_are_uniform_as_stored():
    percentiles = [(cell["below"] + cell["equal"] / 2) / DRAWS for cell in CELLS]
    test, stored = stats.kstest(percentiles, "uniform"), STORED["uniformity"]
    assert stored["statistic"] == pytest.approx(test.statistic, rel=1e-3)
    assert stored["p_if_independent"] == pytest.approx(test.pvalue, rel=0.02)
    # Entries of one row are weakly correlated, which makes the test refuse a little too often.
    assert 0.05 < stored["level_of_5_percent"] < 0.1
    assert 0.02 < stored["p_if_independent"] < stored["p"] < 0.25


# The functions behind it


def test_distances_are_those_of_kolmogorov_and_smirnov():
    u = np.random.default_rng(3).uniform(size=(20, 32)) ** 1.3
    expected = [stats.kstest(row, "uniform").statistic for row in u]
    np.testing.assert_allclose(table_1.distances(u), expected, rtol=1e-12)


@given(correlated=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_tables_keep_the_draws_of_a_row_together(correlated, seed):
    rng = np.random.default_rng(seed)
    errors = rng.uniform(size=(8, 300, 4))
    if correlated:
        errors[..., 1:] = errors[..., :1] ** 2
    tables = table_1.synthetic_tables(errors, 500, rng).reshape(500, 8, 4)
    assert (tables > 0).all()
    assert (tables < 1).all()
    within = stats.spearmanr(tables[:, 0, 0], tables[:, 0, 3]).statistic
    across = stats.spearmanr(tables[:, 0, 0], tables[:, 1, 0]).statistic
    assert within == pytest.approx(1 if correlated else 0, abs=0.25)
    assert across == pytest.approx(0, abs=0.25)


def test_independent_entries_have_the_law_of_kolmogorov_and_smirnov():
    """Draws around the paper's entries, placed so that the percentiles are not quite uniform."""
    paper = np.array([[row[group.name] for group in GROUPS] for row in simulate.TABLE_1])
    places = stats.norm.ppf(((np.arange(32) + 0.5) / 32) ** 1.3).reshape(8, 1, 4)
    noise = np.random.default_rng(5).standard_normal((8, 800, 4))
    content = table_1.summary(paper[:, None] * np.exp(noise - places))
    percentiles = [(cell["below"] + cell["equal"] / 2) / 800 for cell in content["cells"]]
    test, found = stats.kstest(percentiles, "uniform"), content["uniformity"]
    assert 0.05 < test.pvalue < 0.95
    assert found["statistic"] == pytest.approx(test.statistic, rel=1e-3)
    assert found["p_if_independent"] == pytest.approx(test.pvalue, rel=0.01)
    assert found["p"] == pytest.approx(test.pvalue, abs=0.03)
    assert found["level_of_5_percent"] == pytest.approx(0.05, abs=0.015)
    assert np.abs(content["rank_correlations"]).max() < 4.5 / 800**0.5


def test_four_entries_lie_above_their_medians_together_as_often_as_they_go_together():
    rng = np.random.default_rng(6)
    apart = rng.lognormal(-2, 0.3, size=(8, 4000, 4))
    together = np.repeat(apart[..., :1], 4, axis=2)
    for errors, expected in ((apart, 1 / 16), (together, 1 / 2)):
        found = table_1.summary(errors)["all_above_median"]
        assert len(found) == 8
        assert found == pytest.approx(8 * [expected], abs=0.02)
    # In the stored run the entries of a row are weakly correlated.
    assert all(0.03 < value < 0.18 for value in STORED["all_above_median"])


def test_correlation_inside_rows_raises_the_level():
    """The stored level could have differed from 5 %."""
    rng = np.random.default_rng(4)
    errors = np.repeat(rng.lognormal(-2, 0.3, size=(8, 400, 1)), 4, axis=2)
    assert table_1.uniformity(errors)["level_of_5_percent"] > 0.2


@given(st.floats(1e-9, 1e9), st.integers(2, 8))
def test_digits_keep_the_significant_ones(value, count):
    assert table_1.digits(value, count) == pytest.approx(value, rel=0.51 * 10 ** (1 - count))


def test_an_entry_equals_a_draw_when_it_is_so_rounded():
    row = simulate.TABLE_1[0]
    paper = float(row["norm"])
    errors = np.array([paper - 6e-5, paper - 4e-5, paper + 4e-5, paper + 6e-5, 1.0])
    found = table_1.cell(row, "norm", errors)
    assert (found["below"], found["equal"]) == (1, 2)
