"""What `localize.py` is made of."""

from cam_base import rooms

rooms.refuse_namesakes("localization", "metrics", "nets", "ops", "weights")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "drawing": "Outputs describe",
    "pictures": "FileNames find_pictures names_to_show without_own",
    "results_file": "REPORT ResultsFile check_places describe_run entries_of_earlier holding of_other_calls options_of_maps sweep",
    "server": "PIXELS Server page_to_serve serve",
    "settings": "JSON LocalizeSettings STANDARD_OUTPUT parse_localize",
})
