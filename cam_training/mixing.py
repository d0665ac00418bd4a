"""Batches of two pictures in one: mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019)."""

from ops.quiet_tensorflow import tf


def mix(inputs, *, mixup, cutmix, seed, batches=1.0):
    """(inputs, share): each picture with the one before it in the batch, in a share that is drawn once for all.

    inputs         [N, h, w, C]
    share          of each picture's own label, float32 []; the rest is the other one's (see `mixed_targets`)
    mixup, cutmix  the share is drawn from Beta(a, a) with this a; 0: not at all. Where both are above 0, a
                   coin chooses
    seed           int [2], which all draws depend on
    batches        share of the batches that are mixed at all
    """
    if not mixup and not cutmix:
        return inputs, 1.0
    if batches < 1:
        chosen = tf.random.stateless_uniform([], seed + 3) < batches
        return tf.cond(chosen, lambda: mix(inputs, mixup=mixup, cutmix=cutmix, seed=seed), lambda: (inputs, tf.constant(1.0)))
    others = tf.roll(inputs, 1, 0)
    if mixup and cutmix:
        coin = tf.random.stateless_uniform([], seed) < 0.5
        return tf.cond(coin, lambda: _blended(inputs, others, mixup, seed + 1), lambda: _pasted(inputs, others, cutmix, seed + 1))
    return _blended(inputs, others, mixup, seed + 1) if mixup else _pasted(inputs, others, cutmix, seed + 1)


def mixed_targets(labels, classes, share):
    """float32 [N, classes], which sum to 1, of int32 labels [N]."""
    targets = tf.one_hot(labels, classes)
    return share * targets + (1 - share) * tf.roll(targets, 1, 0)


def _blended(inputs, others, alpha, seed):
    share = _beta(alpha, seed)
    weight = tf.cast(share, inputs.dtype)
    return weight * inputs + (1 - weight) * others, share


def _pasted(inputs, others, alpha, seed):
    """A rectangle of the others over the inputs, with the proportions of the picture; cut at its border, which the share counts."""
    sides = tf.cast(tf.shape(inputs)[1:3], tf.float32)
    hidden = sides * tf.sqrt(1 - _beta(alpha, seed))
    middle = sides * tf.random.stateless_uniform([2], seed + 2)
    first, end = tf.round(middle - hidden / 2), tf.round(middle + hidden / 2)
    inside = []
    for axis in (0, 1):
        place = tf.range(sides[axis])
        inside.append((place >= first[axis]) & (place < end[axis]))
    covered = inside[0][:, None] & inside[1][None]
    share = 1 - tf.reduce_mean(tf.cast(covered, tf.float32))
    return tf.where(covered[None, :, :, None], others, inputs), share


def _beta(alpha, seed):
    """A number of Beta(alpha, alpha): of two gamma variates, the first one's share."""
    first, second = tf.unstack(tf.random.stateless_gamma([2], seed, alpha))
    return tf.math.divide_no_nan(first, first + second)
