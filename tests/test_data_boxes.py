"""Data sets with boxes in the forms of PASCAL VOC, COCO and CUB-200-2011."""

import json
import random

import numpy as np
import pytest
from harming import harmed
from PIL import Image

from cam_base import Category, InputError, match_classes
from cam_data import coco, open_set


def picture(path, width=40, height=30, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path, **options)


def voc(objects, size=(40, 30), filename="C:\\elsewhere\\x.jpg"):
    said = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{said}" + "".join(
        f"<object><name>{name}</name><difficult>{int(name == 'cat')}</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"
        for name, x0, y0, x1, y1 in objects) + "</annotation>"


def voc_folder(root):
    (root / "Annotations").mkdir(parents=True)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, objects in {"a": [("dog", 1, 1, 40, 30)], "b": [("dog", 2, 3, 10, 12), ("cat", 5, 5, 60, 20), ("dog", "20.6", 4, "29.2", 9)],
                          "c": [("bird", 3, 3, 4, 4)], "d": []}.items():
        (root / "Annotations" / f"{name}.xml").write_text(voc(objects))
        picture(root / "JPEGImages" / f"{name}.jpg")
    (lists / "train.txt").write_text("c\n")
    (lists / "val.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\nd\r\n")
    (lists / "dog_val.txt").write_text("a 1\n")
    return root


def found(pictures):
    """{id: (label, boxes)} of a set."""
    return {name: (pictures.categories[label].label, boxes.tolist()) for name, label, boxes in zip(pictures.ids, pictures.labels, pictures.boxes)}


@pytest.mark.parametrize("within", ["", "VOC2007", "VOCdevkit/VOC2012"])
def test_pascal_voc_has_a_row_for_each_picture_and_class(tmp_path, within, capsys):
    voc_folder(tmp_path / "set" / within)
    val = open_set(str(tmp_path / "set"), "val")
    assert found(val) == {"a.jpg": ("dog", [[0, 0, 40, 30]]),  # from 1, with the last pixel
                          "b#cat.jpg": ("cat", [[4, 4, 40, 20]]), "b#dog.jpg": ("dog", [[1, 2, 10, 12], [19, 3, 30, 9]])}
    assert [label for _, label in val.categories] == ["bird", "cat", "dog"] == [label for _, label in open_set(str(tmp_path / "set"), "train").categories]
    assert val.clipped.tolist() == [0, 1, 0] and val.sizes.tolist() == [[30, 40]] * 3
    assert "left out 1 picture without a box" in capsys.readouterr().out
    for row in range(3):
        val.check_size(row, (30, 40))


def test_other_lists_of_pascal_voc(tmp_path):
    root = voc_folder(tmp_path / "set")
    lists = root / "ImageSets" / "Main"
    (lists / "train.txt").rename(lists / "trainval.txt")
    (lists / "trainval.txt").write_text("a\nb\nc\n")
    assert list(found(open_set(str(root), "train"))) == ["c.jpg"]  # without those of val.txt
    (lists / "val.txt").rename(lists / "test.txt")
    assert len(open_set(str(root), "val")) == 3 and len(open_set(str(root), "train")) == 4
    (lists / "trainval.txt").unlink()
    with pytest.raises(InputError, match="no part for the split 'train'"):
        open_set(str(root), "train")


def test_names_in_lists_may_have_spaces(tmp_path):
    root = voc_folder(tmp_path / "set")
    lists = root / "ImageSets" / "Main"
    for name in ("a", "b"):
        (root / "Annotations" / f"{name}.xml").rename(root / "Annotations" / f"IMG {name} 1.xml")
        next((root / "JPEGImages").glob(f"{name}.*")).rename(root / "JPEGImages" / f"IMG {name} 1.jpg")
    (lists / "val.txt").write_text("IMG a 1\nIMG b 1\nc\n")
    assert set(open_set(str(root), "val").numbers) == {0, 1, 2}
    (lists / "val.txt").write_text("IMG a 1  1\nIMG b 1 -1\n")  # as a class's own list
    judged = open_set(str(root), "val")
    assert {name.split("#")[0].removesuffix(".jpg") for name in judged.ids} == {"IMG a 1", "IMG b 1"}


def test_the_rows_of_a_picture_have_its_number(tmp_path):
    judged = open_set(str(voc_folder(tmp_path / "set")), "val")
    assert len(set(judged.files)) < len(judged) == len(judged.numbers)
    assert all((first == second) == (one == other) for first, one in zip(judged.files, judged.numbers) for second, other in zip(judged.files, judged.numbers))


@pytest.mark.parametrize("parts", [("",), ("train", "valid", "test")])
def test_pictures_with_an_xml_beside_each(tmp_path, parts):
    for part in parts:
        for number in range(30):
            picture(tmp_path / "set" / part / f"{number:02}.png")
            (tmp_path / "set" / part / f"{number:02}.xml").write_text(voc([("cup", 1, 1, number + 2, 9)], None))
    sets = {split: open_set(str(tmp_path / "set"), split) for split in ("train", "val")}
    assert len(sets["train"]) + len(sets["val"]) == 30 * min(2, len(parts)) and 0 < len(sets["val"]) <= len(sets["train"])
    for part in sets.values():
        assert part.sizes is None and all(box.tolist() == [[0, 0, int(name[-6:-4]) + 2, 9]] for name, box in zip(part.ids, part.boxes))
        assert all("valid" in file or "train" in file for file in part.files) or len(parts) == 1


def test_xml_of_ilsvrc_in_such_a_folder_counts_from_0_and_has_its_words(tmp_path):
    picture(tmp_path / "images" / "n02123045_1.png")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "n02123045_1.xml").write_text(voc([("n02123045", 0, 1, 4, 5)]))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("n02123045_1")
    val = open_set(str(tmp_path), "val")
    assert val.boxes[0].tolist() == [[0, 1, 5, 6]] and val.categories[0].wnid == "n02123045" and "tabby" in val.categories[0].label


def coco_contents():
    return {"info": {}, "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 9, "file_name": "b.jpg", "width": 40, "height": 30}],
            "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person", "supercategory": "person"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 18, "bbox": [1.5, 2, 3.2, 4], "iscrowd": 0, "segmentation": [[1, 2, 3]]},
                            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 50.5, 30]}, {"id": 3, "image_id": 7, "category_id": 18, "bbox": [8, 8, 2, 2]},
                            {"id": 4, "image_id": 9, "category_id": 1, "bbox": [3, 3, 0, 9]}, {"id": 5, "image_id": 9, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
                            {"id": 6, "image_id": 9, "category_id": 1, "bbox": [0.1 + 0.2, 10, 0.7, 1]}]}


EXPECTED = {"a#dog.jpg": ("dog", [[1, 2, 5, 6], [8, 8, 10, 10]]), "a#person.jpg": ("person", [[0, 0, 40, 30]]), "b.jpg": ("person", [[0, 10, 1, 11]])}


@pytest.mark.parametrize("place, pictures", [
    ("annotations/instances_val2017.json", "val2017"), ("annotations/instances_val.json", "images/val"), ("annotations/instances_default.json", "images"),
    ("valid/_annotations.coco.json", "valid"), ("val.json", "images"), ("my.json", ""), ("result.json", "images")])
def test_coco_has_a_row_for_each_picture_and_category(tmp_path, place, pictures, capsys, monkeypatch):
    monkeypatch.setattr(coco, "is_held_out", lambda name: True)
    for name in "ab":
        picture(tmp_path / "set" / pictures / f"{name}.jpg")
    path = tmp_path / "set" / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("\ufeff" + json.dumps(coco_contents()), encoding="utf-8")
    if "2017" in place:  # and what else COCO has
        (path.parent / "captions_val2017.json").write_text("{}")
        (path.parent / "person_keypoints_val2017.json").write_text(json.dumps(coco_contents()))
    for data in (tmp_path / "set", path):
        val = open_set(str(data), "val")
        assert found(val) == EXPECTED and [label for _, label in val.categories] == ["person", "dog"]
        assert val.clipped.tolist() == [1, 0, 0] and all(map(Image.open, val.files))
        said = capsys.readouterr().out
        assert "left out 1 crowd" in said and "left out 1 box without a pixel" in said


def test_what_names_the_kind_of_all_classes_is_none(tmp_path):
    picture(tmp_path / "valid" / "images" / "a.jpg")
    contents = {"images": [{"id": "x", "file_name": "images\\a.jpg"}], "annotations": [{"image_id": "x", "category_id": 2, "bbox": [0, 0, 5, 5]}],
                "categories": [{"id": 0, "name": "cups", "supercategory": "none"}, {"id": 1, "name": "blue", "supercategory": "cups"},
                               {"id": 2, "name": "red", "supercategory": "cups"}]}
    (tmp_path / "valid" / "_annotations.coco.json").write_text(json.dumps(contents))
    val = open_set(str(tmp_path), "val")
    assert [label for _, label in val.categories] == ["blue", "red"] and val.labels.tolist() == [1] and val.sizes is None
    assert val.ids == ["images/a.jpg"] and Image.open(val.files[0]).size == (40, 30)  # Windows' separators


def test_a_json_above_the_bound_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(coco, "LARGEST", 2000)
    picture(tmp_path / "val2017" / "a.jpg")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text(json.dumps(coco_contents()) + " " * (1 << 17))
    with pytest.raises(InputError, match="at most 2,000 are read"):
        open_set(str(tmp_path), "val")


CUB = {"images.txt": "1 001.Black_footed_Albatross/A_1.jpg\n2 001.Black_footed_Albatross/A_2.jpg\n3 002.Laysan_Albatross/L_3.jpg\n",
       "image_class_labels.txt": "1 1\n2 1\n3 2\n", "train_test_split.txt": "1 0\n2 1\n3 0\n",
       "bounding_boxes.txt": "1 2.0 3.0 10.0 8.0\n2 0.0 0.0 40.0 30.0\n3 30.5 1.0 20.0 5.0\n",
       "classes.txt": "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n"}


def cub_folder(root):
    root.mkdir(parents=True)
    for name, text in CUB.items():
        (root / name).write_text(text)
    for line in CUB["images.txt"].splitlines():
        picture(root / "images" / line.split(" ")[1])
    return root


@pytest.mark.parametrize("within", ["", "CUB_200_2011"])
def test_cubs_own_lists(tmp_path, within):
    cub_folder(tmp_path / "set" / within)
    val, train = (open_set(str(tmp_path / "set"), split) for split in ("val", "train"))
    assert found(val) == {"001.Black_footed_Albatross/A_1.jpg": ("Black footed Albatross", [[2, 3, 12, 11]]),
                          "002.Laysan_Albatross/L_3.jpg": ("Laysan Albatross", [[30, 1, 40, 6]])}
    assert val.clipped.tolist() == [0, 1] and train.boxes[0].tolist() == [[0, 0, 40, 30]] and len(train) == 1
    assert match_classes([Category(None, "laysan albatross"), Category(None, "black footed albatross")], val.categories).tolist() == [1, 0]


@pytest.mark.parametrize("write, message", [
    (lambda root: (voc_folder(root) / "Annotations" / "a.xml").write_text(voc([("dog", 50, 1, 60, 5)])), "a.xml, line 1: object 1, 50 1 60 5, lies outside"),
    (lambda root: (voc_folder(root) / "Annotations" / "a.xml").unlink(), "a.xml: No such file"),
    (lambda root: (voc_folder(root) / "ImageSets" / "Main" / "val.txt").write_text("../a\n"), "is not the name of a picture"),
    (lambda root: (voc_folder(root) / "ImageSets" / "Main" / "val.txt").write_text("\n"), "lists no pictures"),
    (lambda root: (voc_folder(root) / "ImageSets" / "Main" / "val.txt").write_text("d\n"), "none of its 1 picture has a box"),
    (lambda root: (cub_folder(root) / "bounding_boxes.txt").write_text("1 1 2 nan 4\n2 1 2 3 4\n3 1 2 3 4\n"), "of picture 1 is not x, y, width and height"),
    (lambda root: (cub_folder(root) / "bounding_boxes.txt").write_text("1 1 2 3 4\n2 1 2 3 4\n"), "picture 3 has no class"),
    (lambda root: (cub_folder(root) / "bounding_boxes.txt").write_text("1 90 2 3 4\n2 1 2 3 4\n3 1 2 3 4\n"), "A_1.jpg lies outside of its 40 x 30"),
    (lambda root: (cub_folder(root) / "images.txt").write_text("1 ../../etc/passwd\n"), "no path below images/"),
    (lambda root: (cub_folder(root) / "classes.txt").write_text("one\n"), "classes.txt, line 1"),
    (lambda root: [(voc_folder(root / name)) for name in ("VOC2007", "VOC2012")], "VOC2007 and VOC2012 are both")])
def test_what_is_wrong_is_one_line(tmp_path, write, message):
    write(tmp_path / "set")
    with pytest.raises(InputError, match=message) as caught:
        open_set(str(tmp_path / "set"), "val")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change, message", [
    ({"images": 3}, "no list of images"),
    ({"annotations": [{"image_id": 7, "category_id": 18, "bbox": [0.25, 0.5, 0.5, 0.50001]}]}, "its boxes are fractions of the pictures' sides"),
    ({"annotations": [{"image_id": 7, "category_id": 18, "bbox": box} for box in ([24, 2, 36, 20], [3, 14, 12, 28], [1, 2, 3, 4])]},
     "of 3 boxes, read as x, y, width and height, 2 stick out of their pictures, and read as the corners x0, y0, x1, y1 they fit"), ({"images": []}, "annotation 1 is of an image"), ({"annotations": [{"image_id": 7, "category_id": 18}]}, "no bbox"),
    ({"annotations": [{"image_id": 7, "category_id": 18, "bbox": [1, 2, float("nan"), 3]}]}, "no bbox"),
    ({"annotations": [{"image_id": 7, "category_id": 18, "bbox": [1, 2, -3, 3]}]}, "no bbox"),
    ({"annotations": [{"image_id": [7], "category_id": 18, "bbox": [1, 2, 3, 3]}]}, "annotation 1 is of an image"),
    ({"annotations": []}, "none of its 2 pictures has a box"), ({"categories": [{"id": 18, "name": ""}]}, "category 1 has no name"),
    ({"categories": [{"id": 18, "name": "\ud800"}]}, "category 1 has no name"),
    ({"categories": [{"id": 18, "name": "a"}, {"id": 1, "name": "a"}]}, "two categories"),
    ({"images": [{"id": 7, "file_name": "../a.jpg"}]}, "no file_name below"), ({"images": [{"id": 7, "file_name": "C:\\a.jpg"}]}, "no file_name below"),
    ({"images": [{"id": 7, "file_name": "z.jpg"}, {"id": 9, "file_name": "y.jpg"}]}, "z.jpg: no such picture"), ({"images": [{"id": None, "file_name": "z.jpg"}]}, "has no id"),
    ({"images": [{"id": (1 << 61) - 1, "file_name": "z.jpg"}]}, "has no id"), ({"categories": [{"id": 18, "name": "a\0b"}]}, "category 1 has no name")])
def test_wrong_coco_is_one_line(tmp_path, change, message):
    picture(tmp_path / "set" / "a.jpg")
    (tmp_path / "set" / "my.json").write_text(json.dumps(coco_contents() | change))
    with pytest.raises(InputError, match=message) as caught:
        open_set(str(tmp_path / "set" / "my.json"), "val")
    assert "\n" not in str(caught.value)


def test_coco_in_percent_is_refused(tmp_path):
    """x, y, width and height in percent of the sides; the file has pixels of the pictures' sizes, and one picture is small."""
    images, annotations = [], []
    for number, (size, box) in enumerate([((90, 80), [5, 5, 20, 20]), ((400, 300), [10, 20, 50.5, 70]), ((400, 300), [0, 0, 100, 99.5]),
                                          ((180, 600), [60, 40, 38.2, 60]), ((500, 375), [30, 8.25, 12, 12])]):
        picture(tmp_path / "set" / f"{number}.jpg", *size)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": size[0], "height": size[1]})
        annotations.append({"image_id": number, "category_id": 18, "bbox": box})
    (tmp_path / "set" / "my.json").write_text(json.dumps(coco_contents() | {"images": images, "annotations": annotations}))
    with pytest.raises(InputError, match="its 5 boxes all lie within 0 to 100, and reach x = 100 and y = 100, though 4 of them are of pictures "
                                         "with sides of 180 pixels and more: they are taken for percent of the sides: write them in pixels$"):
        open_set(str(tmp_path / "set" / "my.json"), "train")


@pytest.mark.parametrize("contents", ["[" * 200_000, '{"images": [' + "9" * 5000 + "]}", '{"images": [], "annotations": [], "categories": []', "[]", "\xff"])
def test_json_made_to_harm_is_one_line(tmp_path, contents):
    (tmp_path / "my.json").write_text(contents + ' "images" "annotations" "categories"', encoding="latin-1")
    with pytest.raises(InputError, match="not JSON that can be read") as caught:
        open_set(str(tmp_path / "my.json"), "val")
    assert "\n" not in str(caught.value)


def test_two_lists_without_a_split_are_refused(tmp_path):
    picture(tmp_path / "set" / "a.jpg")
    for name in ("one", "two"):
        (tmp_path / "set" / f"{name}.json").write_text(json.dumps(coco_contents()))
    with pytest.raises(InputError, match="one.json and two.json are both lists"):
        open_set(str(tmp_path / "set"), "val")


MUTATED = ["Annotations/b.xml", "ImageSets/Main/val.txt", "my.json", *CUB, "flat.csv"]


@pytest.mark.parametrize("file", MUTATED)
def test_two_hundred_mutations_are_read_or_refused_in_one_line(tmp_path, file):
    root = tmp_path / "set"
    if file in CUB:
        cub_folder(root)
    elif file == "my.json":
        for name in "ab":
            picture(root / f"{name}.jpg")
        (root / file).write_text(json.dumps(coco_contents()))
    elif file == "flat.csv":
        picture(root / "00.jpg")
        (root / file).write_text("file,label,x0,y0,x1,y1,split\n00.jpg,cat,1,2,10,20,val\n")
    else:
        voc_folder(root)
    good, rng, outcomes = (root / file).read_bytes(), random.Random(0), {True: 0, False: 0}
    data = str(root / file) if file.endswith((".json", ".csv")) else str(root)
    for number in range(200):
        (root / file).write_bytes(harmed(good, rng))
        try:
            pictures = open_set(data, "val")
            assert all((box[:, :2] < box[:, 2:]).all() and (box >= 0).all() for box in pictures.boxes or [])  # a list's header may name none
            outcomes[True] += 1
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, number
            outcomes[False] += 1
    assert min(outcomes.values()) > 0
