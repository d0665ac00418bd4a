"""An evaluation's figures for people."""

from cam_base.terminal import Table, say, show
from cam_evaluation.statistics import is_error


def show_figures(metrics):
    """Print metrics.json: a table of its figures, each with its 95 % interval, and below it how they were come by."""
    figures, settings = Table("figure", "value", "95 % interval", "better", most=len(metrics)), {}
    for name, value in metrics.items():
        interval = metrics.get(f"{name}_interval")
        if interval:
            figures.add(name, f"{value:.4f}", "{:.4f} to {:.4f}".format(*interval), "lower" if is_error(name) else "higher")
        elif not name.endswith("_interval"):
            settings[name] = _text(value)
    show(figures)
    width = max(map(len, settings), default=0)
    say("\n".join(f"{name:{width}}  {text}" for name, text in settings.items()))


def _text(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_text, value)) or "none" if isinstance(value, (list, tuple)) else "none" if value is None else str(value)
