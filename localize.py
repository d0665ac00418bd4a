"""Show where a network sees its classes: `python localize.py --help`."""

import errno
import glob
import os
from typing import NamedTuple

import numpy as np

import cam_data
import localization
import nets
import ops
import weights
from cam_base import InputError, check_folder, find_class, replacing
from cam_base.json_list import JsonList
from cam_base.terminal import Table, Terminated, progress, run_program, say, show, warn
from cam_base.threads import in_order
from localization.names import OverlayNames
from localization.settings import parse_localize

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")
JSON = "localizations.json"
DRAWERS = os.cpu_count() or 1  # threads
MARK = "drawn by localize.py"  # within the files of its overlays, by which it knows them again
HEAD = 256  # bytes of a file, in which the mark is
UNSURE = 0.3  # probability of the first class below which an answer is marked


def main(arguments):
    settings = parse_localize(arguments)
    if settings.list_classes is not None:
        return list_classes(weights.load(weights.resolve(settings.weights)).classes, settings.list_classes)
    files = without_overlays(find_pictures(settings.pictures or [SAMPLES]))
    check_folder(settings.out)
    drawn = settings.overlay != "none"
    if drawn:
        check_colours(settings.alpha, settings.colormap)
    device = nets.prepare_devices(settings.precision)
    localizer = localization.load(settings.weights, **settings.localizer_options())
    classes = [class_called(localizer, name) for name in settings.classes] or None
    results = localizer.stream(files, min(settings.batch, len(files)), settings.top, classes,
                               largest=settings.largest_pixels(), keep=ops.panel if drawn else None,
                               min_probability=settings.min_probability)
    names = OverlayNames(settings.out, files, settings.overlay_format)
    named = ((result, names.free(result.source) if drawn else None) for result in results)
    written = write_all(settings.out, named, len(files), guessed=classes is None,
                        drawing=lambda result: result.strip(settings.alpha, settings.colormap))
    if written.done:
        show(written.table, f"in {JSON}")
        say(f"{written.done} {'picture' if written.done == 1 else 'pictures'} and {JSON} are in {settings.out} ({device})")
        if classes is None:
            say(f"The network names one of {len(localizer.classes)} classes (--list-classes), whatever a picture shows"
                + f"; ? is below {UNSURE}: it may be none of them" * bool(written.unsure))
    return 0 if written.done == len(files) and not written.undrawn else 2


def check_colours(opacity, colour_map):
    """InputError for what no heat map can be drawn with."""
    try:
        ops.overlay(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1)), opacity, colour_map)
    except ValueError as error:
        raise InputError(f"--alpha {opacity} --colormap {colour_map}: {error}") from None


def list_classes(classes, word):
    """Print the classes with a word in their names, or all for an empty one, a line each; InputError where there are none."""
    wanted = word.replace("_", " ").lower()
    rows = [f"{number:6}  {wnid or '':9}  {label}" for number, (wnid, label) in enumerate(classes)
            if wanted in f"{number} {wnid} {label}".lower()]
    if not rows:
        find_class(classes, word)  # says what is near
    say("\n".join(rows))
    return 0


def class_called(localizer, name):
    """The number of the class; says which it is where the name is but a part of the class's."""
    number = localizer.class_number(name)
    category = localizer.classes[number]
    if name.replace("_", " ").strip().lower() not in (str(number), category.wnid, category.label.lower(), *category.label.lower().split(", ")):
        say(f"{name!r} is taken for {category.label}")
    return number


class Written(NamedTuple):
    """The table of what was found; how many pictures are done, how many of them are marked as unsure, or have no overlay."""

    table: Table
    done: int
    unsure: int
    undrawn: int


def write_all(folder, named, total, guessed=True, drawing=lambda result: result.strip()):
    """Write what was found in each picture as it comes; returns what is Written.

    named    pairs of a Result and the name of its overlay, or None
    guessed  whether the classes are the network's own, of which the first is marked where it is unsure
    drawing  a function of a Result to its overlay
    """
    table, done, skipped, unsure, undrawn = Table("picture", "class", "probability", "box (x0, y0, x1, y1)"), 0, 0, 0, 0
    path = os.path.join(folder, JSON)
    with JsonList(path) as entries:
        try:
            # Boxes, drawing and encoding in threads, beside the network.
            for entry, problem in progress(total)(in_order(lambda pair: finish(folder, *pair, drawing), named, DRAWERS, 2 * DRAWERS)):
                if problem:
                    warn(f"localize.py: {problem}")
                if entry is None:
                    skipped += 1
                    continue
                entries.append(entry)
                mark = guessed and bool(entry["predictions"]) and entry["predictions"][0]["probability"] < UNSURE
                add_rows(table, entry, " ?" if mark else "")
                done, unsure, undrawn = done + 1, unsure + mark, undrawn + bool(problem)
        except (KeyboardInterrupt, Terminated):
            warn(f"localize.py: stopped; {done} of {total} pictures are in {path}" if done else
                 "localize.py: stopped before the first picture was done")
            raise
    if skipped and total > 1:
        warn(f"localize.py: {skipped} of {total} files could not be read")
    if undrawn:
        warn(f"localize.py: {undrawn} of {total} pictures have no overlay")
    return Written(table, done, unsure, undrawn)


def finish(folder, result, name, drawing):
    """(the entry of one picture or None, in words what went wrong or None); draws its overlay."""
    if result.error is not None:
        return None, f"skipped {result.error}"
    problem = name and draw(drawing(result), os.path.join(folder, name))
    return describe(result, None if problem else name), problem


def find_pictures(places):
    """Files, folders (all pictures below them) and globs, as a list of files."""
    files = []
    for place in places:
        if os.path.isdir(place):
            found = sorted(os.path.join(folder, name) for folder, names in cam_data.walk_pictures(place) for name in names)
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


def without_overlays(files):
    """The files that this program did not draw; InputError where there are none."""
    pictures = [file for file in files if not is_overlay(file)]
    if len(pictures) < len(files):
        drawn = len(files) - len(pictures)
        if not pictures:
            raise InputError(f"{files[0]}: an overlay that localize.py drew, and no other picture is given")
        say(f"Left out {drawn} {'overlay' if drawn == 1 else 'overlays'} that localize.py drew")
    return pictures


def is_overlay(file):
    """Whether a file has the mark; a pipe is not opened."""
    try:
        if not os.path.isfile(file):
            return False
        with open(file, "rb") as opened:
            return MARK.encode() in opened.read(HEAD)
    except OSError:  # which its reader will say
        return False


def describe(result, overlay=None):
    """One picture's entry of localizations.json."""
    height, width = map(int, result.size)
    return {"image": result.source, "width": width, "height": height, "overlay": overlay, "predictions": [
        {"class": found.number, "wnid": found.wnid, "label": found.label, "probability": found.probability,
         "box": list(found.box), "peak": list(found.peak)} for found in result]}


def draw(overlay, path):
    """Write an overlay; None, or in words why it could not be written. A full disk stops all."""
    encode = ops.encode_png if path.endswith(".png") else ops.encode_jpeg
    try:
        with replacing(path) as file:
            file.write(encode(overlay, comment=MARK))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        return f"{path} could not be written ({error.strerror or error})"
    return None


def add_rows(table, entry, mark=""):
    """A row for each class, or one that says that there is none; the first one's probability has the mark."""
    if not entry["predictions"]:
        table.add(os.path.basename(entry["image"]), "none", "", "")
    for number, prediction in enumerate(entry["predictions"]):
        table.add("" if number else os.path.basename(entry["image"]), prediction["label"].split(",")[0],
                  f"{prediction['probability']:.3f}{'' if number else mark}", ", ".join(map(str, prediction["box"])))


def command():
    run_program("localize.py", main)


if __name__ == "__main__":
    command()
