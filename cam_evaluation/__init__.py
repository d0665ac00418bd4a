"""A network, score maps or guesses on a data set: figures, and how sure they are."""

from cam_base import rooms

rooms.refuse_namesakes("localization", "metrics", "nets", "ops", "weights")

from ops.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {
    "collector": "class_name",
    "compare": "compare_folders other_settings",
    "statistics": "figures is_error per_class",
    "extremes": "draw_score_maps draw_with_network extreme_rows",
    "evaluators": "evaluate_guesses evaluate_network evaluate_score_maps write_submission",
    "frozen_network": "FrozenNetwork cut_out largest_boxes",
    "linear_classifier": "choose_cost cross_entropy fit squared_hinge unit_length",
    "page": "REPORT keep_maps notice_network notice_scores write_comparison write_page",
    "records": "Records read_records write_records",
    "report": "write_json write_report",
    "showing": "interval_text notes show_figures",
    "threshold": "best_box_threshold",
})
