"""What the toy environment's cameras see: one class per variant, and readers for the two that carry a message.

Every view draws into ``uint8 [3, R, R]`` and is a pure function of the scene seed and :class:`ToyState`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from f1rl_envs.spec import PADDED_DIM

CAMERAS = ("head", "wrist")
NUM_JOINTS = 7
NUM_REAL = NUM_JOINTS + 1

NUM_CUES = 4
CUE_PERIOD = 7
"""Steps between two sights of the cue; more than an image history of 4, and within the first window of 8 steps."""

_CUE_COLOURS = np.array([[220, 50, 40], [50, 190, 70], [50, 90, 220], [235, 205, 50]], dtype=np.uint8)
_NEUTRAL = np.array([128, 128, 128], dtype=np.uint8)

# Even joints move the hand to the right and odd ones down, less and less: linear, so that a tiny model can learn it,
# and each axis sums to one, so that the hand reaches the table's edge exactly where the joints reach their limits.
_MIX = np.zeros((2, NUM_JOINTS), dtype=np.float32)
_MIX[0, 0::2] = np.array([8, 4, 2, 1]) / 15
_MIX[1, 1::2] = np.array([4, 2, 1]) / 7


@dataclass
class ToyState:
    """Everything that the pictures of one moment depend on, besides the scene."""

    seed: int = 0
    """Seed of the episode."""
    cue: int = 0
    """Number of the episode's cue, from 0 to :data:`NUM_CUES` - 1."""
    step: int = 0
    """Steps made in this episode."""
    joints: np.ndarray = field(default_factory=lambda: np.zeros(NUM_JOINTS, np.float32))
    """``float32 [7]`` in [-1, 1]."""
    gripper: float = 0.0
    """Opening in [-1, 1]."""
    last_action: np.ndarray = field(default_factory=lambda: np.zeros(PADDED_DIM, np.float32))
    """``float32 [A]``, the action that led here; zero at an episode's first step."""

    def hand(self) -> tuple[float, float]:
        """Return the hand's place on the table, right and down, each in [0, 1]."""
        right, down = 0.5 + 0.5 * (_MIX @ self.joints)
        return float(right), float(down)


class View(Protocol):
    """Draws one variant."""

    def build_scene(self, scene_seed: int) -> None:
        """Make what does not change within a scene."""

    def draw(self, camera: str, state: ToyState, out: np.ndarray) -> None:
        """Write what ``camera`` sees into ``out``, ``uint8 [3, R, R]``."""


class ArmView:
    """A two-link arm over a textured table: the head sees the table and the arm, the wrist what is under the hand.

    The wrist's window moves over the table by some 3 pixels (at 64) per axis and random step, in proportion to the
    action; what comes into it is in the head's view beforehand.
    """

    _GROUND_COLOUR = np.array([150, 130, 110], dtype=np.float32)
    _TILE_COLOURS = np.array([[200, 60, 50], [60, 150, 80], [60, 90, 190], [225, 190, 70]], dtype=np.float32)
    _ARM_COLOUR = np.array([235, 235, 240], dtype=np.float32)
    _FINGER_COLOUR = np.array([30, 30, 35], dtype=np.float32)

    def __init__(self, resolution: int) -> None:
        """Prepare pixel grids for pictures of ``resolution`` pixels."""
        self._size = resolution
        self._line = np.arange(resolution, dtype=np.float32) + 0.5
        self._table = np.empty((0,))
        self._table_far = np.empty((0,))

    def build_scene(self, scene_seed: int) -> None:
        """Paint the table: a smooth ground, with coloured tiles as landmarks, large enough for a coarse tokenizer."""
        rng = np.random.default_rng((2, scene_seed))
        size, span = self._size, 3 * self._size
        self._table = self._GROUND_COLOUR[:, None, None] + 30 * _smooth_noise(rng, cells=6, size=span + 1)
        for colour in rng.permutation(np.repeat(self._TILE_COLOURS, 8, axis=0)):
            height, width = rng.integers(size // 5, size // 2, size=2)
            top, left = rng.integers(0, span - height), rng.integers(0, span - width)
            self._table[:, top : top + height, left : left + width] = colour[:, None, None]
        self._table_far = self._table[:, :span, :span].reshape(3, size, 3, size, 3).mean(axis=(2, 4))

    def draw(self, camera: str, state: ToyState, out: np.ndarray) -> None:
        """Write what ``camera`` sees into ``out``, ``uint8 [3, R, R]``."""
        if camera == "wrist":
            self._draw_wrist(state, out)
        else:
            self._draw_head(state, out)

    def _draw_wrist(self, state: ToyState, out: np.ndarray) -> None:
        """The window of the table under the hand, shifted by fractions of a pixel, and the two fingers."""
        size = self._size
        right, down = state.hand()
        left, left_part = divmod(right * 2 * size, 1.0)
        top, top_part = divmod(down * 2 * size, 1.0)
        left, top = min(int(left), 2 * size), min(int(top), 2 * size)
        window = self._table[:, top : top + size + 1, left : left + size + 1]
        window = window[:, :-1] + np.float32(top_part) * (window[:, 1:] - window[:, :-1])
        window = window[..., :-1] + np.float32(left_part) * (window[..., 1:] - window[..., :-1])
        gap = size * (0.1 + 0.1 * (state.gripper + 1))
        offset = np.abs(np.abs(self._line - size / 2) - gap)
        cover = np.clip(size / 24 + 0.5 - offset, 0, 1).astype(np.float32)
        fingers = window[:, 2 * size // 3 :]
        fingers += cover * (self._FINGER_COLOUR[:, None, None] - fingers)
        out[...] = window

    def _draw_head(self, state: ToyState, out: np.ndarray) -> None:
        """The whole table at a third of the size, and the arm from its base at the lower edge to the hand."""
        size = self._size
        right, down = state.hand()
        hand = np.array([right * 2 + 0.5, down * 2 + 0.5]) * (size / 3)
        base = np.array([0.5 * size, 1.0 * size])
        elbow = _elbow(base, hand, link=0.5 * size)
        cover = np.maximum(
            _segment_cover(self._line, base, elbow, size / 24), _segment_cover(self._line, elbow, hand, size / 32)
        )
        opening = size / 32 * (1.5 + 0.5 * state.gripper)
        cover = np.maximum(cover, _segment_cover(self._line, hand, hand, opening))
        out[...] = self._table_far + cover * (self._ARM_COLOUR[:, None, None] - self._table_far)


def _smooth_noise(rng: np.random.Generator, cells: int, size: int) -> np.ndarray:
    """Return ``float32 [3, size, size]`` in [-1, 1]: random values on a grid of ``cells``, interpolated in between."""
    grid = rng.uniform(-1, 1, size=(3, cells + 1, cells + 1)).astype(np.float32)
    cell, part = np.divmod(np.linspace(0, cells, size, endpoint=False, dtype=np.float32), 1)
    cell = cell.astype(np.intp)
    rows = grid[:, cell] + part[:, None] * (grid[:, cell + 1] - grid[:, cell])
    return rows[..., cell] + part * (rows[..., cell + 1] - rows[..., cell])


def _elbow(base: np.ndarray, hand: np.ndarray, link: float) -> np.ndarray:
    """Return where the elbow of an arm with two equal links is, always on the same side."""
    reach = hand - base
    length = float(np.hypot(*reach))
    height = np.sqrt(max(link**2 - (length / 2) ** 2, 0.0))
    return base + reach / 2 + height / length * np.array([reach[1], -reach[0]])


def _segment_cover(line: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Return how much of each pixel a thick segment covers, ``float32 [R, R]`` in [0, 1], with soft edges."""
    along = (end - start).astype(np.float32)
    x, y = line[None, :] - np.float32(start[0]), line[:, None] - np.float32(start[1])
    part = np.clip((x * along[0] + y * along[1]) / max(float(along @ along), 1e-6), 0, 1)
    distance = np.sqrt((x - part * along[0]) ** 2 + (y - part * along[1]) ** 2)
    return np.clip(np.float32(radius + 0.5) - distance, 0, 1)


@dataclass(frozen=True)
class ClockReading:
    """What a picture of the ``clock`` variant says about itself."""

    step: int
    """Steps made before the picture was taken."""
    action: np.ndarray
    """``float32 [A]``, the action that led to the picture, exact to 1/32767; zero at an episode's first step."""
    seed: int
    """Seed of the episode (its lowest 32 bits)."""
    camera: str
    """Camera that took the picture."""


class ClockView:
    """Black and white blocks, 16 by 16, that spell the step, the last action, the episode's seed and the camera.

    Row 0 is the step, rows 1 to 8 are the real action entries in steps of 1/32767, rows 9 and 10 the seed, row 11 the
    camera; each row is one 16-bit number, highest bit to the left.
    """

    def __init__(self, resolution: int) -> None:
        """Prepare for pictures of ``resolution`` pixels, a multiple of 16."""
        self._block = resolution // 16

    def build_scene(self, scene_seed: int) -> None:
        """Nothing of a clock belongs to a scene."""

    def draw(self, camera: str, state: ToyState, out: np.ndarray) -> None:
        """Write what ``camera`` sees into ``out``, ``uint8 [3, R, R]``."""
        words = np.zeros(16, dtype=">u2")
        words[0] = state.step
        words[1 : 1 + NUM_REAL] = np.rint(state.last_action[:NUM_REAL] * 32767.0) + 32768
        words[9:11] = divmod(state.seed % 2**32, 2**16)
        words[11] = CAMERAS.index(camera)
        bits = np.unpackbits(words.view(np.uint8)).reshape(16, 16) * np.uint8(255)
        out[...] = bits.repeat(self._block, axis=0).repeat(self._block, axis=1)


def read_clock(image: np.ndarray) -> ClockReading:
    """Read what :class:`ClockView` drew.

    Args:
        image: ``uint8 [3, R, R]``.
    """
    block = image.shape[-1] // 16
    bits = image[:, block // 2 :: block, block // 2 :: block].mean(axis=0) > 127
    words = np.packbits(bits).view(">u2").astype(np.int64)
    action = np.zeros(PADDED_DIM, dtype=np.float32)
    action[:NUM_REAL] = (words[1 : 1 + NUM_REAL] - 32768) / 32767.0
    seed = int(words[9]) * 2**16 + int(words[10])
    return ClockReading(step=int(words[0]), action=action, seed=seed, camera=CAMERAS[words[11]])


class CueView:
    """A colour that must be remembered: shown at step 0, and again at each :data:`CUE_PERIOD`-th step.

    In between the pictures are grey, with a dark square that follows the hand (it can be predicted without memory, and
    keeps the memory busy), and a bar at the lower edge tells the phase, so that *when* the colour comes is always
    known and only *which* has to be remembered. The last sight is always 7 steps back: out of reach of an image
    history of 4, while state and actions are independent of the colour. Without memory a frame that shows the cue
    costs at least ln(4) = 1.39 nats over all its tokens together, with memory nothing; and because the first two
    sights are 7 steps apart, one window of 8 steps is enough for the gradient to reach from one to the other.
    """

    def __init__(self, resolution: int) -> None:
        """Prepare for pictures of ``resolution`` pixels."""
        self._size = resolution
        self._bar_top = resolution - resolution // 8

    def build_scene(self, scene_seed: int) -> None:
        """Nothing of a cue belongs to a scene."""

    def draw(self, camera: str, state: ToyState, out: np.ndarray) -> None:
        """Write what ``camera`` sees (both see the same) into ``out``, ``uint8 [3, R, R]``."""
        size, phase = self._size, state.step % CUE_PERIOD
        out[...] = (_NEUTRAL if phase else _CUE_COLOURS[state.cue])[:, None, None]
        if phase:
            width = size // 6
            right, down = state.hand()
            left, top = int(right * (size - width)), int(down * (self._bar_top - width))
            out[:, top : top + width, left : left + width] = 40
        out[:, self._bar_top :] = 0
        cell = size // CUE_PERIOD
        out[:, self._bar_top + 1 :, phase * cell : (phase + 1) * cell] = 255


def read_cue(image: np.ndarray) -> int:
    """Tell which cue a picture shows, also a blurred one, such as a prediction.

    Args:
        image: ``uint8 [3, R, R]``.

    Returns:
        The number of the nearest cue, or -1 where grey is nearer.
    """
    colour = np.median(image[:, : image.shape[1] * 3 // 4], axis=(1, 2))
    distance = np.abs(np.vstack([_NEUTRAL, _CUE_COLOURS]).astype(np.float64) - colour).sum(axis=1)
    return int(distance.argmin()) - 1


VIEWS: dict[str, type[ArmView] | type[ClockView] | type[CueView]] = {"arm": ArmView, "clock": ClockView, "cue": CueView}
