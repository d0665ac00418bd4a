"""From pictures to maps and boxes."""

from ops.lazy import exports

__getattr__ = exports(__name__, {
    "boxes": "authors_boxes authors_rule paper_boxes paper_rule to_picture",
    "localizer": "Localizer",
})
