"""What every program that looks with a network is asked to do."""

from dataclasses import dataclass

from cam_base import InputError
from cam_base.given import Given
from cam_base.settings import option

PAPER_THRESHOLD = 0.2
METHODS = ("cam",)
SCALES = ("min-max", "max")
BOXES = ("paper", "peak", "authors")
RULES_OF_BOXES = ("paper: around the largest segment above the threshold, which the peak may lie outside of; peak: "
                  "around the segment that holds it; authors: as the program that the publication's authors released")
# How the maps of ten crops become one; the default is another for looking than for judging.
MERGE = {"help": "maps of --crops 10: authors: as the publication's did, with seams; smooth: without", "choices": ("authors", "smooth")}


@dataclass
class Looking(Given):
    """A network and how it looks at pictures."""

    weights: str = option(None, "a file of weights, a training run's folder, or a published name "
                          "(python -m weights list); none: efficientnet-lite1")
    boxes: str = option("paper", RULES_OF_BOXES, choices=BOXES)
    threshold: float = option(None, "of the box, as a share of the map's maximum; none: the weights' own, else the "
                              "publication's 0.2", kind=float, least=0, below=1)
    scale: str = option(None, "of maps, by minimum and maximum, or with negative values cut off by the maximum alone; "
                        "none: the weights' own, else min-max", name="--map-scale", choices=SCALES)
    refine: int = option(None, "spread maps along the picture's own colours, in so many steps of a random walk; none: the "
                         "weights' own, else 0", kind=int, least=0, below=1001, metavar="STEPS")
    refine_grid: int = option(None, "on which the walk goes; twice as many a side want four times the steps; none: the "
                              "weights' own, else 56", kind=int, least=8, below=513, metavar="PIXELS")
    method: str = option("cam", "what makes maps of the network's features", choices=METHODS)
    crops: int = option(1, "1: the whole picture; 2: and its mirror image; 10: the paper's ten crops", choices=(1, 2, 10))
    merge: str = option("authors", **MERGE)
    scales: list = option([], "see the picture at these sizes", kind=int, values="+", least=16, metavar="PIXELS")
    align: bool = option(False, "lay each cell of the map where the network saw it, not evenly over the picture as the "
                         "publication does")
    output_stride: int = option(None, "another picture size over map size, for finer maps; not of alexnet", kind=int, least=1)
    precision: str = option("float32", "to compute in", choices=("float32", "bfloat16"))
    batch: int = option(32, "pictures that the network sees at once", least=1)
    largest_picture: float = option(150.0, "pictures with more pixels are refused", least=0.001, metavar="MEGAPIXELS")
    out: str = option("out", "folder to write to")

    def localizer_options(self):
        """What `localization.load` takes besides the weights."""
        names = ("entry", "class_names", "multi_label", "boxes", "scale", "refine", "refine_grid", "threshold", "method", "crops", "merge", "scales", "align", "output_stride",
                 "precision")
        return {name: getattr(self, name) for name in names} | {"preprocessing": self.preprocessing()}

    def largest_pixels(self):
        return round(self.largest_picture * 1e6)


def refuse(given, rules):
    """InputError for an option that would change nothing: rules are (whether it holds, what, the fields that it rules out)."""
    for holds, what, ruled_out in rules:
        if holds and given & ruled_out:
            name = min(given & ruled_out)
            name = {"pictures": "a picture", "classes": "--class", "scale": "--map-scale"}.get(name, "--" + name.replace("_", "-"))
            raise InputError(f"{name} does not go with {what}")
