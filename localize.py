"""Show where a network sees its classes: `python localize.py --help`."""

import contextlib
import os
import sys

import numpy as np

import cam_localization
import cam_report
import localization
import nets
import ops
import weights
from cam_base import InputError, classes_called, nearest_names
from cam_base.settings import without_defaults
from cam_base.terminal import Table, Terminated, command_line, counted, progress, run_program, say, show, warn
from cam_base.threads import in_order
from cam_localization.settings import JSON, STANDARD_OUTPUT, parse_localize

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")
WRITERS = os.cpu_count() or 1  # threads
LISTED = 3  # names that a line lists
UNSURE = 0.3  # probability below which an answer is marked
MOST_ASKED = 50  # classes, each of which is a panel of a strip


def main(arguments):
    settings = parse_localize(arguments)
    if settings.list_classes is not None:
        classes = weights.read_class_names(settings.class_names) if settings.class_names else \
            weights.load_as_said(weights.resolve(settings.weights), entry=settings.entry, preprocessing=settings.preprocessing(),
                                 multi_label=settings.multi_label).classes
        return list_classes(classes, settings.list_classes)
    if settings.serve is not None:
        return serve(settings)
    if settings.json != STANDARD_OUTPUT:
        return localize(settings)
    standard_output = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # for all that is said besides
        return localize(settings, standard_output)


def localize(settings, standard_output=None):
    """From files to what is written of them; returns the exit status."""
    files = cam_localization.without_own(cam_localization.find_pictures(settings.pictures or [SAMPLES]))
    cam_localization.check_places(settings, files)
    if settings.overlay != "none":
        check_colours(settings.alpha, settings.colormap)
    with cam_localization.holding(settings):
        return look(settings, files, standard_output)


def look(settings, files, standard_output=None):
    """The same of pictures that were found, in a folder where nobody else writes."""
    device = nets.prepare_devices()
    localizer = localization.load(settings.weights, **settings.localizer_options())
    classes = asked_classes(localizer, settings.classes)
    run = cam_localization.describe_run(settings, localizer, files, classes)
    results_file = cam_localization.ResultsFile(settings, run, standard_output)
    outputs = cam_localization.Outputs(settings, files, len(classes) if classes else min(settings.top, len(localizer.classes)), classes)
    names = [outputs.name(file) for file in files]
    earlier = cam_localization.entries_of_earlier(results_file.path, run, files, lambda place, entry: outputs.are_there(names[place], entry)) \
        if settings.resume else []
    if settings.resume:
        cam_localization.sweep(outputs.folders)
        say(f"{len(earlier)} of {counted(len(files), 'picture')} were done before")
    results = localizer.stream(files[len(earlier):], min(settings.batch, len(files)), settings.top, classes,
                               largest=settings.largest_pixels(), keep=outputs.keep(),
                               min_probability=settings.min_probability)
    tally = Tally(cam_localization.names_to_show(files), len(files), localizer.names, guessed=classes is None)
    found = zip(results, names[len(earlier):])
    if settings.report:
        with report_page(settings, len(files), dict(zip(localizer.classes, localizer.names))) as page:
            write_all(results_file, outputs, found, tally, page=page)
            page.finish(about_page(settings, localizer, run))
            tally.written.update(page.beside)
    else:
        write_all(results_file, outputs, found, tally, earlier)
    tally.warn_of_faults()
    others = cam_localization.of_other_calls(settings, tally.written) if tally.done else []
    if others:
        warn(f"localize.py: {counted(len(others), 'file')} in {settings.out} {'is' if len(others) == 1 else 'are'} of other calls, and not of "
             f"these results: {', '.join(others[:LISTED])}{', ...' * (len(others) > LISTED)}")
    if tally.done and not standard_output:
        show(tally.table, f"in {JSON}")
        done = counted(tally.done, "picture")
        if settings.report:
            done += f", {cam_localization.REPORT}"
        say((f"{done}: {settings.json}" if settings.json else f"{done} and {JSON} are in {settings.out}") + f" ({device})")
        say((f"The network names one of {len(localizer.classes)} classes (--list-classes), whatever a picture shows" if classes is None else
             "A box is drawn for every class of --class, whether a picture shows it or not")
            + f"; ? is below {UNSURE}: it may {'be none of them' if classes is None else 'not be there'}" * bool(tally.unsure))
    return 0 if tally.done == len(files) and not tally.incomplete else 2


def serve(settings):
    """A page to drop pictures on, until Ctrl-C."""
    device = nets.prepare_devices()
    localizer = localization.load(settings.weights, **settings.localizer_options())
    classes = asked_classes(localizer, settings.classes)
    localizer(np.zeros((64, 64, 3), np.uint8), settings.top, classes)  # compiles: nobody waits for it later
    about = cam_report.About(rules=[settings.rule], commands=[command_line(*sys.argv)],
                             settings=[("weights", weights.resolve(settings.weights)), ("classes", len(localizer.classes)), ("device", device)])
    page = cam_localization.page_to_serve("Where a network sees its classes", about)
    cam_localization.serve(cam_localization.Server(
        settings.host, settings.serve, lambda pixels, asked: localizer(pixels, settings.top, numbers_of(localizer, asked) or classes), page,
        min(cam_localization.PIXELS, settings.largest_pixels()), settings.allow_host))
    return 0


def report_page(settings, pictures, names):
    """The page of --report, to be written; names: {Category: what it is called}."""
    return cam_report.PageWriter(os.path.join(settings.out, cam_localization.REPORT), "Where a network sees its classes",
                                 cam_report.is_linked(settings.report_pictures, pictures), names)


def about_page(settings, localizer, run):
    """What that page says besides its pictures."""
    options = run["options"]
    return cam_report.About(rules=[settings.rule], commands=[command_line(*sys.argv)],
                            settings=list(without_defaults({name: value for name, value in (run | options).items() if name != "options"}, type(settings)).items()))


def write_all(results_file, outputs, results, tally, earlier=(), page=None):
    """Write what was found in each picture as it comes.

    results  pairs of a Result and `Outputs.name` of its picture
    tally    a Tally of all
    earlier  entries of pictures that were done before
    page     to which each picture is added, or None
    """
    with results_file as written:
        try:
            written.append(*earlier)
            for entry in earlier:
                tally.add(entry)
            # Boxes, drawing and encoding in threads, beside the network.
            every = in_order(lambda pair: outputs.write(*pair), results, WRITERS, 2 * WRITERS)
            for entry, problems, shown in progress(tally.left)(every):
                written.append(entry)
                tally.add(entry, problems)
                if page:
                    page.add(shown)
        except (KeyboardInterrupt, Terminated):
            warn(f"localize.py: stopped; {tally.done} of {tally.total} pictures are in {written.path}" if tally.done else
                 "localize.py: stopped before the first picture was done")
            raise


class Tally:
    """What was found, for people: the table, and how many pictures are done, unsure, incomplete or could not be read.

    shown    {file: its name in the table}
    total    how many pictures there are
    names    of the classes
    guessed  whether the classes are the network's own, of which the first is marked where it is unsure; else any is
    """

    def __init__(self, shown, total, names, guessed=True):
        self.table = Table("picture", "class", "probability", "box (x0, y0, x1, y1)")
        self.shown, self.names, self.guessed, self.total = shown, dict(enumerate(names)), guessed, total
        self.done = self.skipped = self.unsure = self.incomplete = 0
        self.written = set()  # names of files

    @property
    def left(self):
        return self.total - self.done - self.skipped

    def add(self, entry, problems=()):
        for problem in problems:
            warn(f"localize.py: {problem}")
        self.incomplete += bool(problems)
        if "error" in entry:
            warn(f"localize.py: skipped {entry['error']}")
            self.skipped += 1
            return
        predictions, picture = entry["predictions"], self.shown[entry["image"]]
        self.written.update(one.get(kind) for one in (entry, *predictions) for kind in ("overlay", "map", "mask"))
        unsure = [found["probability"] < UNSURE and not (self.guessed and number) for number, found in enumerate(predictions)]
        self.done, self.unsure = self.done + 1, self.unsure + any(unsure)
        if not predictions:
            self.table.add(picture, "none", "", "")
        for number, found in enumerate(predictions):
            self.table.add("" if number else picture, self.names.get(found["class"], found["label"]),
                           f"{found['probability']:.3f}{' ?' * unsure[number]}", ", ".join(map(str, found["box"])))

    def warn_of_faults(self):
        if self.skipped and self.total > 1:
            warn(f"localize.py: {self.skipped} of {self.total} files could not be read")
        if self.incomplete:
            warn(f"localize.py: of {self.incomplete} of {self.total} pictures not everything could be written")


def check_colours(opacity, colour_map):
    """InputError for what no heat map can be drawn with."""
    try:
        ops.overlay(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1)), opacity, colour_map)
    except ValueError as error:
        raise InputError(f"--alpha {opacity} --colormap {colour_map}: {error}") from None


def list_classes(classes, word):
    """Print the classes that a word stands for, as --class takes it, or all for an empty one, a line each.

    For a word that is none, those that the nearest one stands for; InputError where there is none.
    """
    try:
        numbers = classes_called(classes, word) if word else range(len(classes))
    except InputError as error:
        near = nearest_names(classes, word, 1)
        if not near:
            raise
        warn(f"localize.py: {error}")
        numbers = classes_called(classes, near[0])
    say("\n".join(f"{number:6}  {classes[number].wnid or '':9}  {classes[number].label}" for number in numbers))
    return 0


def asked_classes(localizer, names):
    """The numbers of the classes that --class asks for, None where it asks for none; says which they are where a name is but a part of
    theirs."""
    numbers = numbers_of(localizer, names)
    for name in names:
        called = localizer.class_numbers([name])
        wnid, label = localizer.classes[called[0]]
        if len(called) > 1 or name.replace("_", " ").strip().lower() not in (str(called[0]), wnid, label.lower(), *label.lower().split(", ")):
            say(f"{name!r} is taken for {'; '.join(localizer.classes[number].label for number in called)}")
    return numbers or None


def numbers_of(localizer, names):
    """The numbers of all classes that names stand for; InputError for more than MOST_ASKED."""
    numbers = localizer.class_numbers(names)
    if len(numbers) > MOST_ASKED:
        raise InputError(f"{', '.join(names)}: the names of {len(numbers)} classes, of which at most {MOST_ASKED} are drawn: --list-classes "
                         "lists them, with a number and a wnid for each")
    return numbers


def command():
    run_program("localize.py", main)


if __name__ == "__main__":
    command()
