"""report.html of an evaluation, or of two beside each other."""

import contextlib
import os
import sys
from collections import Counter
from dataclasses import replace

from cam_base import InputError, short_names
from cam_base.terminal import command_line, counted
from cam_report import About, PageWriter, Shown, is_linked, small_picture, view
from cam_report.kept import read_kept, write_kept
from .collector import class_name
from .compare import settings_of
from .report import curves_of
from .showing import figure_notes, figure_rows, setting_rows
from .statistics import IOU, per_class

REPORT = "report.html"
RUNS = ["A", "B"]  # of a comparison
MOST_ROWS = 200  # of a list of confusions or changes


def notice_network(localizer):
    """A function of PictureMaps, whose pixels were kept by `small_picture`, their refined maps and the boxes that are judged (or None)
    to what a report shows of them.

    The last class is the true one, the first the network's guess.
    """
    def notice(maps, refined, boxes):
        heat_maps, grids = localizer.heat_maps(refined), localizer.scaled(refined)
        true, guess = (localizer.classes[maps.classes[place]] for place in (-1, 0))
        places = [-1] if true == guess else [-1, 0]
        views = [view(localizer.classes[maps.classes[place]], float(maps.probabilities[maps.classes[place]]), grids[place], heat_maps[place],
                      None, localizer.threshold, None if boxes is None else boxes[place]) for place in places]
        return Shown("", maps.size, maps.kept, views, true=true, guess=guess)

    return notice


def notice_scores(pictures, with_pictures, threshold):
    """The same of a picture's row, its score map's heat map, its size, and the boxes that are judged (or None).

    with_pictures  whether they are read only to be shown
    threshold      of the boxes
    """
    def notice(row, heat_map, size, boxes):
        pixels, true = None, pictures.categories[pictures.labels[row]]
        if with_pictures:
            with contextlib.suppress(InputError):  # figures are of the maps: a picture that is missing changes none of them
                pixels = pictures.pixels(row)
        shape = heat_map.shape if pixels is None else pixels.shape[:2]
        return Shown("", shape if size is None else tuple(map(int, size)), b"" if pixels is None else small_picture(pixels),
                     [view(true, None, heat_map, heat_map, None, threshold, None if boxes is None else boxes[0])], true=true)

    return notice


def completed(noticed, records, pictures):
    """The Shown of an evaluation with what its Records and the PictureSet know besides."""
    place = {name: row for row, name in enumerate(pictures.names)}
    return [replace(shown, name=name, true_boxes=pictures.boxes[place[name]] if pictures.boxes else [],
                    right=None if records.right is None else bool(records.right[row, 0]),
                    iou=None if records.known_iou is None else float(records.known_iou[row]))
            for row, (name, shown) in enumerate(zip(records.ids, noticed)) if shown]


def keep_maps(folder, noticed, records, pictures):
    """Write maps.npz of an evaluation into its folder; returns the Shown that it holds."""
    shown = completed(noticed, records, pictures)
    write_kept(folder, shown)
    return shown


def write_page(folder, shown, records, pictures, metrics, where="auto"):
    """Write report.html of an evaluation into its folder.

    metrics  what metrics.json holds
    where    the pictures are: "within" the page, "linked", or "auto"
    """
    return save_page(os.path.join(folder, REPORT), f"Evaluation on {metrics['data']}", shown,
                     about_evaluation(shown, records, pictures, metrics), where)


def about_evaluation(shown, records, pictures, metrics):
    """What the page says of an evaluation besides its pictures."""
    # A set may call its classes by their wnids alone, where the weights know their words.
    every = {class_name(category): category for category in [*pictures.categories, *(one.true for one in shown)]}
    labels = dict(zip(every, short_names(every.values())))
    rows = per_class(records)
    box = "the first guess" if records.known_iou is None else "the true class"
    note = ["classification_accuracy: of the first guess"] * ("classification_accuracy" in rows[0]) + [
        f"localization_accuracy: share of pictures whose box of {box} has an IoU of at least 1/2"] * ("localization_accuracy" in rows[0])
    tables = [{"title": "Classes, worst first", "columns": list(rows[0]), "filter": "search", "note": "; ".join([*note, "a class chooses its pictures"]),
               "rows": [[labels.get(row["class"], row["class"]), *list(row.values())[1:]] for row in rows]}]
    confused = _confusions(shown)
    if confused["rows"]:
        tables.append(confused)
    return About(rules=[metrics.get("boxes")], figures=figure_rows(metrics), figure_notes=figure_notes(metrics), curves=curves_to_show(curves_of(records)), tables=tables,
                 settings=setting_rows(metrics), commands=[command_line(*sys.argv)])


def curves_to_show(panels):
    """The curves of {panel: (columns, rows)} as the page draws them; those by threshold set its slider."""
    return [{"title": name, "axis": columns[0], "x": rows[:, 0].tolist(), "slider": columns[0] == "threshold",
             "lines": {column: rows[:, number].tolist() for number, column in enumerate(columns[1:], 1)}}
            for name, (columns, rows) in panels.items()]


def write_comparison(folder, first, second, differences, notes, settings, where="auto"):
    """Write report.html of two evaluations, whose folders hold maps.npz. Each side has a slider, which begins at its own threshold.

    differences  rows of the table of figures, and notes, lines below it
    settings     {setting: (in first, in second)} of those that differ
    """
    ours, theirs = read_kept(first), {shown.name: shown for shown in read_kept(second)}
    shown = [_beside(one, theirs[one.name]) for one in ours if one.name in theirs]
    changed = [one for one in shown if one.change is not None and (one.iou >= IOU) != (one.iou - one.change >= IOU)]
    rows = [[one.name, one.iou, one.iou - one.change, one.change] for one in sorted(changed, key=lambda one: -abs(one.change))]
    tables = [{"title": f"{counted(len(changed), 'picture')} whose box is right in one only", "columns": ["picture", "IoU A", "IoU B", "A - B"],
               "rows": rows[:MOST_ROWS], "filter": "picture", "note": "right: the true class's box, at the threshold of its evaluation, has an IoU "
               f"of at least 1/2 with a true box; the largest changes first, at most {MOST_ROWS}; a name opens its picture"}]
    about = About(RUNS, [(settings_of(folder) or {}).get("boxes") for folder in (first, second)], figures=differences, figure_notes=notes, figure_columns=["figure", "A", "B", "A - B", "95 % interval", "beyond chance"],
                  figures_title="Differences", tables=tables, commands=[command_line(*sys.argv)],
                  settings=[("A", first), ("B", second), *((name, f"{a}   and   {b}") for name, (a, b) in settings.items())])
    return save_page(os.path.join(folder, REPORT), f"{first} and {second}", shown, about, where)


def _beside(ours, theirs):
    """A picture with the views of both runs: of the true class first, A beside B."""
    views = [one._replace(run=run) for number in (0, 1) for run, shown in zip(RUNS, (ours, theirs)) for one in shown.views[number:number + 1]]
    change = None if ours.iou is None or theirs.iou is None else ours.iou - theirs.iou
    return replace(ours, picture=ours.picture or theirs.picture, views=views, change=change)


def _confusions(shown):
    pairs = Counter((one.true, one.guess) for one in shown if one.right is False)
    seen = list(dict.fromkeys(category for pair in pairs for category in pair))
    called = dict(zip(seen, short_names(seen)))
    return {"title": "Taken for another class", "columns": ["true class", "guess", "pictures"], "filter": "search",
            "note": f"the first guess of pictures whose true class is another, at most {MOST_ROWS}; a class chooses its pictures",
            "rows": [[called[true], called[guess], count] for (true, guess), count in pairs.most_common(MOST_ROWS)]}


def save_page(path, title, shown, about, where="auto"):
    """Write a page; returns its path."""
    with PageWriter(path, title, is_linked(where, len(shown))) as page:
        for one in shown:
            page.add(one)
        page.finish(about)
    return path
