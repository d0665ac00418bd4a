"""From pictures to maps and boxes.

    import localization

    localizer = localization.load("resnet50-keras")
    for found in localizer("cat.jpg", top=3):
        print(found.label, found.wnid, found.probability, found.box, found.peak)
"""

from cam_base import rooms

rooms.refuse_namesakes("metrics", "nets", "ops", "weights")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "boxes": "RULES authors_boxes paper_boxes to_picture",
    "keras_models": "from_keras",
    "loading": "from_weights load",
    "localizer": "Localizer top_classes",
    "methods": "METHODS",
    "results": "Prediction Result",
})
