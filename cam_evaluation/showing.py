"""An evaluation's figures for people."""

from cam_base.settings import without_defaults
from cam_base.terminal import Table, say, show
from metrics import METRICS
from metrics.intervals import AGRESTI_MIN, BOOTSTRAP, FEW, UNKNOWN, WILSON
from .settings import EvaluateSettings
from .statistics import is_error

# What is not plain in the names of figures; those of metrics say it themselves (`Metric.meaning`).
MEANINGS = {
    "top1_localization_error": "the class is wrong, or its box has an IoU below 1/2 with every true box",
    "top5_localization_error": "the same of all of the first five classes",
    "top1_localization_error_of_all": "with the pictures that the kit leaves out of the others",
    "gt_known_localization": "share of pictures whose box of the true class has an IoU of at least 1/2 with a true box",
    "gt_known_mean_iou": "mean IoU of that box and the true box that it fits best",
    "centre_box_baseline": "GT-known localization of a fixed box in the middle; below it nothing is localized",
} | {metric.name: metric.meaning for metric in METRICS}
METHODS = {
    WILSON: f"Wilson: by his formula, where fewer than {FEW} pictures are right, or wrong; all others by bootstrap over pictures",
    AGRESTI_MIN: f"Agresti-Min: by their formula, where the two differ on fewer than {FEW} pictures; all others by bootstrap over pictures",
    UNKNOWN: "unknown: so few pictures do not say it",
}
# Values of metrics.json that say nothing, besides those of options that nobody touched.
PLAIN = {"map_scale": "min-max", "refine": 0, "left_out": 0}


def show_figures(metrics):
    """Print metrics.json: a table of its figures, each with its 95 % interval, and below it what they mean and how they were come by."""
    figures, settings = Table("figure", "value", "95 % interval", "better", most=len(metrics)), setting_rows(metrics)
    for row in figure_rows(metrics):
        figures.add(*row)
    show(figures)
    say("\n".join([*figure_notes(metrics), ""]))
    width = max((len(name) for name, _ in settings), default=0)
    say("\n".join(f"{name:{width}}  {text}" for name, text in settings))


def figure_rows(metrics):
    """(figure, value, its 95 % interval, which way is better) of metrics.json, as text."""
    return [(name, f"{value:.4f}", interval_text(*metrics[f"{name}_interval"], metrics.get(f"{name}_interval_by")), "lower" if is_error(name) else "higher")
            for name, value in metrics.items() if f"{name}_interval" in metrics]


def interval_text(low, high, by, sign=""):
    """An interval as text, and what it is by where that is not the bootstrap."""
    return f"{low:{sign}.4f} to {high:{sign}.4f}" + ("" if by in (None, BOOTSTRAP) else f" ({by})")


def figure_notes(metrics):
    """Lines that say what is not plain in the table of metrics.json."""
    return notes([name for name in metrics if f"{name}_interval" in metrics], [metrics.get(f"{name}_interval_by") for name in metrics])


def notes(figures, methods):
    """Lines that say what is not plain in figures of these names, whose intervals are by these methods."""
    return [f"{name}: {MEANINGS[name]}" for name in figures if MEANINGS.get(name)] + [text for by, text in METHODS.items() if by in methods]


def setting_rows(metrics):
    """(name, value) of what else metrics.json says, as text, without the options that are at their defaults."""
    return [(name, _text(value)) for name, value in without_defaults(metrics, EvaluateSettings).items()
            if f"{name}_interval" not in metrics and not name.endswith(("_interval", "_interval_by")) and value != PLAIN.get(name)
            and not (name == "refine_grid" and not metrics.get("refine"))]


def _text(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return ", ".join(map(_text, value)) or "none" if isinstance(value, (list, tuple)) else "none" if value is None else str(value)
