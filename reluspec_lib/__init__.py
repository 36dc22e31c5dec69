"""What a wide two-layer ReLU network with random hidden weights represents, and in which order.

Modules
-------
network
    The network: hidden weights, features, outputs.
sphere
    Moments and densities of the uniform distribution on the unit sphere.
groups
    The groups of approximate eigenvectors of the Fisher information and their limit functions.
fisher
    The Fisher information matrix: entries, products, leading spectrum.
harmonics
    Spherical harmonics of every degree and the spectrum at infinite width.
simulate
    Monte Carlo over independent hidden weights.
fluctuations
    How far a finite network is from its limit, by the central limit theorem.
targets
    Functions for the network to learn, with their exact moments against its features.
dynamics
    Gradient flow, gradient descent and minibatches, seen by group.
resolvent
    Spectra of random features whose dimensions grow in proportion.
spectra
    Spectra of simulated random features, to compare with that limit.
ledger
    The record of what a chapter of the book verified.
enclosures
    Rigorous bounds of the book's constants, by integration; needs python-flint.
"""

from reluspec_lib import (
    dynamics,
    enclosures,
    fisher,
    fluctuations,
    groups,
    harmonics,
    ledger,
    network,
    resolvent,
    simulate,
    spectra,
    sphere,
    targets,
)
from reluspec_lib.network import (
    StreamedWeights,
    features,
    forward,
    forward_antithetic,
    sample_weights,
)

__version__ = "0.1.0"

__all__ = [
    "StreamedWeights",
    "dynamics",
    "enclosures",
    "features",
    "fisher",
    "fluctuations",
    "forward",
    "forward_antithetic",
    "groups",
    "harmonics",
    "ledger",
    "network",
    "resolvent",
    "sample_weights",
    "simulate",
    "spectra",
    "sphere",
    "targets",
]
