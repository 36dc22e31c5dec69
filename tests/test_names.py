"""The names that the package offers at its top, and what importing it loads."""

from pathlib import Path

import pytest

import reluspec_lib
from helpers import run_python
from reluspec_lib import network

ROOT = Path(reluspec_lib.__file__).parent
MODULES = {path.stem: path for path in ROOT.rglob("*.py") if not path.stem.startswith("_")}
HERE = vars(reluspec_lib)


def test_the_names_are_those_of_public_modules_and_of_the_network():
    offered = {*reluspec_lib.__all__, "transformer"}  # which needs scikit-learn
    # What a ledger needs once it is stored is found by way of `ledger`.
    inner = {name for name, path in MODULES.items() if path.parent.name == "record"}
    assert offered == {*MODULES, *network.__all__} - inner
    assert len(set(reluspec_lib.__all__)) == len(reluspec_lib.__all__)


@pytest.mark.parametrize("name", sorted({*MODULES} & {*reluspec_lib.__all__, "transformer"}))
def test_a_module_is_found_by_its_name_alone(name, monkeypatch):
    monkeypatch.delitem(HERE, name, raising=False)
    found = getattr(reluspec_lib, name)
    assert Path(found.__file__) == MODULES[name]
    assert HERE[name] is found


@pytest.mark.parametrize("name", network.__all__)
def test_the_package_offers_the_network_at_its_top(name, monkeypatch):
    monkeypatch.delitem(HERE, name, raising=False)
    found = getattr(reluspec_lib, name)
    assert found is getattr(network, name)
    assert HERE[name] is found


def test_simulated_spectra_keep_their_former_name(monkeypatch):
    monkeypatch.delitem(HERE, "spectra", raising=False)
    assert reluspec_lib.spectra is reluspec_lib.simulated_spectra


def test_names_that_there_are_not():
    with pytest.raises(AttributeError, match=r"^module 'reluspec_lib' has no attribute 'group'$"):
        reluspec_lib.group  # noqa: B018
    assert not hasattr(reluspec_lib, "check_weights")


def test_names_are_listed_before_they_are_loaded(monkeypatch):
    for name in ("depth", "forward"):
        monkeypatch.delitem(HERE, name, raising=False)
    assert {*reluspec_lib.__all__, "__version__", "__file__"} <= {*dir(reluspec_lib)}


def test_the_package_is_imported_without_what_few_need():
    program = "import sys, reluspec_lib\nfrom reluspec_lib import {}\nprint(*sys.modules)"
    loaded = {*run_python(program.format("groups, harmonics, ledger, network, sphere")).split()}
    unwanted = {"scipy.interpolate", "sympy", "matplotlib", "flint", "sklearn", "distributed"}
    assert not unwanted & loaded
    rooms = {f"reluspec_lib.{room}" for room in reluspec_lib._ROOMS}
    assert not rooms & loaded
