"""The linear classifiers against answers worked by hand, closed forms, differences and scikit-learn."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, brentq

from cam_evaluation import linear_classifier
from cam_evaluation.linear_classifier import (
    LinearClassifier,
    choose_cost,
    cross_entropy,
    fit,
    objective_of,
    squared_hinge,
    unit_length,
)

LOSSES = [squared_hinge, cross_entropy]
# One example on either side of zero.
PAIR = np.array([[-1.0], [1.0]]), np.array([0, 1])


def clouds(examples=60, channels=5, classes=3, spread=1.0, seed=0):
    """Gaussian clouds around one centre for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % classes
    centres = 3 * np.eye(classes, channels)
    return centres[labels] + spread * rng.normal(size=(examples, channels)), labels


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss):
    features, labels = clouds(examples=20)
    objective = objective_of(features, labels, 3, 0.7, loss)
    for seed in range(3):
        at = np.random.default_rng(seed).normal(size=6 * 3)
        differences = approx_fprime(at, lambda flat: objective(flat)[0], 1e-7)
        np.testing.assert_allclose(objective(at)[1], differences, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss, expected", [(squared_hinge, 1 + 0 + 4), (cross_entropy, np.log(1 + np.e**-1 + np.e**-2))])
def test_losses_of_one_example_by_hand(loss, expected):
    scores = np.array([[0.0, -1.0, 1.0]])  # of the true class 0 and two others; short by 1, 0 and 2
    if loss is cross_entropy:
        scores = np.array([[2.0, 1.0, 0.0]])
    assert loss(scores, np.array([0]))[0] == pytest.approx(expected)


@pytest.mark.parametrize("cost", [0.1, 1.0, 50.0])
def test_svm_of_two_examples_by_hand(cost):
    """w^2 / 2 + 2 cost (1 - w)^2 is least at w = 4 cost / (1 + 4 cost): the hard margin, 1, as the cost grows."""
    classifier = fit(*PAIR, 2, cost, squared_hinge, tolerance=1e-7)
    w = 4 * cost / (1 + 4 * cost)
    np.testing.assert_allclose(classifier.kernel, [[-w, w]], rtol=1e-6)
    np.testing.assert_allclose(classifier.bias, 0, atol=1e-6)


@pytest.mark.parametrize("cost", [0.1, 1.0, 50.0])
def test_logistic_regression_of_two_examples_by_hand(cost):
    """With kernel (-w, w): w^2 + 2 cost log(1 + exp(-2 w)) is least where w = 2 cost / (1 + exp(2 w))."""
    w = brentq(lambda w: w - 2 * cost / (1 + np.exp(2 * w)), 0, 2 * cost)
    classifier = fit(*PAIR, 2, cost, cross_entropy, tolerance=1e-7)
    np.testing.assert_allclose(classifier.kernel, [[-w, w]], rtol=1e-6)


def test_svm_that_nothing_satisfies_is_ridge_regression():
    """While every margin is short, max(0, 1 - y s)^2 = (y - s)^2, which has a closed form."""
    features, labels = clouds()
    cost = 1e-4
    signs = np.where(np.arange(3) == labels[:, None], 1.0, -1.0)
    centred = features - features.mean(0)
    kernel = np.linalg.solve(centred.T @ centred + np.eye(5) / (2 * cost), centred.T @ (signs - signs.mean(0)))
    bias = signs.mean(0) - features.mean(0) @ kernel
    assert (signs * (features @ kernel + bias) < 1).all()
    classifier = fit(features, labels, 3, cost, tolerance=1e-7)
    np.testing.assert_allclose(classifier.kernel, kernel, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(classifier.bias, bias, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_solver_converges_from_anywhere(loss):
    features, labels = clouds(spread=2.0)
    begun = LinearClassifier(np.full((5, 3), 4.0), np.array([1.0, -5.0, 2.0]))
    exact = fit(features, labels, 3, 3.0, loss, tolerance=1e-7)
    for start, tolerance in ((begun, 1e-7), (None, linear_classifier.TOLERANCE)):
        classifier = fit(features, labels, 3, 3.0, loss, start=start, tolerance=tolerance)
        np.testing.assert_allclose(classifier.kernel, exact.kernel, rtol=1e-3, atol=1e-3)
    gradient = objective_of(features, labels, 3, 3.0, loss)(np.concatenate([exact.kernel, exact.bias[None]]).ravel())[1]
    assert abs(gradient).max() < 1e-6


def test_from_the_answer_no_step_is_needed(monkeypatch):
    features, labels = clouds()
    exact = fit(features + 20, labels, 3, 1.0, tolerance=1e-6)
    monkeypatch.setattr(linear_classifier, "ITERATIONS", 0)
    again = fit(features + 20, labels, 3, 1.0, start=exact)
    np.testing.assert_allclose(again.kernel, exact.kernel)
    np.testing.assert_allclose(again.bias, exact.bias)


@pytest.mark.parametrize("loss", LOSSES)
def test_separable_classes_are_separated(loss):
    features, labels = clouds(spread=0.1)
    assert (fit(features, labels, 3, 100.0, loss).guesses(features) == labels).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_shift_of_the_features_changes_only_the_bias(loss):
    features, labels = clouds()
    plain, shifted = (fit(x, labels, 3, 1.0, loss, tolerance=1e-7) for x in (features, features + 20))
    np.testing.assert_allclose(shifted.kernel, plain.kernel, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(shifted.bias, plain.bias - 20 * plain.kernel.sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cost", [0.03, 1.0, 30.0])
def test_scikit_learn_finds_the_same(cost):
    svm, linear_model = pytest.importorskip("sklearn.svm"), pytest.importorskip("sklearn.linear_model")
    features, labels = clouds(spread=2.0)
    # Its SVM penalises the bias, times 1 / intercept_scaling.
    for loss, theirs in ((squared_hinge, svm.LinearSVC(C=cost, dual=False, tol=1e-10, max_iter=100_000,
                                                       intercept_scaling=1e3)),
                         (cross_entropy, linear_model.LogisticRegression(C=cost, tol=1e-10, max_iter=100_000))):
        theirs.fit(features, labels)
        ours = fit(features, labels, 3, cost, loss, tolerance=1e-7)
        np.testing.assert_allclose(ours.kernel, theirs.coef_.T, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(ours.guesses(features), theirs.predict(features))


def test_unit_length_leaves_zeros():
    np.testing.assert_allclose(unit_length([[3, 4], [0, 0]]), [[0.6, 0.8], [0, 0]])
    assert np.isnan(unit_length([[3, np.nan]])).all()


def test_examples_that_make_no_sense_are_refused():
    features, labels = clouds()
    for bad, message in (((features[0], labels, 3), "features must be"), ((features, labels[1:], 3), "features must be"),
                         ((features, labels, 2), "labels must be 0 to 1"),
                         ((np.where(features == features[4], np.nan, features), labels, 3), "finite")):
        with pytest.raises(ValueError, match=message):
            fit(*bad, 1.0)
    with pytest.raises(ValueError, match="two examples of a class"):
        choose_cost(features[:3], labels[:3], 3, np.random.default_rng(0))


def test_a_solver_that_is_stopped_says_so(monkeypatch):
    monkeypatch.setattr(linear_classifier, "ITERATIONS", 2)
    with pytest.raises(ArithmeticError, match="no convergence at cost 1"):
        fit(*clouds(spread=2.0), 3, 1.0)


# ---------------------------------------------------------------- the cost

def test_cross_validation_deals_every_example_once_and_every_class_evenly(monkeypatch):
    features, labels = clouds(examples=33)
    features[:, 0] = np.arange(33)
    trained_on = []

    def spy(features, labels, classes, cost, loss, start=None):
        trained_on.append((cost, features[:, 0].astype(int)))
        return fit(features, labels, classes, cost, loss, start=start)

    monkeypatch.setattr(linear_classifier, "fit", spy)
    choose_cost(features, labels, 3, np.random.default_rng(1), costs=(1.0, 2.0))
    assert [cost for cost, _ in trained_on] == [1.0] * 5 + [2.0] * 5
    held_out = [np.setdiff1d(np.arange(33), rows) for _, rows in trained_on[:5]]
    assert sorted(np.concatenate(held_out)) == list(range(33))
    assert all(set(np.bincount(labels[rows], minlength=3)) <= {2, 3} for rows in held_out)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_chosen_cost_is_the_best_of_a_search_without_shortcuts(loss):
    features, labels = clouds(examples=45, channels=30, spread=4.0)
    costs, rng = (0.0001, 0.001, 0.01, 0.1, 1.0), np.random.default_rng(3)
    fold = np.empty(45, int)
    for label in range(3):
        fold[rng.permutation(np.flatnonzero(labels == label))] = np.arange(15) % 5
    right = [sum((fit(features[fold != n], labels[fold != n], 3, cost, loss, tolerance=1e-6).guesses(features[fold == n])
                  == labels[fold == n]).sum() for n in range(5)) for cost in costs]
    assert min(right) < max(right)
    assert choose_cost(features, labels, 3, np.random.default_rng(3), loss, costs) == costs[int(np.argmax(right))]


def test_of_equal_costs_the_lowest_is_taken():
    for spread in (0.01, 3.0):  # all examples right, or not
        equal = (1 + 1e-9, 1.0, 1 + 2e-9)
        assert choose_cost(*clouds(spread=spread), 3, np.random.default_rng(0), costs=equal) == 1.0
