"""What `train_loop.py` is made of: a run's settings, folder, data and checkpoints."""

from cam_base import rooms

rooms.refuse_namesakes("localization", "metrics", "nets", "ops", "weights")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "checkpoints": "Checkpoints",
    "devices": "open_devices",
    "examples": "Examples next_commands noticing write_training_page",
    "exporting": "as_weights refuse_edited_settings tensors_of",
    "fingerprint": "of_sets",
    "machine": "refusals_in_one_line",
    "presets": "preset_in_words",
    "rehearsal": "Rehearsal rehearse",
    "run_folder": "begin go_on holding refuse_lost write_settings",
    "run_log": "RunLog is_best schedule training_curves",
    "settings": "epochs_of parse",
    "sources": "BrokenFiles Pictures balanced_weights class_counts open_data open_sources uneven_classes",
    "stopping": "StopAfterStep",
    "trainer": "Trainer",
})
