"""Metadata folders in the published form, right and wrong."""

import numpy as np
import pytest

from cam_base import InputError
from cam_data.wsol_metadata import read_mask, read_metadata

FILES = {"image_ids.txt": "val/b.jpg\nval/a.jpg\n",
         "class_labels.txt": "val/a.jpg,3\nval/b.jpg,0\nval/other.jpg,1\n",
         "image_sizes.txt": "val/a.jpg,500,300\nval/b.jpg,200,100\n",
         "localization.txt": "val/a.jpg,10,20,30,40\nval/b.jpg,0,0,199,99\nval/a.jpg,1,2,3,4\n"}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_boxes(folder):
    metadata = read_metadata(folder)
    assert metadata.image_ids == ["val/b.jpg", "val/a.jpg"]
    assert metadata.labels.tolist() == [0, 3] and metadata.sizes.tolist() == [[200, 100], [500, 300]]
    assert [boxes.tolist() for boxes in metadata.boxes] == [[[0, 0, 200, 100]],
                                                            [[10, 20, 31, 41], [1, 2, 4, 5]]]
    assert metadata.masks is None


def test_masks(folder):
    (folder / "localization.txt").write_text("val/a.jpg,a/1.png,a/ignore.png\nval/a.jpg,a/2.png,\n"
                                             "val/b.jpg,b/1.png,\n")
    (folder / "image_sizes.txt").unlink()
    metadata = read_metadata(folder)
    assert metadata.masks == [(("b/1.png",), ""), (("a/1.png", "a/2.png"), "a/ignore.png")]
    assert metadata.boxes is None and metadata.sizes is None

    pictures = {"1.png": [[0, 255], [0, 0]], "2.png": [[0, 0], [1, 0]], "ignore.png": [[255, 255], [0, 0]]}

    def read_picture(path):
        assert path.startswith("masks/a/")
        return np.repeat(np.array(pictures[path.split("/")[-1]], np.uint8)[..., None], 3, axis=2)

    mask, ignore = read_mask(metadata.masks[1], "masks", read_picture, size=4)
    np.testing.assert_array_equal(mask, np.kron([[0, 1], [1, 0]], np.ones((2, 2))))
    np.testing.assert_array_equal(ignore, np.kron([[1, 0], [0, 0]], np.ones((2, 2))))


@pytest.mark.parametrize("name, text, message", [
    ("image_ids.txt", "", "lists no picture"),
    ("image_ids.txt", "val/a.jpg\nval/a.jpg\n", "twice"),
    ("image_ids.txt", "val/a.jpg\n../a.jpg\n", "line 2"),
    ("image_ids.txt", "val/a.jpg\n\nval/b.jpg\n", "line 2"),
    ("class_labels.txt", "val/a.jpg,3\n", "no line for 'val/b.jpg'"),
    ("class_labels.txt", "val/a.jpg,3\nval/b.jpg,one\n", "line 2.*whole"),
    ("image_sizes.txt", "val/a.jpg,500\n", "line 1: has 2 fields, not 3"),
    ("image_sizes.txt", "val/a.jpg,500,0\nval/b.jpg,1,1\n", "no height"),
    ("localization.txt", "val/a.jpg,10,20,30,40\n", "no line for 'val/b.jpg'"),
    ("localization.txt", "val/a.jpg,10,20,9,40\n", "line 1.*before it starts"),
    ("localization.txt", "val/a.jpg,1,2,3,4\nval/b.jpg,m.png,\n", "line 2: has no box"),
    ("localization.txt", "val/a.jpg,m.png,\nval/b.jpg,1,2,3,4\n", "line 2: has no two masks"),
    ("localization.txt", "val/a.jpg,/etc/passwd,\n", "line 1.*not below"),
    ("localization.txt", "val/a.jpg,m.png,../../x\n", "line 1.*not below"),
    ("localization.txt", "elsewhere.jpg,1,2,3,4\n", "no line for a picture"),
])
def test_what_is_wrong_is_named(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_metadata(folder)
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: No such file"):
        read_metadata(folder)


def test_a_file_that_is_no_text_is_named(folder):
    (folder / "class_labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="class_labels.txt is not a text file"):
        read_metadata(folder)
