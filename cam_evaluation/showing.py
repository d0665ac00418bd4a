"""An evaluation's figures for people."""

from cam_base.terminal import Table, show


def show_figures(metrics):
    """Print metrics.json's figures as a table, each with its 95 % interval."""
    table = Table("figure", "value", "95 % interval", most=len(metrics))
    for name, value in metrics.items():
        if not name.endswith("_interval"):
            low_high = metrics.get(f"{name}_interval")
            table.add(name, f"{value:.4f}" if isinstance(value, float) else value,
                      "{:.4f} to {:.4f}".format(*low_high) if low_high else "")
    show(table)
