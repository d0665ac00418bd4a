"""localizations.json and .csv: what they hold, how they grow, and how a run goes on in them."""

import contextlib
import csv
import glob
import hashlib
import io
import json
import os
from dataclasses import asdict

import weights
from cam_base import InputError, check_folder, check_new_file, locked, open_regular
from cam_base.growing import Growing, Printed, json_bytes
from cam_base.version import VERSION
from cam_data import is_picture
from .drawing import FOLDERS
from .pictures import is_own, names_in
from .settings import JSON, NOT_OF_THE_RESULT, STANDARD_OUTPUT

CSV = "localizations.csv"
REPORT = "report.html"
LOCK = ".localize.lock"
BETWEEN, END = b",\n", b"\n]}\n"
LARGEST_HEAD = 1 << 20  # of what it says of how its entries were made
LARGEST = 1 << 31  # bytes of a file that is gone on in
COLUMNS = ("image", "width", "height", "error", "class", "wnid", "label", "probability", "x0", "y0", "x1", "y1",
           "peak_x", "peak_y")


def describe_run(settings, localizer, files, numbers):
    """What localizations.json says of how its entries were made, and by which --resume knows a run again.

    numbers  of the classes that were asked for, or None
    """
    path = weights.resolve(settings.weights)
    # What the weights decide where no option does.
    decided = {name: getattr(localizer, name) for name in ("threshold", "scale", "refine", "refine_grid")}
    if settings.boxes == "authors" and not (settings.masks or settings.all_boxes):  # it has thresholds of its own
        decided["threshold"] = None
    options = {name: value for name, value in asdict(settings).items() if name not in NOT_OF_THE_RESULT} | decided
    return {"program": "localize.py", "version": VERSION, "weights": path, "weights_sha256": weights.sha256(path),
            "pictures": len(files), "pictures_sha256": fingerprint(files), "classes": numbers, "options": options}


def fingerprint(files):
    """A hash of the pictures' paths, and of how large and how old they are."""
    found = hashlib.sha256()
    for file in files:
        try:
            status = os.stat(file)
            facts = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            facts = "not there"
        found.update(os.fsencode(file) + b"\0" + facts.encode() + b"\0")
    return found.hexdigest()


def check_places(settings, files):
    """InputError where what is to be written has no place, would be written over a picture, or would be taken for one."""
    check_folder(settings.out)
    for wanted, kind in ((settings.overlay == "full", "overlay"), (settings.maps, "map"), (settings.masks, "mask")):
        if wanted:
            check_folder(os.path.join(settings.out, FOLDERS[kind]))
    if settings.json not in (None, STANDARD_OUTPUT) and not settings.json.lower().endswith((".json", ".txt")):
        raise InputError(f"--json {settings.json}: call it .json, that it can be told from pictures and tables; - is standard output")
    pictures = set(map(os.path.realpath, files))
    for path in (settings.json or os.path.join(settings.out, JSON), settings.csv and os.path.join(settings.out, CSV)):
        if path and path != STANDARD_OUTPUT:
            check_new_file(path)
            if os.path.realpath(path) in pictures:
                raise InputError(f"{path}: one of the pictures, which are never written over; choose another --out")


def entries_of_earlier(path, run, files, are_there):
    """The entries of an earlier call that was the same run, as far as all that they name is there: those of its whole batches.

    are_there  a function of a picture's place and its entry
    returns    [] where there is no file
    raises     InputError for a file that is none, or of another run: it says which setting is another
    """
    try:
        with open_regular(path, LARGEST) as file:
            held = json.load(file)
        earlier, entries = held["run"], held["pictures"]
        if not isinstance(earlier, dict) or not isinstance(entries, list):
            raise ValueError
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{path}: not what localize.py writes, so --resume cannot go on in it; choose another --out") from None
    run = json.loads(json_bytes(run))
    first, second = (one | one.pop("options") if isinstance(one.get("options"), dict) else one for one in (dict(earlier), dict(run)))
    for name in first | second:
        if first.get(name) != second.get(name):
            raise InputError(f"{path} is of another run: {name} was {_short(first.get(name))} and is {_short(second.get(name))}; "
                             "--resume goes on with the same pictures and options only")
    sure = not run["options"]["min_probability"]
    if len(entries) > len(files) or not all(_is_whole(entry, file, sure) for entry, file in zip(entries, files)):
        raise InputError(f"{path}: its entries are not those that localize.py wrote, so --resume cannot go on in it; choose another --out")
    there = next((place for place, entry in enumerate(entries) if "error" not in entry and not are_there(place, entry)), len(entries))
    batch = min(run["options"]["batch"], run["pictures"])
    # Of the last batch, which may be shorter, all are done where all pictures are.
    return entries if there == len(files) else entries[:there // batch * batch]


def _is_whole(entry, file, sure):
    """Whether an entry is of this picture, and holds what `describe` gives; `sure`: whether it must have classes."""
    def numbers(value, count):
        return isinstance(value, list) and len(value) == count and all(type(one) is int for one in value)

    if not isinstance(entry, dict) or entry.get("image") != json.loads(json_bytes(file)) or not isinstance(entry.get("predictions"), list):
        return False
    if "error" in entry:
        return isinstance(entry["error"], str) and not entry["predictions"]
    return (type(entry.get("width")) is int and type(entry.get("height")) is int and bool(entry["predictions"] or not sure)
            and all(isinstance(found, dict) and type(found.get("class")) is int and isinstance(found.get("label"), str)
                    and isinstance(found.get("wnid", 0), (str, type(None)))
                    and isinstance(found.get("probability"), float) and numbers(found.get("box"), 4) and numbers(found.get("peak"), 2)
                    for found in entry["predictions"]))


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 60 else text[:60] + "…"


@contextlib.contextmanager
def holding(settings):
    """`with holding(settings):` no other process writes to --out, or to the file of --json."""
    places = [(os.path.join(settings.out, LOCK), settings.out, "--out")] if _writes_to_out(settings) else []
    if settings.json not in (None, STANDARD_OUTPUT):
        folder, name = os.path.split(settings.json)
        places.append((os.path.join(folder, f".{name}.lock"), settings.json, "--json"))
    with contextlib.ExitStack() as held:
        for path, place, name in places:
            taken = f"{place}: another localize.py writes there; wait for its end, or choose another {name}"
            held.enter_context(locked(path, taken, stays=False))
        yield


def _writes_to_out(settings):
    return bool(settings.json is None or settings.overlay != "none" or settings.maps or settings.masks or settings.csv or settings.report)


def of_other_calls(settings, written):
    """The names, below --out, of what other calls of localize.py left there, which no result of this one speaks of.

    written  names of what this call wrote, or an earlier one that it went on with
    """
    if not _writes_to_out(settings):
        return []
    beside = {CSV: not settings.csv, REPORT: not settings.report, JSON: settings.json is not None}
    found = [name for name, is_others in beside.items() if is_others and os.path.isfile(os.path.join(settings.out, name))]
    places = [f"{folder}/{name}/" for folder in FOLDERS.values() for name in names_in(os.path.join(settings.out, folder))
              if name.isdecimal()]
    for place in ("", "report-pictures/", *sorted(places)):
        left = [name for name in names_in(os.path.join(settings.out, place)) if place + name not in written]
        found += [place + name for name in sorted(left) if is_picture(name) and is_own(os.path.join(settings.out, place, name))
                  or place.startswith(FOLDERS["map"]) and name.endswith(".npy")]
    return found


def options_of_maps(folder):
    """(the options by which localize.py wrote the maps of a folder, its results file); ({}, None) where no results file says it.

    folder  `<out>/maps/<k>`, beside whose `maps` localizations.json lies
    """
    above, name = os.path.split(os.path.dirname(os.path.realpath(folder)))
    path = os.path.join(above, JSON)
    if name != FOLDERS["map"] or not os.path.isfile(path):
        return {}, None
    try:
        with open_regular(path) as file:
            head = file.read(LARGEST_HEAD).decode(errors="replace")
        run, _ = json.JSONDecoder().raw_decode(head.removeprefix('{"run": '))
        return (run["options"], path) if isinstance(run["options"], dict) else ({}, None)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}, None


def sweep(folders):
    """Delete what a killed run left half-written."""
    for folder in folders:
        for left in glob.glob(os.path.join(glob.escape(folder), ".unfinished-*")):
            with contextlib.suppress(OSError):
                os.unlink(left)


class ResultsFile:
    """`with ResultsFile(settings, run) as results: results.append(entry)`: localizations.json, and .csv where it is asked for.

    standard_output  a stream where the JSON goes instead of a file, or None
    Entries of pictures that could not be read wait for one that could: without any, what was there stays.
    """

    def __init__(self, settings, run, standard_output=None):
        begin = b'{"run": ' + json_bytes(run) + b',\n"pictures": [\n'
        self.path = settings.json or os.path.join(settings.out, JSON)
        self.json = Printed(standard_output, begin, BETWEEN, END) if standard_output else Growing(self.path, begin, BETWEEN, END)
        self.csv = Growing(os.path.join(settings.out, CSV), csv_line(COLUMNS)) if settings.csv else None
        self.waiting, self.begun = [], False

    def __enter__(self):
        return self

    def append(self, *entries):
        self.waiting += entries
        if not self.begun and all("error" in entry for entry in self.waiting):
            return
        self.begun, entries, self.waiting = True, self.waiting, []
        self.json.append(*map(entry_bytes, entries))
        if self.csv:
            self.csv.append(*(b"".join(map(csv_line, rows_of(entry))) for entry in entries))

    def __exit__(self, *error):
        try:
            self.json.__exit__(*error)
        finally:
            if self.csv:
                self.csv.__exit__(*error)


def entry_bytes(entry):
    """A line for the picture, and one for each of its classes."""
    facts = {name: value for name, value in entry.items() if name != "predictions"}
    picture = json_bytes(facts, None)[:-1]
    lines = b",".join(b"\n  " + json_bytes(found, None) for found in entry["predictions"])
    return picture + b', "predictions": [' + lines + b"]}"


def rows_of(entry):
    """An entry's rows of localizations.csv: one a class, or one that says that there is none."""
    picture = [entry["image"], entry["width"], entry["height"], entry.get("error", "")]
    classes = [[found["class"], found["wnid"], found["label"], f"{found['probability']:.6f}", *found["box"], *found["peak"]]
               for found in entry["predictions"]]
    return [picture + row for row in classes or [[""] * (len(COLUMNS) - len(picture))]]


def csv_line(cells):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    # As in the JSON: what of a file's name is not UTF-8 becomes \\udcxx.
    return text.getvalue().encode(errors="backslashreplace")
