"""How good a trained network's features are for other classes, whole and cut out: `python probe.py --help`."""

import os

# Beside another program on the same cores, NumPy's threads wait for each other ten times as long as they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dataclasses import dataclass, replace

import numpy as np

import cam_base
import cam_data
import cam_evaluation
import nets
import weights
from cam_base import InputError, check_folder
from cam_base import settings as settings_of
from cam_base.settings import option
from cam_base.terminal import Table, counted, progress, run_program, say, show, warn
from localization.settings import PAPER_THRESHOLD

BATCH = 64


@dataclass
class ProbeSettings:
    weights: str = option(None, "a file of weights, a training run's folder, or a published name "
                          "(python -m weights list); none: efficientnet-lite1")
    data: str = option(None, "folder of a data set, or 'synthetic'")
    draw: str = option("both", "pictures to train and test on from both splits of --data; from its validation split "
                       "alone; or training pictures from the one and test pictures from the other",
                       choices=("both", "val", "apart"))
    train: int = option(30, "training pictures of each class", least=2, metavar="N")
    test: int = option(None, "at most so many test pictures of each class (none: all others)", kind=int, least=1,
                       metavar="N")
    splits: int = option(10, "how many random splits", least=1)
    classes: int = option(None, "only the first so many classes of --data", kind=int, least=2)
    classifier: str = option("svm", "linear SVM or logistic regression", choices=("logistic", "svm"))
    crops: bool = option(False, "also of what the maps cut out, of true boxes, and by the network's own last layer")
    seed: int = option(0, "draws the splits", least=0)
    largest_picture: float = option(150.0, "pictures with more pixels are left out", least=0.001, metavar="MEGAPIXELS")
    out: str = option("out", "folder for probe.json")


# ---------------------------------------------------------------- pictures and splits

def open_pictures(options):
    """(pictures, held_out): the PictureSet to draw from; bool [rows], or None where any picture may be tested."""
    sets = [replace(cam_data.open_set(options.data, split), largest=round(options.largest_picture * 1e6))
            for split in (("val",) if options.draw == "val" else ("train", "val"))]
    sets = [pictures.of_classes(sets[0].categories) for pictures in sets]
    if options.classes:
        sets = [pictures.first_classes(options.classes) for pictures in sets]
    pictures = sets[0] if len(sets) == 1 else joined(*sets)
    held_out = np.arange(len(pictures)) >= len(sets[0]) if options.draw == "apart" else None
    if options.crops and pictures.boxes:
        kept = np.flatnonzero([len(boxes) > 0 for boxes in pictures.boxes])
        return pictures.rows(kept), None if held_out is None else held_out[kept]
    return pictures, held_out


def joined(first, second):
    """One PictureSet of two with the same classes; it has boxes where both have."""
    def draw(row, epoch):
        part, row = (first, row) if row < len(first) else (second, row - len(first))
        return part.draw(row, epoch)

    return cam_data.PictureSet(
        os.path.dirname(first.name), first.categories, np.concatenate([first.labels, second.labels]),
        first.files + second.files, first.boxes + second.boxes if first.boxes and second.boxes else None,
        draw if first.draw else None, largest=first.largest)


def random_split(pictures, held_out, train, test, rng):
    """(training rows, test rows): of every class, `train` pictures and at most `test` of the others.

    held_out  None, or bool [rows]: those to test on, all others being for training
    test      None for all
    raises    InputError when a class has too few pictures
    """
    members = [rng.permutation(np.flatnonzero(pictures.labels == label)) for label in range(len(pictures.categories))]
    training = [(rows if held_out is None else rows[~held_out[rows]])[:train] for rows in members]
    # A picture with several classes has a row of each: none is trained on as one class, and tested as another.
    picture = np.unique(pictures.files, return_inverse=True)[1] if pictures.files else np.arange(len(pictures))
    free = ~np.isin(picture, picture[np.concatenate(training)])
    testing = [rows[free[rows] if held_out is None else free[rows] & held_out[rows]][:test] for rows in members]
    for category, rows, chosen, others in zip(pictures.categories, members, training, testing):
        if len(chosen) < train or not len(others):
            raise InputError(f"{pictures.name} has {counted(len(rows), 'picture')} of {category.label!r}: too few for "
                             f"--train {train} and one to test on")
    return np.sort(np.concatenate(training)), np.sort(np.concatenate(testing))


def batches(pictures):
    return -(-len(pictures) // BATCH)


def see(network, pictures, splits):
    """Pooled features of what the splits use: (pictures, features, splits), all of the readable rows alone."""
    used = np.unique(np.concatenate([rows for split in splits for rows in split]))
    wanted = pictures.rows(used)
    features, found = network.pooled(wanted, progress(batches(wanted), "pictures"))
    for _, reason in cam_data.broken_files(wanted, np.setdiff1d(np.arange(len(wanted)), found)):
        warn(f"probe.py: skipped {reason}")
    kept = used[found]
    splits = [tuple(np.flatnonzero(np.isin(kept, rows)) for rows in split) for split in splits]
    for training, testing in splits:
        if np.bincount(pictures.labels[kept[training]], minlength=1).max() < 2 or not len(testing):
            raise InputError(f"{pictures.name}: too few of its pictures can be read")
    return pictures.rows(kept), features, splits


# ---------------------------------------------------------------- experiments

class Probe:
    """Linear classifiers of unit-length features, each trained on one part of a split and judged on the other."""

    def __init__(self, pictures, options):
        self.labels, self.classes = pictures.labels, len(pictures.categories)
        self.seed = options.seed
        self.loss = {"svm": cam_evaluation.squared_hinge, "logistic": cam_evaluation.cross_entropy}[options.classifier]

    def __call__(self, features, split):
        """(classifier, {"accuracy": fraction of the test rows, "cost": of the SVM or regression}).

        The cost is chosen by cross-validation among the training rows. Raises
        InputError when the solver does not converge.
        """
        training, testing = split
        features, labels = cam_evaluation.unit_length(features), self.labels[training]
        rng = np.random.default_rng(self.seed)
        try:
            cost = cam_evaluation.choose_cost(features[training], labels, self.classes, rng, self.loss)
            classifier = cam_evaluation.fit(features[training], labels, self.classes, cost, self.loss)
        except ArithmeticError as error:
            raise InputError(f"no classifier of these features: {error}") from None
        return classifier, {"accuracy": accuracy(classifier, features[testing], self.labels[testing]), "cost": cost}


def accuracy(classifier, features, labels):
    return float((classifier.guesses(features) == labels).mean())


def generic_features(pictures, features, splits, options):
    """{"full": for each split, how good a linear classifier of the pooled features is} (section 4)."""
    probe = Probe(pictures, options)
    return {"full": [probe(features, split)[1] for split in progress(len(splits), "splits")(splits)]}


def crops(network, pictures, features, splits, options):
    """As `generic_features`, also of "cam_crop" and, where there are boxes, of "true_box" (section 4.1).

    The classifier of whole pictures localizes the class it guesses, in training
    and test pictures alike. One more is trained, and judged, on what these boxes
    cut out, and one on what the true boxes cut out. Where the network knows the
    classes, the same of its own last layer as it is: "network_full" and so on.
    """
    probe, found = Probe(pictures, options), {}
    pooled = {"full": features, "cam_crop": None}
    if pictures.boxes:
        pooled["true_box"] = pooled_of_all(network, cam_evaluation.cut_out(pictures, cam_evaluation.largest_boxes(pictures)), "true boxes")
    known = cam_base.match_classes(network.classes, pictures.categories)
    for split in splits:
        classifier, found_full = probe(pooled["full"], split)
        guesses = classifier.guesses(cam_evaluation.unit_length(features))
        pooled["cam_crop"] = look_again(network, classifier, guesses, pictures, np.union1d(*split))
        record(found, {"full": found_full} | {name: probe(pooled[name], split)[1] for name in pooled if name != "full"})
        if (known >= 0).all():
            testing = split[1]
            guesses = network.own.guesses(features)
            pooled["cam_crop"] = look_again(network, network.own, guesses, pictures, testing)
            truth = known[pictures.labels[testing]]
            record(found, {f"network_{name}": {"accuracy": accuracy(network.own, pooled[name][testing], truth)}
                           for name in pooled})
    return found


def look_again(network, classifier, guesses, pictures, rows):
    """Pooled features of what the maps of the guessed classes cut out: [all rows, C], zeros but in `rows`."""
    part = pictures.rows(rows)
    boxes = network.boxes(part, classifier.kernel, guesses[rows], PAPER_THRESHOLD, progress(batches(part), "maps"))
    features = np.zeros((len(pictures), len(classifier.kernel)), np.float32)
    features[rows] = pooled_of_all(network, cam_evaluation.cut_out(part, boxes), "crops")
    return features


def pooled_of_all(network, pictures, what):
    """Pooled features of pictures that were read before; InputError for one that cannot be read any more."""
    features, found = network.pooled(pictures, progress(batches(pictures), what))
    if len(found) != len(pictures):
        raise InputError(f"{pictures.name}: {counted(len(pictures) - len(found), 'picture')} cannot be read any more")
    return features


def record(found, figures):
    for name, figure in figures.items():
        found.setdefault(name, []).append(figure)


# ---------------------------------------------------------------- report

def summarise(found):
    """{name: mean accuracy, its standard deviation over splits, and each split's}."""
    figures = {}
    for name, judged in found.items():
        accuracies = [split["accuracy"] for split in judged]
        figures[name] = {"accuracy": float(np.mean(accuracies)),
                         "standard_deviation": float(np.std(accuracies, ddof=1)) if len(judged) > 1 else None,
                         "splits": judged}
    return figures


def show_accuracies(figures):
    table = Table("figure", "accuracy, %", "over splits, ±", "cost")
    for name, figure in figures.items():
        deviation = figure["standard_deviation"]
        costs = sorted({split["cost"] for split in figure["splits"] if "cost" in split})
        table.add(name, f"{100 * figure['accuracy']:.2f}", "" if deviation is None else f"{100 * deviation:.2f}",
                  ", ".join(f"{cost:g}" for cost in costs))
    show(table)


# ---------------------------------------------------------------- main

def parse(arguments):
    options, _ = settings_of.parse(
        ProbeSettings, arguments, "probe.py",
        "Accuracy of a linear classifier on a trained network's pooled features, over random splits.")
    if not options.data:
        raise InputError("name the pictures by --data FOLDER")
    return options


def main(arguments):
    options = parse(arguments)
    device = nets.prepare_devices()  # before the data, of which some are decoded to be opened
    path = weights.resolve(options.weights)
    pictures, held_out = open_pictures(options)
    check_folder(options.out)
    network = cam_evaluation.FrozenNetwork(weights.load(path))
    say(f"{counted(len(pictures), 'picture')} of {pictures.name} {device}")
    generators = [np.random.default_rng([options.seed, number]) for number in range(options.splits)]
    splits = [random_split(pictures, held_out, options.train, options.test, rng) for rng in generators]
    pictures, features, splits = see(network, pictures, splits)
    if options.crops:
        found = crops(network, pictures, features, splits, options)
    else:
        found = generic_features(pictures, features, splits, options)
    figures = summarise(found)
    show_accuracies(figures)
    about = {"weights": path, "data": pictures.name, "classes": len(pictures.categories),
             "threshold": PAPER_THRESHOLD if options.crops else None,
             "training_pictures": len(splits[0][0]), "test_pictures": len(splits[0][1])}
    about |= {name: getattr(options, name) for name in ("draw", "train", "test", "classifier", "seed")}
    cam_evaluation.write_json(os.path.join(options.out, "probe.json"), {"figures": figures} | about)
    return 0


def command():
    run_program("probe.py", main)


if __name__ == "__main__":
    command()
