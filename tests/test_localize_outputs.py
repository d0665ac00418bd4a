"""What can be taken away from localize.py: maps, masks, overlays, JSON, CSV, and runs that go on."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import cam_data.decoding
import cam_localization
import cam_localization.drawing
import cam_localization.pictures
import localization
import localize
import ops
import weights
from cam_base import InputError
from cam_base.version import VERSION
from cam_localization import names_to_show
from cam_localization.pictures import FileNames

from coloured import CLASSES, SIDE, colour_weights, evaluate, metadata_folder, paint

ROOT = os.path.dirname(os.path.abspath(localize.__file__))
RED, GREEN = (4, 8, 30, 40), (36, 20, 60, 50)


@pytest.fixture
def colours(monkeypatch, tmp_path):
    """A file of weights whose maps are how red, green and blue a picture is."""
    return colour_weights(monkeypatch, tmp_path)


@pytest.fixture
def pictures(tmp_path):
    """Two pictures, both called x.png, of other sizes than the network's input."""
    files = [str(tmp_path / folder / "x.png") for folder in "ab"]
    paint(files[0], (2 * SIDE, SIDE), red=(2 * RED[0], RED[1], 2 * RED[2], RED[3]))
    paint(files[1], red=RED, green=GREEN)
    return files


def run(out, *arguments):
    assert localize.main([*map(str, arguments), "--out", str(out)]) == 0
    return written(out)


def written(out):
    with open(os.path.join(out, "localizations.json"), encoding="utf-8") as file:
        return json.load(file)


def contents(folder):
    """{path below the folder: bytes} of all its files."""
    return {os.path.relpath(os.path.join(place, name), folder): open(os.path.join(place, name), "rb").read()
            for place, _, names in os.walk(folder) for name in names}


# ---------------------------------------------------------------- maps and masks

def test_maps_are_what_evaluate_reads(colours, tmp_path):
    """Judged from its maps on disk, a network has the figures that it has itself."""
    boxes = {f"{CLASSES[0].wnid}/{name}.png": [[x, 10, x + 20, 50]] for name, x in (("a", 0), ("b", 9), ("c", 40))}
    for name, (box,) in boxes.items():
        paint(str(tmp_path / "set" / name), red=box, green=(box[0], 50, 64, 64))
    metadata = metadata_folder(tmp_path / "metadata", boxes, [0, 0, 0])
    run(tmp_path / "out", tmp_path / "set", "--weights", colours, "--class", "red thing", "--maps", "npy")
    data = ["--metadata", metadata, "--data", tmp_path / "set"]
    own = evaluate(tmp_path / "own", *data, "--weights", colours)
    theirs = evaluate(tmp_path / "theirs", *data, "--scores", tmp_path / "out" / "maps" / "1")
    assert own["max_box_acc"] == theirs["max_box_acc"] and own["gt_known_localization"] == theirs["gt_known_localization"]
    assert own["max_box_acc_v2"] == theirs["max_box_acc_v2"] > 0.5


def test_maps_and_masks_are_those_of_the_call(colours, pictures, tmp_path):
    for form in ("npy", "png"):
        found = run(tmp_path / form, *pictures, "--weights", colours, "--top", "2", "--maps", form, "--masks")["pictures"]
        results = list(localization.load(colours).stream(pictures, top=2))
        for entry, result, name in zip(found, results, ("x", "x-2")):
            for place, (said, one) in enumerate(zip(entry["predictions"], result), 1):
                assert said["map"] == f"maps/{place}/{name}.{form}" and said["mask"] == f"masks/{place}/{name}.png"
                path = str(tmp_path / form / said["map"])
                if form == "npy":
                    kept = np.load(path, allow_pickle=False)
                    assert kept.dtype == np.float32
                    np.testing.assert_array_equal(kept, one.class_map)
                else:
                    levels = tf.io.decode_png(open(path, "rb").read(), dtype=tf.uint16).numpy()[..., 0]
                    assert levels.shape == result.size and levels.max() in (0, 65535)
                    assert abs(levels / 65535 - one.full_heat_map).max() <= 0.51 / 65535
                mask = np.asarray(Image.open(tmp_path / form / said["mask"]))
                np.testing.assert_array_equal(mask, np.where(one.mask, 255, 0))
    assert run(tmp_path / "plain", *pictures, "--weights", colours)["pictures"][0]["predictions"][0].keys().isdisjoint({"map", "mask", "boxes"})


def test_maps_and_masks_are_no_pictures_either(colours, pictures, tmp_path, capsys):
    folder = tmp_path / "a"
    for call in range(3):
        found = run(folder, folder, "--weights", colours, "--maps", "png", "--masks", "--overlay", "full", "--overlay-format", "png")
        assert [entry["image"] for entry in found["pictures"]] == [pictures[0]]
        assert ("Left out 9 files that localize.py drew" in capsys.readouterr().out) == (call > 0)


# ---------------------------------------------------------------- overlays

def test_full_overlays_are_as_large_as_the_picture_with_a_caption_below(colours, tmp_path):
    """Also of a picture that is decoded at a fraction of its size for the network."""
    small, large = str(tmp_path / "small.png"), str(tmp_path / "large.jpg")
    paint(small, (300, 240), red=(20, 20, 200, 200))
    paint(large, (5000, 4000), red=(500, 500, 3000, 3000))
    found = run(tmp_path / "out", small, large, "--weights", colours, "--overlay", "full", "--top", "2", "--overlay-format", "png",
                "--alpha", "0")["pictures"]
    for entry, (height, width) in zip(found, ((240, 300), (4000, 5000))):
        assert entry["overlay"] is None
        for place, said in enumerate(entry["predictions"], 1):
            assert said["overlay"] == f"overlays/{place}/{os.path.splitext(os.path.basename(entry['image']))[0]}.png"
            drawn = cam_data.read_picture(str(tmp_path / "out" / said["overlay"]))
            assert drawn.shape[1] == width and 1.1 * height < drawn.shape[0] < 1.2 * height
            caption = drawn[height:]
            assert (caption[..., 0] < 128).any() and (caption > 250).mean() > 0.8
        pixels = cam_data.read_picture(entry["image"])
        first = cam_data.read_picture(str(tmp_path / "out" / entry["predictions"][0]["overlay"]))[:height]
        assert (first == pixels).all(-1).mean() > 0.95  # all but the frame


def test_an_overlay_has_no_box_and_no_caption_where_none_is_wanted(colours, tmp_path):
    """At full size that is the picture itself where the map is transparent; what is said of it is the same."""
    file = str(tmp_path / "p.png")
    paint(file, (320, 240), red=(20, 20, 200, 200))
    options = [file, "--weights", colours, "--top", "1", "--overlay-format", "png", "--alpha", "0"]
    pixels, said = cam_data.read_picture(file), run(tmp_path / "plain", *options)["pictures"]
    for overlay, place in (("full", "overlays/1/p.png"), ("strip", "p.png")):
        bare = run(tmp_path / overlay, *options, "--overlay", overlay, "--boxes", "none", "--no-caption")["pictures"]
        drawn = cam_data.read_picture(str(tmp_path / overlay / place))
        np.testing.assert_array_equal(drawn[:, -320:], pixels)
        assert [found["box"] for found in bare[0]["predictions"]] == [found["box"] for found in said[0]["predictions"]]
        for others, height in ((["--boxes", "none"], 1.1 * 240), (["--no-caption"], 240)):
            run(tmp_path / overlay, *options, "--overlay", overlay, *others)
            one = cam_data.read_picture(str(tmp_path / overlay / place))
            assert (len(one) > height - 1) and ((one[:240, -320:] == pixels).all() == (others[0] == "--boxes"))
    for others, message in ((["--overlay", "none", "--no-caption"], "--no-caption does not go with --overlay none"),
                            (["--boxes", "none", "--all-boxes"], "--all-boxes does not go with --boxes none")):
        with pytest.raises(InputError, match=message):
            run(tmp_path / "bad", file, "--weights", colours, *others)


def test_a_box_of_the_whole_picture_is_no_frame(colours, tmp_path):
    """Dashes: along its border there are light and dark pixels, not one line of each."""
    paint(str(tmp_path / "whole.png"), red=(0, 0, SIDE, SIDE))
    paint(str(tmp_path / "part.png"), red=(0, 0, SIDE, SIDE - 8))
    options = ["--weights", colours, "--top", "1", "--overlay", "full", "--overlay-format", "png"]
    run(tmp_path / "out", tmp_path / "whole.png", tmp_path / "part.png", *options)
    whole, part = (cam_data.read_picture(str(tmp_path / "out" / "overlays" / "1" / name))[0] for name in ("whole.png", "part.png"))
    assert {tuple(pixel) for pixel in part} == {(255, 255, 255)}
    assert {tuple(pixel) for pixel in whole} == {(255, 255, 255), (20, 20, 20)}


def test_all_boxes_are_said_and_drawn(colours, tmp_path):
    two = str(tmp_path / "two.png")
    pixels = np.full((SIDE, SIDE, 3), 100, np.uint8)
    pixels[4:40, 4:30] = pixels[44:60, 40:60] = (255, 0, 0)
    Image.fromarray(pixels).save(two)
    options = [two, "--weights", colours, "--class", "red thing", "--overlay-format", "png"]
    for overlay in ("strip", "full"):
        one = run(tmp_path / f"{overlay}1", *options, "--overlay", overlay)["pictures"][0]["predictions"][0]
        every = run(tmp_path / f"{overlay}2", *options, "--overlay", overlay, "--all-boxes")["pictures"][0]["predictions"][0]
        boxes = every.pop("boxes")
        assert one == every and boxes[0]["box"] == one["box"] and len(boxes) == 2
        np.testing.assert_allclose(boxes[1]["box"], [40, 44, 60, 60], atol=1)  # the map's cells are of two pixels
        assert boxes[0]["area"] == pytest.approx(27 * 37, rel=0.1) and boxes[1]["value"] == pytest.approx(1)
        x, y = boxes[1]["peak"]
        assert 40 <= x < 60 and 44 <= y < 60
        name = "two.png" if overlay == "strip" else "overlays/1/two.png"
        plain, marked = (cam_data.read_picture(str(tmp_path / f"{overlay}{number}" / name)).astype(int) for number in (1, 2))
        changed = (plain != marked).any(-1)
        assert 20 < changed.sum() < changed.size / 4


# ---------------------------------------------------------------- JSON and CSV

def test_json_says_how_it_was_made(colours, pictures, tmp_path):
    said = run(tmp_path / "out", *pictures, "--weights", colours, "--class", "red thing", "--threshold", "0.3")["run"]
    assert said["version"] == VERSION and said["weights"] == colours and said["pictures"] == 2 and said["classes"] == [0]
    assert said["weights_sha256"] == subprocess.run(["sha256sum", colours], capture_output=True, text=True).stdout.split()[0]
    options = said["options"]
    assert options["threshold"] == 0.3 and options["scale"] == "min-max" and options["batch"] == 32 and options["crops"] == 1


def test_json_on_standard_output_is_all_that_is_there(colours, pictures, tmp_path, capsys):
    options = [*pictures, "--weights", colours, "--overlay", "none", "--out", str(tmp_path / "out")]
    assert localize.main([*options, "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "out").exists()
    assert localize.main([*options, "--json", str(tmp_path / "mine.json")]) == 0
    assert not (tmp_path / "out").exists() and "2 pictures" in capsys.readouterr().out
    in_file = json.loads((tmp_path / "mine.json").read_text())
    assert printed["pictures"] == in_file["pictures"] == run(tmp_path / "out", *options[:-2])["pictures"]


def test_csv_has_a_row_for_each_class(colours, pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    assert localize.main([*pictures, str(broken), "--weights", colours, "--csv", "--min-probability", "0.2", "--out", str(tmp_path / "out")]) == 2
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "localizations.csv").read_text())))
    entries = written(tmp_path / "out")["pictures"]
    flat = [(entry, one) for entry in entries for one in entry["predictions"] or [None]]
    assert len(rows) == len(flat) >= 3
    for row, (entry, one) in zip(rows, flat):
        assert row["image"] == entry["image"] and row["error"] == entry.get("error", "")
        if one:
            assert [int(row[name]) for name in ("x0", "y0", "x1", "y1")] == one["box"] and int(row["class"]) == one["class"]
            assert row["label"] == one["label"] and float(row["probability"]) == pytest.approx(one["probability"], abs=1e-6)
        else:
            assert row["class"] == row["x0"] == "" and "broken.png" in row["error"]


def test_pictures_of_one_name_are_told_apart_in_the_table(colours, pictures, tmp_path, capsys):
    run(tmp_path / "out", *pictures, "--weights", colours)
    said = capsys.readouterr().out
    assert "│ a/x.png │" in said and "│ b/x.png │" in said
    shown = names_to_show(["x.png", "a/x.png", "b/a/x.png", "c/y.png", "/c/x.png"])
    assert shown == {"x.png": "x.png", "a/x.png": "a/x.png", "b/a/x.png": "b/a/x.png", "c/y.png": "y.png", "/c/x.png": "c/x.png"}


def test_files_that_are_no_pictures_are_counted_by_their_endings(colours, pictures, tmp_path, capsys):
    for name in ("a/one.DCM", "a/two.dcm", "a/notes.txt", "a/README", "a/README.md", "a/.hidden"):
        (tmp_path / name).write_text("")
    run(tmp_path / "out", tmp_path / "a", "--weights", colours)
    assert f"{tmp_path / 'a'}: not taken for pictures: 2 .dcm, 1 .txt, 1 without an ending\n" in capsys.readouterr().out
    run(tmp_path / "b", tmp_path / "b", "--weights", colours, "--csv", "--maps", "npy")
    run(tmp_path / "b", tmp_path / "b", "--weights", colours)
    assert "not taken" not in capsys.readouterr().out  # what it wrote itself
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "slice.dcm").write_text("")
    with pytest.raises(InputError, match="no pictures in this folder .1 .dcm."):
        localize.main([str(tmp_path / "c"), "--weights", colours])


def test_preprocessing_is_taken_as_it_is_said(colours, pictures, tmp_path, monkeypatch):
    """In place of the weights' own, by the names of the weights file; each changes what the network is given."""
    given = []
    load = localization.load

    def kept(*arguments, **options):
        localizer = load(*arguments, **options)
        given.append(localizer.viewing)
        return localizer

    monkeypatch.setattr(localization, "load", kept)
    said = run(tmp_path / "out", *pictures, "--weights", colours, "--size", "96", "--mean", "1", "2", "3", "--deviation", "0.5", "0.25", "2",
               "--pixel-scale", "0.5", "--channels", "BGR", "--interpolation", "nearest")["run"]["options"]
    own = weights.load(colours).preprocessing
    assert given[0] == replace(own, size=96, mean=(1, 2, 3), deviation=(0.5, 0.25, 2), scale=0.5, channels="BGR", interpolation="nearest")
    assert said["size"] == 96 and said["channels"] == "BGR"
    run(tmp_path / "plain", *pictures, "--weights", colours)
    assert given[1] == own
    for options, message in ((["--deviation", "0", "1", "1"], "makes no sense"), (["--size", "7"], "--size is 7"), (["--mean", "1", "2"], "expected 3"),
                             (["--mean", "nan", "2", "3"], "--mean is nan")):
        with pytest.raises(InputError, match=message):
            localize.main([*pictures, "--weights", colours, *options])


# ---------------------------------------------------------------- runs that go on

def many(tmp_path, count):
    """A folder of pictures, one of which is broken."""
    folder = tmp_path / "many"
    for number in range(count):
        paint(str(folder / f"{number:04}.png"), red=(number % 20, 5, 40, 40), green=(41, number % 30, 64, 64))
    (folder / "0003.png").write_text("no picture")
    return str(folder)


OUTPUTS = ["--maps", "npy", "--csv", "--all-boxes", "--batch", "4", "--top", "2"]


@pytest.mark.parametrize("overlay", ["strip", "full"])
def test_a_run_that_goes_on_ends_with_the_same_files(colours, tmp_path, monkeypatch, capsys, overlay):
    """Stopped anywhere: after a part of a batch, before the first picture, or at the end."""
    arguments = [many(tmp_path, 11), "--weights", colours, "--overlay", overlay, *OUTPUTS]
    assert localize.main([*arguments, "--out", str(tmp_path / "whole")]) == 2
    whole = contents(tmp_path / "whole")
    stream, taken = localization.Localizer.stream, []

    def stopping(self, files, *others, **options):
        for number, result in enumerate(stream(self, files, *others, **options)):
            if number == stop_after:
                raise KeyboardInterrupt
            taken.append(result.source)
            yield result

    monkeypatch.setattr(localization.Localizer, "stream", stopping)
    monkeypatch.setattr(localize, "WRITERS", 1)
    for stop_after in (0, 7, 9, 11):
        out, taken = str(tmp_path / f"after{stop_after}"), []
        if stop_after < 11:
            with pytest.raises(KeyboardInterrupt):
                localize.main([*arguments, "--out", out])
        else:
            localize.main([*arguments, "--out", out])
        done = len(written(out)["pictures"]) if stop_after else 0
        open(os.path.join(out, ".unfinished-abc"), "w").close() if stop_after else None
        stop_after, taken = 99, []
        capsys.readouterr()
        assert localize.main([*arguments, "--resume", "--out", out]) == 2  # 0003.png
        before = done if done == 11 else done // 4 * 4
        assert f"{before} of 11 pictures were done before" in capsys.readouterr().out
        assert len(taken) == 11 - before  # whole batches are not looked at again
        assert contents(out) == whole


def test_only_the_same_run_goes_on(colours, tmp_path):
    folder, out = many(tmp_path, 5), str(tmp_path / "out")
    arguments = [folder, "--weights", colours, "--out", out]
    localize.main(arguments)
    before = contents(out)
    for other, message in ((["--batch", "2"], "batch was 32 and is 2"), (["--threshold", "0.5"], "threshold was 0.2 and is 0.5"),
                           (["--class", "red thing"], r"classes was null and is \[0\]"), (["--maps", "npy"], 'maps was null and is "npy"')):
        with pytest.raises(InputError, match=f"another run: {message}"):
            localize.main([*arguments, "--resume", *other])
    second = str(tmp_path / "other.npz")
    loaded = weights.load(colours)
    weights.save(second, loaded)
    with pytest.raises(InputError, match="another run: weights was"):
        localize.main([folder, "--weights", second, "--out", out, "--resume"])
    with open(colours, "rb") as file:
        kept = file.read()
    weights.save(colours, replace(loaded, provenance={"epochs": 1}))  # trained again, to the same name
    with pytest.raises(InputError, match="another run: weights_sha256 was"):
        localize.main([*arguments, "--resume"])
    with open(colours, "wb") as file:
        file.write(kept)
    paint(os.path.join(folder, "0001.png"), blue=(0, 0, 9, 9))
    with pytest.raises(InputError, match="another run: pictures_sha256 was"):
        localize.main([*arguments, "--resume"])
    assert contents(out) == before
    for text in ("[]", "{}", '{"run": {}, "pictures": 5}', '{"run": {}, "pictures": [5]}', "{", "[" * 100000, '{"run": 3, "pictures": []}'):
        (tmp_path / "out" / "localizations.json").write_text(text)
        with pytest.raises(InputError, match="not what localize.py writes|of another run"):
            localize.main([*arguments, "--resume"])


def test_what_was_deleted_since_is_made_again(colours, tmp_path):
    arguments = [many(tmp_path, 11), "--weights", colours, *OUTPUTS, "--masks"]
    out = tmp_path / "out"
    localize.main([*arguments, "--out", str(out)])
    whole = contents(out)
    for lost in ("0005.jpg", "maps/2/0000.npy", "masks/1/0010.png", "localizations.csv"):
        os.unlink(out / lost)
        localize.main([*arguments, "--out", str(out), "--resume"])
        assert contents(out) == whole


@pytest.mark.parametrize("change", [
    lambda entries: entries[0].update(image="other.jpg"), lambda entries: entries[0].update(predictions=[]), lambda entries: entries.extend(entries[:9]),
    lambda entries: entries.pop(0), lambda entries: entries[1]["predictions"][0].update(box="x"), lambda entries: entries.insert(0, 7),
    lambda entries: entries[1]["predictions"][0].update(probability=None), lambda entries: entries[2].update(width="1")])
def test_entries_that_were_edited_are_refused(colours, tmp_path, change):
    arguments = [many(tmp_path, 7), "--weights", colours, "--out", str(tmp_path / "out")]
    localize.main(arguments)
    held = written(tmp_path / "out")
    change(held["pictures"])
    (tmp_path / "out" / "localizations.json").write_text(json.dumps(held))
    with pytest.raises(InputError, match="not those that localize.py wrote"):
        localize.main([*arguments, "--resume"])


def test_no_name_that_an_entry_has_leads_elsewhere(colours, tmp_path):
    """An edited name of an overlay is none of this run's: the picture is done again."""
    arguments = [many(tmp_path, 3), "--weights", colours, "--out", str(tmp_path / "out")]
    localize.main(arguments)
    whole, held = contents(tmp_path / "out"), written(tmp_path / "out")
    held["pictures"][0]["overlay"] = "../../evil.jpg"
    (tmp_path / "out" / "localizations.json").write_text(json.dumps(held))
    localize.main([*arguments, "--resume"])
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("options, message", [
    (["--json", "PICTURE"], "call it .json"), (["--json", "x.csv"], "call it .json"), (["--json", "FOLDER.json"], "is a folder; name a file"),
    (["--maps", "npy", "--out", "BLOCKED"], "maps: cannot be written to"), (["--out", "TABLE"], "localizations.json: is a folder")])
def test_places_that_cannot_be_written_to_are_found_before_the_work(colours, pictures, tmp_path, monkeypatch, options, message):
    (tmp_path / "FOLDER.json").mkdir()
    (tmp_path / "BLOCKED").mkdir()
    (tmp_path / "BLOCKED" / "maps").write_text("")
    (tmp_path / "TABLE" / "localizations.json").mkdir(parents=True)
    monkeypatch.setattr(localization, "load", lambda *_, **__: pytest.fail("the work was begun"))
    before = open(pictures[0], "rb").read()
    options = [pictures[0] if one == "PICTURE" else str(tmp_path / one) if one.isupper() or one == "FOLDER.json" else one for one in options]
    with pytest.raises(InputError, match=message):
        localize.main([*pictures, "--weights", colours, *options])
    assert open(pictures[0], "rb").read() == before


def test_names_that_some_file_systems_do_not_tell_apart_are_two_names(tmp_path):
    """On macOS and Windows IMG_1.JPG and IMG_1.jpg are one file, and so are both spellings of an accent on macOS."""
    decomposed, composed = "cafe\u0301.JPG", "caf\u00e9"
    files = [str(tmp_path / name) for name in ("IMG_1.JPG", decomposed)]
    names = FileNames({".jpg": [tmp_path]}, files)
    assert [names.free(file) for file in files] == ["IMG_1-2", "cafe\u0301-2"]
    others = [*files, str(tmp_path / "b" / "img_1.png"), f"{composed}.png", "b/IMG_1.jpg"]
    names = FileNames({".jpg": [tmp_path / "out"]}, others)
    assert [names.free(file) for file in others] == ["IMG_1.JPG", decomposed, "img_1.png", f"{composed}.png", "IMG_1-2.jpg"]


def test_a_number_makes_no_name_that_another_picture_has(tmp_path):
    files = ["a/x.png", "b/x.png", "c/x-2.png", "d/x-2.png"]
    names = FileNames({".jpg": [tmp_path]}, files)
    assert [names.free(file) for file in files] == ["x", "x-3", "x-2", "x-2-2"]


def test_all_that_is_written_of_a_picture_is_called_alike(colours, tmp_path):
    """And evaluate.py reads the maps, where no other picture of the set is called so."""
    boxes = {f"{CLASSES[0].wnid}/{name}": [[x, 10, x + 20, 50]] for name, x in (("a.png", 0), ("a.jpg", 9), ("b.png", 40))}
    for name, (box,) in boxes.items():
        paint(str(tmp_path / "set" / name), red=box)
    for overlay in ("strip", "full"):
        entries = run(tmp_path / overlay, tmp_path / "set", "--weights", colours, "--class", "red thing", "--maps", "npy", "--masks", "--overlay", overlay)
        for entry in entries["pictures"]:
            (found,) = entry["predictions"]
            paths = [found["map"], found["mask"], entry["overlay"] or found["overlay"]]
            name = os.path.basename(entry["image"])
            name = "b" if name == "b.png" else name
            assert [os.path.basename(path) for path in paths] == [f"{name}.npy", f"{name}.png", f"{name}.jpg"]
    metadata = metadata_folder(tmp_path / "metadata", boxes, [0, 0, 0])
    data = ["--metadata", metadata, "--data", tmp_path / "set"]
    own = evaluate(tmp_path / "own", *data, "--weights", colours)
    theirs = evaluate(tmp_path / "theirs", *data, "--scores", tmp_path / "strip" / "maps" / "1")
    assert own["max_box_acc_v2"] == theirs["max_box_acc_v2"] > 0.5


# ---------------------------------------------------------------- several calls, one folder

def test_what_other_calls_left_is_said(colours, pictures, tmp_path, capsys):
    folder = tmp_path / "out"
    options = ["--weights", colours, "--masks", "--maps", "npy", "--csv", "--report"]
    run(folder, *pictures, *options)
    assert "other calls" not in capsys.readouterr().err
    run(folder, *pictures, *options)
    assert "other calls" not in capsys.readouterr().err
    Image.new("RGB", (9, 9)).save(folder / "mine.png")
    run(folder, pictures[0], "--weights", colours, "--top", "2", "--masks", "--maps", "npy")
    left = ["localizations.csv", "report.html", "x-2.jpg", *(f"maps/{place}/x-2.npy" for place in (1, 2)), "maps/3/x-2.npy", "maps/3/x.npy",
            *(f"masks/{place}/x-2.png" for place in (1, 2)), "masks/3/x-2.png", "masks/3/x.png"]
    said = capsys.readouterr().err
    assert f"{len(left)} files in {folder} are of other calls, and not of these results: {', '.join(left[:3])}, ..." in said
    settings = cam_localization.parse_localize(["--out", str(folder), "--masks", "--maps", "npy"])
    written = {f"{kind}/{place}/x.{ending}" for place in (1, 2) for kind, ending in (("maps", "npy"), ("masks", "png"))} | {"x.jpg"}
    assert sorted(cam_localization.of_other_calls(settings, written)) == sorted(left)
    assert set(left) <= set(contents(folder))
    run(tmp_path / "linked", *pictures, "--weights", colours, "--report", "--report-pictures", "linked")
    assert "other calls" not in capsys.readouterr().err
    run(tmp_path / "linked", pictures[0], "--weights", colours, "--report", "--report-pictures", "linked")
    assert "2 files in {} are of other calls, and not of these results: x-2.jpg, report-pictures/000002.jpg\n".format(
        tmp_path / "linked") in capsys.readouterr().err


def test_two_calls_at_once_into_one_folder(colours, pictures, tmp_path):
    """The second is refused before its work, and writes nothing; after the first it may begin. No lock stays."""
    folder = tmp_path / "out"
    with cam_localization.holding(cam_localization.parse_localize(["--out", str(folder)])):
        held = contents(folder)
        with pytest.raises(InputError, match=f"{folder}: another localize.py writes there; wait for its end, or choose another --out"):
            localize.main([*pictures, "--weights", colours, "--out", str(folder)])
        assert contents(folder) == held
        localize.main([*pictures, "--weights", colours, "--out", str(folder), "--overlay", "none", "--json", str(tmp_path / "mine.json")])
    assert not folder.exists()
    with cam_localization.holding(cam_localization.parse_localize(["--json", str(tmp_path / "mine.json"), "--overlay", "none"])):
        with pytest.raises(InputError, match="mine.json: another localize.py writes there; wait for its end, or choose another --json"):
            localize.main([*pictures, "--weights", colours, "--out", str(folder), "--json", str(tmp_path / "mine.json")])
    with pytest.raises(InputError):
        localize.main([*pictures, "--weights", colours, "--class", "zebra", "--out", str(folder)])
    assert not folder.exists()
    run(folder, *pictures, "--weights", colours)
    assert sorted(os.listdir(folder)) == ["localizations.json", "x-2.jpg", "x.jpg"]


def test_many_pictures_of_one_name_are_named_at_once(tmp_path, monkeypatch):
    """A number for each, counted on: 3,000 would be four million comparisons otherwise."""
    asked, key = [], cam_localization.pictures._key
    monkeypatch.setattr(cam_localization.pictures, "_key", lambda name: asked.append(name) or key(name))
    names = FileNames({".jpg": [tmp_path]}, [])
    found = [names.free(f"{folder}/image.png") for folder in range(3000)]
    assert found[:3] == ["image", "image-2", "image-3"] and len(set(found)) == 3000 and len(asked) < 25_000


def test_large_pictures_are_drawn_one_at_a_time(colours, tmp_path, monkeypatch):
    monkeypatch.setattr(cam_data.decoding, "LARGE", 1000)
    at_once, most, write = [], [], cam_localization.drawing.Outputs._write_all

    def noted(self, *arguments):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.02)
        found = write(self, *arguments)
        at_once.pop()
        return found

    monkeypatch.setattr(cam_localization.drawing.Outputs, "_write_all", noted)
    monkeypatch.setattr(localize, "WRITERS", 4)
    localize.main([many(tmp_path, 6), "--weights", colours, "--overlay", "full", "--out", str(tmp_path / "out")])
    assert most == [1] * 5  # one of the six is no picture


def test_a_file_that_was_sorted_since_is_gone_on_from(colours, tmp_path):
    arguments = [many(tmp_path, 5), "--weights", colours, "--out", str(tmp_path / "out")]
    localize.main(arguments)
    path = tmp_path / "out" / "localizations.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps(before, sort_keys=True))
    localize.main([*arguments, "--resume"])
    assert json.loads(path.read_text()) == before


def test_pictures_of_a_report_are_no_pictures_again(colours, pictures, tmp_path):
    for _ in range(2):
        found = run(tmp_path, tmp_path, "--weights", colours, "--report", "--report-pictures", "linked", "--overlay", "none")
        assert len(found["pictures"]) == 2 and len(os.listdir(tmp_path / "report-pictures")) == 2


def test_with_classes_left_out_each_folder_is_of_one_class(colours, tmp_path):
    paint(str(tmp_path / "set" / "a.png"), red=RED, green=GREEN)
    paint(str(tmp_path / "set" / "b.png"), green=GREEN)
    arguments = [tmp_path / "set", "--weights", colours, "--class", "red thing", "--class", "green thing", "--maps", "npy", "--overlay", "full"]
    every = run(tmp_path / "every", *arguments)
    chances = [found["probability"] for found in every["pictures"][1]["predictions"]]
    assert chances[0] < chances[1]
    for more in ([], ["--resume"]):
        out = run(tmp_path / "out", *arguments, "--min-probability", str(sum(chances) / 2), *more)
        (found,) = out["pictures"][1]["predictions"]
        assert found["label"] == "green thing" and found["map"] == "maps/2/b.npy" and found["overlay"] == "overlays/2/b.jpg"
        assert os.listdir(tmp_path / "out" / "maps" / "1") in (["a.npy"], [])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "maps" / "2" / "b.npy"), np.load(tmp_path / "every" / "maps" / "2" / "b.npy"))


def test_maps_of_pictures_of_one_name_are_not_taken_for_each_other(colours, tmp_path):
    boxes = {f"{CLASSES[0].wnid}/x.png": [[0, 10, 20, 50]], f"{CLASSES[1].wnid}/x.png": [[30, 10, 50, 50]]}
    for name, (box,) in boxes.items():
        paint(str(tmp_path / "set" / name), red=box)
    metadata = metadata_folder(tmp_path / "metadata", boxes, [0, 1])
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "x.png.npy", np.eye(8))
    with pytest.raises(InputError, match="no score map for this picture; other pictures, or rows, have its file's name"):
        evaluate(tmp_path / "out", "--metadata", metadata, "--data", tmp_path / "set", "--scores", tmp_path / "maps")


def test_boxes_of_coarse_score_maps_are_those_of_the_network(colours, tmp_path):
    """A box is not cut in whole cells of the map's own grid."""
    boxes = {f"{CLASSES[0].wnid}/{name}.png": [[x, 10, x + 23, 51]] for name, x in (("a", 1), ("b", 9), ("c", 38))}
    rng = np.random.default_rng(0)
    for name, (box,) in boxes.items():
        paint(str(tmp_path / "set" / name), red=box)
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "maps" / f"{name}.npy", rng.random((7, 7)))
    metadata = metadata_folder(tmp_path / "metadata", boxes, [0, 0, 0])
    found = evaluate(tmp_path / "out", "--metadata", metadata, "--scores", tmp_path / "maps", "--threshold", "0.6")
    ious = []
    for name, (box,) in boxes.items():
        heat_map = ops.normalise(tf.image.resize(np.load(tmp_path / "maps" / f"{name}.npy")[..., None], (224, 224))[..., 0].numpy())
        drawn = ops.boxes_from_heat_maps(heat_map, 0.6) * (SIDE / 224)
        ious.append(float(ops.iou(np.rint(drawn), np.array(box))))
    assert found["gt_known_mean_iou"] == pytest.approx(np.mean(ious), abs=1e-6)


def test_a_picture_called_like_a_result_is_not_written_over(colours, tmp_path):
    picture = tmp_path / "localizations.csv"
    Image.new("RGB", (20, 20)).save(picture, "PNG")
    with pytest.raises(InputError, match="localizations.csv: one of the pictures, which are never written over"):
        localize.main([str(picture), "--weights", colours, "--csv", "--out", str(tmp_path)])


@pytest.mark.slow
def test_a_thousand_pictures_killed_half_way(tmp_path):
    """By the hardest signal: half of the results are on disk, whole, and the rest is added."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(1000):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize((320, 240)).save(tmp_path / "in" / f"{number:04}.jpg")

    def start(out, *options):
        return subprocess.Popen([sys.executable, os.path.join(ROOT, "localize.py"), "in", "--weights", "tiny-imagenet-100",
                                 "--out", out, "--maps", "npy", "--csv", *options], cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    assert start("whole").wait(timeout=600) == 0
    running = start("killed")
    while not (tmp_path / "killed").exists() or len(os.listdir(tmp_path / "killed")) < 500:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=60)
    done = len(written(tmp_path / "killed")["pictures"])
    assert 450 < done < 1000
    with open(tmp_path / "killed" / "localizations.csv") as file:
        assert len(list(csv.DictReader(file))) in (3 * done, 3 * done - 3)
    again = start("killed", "--resume")
    said, _ = again.communicate(timeout=600)
    assert again.returncode == 0 and f"{done // 32 * 32} of 1,000 pictures were done before" in said
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
