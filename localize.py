"""Show where a network sees its classes, and judge it by boxes: `python localize.py --help`."""

import quiet_tensorflow  # noqa: F401  (before TensorFlow)

import argparse
import os
import sys
from functools import partial

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

import data
import localization
import ops
import weights
from localization.judge import BATCH
from localization.report import write_json
from weights import InputError

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "samples")
DEFAULT_WEIGHTS = os.path.join(HERE, "weights", "tiny-imagenet-100-resnet26.npz")
PAPER_THRESHOLD = 0.2
# Pictures of the training split by whose boxes --threshold auto chooses.
THRESHOLD_ROWS = 1000
ROWS_OF_TABLE = 60
console = Console()


# ---------------------------------------------------------------- pictures

def find_pictures(places):
    """Files, folders (all pictures below them) and globs, as a list of files."""
    import glob
    files = []
    for place in places:
        if os.path.isdir(place):
            found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(place)
                           for name in names if data.is_picture(name))
            if not found:
                raise InputError(f"{place}: no pictures in this folder")
        elif os.path.exists(place):
            found = [place]
        else:
            found = sorted(file for file in glob.glob(place, recursive=True) if os.path.isfile(file))
            if not found:
                raise InputError(f"{place}: no such file, and no file matches it")
        files += found
    return files


def localize_pictures(localizer, files, options):
    """Overlays, localizations.json and a table; the number of files that could not be read."""
    pictures = data.PictureSet("pictures", [], np.zeros(len(files), np.int32), files)
    wanted = None if options.class_name is None else data.find_class(localizer.classes, options.class_name)
    count = min(options.top, len(localizer.classes))

    def choose(probabilities):
        if wanted is None:
            return localization.top_classes(probabilities, count)
        return np.full((len(probabilities), 1), wanted)

    batch = min(BATCH, len(files))
    results, names, seen_rows = [], Names(), np.zeros(len(files), bool)
    os.makedirs(options.out, exist_ok=True)
    for inputs, _, rows, sizes in progress(-(-len(files) // batch))(
            data.viewing_batches(pictures, localizer.viewing, batch)):
        seen = localizer(inputs, choose)
        for number, (row, size) in enumerate(zip(rows.numpy(), sizes.numpy())):
            seen_rows[row] = True
            heat_maps = seen.heat_maps[number]
            result = describe(localizer, files[row], size, seen.probabilities[number], seen.classes[number],
                              heat_maps, box_rule(options)(heat_maps, size))
            draw(result, heat_maps, os.path.join(options.out, names.free(files[row])))
            results.append(result)
    write_json(os.path.join(options.out, "localizations.json"), results)
    broken = data.broken_files(pictures, np.flatnonzero(~seen_rows))
    for _, reason in broken:
        print(f"localize.py: skipped {reason}", file=sys.stderr)
    if broken:
        print(f"localize.py: {len(broken)} of {len(files)} files could not be read", file=sys.stderr)
    if results:
        console.print(pictures_table(results))
        console.print(f"{len(results)} pictures and localizations.json are in {options.out}")
    return len(broken)


def describe(localizer, file, size, probabilities, classes, heat_maps, boxes):
    """One picture's entry of localizations.json."""
    height, width = map(int, size)
    predictions = []
    for number, heat_map, box in zip(classes, heat_maps, boxes):
        y, x = np.unravel_index(heat_map.argmax(), heat_map.shape)
        category = localizer.classes[number]
        predictions.append({
            "class": int(number), "wnid": category.wnid, "label": category.label,
            "probability": float(probabilities[number]), "box": box.tolist(),
            "peak": [int((x + 0.5) * width / heat_map.shape[1]), int((y + 0.5) * height / heat_map.shape[0])]})
    return {"image": file, "width": width, "height": height, "predictions": predictions}


def draw(result, heat_maps, path):
    """The picture and its classes' panels, as a PNG."""
    captions = [f"{p['label'].split(',')[0]} {p['probability']:.0%}" for p in result["predictions"]]
    strip = ops.panels(data.read_picture(result["image"]), heat_maps,
                       [p["box"] for p in result["predictions"]], captions)
    with weights.replacing(path) as file:
        file.write(tf.io.encode_png(strip).numpy())


class Names:
    """Names for the overlays: two pictures called the same get two names."""

    def __init__(self):
        self.taken = set()

    def free(self, file):
        stem = os.path.splitext(os.path.basename(file))[0]
        name, number = f"{stem}.png", 2
        while name in self.taken:
            name, number = f"{stem}-{number}.png", number + 1
        self.taken.add(name)
        return name


def pictures_table(results):
    rows = [(os.path.basename(result["image"]) if number == 0 else "", prediction["label"].split(",")[0],
             f"{prediction['probability']:.3f}", ", ".join(map(str, prediction["box"])))
            for result in results for number, prediction in enumerate(result["predictions"])]
    table = Table("picture", "class", "probability", "box (x0, y0, x1, y1)")
    for row in rows[:ROWS_OF_TABLE]:
        table.add_row(*row)
    if len(rows) > ROWS_OF_TABLE:
        table.add_row(f"and {len(rows) - ROWS_OF_TABLE} more in localizations.json")
    return table


# ---------------------------------------------------------------- a data set

def evaluate(options):
    """Judge a network, or score maps, on a data set; write and show the figures."""
    pictures = some_of(data.open_set(options.data, options.split), options)
    about = {"threshold": options.threshold, "map_scale": "min-max", "boxes": options.boxes,
             "weights": options.weights, "data": pictures.name, "crops": options.crops}
    steps = progress(-(-len(pictures) // BATCH))
    if options.scores:
        about["weights"] = None
        records, said = localization.judge_score_maps(
            options.scores, pictures, box_rule(options), progress=progress(len(pictures)))
        names = []
    else:
        localizer = open_localizer(options)
        names = [category.label for category in localizer.classes]
        if options.threshold == "auto":
            about |= choose_threshold(localizer, options)
            options.threshold = about["threshold"]
        records, said = localization.judge(localizer, pictures, box_rule(options), progress=steps)
        about["precision"] = localizer.precision.name
    for line in said:
        print(f"localize.py: {line}", file=sys.stderr)
    metrics = localization.write_report(options.out, records, about, names, options.per_class)
    show(metrics)
    return 0


def some_of(pictures, options):
    if options.classes:
        pictures = pictures.first_classes(options.classes)
    return pictures.first_rows(options.rows) if options.rows else pictures


def choose_threshold(localizer, options):
    """The threshold that does best on the training split's boxes, never on the pictures reported."""
    if options.split == "train":
        raise InputError("--threshold auto chooses on the training split: judge another one, or give a number")
    training = data.open_set(options.data, "train")
    if options.classes:
        training = training.first_classes(options.classes)
    training = training.first_rows(min(THRESHOLD_ROWS, len(training)))
    threshold, accuracy = localization.best_box_threshold(
        localizer, training, localization.paper_boxes, progress(-(-len(training) // BATCH)))
    console.print(f"threshold {threshold:.2f}, chosen on {len(training)} pictures of {training.name} "
                  f"(GT-known localization there {accuracy:.4f})")
    return {"threshold": threshold, "threshold_chosen_on": f"{training.name}, {len(training)} pictures"}


def box_rule(options):
    if options.boxes == "authors":
        return localization.authors_boxes
    return partial(localization.paper_boxes, threshold=options.threshold)


def show(metrics):
    """The figures as a table, each with its 95 % interval."""
    table = Table("figure", "value", "95 % interval")
    for name, value in metrics.items():
        if not name.endswith("_interval"):
            low_high = metrics.get(f"{name}_interval")
            table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value),
                          "{:.4f} to {:.4f}".format(*low_high) if low_high else "")
    console.print(table)


def compare(first, second):
    table = Table("figure", first, second, "difference", "95 % interval", "beyond chance")
    for name, (ours, theirs, difference) in localization.compare_folders(first, second).items():
        table.add_row(name, f"{ours:.4f}", f"{theirs:.4f}", f"{difference.value:+.4f}",
                      f"{difference.low:+.4f} to {difference.high:+.4f}",
                      "yes" if difference.beyond_chance else "no")
    console.print(table)
    return 0


# ---------------------------------------------------------------- main

def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="localize.py", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Class activation maps, boxes and overlays of pictures; or a data set's localization error.")
    add = parser.add_argument
    add("pictures", nargs="*", help="files, folders or globs (none: the sample photos)")
    add("--weights", default=DEFAULT_WEIGHTS,
        help="a file of weights, or the name of published ones: python -m weights list")
    add("--top", type=int, default=3, help="show so many classes of each picture")
    add("--class", dest="class_name", metavar="NAME", help="show this one class, by wnid or by name")
    add("--threshold", default=PAPER_THRESHOLD, type=threshold,
        help="of the box, as a share of the map's maximum; auto: the best on --data's training boxes")
    add("--boxes", choices=("paper", "authors"), default="paper",
        help="the publication's rule, or the program that its authors released")
    add("--crops", type=int, choices=(1, 2, 10), default=1,
        help="1: the whole picture; 2: and its mirror image; 10: the paper's ten crops")
    add("--scales", type=int, nargs="+", default=[], metavar="PIXELS", help="see the picture at these sizes")
    add("--output-stride", type=int, help="resnet: another picture size over map size, for finer maps")
    add("--precision", choices=("float32", "bfloat16"), default="float32", help="to compute in")
    add("--out", default="out", help="folder to write to")
    add = parser.add_argument_group("judging").add_argument
    add("--data", help="instead of pictures: folder of a data set, or 'synthetic'")
    add("--split", choices=("train", "val"), default="val", help="which part of --data")
    add("--classes", type=int, help="only the first so many classes of --data")
    add("--rows", type=int, help="only so many pictures of --data, spread over the classes")
    add("--scores", metavar="FOLDER", help="judge score maps, <picture>.npy, instead of a network")
    add("--per-class", action="store_true", help="also write classes.csv, worst first")
    add("--compare", nargs=2, metavar="FOLDER", help="two evaluations: which differences are beyond chance")
    options = parser.parse_args(arguments)
    check(options)
    return options


def threshold(text):
    return text if text == "auto" else float(text)


def check(options):
    if options.pictures and options.data:
        raise InputError("give pictures or --data, not both")
    if options.threshold == "auto" and (not options.data or options.scores or options.boxes == "authors"):
        raise InputError("--threshold auto needs --data with boxes to choose by, a network, and --boxes paper")
    if options.threshold != "auto" and not 0 <= options.threshold < 1:
        raise InputError(f"--threshold is {options.threshold}; it must be at least 0 and less than 1")
    if options.top < 1:
        raise InputError(f"--top is {options.top}; it must be at least 1")
    if options.scales and (options.crops == 10 or min(options.scales) < 16):
        raise InputError("--scales are sides of at least 16 pixels, and do not go with --crops 10")


def open_localizer(options):
    return localization.Localizer(weights.load(weights.resolve(options.weights)), options.precision,
                                  options.output_stride, options.crops, options.scales)


def progress(steps):
    """Wraps what is iterated over in `steps` steps into a progress bar, where there is something to wait for."""
    return lambda batches: track(batches, "localizing", steps, console=console, transient=True,
                                 disable=steps < 3 or not console.is_terminal)


def main(arguments):
    options = parse(arguments)
    if options.compare:
        return compare(*options.compare)
    if options.data:
        return evaluate(options)
    files = find_pictures(options.pictures or [SAMPLES])
    return 2 if localize_pictures(open_localizer(options), files, options) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        print(f"localize.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
