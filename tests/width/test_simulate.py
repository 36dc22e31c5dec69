"""Monte Carlo over hidden weights, against the same numbers by plain array code."""

import copy
import inspect
import json
import math
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from helpers import NOT_COUNTS, one_line, rng, with_peak
from reluspec_lib import StreamedWeights, features, fluctuations, forward, groups, simulate
from reluspec_lib._validation import spawn_seeds

SIZES = {"d": 4, "m": 30, "n": 7, "draws": 3}


def mae(groups=groups.ALL, rng=None, **sizes):
    generator = 1 if rng is None else rng
    return simulate.mae(**(SIZES | sizes), groups=groups, rng=generator, progress=False)


def test_rows_hold_the_setting_and_one_error_per_group():
    rows = mae([*groups.ALL, groups.CENTRED_SQUARE])
    names = ("d", "m", "n", "draw", "norm", "coordinate", "square", "product", "centred square")
    assert rows.dtype.names == names
    assert rows[["d", "m", "n", "draw"]].tolist() == [(4, 30, 7, k) for k in range(3)]
    assert all((rows[name] > 0).all() for name in names[4:])


@pytest.mark.parametrize("group", [*groups.ALL, groups.CENTRED_SQUARE, groups.Square(-1)])
def test_errors_are_means_over_inputs_of_the_distance_to_the_limit(group):
    (setting,) = spawn_seeds(rng(5), 1)
    expected = []
    for seed in setting.spawn(3):
        generator = np.random.default_rng(seed)
        W = StreamedWeights(4, 30, generator).columns(0, 30)
        x = generator.standard_normal((7, 4))
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


@pytest.mark.parametrize("d", [2, 10])
def test_errors_are_those_of_the_central_limit_theorem_over_units(d):
    m, draws = 2000, 400
    rows = mae(d=d, m=m, n=20, draws=draws)
    for group in groups.ALL:
        errors = rows[group.name]
        standard_error = errors.std(ddof=1) / math.sqrt(draws)
        expected = fluctuations.expected_mae(group, d, m)
        assert standard_error < 0.04 * expected
        assert abs(errors.mean() - expected) < 5 * standard_error


# --- sweeps


def sweep(settings, draws=3, seed=1, **options):
    return simulate.sweep(settings, 7, groups.ALL, draws, rng(seed), progress=False, **options)


def test_a_sweep_has_the_rows_of_each_setting_in_turn():
    rows = sweep([(4, 30), (2, 50)])
    assert rows[["d", "m", "draw"]].tolist() == [
        *[(4, 30, k) for k in range(3)],
        *[(2, 50, k) for k in range(3)],
    ]
    np.testing.assert_array_equal(rows[:3], mae())


def test_more_draws_or_settings_change_none_of_the_first():
    rows = sweep([(4, 30), (2, 50)], draws=5)
    np.testing.assert_array_equal(rows[:3], sweep([(4, 30)]))
    np.testing.assert_array_equal(rows[5:8], sweep([(4, 30), (2, 50)])[3:])


def test_settings_do_not_share_their_streams():
    rows = sweep([(4, 30), (4, 30)])
    assert not np.isin(rows["norm"][:3], rows["norm"][3:]).any()


def test_a_generator_gives_other_draws_the_second_time():
    generator = rng()
    first, second = mae(rng=generator), mae(rng=generator)
    assert not np.isin(first["norm"], second["norm"]).any()


# What one may do to a generator. Its seed sequence then is that of another one, or has spawned.
def restored(generator):
    """Return another generator with the same state."""
    other = np.random.Generator(type(generator.bit_generator)())
    other.bit_generator.state = generator.bit_generator.state
    return other


def has_spawned(generator):
    """Return the generator with children of which its state knows nothing."""
    generator.spawn(3)
    return generator


BITS = (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64, np.random.MT19937)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("change", [restored, has_spawned, copy.deepcopy])
def test_a_sweep_follows_from_the_state_of_the_generator(bits, change):
    first, second = (np.random.Generator(bits(1)) for _ in range(2))
    for generator in (first, second):
        generator.standard_normal(100)
    np.testing.assert_array_equal(mae(rng=change(first)), mae(rng=second))
    state = second.bit_generator.state
    rows = mae(rng=second)
    second.bit_generator.state = state
    np.testing.assert_array_equal(mae(rng=second), rows)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.Philox, np.random.MT19937])
def test_a_jumped_generator_gives_the_same_sweep_each_time(bits):
    once, again = (mae(rng=np.random.Generator(bits(1).jumped())) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert not np.isin(mae(rng=np.random.Generator(bits(1)))["norm"], once["norm"]).any()


def test_a_generator_of_the_legacy_kind_has_a_sweep_too():
    legacy = [np.random.Generator(np.random.RandomState(k)._bit_generator) for k in (1, 1, 2)]
    first, again, other = (mae(rng=generator) for generator in legacy)
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first["norm"], other["norm"]).any()


def test_what_was_drawn_before_gives_another_sweep():
    generator = rng()
    generator.standard_normal(100)
    assert not np.isin(mae(rng=generator)["norm"], mae()["norm"]).any()


@pytest.mark.parametrize("seed", [1, [1, 2], np.random.SeedSequence(3)], ids=one_line)
def test_a_seed_gives_the_sweep_of_its_generator(seed):
    np.testing.assert_array_equal(mae(rng=seed), mae(rng=np.random.default_rng(seed)))


def test_memory_does_not_grow_with_the_width():
    mae(m=1000)
    _, peak = with_peak(lambda: mae(d=2, m=2_000_000, n=10, draws=1))
    assert peak < 80 * 2**20  # the weights alone are 32 MB, the features 160 MB


def test_the_bar_counts_draws_on_stderr_and_can_be_left_out(capsys):
    simulate.mae(2, 10, 5, groups.ALL, 4, rng())
    shown = capsys.readouterr()
    assert "4/4" in shown.err
    assert "?draw/s" in shown.err  # before the first
    assert not shown.out
    mae()
    assert not capsys.readouterr().err


class Broken:
    """A stderr that takes nothing."""

    def write(self, text):
        """Fail, as on a full disk or after a hang-up."""
        raise OSError(28, "No space left on device")

    flush = None


@pytest.mark.parametrize("stderr", [None, Broken()])
def test_no_stderr_makes_a_sweep_fail_or_a_later_one_hang(stderr, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        rows = simulate.mae(2, 10, 5, groups.ALL, 4, rng())
    with ThreadPoolExecutor(1) as thread:
        again = thread.submit(simulate.mae, 2, 10, 5, groups.ALL, 4, rng())
        np.testing.assert_array_equal(again.result(timeout=60), rows)


class AtOnce(Executor):
    """Does each task when it is submitted, and notes what it was asked."""

    def __init__(self, failing=None):
        self.failing, self.futures = failing, []

    def submit(self, function, /, *arguments):
        """Return a finished future, or from the failing one on futures that wait for ever."""
        self.futures.append(future := Future())
        if self.failing is None or len(self.futures) < self.failing:
            future.set_result(function(*arguments))
        elif len(self.futures) == self.failing:
            future.set_exception(ZeroDivisionError("in a draw"))
        return future


def calls(rng=1, **options):
    """Return each way to start a sweep of three draws of one setting, or of the table's eight."""
    return {
        "mae": lambda: simulate.mae(4, 30, 7, [groups.NORM], 3, rng, **options),
        "sweep": lambda: simulate.sweep([(4, 30)], 7, [groups.NORM], 3, rng, **options),
        "table1": lambda: simulate.table1(1, 1, rng, **options),
    }


@pytest.mark.parametrize("name", calls())
def test_options_reach_the_sweep(name, tmp_path, capsys):
    executor, path = AtOnce(), tmp_path / "draws"
    rows = calls(executor=executor, checkpoint=path)[name]()
    shown = capsys.readouterr().err
    assert len(executor.futures) == len(rows)
    assert len(path.read_bytes().splitlines()) == 1 + len(rows)
    # The bar begins at what is done already.
    assert f"0/{len(rows)}" in shown
    assert f"{len(rows)}/{len(rows)}" in shown
    again = calls(checkpoint=path)[name]()
    np.testing.assert_array_equal(again, rows)
    assert f" 0/{len(rows)}" not in capsys.readouterr().err
    calls(checkpoint=path, progress=False)[name]()
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", ["mae", "sweep", "table1"])
@pytest.mark.parametrize("option", ["executor", "progress", "checkpoint"])
def test_options_are_given_by_name(name, option):
    parameter = inspect.signature(getattr(simulate, name)).parameters[option]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_after_a_failure_what_has_not_begun_is_cancelled(tmp_path):
    executor, path = AtOnce(failing=3), tmp_path / "draws"
    with pytest.raises(ZeroDivisionError, match=r"^in a draw$"):
        simulate.mae(
            4, 30, 7, [groups.NORM], 6, 1, executor=executor, progress=False, checkpoint=path
        )
    assert len(executor.futures) == 6
    assert [future.cancelled() for future in executor.futures] == 3 * [False] + 3 * [True]
    # What was done before the failure may have been stored, and nothing else.
    assert 1 <= len(path.read_bytes().splitlines()) <= 3
    rows = simulate.mae(4, 30, 7, [groups.NORM], 6, 1, progress=False, checkpoint=path)
    np.testing.assert_array_equal(rows, simulate.mae(4, 30, 7, [groups.NORM], 6, 1, progress=False))


@pytest.mark.parametrize(
    "change, name",
    [
        ({"settings": [(4, 31)]}, "settings"),
        ({"settings": [(4, 30), (4, 30)]}, "settings"),
        ({"n": 8}, "n"),
        ({"groups": [groups.COORDINATE]}, "groups"),
        ({"rng": 2}, "seed"),
    ],
)
def test_a_checkpoint_belongs_to_settings_inputs_groups_and_seed(change, name, tmp_path):
    arguments = {
        "settings": [(4, 30)],
        "n": 7,
        "groups": [groups.NORM],
        "draws": 2,
        "rng": 1,
        "progress": False,
        "checkpoint": tmp_path / "draws",
    }
    first = simulate.sweep(**arguments)
    more = simulate.sweep(**arguments | {"draws": 3})
    np.testing.assert_array_equal(more[:2], first)
    with pytest.raises(ValueError, match=f"it was made with {name} = .*, now {name} = "):
        simulate.sweep(**arguments | change)


def test_the_checkpoint_says_what_it_holds(tmp_path):
    path = tmp_path / "draws"
    calls(checkpoint=path, progress=False)["mae"]()
    head, *lines = (json.loads(line[:-9]) for line in path.read_bytes().splitlines())
    words = spawn_seeds(1, 1)[0].generate_state(4).tolist()
    assert head["settings"] == {
        "settings": [[4, 30]],
        "n": 7,
        "groups": [repr(groups.NORM)],
        "seed": words,
    }
    assert sorted(line["key"] for line in lines) == ["0.0", "0.1", "0.2"]


def test_a_draw_runs_on_one_thread(monkeypatch):
    seen = []

    def watched(*arguments, workers=None):
        seen.append(workers)
        return forward(*arguments, workers=workers)

    monkeypatch.setattr(simulate, "forward", watched)
    mae()
    assert seen == [1, 1, 1]


def test_table_1_is_not_to_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        simulate.TABLE_1["norm"][0] = 1


def test_table_1_holds_the_settings_of_the_paper():
    rows = simulate.table1(5, 2, rng(), progress=False)
    assert rows.dtype.names[4:] == simulate.TABLE_1.dtype.names[2:]
    np.testing.assert_array_equal(rows[["d", "m"]][::2], simulate.TABLE_1[["d", "m"]])
    np.testing.assert_array_equal(rows["draw"], [0, 1] * 8)


@pytest.mark.parametrize(
    "settings, message",
    [
        ([], r"settings must be at least one pair \(d, m\), got none"),
        ([10], r"settings must be pairs \(d, m\), got 10"),
        (10, r"settings must be pairs \(d, m\), got 10"),
        ([(10, 100, 3)], r"settings must be pairs \(d, m\), got \(10, 100, 3\)"),
        ([(4, 30), (0, 30)], r"d must be an integer >= 1, got 0"),
        ([(4, 30), (1, 30)], r"groups must have a vector each, got square at d = 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match="^" + message):
        sweep(settings)


class Client:
    """What has an executor, as a Dask client, but is none."""

    def get_executor(self):
        """Return nothing; it is not called."""


@pytest.mark.parametrize("executor, hint", [(map, ""), (Client(), ": pass client.get_executor()")])
def test_what_is_no_executor_is_refused(executor, hint):
    with pytest.raises(
        ValueError, match=r"^executor must be a concurrent\.futures\.Executor"
    ) as error:
        sweep([(4, 30)], executor=executor)
    assert str(error.value).endswith(hint or ">")


def test_one_dimension_works_for_the_groups_that_have_a_vector():
    assert mae([groups.NORM, groups.COORDINATE], d=1)["norm"].shape == (3,)
    for group in (groups.SQUARE, groups.PRODUCT):
        with pytest.raises(ValueError, match=rf"^groups must have a vector each, got {group.name}"):
            mae([group], d=1)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", NOT_COUNTS)
def test_sizes_that_are_not_counts_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be an integer >= 1, got "):
        mae(**{name: value})


@pytest.mark.parametrize("value", [-1, 1.5, np.random.RandomState(1), "rng"])
def test_a_source_of_randomness_that_is_no_generator_is_refused(value):
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator"):
        mae(rng=value)


@pytest.mark.parametrize("value", [groups.NORM, "norm", ["norm"], [groups.NORM, None], None, 3])
def test_what_is_no_sequence_of_groups_is_refused(value):
    with pytest.raises(
        ValueError, match=r"^groups must be a sequence such as \[groups.NORM\], got"
    ):
        simulate.mae(4, 30, 7, value, 3, 1)


@pytest.mark.parametrize("value", [[], [groups.SQUARE, groups.Square(-1)]])
def test_no_groups_or_two_of_one_name_are_refused(value):
    with pytest.raises(ValueError, match=r"^groups must be at least one, with different names"):
        mae(value)
