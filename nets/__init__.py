"""The networks: each ends in global average pooling and one linear layer."""

from cam_base import rooms

rooms.refuse_namesakes("ops")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "building": "NETWORKS assign build check_outputs check_size class_of is_head named_variables",
    "devices": "prepare_devices",
    "layers": "replicas",
    "precision": "faster_precision measure_precisions",
    "tables": "NAMES",
})
