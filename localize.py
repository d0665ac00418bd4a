"""Show where a network sees its classes, and judge it by boxes: `python localize.py --help`."""

import quiet_tensorflow  # noqa: F401  (before TensorFlow)

import argparse
import glob
import json
import os
import sys

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

import data
import nets
import ops
import weights
from weights import InputError

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "samples")
DEFAULT_WEIGHTS = os.path.join(HERE, "weights", "tiny-imagenet-100-resnet26.npz")
BATCH = 64
PAPER_THRESHOLD = 0.2
# One evaluation's guesses: ILSVRC allows five.
GUESSES = 5
console = Console()


# ---------------------------------------------------------------- the network

class Localizer:
    """A network with its weights: from prepared pictures to classes and heat maps.

    weights        what `weights.load` gave
    precision      dtype to compute in, "float32" or "bfloat16"
    output_stride  None, or a finer map for a ResNet: its strides become dilations
    """

    def __init__(self, trained, precision="float32", output_stride=None):
        if not trained.classes:
            raise InputError("these weights have no classes: train a head with train_loop.py first")
        config = dict(trained.network) | ({"output_stride": output_stride} if output_stride else {})
        try:
            self.net = nets.build(config, len(trained.classes))
            nets.assign(self.net, trained.tensors)
        except ValueError as error:
            raise InputError(f"the weights do not fit: {error}") from None
        self.classes, self.preprocessing = trained.classes, trained.preprocessing
        self.precision = tf.as_dtype(precision)
        self._features = tf.function(self._run, autograph=False)

    def _run(self, inputs):
        logits, named = self.net(tf.cast(inputs, self.precision))
        return tf.nn.softmax(logits), named["features"]

    def __call__(self, inputs, choose):
        """Probabilities [N, K], classes [N, k], and their heat maps [N, k, size, size], as NumPy arrays.

        inputs  float32 [N, size, size, 3], prepared
        choose  a function of the probabilities that gives each picture's classes
        """
        probabilities, features = self._features(inputs)
        chosen = choose(probabilities.numpy()).astype(np.int32)
        size = self.preprocessing.size
        maps = ops.heat_maps(features, self.net.head.kernel, chosen, (size, size))
        return probabilities.numpy(), chosen, maps.numpy()


def top_classes(probabilities, count):
    """The `count` most probable classes, best first: [N, K] to [N, count]."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def to_picture(boxes, size, height, width):
    """Boxes [..., 4] in a square input of `size` pixels, as pixels of the picture, half-open, int32.

    The whole picture was resized to the input, so each axis has one factor.
    Rounded to the nearest pixel edge, and never empty.
    """
    scaled = np.rint(np.asarray(boxes) * (np.array([width, height, width, height]) / size)).astype(np.int32)
    scaled[..., :2] = np.minimum(scaled[..., :2], [width - 1, height - 1])
    scaled[..., 2:] = np.maximum(scaled[..., 2:], scaled[..., :2] + 1)
    return scaled


# ---------------------------------------------------------------- pictures

def find_pictures(places):
    """Files, folders (all pictures below them) and globs, as a list of files."""
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
            return top_classes(probabilities, count)
        return np.full((len(probabilities), 1), wanted)

    batch = min(BATCH, len(files))
    batches = data.viewing_batches(pictures, localizer.preprocessing, batch)
    results, names, seen = [], Names(), np.zeros(len(files), bool)
    os.makedirs(options.out, exist_ok=True)
    for inputs, _, rows, sizes in _progress(batches, len(files), batch):
        found = localizer(inputs, choose)
        boxes = ops.boxes_from_heat_maps(found[2], options.threshold)
        for number, row in enumerate(rows.numpy()):
            seen[row] = True
            result = describe(localizer, files[row], sizes[number].numpy(),
                              *(part[number] for part in found), boxes[number])
            draw(result, found[2][number], os.path.join(options.out, names.free(files[row])))
            results.append(result)
    write_json(os.path.join(options.out, "localizations.json"), results)
    broken = data.broken_files(pictures, np.flatnonzero(~seen))
    for _, reason in broken:
        print(f"localize.py: skipped {reason}", file=sys.stderr)
    if broken:
        print(f"localize.py: {len(broken)} of {len(files)} files could not be read", file=sys.stderr)
    console.print(pictures_table(results))
    console.print(f"{len(results)} pictures and localizations.json are in {options.out}")
    return len(broken)


def describe(localizer, file, size, probabilities, classes, heat_maps, boxes):
    """One picture's entry of localizations.json."""
    (height, width), side = map(int, size), localizer.preprocessing.size
    predictions = []
    for number, heat_map, box in zip(classes, heat_maps, to_picture(boxes, side, height, width)):
        y, x = np.unravel_index(heat_map.argmax(), heat_map.shape)
        category = localizer.classes[number]
        predictions.append({
            "class": int(number), "wnid": category.wnid, "label": category.label,
            "probability": float(probabilities[number]), "box": box.tolist(),
            "peak": [int((x + 0.5) * width / side), int((y + 0.5) * height / side)]})
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
    table = Table("picture", "class", "probability", "box (x0, y0, x1, y1)")
    for result in results[:50]:
        for number, prediction in enumerate(result["predictions"]):
            table.add_row(os.path.basename(result["image"]) if number == 0 else "",
                          prediction["label"].split(",")[0], f"{prediction['probability']:.3f}",
                          ", ".join(map(str, prediction["box"])), end_section=False)
    return table


# ---------------------------------------------------------------- a data set with boxes

def judge(localizer, pictures, threshold):
    """Figures of a picture set with boxes, as metrics.json has them.

    A guess is right when its class is and its box has an IoU of at least 0.5
    with a true box of that class (ILSVRC). "gt_known_localization" is the
    share of pictures whose box for the true class is right.
    """
    matches = data.match_classes(localizer.classes, pictures.categories)
    missing = [category.label for category, match in zip(pictures.categories, matches) if match < 0]
    if len(missing) == len(matches):
        raise InputError(f"no class of {pictures.name} is among the {len(localizer.classes)} of the weights")
    if missing:
        pictures = pictures.rows(np.flatnonzero(matches[pictures.labels] >= 0))
        console.print(f"left out, since the weights do not know them: {'; '.join(missing)}")
    guesses = min(GUESSES, len(localizer.classes))
    right, known, seen = [], [], np.zeros(len(pictures), bool)
    sizes_seen = np.zeros((len(pictures), 2), int)
    for inputs, labels, rows, sizes in _progress(
            data.viewing_batches(pictures, localizer.preprocessing, BATCH), len(pictures), BATCH):
        truth = np.zeros(len(inputs), int)
        truth[:len(labels)] = matches[labels.numpy()]

        def choose(probabilities):
            return np.column_stack([top_classes(probabilities, guesses), truth])

        _, classes, maps = localizer(inputs, choose)
        boxes = ops.boxes_from_heat_maps(maps[:len(labels)], threshold)
        for number, row in enumerate(rows.numpy()):
            seen[row] = True
            sizes_seen[row] = sizes[number]
            right.append(classes[number, :guesses] == truth[number])
            if pictures.boxes:
                height, width = sizes[number].numpy()
                box = to_picture(boxes[number, -1], localizer.preprocessing.size, height, width)
                known.append(ops.iou(box, pictures.boxes[row]).max() >= 0.5)
    for _, reason in data.broken_files(pictures, np.flatnonzero(~seen)):
        print(f"localize.py: skipped {reason}", file=sys.stderr)
    if not seen.any():
        raise InputError(f"{pictures.name}: none of its pictures could be read")
    kept = np.flatnonzero(seen)
    return (figures(np.array(right), np.array(known), pictures.rows(kept).boxes, sizes_seen[kept])
            | {"threshold": threshold, "map_scale": "min-max", "precision": localizer.precision.name})


def figures(right, known, boxes, sizes):
    """metrics.json's figures from what was right: guesses [n, 5], and the true class's box [n]."""
    found = {"pictures": len(right),
             "top1_classification_error": 1 - right[:, 0].mean(),
             "top5_classification_error": 1 - right.any(1).mean()}
    if boxes:
        # The right class is guessed at most once, and its box is the GT-known one.
        found |= {"top1_localization_error": 1 - (right[:, 0] & known).mean(),
                  "top5_localization_error": 1 - (right.any(1) & known).mean(),
                  "gt_known_localization": known.mean(),
                  "centre_box_baseline": ops.centre_box_baseline(boxes, sizes)[0]}
    return {name: value if name == "pictures" else float(value) for name, value in found.items()}


def _progress(batches, count, batch):
    steps = -(-count // batch)
    return track(batches, "localizing", steps, console=console, transient=True,
                 disable=steps < 3 or not console.is_terminal)


def write_json(path, value):
    with weights.replacing(path) as file:
        file.write((json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


# ---------------------------------------------------------------- main

def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="localize.py", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Class activation maps, boxes and overlays of pictures; or a data set's localization error.")
    add = parser.add_argument
    add("pictures", nargs="*", help="files, folders or globs (none: the sample photos)")
    add("--data", help="instead of pictures: folder of a data set, or 'synthetic'; writes metrics.json")
    add("--split", choices=("train", "val"), default="val", help="which part of --data")
    add("--classes", type=int, help="only the first so many classes of --data")
    add("--rows", type=int, help="only so many pictures of --data, spread over the classes")
    add("--weights", default=DEFAULT_WEIGHTS, help="a file of weights, or the name of published ones: python -m weights list")
    add("--top", type=int, default=3, help="show so many classes of each picture")
    add("--class", dest="class_name", metavar="NAME", help="show this one class, by wnid or by name")
    add("--threshold", type=float, default=PAPER_THRESHOLD, help="of the box, as a share of the map's maximum")
    add("--output-stride", type=int, help="resnet: another picture size over map size, for finer maps")
    add("--precision", choices=("float32", "bfloat16"), default="float32", help="to compute in")
    add("--out", default="out", help="folder to write to")
    options = parser.parse_args(arguments)
    if options.pictures and options.data:
        raise InputError("give pictures or --data, not both")
    if not 0 <= options.threshold < 1:
        raise InputError(f"--threshold is {options.threshold}; it must be at least 0 and less than 1")
    if options.top < 1:
        raise InputError(f"--top is {options.top}; it must be at least 1")
    return options


def main(arguments):
    options = parse(arguments)
    files = [] if options.data else find_pictures(options.pictures or [SAMPLES])
    localizer = Localizer(weights.load(weights.resolve(options.weights)), options.precision, options.output_stride)
    if not options.data:
        broken = localize_pictures(localizer, files, options)
        return 2 if broken else 0
    pictures = data.open_set(options.data, options.split)
    if options.classes:
        pictures = pictures.first_classes(options.classes)
    if options.rows:
        pictures = pictures.first_rows(options.rows)
    metrics = judge(localizer, pictures, options.threshold)
    report(metrics | {"weights": options.weights, "data": pictures.name}, options.out)
    return 0


def report(metrics, folder):
    """Write metrics.json and print it as a table."""
    write_json(os.path.join(folder, "metrics.json"), metrics)
    table = Table("figure", "value")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    console.print(table)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        print(f"localize.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
