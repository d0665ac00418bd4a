"""What every room here stands on: errors, classes by name, preprocessing, files. No TensorFlow."""

from .categories import WNID, Category, classes_called, folded, match_classes, nearest_names, short_names
from .errors import InputError, first_line
from .files import cache_folder, check_folder, check_new_file, locked, open_regular, replacing, text_lines
from .preprocessing import Preprocessing
from .version import VERSION

__all__ = ["Category", "InputError", "Preprocessing", "VERSION", "WNID", "cache_folder", "check_folder", "check_new_file", "classes_called",
           "first_line", "folded", "locked", "match_classes", "nearest_names", "open_regular", "replacing", "short_names", "text_lines"]
