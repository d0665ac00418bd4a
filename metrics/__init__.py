"""What judges maps and boxes, whoever made them: NumPy and SciPy alone."""

from metrics.centre_box import centre_box_baseline
from metrics.ilsvrc import evaluate_guesses, ilsvrc_errors
from metrics.max_box_acc import MaxBoxAcc, MaxBoxAccV2
from metrics.metric import THRESHOLDS, Metric
from metrics.pxap import PxAP
from metrics.score_maps import ScoreMap, scale_boxes, score_map
from metrics.threshold_boxes import level_boxes

# What an evaluation judges by; each class says the figure's name, and what it needs.
METRICS = [MaxBoxAcc, MaxBoxAccV2, PxAP]
