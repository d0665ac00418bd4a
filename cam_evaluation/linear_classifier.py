"""Linear classifiers on feature vectors, solved to convergence by L-BFGS. NumPy and SciPy only.

    rng = np.random.default_rng(0)
    features = unit_length(features)                    # [n, C], of any network
    cost = choose_cost(features, labels, classes, rng)  # by cross-validation on these examples alone
    classifier = fit(features, labels, classes, cost)
    guesses = classifier.guesses(unit_length(others))
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.special import logsumexp

# For vectors of length 1, from underfitted to separated.
COSTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
FOLDS = 5
# The solver stops when its largest gradient is this share of the one at zero.
TOLERANCE = 1e-5
ITERATIONS = 10_000
REMEMBERED_STEPS = 20


class LinearClassifier(NamedTuple):
    """kernel [C, K] and bias [K]: the scores of x are x kernel + bias."""

    kernel: np.ndarray
    bias: np.ndarray

    def guesses(self, features):
        """The class of the highest score, the first of equals: [n, C] to int [n]."""
        return (features @ self.kernel + self.bias).argmax(1)


def unit_length(features):
    """Each feature vector divided by its Euclidean length; a vector of zeros stays. [n, C], float64."""
    features = np.asarray(features, np.float64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros_like(features), where=lengths != 0)


def squared_hinge(scores, labels):
    """One classifier for each class against all others: sum over classes of max(0, 1 - y s)^2, y = +1 or -1.

    LIBLINEAR's solver 2, "L2-regularized L2-loss" (Fan et al., JMLR 2008).

    scores   [n, K]
    labels   int [n], 0 to K - 1
    returns  the loss summed over examples, and its gradient [n, K]
    """
    signs = np.full(scores.shape, -1.0)
    signs[np.arange(len(labels)), labels] = 1
    short = np.maximum(0, 1 - signs * scores)
    return (short**2).sum(), -2 * signs * short


def cross_entropy(scores, labels):
    """Multinomial logistic regression: -log softmax(s) of the true class. As `squared_hinge`."""
    rows = np.arange(len(labels))
    logarithms = scores - logsumexp(scores, axis=1, keepdims=True)
    gradient = np.exp(logarithms)
    gradient[rows, labels] -= 1
    return -logarithms[rows, labels].sum(), gradient


def fit(features, labels, classes, cost, loss=squared_hinge, *, start=None, tolerance=TOLERANCE):
    """The LinearClassifier that minimises |kernel|^2 / 2 + cost * loss.

    The bias is not penalised.

    features   [n, C], finite
    labels     int [n], 0 to classes - 1
    cost       above 0: LIBLINEAR's C
    loss       `squared_hinge` (linear SVM) or `cross_entropy` (logistic regression)
    start      a LinearClassifier to begin with: the answer is the same, sooner
    tolerance  share of the largest gradient at zero that may remain; below 1e-7
               rounding may be in the way
    raises     ValueError when shapes or labels do not fit, or features are not
               finite; ArithmeticError when the solver does not converge
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise ValueError(f"features must be [n, C] and labels [n]; they are {features.shape} and {labels.shape}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}; they are {labels.min()} to {labels.max()}")
    # The free bias takes up any shift of the features; centred ones are solved in fewer steps.
    centre = features.mean(0)
    objective = objective_of(features - centre, labels, classes, cost, loss)
    zero = np.zeros((features.shape[1] + 1, classes))
    steepest = abs(objective(zero.ravel())[1]).max()
    if start is not None:
        zero[:-1], zero[-1] = start.kernel, start.bias + centre @ start.kernel
    found = optimize.minimize(objective, zero.ravel(), jac=True, method="L-BFGS-B", options={
        "gtol": tolerance * steepest, "ftol": 0, "maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS,
        "maxcor": REMEMBERED_STEPS})
    if not found.success:
        raise ArithmeticError(f"no convergence at cost {cost:g}: {found.message}")
    kernel, bias = np.split(found.x.reshape(zero.shape), [-1])
    return LinearClassifier(kernel, bias[0] - centre @ kernel)


def objective_of(features, labels, classes, cost, loss):
    """Function of kernel and bias, flat [(C + 1) K], to what `fit` minimises, over cost * n, and its gradient."""
    scale = cost * len(labels)

    def objective(flat):
        kernel, bias = np.split(flat.reshape(-1, classes), [-1])
        value, slope = loss(features @ kernel + bias, labels)
        gradient = np.concatenate([kernel / cost + features.T @ slope, slope.sum(0, keepdims=True)])
        return (kernel**2).sum() / (2 * scale) + value / len(labels), gradient.ravel() / len(labels)

    return objective


def choose_cost(features, labels, classes, rng, loss=squared_hinge, costs=COSTS):
    """The cost with the most examples right in cross-validation, the lowest of equals.

    Each class is spread over five folds as evenly as it allows; fewer, if every
    class has fewer examples. Costs are tried from the lowest, until two in a
    row do worse than the best or no better is possible: high ones take longest.
    Others as in `fit`.

    rng     np.random.Generator that deals the folds
    raises  ValueError when no class has two examples
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    folds = min(FOLDS, np.bincount(labels).max())
    if folds < 2:
        raise ValueError("cross-validation needs two examples of a class")
    fold = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % folds
    classifiers, right = [None] * folds, []
    for cost in sorted(costs):
        right.append(0)
        for number, before in enumerate(classifiers):
            kept, held_out = fold != number, fold == number
            classifiers[number] = fit(features[kept], labels[kept], classes, cost, loss, start=before)
            right[-1] += (classifiers[number].guesses(features[held_out]) == labels[held_out]).sum()
        if right[-1] == len(labels) or max(right) > max(right[-2:]):
            break
    return sorted(costs)[int(np.argmax(right))]
