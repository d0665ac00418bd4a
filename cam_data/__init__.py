"""Pictures: what they are of, where their boxes are, and how they reach a network."""

from cam_base import rooms

rooms.refuse_namesakes("metrics", "nets", "ops", "weights")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "as_seen": "on_white pixels_of",
    "augmentation": "Augmentation",
    "decoding": "read_picture read_reduced read_values turn_upright",
    "folder_index": "LEAST_PICTURES",
    "forms": "others_in_set",
    "frozen": "FrozenMaps frozen_maps",
    "headers": "LARGEST_PICTURE",
    "ilsvrc": "open_validation read_submission write_submission",
    "layouts": "open_folder",
    "not_taken": "files_not_taken in_words",
    "opening": "open_set",
    "picture_set": "PictureSet places_in_class",
    "pipeline": "broken_files epoch_order share_of training_batches viewing_batches",
    "preparation": "prepare prepare_centre_crop",
    "synthetic": "open_synthetic",
    "unread": "lists_of_boxes",
    "walking": "is_picture walk_pictures",
    "wsol_metadata": "open_metadata",
})
