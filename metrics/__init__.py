"""What judges maps and boxes, whoever made them: NumPy and SciPy alone."""

from cam_base import rooms

rooms.refuse_namesakes("ops")

from .centre_box import centre_box_baseline
from .ilsvrc import evaluate_guesses, ilsvrc_errors
from .max_box_acc import MaxBoxAcc, MaxBoxAccV2
from .metric import THRESHOLDS, Metric
from .pxap import PxAP
from .score_maps import ScoreMap, scale_boxes, score_map
from .threshold_boxes import level_boxes

# What an evaluation judges by; each class says the figure's name, and what it needs.
METRICS = [MaxBoxAcc, MaxBoxAccV2, PxAP]

__all__ = ["METRICS", "MaxBoxAcc", "MaxBoxAccV2", "Metric", "PxAP", "ScoreMap", "THRESHOLDS", "centre_box_baseline", "evaluate_guesses",
           "ilsvrc_errors", "level_boxes", "scale_boxes", "score_map"]
