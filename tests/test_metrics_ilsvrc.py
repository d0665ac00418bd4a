"""ILSVRC errors on a made CLS-LOC tree with known answers, and its files."""

import numpy as np
import pytest
import scipy.io

from cam_base import InputError
from cam_data import ilsvrc
from cam_data.annotations import read_annotation
from metrics.ilsvrc import evaluate_guesses, ilsvrc_errors

WNIDS = ["n01440764", "n01443537", "n01484850"]
OBJECT = ("<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
          "<ymax>{}</ymax></bndbox></object>")


def annotation(*objects):
    return ("<annotation><folder>val</folder><size><width>500</width><height>375</height></size>"
            + "".join(OBJECT.format(*o) for o in objects) + "</annotation>")


@pytest.fixture
def tree(tmp_path):
    """Five pictures: two boxes; another class's box too; excluded; without boxes; one box."""
    kit, boxes = tmp_path / "kit" / "data", tmp_path / "val"
    kit.mkdir(parents=True)
    boxes.mkdir()
    (kit / "ILSVRC2015_clsloc_validation_ground_truth.txt").write_text("1\n2\n3\n1\n2\n")
    (kit / "ILSVRC2015_clsloc_validation_blacklist.txt").write_text("3\n")
    synsets = np.zeros((3, 1), [("ILSVRC2015_CLSLOC_ID", "O"), ("WNID", "O"), ("words", "O")])
    for place, number in enumerate((3, 1, 2)):  # not in the order of their ids
        synsets[place, 0] = (float(number), WNIDS[number - 1], "some words")
    scipy.io.savemat(kit / "meta_clsloc.mat", {"synsets": synsets})
    pictures = [annotation((WNIDS[0], 0, 0, 9, 9), (WNIDS[0], 100, 100, 199, 149)),
                annotation((WNIDS[1], 10, 10, 19, 19), (WNIDS[2], 50, 50, 99, 99)),
                annotation((WNIDS[2], 0, 0, 99, 99)),
                annotation(),
                annotation((WNIDS[1], 5, 5, 14, 24))]
    for number, text in enumerate(pictures, 1):
        (boxes / f"ILSVRC2012_val_{number:08}.xml").write_text(text)
    return tmp_path


GUESSES = """\
1 100 100 199 199
3 50 50 99 99 2 10 10 19 19 2 50 50 99 99
3 0 0 9 9 3 0 0 99 99
1 0 0 499 374
3 0 0 9 9 1 0 0 9 9 1 1 1 1 1 2 0 0 0 0 2 5 5 14 14 2 5 5 14 24
"""


def test_known_answers(tree):
    truth = ilsvrc.read_validation(str(tree / "kit"), str(tree / "val"))
    assert truth.names[4] == "ILSVRC2012_val_00000005" and truth.wnids == WNIDS
    assert truth.excluded.tolist() == [2] and truth.classes.tolist() == [1, 2, 3, 1, 2]
    assert truth.boxes[0].tolist() == [[0, 0, 10, 10], [100, 100, 200, 150]]
    assert truth.boxes[1].tolist() == [[10, 10, 20, 20]]  # not the other class's
    assert truth.boxes[3].shape == (0, 4)
    (tree / "guesses.txt").write_text(GUESSES)
    classes, boxes = ilsvrc.read_submission(str(tree / "guesses.txt"), 5)
    right, located = evaluate_guesses(classes, boxes, truth.classes, truth.boxes)
    errors = ilsvrc_errors(right, located, truth.excluded)
    # Right: pictures 1, 3, 4 at once, 2 by its second guess, 5 by its fourth.
    np.testing.assert_allclose(errors.classification, [2 / 5, 1 / 5, 1 / 5, 0, 0])
    # Located: 1 at once (IoU 1/2), 2 by its second, 5 by its fifth (IoU 1/2; the sixth is ignored).
    np.testing.assert_allclose(errors.localization, [3 / 4, 2 / 4, 2 / 4, 2 / 4, 1 / 4])
    # The excluded picture 3 is located by its second guess.
    np.testing.assert_allclose(errors.localization_of_all, [4 / 5, 2 / 5, 2 / 5, 2 / 5, 1 / 5])


def kit_error(guesses, true_classes, true_boxes, excluded, count):
    """The kit's definition, guess by guess, with its inclusive pixels."""
    wrong, unlocated = 0, 0
    for picture, (line, label) in enumerate(zip(guesses, true_classes)):
        wrong += all(guess[0] != label for guess in line[:count])
        if picture in excluded:
            continue
        errors = [1]
        for guessed, *a in line[:count]:
            for b in true_boxes[picture] if guessed == label else []:
                width = min(a[2], b[2]) - max(a[0], b[0]) + 1
                height = min(a[3], b[3]) - max(a[1], b[1]) + 1
                inside = width * height if width > 0 and height > 0 else 0
                area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
                errors.append(int(inside / (sum(area) - inside) < 0.5))
        unlocated += min(errors)
    return wrong / len(guesses), unlocated / (len(guesses) - len(excluded))


def test_equal_the_kit_guess_by_guess(tmp_path):
    rng = np.random.default_rng(0)

    def box():
        x, y = np.sort(rng.integers(0, 12, 2)), np.sort(rng.integers(0, 12, 2))
        return [int(x[0]), int(y[0]), int(x[1]), int(y[1])]

    for _ in range(20):
        pictures = int(rng.integers(2, 30))
        labels = rng.integers(1, 4, pictures)
        true = [[box() for _ in range(rng.integers(1, 4))] for _ in range(pictures)]
        guesses = [[(int(rng.integers(1, 4)), *box()) for _ in range(rng.integers(0, 6))]
                   for _ in range(pictures)]
        excluded = set(rng.choice(pictures, pictures // 3, replace=False).tolist())
        path = tmp_path / "guesses.txt"
        path.write_text("".join(" ".join(str(n) for g in line for n in g) + "\n" for line in guesses))
        judged = evaluate_guesses(*ilsvrc.read_submission(path), labels,
                               [np.array(b) + [0, 0, 1, 1] for b in true])
        errors = ilsvrc_errors(*judged, excluded)
        for count in (1, 2, 5):
            expected = kit_error(guesses, labels, true, excluded, count)
            np.testing.assert_allclose((errors.classification[count - 1],
                                        errors.localization[count - 1]), expected, atol=1e-12)


def test_a_submission_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "guesses.txt"
    classes = np.array([[7, 1000], [3, 0], [0, 0]])
    boxes = np.array([[[0, 0, 10, 20], [5.5, 1, 7, 9]], [[1, 2, 3, 4], [0, 0, 0, 0]],
                      [[0, 0, 0, 0]] * 2])
    ilsvrc.write_submission(path, classes, boxes)
    assert path.read_text() == "7 0 0 9 19 1000 5.5 1 6 8\n3 1 2 2 3\n0\n"
    read_classes, read_boxes = ilsvrc.read_submission(path, 3)
    np.testing.assert_array_equal(read_classes[:, :2], classes)
    np.testing.assert_array_equal(read_boxes[:, :2], boxes)
    assert not read_classes[:, 2:].any() and not read_boxes[:, 2:].any()


@pytest.mark.parametrize("line", ["1 2 3 4", "1 2 3 4 x", "1.5 0 0 1 1", "1001 0 0 1 1",
                                  "1 nan 0 1 1", "-1 0 0 1 1"])
def test_a_submission_that_is_none_names_its_line(tmp_path, line):
    path = tmp_path / "guesses.txt"
    path.write_text("1 0 0 1 1\n" + line + "\n")
    with pytest.raises(InputError, match="line 2"):
        ilsvrc.read_submission(path)
    with pytest.raises(InputError, match="2 lines"):
        ilsvrc.read_submission(path, 3)


def test_a_missing_file_is_named(tree):
    arguments = str(tree / "kit"), str(tree / "val")
    (tree / "val" / "ILSVRC2012_val_00000004.xml").unlink()
    with pytest.raises(InputError, match="00000004.xml: No such file"):
        ilsvrc.read_validation(*arguments)
    (tree / "kit" / "data" / "meta_clsloc.mat").write_bytes(b"not a MAT file" * 50)
    with pytest.raises(InputError, match="table of synsets"):
        ilsvrc.read_validation(*arguments)
    (tree / "kit" / "data" / "meta_clsloc.mat").unlink()
    with pytest.raises(InputError, match="no meta_clsloc.mat"):
        ilsvrc.read_validation(*arguments)
    with pytest.raises(InputError, match="ground_truth"):
        ilsvrc.read_validation(str(tree / "val"), arguments[1])


def test_lists_name_the_bad_line(tmp_path):
    path = tmp_path / "list.txt"
    for text, line in (("1\n2\n1001\n", 3), ("1\n\n2\n", 2), ("x\n", 1), ("1 2\n", 1), ("-1\n", 1)):
        path.write_text(text)
        with pytest.raises(InputError, match=f"line {line}"):
            ilsvrc.read_classes(path)
    path.write_text("4\n2\n2\n")
    assert ilsvrc.read_excluded(path, 4).tolist() == [1, 3]
    with pytest.raises(InputError, match="line 1: '4'"):
        ilsvrc.read_excluded(path, 3)


@pytest.mark.parametrize("text, message", [
    ("<annotation><object></annotation>", "not XML"),
    ("", "not XML"),
    ("<?xml version='1.0' encoding='nonsense'?><annotation/>", "not XML"),
    ("<html></html>", "annotation"),
    ('<!DOCTYPE a [<!ENTITY e "x">]><annotation>&e;</annotation>', "DOCTYPE"),
    ('<!DOCTYPE a SYSTEM "http://nowhere"><annotation/>', "DOCTYPE"),
    (annotation(("", 1, 1, 2, 2)), "object 1"),
    (annotation(("n1", 1, 1, 2, 2), ("n1", 1, 1, "1e3", 2)), "object 2"),
    (annotation(("n1", 3, 1, 2, 2)), "before it starts"),
])
def test_annotations_are_not_trusted(tmp_path, text, message):
    path = tmp_path / "picture.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_annotation(path)
    assert "picture.xml" in str(error.value) and "\n" not in str(error.value)


def test_annotations_of_any_encoding_and_no_giants(tmp_path):
    path = tmp_path / "picture.xml"
    path.write_bytes(annotation(("n1", 1, 1, 2, 2)).encode("utf-16"))
    assert read_annotation(path) == ([("n1", [1, 1, 3, 3], False)], (500, 375))
    path.write_bytes('<!DOCTYPE a [<!ENTITY e "x">]><annotation/>'.encode("utf-16"))
    with pytest.raises(InputError, match="DOCTYPE"):
        read_annotation(path)
    path.write_bytes(b" " * (1 << 21))
    with pytest.raises(InputError, match="at most 1,048,576"):
        read_annotation(path)
    with pytest.raises(InputError, match="not a regular file"):
        read_annotation(tmp_path)


def test_sizes_and_boxes_that_stick_out_are_read_from_annotations(tree):
    arguments = str(tree / "kit"), str(tree / "val")
    assert ilsvrc.read_validation(*arguments).sizes.tolist() == 5 * [[500, 375]]
    (tree / "val" / "ILSVRC2012_val_00000001.xml").write_text(
        annotation((WNIDS[0], -4, 370, 20, 375), (WNIDS[0], 5, 5, 9, 9), (WNIDS[1], 490, 0, 600, 9),
                   (WNIDS[0], 0, 0, 500, 9)))
    pictures = ilsvrc.open_validation(*arguments)
    assert pictures.boxes[0].tolist() == [[0, 370, 21, 375], [5, 5, 10, 10], [0, 0, 500, 10]]
    assert pictures.clipped.tolist() == [2, 0, 0, 0, 0] and pictures.sizes.tolist() == 5 * [[375, 500]]
    (tree / "val" / "ILSVRC2012_val_00000002.xml").write_text(
        annotation((WNIDS[1], 1, 1, 2, 2)).replace("<width>500</width>", ""))
    assert ilsvrc.read_validation(*arguments).sizes is None


@pytest.mark.parametrize("old, new, message", [
    ("<xmin>1<", "<xmin>500<", "line 3: object 1, 500 1 500 2, lies outside of the picture of 500 x 375"),
    ("<ymin>1</ymin>", "<ymin>1</ymin>\n<ymin>2</ymin>", "line 4: bndbox/ymin is '2', and '1' in line 3"),
    ("</bndbox>", "</bndbox>\n<bndbox><xmax>8</xmax></bndbox>", "line 4: bndbox/xmax is '8', and '500' in line 3"),
    ("<name>n1</name>", "<name>n1</name>\n<name>n2</name>", "line 4: name is 'n2', and 'n1' in line 3"),
    ("</size>", "</size><size>\n<height>9</height></size>", "line 3: size/height is '9', and '375' in line 2")])
def test_annotations_that_contradict_themselves_name_both_lines(tmp_path, old, new, message):
    text = annotation(("n1", 1, 1, 500, 2)).replace("<size>", "\n<size>").replace("<object>", "\n<object>")
    path = tmp_path / "picture.xml"
    path.write_text(text)
    assert read_annotation(path).objects == [("n1", [1, 1, 500, 3], True)]
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=f"picture.xml, {message}"):
        read_annotation(path)
    path.write_text(text.replace("<ymax>2</ymax>", "<ymax>2</ymax><ymax> 2 </ymax>"))
    assert read_annotation(path).objects == [("n1", [1, 1, 500, 3], True)]


@pytest.mark.parametrize("table, message", [
    ([(1, WNIDS[0]), (2, WNIDS[1]), (1, WNIDS[2])], f"class 1 is '{WNIDS[2]}' and '{WNIDS[0]}'"),
    ([(1, WNIDS[0]), (2, WNIDS[0])], f"{WNIDS[0]} is class 1 and class 2"),
    ([(1, WNIDS[0]), (3, WNIDS[1])], "not the kit's table")])
def test_a_table_of_synsets_that_contradicts_itself_is_refused(tmp_path, table, message):
    synsets = np.zeros((len(table), 1), [("ILSVRC2015_CLSLOC_ID", "O"), ("WNID", "O")])
    for place, (number, wnid) in enumerate(table):
        synsets[place, 0] = (float(number), wnid)
    scipy.io.savemat(tmp_path / "meta.mat", {"synsets": synsets})
    with pytest.raises(InputError, match=f"meta.mat: {message}"):
        ilsvrc.read_wnids(tmp_path / "meta.mat")


def test_refuses_what_cannot_be_judged():
    with pytest.raises(ValueError, match="guessed"):
        evaluate_guesses(np.zeros((2, 6), int), np.zeros((2, 6, 4)), [1, 1], [[], []])
    with pytest.raises(ValueError, match="no picture"):
        ilsvrc_errors(np.ones((1, 5), bool), np.ones((1, 5), bool), [0])


@pytest.mark.parametrize("excluded", ([-1], [9], [3], [0.5], 1, "1", [[0]], [True, False, False]))
def test_excluded_pictures_must_be_among_those_judged(excluded):
    right = np.ones((3, 5), bool)
    with pytest.raises(ValueError, match="^excluded must be"):
        ilsvrc_errors(right, right, excluded)


def test_no_guess_is_never_right():
    with pytest.raises(ValueError, match="true_classes at least 1"):
        evaluate_guesses([[0]], [[[0, 0, 1, 1]]], [0], [[]])
    with pytest.raises(ValueError, match="classes must be at least 0"):
        evaluate_guesses([[-1]], [[[0, 0, 1, 1]]], [1], [[]])
    with pytest.raises(ValueError, match="boxes have values that are not finite"):
        evaluate_guesses([[2]], [[[0, 0, np.nan, 1]]], [1], [[]])
