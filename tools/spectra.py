"""Measure how far spectra of nonlinear random matrices are from their limit, for the book.

Usage: .venv/bin/python -m tools.spectra

Draws matrices with up to 2000 inputs, four minutes of one core in all, and writes the
Kolmogorov-Smirnov distance of every draw to book/proportional/random-features-spectra.json. Every
draw has a random stream of its own, so that any of them can be computed again by itself.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from threadpoolctl import threadpool_limits

from reluspec_lib import simulated_spectra
from reluspec_lib._validation import Array
from reluspec_lib.proportional.resolvent import RandomFeatures, relu
from tools.settings import BOOK, shown
from tools.stored_runs import digits, in_stored_arithmetic, origin, to_text

__all__ = ["ACTIVATIONS", "CASES", "DATA", "DRAWS", "LAWS", "SEED", "SIZES", "Case", "distance"]

DATA = BOOK / "proportional" / "random-features-spectra.json"

SEED = 820
SIZES = (200, 400, 800, 1200, 2000)
DRAWS = 10

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "ReLU": relu,
    "tanh": np.tanh,
    "erf": special.erf,
    "|t|": np.abs,
    "He2": lambda t: (t**2 - 1) / math.sqrt(2),
    "He3": lambda t: (t**3 - 3 * t) / math.sqrt(6),
    "t": lambda t: t,
}


def student(degrees: float) -> simulated_spectra.Law:
    """Return Student's law with variance 1."""
    scale = math.sqrt(degrees / (degrees - 2))
    return lambda rng, shape: rng.standard_t(degrees, shape) / scale


def without_variance(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return entries of Student's law with 1.5 degrees of freedom, divided by their mean square."""
    entries = rng.standard_t(1.5, shape)
    return entries / math.sqrt(np.mean(entries**2))


LAWS: dict[str, str | simulated_spectra.Law] = {
    "gaussian": "gaussian",
    "sign": "sign",
    "uniform": "uniform",
    "exponential": lambda rng, shape: rng.standard_exponential(shape) - 1,
    "student 3": student(3),
    "student 2.5": student(2.5),
    "student 1.5": without_variance,
}


@dataclass(frozen=True)
class Case:
    """An activation with a law of the entries and the ratios n0 : n1 : m.

    ``light`` says whether the law is symmetric with light tails and the activation grows at most
    as a square: then the distance is to be below 0.01 at the largest size.
    """

    activation: str
    law: str
    ratio: tuple[int, int, int]
    centred: bool = False
    light: bool = True


WIDE, MORE_ROWS, SQUARE, FEW_INPUTS = (8, 6, 12), (4, 6, 3), (8, 5, 5), (4, 5, 8)

# New cases go to the end: the place of a case is part of its seed.
CASES = (
    Case("ReLU", "gaussian", FEW_INPUTS),
    Case("ReLU", "gaussian", FEW_INPUTS, centred=True),
    Case("ReLU", "gaussian", MORE_ROWS),
    Case("ReLU", "gaussian", SQUARE),
    Case("ReLU", "sign", WIDE),
    Case("ReLU", "uniform", WIDE),
    Case("tanh", "gaussian", WIDE),
    Case("tanh", "gaussian", MORE_ROWS),
    Case("tanh", "sign", SQUARE),
    Case("erf", "gaussian", WIDE),
    Case("erf", "uniform", MORE_ROWS),
    Case("|t|", "gaussian", WIDE),
    Case("|t|", "sign", WIDE, centred=True),
    Case("|t|", "uniform", MORE_ROWS),
    Case("He2", "gaussian", WIDE),
    Case("He2", "gaussian", MORE_ROWS),
    Case("He2", "sign", SQUARE),
    Case("t", "gaussian", FEW_INPUTS),
    Case("He3", "gaussian", WIDE, light=False),
    Case("He3", "sign", WIDE, light=False),
    Case("ReLU", "exponential", WIDE, light=False),
    Case("ReLU", "student 3", WIDE, light=False),
    Case("ReLU", "student 2.5", WIDE, light=False),
    Case("ReLU", "student 1.5", WIDE, light=False),
)


def distance(k: int, n0: int, draw: int) -> float:
    """Return the distance of one draw of a case, by its place, at a size."""
    case = CASES[k]
    n0, n1, m = (n0 * part // case.ratio[0] for part in case.ratio)
    f = ACTIVATIONS[case.activation]
    rng = np.random.default_rng([SEED, k, n0, draw])
    model = RandomFeatures(f, n0 / m, n0 / n1)
    found = simulated_spectra.simulate_spectrum(
        f, n0, n1, m, rng, entries=LAWS[case.law], centred=case.centred
    )
    return simulated_spectra.kolmogorov_smirnov(found, model.cdf, outliers=outliers(case, model))


def outliers(case: Case, model: RandomFeatures) -> int:
    """Return how many eigenvalues are of the order of the matrix, 1 or 0."""
    return int(model.mean != 0 and not case.centred)


def summary(distances: dict[tuple[int, int], list[float]]) -> dict[str, Any]:
    """Return what is stored, from the distances of each case and size."""
    return {
        **origin("tools.spectra", SEED),
        "sizes": [*SIZES],
        "draws": DRAWS,
        "cases": [
            {
                "activation": case.activation,
                "law": case.law,
                "ratio": [*case.ratio],
                "centred": case.centred,
                "light": case.light,
                # Four digits hold the distance to well below its own spread.
                "distances": [[digits(d, 4) for d in distances[k, n0]] for n0 in SIZES],
            }
            for k, case in enumerate(CASES)
        ],
    }


def limit_threads() -> None:
    """Keep a process to one thread, for there is one process for each core."""
    threadpool_limits(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.spectra", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    options = parser.parse_args(arguments)
    tasks = [(k, n0, j) for n0 in reversed(SIZES) for k in range(len(CASES)) for j in range(DRAWS)]
    with ProcessPoolExecutor(options.workers, initializer=limit_threads) as executor:
        found = dict(zip(tasks, executor.map(distance, *zip(*tasks, strict=True)), strict=True))
    distances = {
        (k, n0): [found[k, n0, j] for j in range(DRAWS)] for k in range(len(CASES)) for n0 in SIZES
    }
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(to_text(summary(distances)), encoding="utf-8")
    print(f"{shown(DATA)}: {len(CASES)} cases, {DRAWS} draws at each of {len(SIZES)} sizes")
    return 0


if __name__ == "__main__":
    in_stored_arithmetic("tools.spectra")
    sys.exit(main())
