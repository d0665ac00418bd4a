"""Boxes of pictures that EXIF turns, drawn on the upright picture or on the pixels as they are stored."""

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from cam_data import open_set, open_validation
from cam_data.headers import ORIENTATION

from coloured import evaluate
from test_data_boxes import voc

STORED, SQUARE = (48, 32), (40, 40)  # width and height
BOX = (5, 2, 21, 12)  # half-open, in stored pixels


def turned_picture(path, orientation, size=STORED):
    """A black JPEG with a white BOX, which its EXIF turns; (upright size, upright box), both as Pillow shows them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[BOX[1]:BOX[3], BOX[0]:BOX[2]] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, "JPEG", quality=100, subsampling=0, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    rows, columns = np.nonzero(np.asarray(upright.convert("L")) > 127)
    return upright.size, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def write_voc(root, rows):
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for name, size, (x0, y0, x1, y1) in rows:
        (root / "Annotations" / f"{name}.xml").write_text(voc([("cup", x0 + 1, y0 + 1, x1, y1)], size))
    (root / "ImageSets" / "Main" / "val.txt").write_text("".join(f"{name}\n" for name, *_ in rows))


def write_coco(root, rows):
    sizes = [{"width": int(size[0]), "height": int(size[1])} if size else {} for _, size, _ in rows]
    (root / "val.json").write_text(json.dumps({
        "images": [{"id": number, "file_name": f"{name}.jpg"} | size for number, ((name, *_), size) in enumerate(zip(rows, sizes))],
        "annotations": [{"image_id": number, "category_id": 1, "bbox": [int(x0), int(y0), int(x1 - x0), int(y1 - y0)]}
                        for number, (*_, (x0, y0, x1, y1)) in enumerate(rows)], "categories": [{"id": 1, "name": "cup"}]}))


def write_lists(root, rows):
    (root / "metadata" / "val").mkdir(parents=True)
    for name, line in (("image_ids.txt", "{0}.jpg"), ("class_labels.txt", "{0}.jpg,0"), ("image_sizes.txt", "{0}.jpg,{1[0]},{1[1]}"),
                       ("localization.txt", "{0}.jpg,{2[0]},{2[1]},{3},{4}")):
        (root / "metadata" / "val" / name).write_text("".join(line.format(*row, row[2][2] - 1, row[2][3] - 1) + "\n" for row in rows))


def write_csv(root, rows):
    lines = [f"{name}.jpg,cup,val,{','.join(map(str, box))},{','.join(map(str, size or ()))}".rstrip(",") for name, size, box in rows]
    (root / "boxes.csv").write_text("\n".join(["file,label,split,x0,y0,x1,y1" + ",width,height" * bool(rows[0][1]), *lines]))


FORMS = {write_voc: "JPEGImages", write_coco: "images", write_lists: "images", write_csv: "images"}


def opened(root, write, orientations, as_stored, size=STORED, stated=True):
    """The set of a picture for each orientation, called by it, and {name: (upright size, upright box)}."""
    right = {str(number): turned_picture(root / FORMS[write] / f"{number}.jpg", number, size) for number in orientations}
    rows = [(name, size if as_stored else upright, BOX if as_stored else box) for name, (upright, box) in right.items()]
    write(root, [(name, of_picture if stated else None, box) for name, of_picture, box in rows])
    return open_set(str(root), "val"), right


def assert_upright(pictures, right, sized=True):
    for row, name in enumerate(name.removesuffix(".jpg") for name in pictures.ids):
        size, box = right[name]
        assert pictures.boxes[row].tolist() == [list(box)], name
        pictures.check_size(row, size[::-1])
        assert not sized or tuple(pictures.sizes[row]) == size[::-1]
    assert len(pictures) == len(right)


@pytest.mark.parametrize("as_stored", [True, False])
@pytest.mark.parametrize("write", FORMS)
def test_the_size_that_is_said_tells_which_way_up_boxes_were_drawn(tmp_path, capsys, write, as_stored):
    """And of half a turn, those of quarter turns."""
    pictures, right = opened(tmp_path, write, range(1, 9), as_stored)
    assert_upright(pictures, right)
    said = capsys.readouterr().out
    assert ("4 pictures that EXIF turns" in said) == as_stored
    assert "of 3 pictures that EXIF mirrors or turns" in said and "as those of the set's other turned pictures" in said
    assert ("the pixels as they are stored, as those" in said) == as_stored


@pytest.mark.parametrize("write", FORMS)
def test_where_nothing_tells_boxes_are_of_the_upright_picture_and_it_is_said(tmp_path, capsys, write):
    pictures, right = opened(tmp_path / "half", write, [1, 2, 3, 4], False)
    assert_upright(pictures, right)
    said = capsys.readouterr().out
    assert "of 3 pictures that EXIF mirrors or turns" in said and "the upright picture, since nothing in the set tells" in said
    assert_upright(*opened(tmp_path / "square", write, [1, 6], False, SQUARE))
    assert "of 1 picture that EXIF mirrors or turns" in capsys.readouterr().out
    assert_upright(*opened(tmp_path / "plain", write, [1], False))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("write", [write_voc, write_coco, write_csv])
@pytest.mark.parametrize("as_stored", [True, False])
def test_where_no_size_is_said_boxes_that_fit_one_way_only_tell(tmp_path, monkeypatch, write, as_stored):
    size, box = (48, 20), (30, 2, 44, 12)
    monkeypatch.setitem(globals(), "BOX", box)
    assert_upright(*opened(tmp_path, write, [1, 5, 6, 7, 8, 3], as_stored, size, stated=False), sized=False)


def test_boxes_of_ilsvrcs_annotations(tmp_path):
    right = {}
    for number in (1, 2, 3):
        name = f"ILSVRC2012_val_{number:08}"
        right[name] = turned_picture(tmp_path / "Data/CLS-LOC/val" / f"{name}.JPEG", (1, 6, 3)[number - 1])
        path = tmp_path / "Annotations/CLS-LOC/val" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(voc([("n01440764", BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1)], STORED))
    turned_picture(tmp_path / "Data/CLS-LOC/train/n01440764/0.JPEG", 1)
    assert_upright(open_set(str(tmp_path), "val"), right, sized=False)
    kit = tmp_path / "kit"
    kit.mkdir()
    (kit / "LOC_synset_mapping.txt").write_text("n01440764 tench\n")
    (kit / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(
        f"{name},n01440764 30 {BOX[1]} 44 {BOX[3] - 1}\n" for name in right))
    # Without a size: 44 pixels to the right, which the upright picture of 32 does not have.
    judged = open_validation(str(kit), None, str(tmp_path / "Data/CLS-LOC/val"))
    assert [box.tolist() for box in judged.boxes] == [[[30, 2, 45, 12]], [[20, 30, 30, 45]], [[3, 20, 18, 30]]]


def test_a_picture_that_says_it_is_too_large_to_be_one_turns_no_box(tmp_path):
    """Sides of 2^32 - 1, upside down."""
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    chunks = b"".join(len(body).to_bytes(4, "big") + kind + body + b"\0\0\0\0" for kind, body in (
        (b"IHDR", b"\xff" * 8 + b"\x08\2\0\0\0"), (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    (tmp_path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    (tmp_path / "list.csv").write_text("file,label,split,x0,y0,x1,y1\n0.png,cup,val,1,2,3,4\n")
    assert open_set(str(tmp_path), "val").boxes[0].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("write", FORMS)
def test_score_maps_of_upright_pictures_find_boxes_that_were_drawn_as_stored(tmp_path, write):
    pictures, right = opened(tmp_path / "set", write, range(1, 9), True)
    (tmp_path / "maps").mkdir()
    for name, ((width, height), (x0, y0, x1, y1)) in right.items():
        scores = np.zeros((height, width), np.float32)
        scores[y0:y1, x0:x1] = 1
        np.save(tmp_path / "maps" / f"{name}.npy", scores)
    found = evaluate(tmp_path / "out", "--data", tmp_path / "set", "--scores", tmp_path / "maps", "--threshold", "0.5")
    assert found["gt_known_localization"] == 1 and found["left_out"] == 0
