"""Operations of class activation mapping (Zhou et al., CVPR 2016).

Nothing here imports anything else of this project.
"""

from .lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "contour_boxes": "author_boxes",
    "boxes": "boxes_from_heat_maps iou",
    "cam": "class_activation_maps heat_maps",
    "crops": "BLENDS merge_flips merge_scales merge_ten_crops take_ten_crops ten_crops",
    "encoding": "encode_jpeg encode_png",
    "heatmap": "SCALES normalise upsample",
    "overlays": "draw_box draw_segments overlay",
    "pooling": "gap gmp",
    "resize": "resize_bicubic resize_nearest",
    "segmentation": "Segment segments",
    "strips": "captioned panel panels strip",
    "walking": "random_walk walk_colours",
})
