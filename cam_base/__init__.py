"""What every room here stands on: errors, classes by name, preprocessing, files. No TensorFlow."""

from cam_base.categories import WNID, Category, classes_called, find_class, match_classes
from cam_base.errors import InputError, first_line
from cam_base.files import cache_folder, check_folder, check_new_file, locked, open_regular, replacing, text_lines
from cam_base.preprocessing import Preprocessing
from cam_base.version import VERSION
