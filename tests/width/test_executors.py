"""Sweeps that run anywhere and survive anything: executors, dying processes, checkpoints."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import numpy as np
import pytest

from helpers import processes
from reluspec_lib import groups, simulate
from reluspec_lib._validation import spawn_seeds
from reluspec_lib.width._checkpoint import Checkpoint
from tools.settings import ROOT

# Some 10 ms a draw: long enough to be interrupted, short enough to be done again.
SIZES = {"d": 10, "m": 20_000, "n": 50, "groups": groups.ALL, "draws": 40}
# What does not need a draw that takes long.
SMALL = SIZES | {"m": 50, "draws": 6}

needs_sigkill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Unix only: SIGKILL")


def mae(seed=755, **arguments):
    return simulate.mae(
        **(SIZES | {"rng": np.random.default_rng(seed), "progress": False} | arguments)
    )


@pytest.fixture(scope="module")
def here():
    """Return the rows as computed in this process, one draw after another."""
    return mae()


def lines(path):
    """Return the complete lines of a file that may be written to at this moment."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def wait_for_draws(path, count):
    """Wait until so many draws are on the disk, after the line that says what is computed."""
    deadline = time.monotonic() + 60
    while len(lines(path)) < 1 + count:
        assert time.monotonic() < deadline, f"{path} holds {len(lines(path))} lines after a minute"
        time.sleep(0.001)


@contextmanager
def counted(monkeypatch):
    """Count the draws that are computed in this process."""
    draw, computed = simulate._draw, []

    def counting(*task):
        computed.append(task)
        return draw(*task)

    with monkeypatch.context() as patch:
        patch.setattr(simulate, "_draw", counting)
        yield computed


# --- the same numbers wherever the draws run -----------------------------------------------------


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(lambda: ThreadPoolExecutor(3), id="threads"),
        pytest.param(lambda: processes("spawn", 2), id="spawned"),
        pytest.param(lambda: processes("forkserver", 1), id="forkserver"),
    ],
)
def test_numbers_do_not_depend_on_the_executor(executor, here):
    with executor() as pool:
        np.testing.assert_array_equal(mae(executor=pool), here)


class Backwards(Executor):
    """Waits until it has so many tasks and does them from the last to the first."""

    def __init__(self, count):
        self.tasks, self.count = [], count

    def submit(self, function, /, *arguments):
        self.tasks.append((Future(), function, arguments))
        if len(self.tasks) == self.count:
            for future, function, arguments in reversed(self.tasks):
                future.set_result(function(*arguments))
        return self.tasks[-1][0]


def test_numbers_do_not_depend_on_the_order_in_which_draws_finish(tmp_path):
    def sweep(executor=None, checkpoint=None):
        rng, settings = np.random.default_rng(756), [(3, 40), (5, 60), (3, 40)]
        return simulate.sweep(
            settings,
            7,
            groups.ALL,
            4,
            rng,
            executor=executor,
            checkpoint=checkpoint,
            progress=False,
        )

    rows = sweep()
    np.testing.assert_array_equal(sweep(Backwards(12), tmp_path / "sweep"), rows)
    np.testing.assert_array_equal(sweep(None, tmp_path / "sweep"), rows)


def test_a_sweep_is_its_settings_one_by_one():
    settings = [(3, 40), (5, 60)]
    rows = simulate.sweep(settings, 7, groups.ALL, 4, np.random.default_rng(757), progress=False)
    parents = spawn_seeds(757, 2)
    for (d, m), parent, part in zip(settings, parents, np.split(rows, 2), strict=True):
        assert part[["d", "m", "n", "draw"]].tolist() == [(d, m, 7, draw) for draw in range(4)]
        for seed, row in zip(parent.spawn(4), part, strict=True):
            assert row.item()[4:] == tuple(simulate._draw(d, m, 7, groups.ALL, seed))


def test_more_draws_or_settings_leave_the_others_as_they_are():
    few = simulate.sweep([(3, 40)], 7, groups.ALL, 2, np.random.default_rng(757), progress=False)
    many = simulate.sweep(
        [(3, 40), (5, 60)], 7, groups.ALL, 4, np.random.default_rng(757), progress=False
    )
    np.testing.assert_array_equal(many[:2], few)


# --- Dask ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return a client of a cluster of two processes on this machine."""
    dask, distributed = (pytest.importorskip(name) for name in ("dask", "distributed"))
    with (
        # On a busy machine a worker that was killed takes its time to come back.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=tmp_path_factory.mktemp("dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_dask_gives_the_same_numbers(client, here):
    with client.get_executor() as executor:
        np.testing.assert_array_equal(mae(executor=executor), here)


@needs_sigkill
def test_a_dask_worker_may_be_killed_in_the_middle(client, here, tmp_path):
    before = client.run(os.getpid)
    # Not pure: Dask shall not hand out results that it still has from another test.
    with ThreadPoolExecutor(1) as thread, client.get_executor(pure=False) as executor:
        sweep = thread.submit(mae, executor=executor, checkpoint=tmp_path / "sweep")
        wait_for_draws(tmp_path / "sweep", 3)
        os.kill(next(iter(before.values())), signal.SIGKILL)
        assert not sweep.done()
        rows = sweep.result(timeout=60)
    np.testing.assert_array_equal(rows, here)
    assert len(lines(tmp_path / "sweep")) == 1 + SIZES["draws"]
    client.wait_for_workers(2, timeout=60)
    assert len({*before.values()} & {*client.run(os.getpid).values()}) == 1


def test_a_dask_client_in_place_of_its_executor_is_refused_with_a_hint(client):
    with pytest.raises(ValueError, match=r"^executor must be a .*: pass client\.get_executor\(\)$"):
        mae(executor=client)


@pytest.mark.parametrize("value", [2, "threads", ThreadPoolExecutor])
def test_what_is_no_executor_is_refused(value):
    with pytest.raises(ValueError, match=r"^executor must be a concurrent\.futures\.Executor, got"):
        mae(executor=value)


# --- dying in the middle -------------------------------------------------------------------------

SWEEP = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from reluspec_lib import groups, simulate

workers, pool = int(sys.argv[2]), None
if workers:
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
rng = np.random.default_rng(755)
sizes = dict(d=10, m=20_000, n=50, groups=groups.ALL, draws=40)
simulate.mae(**sizes, rng=rng, executor=pool, progress=False, checkpoint=sys.argv[1])
"""


def killed(path, workers, draws):
    """Run the sweep in a process of its own and kill it when so many draws are on the disk.

    As long as it lives nobody else may write to its file.
    """
    # More threads for BLAS than this process has: they must not count.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP, path, str(workers)],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    try:
        wait_for_draws(path, draws)
        with pytest.raises(ValueError, match=r"continued: another process is writing to it; give"):
            mae(checkpoint=path)
    finally:
        # The whole group: workers of a pool do not notice that their parent is gone.
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@needs_sigkill
def test_a_killed_sweep_resumes_with_the_same_numbers(here, tmp_path, monkeypatch):
    path = tmp_path / "sweep"
    finished = []
    for workers, draws in ((1, 3), (0, 9)):
        killed(path, workers, draws)
        # The second run has added to what the first had finished, and changed none of it.
        assert lines(path)[: len(finished)] == finished
        finished = lines(path)
    assert 9 <= len(finished) - 1 < SIZES["draws"]
    with counted(monkeypatch) as computed:
        np.testing.assert_array_equal(mae(checkpoint=path), here)
    assert len(computed) == SIZES["draws"] - (len(finished) - 1)
    assert lines(path)[: len(finished)] == finished
    assert len(lines(path)) == 1 + SIZES["draws"]


@needs_sigkill
def test_a_pool_that_breaks_says_so_and_loses_nothing(here, tmp_path, monkeypatch):
    path = tmp_path / "sweep"
    others = {*multiprocessing.active_children()}

    def kill():
        wait_for_draws(path, 3)
        for process in {*multiprocessing.active_children()} - others:
            process.kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    with processes("spawn", 1) as pool, pytest.raises(BrokenProcessPool):
        mae(executor=pool, checkpoint=path)
    thread.join()
    finished = lines(path)
    assert 3 <= len(finished) - 1 < SIZES["draws"]
    with counted(monkeypatch) as computed:
        np.testing.assert_array_equal(mae(checkpoint=path), here)
    assert len(computed) == SIZES["draws"] - (len(finished) - 1)


class Stopped(Exception):
    pass


def test_an_interruption_leaves_no_draw_running(tmp_path, monkeypatch):
    add = Checkpoint.add

    def interrupted(self, key, result):
        add(self, key, result)
        if len(self.results) == 3:
            raise Stopped

    monkeypatch.setattr(Checkpoint, "add", interrupted)
    with (
        counted(monkeypatch) as computed,
        pytest.raises(Stopped),
        ThreadPoolExecutor(1) as pool,
    ):
        mae(executor=pool, checkpoint=tmp_path / "sweep")
    assert 3 <= len(computed) < SIZES["draws"]
    assert len(lines(tmp_path / "sweep")) == 1 + 3


def test_an_error_in_a_draw_comes_through_and_keeps_what_was_done(tmp_path, monkeypatch):
    path, draw = tmp_path / "sweep", simulate._draw
    seeds = []

    def failing(*task):
        seeds.append(task[-1].spawn_key)
        if len(seeds) == 4:
            wait_for_draws(path, 3)
            raise ZeroDivisionError("in a draw")
        return draw(*task)

    for executor in (None, ThreadPoolExecutor(1)):
        with monkeypatch.context() as patch:
            patch.setattr(simulate, "_draw", failing)
            with pytest.raises(ZeroDivisionError, match=r"^in a draw$"):
                mae(**SMALL, executor=executor, checkpoint=path)
        assert len(lines(path)) == 1 + 3
        np.testing.assert_array_equal(mae(**SMALL, checkpoint=path), mae(**SMALL))
        path.unlink()
        seeds.clear()
    executor.shutdown()


# --- the checkpoint ------------------------------------------------------------------------------


def test_finished_draws_are_not_computed_again(tmp_path, monkeypatch):
    path = tmp_path / "sweep"
    rows = mae(**SMALL, checkpoint=path)
    content = path.read_bytes()
    with counted(monkeypatch) as computed:
        np.testing.assert_array_equal(mae(**SMALL, checkpoint=path), rows)
        assert not computed
        # The number of draws may grow, and shrink.
        more = mae(**SMALL | {"draws": 9}, checkpoint=path)
        assert len(computed) == 3
        np.testing.assert_array_equal(more[:6], rows)
        np.testing.assert_array_equal(mae(**SMALL | {"draws": 2}, checkpoint=path), rows[:2])
        assert len(computed) == 3
    assert path.read_bytes().startswith(content)


def test_a_table_1_sweep_is_checkpointed_too(tmp_path):
    def table(n):
        return simulate.table1(n, 1, 755, progress=False, checkpoint=tmp_path / "sweep")

    rows = table(1)
    np.testing.assert_array_equal(table(1), rows)
    with pytest.raises(ValueError, match=r"cannot be continued: it was made with n = 1, now n = 2"):
        table(2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n": 51}, r"n = 50, now n = 51"),
        ({"d": 11}, r"settings = \[\[10, 50\]\], now settings = \[\[11, 50\]\]"),
        ({"m": 51}, r"settings = \[\[10, 50\]\], now settings = \[\[10, 51\]\]"),
        ({"seed": 756}, r"seed = \[\d+, .*\], now seed = \[\d+, .*\]"),
        (
            {"groups": groups.ALL[:1]},
            r"groups = .*product.*, now groups = \[\"<group 'norm', Theorem 3\.1>\"\]",
        ),
        (
            {"groups": (groups.Square(-1), *groups.ALL[:2], *groups.ALL[3:])},
            r"groups = \[.*root 1>.*\], now groups = \[.*root -1>.*\]",
        ),
    ],
)
def test_the_checkpoint_of_another_sweep_is_refused(change, reason, tmp_path):
    path = tmp_path / "sweep"
    mae(**SMALL, checkpoint=path)
    content = path.read_bytes()
    expected = (
        rf"^checkpoint '.*sweep' cannot be continued: it was made with {reason}; give another"
    )
    with pytest.raises(ValueError, match=expected):
        mae(**SMALL | change, checkpoint=path)
    assert path.read_bytes() == content


def test_a_generator_that_was_used_before_is_another_one(tmp_path):
    rng = np.random.default_rng(755)
    mae(**SMALL, rng=rng, checkpoint=tmp_path / "sweep")
    with pytest.raises(ValueError, match=r"made with seed = \[\d+, .*\], now seed = \[\d+"):
        mae(**SMALL, rng=rng, checkpoint=tmp_path / "sweep")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"d,m,n\n10,500,100\n", "it is damaged"),
        (b"no end of line", "it is not a checkpoint"),
        (b'{"n": 3}\n', "it is damaged"),
        (bytes(range(256)), "it is damaged"),
        (b"\n", "it is damaged"),
        (b'{"format": "another"} 70833802\n', "its format is 'another', not 'reluspec checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_and_left_alone(content, reason, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(content)
    expected = rf"^checkpoint '.*notes\.csv' cannot be continued: {reason}.*; give another path, or"
    with pytest.raises(ValueError, match=expected):
        mae(**SMALL, checkpoint=path)
    assert path.read_bytes() == content


def test_a_missing_folder_is_said_before_anything_is_computed(tmp_path, monkeypatch):
    with counted(monkeypatch) as computed, pytest.raises(FileNotFoundError):
        mae(**SMALL, checkpoint=tmp_path / "nowhere" / "sweep")
    assert not computed


def test_wrong_arguments_make_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"^n must be"):
        mae(**SMALL | {"n": 0}, checkpoint=tmp_path / "sweep")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [np.int64(755), np.array([1, 2]), (1, 2), 2**100, None])
def test_a_seed_of_any_kind_names_its_checkpoint(seed, tmp_path):
    path, rng = tmp_path / "sweep", np.random.default_rng(seed)
    children = [np.random.default_rng(rng.bit_generator.seed_seq.entropy) for _ in range(2)]
    rows = [mae(**SMALL, rng=child, checkpoint=path) for child in children]
    np.testing.assert_array_equal(*rows)


def test_an_executor_that_takes_no_more_tasks_says_so_and_is_left_idle(monkeypatch):
    class Full(ThreadPoolExecutor):
        taken = 0

        def submit(self, *arguments):
            self.taken += 1
            if self.taken > 30:
                raise RuntimeError("full")
            return super().submit(*arguments)

    with (
        counted(monkeypatch) as computed,
        pytest.raises(RuntimeError, match=r"^full$"),
        Full(1) as pool,
    ):
        mae(executor=pool)
    assert len(computed) < 30
