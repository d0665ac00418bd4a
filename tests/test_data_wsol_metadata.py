"""Metadata folders in the published form, right and wrong."""

import numpy as np
import pytest
from PIL import Image

from cam_base import InputError
from cam_data import open_set, read_values
from cam_data.wsol_metadata import open_metadata, read_mask, read_metadata

from small_sets import write_picture

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


def test_metadata_as_windows_writes_it(folder):
    plain = read_metadata(folder)
    for name, text in FILES.items():
        (folder / name).write_bytes(b"\xef\xbb\xbf" + text.replace("/", "\\").replace("\n", "\r\n").encode())
    again = read_metadata(folder)
    assert again.image_ids == plain.image_ids and again.labels.tolist() == plain.labels.tolist()
    assert [boxes.tolist() for boxes in again.boxes] == [boxes.tolist() for boxes in plain.boxes]
    (folder / "image_ids.txt").write_text("val\\..\\..\\b.jpg\n")
    with pytest.raises(InputError, match="is no path below"):
        read_metadata(folder)


def test_masks(folder):
    (folder / "localization.txt").write_text("val/a.jpg,a/1.png,a/ignore.png\nval/a.jpg,a/2.png,\n"
                                             "val/b.jpg,b/1.png,\n")
    (folder / "image_sizes.txt").unlink()
    metadata = read_metadata(folder)
    for text in ("", "\n"):  # as OpenImages' metadata is published
        (folder / "image_sizes.txt").write_text(text)
        again = read_metadata(folder)
        assert again.masks == metadata.masks and again.sizes is None
    assert metadata.masks == [(("b/1.png",), ""), (("a/1.png", "a/2.png"), "a/ignore.png")]
    assert metadata.boxes is None and metadata.sizes is None and metadata.clipped is None

    pictures = {"1.png": [[0, 255], [0, 0]], "2.png": [[0, 0], [1, 0]], "ignore.png": [[255, 255], [0, 0]]}

    def read_picture(path):
        assert path.startswith("masks/a/")
        return np.repeat(np.array(pictures[path.split("/")[-1]], np.uint8)[..., None], 3, axis=2)

    mask, ignore = read_mask(metadata.masks[1], "masks", read_picture, size=4)
    np.testing.assert_array_equal(mask, np.kron([[0, 1], [1, 0]], np.ones((2, 2))))
    np.testing.assert_array_equal(ignore, np.kron([[1, 0], [0, 0]], np.ones((2, 2))))


@pytest.mark.parametrize("name, text, message", [
    ("image_ids.txt", "", "lists no picture"),
    ("image_ids.txt", "val/a.jpg\nval/b.jpg\nval/a.jpg\n", "line 3: 'val/a.jpg' is listed twice, .* in line 1"),
    ("class_labels.txt", "val/a.jpg,3\nval/b.jpg,0\nval/a.jpg,4\n", "line 3: says 4 of 'val/a.jpg', and line 1 says 3"),
    ("image_sizes.txt", "val/b.jpg,9,8\nval/b.jpg,8,9\nval/a.jpg,5,5\n",
     "line 2: says 8,9 of 'val/b.jpg', and line 1 says 9,8"),
    ("localization.txt", "val/a.jpg,1,2,3,4\nval/b.jpg,200,0,210,5\n",
     "line 2: the box 200,0,210,5 lies outside .* 200 x 100 pixels"),
    ("localization.txt", "val/a.jpg,1,2,3,4\nval/b.jpg,-9,0,-1,5\n", "line 2: the box -9,0,-1,5 lies outside"),
    ("localization.txt", "val/a.jpg,1,2,3,4\nval/b.jpg,0,100,5,100\n", "line 2: the box 0,100,5,100 lies outside"),
    ("image_ids.txt", "val/a.jpg\n../a.jpg\n", "line 2"),
    ("image_ids.txt", "val/a.jpg\nC:\\val\\a.jpg\n", "line 2"),
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


def test_what_stands_there_twice_alike_is_no_contradiction(folder):
    expected = read_metadata(folder)
    for name in ("class_labels.txt", "image_sizes.txt"):
        (folder / name).write_text(2 * FILES[name])
    metadata = read_metadata(folder)
    assert metadata.labels.tolist() == expected.labels.tolist() and metadata.sizes.tolist() == expected.sizes.tolist()


def test_boxes_that_stick_out_of_the_picture_are_cut_and_counted(folder):
    (folder / "localization.txt").write_text("val/a.jpg,10,20,499,299\nval/b.jpg,-3,90,200,100\nval/b.jpg,0,0,199,99\n"
                                             "val/b.jpg,199,-1,300,0\n")
    pictures = open_metadata(folder)
    assert [boxes.tolist() for boxes in pictures.boxes] == [
        [[0, 90, 200, 100], [0, 0, 200, 100], [199, 0, 200, 1]], [[10, 20, 500, 300]]]
    assert pictures.clipped.tolist() == [2, 0] and pictures.rows([1, 0]).clipped.tolist() == [0, 2]


def test_two_files_to_ignore_of_one_picture_contradict_each_other(folder):
    (folder / "localization.txt").write_text("val/a.jpg,1.png,x.png\nval/b.jpg,1.png,\nval/a.jpg,2.png,y.png\n")
    with pytest.raises(InputError, match="localization.txt, line 3: ignores y.png .* line 1 ignores x.png"):
        read_metadata(folder)
    (folder / "localization.txt").write_text("val/a.jpg,1.png,x.png\nval/b.jpg,1.png,\nval/a.jpg,2.png,x.png\n")
    assert read_metadata(folder).masks[1] == (("1.png", "2.png"), "x.png")


def palette(mask, colours):
    picture = Image.fromarray(mask.astype(np.uint8), "P")
    picture.putpalette(colours)
    return picture


FORMS = {
    "grey": lambda mask: Image.fromarray(255 * mask.astype(np.uint8)),
    "dark grey": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "black and white": lambda mask: Image.fromarray(mask),
    "palette of blue": lambda mask: palette(mask, [0, 0, 0, 0, 0, 200]),
    "palette of green": lambda mask: palette(mask, [0, 0, 0, 0, 128, 0]),
    "red": lambda mask: Image.fromarray(mask[..., None] * np.array([255, 0, 0], np.uint8)),
    "blue": lambda mask: Image.fromarray(mask[..., None] * np.array([0, 0, 9], np.uint8)),
    "green, with alpha": lambda mask: Image.fromarray(np.dstack([mask[..., None] * np.array([0, 255, 0], np.uint8),
                                                                 np.full(mask.shape, 255, np.uint8)])),
    "white, the rest transparent": lambda mask: Image.fromarray(np.repeat(255 * mask[..., None], 4, axis=2).astype(np.uint8)),
    "all transparent": lambda mask: Image.fromarray(np.stack([mask, mask < 0], 2).astype(np.uint8) * 255, "LA"),
    "grey of 16 bits": lambda mask: Image.fromarray(512 * mask.astype(np.uint16)),
    "grey, with alpha": lambda mask: Image.fromarray(np.stack([mask, mask >= 0], 2).astype(np.uint8) * 255, "LA"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_is_where_any_colour_is_not_black(tmp_path, form):
    mask = np.arange(56).reshape(7, 8) % 5 == 0
    FORMS[form](mask).save(tmp_path / "mask.png")
    FORMS[form](~mask).save(tmp_path / "ignore.png")
    found, ignored = read_mask((("mask.png",), "ignore.png"), tmp_path, read_values, size=56)
    np.testing.assert_array_equal(found, np.kron(mask, np.ones((8, 7), bool)))
    np.testing.assert_array_equal(ignored, ~found)


def test_lists_that_begin_with_a_byte_order_mark_are_read(folder):
    plain = read_metadata(str(folder))
    for name, text in FILES.items():
        (folder / name).write_bytes("\ufeff".encode() + text.replace("\n", "\r\n").encode())
    marked = read_metadata(str(folder))
    assert str(marked) == str(plain)


def test_pictures_that_are_trained_on_need_no_boxes(tmp_path):
    """As the protocol's lists of OpenImages' training pictures, which are labels alone."""
    for name in ("a", "b"):
        write_picture(str(tmp_path / "images" / "train" / f"{name}.png"), 0)
    folder = tmp_path / "metadata" / "train"
    folder.mkdir(parents=True)
    (folder / "image_ids.txt").write_text("train/a.png\ntrain/b.png\n")
    (folder / "class_labels.txt").write_text("train/a.png,0\ntrain/b.png,1\n")
    found = open_set(str(tmp_path), "train")
    assert found.labels.tolist() == [0, 1] and found.boxes is None and found.masks is None
    with pytest.raises(InputError, match="localization.txt"):
        open_metadata(str(folder), str(tmp_path / "images"))
