"""Figures, intervals and comparisons against slow loops over pictures; records on disk."""

import csv
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import cam_evaluation
import evaluate as program
from cam_base import InputError
from cam_evaluation.records import Records, known_arrays, read_records, write_records
from cam_evaluation.statistics import statistics
from metrics import intervals
from metrics.intervals import compare

THRESHOLDS = np.arange(0, 1, 0.25)


def random_records(pictures, seed, skill=0.5):
    """Records in which all is drawn; `skill` is the share of pictures that are located."""
    rng = np.random.default_rng(seed)
    right = np.logical_or.accumulate(rng.random((pictures, 5)) < 0.4, axis=1)
    located = right & np.logical_or.accumulate(rng.random((pictures, 5)) < skill, axis=1)
    return Records(
        [f"picture-{number}" for number in range(pictures)], [f"class {number % 3}" for number in range(pictures)],
        THRESHOLDS, rank=rng.integers(1, 9, pictures), guesses=rng.integers(0, 3, (pictures, 5)), right=right,
        guess_boxes=rng.integers(0, 9, (pictures, 5, 4)), guess_iou=rng.random((pictures, 5)), located=located,
        known_iou=rng.random(pictures) * skill * 2, metric_arrays={
            "hits": rng.random((pictures, 4)) < skill, "reached": rng.integers(0, 4, (pictures, 4)).astype(np.uint8),
            "masks": rng.integers(0, 9, (pictures, 2, 5)).astype(np.uint32)},
        baseline=rng.random((pictures, 400)) < 0.1, excluded=rng.random(pictures) < 0.3, picture=np.arange(pictures), classes=np.array(9))


def slow_figures(records, rows):
    """Every figure of these pictures, some of which may stand there several times, by its definition."""
    kept = [row for row in rows if not records.excluded[row]]
    found = {}
    for guesses in (1, 5):
        wrong = [not records.right[row, guesses - 1] for row in rows]
        found[f"top{guesses}_classification_error"] = sum(wrong) / len(rows)
        missed = {row: not records.located[row, guesses - 1] for row in rows}
        found[f"top{guesses}_localization_error"] = sum(missed[row] for row in kept) / len(kept) if kept else 1
        found[f"top{guesses}_localization_error_of_all"] = sum(missed[row] for row in rows) / len(rows)
    found["gt_known_localization"] = sum(records.known_iou[row] >= 0.5 for row in rows) / len(rows)
    found["gt_known_mean_iou"] = sum(records.known_iou[row] for row in rows) / len(rows)
    found["centre_box_baseline"] = max(sum(records.baseline[row, box] for row in rows) for box in range(400)) / len(rows)
    found["max_box_acc"] = max(sum(records.metric_arrays["hits"][row, t] for row in rows) for t in range(4)) / len(rows)
    found["max_box_acc_v2"] = sum(
        max(sum(records.metric_arrays["reached"][row, t] > iou for row in rows) for t in range(4)) for iou in range(3)) / 3 / len(rows)
    taken = np.zeros(2)
    objects = sum(records.metric_arrays["masks"][row, 1].sum() for row in rows)
    found["pxap"] = 0
    for interval in (4, 3, 2, 1, 0):
        new = sum(records.metric_arrays["masks"][row, :, interval].astype(float) for row in rows)
        taken += new
        found["pxap"] += taken[1] / max(taken.sum(), 1) * new[1] / objects
    return found


@pytest.mark.parametrize("pictures, seed", [(1, 0), (2, 5), (7, 1), (40, 2)])
def test_figures_equal_their_definitions(pictures, seed):
    records = random_records(pictures, seed)
    records = replace(records, excluded=records.excluded & (np.arange(pictures) > 0))
    found, expected = cam_evaluation.figures(records), slow_figures(records, range(pictures))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    names = {name for name in found if isinstance(found[name], float)} - {"max_box_acc_threshold"}
    assert names == set(expected)
    accuracy = records.metric_arrays["hits"].mean(0)
    assert accuracy[THRESHOLDS == found["max_box_acc_threshold"]] == accuracy.max()
    assert len(found["max_box_acc_v2_thresholds"]) == 3


def test_intervals_are_those_of_resampled_pictures(monkeypatch):
    """A thousand samples by the published seed, each figure computed anew with its own best threshold."""
    monkeypatch.setattr(intervals, "FEW", 0)  # else nine would be
    records = random_records(9, 3)
    found = cam_evaluation.figures(records)
    samples = [slow_figures(records, rows) for rows in np.random.default_rng(0).integers(9, size=(1000, 9)).tolist()]
    for name in samples[0]:
        low, high = np.percentile([sample[name] for sample in samples], [2.5, 97.5])
        assert found[f"{name}_interval"] == pytest.approx([low, high], abs=1e-6), name


@pytest.mark.parametrize("classes, expected", [(2, (1,)), (5, (1,)), (6, (1, 5)), (None, (1, 5))])
def test_of_five_classes_and_fewer_the_first_five_are_no_figure(classes, expected):
    records = replace(random_records(20, 1), classes=None if classes is None else np.array(classes))
    found = cam_evaluation.figures(records)
    assert {int(name[3]) for name in found if name.startswith("top")} == set(expected)


@pytest.mark.parametrize("wrong, interval, by", [(0, (0, 0.1546), "Wilson"), (21, (0.8454, 1), "Wilson"), (10, (0.2857, 0.6667), "bootstrap")])
def test_no_errors_of_21_pictures_have_an_interval(wrong, interval, by):
    right = np.repeat(np.arange(21)[:, None] >= wrong, 5, axis=1)
    found = cam_evaluation.figures(replace(random_records(21, 1), right=right))
    assert found["top1_classification_error_interval"] == pytest.approx(interval, abs=0.05 if by == "bootstrap" else 1e-4)
    assert found["top1_classification_error_interval_by"] == by
    # A localization error is over the pictures that are not excluded alone.
    located = np.ones((21, 5), bool)
    found = cam_evaluation.figures(replace(random_records(21, 1), right=right, located=located, excluded=np.arange(21) % 2 == 1))
    assert found["top1_localization_error_interval"] == pytest.approx((0, 1.959964**2 / (11 + 1.959964**2)), abs=1e-6)


def test_figures_of_what_was_judged_only():
    records = random_records(6, 1)
    bare = Records(records.ids, records.truth, THRESHOLDS, rank=records.rank, guesses=records.guesses,
                   right=records.right)
    assert set(cam_evaluation.figures(bare)) == {
        "pictures", *(f"top{k}_classification_error{suffix}" for k in (1, 5) for suffix in ("", "_interval", "_interval_by"))}
    no_object = replace(records, metric_arrays=records.metric_arrays | {"masks": records.metric_arrays["masks"] * np.array([1, 0], np.uint32)[:, None]})
    assert cam_evaluation.figures(no_object)["pxap"] == 0


def test_classes_stand_worst_first(tmp_path):
    records = replace(random_records(6, 1), known_iou=np.array([0.9, 0.1, 0.7, 0.8, 0.2, 0.1]))
    cam_evaluation.write_report(str(tmp_path), records, {}, ["a", "b", "c"], with_classes=True)
    with open(tmp_path / "classes.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["pictures"], row["localization_accuracy"], row["mean_iou"]) for row in rows] == [
        ("class 1", "2", "0", "0.15"), ("class 2", "2", "0.5", "0.4"), ("class 0", "2", "1", "0.85")]
    for row in rows:
        members = np.array(records.truth) == row["class"]
        assert float(row["classification_accuracy"]) == records.right[members, 0].mean()


def test_curves_are_written(tmp_path):
    records = random_records(8, 4)
    cam_evaluation.write_report(str(tmp_path), records, {"weights": None}, ["a", "b", "c"])
    accuracy = np.loadtxt(tmp_path / "accuracy.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(accuracy[:, 0], THRESHOLDS)
    np.testing.assert_allclose(accuracy[:, 1], records.metric_arrays["hits"].mean(0), atol=1e-6)
    for column, reached in ((2, 1), (3, 2), (4, 3)):
        np.testing.assert_allclose(accuracy[:, column], (records.metric_arrays["reached"] >= reached).mean(0), atol=1e-6)
    recall, precision = np.loadtxt(tmp_path / "precision.csv", delimiter=",", skiprows=1).T
    background, found = records.metric_arrays["masks"].sum(0)[:, ::-1].astype(float)
    np.testing.assert_allclose(recall, found.cumsum() / found.sum(), atol=1e-6)
    np.testing.assert_allclose(precision, found.cumsum() / (found + background).cumsum(), atol=1e-6)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "metrics.json", encoding="utf-8") as file:
        assert json.load(file)["pxap"] == pytest.approx(np.diff(recall, prepend=0) @ precision, abs=1e-5)


# ---------------------------------------------------------------- two evaluations

def evaluation(folder, records):
    cam_evaluation.write_report(str(folder), records, {}, ["a", "b", "c"])
    return str(folder)


@pytest.mark.slow
def test_what_is_beyond_chance(tmp_path, capsys):
    good = random_records(300, 1, skill=0.9)
    # Each picture's hits become its neighbour's: as good, and not the same.
    alike = replace(good, metric_arrays=good.metric_arrays | {"hits": np.roll(good.metric_arrays["hits"], 1, axis=0)})
    bad = replace(random_records(300, 2, skill=0.5), excluded=good.excluded)
    order = np.random.default_rng(0).permutation(300)
    folders = [evaluation(tmp_path / name, records) for name, records in (
        ("good", good), ("alike", alike.rows(order)), ("bad", bad.rows(order)), ("same", good.rows(order)))]
    ours, theirs, difference = cam_evaluation.compare_folders(folders[0], folders[2])["max_box_acc"]
    shown = f"{difference.value:+.4f}"
    assert (ours, theirs) == pytest.approx((good.metric_arrays["hits"].mean(0).max(), bad.metric_arrays["hits"].mean(0).max()))
    assert difference.beyond_chance and 0 < difference.low < difference.value < difference.high
    assert difference.value == pytest.approx(ours - theirs)
    assert not cam_evaluation.compare_folders(folders[0], folders[1])["max_box_acc"][2].beyond_chance
    # The same pictures in another order: no difference, as far as 300 pictures can tell.
    for name, (ours, theirs, difference) in cam_evaluation.compare_folders(folders[0], folders[3]).items():
        if name not in ("pxap", "gt_known_mean_iou"):  # which are no means of what is between 0 and 1: these IoUs are not
            assert difference.by == "Agresti-Min" and -0.01 < difference.low < 0 < difference.high < 0.01
        assert difference.value == 0 and not difference.beyond_chance
    assert program.main(["--compare", folders[0], folders[2]]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "max_box_acc " in line]
    assert shown in line and "yes, A is better" in line
    assert program.main(["--compare", folders[2], folders[0]]) == 0
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "chance" not in line and len(line.split()) > 5}
    assert "yes, B is better" in lines["max_box_acc"]
    errors = [line for name, line in lines.items() if name.endswith("_error") and "yes" in line]
    assert errors and all("B is better" in line and "│ +" in line for line in errors)  # A's errors are the larger ones


@pytest.mark.parametrize("second, expected", [
    ({"refine": 0, "max_box_acc": 0.7, "max_box_acc_interval": [0, 1], "max_box_acc_threshold": 0.5}, {"refine": (20, 0)}),
    ({"refine": 20, "crops": 2, "threshold": 0.2}, {"crops": (None, 2), "threshold": (None, 0.2)}),
    ({"refine": 20}, {}), ([], {}), (None, {})])
def test_settings_that_differ_are_named_and_figures_are_none(tmp_path, second, expected):
    first = {"refine": 20, "max_box_acc": 0.6, "max_box_acc_interval": [0, 1]}
    for name, held in (("a", first), ("b", second)):
        (tmp_path / name).mkdir()
        if held is not None:
            (tmp_path / name / "metrics.json").write_text(json.dumps(held))
    found = cam_evaluation.other_settings(str(tmp_path / "a"), str(tmp_path / "b"))
    assert found == expected


def test_paired_samples_see_what_single_intervals_do_not():
    """One evaluation is right wherever the other is, and on a few pictures more."""
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random((200, 1)) < 0.5, 5, axis=1)
    more = right | (np.arange(200)[:, None] % 20 == 0)
    base = random_records(200, 1)
    first, second = (cam_evaluation.figures(replace(base, right=r))["top1_classification_error_interval"]
                     for r in (right, more))
    assert first[0] < second[1]  # they overlap
    name = "top1_classification_error"
    assert compare(statistics(replace(base, right=right))[name], statistics(replace(base, right=more))[name],
                   200).beyond_chance


def test_other_pictures_are_refused(tmp_path):
    records = random_records(4, 1)
    first = evaluation(tmp_path / "a", records)
    for name, ids, message in (("b", ["picture-0", "picture-1", "picture-2", "other"], "2 are in one only, such as other"),
                               ("c", ["picture-0", "picture-1", "picture-2", "picture-2"], "different pictures")):
        with pytest.raises(InputError, match=message):
            cam_evaluation.compare_folders(first, evaluation(tmp_path / name, replace(records, ids=ids)))
    with pytest.raises(InputError, match="nowhere: No such file.*pictures.csv"):
        program.main(["--compare", first, str(tmp_path / "nowhere")])


# ---------------------------------------------------------------- records on disk

def test_records_come_back_as_they_were(tmp_path):
    records = replace(random_records(5, 1), ids=["ä,\"b\"\n", "c/d.png", "", "x\udcff", "'"])
    write_records(str(tmp_path), records, ["crane, bird", "crane", "b\"c"])
    again = read_records(str(tmp_path))
    assert again.ids == records.ids and again.truth == records.truth
    assert set(again.arrays()) == set(records.arrays()) == set(known_arrays())
    for name, array in records.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
        assert again.arrays()[name].dtype == array.dtype
    partly = replace(records, excluded=None, rank=None, metric_arrays={name: records.metric_arrays[name] for name in ("hits", "reached")})
    write_records(str(tmp_path), partly, ["a", "b", "c"])
    again = read_records(str(tmp_path))
    assert again.rank is None and set(again.metric_arrays) == {"hits", "reached"}


def rewrite(**changes):
    """Replaces arrays of curves.npz; None takes one away."""
    def damage(folder):
        with np.load(folder / "curves.npz") as file:
            arrays = dict(file) | changes
        np.savez(folder / "curves.npz", **{name: array for name, array in arrays.items() if array is not None})
    return damage


def truncate(name, size):
    return lambda folder: open(folder / name, "r+b").truncate(size)


def bomb(folder):
    """A gigabyte of zeros in a megabyte."""
    with zipfile.ZipFile(folder / "curves.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("hits.npy", "w") as entry:
            for _ in range(300):
                entry.write(bytes(1 << 20))


def liar(folder):
    """A header that claims 2**50 values."""
    rewrite()(folder)
    with zipfile.ZipFile(folder / "curves.npz") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    header = b"{'descr': '|b1', 'fortran_order': False, 'shape': (5, 225179981368525), }"
    entries["hits.npy"] = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n"
    with zipfile.ZipFile(folder / "curves.npz", "w") as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)


def no_array(folder):
    rewrite(thresholds=None)(folder)
    with zipfile.ZipFile(folder / "curves.npz", "a") as archive:
        archive.writestr("thresholds.npy", b"hello")


@pytest.mark.parametrize("damage", [
    truncate("curves.npz", 0), truncate("curves.npz", 500), truncate("pictures.csv", 0), truncate("pictures.csv", 40),
    bomb, liar, rewrite(hits=None), rewrite(right=None), rewrite(guesses=None), rewrite(thresholds=None),
    rewrite(located=None), rewrite(hits=np.zeros((5, 9), bool)), rewrite(hits=np.zeros((4, 4), bool)),
    rewrite(hits=np.zeros((5, 4))), rewrite(reached=np.zeros(5, np.uint8)), rewrite(thresholds=np.float64(0)),
    rewrite(guesses=np.zeros((5, 0), int)), rewrite(guesses=np.int64(1)), rewrite(guess_iou=np.zeros((5, 4))),
    rewrite(masks=np.zeros((5, 2, 4), np.uint32)), rewrite(excluded=np.zeros(6, bool)),
    rewrite(known_iou=np.full(5, np.nan)), rewrite(picture=np.array([0, 0, 1, 1, 9])), rewrite(picture=np.array([-1, 0, 1, 1, 2])), no_array,
    rewrite(right=np.array([{}] * 5, object)), rewrite(rank=np.array(["x"] * 5)),
    lambda folder: (folder / "curves.npz").write_bytes(b"PK\x03\x04" + bytes(100)),
    lambda folder: (folder / "pictures.csv").write_text("name\nx\n" * 5),
    lambda folder: (folder / "pictures.csv").write_bytes(b'"' + bytes(200_000)),
])
def test_damaged_and_hostile_records_are_one_line(tmp_path, damage):
    write_records(str(tmp_path), random_records(5, 1), ["a", "b", "c"])
    damage(tmp_path)
    with pytest.raises(InputError) as caught:
        read_records(str(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_records_know_which_rows_are_of_one_picture(tmp_path):
    def of(picture, name):
        count = 3
        return Records([f"{name}{row}" for row in range(count)], ["cat"] * count, np.arange(3.0), known_iou=np.zeros(count), baseline=np.zeros((count, 400), bool),
                       picture=None if picture is None else np.array(picture))

    both = of([0, 1, 1], "a").joined(of([0, 0, 1], "b"))
    assert both.picture.tolist() == [0, 1, 1, 2, 2, 3]
    assert both.rows([5, 3, 4, 1]).picture.tolist() == [2, 1, 1, 0]
    assert of(None, "a").joined(of([0, 0, 1], "b")).picture.tolist() == [0, 1, 2, 3, 3, 4] and of(None, "a").joined(of(None, "b")).picture is None
