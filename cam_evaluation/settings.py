"""What `evaluate.py` is asked to do, and which options go together."""

import os
from argparse import ArgumentTypeError
from dataclasses import dataclass

from cam_base import InputError
from cam_base.settings import option, parse
from localization.settings import Looking, refuse

AUTO, CROSSFIT = "auto", "crossfit"
OWN = 0  # of --centre-crop: the weights' own
EXTREMES, MOST_OVERLAYS = ("worst", "best"), 10_000


def threshold(text):
    return text if text in (AUTO, CROSSFIT) else float(text)


def overlays(text):
    """("worst" or "best", how many)."""
    which, _, count = text.partition(":")
    if which not in EXTREMES or not count.isdecimal() or not 1 <= int(count) <= MOST_OVERLAYS:
        raise ArgumentTypeError(f"{text!r} is not worst:20 or best:20, or such a number up to {MOST_OVERLAYS:,}")
    return which, int(count)


@dataclass
class EvaluateSettings(Looking):
    threshold: object = option(None, "of the box, as a share of the map's maximum; none: the weights' own, else the "
                               "publication's 0.2; auto: the best on the boxes of --data's training split or of "
                               "--threshold-metadata; crossfit: of each half of the pictures, every other one, that "
                               "which is best on the other half", kind=threshold, least=0, below=1)
    data: str = option(None, "folder of a data set, whose form is seen by looking, or of the pictures of --kit or "
                       "--metadata; or 'synthetic'", metavar="FOLDER", group="data to judge by")
    split: str = option("val", "which part of --data; all: whatever is there", choices=("train", "val", "all"), group="data to judge by")
    kit: str = option(None, "ILSVRC's CLS-LOC development kit, with --annotations, or Kaggle's lists (LOC_val_solution.csv), without", metavar="FOLDER",
                      group="data to judge by")
    annotations: str = option(None, "of --kit's validation pictures, ILSVRC2012_val_00000001.xml ...", metavar="FOLDER",
                              group="data to judge by")
    metadata: str = option(None, "a split in the WSOL protocol's form: image_ids.txt ...", metavar="FOLDER",
                           group="data to judge by")
    masks: str = option(None, "of --metadata, where it has masks (default: --data)", metavar="FOLDER",
                        group="data to judge by")
    threshold_metadata: str = option(None, "with --kit or --metadata: the split by whose boxes --threshold auto chooses, "
                                     "in the form of --metadata", metavar="FOLDER", group="data to judge by")
    threshold_data: str = option(None, "of the pictures of --threshold-metadata (default: --data)", metavar="FOLDER",
                                 group="data to judge by")
    classes: int = option(None, "only the first so many classes", kind=int, least=2, group="data to judge by")
    rows: int = option(None, "only so many pictures, spread over the classes", kind=int, least=1,
                       group="data to judge by")
    scores: str = option(None, "judge score maps, <picture>.npy, instead of a network", metavar="FOLDER", group="judging")
    guesses: str = option(None, "judge guesses in the form of --kit, instead of a network", metavar="FILE",
                          group="judging")
    submission: str = option(None, "also write the network's guesses in the form of --kit", metavar="FILE",
                             group="judging")
    overlays: tuple = option(None, "also draw so many pictures with their true boxes, the worst or the best ones: worst:20", kind=overlays,
                             metavar="worst:N", group="judging")
    report: bool = option(False, "also write report.html: figures, curves and all pictures with maps, boxes and a slider for the "
                          "threshold; of --compare, both evaluations beside each other", group="judging")
    report_pictures: str = option("auto", "where the pictures of report.html are: within it, or linked, beside it; auto: beside it "
                                  "where there are more than 1,000", choices=("auto", "within", "linked"), group="judging")
    centre_crop: int = option(None, "classify by the centre crop that the weights' publisher judged them by, of pictures whose shorter side has "
                              "so many pixels (none said: the weights' own), and judge no boxes: for published top-1 errors", kind=int, values="?",
                              bare=OWN, least=OWN, below=8193, metavar="PIXELS", group="judging")
    keep_maps: int = option(10_000, "maps.npz, by which --compare --report shows this evaluation without its network and pictures, is "
                            "written for at most so many pictures (30 kB each); 0: never", kind=int, least=0, metavar="PICTURES", group="judging")
    per_class: bool = option(False, "also write classes.csv, worst first", group="judging")
    compare: list = option([], "two evaluations: which differences are beyond chance", metavar="FOLDER", values=2,
                           group="judging")

    def localizer_options(self):
        cropped = {} if self.centre_crop is None else {"centre_crop": True, "refine": 0}
        return super().localizer_options() | cropped

    def preprocessing(self):
        return super().preprocessing() | ({"centre_crop": self.centre_crop} if self.centre_crop else {})


def parse_evaluate(arguments):
    """The EvaluateSettings of a command line; InputError for what does not go together."""
    settings, given = parse(EvaluateSettings, arguments, "evaluate.py",
                            "A network, score maps or guesses on a data set: its figures, and how sure they are.")
    _check(settings)
    _refuse_ignored(settings, given)
    return settings


def _is_kaggles(kit):
    """Whether it holds Kaggle's lists, which have the boxes themselves."""
    return bool(kit) and os.path.exists(os.path.join(kit, "LOC_val_solution.csv"))


def same(first, second):
    return bool(first and second) and os.path.realpath(first) == os.path.realpath(second)


def _check(settings):
    """The first rule that the options break is the error; each is (broken, what to do)."""
    judging = settings.data or settings.kit or settings.metadata
    other_set = settings.kit or settings.metadata
    part = settings.classes or settings.rows
    without_network = settings.scores or settings.guesses
    auto = settings.threshold == AUTO
    for broken, message in (
            (bool(settings.kit) != bool(settings.annotations) and not _is_kaggles(settings.kit), "--kit and --annotations go together"),
            (settings.kit and settings.metadata, "give --kit or --metadata, not both"),
            (other_set and settings.split != "val", "--split does not go with --kit or --metadata, which are of one"),
            (settings.masks and not settings.metadata, "--masks needs --metadata"),
            (settings.threshold_metadata and not (other_set and auto),
             "--threshold-metadata needs --threshold auto, and --kit or --metadata"),
            (settings.threshold_data and not settings.threshold_metadata, "--threshold-data needs --threshold-metadata"),
            ((settings.scores or part) and not judging, "--scores, --classes and --rows need --data"),
            ((settings.guesses or settings.submission) and (not settings.kit or part),
             "--guesses and --submission need --kit, and all of its pictures: no --classes, no --rows"),
            (bool(settings.scores) + bool(settings.guesses) + bool(settings.submission) > 1,
             "give one of --scores, --guesses and --submission"),
            (other_set and not settings.data and not (settings.guesses or settings.scores and settings.metadata),
             "--data is needed, too: the folder of the pictures"),
            (settings.threshold in (AUTO, CROSSFIT) and (not judging or without_network or settings.boxes != "paper"),
             f"--threshold {settings.threshold} needs --data with boxes to choose by, a network, and --boxes paper"),
            (auto and (settings.split != "val" or same(settings.metadata, settings.threshold_metadata)),
             "--threshold auto never chooses by the pictures that it judges: judge others, or give a number"),
            (auto and other_set and not settings.threshold_metadata,
             "--threshold auto needs pictures to choose by that are not judged: --threshold-metadata"),
            (not judging and not settings.compare,
             "name what to judge by: --data FOLDER, or two evaluations by --compare A B")):
        if broken:
            raise InputError(message)


NETWORK = {"weights", "entry", "class_names", "size", "mean", "deviation", "pixel_scale", "channels", "interpolation", "method", "refine", "refine_grid", "crops", "merge", "scales", "align", "output_stride", "precision", "batch", "largest_picture", "centre_crop", "multi_label"}


OF_MAPS = {"boxes", "threshold", "scale", "method", "refine", "refine_grid", "crops", "merge", "scales", "align", "output_stride", "scores", "guesses", "submission",
           "overlays", "report", "keep_maps", "masks"}


def _refuse_ignored(settings, given):
    refuse(given, (
        (settings.compare, "--compare", given - {"compare", *({"report", "report_pictures", "out"} if settings.report else {})}),
        (not settings.report, "no --report", {"report_pictures"}),
        (settings.scores, "--scores", NETWORK),
        (settings.guesses, "--guesses", NETWORK | {"boxes", "threshold", "scale", "overlays", "report", "keep_maps"}),
        (settings.report, "--report", {"keep_maps"}),
        (settings.centre_crop is not None, "--centre-crop, which judges no boxes", OF_MAPS),
        (settings.crops == 10, "--crops 10", {"scales"}),
        (settings.crops != 10, "fewer than ten --crops", {"merge"}),
        (settings.boxes == "authors", "--boxes authors", {"threshold", "scale", "refine", "refine_grid"}),
        (settings.refine == 0, "--refine 0", {"refine_grid"})))
