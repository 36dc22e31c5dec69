"""Monte Carlo over independent hidden weights: how far a finite network is from its limit.

Every draw of hidden weights has a random stream of its own and is one task, so that a sweep can run
on threads, processes or a cluster, stop and go on, and give the same numbers bit for bit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import ExitStack, closing, suppress
from typing import Any

import numpy as np
from tqdm import tqdm

from reluspec_lib._validation import Array, RandomSource, check_count, spawn_seeds
from reluspec_lib.groups import CENTRED_SQUARE, COORDINATE, NORM, PRODUCT, Group
from reluspec_lib.network import StreamedWeights, forward
from reluspec_lib.width._checkpoint import Checkpoint

__all__ = ["TABLE_1", "mae", "sweep", "table1"]

# The columns of the table; the last two are equations (8) and (9).
_TABLE_1_GROUPS: tuple[Group, ...] = (NORM, COORDINATE, CENTRED_SQUARE, PRODUCT)

#: Mean absolute errors of one draw of W for each d and m, from the paper's Table 1. The source lost
#: the column of d; the values here are inferred (see the book's chapter on the table).
TABLE_1: Array = np.array(
    [
        (50, 500, 0.1344, 0.1782, 0.1739, 0.1748),
        (100, 500, 0.2033, 0.3874, 0.3471, 0.2486),
        (10, 10_000, 0.0159, 0.0189, 0.0140, 0.0159),
        (50, 10_000, 0.0276, 0.0506, 0.0368, 0.0679),
        (100, 10_000, 0.0481, 0.0986, 0.0452, 0.0613),
        (10, 100_000, 0.0058, 0.0056, 0.0045, 0.0043),
        (50, 100_000, 0.0112, 0.0168, 0.0151, 0.0169),
        (100, 100_000, 0.0152, 0.0198, 0.0173, 0.0202),
    ],
    dtype=[
        ("d", np.int64),
        ("m", np.int64),
        *((group.name, np.float64) for group in _TABLE_1_GROUPS),
    ],
)
TABLE_1.setflags(write=False)


def mae(
    d: int,
    m: int,
    n: int,
    groups: Sequence[Group],
    draws: int,
    rng: RandomSource,
    *,
    executor: Executor | None = None,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Array:
    """Return the mean absolute error of f_v(x) against its limit F(x), one row per draw of W.

    Each draw takes new hidden weights and n new inputs x ~ N(0, I_d), and the first vector of each
    group; within a group all vectors have the same distribution of errors.

    Parameters
    ----------
    d, m, n : int
        Input dimension, width and number of inputs, at least 1. Memory does not grow with m.
    groups : sequence of Group
        Groups to evaluate, such as ``groups.ALL``, each with at least one vector at this d.
    draws : int
        Number of independent hidden weights.
    rng : numpy.random.Generator or seed
        Source of randomness; a seed gives the same as ``numpy.random.default_rng`` of it. Each draw
        has a stream of its own, which follows from the state of the generator; that is advanced.
    executor : concurrent.futures.Executor, optional
        Where the draws run: threads, processes (in a script below ``if __name__ == "__main__":``),
        ``mpi4py.futures``, or a Dask cluster by ``client.get_executor()``. By default, here.
    progress : bool
        Whether to show a progress bar on stderr.
    checkpoint : str or PathLike, optional
        File that each finished draw is written to. If it exists, its draws are not computed
        again.

    Returns
    -------
    rows : structured ndarray, shape (draws,)
        Fields d, m, n, draw, and the error of each group under its name. The same numbers whatever
        the executor, and whether or not the sweep was interrupted; on processors for which BLAS has
        other routines the last digits may differ.

    Raises
    ------
    ValueError
        If a size is not an integer in its range, ``groups`` is not a sequence of Group or has one
        that is empty at this d, ``rng`` is neither a Generator nor a seed, ``executor`` is not an
        Executor, or ``checkpoint`` is damaged or of another sweep.

    Notes
    -----
    Source: section 4 of the paper, which reports one draw per setting in its Table 1.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> rows = mae(10, 1000, 50, [groups.NORM], 3, rng=0, progress=False)
    >>> rows["norm"].shape
    (3,)
    """
    return sweep(
        [(d, m)],
        n,
        groups,
        draws,
        rng,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )


def table1(
    n: int,
    draws: int,
    rng: RandomSource,
    *,
    executor: Executor | None = None,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Array:
    """Return mean absolute errors at the eight settings of the paper's Table 1.

    Parameters
    ----------
    n : int
        Number of inputs; the paper's was lost with its formulas.
    draws : int
        Number of independent hidden weights per setting, where the paper has one.
    rng, executor, progress, checkpoint
        As for :func:`mae`.

    Returns
    -------
    rows : structured ndarray, shape (8 * draws,)
        As from :func:`mae`, setting after setting in the order of ``TABLE_1``.

    Raises
    ------
    ValueError
        As :func:`mae`.

    Notes
    -----
    The four columns are those of ``TABLE_1``: NORM, COORDINATE, CENTRED_SQUARE of equation (8) and
    PRODUCT of equation (9).

    Examples
    --------
    >>> rows = table1(20, 1, rng=0, progress=False)
    >>> rows[["d", "m", "draw"]][1].item()
    (100, 500, 0)
    """
    settings = [(int(row["d"]), int(row["m"])) for row in TABLE_1]
    return sweep(
        settings,
        n,
        _TABLE_1_GROUPS,
        draws,
        rng,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
    )


def sweep(
    settings: Iterable[tuple[int, int]],
    n: int,
    groups: Sequence[Group],
    draws: int,
    rng: RandomSource,
    *,
    executor: Executor | None = None,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Array:
    """Return mean absolute errors as :func:`mae` does, over several input dimensions and widths.

    Parameters
    ----------
    settings : iterable of (int, int)
        Pairs (d, m).
    n, groups, draws, rng, executor, progress, checkpoint
        As for :func:`mae`; the executor gets the draws of all settings at once.

    Returns
    -------
    rows : structured ndarray, shape (number of settings * draws,)
        As from :func:`mae`, setting after setting. A setting has the streams of its place, and a
        draw those of its own, whatever their number: more of either change nothing.

    Raises
    ------
    ValueError
        As :func:`mae`.

    Examples
    --------
    >>> from reluspec_lib import groups
    >>> rows = sweep([(2, 100), (2, 1000)], 50, [groups.NORM], 20, rng=0, progress=False)
    >>> first, second = rows["norm"].reshape(2, 20).mean(axis=1)
    >>> bool(first > second)
    True
    """
    pairs = _check_settings(settings)
    if not pairs:
        raise ValueError("settings must be at least one pair (d, m), got none")
    n, draws = check_count("n", n), check_count("draws", draws)
    groups = _check_groups(groups, [d for d, _ in pairs])
    if executor is not None and not isinstance(executor, Executor):
        raise ValueError(
            f"executor must be a concurrent.futures.Executor, got {executor!r}"
            + (": pass client.get_executor()" if hasattr(executor, "get_executor") else "")
        )
    seeds = spawn_seeds(rng, len(pairs))
    # The number of draws is not part of what a checkpoint belongs to: it may grow.
    identity = {
        "settings": pairs,
        "n": n,
        "groups": [repr(group) for group in groups],
        # What the streams follow from, in plain integers whatever the seed was given as.
        "seed": seeds[0].generate_state(4).tolist(),
    }
    tasks = {
        f"{k}.{draw}": (*pair, n, groups, seed)
        for k, (pair, parent) in enumerate(zip(pairs, seeds, strict=True))
        for draw, seed in enumerate(parent.spawn(draws))
    }
    results = _compute(tasks, executor, progress, checkpoint, identity)
    sizes = [(name, np.int64) for name in ("d", "m", "n", "draw")]
    rows = np.empty(len(tasks), [*sizes, *((group.name, np.float64) for group in groups)])
    for k, (d, m) in enumerate(pairs):
        for draw in range(draws):
            rows[k * draws + draw] = (d, m, n, draw, *results[f"{k}.{draw}"])
    return rows


def _check_settings(settings: Any) -> list[tuple[int, int]]:
    pairs = []
    for setting in settings if isinstance(settings, Iterable) else [settings]:
        try:
            d, m = setting
        except (TypeError, ValueError):
            raise ValueError(f"settings must be pairs (d, m), got {setting!r}") from None
        pairs.append((check_count("d", d), check_count("m", m)))
    return pairs


def _check_groups(groups: Any, dimensions: list[int]) -> tuple[Group, ...]:
    members = tuple(groups) if isinstance(groups, Iterable) else (None,)
    if not all(isinstance(group, Group) for group in members):
        raise ValueError(f"groups must be a sequence such as [groups.NORM], got {groups!r}")
    if not members or len({group.name for group in members}) < len(members):
        raise ValueError(f"groups must be at least one, with different names, got {[*members]!r}")
    for group in members:
        for d in dimensions:
            if not group.size(d):
                raise ValueError(f"groups must have a vector each, got {group.name} at d = {d}")
    return members


def _compute(
    tasks: dict[str, Any],
    executor: Executor | None,
    progress: bool,
    checkpoint: str | os.PathLike[str] | None,
    identity: dict[str, Any],
) -> dict[str, list[float]]:
    """Return the result of each task, from the checkpoint or computed now."""
    results: dict[str, list[float]] = {}
    with ExitStack() as stack:
        store = None
        if checkpoint is not None:
            store = stack.enter_context(closing(Checkpoint(checkpoint, identity)))
            results |= {key: store.results[key] for key in tasks if key in store.results}
        todo = {key: task for key, task in tasks.items() if key not in results}
        bar = stack.enter_context(
            tqdm(
                total=len(tasks),
                initial=len(results),
                unit="draw",
                file=_Stderr(),
                disable=not progress,
            )
        )
        for key, result in _run(todo, executor):
            if store is not None:
                store.add(key, result)
            results[key] = result
            bar.update()
    return results


class _Stderr:
    """Where the bar goes: a stderr that is missing, closed or full shall not end a sweep."""

    encoding = "utf-8"

    def write(self, text: str) -> None:
        with suppress(Exception):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(Exception):
            sys.stderr.flush()


def _run(tasks: dict[str, Any], executor: Executor | None) -> Iterable[tuple[str, list[float]]]:
    """Yield keys and results as they come."""
    if executor is None:
        yield from ((key, _draw(*task)) for key, task in tasks.items())
        return
    futures: dict[Future[list[float]], str] = {}
    try:
        for key, task in tasks.items():
            futures[executor.submit(_draw, *task)] = key
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        # After an interruption or a failure what has not begun must not run on.
        for future in futures:
            future.cancel()


def _draw(
    d: int, m: int, n: int, groups: Sequence[Group], seed: np.random.SeedSequence
) -> list[float]:
    """Return the mean absolute error of each group's first vector, for one draw of W and x."""
    rng = np.random.default_rng(seed)
    W, x = StreamedWeights(d, m, rng), rng.standard_normal((n, d))

    def readout(weights: Array) -> Array:
        return np.hstack([group.eigenvectors(weights, [0]) for group in groups])

    F = np.hstack([group.limit(x, [0]) for group in groups])
    errors = np.abs(forward(x, W, readout, workers=1) - F).mean(axis=0)
    return [float(error) for error in errors]
