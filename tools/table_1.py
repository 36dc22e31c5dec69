"""Compute the sampling distribution of the paper's Table 1, which the book's chapter on it shows.

Usage: .venv/bin/python -m tools.table_1

Draws many hidden weights where the paper has one and writes a summary to book/width/table-1.json.
A run that was stopped goes on where it was: finished draws are kept in _build/table-1.checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from reluspec_lib import simulate
from reluspec_lib._validation import Array
from tools.settings import BOOK, BUILD, shown
from tools.stored_runs import digits, in_stored_arithmetic, origin, to_text

__all__ = ["DATA", "DRAWS", "INPUTS", "LEVELS", "SEED", "draw", "summary", "synthetic_tables"]

DATA = BOOK / "width" / "table-1.json"
CHECKPOINT = BUILD / "table-1.checkpoint"

SEED = 700
INPUTS = 1000
DRAWS = 400
# Draws kept as they are, for a test to compute again.
KEPT = 3
LEVELS = (0.005, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.995)
# Tables put together from the draws, to see how a test over all entries behaves.
TABLES = 20_000

COLUMNS = tuple(simulate.TABLE_1.dtype.names or ())[2:]


def draw(
    draws: int = DRAWS,
    executor: Executor | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> Array:
    """Return the errors, shape (8 rows of the table, draws, 4 columns)."""
    rng = np.random.default_rng(SEED)
    rows = simulate.table1(
        INPUTS, draws, rng, executor=executor, progress=progress, checkpoint=checkpoint
    )
    errors: Array = np.stack([rows[name] for name in COLUMNS], axis=1)
    return errors.reshape(len(simulate.TABLE_1), draws, len(COLUMNS))


def summary(errors: Array) -> dict[str, Any]:
    """Return what is stored: each cell's distribution, and how the cells of a row go together."""
    draws = errors.shape[1]
    return {
        **origin("tools.table_1", SEED),
        "inputs": INPUTS,
        "draws": draws,
        "levels": [*LEVELS],
        "cells": [
            cell(row, name, errors[k, :, column])
            for k, row in enumerate(simulate.TABLE_1)
            for column, name in enumerate(COLUMNS)
        ],
        "rank_correlations": [
            [round(float(r), 3) for r in stats.spearmanr(table).statistic[np.triu_indices(4, 1)]]
            for table in errors
        ],
        # How often the four entries of a row all lie above the medians of their laws.
        "all_above_median": [
            digits((table > np.median(table, axis=0)).all(axis=1).mean(), 3) for table in errors
        ],
        "uniformity": uniformity(errors),
    }


def cell(row: Any, name: str, errors: Array) -> dict[str, Any]:
    """Return the distribution of one cell, and how many draws lie below the paper's entry."""
    paper = float(row[name])
    # The paper has four decimals, so a draw equals its entry if it does so when rounded.
    rounded = errors.round(4)
    return {
        "d": int(row["d"]),
        "m": int(row["m"]),
        "group": name,
        "paper": paper,
        "below": int((rounded < paper).sum()),
        "equal": int((rounded == paper).sum()),
        "mean": digits(errors.mean(), 5),
        "std": digits(errors.std(ddof=1), 4),
        "quantiles": [digits(value, 4) for value in np.quantile(errors, LEVELS)],
        "first": [digits(value, 6) for value in errors[:KEPT]],
    }


def uniformity(errors: Array) -> dict[str, Any]:
    """Test whether the percentiles of all 32 entries are uniform, by Kolmogorov and Smirnov.

    The reference is once the law for independent entries, once that of tables put together from the
    draws, in which the four entries of a row share their hidden weights as in the paper.
    """
    paper = np.array([[row[name] for name in COLUMNS] for row in simulate.TABLE_1])
    rounded = errors.round(4)
    below = (rounded < paper[:, None]).mean(axis=1)
    percentiles = below + (rounded == paper[:, None]).mean(axis=1) / 2
    observed = float(distances(percentiles.reshape(1, -1))[0])
    law = stats.kstwo(percentiles.size)
    found = distances(synthetic_tables(errors, TABLES, np.random.default_rng(SEED + 1)))
    return {
        "statistic": digits(observed, 4),
        "p_if_independent": digits(law.sf(observed), 3),
        "p": digits((found >= observed).mean(), 3),
        "level_of_5_percent": digits((found >= law.isf(0.05)).mean(), 3),
        "tables": TABLES,
    }


def synthetic_tables(errors: Array, tables: int, rng: np.random.Generator) -> Array:
    """Return the percentiles of tables put together from the draws, shape (tables, 32).

    Each row of a table is one draw of W, all four entries of it.
    """
    rows, draws, _ = errors.shape
    ranks = (stats.rankdata(errors, axis=1) - 0.5) / draws
    chosen = rng.integers(draws, size=(tables, rows))
    taken: Array = ranks[np.arange(rows), chosen]
    return taken.reshape(tables, -1)


def distances(percentiles: Array) -> Array:
    """Return the Kolmogorov–Smirnov distance of each row from the uniform law."""
    ordered = np.sort(percentiles, axis=1)
    count = ordered.shape[1]
    above = (np.arange(1, count + 1) / count - ordered).max(axis=1)
    below = (ordered - np.arange(count) / count).max(axis=1)
    largest: Array = np.maximum(above, below)
    return largest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.table_1", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    options = parser.parse_args(arguments)
    CHECKPOINT.parent.mkdir(exist_ok=True)
    with ProcessPoolExecutor(options.workers) as executor:
        errors = draw(DRAWS, executor, CHECKPOINT, progress=True)
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(to_text(summary(errors)), encoding="utf-8")
    # The next run is meant to compute, not to repeat what an older library drew.
    CHECKPOINT.unlink(missing_ok=True)
    print(f"{shown(DATA)}: {errors.shape[1]} draws for each of {len(simulate.TABLE_1)} rows")
    return 0


if __name__ == "__main__":
    in_stored_arithmetic("tools.table_1")
    sys.exit(main())
