"""Figures that are drawn from the record when the book is built, as SVG in the page's colours."""

from __future__ import annotations

import math

import numpy as np

from tools.record import Pooled

EDGES = np.arange(-4.5, 4.51, 0.5)
WIDTH, HEIGHT = 560, 240
LEFT, BOTTOM, TOP = 48, 40, 12  # margins for the labels of the axes


def pooled_figure(pooled: Pooled) -> str:
    """Return the histogram of the distances with the normal law, and a caption."""
    count = len(pooled.z)
    heights = np.histogram(pooled.z.clip(EDGES[0], EDGES[-1]), EDGES)[0]
    step = EDGES[1] - EDGES[0]
    grid = np.linspace(EDGES[0], EDGES[-1], 91)
    normal = count * step * np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    tallest = max(heights.max(), normal.max())

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT) * (value - EDGES[0]) / (EDGES[-1] - EDGES[0])

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / tallest

    bars = "".join(
        f'<rect class="bar" x="{x(left) + 1:.1f}" y="{y(height):.1f}" '
        f'width="{x(left + step) - x(left) - 2:.1f}" height="{y(0) - y(height):.1f}"/>'
        for left, height in zip(EDGES[:-1], heights, strict=True)
        if height
    )
    curve = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(grid, normal, strict=True))
    ticks = "".join(
        f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
        f"{str(value).replace('-', '−')}</text>"
        for value in range(-4, 5)
    )
    unit = 10 ** math.floor(math.log10(tallest))
    unit = unit if tallest / unit >= 2 else unit // 2 or 1
    levels = "".join(
        f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>'
        for value in range(0, int(tallest) + 1, unit)
    )
    centre = x(0)
    rms, p = f"{pooled.rms:.2f}", f"{pooled.p:.2g}"
    inside = float(np.mean(np.abs(pooled.z) <= 1))
    alt = (
        f"Histogram of {count} distances in standard errors, with the normal curve: "
        f"{100 * inside:.0f} % lie within 1 (68 % expected), the largest is "
        f"{np.abs(pooled.z).max():.1f}, the root mean square {rms}"
    )
    return (
        f'<figure class="record-figure"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{alt}"><title>{alt}</title>{bars}'
        f'<polyline class="law" points="{curve}"/>'
        f'<line class="axis" x1="{LEFT}" y1="{y(0):.1f}" x2="{WIDTH}" y2="{y(0):.1f}"/>'
        f"{ticks}{levels}"
        f'<text x="{centre:.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
        "distance from the stated value, in standard errors</text>"
        f'<text transform="translate(14 {(y(0) + TOP) / 2:.1f}) rotate(-90)" '
        'text-anchor="middle">checks</text></svg>'
        f"<figcaption>{count} simulated checks: distance of the mean from the stated value, as a "
        f"normal variable, and the normal law (line). Root mean square {rms}, "
        f'<span class="nowrap">p = {p}</span>.</figcaption>'
        "</figure>\n"
    )
