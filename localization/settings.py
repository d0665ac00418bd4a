"""What localize.py is asked to do: options, and which of them go together."""

import os

from cam_base import InputError
from cam_base.terminal import Parser, check_least

DEFAULT_WEIGHTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights", "tiny-imagenet-100-resnet26.npz")
PAPER_THRESHOLD = 0.2


def parse(arguments):
    parser = Parser(
        prog="localize.py",
        description="Class activation maps, boxes and overlays of pictures; or a data set's localization error.")
    add = parser.add_argument
    add("pictures", nargs="*", default=[], help="files, folders or globs (none: the sample photos)")
    add("--weights", default=DEFAULT_WEIGHTS,
        help="a file of weights, or the name of published ones: python -m weights list")
    add("--top", type=int, default=3, help="show so many classes of each picture")
    add("--class", dest="class_name", metavar="NAME", help="show this one class, by wnid or by name")
    add("--threshold", default=PAPER_THRESHOLD, type=threshold,
        help="of the box, as a share of the map's maximum; auto: the best on the boxes of --data's training "
             "split or of --threshold-metadata")
    add("--boxes", choices=("paper", "authors"), default="paper",
        help="the publication's rule, or the program that its authors released")
    add("--crops", type=int, choices=(1, 2, 10), default=1,
        help="1: the whole picture; 2: and its mirror image; 10: the paper's ten crops")
    add("--scales", type=int, nargs="+", default=[], metavar="PIXELS", help="see the picture at these sizes")
    add("--align", action="store_true",
        help="lay each cell of the map where the network saw it, not evenly over the picture as the publication does")
    add("--output-stride", type=int, help="resnet: another picture size over map size, for finer maps")
    add("--precision", choices=("float32", "bfloat16"), default="float32", help="to compute in")
    add("--out", default="out", help="folder to write to")
    add_data(parser.add_argument_group("data to judge by, instead of pictures").add_argument)
    add = parser.add_argument_group("judging").add_argument
    add("--scores", metavar="FOLDER", help="judge score maps, <picture>.npy, instead of a network")
    add("--guesses", metavar="FILE", help="judge guesses in the form of --kit, instead of a network")
    add("--submission", metavar="FILE", help="also write the network's guesses in the form of --kit")
    add("--per-class", action="store_true", help="also write classes.csv, worst first")
    add("--compare", nargs=2, metavar="FOLDER", help="two evaluations: which differences are beyond chance")
    options = parser.parse_args(arguments)
    check(options)
    check_judging(options)
    refuse_ignored(options, {name for name, value in vars(options).items() if value != parser.get_default(name)})
    return options


def add_data(add):
    add("--data", metavar="FOLDER", help="of a data set, or of the pictures of --kit or --metadata; or 'synthetic'")
    add("--split", choices=("train", "val"), default="val", help="which part of --data")
    add("--kit", metavar="FOLDER", help="ILSVRC's CLS-LOC development kit, with --annotations")
    add("--annotations", metavar="FOLDER", help="of --kit's validation pictures, ILSVRC2012_val_00000001.xml ...")
    add("--metadata", metavar="FOLDER", help="a split in the WSOL protocol's form: image_ids.txt ...")
    add("--masks", metavar="FOLDER", help="of --metadata, where it has masks (default: --data)")
    add("--threshold-metadata", metavar="FOLDER", help="with --kit or --metadata: the split by whose boxes "
        "--threshold auto chooses, in the form of --metadata")
    add("--threshold-data", metavar="FOLDER", help="of the pictures of --threshold-metadata (default: --data)")
    add("--classes", type=int, help="only the first so many classes")
    add("--rows", type=int, help="only so many pictures, spread over the classes")


def threshold(text):
    return text if text == "auto" else float(text)


def check(options):
    if options.threshold != "auto" and not 0 <= options.threshold < 1:
        raise InputError(f"--threshold is {options.threshold}; it must be at least 0 and less than 1")
    check_least(options, top=1, rows=1, classes=1, output_stride=1)
    if options.scales and (options.crops == 10 or min(options.scales) < 16):
        raise InputError("--scales are sides of at least 16 pixels, and do not go with --crops 10")


def same(first, second):
    return bool(first and second) and os.path.realpath(first) == os.path.realpath(second)


def check_judging(options):
    """The first rule that the options break is the error; each is (broken, what to do)."""
    judging = options.data or options.kit or options.metadata
    other_set = options.kit or options.metadata
    part = options.classes or options.rows
    without_network = options.scores or options.guesses
    for broken, message in (
            (options.pictures and judging, "give pictures or --data, not both"),
            (bool(options.kit) != bool(options.annotations), "--kit and --annotations go together"),
            (options.kit and options.metadata, "give --kit or --metadata, not both"),
            (other_set and options.split != "val", "--split does not go with --kit or --metadata, which are of one"),
            (options.masks and not options.metadata, "--masks needs --metadata"),
            (options.threshold_metadata and not (other_set and options.threshold == "auto"),
             "--threshold-metadata needs --threshold auto, and --kit or --metadata"),
            (options.threshold_data and not options.threshold_metadata,
             "--threshold-data needs --threshold-metadata"),
            ((options.scores or part) and not judging, "--scores, --classes and --rows need --data"),
            ((options.guesses or options.submission) and (not options.kit or part),
             "--guesses and --submission need --kit, and all of its pictures: no --classes, no --rows"),
            (bool(options.scores) + bool(options.guesses) + bool(options.submission) > 1,
             "give one of --scores, --guesses and --submission"),
            (other_set and not options.data and not (options.guesses or options.scores and options.metadata),
             "--data is needed, too: the folder of the pictures"),
            (options.threshold == "auto" and (not judging or without_network or options.boxes == "authors"),
             "--threshold auto needs --data with boxes to choose by, a network, and --boxes paper"),
            (options.threshold == "auto" and (options.split == "train" or same(options.metadata,
                                                                               options.threshold_metadata)),
             "--threshold auto never chooses by the pictures that it judges: judge others, or give a number"),
            (options.threshold == "auto" and other_set and not options.threshold_metadata,
             "--threshold auto needs pictures to choose by that are not judged: --threshold-metadata")):
        if broken:
            raise InputError(message)


NETWORK = {"weights", "crops", "scales", "align", "output_stride", "precision"}
SHOWING = {"top", "class_name"}
JUDGING = {"split", "classes", "rows", "per_class"}


def refuse_ignored(options, given):
    """InputError for an option that would change nothing.

    given: names of those that are not at their default
    """
    authors, judging = options.boxes == "authors", options.data or options.kit or options.metadata
    for present, what, ignored in (
            (options.compare, "--compare", given - {"compare"}),
            (options.scores, "--scores", NETWORK),
            (options.guesses, "--guesses", NETWORK | {"boxes", "threshold"}),
            (authors, "--boxes authors", {"threshold"}),
            (judging, "data to judge by", SHOWING),
            (options.class_name, "--class", {"top"}),
            (not judging, "pictures, only with data to judge by", JUDGING)):
        if present and given & ignored:
            name = min(given & ignored)
            name = "a picture" if name == "pictures" else "--" + name.replace("class_name", "class").replace("_", "-")
            raise InputError(f"{name} does not go with {what}")
