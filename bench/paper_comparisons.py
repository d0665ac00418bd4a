"""The publication's own comparisons, small: global average against global max pooling, a finer map against a coarser
one, AlexNet-GAP against AlexNet*-GAP. Each network is trained from nothing, several times.

    python bench/paper_comparisons.py DATA            # a data set with boxes, or synthetic
    python bench/paper_comparisons.py synthetic --seeds 3 --epochs 6 --out runs/paper

Runs that are there already are not trained again. The table has means and, behind +-, the standard deviation of the seeds.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = {
    "ResNet-26, average, stride 8": ["--output-stride", "8"],
    "ResNet-26, maximum, stride 8": ["--output-stride", "8", "--pooling", "max"],
    "ResNet-26, average, stride 16": ["--output-stride", "16"],
    "AlexNet-GAP": ["--network", "alexnet", "--head", "gap", "--size", "115", "--learning-rate", "0.01"],
    "AlexNet*-GAP": ["--network", "alexnet", "--head", "star", "--size", "115", "--learning-rate", "0.01"]}
FIGURES = {"top1_classification_error": "top-1 error", "gt_known_localization": "GT-known", "max_box_acc_v2": "MaxBoxAccV2"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/paper"))
    options, others = parser.parse_known_args()
    table = Table("network", *FIGURES.values())
    what = re.sub(r"[^A-Za-z0-9.]+", "-", " ".join([Path(options.data).name, str(options.epochs), "epochs", *others]))
    for name, arguments in NETWORKS.items():
        found = [trained(options, [*arguments, *others], options.out / what / f"{name.replace(' ', '-')}-{seed}", seed) for seed in range(options.seeds)]
        table.add_row(name, *(f"{np.mean(values):.3f} +- {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}"
                              for figure in FIGURES if (values := [metrics[figure] for metrics in found])))
    Console(width=100).print(table)


def trained(options, arguments, run, seed):
    """The metrics of a run, which is trained where it is not there, or gone on with."""
    if not (run / "metrics.json").exists():
        begun = ["--resume", run] if (run / "settings.json").exists() else [
            "--data", options.data, "--epochs", options.epochs, "--seed", seed, "--out", run, *arguments]
        subprocess.run([sys.executable, ROOT / "train_loop.py", *map(str, begun)], check=True)
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
