"""What `localize.py` is asked to do, and which options go together."""

from dataclasses import dataclass

from cam_base.settings import option, parse
from localization.settings import BOXES, MERGE, RULES_OF_BOXES, Looking, refuse

JSON = "localizations.json"
STANDARD_OUTPUT = "-"
# How the result was made, not what it is: a run may go on with others.
NOT_OF_THE_RESULT = {"pictures", "list_classes", "resume", "out", "classes", "weights", "report", "report_pictures", "serve", "host", "allow_host"}

WRITTEN = {"overlay", "colormap", "alpha", "overlay_format", "no_caption", "all_boxes", "maps", "masks", "json", "csv", "report",
           "report_pictures", "resume", "out"}


@dataclass
class LocalizeSettings(Looking):
    pictures: list = option([], "files, folders or globs (none: the sample photos)", positional=True, values="*")
    top: int = option(3, "show so many classes of each picture", least=1)
    classes: list = option([], "show this class, by name, number or wnid, or all that a word stands for, such as cat; may be given several "
                           "times", name="--class", metavar="NAME")
    min_probability: float = option(0.0, "leave out classes of which the network is less sure than this", kind=float,
                                    least=0, below=1)
    list_classes: str = option(None, "list the network's classes, or those that --class WORD would show, and do nothing else",
                               values="?", metavar="WORD", bare="")
    merge: str = option("smooth", **MERGE)
    boxes: str = option("paper", f"{RULES_OF_BOXES}; none: as paper, but not drawn", choices=(*BOXES, "none"))
    serve: int = option(None, "show a page on which pictures are dropped, instead of looking at files; on this port, 0: any that is free",
                        kind=int, values="?", bare=8765, least=0, below=65536, metavar="PORT", group="a page to drop pictures on")
    host: str = option("127.0.0.1", "address to serve on: this machine's own only; 0.0.0.0: whoever can reach it",
                       group="a page to drop pictures on")
    allow_host: list = option([], "a name under which browsers reach the page besides its own, behind a tunnel or a proxy: as it stands in their "
                              "address, with its port (localhost:9000) or for any; may be given several times", metavar="NAME",
                              group="a page to drop pictures on")
    overlay: str = option("strip", "what is drawn of each picture: a strip with a panel for each class; a picture at full "
                          "size for each class; nothing", choices=("strip", "full", "none"), group="what is written to --out")
    colormap: str = option("jet", "of the heat maps: a name that Matplotlib knows, such as viridis or turbo", metavar="NAME",
                           group="what is written to --out")
    alpha: float = option(0.5, "opacity of the heat maps over the picture, 0 to 1", kind=float, group="what is written to --out")
    overlay_format: str = option("jpg", "of the overlays; png: without loss, five times as large, and slower",
                                 choices=("jpg", "png"), group="what is written to --out")
    no_caption: bool = option(False, "draw overlays without the line of text below", group="what is written to --out")
    all_boxes: bool = option(False, "not only the one box of a class but one around every segment above the threshold, each with "
                             "its peak, in the overlays, too", group="what is written to --out")
    maps: str = option(None, "also write each class's map; npy: unscaled, on the network's grid or that of --refine, in the form that evaluate.py "
                       "--scores reads; png: the heat map in 16 bits, as large as the picture", choices=("npy", "png"),
                       group="what is written to --out")
    masks: bool = option(False, "also write where each class's heat map is above the threshold, as PNG, as large as the picture",
                         group="what is written to --out")
    json: str = option(None, f"where the results go as JSON (default: {JSON} in --out); -: to standard output, and nothing "
                       "else does", metavar="FILE", group="what is written to --out")
    csv: bool = option(False, "also write localizations.csv, a row for each class of each picture", group="what is written to --out")
    report: bool = option(False, "also write report.html: pictures, maps and boxes on a page, with a slider for the threshold",
                          group="what is written to --out")
    report_pictures: str = option("auto", "where the pictures of report.html are: within it, or linked, beside it; auto: beside it "
                                  "where there are more than 1,000", choices=("auto", "within", "linked"), group="what is written to --out")
    resume: bool = option(False, "go on where an earlier call with the same pictures and options was stopped",
                          group="what is written to --out")

    @property
    def rule(self):
        """By which boxes are made, drawn or not."""
        return "paper" if self.boxes == "none" else self.boxes

    def localizer_options(self):
        return super().localizer_options() | {"boxes": self.rule}


def parse_localize(arguments):
    """The LocalizeSettings of a command line; InputError for what does not go together."""
    settings, given = parse(LocalizeSettings, arguments, "localize.py",
                            "Class activation maps, boxes and overlays of pictures.")
    refuse(given, (
        (settings.boxes == "authors", "--boxes authors, which draws them of the network's own map", {"threshold", "scale", "refine", "refine_grid"}),
        (settings.crops == 10, "--crops 10", {"scales"}),
        (settings.crops != 10, "fewer than ten --crops", {"merge"}),
        (settings.classes, "--class", {"top"}),
        (settings.json == STANDARD_OUTPUT, "--json -", {"resume"}),
        (settings.resume, "--resume, which does not look at all pictures again", {"report"}),
        (settings.serve is not None, "--serve", WRITTEN | {"pictures", "batch", "min_probability"}),
        (settings.serve is None, "no --serve", {"host", "allow_host"}),
        (not settings.report, "no --report", {"report_pictures"}),
        (settings.overlay == "none", "--overlay none", {"overlay_format", "colormap", "alpha", "no_caption"}),
        (settings.boxes == "none", "--boxes none", {"all_boxes"}),
        (settings.refine == 0, "--refine 0", {"refine_grid"})))
    return settings
