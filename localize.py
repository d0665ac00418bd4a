"""Show where a network sees its classes, and judge it by boxes: `python localize.py --help`."""


import glob
import os
import sys

import numpy as np
from rich.table import Table

import cam_base
import cam_data
import cam_evaluation
import localization
import ops
import weights
from cam_base import InputError
from cam_base.terminal import console, progress, run_program
from cam_evaluation.judging import BATCH
from cam_evaluation.report import write_json
from localization.settings import parse
from ops.quiet_tensorflow import tf

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")
# Pictures of the training split by whose boxes --threshold auto chooses.
THRESHOLD_ROWS = 1000
ROWS_OF_TABLE = 60
# Of what was left out.
LINES = 10


# ---------------------------------------------------------------- pictures

def find_pictures(places):
    """Files, folders (all pictures below them) and globs, as a list of files."""
    files = []
    for place in places:
        if os.path.isdir(place):
            found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(place)
                           for name in names if cam_data.is_picture(name))
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
    pictures = cam_data.PictureSet("pictures", [], np.zeros(len(files), np.int32), files)
    wanted = None if options.class_name is None else cam_base.find_class(localizer.classes, options.class_name)
    count = min(options.top, len(localizer.classes))

    def choose(probabilities):
        if wanted is None:
            return cam_evaluation.top_classes(probabilities, count)
        return np.full((len(probabilities), 1), wanted)

    batch = min(BATCH, len(files))
    results, names, seen_rows = [], Names(options.out, files), np.zeros(len(files), bool)
    os.makedirs(options.out, exist_ok=True)
    for inputs, _, rows, sizes in progress(-(-len(files) // batch))(
            cam_data.viewing_batches(pictures, localizer.viewing, batch)):
        seen = localizer(inputs, choose)
        for number, (row, size) in enumerate(zip(rows.numpy(), sizes.numpy())):
            seen_rows[row] = True
            heat_maps = seen.heat_maps[number]
            result = describe(localizer, files[row], size, seen.probabilities[number], seen.classes[number],
                              heat_maps, box_rule(options)(heat_maps, seen.class_maps[number], size))
            draw(result, heat_maps, os.path.join(options.out, names.free(files[row])))
            results.append(result)
    write_json(os.path.join(options.out, "localizations.json"), results)
    broken = cam_data.broken_files(pictures, np.flatnonzero(~seen_rows))
    for _, reason in broken:
        print(f"localize.py: skipped {reason}", file=sys.stderr)
    if len(files) > 1 and broken:
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
    strip = ops.panels(cam_data.read_picture(result["image"]), heat_maps,
                       [p["box"] for p in result["predictions"]], captions)
    with cam_base.replacing(path) as file:
        file.write(tf.io.encode_png(strip).numpy())


class Names:
    """Names for the overlays in `folder`: two pictures called the same get two names; none of them is written over."""

    def __init__(self, folder, pictures):
        self.taken = {os.path.basename(picture) for picture in pictures
                      if os.path.realpath(os.path.dirname(picture)) == os.path.realpath(folder)}

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
    """Judge a network, score maps or guesses on a data set; write and show the figures."""
    pictures = some_of(open_data(options), options)
    judge = judge_guesses if options.guesses else judge_scores if options.scores else judge_network
    records, said, classes, about = judge(options, pictures)
    for line in said[:LINES]:
        print(f"localize.py: {line}", file=sys.stderr)
    if len(said) > LINES:
        print(f"localize.py: and {len(said) - LINES} more", file=sys.stderr)
    about = {"data": pictures.name, "left_out": len(pictures) - len(records)} | about
    if options.submission:
        cam_evaluation.write_submission(options.submission, records, classes, pictures)
    names = [cam_evaluation.class_name(category) for category in classes]
    show(cam_evaluation.write_report(options.out, records, about, names, options.per_class))
    return 0


def open_data(options):
    if options.kit:
        return cam_data.open_validation(options.kit, options.annotations, options.data)
    if options.metadata:
        return cam_data.open_metadata(options.metadata, options.data, options.masks)
    return cam_data.open_set(options.data, options.split)


def some_of(pictures, options):
    if options.classes:
        pictures = pictures.first_classes(options.classes)
    return pictures.first_rows(options.rows) if options.rows else pictures


# Each returns records, lines about what was left out, the classes that guesses are numbers of, and
# what metrics.json says of how it was done.

def judge_guesses(options, pictures):
    return (cam_evaluation.judge_submission(options.guesses, pictures), [], pictures.categories,
            {"weights": None, "guesses": options.guesses})


def judge_scores(options, pictures):
    records, said = cam_evaluation.judge_score_maps(
        options.scores, pictures, box_rule(options), progress=progress(len(pictures)))
    return records, said, [], {"weights": None, "scores": options.scores} | about_boxes(options)


def judge_network(options, pictures):
    localizer = open_localizer(options)
    chosen = choose_threshold(localizer, options, pictures) if options.threshold == "auto" else {}
    records, said = cam_evaluation.judge(localizer, pictures, box_rule(options),
                                       progress=progress(-(-len(pictures) // BATCH)))
    about = {"weights": options.weights} | about_boxes(options) | chosen
    about |= {name: getattr(options, name) for name in ("crops", "scales", "align", "output_stride", "precision")}
    return records, said, localizer.classes, about


def about_boxes(options):
    authors = options.boxes == "authors"
    return {"boxes": options.boxes, "threshold": None if authors else options.threshold,
            "map_scale": "max" if authors else "min-max"}


def choose_threshold(localizer, options, judged):
    """Set the threshold that does best on other pictures' boxes, never on those of the pictures judged."""
    if options.threshold_metadata:
        training = cam_data.open_metadata(options.threshold_metadata, options.threshold_data or options.data, options.masks)
    else:
        training = cam_data.open_set(options.data, "train")
    if options.classes:
        known = cam_base.match_classes(judged.categories, training.categories)
        training = training.rows(np.flatnonzero(known[training.labels] >= 0))
    if not len(training):
        raise InputError(f"{training.name} has none of the classes that are judged: no threshold can be chosen by it")
    training = training.first_rows(min(THRESHOLD_ROWS, len(training)))
    common = set(map(os.path.realpath, judged.files)) & set(map(os.path.realpath, training.files))
    if common:
        raise InputError(f"--threshold auto never chooses by the pictures that it judges: {len(common)} of "
                         f"{judged.name} are in {training.name}, too")
    options.threshold, accuracy = cam_evaluation.best_box_threshold(
        localizer, training, progress(-(-len(training) // BATCH)))
    console.print(f"threshold {options.threshold:.2f}, chosen on {len(training)} pictures of {training.name} "
                  f"(GT-known localization there {accuracy:.4f})")
    return {"threshold_chosen_on": f"{training.name}, {len(training)} pictures"}


def box_rule(options):
    if options.boxes == "authors":
        return localization.authors_rule
    return localization.paper_rule(options.threshold)


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
    console.print(f"A: {first}\nB: {second}", soft_wrap=True)
    table = Table("figure", "A", "B", "A - B", "95 % interval", "beyond chance")
    for name, (ours, theirs, difference) in cam_evaluation.compare_folders(first, second).items():
        table.add_row(name, f"{ours:.4f}", f"{theirs:.4f}", f"{difference.value:+.4f}",
                      f"{difference.low:+.4f} to {difference.high:+.4f}",
                      "yes" if difference.beyond_chance else "no")
    console.print(table)
    return 0


# ---------------------------------------------------------------- main

def open_localizer(options):
    return localization.Localizer(weights.load(weights.resolve(options.weights)), options.precision,
                                  options.output_stride, options.crops, options.scales, options.align)


def main(arguments):
    options = parse(arguments)
    if options.compare:
        return compare(*options.compare)
    if options.data or options.kit or options.metadata:
        return evaluate(options)
    files = find_pictures(options.pictures or [SAMPLES])
    return 2 if localize_pictures(open_localizer(options), files, options) else 0


if __name__ == "__main__":
    run_program("localize.py", main)
