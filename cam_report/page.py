"""report.html: one file, with all that it needs, which grows picture by picture and appears whole."""

import base64
import html
import os
import string
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from cam_base import replacing, short_names
from cam_base.growing import json_bytes
from cam_base.terminal import printable
from ops.overlays import palette
from .slider import STEPS

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
SCRIPTS = ("data.js", "gallery.js", "drawing.js", "view.js", "figures.js", "serve.js")
PALETTES = ("jet", "viridis", "inferno", "gray")
ITEMS = "<!-- items -->"
MOST_WITHIN = 1000  # pictures of a page that are kept within it; of a larger one they lie beside it


def is_linked(where, pictures):
    """Whether so many pictures lie beside their page: as --report-pictures says, "within", "linked" or "auto"."""
    return where == "linked" or where == "auto" and pictures > MOST_WITHIN


@dataclass
class About:
    """What a page says besides its pictures.

    runs            names of the two runs that the views of a picture are of, to be seen side by side, each with a slider; [] where there is one run
    rules           by which the boxes of each of them, or of the one run, were drawn: names in `localization.boxes.RULES`
    figures         rows of the table `figures_title`, with `figure_columns`; figure_notes: lines below it that say what is not plain
    curves          dictionaries of title, axis, x, lines {name: values}, slider (whether x is a threshold)
    tables          dictionaries of title, columns, rows, note (the line below it) and filter: what a row's first cell chooses,
                    "search", "picture" or None
    settings        rows (name, value); commands: lines
    """

    runs: list = field(default_factory=list)
    rules: list = field(default_factory=lambda: ["paper"])
    figures_title: str = "Figures"
    figure_columns: list = field(default_factory=lambda: ["figure", "value", "95 % interval", "better"])
    figures: list = field(default_factory=list)
    figure_notes: list = field(default_factory=list)
    curves: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    settings: list = field(default_factory=list)
    commands: list = field(default_factory=list)


class PageWriter:
    """`with PageWriter(path, title) as page: page.add(shown); ...; page.finish(about)`. Without `finish`, nothing is written.

    linked  whether pictures lie beside the page, in `<page>-pictures/`, not within it
    names   as of `Encoder`
    """

    def __init__(self, path, title, linked=False, names=None):
        self.path, self.title = os.path.abspath(path), title
        self.folder = f"{os.path.splitext(self.path)[0]}-pictures" if linked else None
        self.encoder, self.items, self.done = Encoder(names), [], False
        self.beside = []  # names of pictures that lie beside the page

    def __enter__(self):
        self._replacing = replacing(self.path)
        self.file = self._replacing.__enter__()
        before, self.behind = template(self.title).split(ITEMS)
        self.file.write(before.encode())
        return self

    def add(self, shown):
        """Add a Shown."""
        number = len(self.items)
        held, summary = self.encoder.encode(shown, self._picture(number, shown.picture))
        self.file.write(f'<script type="application/json" id="item-{number}">'.encode() + within_html(held) + b"</script>\n")
        self.items.append(summary)

    def _picture(self, number, picture):
        if not self.folder or not picture:
            return within_page(picture)
        name = f"{os.path.basename(self.folder)}/{number + 1:06}.jpg"
        with replacing(os.path.join(os.path.dirname(self.folder), name)) as file:
            file.write(picture)
        self.beside.append(name)
        return quote(name)

    def finish(self, about, serve=0):
        """Write what is known last; `serve`: of a page that asks its server about pictures (`cam_localization.server`), most bytes of one."""
        report = {"steps": STEPS, "runs": about.runs, "rules": about.rules, "names": self.encoder.names, "items": self.items,
                  "palettes": {name: base64.b64encode(palette(name)).decode() for name in PALETTES},
                  "figures": about.figures, "figures_title": about.figures_title, "figure_columns": about.figure_columns, "figure_notes": about.figure_notes,
                  "curves": about.curves, "tables": about.tables, "settings": [[name, str(value)] for name, value in about.settings],
                  "commands": about.commands, "serve": serve}
        self.file.write(string.Template(self.behind).substitute(report=within_html(report).decode()).encode())
        self.done = True

    def __exit__(self, kind, error, trace):
        unfinished = kind is None and not self.done
        self._replacing.__exit__(RuntimeError if unfinished else kind, error, trace)


class Encoder:
    """Pictures as the page's script reads them; classes become numbers of `names`.

    names  {Category: what it is called}; of others, what tells them apart (`cam_base.short_names`)
    """

    def __init__(self, names=None):
        self._called, self._numbers = names or {}, {}

    @property
    def names(self):
        """[short name, wnid, all names] of each class."""
        return [[self._called.get(category, short), category[0] or "", category[1]]
                for short, category in zip(short_names(self._numbers), self._numbers)]

    def encode(self, shown, picture):
        """(what is read when the picture is looked at, what is read at once) of a Shown, whose pixels are at the address `picture`."""
        held = {"picture": picture, "truth": np.asarray(shown.true_boxes, int).reshape(-1, 4).tolist(),
                "views": [self._view(one) for one in shown.views]}
        first = shown.views[0] if shown.views else None
        return held, {
            "name": shown.name, "h": int(shown.size[0]), "w": int(shown.size[1]), "true": self._number(shown.true),
            "guess": self._number(shown.guess), "right": shown.right, "iou": shown.iou, "change": shown.change,
            "p": first.probability if first else None, "error": shown.error}

    def _number(self, category):
        if category is None:
            return None
        return self._numbers.setdefault(tuple(category), len(self._numbers))

    def _view(self, one):
        grid = np.rint(one.grid.astype(np.float32) * 255).astype(np.uint8)
        return {"c": self._number(one.category), "p": one.probability, "run": one.run, "t": one.threshold, "drawn": one.box, "g": packed(grid), "gh": grid.shape[0],
                "gw": grid.shape[1], "s": list(map(int, one.map_size)), "n": packed(one.steps.count.astype(np.uint8)),
                "b": packed(one.steps.box.astype("<u2")), "k": packed(one.steps.peak.astype(np.uint8))}


def within_page(picture):
    """The address of a JPEG's bytes that is the picture itself."""
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode() if picture else ""


def template(title):
    """The page without pictures, with `$report` to be filled in."""
    with open(os.path.join(STATIC, "page.html"), encoding="utf-8") as file:
        page = file.read()
    with open(os.path.join(STATIC, "style.css"), encoding="utf-8") as file:
        style = file.read()
    scripts = []
    for name in SCRIPTS:
        with open(os.path.join(STATIC, name), encoding="utf-8") as file:
            scripts.append(file.read())
    return string.Template(page).safe_substitute(title=html.escape(printable(title)), style=style, script="\n".join(scripts).replace("$", "$$"))


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def within_html(value):
    """JSON that no HTML can be hidden in: names of files and classes are anybody's."""
    return json_bytes(value, None).replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
