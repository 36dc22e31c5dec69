"""Sweeps that run anywhere and survive anything: executors, dying processes, checkpoints."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager

import numpy as np
import pytest

from reluspec_lib import _checkpoint, groups, simulate
from reluspec_lib._checkpoint import Checkpoint
from reluspec_lib._validation import spawn_seeds
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


def processes(method, workers):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {method}")
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))


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
    distributed = pytest.importorskip("distributed")
    with (
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
from reluspec_lib import _checkpoint, groups, simulate

workers, pool = int(sys.argv[2]), None
if workers:
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
rng = np.random.default_rng(755)
sizes = dict(d=10, m=20_000, n=50, groups=groups.ALL, draws=40)
simulate.mae(**sizes, rng=rng, executor=pool, progress=False, checkpoint=sys.argv[1])
"""


def killed(path, workers, draws):
    """Run the sweep in a process of its own and kill it when so many draws are on the disk."""
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


SETTINGS = {"n": 3, "groups": ["<group 'norm'>"]}
RESULTS = {"0.0": [0.1, 1 / 3], "0.1": [5e-324, -0.0], "1.0": [1e300, float("nan")]}


def stored(path, settings=SETTINGS):
    """Return what a checkpoint holds."""
    with closing(Checkpoint(path, settings)) as checkpoint:
        return dict(checkpoint.results)


def make(path, results=RESULTS):
    with closing(Checkpoint(path, SETTINGS)) as checkpoint:
        for key, result in results.items():
            checkpoint.add(key, result)
    return path.read_bytes()


def test_numbers_are_stored_to_the_last_bit(tmp_path):
    make(tmp_path / "sweep")
    found = stored(tmp_path / "sweep")
    assert list(found) == list(RESULTS)
    for key, result in RESULTS.items():
        assert np.array(found[key]).tobytes() == np.array(result).tobytes()


def test_a_result_is_with_the_system_and_synced_before_add_returns(tmp_path, monkeypatch):
    path, seen = tmp_path / "sweep", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(path.read_bytes()))
    make(path)
    # One line at a time, the first one the head.
    assert [len(content.splitlines()) for content in seen] == [1, 2, 3, 4]
    assert all(content.endswith(b"\n") for content in seen)


def test_a_file_cut_anywhere_is_repaired(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    path = tmp_path / "sweep"
    content = make(path)
    ends = [k + 1 for k, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        complete = max(sum(end <= cut for end in ends) - 1, 0)
        assert list(stored(path)) == list(RESULTS)[:complete]
        # What was torn is gone, and the file goes on as if nothing had happened.
        rest = list(RESULTS)[complete:]
        assert make(path, {key: RESULTS[key] for key in rest}) == content


def test_nothing_of_a_torn_line_stays_behind_a_shorter_one(tmp_path):
    path = tmp_path / "sweep"
    path.write_bytes(make(path) + b"x" * 1000)
    make(path, {"1.1": [1.0]})
    assert list(stored(path)) == [*RESULTS, "1.1"]
    assert path.read_bytes() == make(tmp_path / "other", RESULTS | {"1.1": [1.0]})


def test_a_changed_byte_is_never_taken_for_a_result(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    path = tmp_path / "sweep"
    content = make(path)
    for k, byte in enumerate(content):
        number = content[:k].count(b"\n") + 1
        for flip in (1, 4, 128):
            path.write_bytes(content[:k] + bytes([byte ^ flip]) + content[k + 1 :])
            damaged = path.read_bytes()
            if k == len(content) - 1:
                # Without its end the last line counts as torn.
                assert list(stored(path)) == list(RESULTS)[:-1]
                continue
            where = "it" if number == 1 else f"line {number}"
            with pytest.raises(ValueError, match=rf"cannot be continued: {where} is damaged; give"):
                stored(path)
            assert path.read_bytes() == damaged


def test_files_of_one_sweep_may_be_joined(tmp_path):
    whole, path = make(tmp_path / "whole"), tmp_path / "joined"
    parts = [dict([*RESULTS.items()][:2]), dict([*RESULTS.items()][1:])]
    path.write_bytes(b"".join(make(tmp_path / f"part {k}", part) for k, part in enumerate(parts)))
    found = stored(path)
    assert list(found) == list(RESULTS)
    # Whoever goes on with it adds lines as always; of two results the first one counts.
    path.write_bytes(whole + make(tmp_path / "other", {"0.0": [7.0], "2.0": [3.0]}))
    found = stored(path)
    assert (found["0.0"], found["2.0"]) == (RESULTS["0.0"], [3.0])


def test_files_of_different_sweeps_joined_are_refused(tmp_path):
    path = tmp_path / "joined"
    with closing(Checkpoint(path, SETTINGS | {"n": 4})) as checkpoint:
        checkpoint.add("0.0", [1.0])
    path.write_bytes(make(tmp_path / "sweep") + path.read_bytes())
    with pytest.raises(ValueError, match=r"cannot be continued: it was made with n = 4, now n = 3"):
        stored(path)


@pytest.mark.parametrize(
    "content, reason",
    [
        ({"key": "0.0"}, "line 4 is no result"),
        ({"result": [1.0]}, "line 4 is no result"),
        ({}, "line 4 is no result"),
        ([1, 2], "line 4 is damaged"),
        ({"format": _checkpoint._FORMAT}, r"it was made with \w+ = None, now"),
    ],
)
def test_what_is_no_result_is_refused_in_spite_of_its_checksum(content, reason, tmp_path):
    path = tmp_path / "sweep"
    lines = make(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], _checkpoint._line(content), *lines[3:]]))
    with pytest.raises(ValueError, match=rf"cannot be continued: {reason}"):
        stored(path)


def test_a_missing_line_loses_that_result_only(tmp_path):
    path = tmp_path / "sweep"
    kept = make(path).splitlines(keepends=True)
    path.write_bytes(b"".join(kept[:2] + kept[3:]))
    assert list(stored(path)) == ["0.0", "1.0"]


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


def test_an_empty_file_is_a_checkpoint_that_was_not_begun(tmp_path):
    (tmp_path / "sweep").touch()
    assert make(tmp_path / "sweep") == make(tmp_path / "other")


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


FULL_DISK = """
import resource, signal, sys
from reluspec_lib._checkpoint import Checkpoint
from reluspec_lib._validation import spawn_seeds

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
checkpoint = Checkpoint(sys.argv[1], {"n": 3})
for k in range(100):
    try:
        checkpoint.add(str(k), [k / 3])
    except OSError:
        break
print(*checkpoint.results)
"""


@needs_sigkill
def test_a_full_disk_loses_no_result_that_was_taken(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, tmp_path / "sweep"]
    taken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert list(stored(tmp_path / "sweep", {"n": 3})) == taken.split()
    assert 1 < len(taken.split()) < 100


@needs_sigkill
def test_a_file_that_another_process_writes_to_is_refused(tmp_path):
    path = tmp_path / "sweep"
    program = SWEEP.replace("draws=40", "draws=4000")
    with subprocess.Popen([sys.executable, "-c", program, path, "0"], cwd=ROOT) as process:
        wait_for_draws(path, 1)
        with pytest.raises(ValueError, match=r"continued: another process is writing to it; give"):
            mae(checkpoint=path)
        process.kill()
    assert len(lines(path)) > 1
