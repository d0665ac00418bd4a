"""Operations of class activation mapping (Zhou et al., CVPR 2016).

Nothing here imports anything else of this project.
"""

from ops.author_boxes import author_boxes
from ops.boxes import boxes_from_heat_maps, iou
from ops.cam import class_activation_maps, heat_maps
from ops.centre_box import centre_box_baseline
from ops.crops import merge_flips, merge_scales, merge_ten_crops, take_ten_crops, ten_crops
from ops.heatmap import normalise, upsample
from ops.ilsvrc import ilsvrc_errors, judge_guesses
from ops.max_box_acc import MaxBoxAcc, MaxBoxAccV2
from ops.overlay import overlay
from ops.panels import panels
from ops.pooling import gap, gmp
from ops.pxap import PxAP
from ops.score_maps import resize_bicubic, resize_nearest, scale_boxes, score_map
from ops.threshold_boxes import level_boxes
