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
ledger
    The record of what a chapter of the book verified.
"""

from reluspec_lib import fisher, groups, harmonics, ledger, network, simulate, sphere
from reluspec_lib.network import features, forward, sample_weights

__version__ = "0.1.0"

__all__ = [
    "features",
    "fisher",
    "forward",
    "groups",
    "harmonics",
    "ledger",
    "network",
    "sample_weights",
    "simulate",
    "sphere",
]
