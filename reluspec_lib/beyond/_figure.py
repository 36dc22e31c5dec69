"""The picture of a diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reluspec_lib.beyond.inputs import Diagnosis

__all__ = ["draw"]

# Not the colours of the groups, which are C0 to C3.
_COLORS = {"raw": "C6", "centred": "C4", "whitened": "C5"}


def draw(found: Diagnosis) -> Figure:
    """Return the spectra of the three views beside the theory, and their curves of learning."""
    learned = found.raw.curves is not None
    fig, axes = plt.subplots(1, 2 if learned else 1, figsize=(7.6 if learned else 5.0, 3.4))
    ax = np.atleast_1d(axes)[0]
    size = min(len(found.raw.eigenvalues), found.d * (found.d + 3) // 2)
    ranks = np.arange(1, size + 1)
    sizes = (1, found.d, max(size - 1 - found.d, 0))
    for one in found.views:
        ax.plot(ranks, one.eigenvalues[:size], color=_COLORS[one.name], label=one.name)
    ax.plot(ranks, np.repeat(found.ideal, sizes)[:size], "k:", lw=1.2, label="theory, N(0, I)")
    lowest = found.ideal[2] / 100
    ax.set(xscale="log", yscale="log", ylim=(lowest, 2 * found.raw.eigenvalues[0]))
    ax.set(xlabel="rank", ylabel="eigenvalue of $J_n$")
    ax.legend()
    if learned:
        ax = axes[1]
        for one in found.views:
            if one.curves is not None:
                color, times = _COLORS[one.name], one.curves.times
                ax.plot(times, one.curves.network, color=color)
                ax.plot(times, one.curves.ideal, ":", color=color)
        ax.plot([], [], color="k", label="network")
        ax.plot([], [], ":", color="k", label="ideal groups")
        ax.set(xscale="log", xlabel="time", ylabel="training error / mean square of y")
        ax.legend()
    return fig
