"""Connected regions of every level of an 8-bit map at once.

The pixels at or above level v of a map form regions, and regions only grow
and merge as v falls.  So one tree holds the regions of all 255 levels:

1. from every pixel one can climb along its row to a summit of the row, from
   there to the highest neighbour in the rows beside it, and so on up to a peak
   of the map.  The pixels that end at one peak are its *basin*;
2. where two basins touch, the highest pair of neighbouring pixels across their
   border is the *saddle* down to which they are separate;
3. joining basins at their saddles, highest first (Kruskal's algorithm), gives
   the regions of every level.  What is known of a basin at each level (its
   extent, its area) is carried through every merge.

Steps over pixels are array operations; only merges, of which a smooth map has
a few dozen, are taken one by one.
"""

import numpy as np

LEVELS = 256


class Regions:
    """Regions of all levels of a map; a region is named by one of its basins.

    Args:
      heights: uint16 [H, W]. The level of a pixel is in the high byte; the low
        byte orders pixels of equal level, which keeps the peaks of a smooth
        map few. The outermost pixels must be a frame of one height, lower or
        higher than all others (or equal to them).
      eight_connected: bool. Whether diagonal neighbours are connected.

    Attributes:
      basin: int32 [H * W], the basin of each pixel.
      born: int [basins], the highest level of each basin.
      joined: int [basins], the level at which it merges into basin `into`; 0: never.
      frame: int, the basin that names the frame's region at all levels it has.
    """

    def __init__(self, heights, eight_connected):
        self.shape = heights.shape
        self.eight_connected = eight_connected
        self.level = (heights >> 8).astype(np.uint8).ravel()
        heights = heights.ravel()
        # Of equal neighbours the later one counts as higher.  Rows are taken
        # as one line: at their ends there is only frame, which is one region
        # whatever is connected in it.
        rises = np.concatenate([[True], heights[1:] >= heights[:-1], [False]])
        summits = np.flatnonzero(rises[:-1] & ~rises[1:])
        valleys = np.flatnonzero(~rises[:-1] & rises[1:])
        slopes = np.concatenate([[0], valleys])
        peak_of_slope = self._climb(heights, summits, slopes)
        peaks, basin = np.unique(peak_of_slope, return_inverse=True)
        self.basin = np.repeat(basin.astype(np.int32),
                               np.diff(slopes, append=heights.size))
        self.frame = int(self.basin[0])
        self.born = self.level[summits[peaks]].astype(np.int64)
        self._merge(self._saddles(valleys))
        self._extent = self._find_extent(heights, summits)

    def _climb(self, heights, summits, slopes):
        """The slope (by number) on whose summit each slope's climb ends."""
        width = self.shape[1]
        steps = [-width - 1, -width, -width + 1, width - 1, width, width + 1]
        if not self.eight_connected:
            steps = [-width, width]
        near = summits + np.array(steps + [0])[:, None]
        near = np.clip(near, 0, heights.size - 1)  # only frame is changed by this
        key = heights[near].astype(np.int64) * heights.size + near
        highest = key.max(axis=0) % heights.size
        target = np.searchsorted(slopes, highest, side="right") - 1
        while True:
            further = target[target]
            if np.array_equal(further, target):
                return target
            target = further

    def _saddles(self, valleys):
        """Touching basins: lists of saddle levels (>= 1, falling), basins, basins."""
        width = self.shape[1]
        found = [(valleys - 1, valleys)]
        for step in ([width - 1, width, width + 1] if self.eight_connected else [width]):
            here = np.flatnonzero(self.basin[step:] != self.basin[:-step])
            found.append((here, here + step))
        here, there = np.concatenate(found, axis=1)
        saddle = np.minimum(self.level[here], self.level[there]).astype(np.int64)
        here, there = self.basin[here], self.basin[there]
        border = (here != there) & (saddle > 0)
        basins = self.born.size
        pair = (np.minimum(here, there).astype(np.int64) * basins
                + np.maximum(here, there))[border]
        # Sorted by pair and falling level, the first of each pair is its saddle.
        pair, level = np.divmod(np.sort(pair * LEVELS + LEVELS - 1 - saddle[border]), LEVELS)
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        first = first[np.argsort(level[first], kind="stable")]
        here, there = np.divmod(pair[first], basins)
        return (LEVELS - 1 - level[first]).tolist(), here.tolist(), there.tolist()

    def _merge(self, saddles):
        """Join basins, highest saddle first."""
        parent = list(range(self.born.size))
        size = [1] * len(parent)
        size[self.frame] = self.basin.size  # the frame's region keeps its name

        def find(basin):
            while parent[basin] != basin:
                parent[basin] = basin = parent[parent[basin]]
            return basin

        self.joined = np.zeros(len(parent), np.int64)
        self.into = np.arange(len(parent))
        self._merges = []
        for level, a, b in zip(*saddles):
            a, b = find(a), find(b)
            if a == b:
                continue
            if size[a] < size[b]:  # keeps the chains that `root` follows short
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
            self.joined[b], self.into[b] = level, a
            self._merges.append((level, a, b))

    def _carry(self, table, combine):
        """Combine what basins know at a level with all they have merged with there.

        Args:
          table: [basins, ..., LEVELS], changed in place.
        """
        for level, a, b in self._merges:
            below = table[a, ..., :level + 1]
            combine(below, table[b, ..., :level + 1], out=below)
        return table

    def _find_extent(self, heights, summits):
        """int32 [basins, 4, LEVELS]: first and -last row, first and -last column.

        Each is a position, in the map or in its transpose.  The first row of a
        region holds the summit of that row, the first column one of its column,
        so looking at summits is enough.

        Where an index repeats in an assignment the last value stays: writing
        positions in falling order leaves the smallest, in rising order the largest.
        """
        height, width = self.shape
        rises = heights[width:] >= heights[:-width]
        column_summits = np.flatnonzero(rises[:-width] & ~rises[width:]) + width
        y, x = np.divmod(column_summits, width)
        position = x * height + y
        order = np.argsort(position)
        extent = np.full((4, self.born.size * LEVELS), heights.size, np.int32)
        for axis, pixel, position in ((0, summits, summits),
                                      (2, column_summits[order], position[order])):
            place = self.basin[pixel].astype(np.int64) * LEVELS + self.level[pixel]
            extent[axis, place[::-1]] = position[::-1]
            extent[axis + 1, place] = -position
        extent = extent.reshape(4, -1, LEVELS)[:, :, ::-1]
        extent = np.minimum.accumulate(extent, axis=2)[:, :, ::-1]
        return self._carry(np.ascontiguousarray(extent.transpose(1, 0, 2)), np.minimum)

    def nodes(self):
        """All regions of levels >= 1: basins and levels, both int [n]."""
        levels = np.arange(LEVELS)
        exists = (levels <= self.born[:, None]) & (levels > self.joined[:, None])
        exists[:, 0] = False
        return np.nonzero(exists)

    def root(self, basin, level):
        """The basins that name the regions of `level` in which basins lie."""
        basin = basin.copy()
        while True:
            merged = self.joined[basin] >= level
            if not merged.any():
                return basin
            basin[merged] = self.into[basin[merged]]

    def boxes(self, basin, level):
        """Extents of regions: int [n, 4] x0, y0, x1, y1, half-open, in pixels."""
        height, width = self.shape
        top, bottom, left, right = self._extent[basin, :, level].T
        return np.stack([left // height, top // width,
                         -right // height + 1, -bottom // width + 1], axis=1)

    def order(self, basin, level):
        """Rises with the first pixel, in reading order, of regions of one level."""
        return self._extent[basin, 0, level]

    def left_of(self, basin, level):
        """Index of a pixel that touches the region's first column from the left."""
        x, y = np.divmod(self._extent[basin, 2, level], self.shape[0])
        return y * self.shape[1] + x - 1

    def areas(self, basin, level):
        """Pixels of regions: int [n]."""
        basins = self.born.size
        counts = np.bincount(self.level.astype(np.int64) * basins + self.basin, minlength=LEVELS * basins)
        counts = np.cumsum(counts.reshape(LEVELS, basins)[::-1], axis=0)[::-1]
        return self._carry(np.ascontiguousarray(counts.T), np.add)[basin, level]

    def twice_areas(self, basin, level):
        """Twice the area of the polygon that OpenCV draws around each region.

        It is counted in windows of 2x2 pixels.  Of an 8-connected region the
        polygon goes through its own outermost pixels: a window with three of
        its pixels is half in it, one with four is all in.  Of a 4-connected one
        it goes through the pixels around it: a window with one is half in it,
        one with more is all in.  What regions enclose is not included.
        """
        basins = self.born.size
        code = (self.level.astype(np.int32) * basins + self.basin).reshape(self.shape)
        low = np.minimum(code[:, :-1], code[:, 1:])
        high = np.maximum(code[:, :-1], code[:, 1:])
        middle = np.minimum(high[:-1], high[1:]), np.maximum(low[:-1], low[1:])
        if self.eight_connected:  # the third and the fourth pixel, from the highest
            counted = np.minimum(*middle), np.minimum(low[:-1], low[1:])
        else:  # the first and the second
            counted = np.maximum(high[:-1], high[1:]), np.maximum(*middle)
        counts = sum(np.bincount(c.ravel(), minlength=LEVELS * basins) for c in counted)
        counts = np.cumsum(counts.reshape(LEVELS, basins)[::-1], axis=0)[::-1]
        table = self._carry(np.ascontiguousarray(counts.T), np.add)
        return table[basin, level]
