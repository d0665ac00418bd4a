"""What judges maps and boxes, whoever made them: NumPy and SciPy alone."""

from metrics.centre_box import centre_box_baseline
from metrics.ilsvrc import ilsvrc_errors, judge_guesses
from metrics.max_box_acc import MaxBoxAcc, MaxBoxAccV2
from metrics.pxap import PxAP
from metrics.score_maps import scale_boxes, score_map
from metrics.threshold_boxes import level_boxes
