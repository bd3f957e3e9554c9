"""Procedural textures: rich in structure at every scale, so that a small motion of a camera shows at 64 pixels.

All arithmetic is element-wise (no matrix products), so that one seed gives the same bytes whatever the number of
threads. A texture is ``uint8 [n, n, 4]`` RGBA and tiles without a seam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 256
"""Texels along a side, 5 mm each on the table: about a pixel of the wrist camera at 64 pixels. Twice as many would
cost four times as long to draw, and a new scene draws three textures."""


def _upsample(grid: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Stretch ``grid`` along ``axis`` to ``size`` entries by smooth interpolation, wrapping around."""
    cells = grid.shape[axis]
    position = np.arange(size, dtype=np.float32) * (cells / size)
    low = position.astype(np.int64)
    weight = position - low
    weight = weight * weight * (3.0 - 2.0 * weight)
    shape = [1] * grid.ndim
    shape[axis] = size
    weight = weight.reshape(shape)
    first, second = grid.take(low, axis), grid.take((low + 1) % cells, axis)
    return first + (second - first) * weight


def _noise(rng: np.random.Generator, cells: tuple[int, int], octaves: int) -> np.ndarray:
    """Return tileable value noise, ``float32 [SIZE, SIZE]`` from about 0 to 1; rows and columns may differ in scale."""
    total = np.zeros((SIZE, SIZE), np.float32)
    amplitude, norm = 1.0, 0.0
    for octave in range(octaves):
        shape = tuple(min(c << octave, SIZE) for c in cells)
        grid = rng.random(shape, dtype=np.float32)
        total += amplitude * _upsample(_upsample(grid, SIZE, 1), SIZE, 0)
        norm += amplitude
        amplitude *= 0.6
    return total / norm


def _mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Blend two colours ``[3]`` (or images) by ``weight [n, n]``."""
    return first + (second - first) * weight[..., None]


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column coordinates, each from 0 to 1."""
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    return axis[:, None], axis[None, :]


def _wood(rng: np.random.Generator, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Planks with grain, each of its own shade, and dark seams between them."""
    row, column = _grid()
    planks = int(rng.integers(5, 9))
    plank = np.minimum((row * planks).astype(np.int64), planks - 1)
    shift = rng.random(planks, dtype=np.float32)[plank]
    shade = (0.75 + 0.45 * rng.random(planks, dtype=np.float32))[plank]
    grain = _noise(rng, (24, 3), 2)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (5.0 * grain + 2.0 * row * planks + shift))
    image = _mix(dark, light, 0.55 * rings + 0.45 * _noise(rng, (128, 12), 1)) * shade[..., None]
    across = np.abs((row * planks) % 1.0 - 0.5)
    along = np.abs((column * 2 + shift) % 1.0 - 0.5)
    seam = (across > 0.485) | (along > 0.495)
    return np.where(seam[..., None], image * 0.35, image)


def _tiles(rng: np.random.Generator, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A chequered floor of stained tiles with light grout."""
    row, column = _grid()
    count = int(rng.integers(6, 12)) // 2 * 2
    r, c = (row * count).astype(np.int64), (column * count).astype(np.int64)
    shade = 0.85 + 0.3 * rng.random((count, count), dtype=np.float32)[r, c]
    image = np.where(((r + c) % 2 == 0)[..., None], dark, light) * shade[..., None]
    image = image * (0.75 + 0.5 * _noise(rng, (16, 16), 3))[..., None]
    grout = np.maximum(np.abs((row * count) % 1 - 0.5), np.abs((column * count) % 1 - 0.5)) > 0.475
    return np.where(grout[..., None], 0.6 * light + 0.2, image)


def _marble(rng: np.random.Generator, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Veins through cloudy stone."""
    row, column = _grid()
    turbulence = _noise(rng, (6, 6), 4)
    waves = int(rng.integers(2, 5))
    vein = 1.0 - np.abs(np.sin(np.pi * (waves * row + column + 5.0 * turbulence)))
    image = _mix(light, dark, np.clip(0.9 * vein**3 + 0.35 * _noise(rng, (24, 24), 2), 0.0, 1.0))
    return image * (0.85 + 0.3 * _noise(rng, (64, 64), 1))[..., None]


def _terrazzo(rng: np.random.Generator, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Chips of several colours and sizes in a plain ground."""
    image = _mix(light * 0.85, light, _noise(rng, (64, 64), 1))
    for cells in (16, 26, 44):
        chip = _noise(rng, (cells, cells), 1)
        colour = np.clip(_mix(dark, rng.random(3, dtype=np.float32), np.float32([[0.4]])), 0, 1)
        image = np.where((chip > 0.7)[..., None], colour * (0.8 + 0.4 * rng.random(dtype=np.float32)), image)
    return image


def _plaid(rng: np.random.Generator, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Woven cloth: stripes of random widths both ways, with threads."""
    row, column = _grid()
    image = np.broadcast_to(light, (SIZE, SIZE, 3)).astype(np.float32)
    accent = 0.15 + 0.6 * rng.random(3, dtype=np.float32)
    for axis, count in ((row, 5), (column, 5)):
        for colour in (dark, accent):
            phase, width = rng.random(dtype=np.float32), 0.15 + 0.2 * rng.random(dtype=np.float32)
            stripe = (np.abs((axis * count + phase) % 1.0 - 0.5) < width / 2).astype(np.float32)
            image = _mix(image, np.broadcast_to(colour, image.shape), np.broadcast_to(0.55 * stripe, (SIZE, SIZE)))
    return image * (0.8 + 0.4 * _noise(rng, (128, 128), 1))[..., None]


STYLES: dict[str, Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]] = {
    "wood": _wood,
    "tiles": _tiles,
    "marble": _marble,
    "terrazzo": _terrazzo,
    "plaid": _plaid,
}

_PALETTES = {
    "wood": ((0.30, 0.17, 0.08), (0.66, 0.45, 0.26)),
    "tiles": ((0.35, 0.42, 0.48), (0.75, 0.74, 0.70)),
    "marble": ((0.25, 0.25, 0.28), (0.82, 0.80, 0.77)),
    "terrazzo": ((0.32, 0.24, 0.20), (0.72, 0.70, 0.66)),
    "plaid": ((0.45, 0.12, 0.12), (0.78, 0.72, 0.62)),
}


def texture(style: str, seed: int, *, random_colours: bool) -> np.ndarray:
    """Return the texture of a style and a seed.

    Args:
        style: a key of :data:`STYLES`.
        seed: decides everything random in it.
        random_colours: draw the palette around the style's own instead of using that.

    Returns:
        ``uint8 [SIZE, SIZE, 4]``, opaque.
    """
    rng = np.random.default_rng(seed)
    dark, light = (np.array(colour, np.float32) for colour in _PALETTES[style])
    if random_colours:
        tint = (rng.uniform(0.7, 1.2, (2, 1)) * rng.uniform(0.8, 1.2, (2, 3))).astype(np.float32)
        dark, light = np.clip(dark * tint[0], 0.05, 0.6), np.clip(light * tint[1], 0.35, 0.9)
    image = np.empty((SIZE, SIZE, 4), np.uint8)
    image[..., :3] = np.clip(STYLES[style](rng, dark, light), 0.0, 1.0) * 255.0
    image[..., 3] = 255
    return image
