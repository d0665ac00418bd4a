"""Pipes and devices in the place of a data set's files are refused: nothing waits for their end."""

import os

import numpy as np
import pytest
import scipy.io
from endless import KINDS, replace, soon

import cam_data
from cam_base import InputError
from cam_evaluation import evaluate_score_maps

from coloured import metadata_folder
from small_sets import tiny_imagenet

XML = ("<annotation><object><name>n01440764</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>1</xmax><ymax>1</ymax>"
       "</bndbox></object></annotation>")


def metadata(root):
    metadata_folder(root, {"a.png": [[0, 0, 5, 5]]}, [0])
    (root / "class_names.txt").write_text("thing\n")
    np.save(root / "a.png.npy", np.eye(4))
    return lambda: evaluate_score_maps(str(root), cam_data.open_metadata(str(root)), "paper", 0.2)


def tiny(root):
    tiny_imagenet(root / "tiny")
    return lambda: [cam_data.open_set(str(root / "tiny"), split) for split in ("train", "val")]


def kit(root):
    (root / "truth_clsloc_validation_ground_truth.txt").write_text("1\n")
    (root / "out_clsloc_validation_blacklist.txt").write_text("")
    (root / "ILSVRC2012_val_00000001.xml").write_text(XML)
    (root / "guesses.txt").write_text("1 0 0 1 1\n")
    synsets = np.zeros((1, 1), [("ILSVRC2015_CLSLOC_ID", "O"), ("WNID", "O")])
    synsets[0, 0] = (1.0, "n01440764")
    scipy.io.savemat(root / "meta_clsloc.mat", {"synsets": synsets})
    return lambda: (cam_data.open_validation(str(root), str(root)), cam_data.read_submission(root / "guesses.txt"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make, name", [
    (metadata, "image_ids.txt"), (metadata, "class_labels.txt"), (metadata, "image_sizes.txt"),
    (metadata, "localization.txt"), (metadata, "class_names.txt"), (metadata, "a.png.npy"),
    (tiny, "tiny/wnids.txt"), (tiny, "tiny/words.txt"), (tiny, "tiny/val/val_annotations.txt"),
    (tiny, "tiny/train/n02124075/n02124075_boxes.txt"), (kit, "truth_clsloc_validation_ground_truth.txt"),
    (kit, "out_clsloc_validation_blacklist.txt"), (kit, "meta_clsloc.mat"), (kit, "ILSVRC2012_val_00000001.xml"),
    (kit, "guesses.txt")])
def test_an_endless_file_is_refused_and_named(tmp_path, make, name, kind):
    use = make(tmp_path)
    use()
    replace(tmp_path / name, kind)
    with soon(), pytest.raises(InputError, match="not a regular file") as caught:
        use()
    assert os.path.basename(name) in str(caught.value)


def test_a_masks_sizes_that_have_no_end_are_refused(tmp_path):
    metadata_folder(tmp_path, {"a.png": [[0, 0, 5, 5]]}, [0])
    (tmp_path / "localization.txt").write_text("a.png,a.png,\n")
    for kind in KINDS:
        replace(tmp_path / "image_sizes.txt", kind)
        with soon(), pytest.raises(InputError, match="image_sizes.txt: not a regular file"):
            cam_data.open_metadata(str(tmp_path))


@pytest.mark.parametrize("make, name, limit", [
    (metadata, "image_ids.txt", "cam_data.wsol_metadata.LARGEST"),
    (tiny, "tiny/wnids.txt", "cam_data.layouts.LARGEST_LIST"),
    (kit, "guesses.txt", "cam_data.ilsvrc.LARGEST"), (kit, "meta_clsloc.mat", "cam_data.synsets.LARGEST"),
    (kit, "ILSVRC2012_val_00000001.xml", "cam_data.annotations.LARGEST")])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch, make, name, limit):
    use = make(tmp_path)
    monkeypatch.setattr(limit, os.path.getsize(tmp_path / name) - 1)
    with pytest.raises(InputError, match=f"{os.path.basename(name)}: has .* bytes; at most"):
        use()


def test_a_table_of_synsets_that_inflates_is_refused(tmp_path, monkeypatch):
    use = kit(tmp_path)
    synsets = np.zeros((1, 1), [("ILSVRC2015_CLSLOC_ID", "O"), ("WNID", "O")])
    synsets[0, 0] = (1.0, "n" * (1 << 20))
    scipy.io.savemat(tmp_path / "meta_clsloc.mat", {"synsets": synsets}, do_compression=True)
    with pytest.raises(InputError, match="WNIDs that are none"):
        use()
    assert os.path.getsize(tmp_path / "meta_clsloc.mat") < 1 << 16
    monkeypatch.setattr("cam_data.synsets.LARGEST_INFLATED", 1 << 20)
    with pytest.raises(InputError, match="not the kit's table"):
        use()
