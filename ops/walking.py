"""Class maps spread along the picture's own colours: what is of one colour is of one object, more often than not."""

import numpy as np

from ops.arguments import real, real_array, shown, whole
from ops.heatmap import upsample
from ops.overlays import rgb
from ops.quiet_tensorflow import tf

SIDE = 112  # of the grid on which the walk goes
DISTANCES = (1, 2, 4, 8)
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
REACH = max(DISTANCES)
OFFSETS = [(sign * distance * y, sign * distance * x)
           for distance in DISTANCES for y, x in DIRECTIONS for sign in (1, -1)]
LEAST = 1e-30  # sum of a pixel's affinities below which they say nothing
DEVIATION = 0.05  # of colours, of which black and white are 1 apart in each channel


def walk_colours(picture):
    """A picture as `random_walk` asks for it: uint8 [H, W, 3] to uint8 [112, 112, 3]."""
    from PIL import Image
    return np.asarray(Image.fromarray(rgb(picture)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def random_walk(maps, colours, steps=50, deviation=DEVIATION):
    """Maps after some steps of a random walk between pixels of like colour.

    From each pixel i of a 112 x 112 grid the walk goes to one of its 32 neighbours j, at
    distances 1, 2, 4 and 8 in eight directions, with a probability in proportion to
    exp(-|c_i - c_j|^2 / (2 deviation^2)). Each step replaces the map's value at i by the
    mean of those at its neighbours, weighted so: m <- P m. Values stay between the
    least and the largest of the map. (Affinities of colours, and walks along them, as
    in Ahn and Kwak, CVPR 2018, where a network learns them.)

    Compiled by XLA once for each number of maps.

    maps       [k, h, w], finite, of one picture; upsampled to the grid (bilinear)
    colours    uint8 [112, 112, 3], see `walk_colours`
    steps      of the walk, 0 to 1000
    deviation  of colours, above 0; a larger one crosses more borders
    returns    float32 [k, 112, 112], NumPy
    raises     ValueError when an argument is not as it should be
    """
    colours, deviation = real_array(colours, "colours"), real(deviation, "deviation")
    if colours.dtype != np.uint8 or colours.shape != (SIDE, SIDE, 3):
        raise ValueError(f"colours must be uint8 [{SIDE}, {SIDE}, 3]; they are {colours.dtype} {colours.shape}")
    if not deviation > 0:
        raise ValueError(f"deviation must be above 0; it is {shown(deviation)}")
    if whole(steps, "steps", 0) > 1000:
        raise ValueError(f"steps must be at most 1000; they are {steps}")
    maps = real_array(maps, "maps")
    if maps.ndim != 3 or not maps.size:
        raise ValueError(f"maps must be [k, h, w], none of them zero; their shape is {maps.shape}")
    probabilities = _probabilities(colours.astype(np.float32) / 255, deviation)
    return _walk(upsample(maps, SIDE), probabilities, tf.constant(steps, tf.int32)).numpy()


def _probabilities(colours, deviation):
    """float32 [32, 112, 112]: of each pixel's step to its neighbour at each of the OFFSETS, NumPy."""
    padded = np.pad(colours, [(REACH, REACH), (REACH, REACH), (0, 0)], constant_values=np.inf)
    affinities = np.empty((len(OFFSETS), SIDE, SIDE), np.float32)
    for number, (dy, dx) in enumerate(OFFSETS):
        there = padded[REACH + dy:REACH + dy + SIDE, REACH + dx:REACH + dx + SIDE]
        np.exp(np.square(there - colours).sum(axis=2) / np.float32(-2 * deviation ** 2), out=affinities[number])
    total = affinities.sum(axis=0)
    # A pixel that is like none of its neighbours goes to any of them.
    lonely = total < LEAST
    if lonely.any():
        affinities[:, lonely] = np.isfinite(np.stack([
            padded[REACH + dy:REACH + dy + SIDE, REACH + dx:REACH + dx + SIDE, 0] for dy, dx in OFFSETS]))[:, lonely]
        total = affinities.sum(axis=0)
    return affinities / total


@tf.function(jit_compile=True, autograph=False)
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
