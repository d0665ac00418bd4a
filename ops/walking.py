"""Class maps spread along the picture's own colours: what is of one colour is of one object, more often than not."""

import functools

import numpy as np

from .arguments import real, real_array, shown, whole
from .compiled import compiled
from .heatmap import upsample
from .overlays import rgb
from .quiet_tensorflow import tf

GRID = 56  # pixels a side on which the walk goes
LARGEST_GRID = 512
STEPS = 20
DISTANCES = (1, 2, 4, 8)
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
REACH = max(DISTANCES)
# Each is followed by the one that leads back.
OFFSETS = [(sign * distance * y, sign * distance * x)
           for distance in DISTANCES for y, x in DIRECTIONS for sign in (1, -1)]
LEAST = 1e-30  # sum of a pixel's affinities below which they say nothing
DEVIATION = 0.03  # of colours, of which black and white are 1 apart
# From linear RGB (the primaries and white of sRGB, IEC 61966-2-1) to XYZ over that of white.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
XYZ = (XYZ / XYZ.sum(axis=1, keepdims=True)).astype(np.float32)
# Of the 256 levels of sRGB.
LEVELS = np.arange(256) / 255
LINEAR = np.where(LEVELS <= 0.04045, LEVELS / 12.92, ((LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)


def walk_colours(picture, side=GRID):
    """A picture as `random_walk` asks for it: uint8 [H, W, 3] to uint8 [side, side, 3]. Raises ValueError for any other."""
    from PIL import Image
    if whole(side, "side", 1) > LARGEST_GRID:
        raise ValueError(f"side must be at most {LARGEST_GRID}; it is {side}")
    return np.asarray(Image.fromarray(rgb(picture)).resize((side, side), Image.Resampling.BILINEAR))


def random_walk(maps, colours, steps=STEPS, deviation=DEVIATION):
    """Maps after some steps of a random walk between pixels of like colour.

    From each pixel i of a grid the walk goes to one of its 32 neighbours j, at distances 1,
    2, 4 and 8 in eight directions, with a probability in proportion to
    exp(-|c_i - c_j|^2 / (2 deviation^2)), c in hundredths of CIE 1976 L*a*b*. Each step
    replaces the map's value at i by the mean of those at its neighbours, weighted so:
    m <- P m. Values stay between the least and the largest of the map. (Affinities of
    colours, and walks along them, as in Ahn and Kwak, CVPR 2018, where a network learns them.)

    A grid of twice the side needs four times the steps to spread as far.
    Compiled by XLA once for each number of maps and each side.

    maps       [k, h, w], finite, of one picture; upsampled to the grid (bilinear)
    colours    uint8 [side, side, 3], of the whole picture, see `walk_colours`; side at most 512
    steps      of the walk, 0 to 1000
    deviation  of colours, above 0; a larger one crosses more borders
    returns    float32 [k, side, side], NumPy
    raises     ValueError when an argument is not as it should be
    """
    colours, deviation = real_array(colours, "colours"), real(deviation, "deviation")
    side = colours.shape[0] if colours.ndim else 0
    if colours.dtype != np.uint8 or colours.shape != (side, side, 3) or not 1 <= side <= LARGEST_GRID:
        raise ValueError(f"colours must be uint8 [side, side, 3], side 1 to {LARGEST_GRID}; they are {colours.dtype} {colours.shape}")
    if not deviation > 0:
        raise ValueError(f"deviation must be above 0; it is {shown(deviation)}")
    if whole(steps, "steps", 0) > 1000:
        raise ValueError(f"steps must be at most 1000; they are {steps}")
    maps = real_array(maps, "maps")
    if maps.ndim != 3 or not maps.size:
        raise ValueError(f"maps must be [k, h, w], none of them zero; their shape is {maps.shape}")
    # Hundreds of small steps for one picture: a GPU would be asked for each of them.
    with tf.device("CPU:0"):
        return _walk(tf.constant(upsample(maps, side)), tf.constant(_probabilities(_lab(colours) / 100, deviation)),
                     tf.constant(steps, tf.int32)).numpy()


def _lab(colours):
    """CIE 1976 L*a*b* of sRGB: uint8 [h, w, 3] to float32 [3, h, w], L* from 0 to 100."""
    x, y, z = (_lightness(share) for share in np.einsum("cr,hwr->chw", XYZ, LINEAR[colours]))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _lightness(share):
    """CIE's f: the cube root of a share of white's, and a line near black."""
    return np.where(share > (6 / 29) ** 3, np.cbrt(share), share * np.float32((29 / 6) ** 2 / 3) + np.float32(4 / 29))


def _probabilities(colours, deviation):
    """float32 [32, side, side]: of each pixel's step to its neighbour at each of the OFFSETS. colours: float32 [3, side, side]."""
    side, scaled = colours.shape[-1], colours * np.float32(0.5 ** 0.5 / deviation)
    affinities, overlaps = np.zeros((len(OFFSETS), side, side), np.float32), _overlaps(side)
    for number in range(0, len(OFFSETS), 2):
        here, there = overlaps[number], overlaps[number + 1]
        distance = np.square(scaled[:, *here] - scaled[:, *there]).sum(axis=0)
        with np.errstate(under="ignore"):  # colours that have nothing to do with one another
            affinities[number, *here] = affinities[number + 1, *there] = np.exp(-distance)
    total = affinities.sum(axis=0)
    lonely = total < LEAST
    if lonely.any():
        # A pixel that is like none of its neighbours goes to any of them.
        for number, here in enumerate(overlaps):
            affinities[number, *here][lonely[here]] = 1
        total = np.maximum(affinities.sum(axis=0), LEAST)
    with np.errstate(under="ignore"):
        affinities /= total
    return affinities


@functools.lru_cache(maxsize=8)
def _overlaps(side):
    """Of each of the OFFSETS, rows and columns of the pixels that have a neighbour there."""
    return [tuple(slice(max(0, -step), max(0, side - max(0, step))) for step in offset) for offset in OFFSETS]


@compiled
def _walk(maps, probabilities, steps):
    # Loops, not 32 terms written out: XLA takes half a minute to compile those, and saves a few milliseconds.
    offsets = tf.constant(np.array(OFFSETS) + REACH, tf.int32)

    def step(number, maps):
        padded = tf.pad(maps, [[0, 0], [REACH, REACH], [REACH, REACH]])

        def neighbour(place, total):
            there = tf.slice(padded, [0, offsets[place, 0], offsets[place, 1]], maps.shape)
            return place + 1, total + probabilities[place] * there

        return number + 1, tf.while_loop(lambda place, _: place < len(OFFSETS), neighbour, (0, tf.zeros_like(maps)))[1]

    return tf.while_loop(lambda number, _: number < steps, step, (0, maps))[1]
