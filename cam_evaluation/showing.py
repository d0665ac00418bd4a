"""An evaluation's figures for people."""

from cam_base.terminal import Table, say, show
from .statistics import is_error


def show_figures(metrics):
    """Print metrics.json: a table of its figures, each with its 95 % interval, and below it how they were come by."""
    figures, settings = Table("figure", "value", "95 % interval", "better", most=len(metrics)), setting_rows(metrics)
    for row in figure_rows(metrics):
        figures.add(*row)
    show(figures)
    width = max((len(name) for name, _ in settings), default=0)
    say("\n".join(f"{name:{width}}  {text}" for name, text in settings))


def figure_rows(metrics):
    """(figure, value, its 95 % interval, which way is better) of metrics.json, as text."""
    return [(name, f"{value:.4f}", "{:.4f} to {:.4f}".format(*metrics[f"{name}_interval"]), "lower" if is_error(name) else "higher")
            for name, value in metrics.items() if f"{name}_interval" in metrics]


def setting_rows(metrics):
    """(name, value) of what else metrics.json says, as text."""
    return [(name, _text(value)) for name, value in metrics.items()
            if f"{name}_interval" not in metrics and not name.endswith("_interval")]


def _text(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return ", ".join(map(_text, value)) or "none" if isinstance(value, (list, tuple)) else "none" if value is None else str(value)
