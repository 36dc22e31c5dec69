"""What a wide two-layer ReLU network with random hidden weights represents, and in which order.

The core, which everything shares
---------------------------------
network
    The network: hidden weights, features, outputs.
sphere
    Moments and densities of the uniform distribution on the unit sphere.
harmonics
    Spherical harmonics of every degree and the spectrum at infinite width.
groups
    The groups of approximate eigenvectors of the Fisher information and their limit functions.
ledger
    The record of what a chapter of the book verified.

The parts, with the names of the book's; each uses the core and the parts before it
-----------------------------------------------------------------------------------
theorems
    ``enclosures``: rigorous bounds of the book's constants, by integration; needs python-flint.
spectrum
    ``fisher``: the Fisher information matrix: entries, products, leading spectrum.
width
    ``simulate``: Monte Carlo over independent hidden weights. ``fluctuations``: how far a finite
    network is from its limit, by the central limit theorem. ``guarantees``: the same with bounds
    that hold at every width.
learning
    ``targets``: functions to learn, with their exact moments against the features. ``dynamics``:
    gradient flow, gradient descent and minibatches, seen by group. ``risk``: test errors of ridge
    regression and SGD in closed form. ``transformer``: the limit functions as features for
    scikit-learn.
proportional
    ``resolvent``: spectra of random features whose dimensions grow in proportion.
    ``simulated_spectra``: spectra of simulated random features, to compare with that limit.
beyond
    ``activations``: the spectrum of any activation. ``depth``: that of deeper networks.
    ``inputs``: what the theory says of a data set. ``laws``: inputs that are not standard Gaussian.

``from reluspec_lib import fisher`` finds a module of a part by its name alone. Importing the
package loads nothing; a module is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reluspec_lib import groups, harmonics, ledger, network, sphere
    from reluspec_lib.beyond import activations, depth, inputs, laws
    from reluspec_lib.learning import dynamics, risk, targets
    from reluspec_lib.learning import transformer as transformer
    from reluspec_lib.network import (
        StreamedWeights,
        features,
        forward,
        forward_antithetic,
        sample_weights,
    )
    from reluspec_lib.proportional import resolvent, simulated_spectra
    from reluspec_lib.spectrum import fisher
    from reluspec_lib.theorems import enclosures
    from reluspec_lib.width import fluctuations, guarantees, simulate

__version__ = "0.1.0"

__all__ = [
    "StreamedWeights",
    "activations",
    "depth",
    "dynamics",
    "enclosures",
    "features",
    "fisher",
    "fluctuations",
    "forward",
    "forward_antithetic",
    "groups",
    "guarantees",
    "harmonics",
    "inputs",
    "laws",
    "ledger",
    "network",
    "resolvent",
    "risk",
    "sample_weights",
    "simulate",
    "simulated_spectra",
    "sphere",
    "targets",
]

_ROOMS = {
    "theorems": ["enclosures"],
    "spectrum": ["fisher"],
    "width": ["fluctuations", "guarantees", "simulate"],
    "learning": ["dynamics", "risk", "targets", "transformer"],
    "proportional": ["resolvent", "simulated_spectra"],
    "beyond": ["activations", "depth", "inputs", "laws"],
}
_MODULES = {name: f"{room}.{name}" for room, names in _ROOMS.items() for name in names}
_MODULES |= {name: name for name in ("groups", "harmonics", "ledger", "network", "sphere")}
# The name that simulated_spectra had before.
_MODULES["spectra"] = "proportional.simulated_spectra"


def __getattr__(name: str) -> Any:
    """Load a module when it is first asked for."""
    if name in _MODULES:
        found = import_module(f"{__name__}.{_MODULES[name]}")
    elif name in __all__:
        found = getattr(import_module(f"{__name__}.network"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
