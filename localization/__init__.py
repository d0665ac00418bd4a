"""From pictures to maps and boxes, and to the figures they are judged by."""

from localization.boxes import authors_boxes, authors_rule, paper_boxes, paper_rule, to_picture
from localization.compare import compare_folders
from localization.desk import class_name
from localization.figures import figures, per_class
from localization.judge import judge, judge_score_maps, judge_submission, top_classes, write_submission
from localization.localizer import Localizer
from localization.records import Records, read_records, write_records
from localization.report import write_report
from localization.threshold import best_box_threshold
