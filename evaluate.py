"""Judge a network, score maps or guesses on a data set: `python evaluate.py --help`."""

import os
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import cam_base
import cam_data
import cam_evaluation
import cam_localization
import cam_report
import localization
import nets
import weights
from cam_base import InputError, check_folder, check_new_file
from cam_base.terminal import Table, counted, printable, progress, run_program, say, show, warn
from cam_evaluation.settings import AUTO, CROSSFIT, parse_evaluate
from localization.settings import PAPER_THRESHOLD, SCALES

# Pictures of the training split by whose boxes --threshold auto chooses.
THRESHOLD_ROWS = 1000
# Of what was left out.
LINES = 10


def main(arguments):
    settings = parse_evaluate(arguments)
    if settings.compare:
        return compare(settings, *settings.compare)
    if settings.scores and not os.path.isdir(settings.scores):
        raise InputError(f"--scores {settings.scores}: no such folder")
    nets.prepare_devices()  # before the data, of which some are decoded to be opened
    pictures = open_data(settings)
    check_folder(settings.out)
    others = others_left_out(settings)
    if settings.submission:
        check_new_file(settings.submission)
    judge = evaluate_guesses if settings.guesses else evaluate_scores if settings.scores else evaluate_network
    judged = judge(settings, pictures)
    for line in judged.warnings[:LINES]:
        warn(f"evaluate.py: {line}")
    if len(judged.warnings) > LINES:
        warn(f"evaluate.py: and {len(judged.warnings) - LINES} more")
    about = {"data": pictures.name, "left_out": len(pictures) - len(judged.records)}
    if judged.records.excluded is not None:
        about["excluded"] = int(judged.records.excluded.sum())
    about |= others | judged.about
    if settings.submission:
        cam_evaluation.write_submission(settings.submission, judged.records, judged.classes, pictures)
    names = [cam_evaluation.class_name(category) for category in judged.classes]
    metrics = cam_evaluation.write_report(settings.out, judged.records, about, names, settings.per_class)
    cam_evaluation.show_figures(metrics)
    if not pictures.boxes and not pictures.masks:
        say(f"no figure of localization: {without_places(settings, pictures)}")
    if judged.noticed:
        shown = cam_evaluation.keep_maps(settings.out, judged.noticed, judged.records, pictures)
    if settings.report:
        say("report: " + cam_evaluation.write_page(settings.out, shown, judged.records, pictures, metrics, settings.report_pictures))
    if settings.overlays:
        draw(settings, judged)
    return 0


def draw(settings, judged):
    """The pictures of --overlays."""
    which, count = settings.overlays
    folder = os.path.join(settings.out, which)
    rows = cam_evaluation.extreme_rows(judged.records, which, count)
    drawn = judged.draw(folder, rows)
    say(f"the {which} {counted(drawn, 'picture')}, with true boxes in green: {folder}")


def open_data(settings):
    """The PictureSet to judge by, or the part of it that was asked for."""
    if settings.kit:
        # Guesses are of the pictures as the kit's boxes are, whichever way up.
        pictures = cam_data.open_validation(settings.kit, settings.annotations, None if settings.guesses else settings.data)
    elif settings.metadata:
        pictures = cam_data.open_metadata(settings.metadata, settings.data, settings.masks)
    else:
        pictures = cam_data.open_set(settings.data, settings.split)
    pictures = replace(pictures, largest=settings.largest_pixels())
    if settings.centre_crop is not None:
        pictures = replace(pictures, boxes=None, masks=None)
    if settings.classes:
        pictures = pictures.first_classes(settings.classes)
    return pictures.first_rows(settings.rows) if settings.rows else pictures


def others_left_out(settings):
    """What metrics.json says of the files in the folder of the data that were not taken, which is said."""
    others = cam_data.others_in_set(settings.data) if settings.data else {}
    if others:
        say(f"{settings.data}: not taken for pictures or lists: {cam_data.in_words(others)}")
    return {"left_out_files": others} if others else {}


def without_places(settings, pictures):
    """Why nothing says where the objects on the pictures are."""
    if settings.centre_crop is not None:
        return "--centre-crop judges by classes alone"
    lists = cam_data.lists_of_boxes(settings.data)
    return (f"{pictures.name} has no boxes and no masks that are read; docs/formats.md says how they may be given"
            + "".join(f"; {name} has boxes: name it by --data" for name in lists))


class Judged(NamedTuple):
    """What was judged, and how.

    records   Records
    warnings  lines about what was left out
    classes   that guesses are numbers of
    about     what metrics.json says of how it was done
    draw      a function of a folder and rows of the records that draws their pictures; None where there are no maps
    noticed   what maps.npz and --report show of each picture; empty where they are not asked for
    """

    records: object
    warnings: list
    classes: list
    about: dict
    draw: object = None
    noticed: list = ()


def evaluate_guesses(settings, pictures):
    return Judged(cam_evaluation.evaluate_guesses(settings.guesses, pictures), [], pictures.categories,
                  {"weights": None, "guesses": settings.guesses})


def evaluate_scores(settings, pictures):
    threshold, scale = boxes_of_scores(settings)
    notice = cam_evaluation.notice_scores(pictures, settings.report, threshold) if keeps_maps(settings, pictures) else None
    records, warnings, noticed = cam_evaluation.evaluate_score_maps(
        settings.scores, pictures, settings.boxes, threshold, scale, progress(len(pictures)), notice=notice)
    return Judged(records, warnings, [], {"weights": None, "scores": settings.scores} | about_boxes(settings.boxes, threshold, scale),
                  lambda folder, rows: cam_evaluation.draw_score_maps(
                      folder, records, rows, pictures, settings.scores, settings.boxes, threshold, scale), noticed)


def boxes_of_scores(settings):
    """(threshold, scale) of score maps: those that were given, else those of localize.py where it wrote them, else the usual ones; it is said."""
    made, path = cam_localization.options_of_maps(settings.scores)
    usual = {"threshold": PAPER_THRESHOLD, "scale": "min-max"}
    good = {"threshold": lambda value: isinstance(value, float) and 0 <= value < 1, "scale": lambda value: value in SCALES}
    found, said = {}, []
    for name, called in (("threshold", "threshold"), ("scale", "map scale")):
        given, own = getattr(settings, name), made.get(name)
        found[name] = given if given is not None else own if good[name](own) else usual[name]
        said.append(f"{called} {found[name]}" + (f" (of {path})" if given is None and good[name](own) else " (the usual one)" if given is None else ""))
    if settings.boxes == "authors":
        say(f"judging score maps of {settings.scores} by the authors' boxes")
    else:
        say(f"judging score maps of {settings.scores}: {', '.join(said)}")
    if made.get("boxes") in localization.RULES and made["boxes"] != settings.boxes:
        say(f"their boxes in {path} are those of --boxes {made['boxes']}")
    return found["threshold"], found["scale"]


def evaluate_network(settings, pictures):
    device = nets.prepare_devices()
    options = settings.localizer_options()
    if settings.threshold in (AUTO, CROSSFIT):
        options["threshold"] = PAPER_THRESHOLD  # until one is chosen
    localizer = localization.load(settings.weights, **options)
    say(f"judging {counted(len(pictures), 'picture')} of {pictures.name} {device}")
    chosen = choose_threshold(localizer, settings, pictures) if settings.threshold == AUTO else {}
    if settings.threshold == CROSSFIT:
        records, warnings, noticed, chosen = crossfit(localizer, settings, pictures)
    else:
        records, warnings, noticed = evaluated(localizer, settings, pictures, keeps_maps(settings, pictures))
    about = {"weights": weights.resolve(settings.weights)} | about_boxes(
        settings.boxes, localizer.threshold, localizer.scale) | chosen
    about |= {"refine": localizer.refine, "refine_grid": localizer.refine_grid} | {name: getattr(settings, name)
              for name in ("entry", "class_names", "multi_label", "method", "crops", "merge", "scales", "align", "output_stride", "precision")}
    about |= {"preprocessing": settings.preprocessing()} if settings.preprocessing() else {}
    if settings.centre_crop is not None:
        about = {name: value for name, value in about.items() if name in ("weights", "entry", "class_names", "multi_label", "preprocessing", "precision")}
        about["centre_crop"] = localizer.viewing.centre_crop
    thresholds = chosen["threshold"] if settings.threshold == CROSSFIT else [localizer.threshold]
    return Judged(records, warnings, localizer.classes, about, lambda folder, rows: cam_evaluation.draw_with_network(
        folder, records, rows, pictures, localizer, thresholds), noticed)


def evaluated(localizer, settings, pictures, with_maps):
    """What `cam_evaluation.evaluate_network` gives, with what maps.npz holds."""
    noticing = {"keep": cam_report.small_picture, "notice": cam_evaluation.notice_network(localizer)} if with_maps else {}
    return cam_evaluation.evaluate_network(
        localizer, pictures, batch=settings.batch, progress=progress(len(pictures)), **noticing)


def keeps_maps(settings, pictures):
    return settings.report or settings.centre_crop is None and len(pictures) <= settings.keep_maps


def crossfit(localizer, settings, pictures):
    """As `evaluate_network`: each half of the pictures, every other one, at the threshold that is best on the other half."""
    halves = [pictures.rows(np.flatnonzero(pictures.numbers % 2 == start)) for start in (0, 1)]
    found, warnings, noticed, thresholds = [], [], [], []
    for half, other in (halves, halves[::-1]):
        if not len(half):
            raise InputError(f"{pictures.name} has one picture: there is no other half to choose a threshold by")
        localizer.threshold, _ = cam_evaluation.best_box_threshold(
            localizer, other, batch=settings.batch, progress=progress(len(other), "choosing"))
        thresholds.append(localizer.threshold)
        records, said, seen = evaluated(localizer, settings, half, keeps_maps(settings, pictures))
        found.append(records)
        noticed += seen
        warnings += list(dict.fromkeys(said))
    return found[0].joined(found[1]), list(dict.fromkeys(warnings)), noticed, {
        "threshold": thresholds, "threshold_chosen_on": f"each half of {pictures.name} by the other"}


def about_boxes(rule, threshold, scale):
    authors = rule == "authors"  # which has thresholds of its own, and divides by the maximum
    return {"boxes": rule, "threshold": None if authors else threshold, "map_scale": "max" if authors else scale}


def choose_threshold(localizer, settings, judged):
    """Give the localizer the threshold that does best on other pictures' boxes, never on those of the pictures judged."""
    if settings.threshold_metadata:
        training = cam_data.open_metadata(settings.threshold_metadata, settings.threshold_data or settings.data,
                                          settings.masks)
    else:
        training = cam_data.open_set(settings.data, "train")
    training = replace(training, largest=settings.largest_pixels())
    if settings.classes:
        known = cam_base.match_classes(judged.categories, training.categories)
        training = training.rows(np.flatnonzero(known[training.labels] >= 0))
    if not len(training):
        raise InputError(f"{training.name} has none of the classes that are judged: no threshold can be chosen by it")
    training = training.first_rows(min(THRESHOLD_ROWS, len(training)))
    common = set(map(os.path.realpath, judged.files)) & set(map(os.path.realpath, training.files))
    if common:
        raise InputError(f"--threshold auto never chooses by the pictures that it judges: {len(common)} of "
                         f"{judged.name} are in {training.name}, too")
    localizer.threshold, accuracy = cam_evaluation.best_box_threshold(
        localizer, training, batch=settings.batch, progress=progress(len(training), "choosing"))
    say(f"threshold {localizer.threshold:.2f}, chosen on {counted(len(training), 'picture')} of {training.name} "
        f"(GT-known localization there {accuracy:.4f})")
    return {"threshold": localizer.threshold, "threshold_chosen_on": f"{training.name}, {counted(len(training), 'picture')}"}


def compare(settings, first, second):
    say(f"A: {printable(first)}\nB: {printable(second)}")
    found = cam_evaluation.compare_folders(first, second)
    others = cam_evaluation.other_settings(first, second)
    for name, (ours, theirs) in others.items():
        say(f"{name}: {ours} and {theirs}")
    rows = []
    for name, (ours, theirs, difference) in found.items():
        # An error is better where it is smaller.
        better = "A" if (difference.value < 0) == cam_evaluation.is_error(name) else "B"
        rows.append((name, f"{ours:.4f}", f"{theirs:.4f}", f"{difference.value:+.4f}",
                     cam_evaluation.interval_text(difference.low, difference.high, difference.by, "+"),
                     f"yes, {better} is better" if difference.beyond_chance else "no"))
    table = Table("figure", "A", "B", "A - B", "95 % interval", "beyond chance")
    for row in rows:
        table.add(*row)
    show(table)
    notes = ["beyond chance: 0 lies outside of the interval",
             *cam_evaluation.notes(found, [difference.by for _, _, difference in found.values()])]
    say("\n".join(notes))
    if settings.report:
        check_folder(settings.out)
        say("report: " + cam_evaluation.write_comparison(settings.out, first, second, rows, notes, others, settings.report_pictures))
    return 0


def command():
    run_program("evaluate.py", main)


if __name__ == "__main__":
    command()
