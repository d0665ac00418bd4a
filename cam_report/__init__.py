"""report.html: pictures, maps, boxes and figures on one page."""

from cam_base import rooms

rooms.refuse_namesakes("metrics", "ops")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "page": "About Encoder PageWriter is_linked within_page",
    "shown": "Shown shown_of small_picture view",
    "slider": "StepBoxes step_boxes",
})
