"""Pictures of the built book: sharp on dense screens, in a format that takes a third of the room.

Notebooks store PNG, which every reader of notebooks knows, with twice as many pixels each way as a
page shows. Lines on paper need few colours: with 256 of them a picture takes little more room than
one at the page's own size with all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

# The size in the style is Sphinx's, and would hold where the page is narrower.
SHOWN = re.compile(
    r'\bsrc="([^"]*\b_images/)([^"/]+)\.png"( style="width: [\d.]+px; height: [\d.]+px;")?'
)
# Pixels of a picture to one of the page.
DENSITY = 2
COLOURS = 256
# Root mean square over pixels and channels, of 255. Pictures that would change by more, as shaded
# surfaces do, keep all their colours.
LEAST_SEEN = 1.0


def with_webp(page: str, sizes: Mapping[str, tuple[int, int]]) -> str:
    """Return a page that shows the pictures as WebP, at the sizes in pixels of the page."""

    def shown(match: re.Match[str]) -> str:
        width, height = sizes[match[2]]
        return f'src="{match[1]}{match[2]}.webp" width="{width}" height="{height}"'

    return SHOWN.sub(shown, page)


def with_few_colours(picture: Image.Image) -> Image.Image:
    """Return a picture in few colours, or as it is where it is transparent or would change."""
    if "A" in picture.getbands() and picture.getextrema()[-1] != (255, 255):
        return picture
    full = picture.convert("RGB")
    few = full.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    error = np.subtract(full, few, dtype=np.float32)
    return few if np.sqrt(np.mean(error * error)) <= LEAST_SEEN else full


def encode(path: Path) -> tuple[int, int]:
    """Write a PNG as WebP in its place; return its size in pixels of the page."""
    with Image.open(path) as picture:
        size = (picture.width // DENSITY, picture.height // DENSITY)
        # More effort takes three times as long and saves another fifth.
        with_few_colours(picture).save(
            path.with_suffix(".webp"), lossless=True, exact=True, quality=20, method=2
        )
    path.unlink()
    return size


def encode_all(folder: Path) -> dict[str, tuple[int, int]]:
    """Write all PNGs of a folder as WebP; return their sizes in pixels of the page, by name."""
    paths = sorted(folder.glob("*.png"))
    with ThreadPoolExecutor() as pool:  # the encoder runs without Python's lock
        return dict(zip((path.stem for path in paths), pool.map(encode, paths), strict=True))
