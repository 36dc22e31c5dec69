"""What every public function does to its arguments first: the messages, and what passes."""

import re
from fractions import Fraction

import numpy as np
import pytest

from helpers import one_line
from reluspec_lib import _validation as v

NAN, MASKED = float("nan"), np.ma.masked_equal([[1.0, 0.0], [2.0, 3.0]], 0)
ROWS = np.arange(6.0).reshape(3, 2)


def refused(message, function, *arguments, **options):
    """Assert that a call is refused with exactly this message."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(*arguments, **options)


# --- integers and numbers


@pytest.mark.parametrize(
    "value", [3, np.int8(3), np.uint64(3), np.array(3), np.ma.array(3), True + 2], ids=one_line
)
def test_counts_become_integers_of_python(value):
    found = v.check_count("d", value, 3)
    assert found == 3
    assert type(found) is int
    refused("d must be an integer >= 4, got 3", v.check_count, "d", value, 4)


@pytest.mark.parametrize(
    "value",
    [True, np.True_, 1.0, "3", None, [3], np.array([3]), np.ma.masked, Fraction(3)],
    ids=repr,
)
def test_what_is_no_integer_is_no_count(value):
    refused(f"m must be an integer >= 1, got {value!r}", v.check_count, "m", value)


def test_masked_scalars_are_no_numbers():
    hidden = np.ma.array(3, mask=True)
    refused("m must be an integer >= 1, got masked", v.check_count, "m", hidden[()])
    with pytest.raises(ValueError, match=r"^m must be an integer >= 1, got "):
        v.check_count("m", hidden)
    with pytest.raises(ValueError, match=r"^t must be a finite number, got "):
        v.check_number("t", hidden)


def test_the_smallest_count_is_one_unless_said_otherwise():
    assert v.check_count("d", 1) == 1
    assert v.check_count("d", 0, 0) == 0
    refused("d must be an integer >= 1, got 0", v.check_count, "d", 0)
    refused("d must be an integer >= 0, got -1", v.check_count, "d", -1, 0)


def test_a_smallest_number_is_itself_allowed_and_named():
    assert v.check_number("t", 2, minimum=2.0) == 2
    message = "t must be a finite number >= 2.0, got 1.5"
    refused(message, v.check_number, "t", 1.5, minimum=2.0)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2.0), Fraction(2)], ids=repr)
def test_numbers_become_floats(value):
    for positive in (True, False):
        found = v.check_number("t", value, positive=positive)
        assert found == 2
        assert type(found) is float
    assert v.check_number("t", -value) == -2
    assert v.check_number("t", 0) == 0
    assert v.check_number("t", 0.5, positive=True) == 0.5


@pytest.mark.parametrize(
    "value", ["2", b"2", None, 1j, [2.0], np.ones(1), NAN, float("inf"), 10**400], ids=repr
)
def test_what_is_no_finite_number_is_refused(value):
    refused(f"t must be a finite number, got {value!r}", v.check_number, "t", value)


@pytest.mark.parametrize("value", [0, -1.5, 0.0])
def test_numbers_that_must_be_positive(value):
    message = f"t must be a positive number, got {value!r}"
    refused(message, v.check_number, "t", value, positive=True)


# --- randomness


def test_a_generator_is_itself_and_a_seed_makes_one():
    rng = np.random.default_rng(3)
    assert v.check_rng(rng) is rng
    for seed in (3, [3], (3,), np.int8(3), np.array([3]), np.random.SeedSequence(3)):
        assert v.check_rng(seed).random() == np.random.default_rng(3).random()
    assert v.check_rng((1, 2)).random() == np.random.default_rng([1, 2]).random()
    assert v.check_rng(0).random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    "value", [None, True, [True], 1.0, -1, [1, -1], [], "1", np.array([1.0]), [[1, 2], 3]], ids=repr
)
def test_what_is_neither_generator_nor_seed(value):
    message = (
        "rng must be a numpy.random.Generator such as numpy.random.default_rng(1), or a seed for "
        f"one: an integer >= 0, several of them or a SeedSequence; got {value!r}"
    )
    refused(message, v.check_rng, value)


def test_seeds_follow_from_the_state_and_advance_it():
    rng = np.random.default_rng(3)
    state = rng.bit_generator.state
    first, second = v.spawn_seeds(rng, 2), v.spawn_seeds(rng, 3)
    assert [len(first), len(second)] == [2, 3]
    rng.bit_generator.state = state
    words = [seed.generate_state(8).tolist() for seed in first + second]
    assert len({tuple(word) for word in words}) == 5
    again = v.spawn_seeds(rng, 4)
    assert [seed.generate_state(8).tolist() for seed in again[:2]] == words[:2]
    # All of the state's randomness that a SeedSequence takes: 256 bits.
    rng.bit_generator.state = state
    expected = np.random.SeedSequence(rng.bit_generator.random_raw(4).tolist()).spawn(1)[0]
    assert first[0].generate_state(8).tolist() == expected.generate_state(8).tolist()


# --- types


@pytest.mark.parametrize("value", [np.float32, "float64", "f4", float, np.dtype("<f8")], ids=repr)
def test_the_two_types_are_taken_under_any_name(value):
    assert v.check_dtype("dtype", value) == np.dtype(value)


@pytest.mark.parametrize("value", [None, "float", int, "f2", "nonsense", 3, "c8", ">f4"], ids=repr)
def test_other_types_are_refused(value):
    if value == "float":
        assert v.check_dtype("dtype", value) == np.float64
        return
    refused(f"dtype must be float32 or float64, got {value!r}", v.check_dtype, "dtype", value)


# --- arrays


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, np.float16, np.longdouble, object])
def test_real_arrays_become_float64(kind):
    found = v.as_floating("W", np.ones((2, 3), kind))
    assert found.dtype == np.float64
    assert found.tolist() == [[1.0] * 3] * 2


def test_arrays_of_the_two_types_are_not_copied():
    for kind in (np.float32, np.float64):
        array = np.ones((2, 3), kind)
        assert v.as_floating("W", array) is array


@pytest.mark.parametrize(
    "value",
    [
        1j,
        "a",
        [[1], [1, 2]],
        [{}, 1],
        {},
        [10**400],
        np.array(["1", 2], object),
        np.array("NaT", "M"),
    ],
    ids=repr,
)
def test_what_is_no_real_array_is_refused(value):
    refused(f"W must be an array of real numbers, got {value!r}", v.as_floating, "W", value)


def test_masked_entries_are_refused_and_masked_arrays_without_them_are_not():
    message = "W must have no masked entries, got 1; fill them or leave them out"
    for function in (v.as_floating, v.check_unmasked, v.check_interval, v.check_times):
        refused(message, function, "W", MASKED)
    refused(message, v.check_weights, MASKED)
    assert v.as_floating("W", np.ma.array([1.0, 2.0], mask=False)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("value", [NAN, np.inf, -np.inf])
def test_arrays_must_be_finite_and_the_first_place_is_named(value):
    array = np.zeros((2, 3))
    array[1, 1:] = value
    refused(f"W must be finite, got {value} at index (1, 1)", v.as_floating, "W", array)


def test_infinities_of_both_signs_are_refused_without_a_warning():
    refused("W must be finite, got inf at index (0,)", v.as_floating, "W", [np.inf, -np.inf])


def test_large_numbers_are_finite_though_their_sum_is_not():
    array = np.full(3, 1e308)
    assert v.as_floating("W", array) is array


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0)])
def test_empty_arrays_are_refused(shape):
    refused(f"W must not be empty, got shape {shape}", v.as_floating, "W", np.ones(shape))


def test_shapes_are_checked_and_named():
    assert v.check_weights([[1, 2]]).shape == (1, 2)
    refused("W must have shape (d, m), got shape (2,)", v.check_weights, [1, 2])
    for shape in ((2,), (3, 2)):
        assert v.check_inputs(np.ones(shape)).shape == v.check_inputs(np.ones(shape), 2).shape
    for shape in ((), (1, 2, 2)):
        message = f"x must have shape (n, d) or (d,), got shape {shape}"
        refused(message, v.check_inputs, np.ones(shape))
    message = "x must have as many coordinates as W has rows, d = 3, got shape (3, 2)"
    refused(message, v.check_inputs, ROWS, 3)
    found = v.check_rows("y", ROWS.astype(np.float32))
    assert found.dtype == np.float64
    assert v.check_rows("y", ROWS, 2) is ROWS
    refused("y must have shape (n, 3), got shape (3, 2)", v.check_rows, "y", ROWS, 3)
    refused("y must have shape (n, d), got shape (2,)", v.check_rows, "y", [1, 2])
    for shape in ((3,), (3, 2)):
        assert v.check_readout(np.ones(shape), 3).shape == shape
    for shape in ((2,), (), (3, 1, 1)):
        message = (
            "V must have shape (m, K) or (m,) with m = 3, the number of columns of W, got shape "
            f"{shape}"
        )
        refused(message, v.check_readout, np.ones(shape), 3)
        refused(message.replace("V", "u", 1), v.check_readout, np.ones(shape), 3, "u")


@pytest.mark.parametrize(
    "name, function",
    [
        ("W", v.check_weights),
        ("x", v.check_inputs),
        ("y", lambda value: v.check_rows("y", value)),
        ("V", lambda value: v.check_readout(value, 1)),
        ("u", lambda value: v.check_readout(value, 1, "u")),
    ],
)
def test_arrays_are_refused_under_their_own_names(name, function):
    refused(f"{name} must be finite, got nan at index (0, 1)", function, [[1.0, NAN]])


# --- intervals and times


@pytest.mark.parametrize("value", [[-1, 0, 1], 0.5, np.float32(1), [], True, [Fraction(1, 2)]])
def test_points_of_the_interval_become_float64(value):
    found = v.check_interval("t", value)
    assert found.dtype == np.float64
    assert found.tolist() == np.asarray(value, np.float64).tolist()


@pytest.mark.parametrize("value", [1.5, -1.0000001, NAN, np.inf])
def test_points_outside_the_interval_are_refused(value):
    message = f"t must lie in [-1, 1], got {value}"
    refused(message, v.check_interval, "t", [0.0, -1.0, 1.0, value])


@pytest.mark.parametrize(
    "value", [1j, "0.5", ["0.5"], [[1], [1, 2]], np.array(["0", 0], object), [10**400]], ids=repr
)
def test_what_is_no_real_number_of_the_interval(value):
    refused(f"t must be real numbers, got {value!r}", v.check_interval, "t", value)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_times_become_arrays(integers, kind):
    found = v.check_times("times", np.array([0, 1, 200], kind), integers=integers)
    assert found.dtype == (np.int64 if integers else np.float64)
    assert found.tolist() == [0, 1, 200]


@pytest.mark.parametrize("value", [[], 1.0, [[1.0]], ["1"], [True], [1j], [[1], [1, 2]]], ids=repr)
def test_what_is_no_sequence_of_times_is_refused(value):
    message = f"times must be a non-empty sequence of numbers >= 0, got {value!r}"
    refused(message, v.check_times, "times", value)
    message = message.replace("numbers", "integers")
    refused(message, v.check_times, "times", value, integers=True)


@pytest.mark.parametrize("value", [[-1.0, 2.0], [1.0, 1.0], [2.0, 1.0], [0.0, NAN], [0.0, np.inf]])
def test_times_must_increase_from_zero(value):
    message = f"times must be numbers >= 0 in increasing order, got {value!r}"
    refused(message, v.check_times, "times", value)


def test_times_are_real_numbers_of_any_kind():
    assert v.check_times("times", [0.5, 2]).tolist() == [0.5, 2.0]
    assert v.check_times("times", np.array([0.5, 2], np.float32)).dtype == np.float64


def test_steps_are_whole_numbers():
    message = "steps must be a non-empty sequence of integers >= 0, got [1.0]"
    refused(message, v.check_times, "steps", [1.0], integers=True)
    message = "steps must be integers >= 0 in increasing order, got [2, 1]"
    refused(message, v.check_times, "steps", [2, 1], integers=True)


# --- what a ledger is given


@pytest.mark.parametrize(
    "value, dtype",
    [(1, float), ([True, 2], float), ([1j], complex), ([Fraction(1, 2)], float)],
)
def test_numbers_of_any_kind_become_float64_or_complex128(value, dtype):
    found = v.check_numbers("values", value)
    assert found.dtype == dtype
    assert found.tolist() == np.asarray(value, dtype).tolist()
    assert v.check_numbers("values", np.array([2, 1j], object)).tolist() == [2, 1j]


@pytest.mark.parametrize("value", ["1", ["a"], [[1], [1, 2]], MASKED, {1: 2}], ids=one_line)
def test_what_holds_no_numbers_is_refused(value):
    refused(f"values must be an array of numbers, got {value!r}", v.check_numbers, "values", value)


@pytest.mark.parametrize("value", [[], [1.0, NAN], [np.inf], [complex(0, NAN)]])
def test_numbers_are_some_and_finite(value):
    array = np.array(value)
    message = f"values must be a non-empty array of finite numbers, got {array!r}"
    refused(message, v.check_numbers, "values", array)


def test_complex_numbers_are_refused_where_real_ones_are_needed():
    for value in ([1j], [1 + 0j]):
        refused(f"x must be real numbers, got {value!r}", v.check_numbers, "x", value, real=True)
    assert v.check_numbers("x", [1.0], real=True).tolist() == [1.0]


def test_draws_are_rows():
    assert v.check_draws("x", np.ones(3), 3).shape == (3,)
    assert v.check_draws("x", np.ones((4, 2)), 3, 2).shape == (4, 2)
    refused("x must have shape (draws,) with draws >= 3, got shape ()", v.check_draws, "x", 1, 3)
    for value, shape in ((np.ones(2), "(2,)"), (np.ones((3, 1)), "(3, 1)")):
        message = f"x must have shape (draws,) with draws >= 3, got shape {shape}"
        refused(message, v.check_draws, "x", value, 3)
    message = "x must have shape (draws, 2) with draws >= 3, got shape (3, 1)"
    refused(message, v.check_draws, "x", np.ones((3, 1)), 3, 2)
    refused("x must be real numbers, got [1j]", v.check_draws, "x", [1j], 1)


def test_enclosures_are_pairs_in_order():
    lower, upper = v.check_enclosures("e", [[1, 2], [3, 3]], (2,))
    assert (lower.tolist(), upper.tolist()) == ([1, 3], [2, 3])
    message = "e must have shape (2, 2), got shape (1, 2)"
    refused(message, v.check_enclosures, "e", [[1, 2]], (2,))
    message = "e must be pairs of a lower and an upper bound, got [[1, 2], [4, 3]]"
    refused(message, v.check_enclosures, "e", [[1, 2], [4, 3]], (2,))
    refused("e must be real numbers, got [1j, 2]", v.check_enclosures, "e", [1j, 2], ())


@pytest.mark.parametrize("value, labels", [("a", ("a",)), (["a", "b"], ("a", "b")), ((), ())])
def test_labels_become_a_tuple(value, labels):
    assert v.check_labels(value) == labels


@pytest.mark.parametrize("value", ["", [""], ["a", 3], None, 3, {"a"}, [["a"]]], ids=repr)
def test_what_is_no_label_is_refused(value):
    refused(f"covers must be labels of equations, got {value!r}", v.check_labels, value)


def test_pairs_have_one_shape_and_are_named():
    first, second = v.check_pair(found=[1, 2], stated=[3.0, 4j])
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0], [3.0, 4j])
    message = "found and stated must have one shape, got (2,) and (2, 1)"
    refused(message, v.check_pair, found=[1, 2], stated=[[1], [2]])
    refused("stated must be real numbers, got 1j", v.check_pair, real=True, found=1, stated=1j)
    refused("found must be an array of numbers, got 'x'", v.check_pair, found="x", stated=1)
