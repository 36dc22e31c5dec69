"""What tests of more than one module share: draws, quadrature, memory, other processes."""

import functools
import multiprocessing
import subprocess
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor

import mpmath as mp
import numpy as np
import pytest

from tools.settings import ROOT

# What is no count, for arguments that must be integers >= 1.
NOT_COUNTS = [0, -1, 1.0, 2.5, True, np.True_, "3", None, [3], np.nan]


def one_line(value):
    """The name of a parameter: its repr, of which pytest escapes the ends of lines anew each time.

    A run that collects twice in one process (``tools.mutants``) finds no test by such a name.
    """
    return " ".join(repr(value).split())


# --- draws


def rng(seed=1):
    return np.random.default_rng(seed)


def rotation(d, generator):
    """A uniformly distributed rotation or reflection."""
    Q, R = np.linalg.qr(generator.normal(size=(d, d)))
    return Q * np.sign(np.diag(R))


# --- quadrature

DIGITS = 25  # of references for float64


def relative(value, reference):
    """Relative difference to a number of more digits than a float has."""
    return float(abs(mp.mpf(value) / reference - 1))


def angle_mean(d, function):
    """E f(a) 1(a < pi/2) of the angle a between a uniform point and an axis, by quadrature."""
    with mp.workdps(DIGITS):
        return _half(lambda a: function(a) * mp.sin(a) ** (d - 2)) / (2 * _mass(d))


@functools.cache
def _mass(d):
    return _half(lambda a: mp.sin(a) ** (d - 2))


def _half(function):
    return mp.quad(function, [0, mp.pi / 4, mp.pi / 2])


def gauss_legendre(low, high, count):
    """Nodes and weights of Gauss-Legendre quadrature on an interval."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return low + (high - low) * (nodes + 1) / 2, (high - low) * weights / 2


# --- networks


def entry(angle):
    """Entry of the Fisher information for unit weights at an angle: the arc-cosine kernel."""
    return (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def kernel(W):
    """The Fisher information, dense."""
    norms = np.linalg.norm(W, axis=0)
    scale = np.outer(norms, norms)
    return scale * entry(np.arccos(np.clip(W.T @ W / scale, -1, 1)))


def z_score(values, expected):
    """Distance of a mean from what it should be, in standard errors."""
    values = np.asarray(values)
    return (values.mean() - expected) / (values.std(ddof=1) / len(values) ** 0.5)


# --- memory and processes


def with_peak(function):
    """What a function returns, and how much memory Python had at the most, in bytes."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def run_python(program, *arguments):
    """What a program prints in a Python of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def processes(method, workers):
    """A pool of processes that are started by this method."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {method}")
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))
