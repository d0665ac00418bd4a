"""What the programs write for the page, and how a page is served: by reading it, without a browser."""

import base64
import contextlib
import csv
import http.client
import io
import json
import mimetypes
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import cam_data.walking
import cam_evaluation.page
import cam_localization
import cam_report.page
import evaluate as evaluate_program
import localization
import localize
import ops
from cam_base import Category, InputError
from cam_localization.server import names_of
from cam_report.kept import read_kept, write_kept
from coloured import CLASSES, colour_weights, evaluate, metadata_folder, paint
from small_reports import shown

ROOT = os.path.dirname(os.path.abspath(localize.__file__))
RED = CLASSES[0].wnid
BOXES = {"a": (4, 4, 40, 40), "b": (8, 20, 50, 60), "c": (30, 2, 60, 30)}


def parts(path):
    """(what the page knows at once, what it knows of each picture)."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    held = [json.loads(found) for found in re.findall(r'id="item-\d+">(.*?)</script>', page)]
    return json.loads(re.search(r'id="report">(.*?)</script>', page)[1]), held


def boxes_at(view, step):
    count = np.frombuffer(base64.b64decode(view["n"]), np.uint8)
    boxes = np.frombuffer(base64.b64decode(view["b"]), "<u2").reshape(-1, 4)
    first = int(count[:step].sum())
    return boxes[first:first + int(count[step])].astype(int)


@pytest.fixture
def boxed(tmp_path, monkeypatch):
    """(arguments of a data set, arguments of a network, folder)."""
    for name, box in BOXES.items():
        paint(str(tmp_path / "set" / RED / f"{name}.png"), red=box, green=(0, 61, 64, 64) if name == "b" else (0, 62, 64, 64))
    metadata = metadata_folder(tmp_path / "metadata", {f"{RED}/{name}.png": [box] for name, box in BOXES.items()}, [0] * 3)
    return ["--metadata", metadata, "--data", tmp_path / "set"], ["--weights", colour_weights(monkeypatch, tmp_path)], tmp_path


def test_the_page_of_localize_shows_what_it_wrote(boxed):
    _, network, folder = boxed
    bad = folder / "bad.png"
    bad.write_text("no picture")
    assert localize.main([str(folder / "set"), str(bad), *network, "--report", "--out", str(folder / "out"), "--threshold", "0.3"]) == 2
    with open(folder / "out" / "localizations.json", encoding="utf-8") as file:
        written = json.load(file)["pictures"]
    report, held = parts(folder / "out" / "report.html")
    assert len(report["items"]) == len(held) == len(written) == 4
    for item, view_of, entry in zip(report["items"], held, written):
        assert item["name"] == os.path.basename(entry["image"])
        if "error" in entry:
            assert item["error"] == entry["error"] and not view_of["views"] and not view_of["picture"]
            continue
        assert (item["w"], item["h"]) == (entry["width"], entry["height"])
        for view, found in zip(view_of["views"], entry["predictions"], strict=True):
            own = localization.to_picture(boxes_at(view, 30)[:1], view["s"], item["h"], item["w"])[0]
            assert own.tolist() == found["box"] == view["drawn"] and view["t"] == 0.3 and view["p"] == pytest.approx(found["probability"])
            assert report["names"][view["c"]] == [found["label"], found["wnid"], found["label"]]
        picture = tf.io.decode_jpeg(base64.b64decode(view_of["picture"].partition(",")[2]))
        assert picture.shape == (240, 240, 3)


@pytest.mark.parametrize("asked, linked", [([], False), (["--report-pictures", "linked"], True), (["--report-pictures", "within"], False)])
@pytest.mark.parametrize("most", [1000, 2])
def test_of_many_pictures_the_page_has_them_beside_it(boxed, monkeypatch, asked, linked, most):
    _, network, folder = boxed
    monkeypatch.setattr(cam_report.page, "MOST_WITHIN", most)
    assert localize.main([str(folder / "set"), *network, "--report", "--out", str(folder / "out"), *asked]) == 0
    _, held = parts(folder / "out" / "report.html")
    beside = linked or not asked and most == 2  # there are three
    assert [of["picture"].startswith("report-pictures/0000") for of in held] == [beside] * 3
    assert (folder / "out" / "report-pictures").exists() == beside


def test_the_page_of_an_evaluation_has_its_figures_and_true_boxes(boxed):
    data, network, folder = boxed
    metrics = evaluate(folder / "out", *data, *network, "--report", "--threshold", "0.4")
    report, held = parts(folder / "out" / "report.html")
    with open(folder / "out" / "pictures.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [item["name"] for item in report["items"]] == [row["id"] for row in rows] and {view["t"] for of in held for view in of["views"]} == {0.4}
    for item, of, row, box in zip(report["items"], held, rows, BOXES.values()):
        assert item["iou"] == pytest.approx(float(row["gt_known_iou"]), abs=1e-4) and of["truth"] == [list(box)]
        assert item["right"] == (row["rank"] == "1")
        drawn = localization.to_picture(boxes_at(of["views"][0], 40)[:1], of["views"][0]["s"], item["h"], item["w"])[0]
        assert float(ops.iou(drawn, np.array(box))) == pytest.approx(item["iou"])
    figures = {row[0]: row[1] for row in report["figures"]}
    assert figures["gt_known_localization"] == f"{metrics['gt_known_localization']:.4f}" and "centre_box_baseline" in figures
    (curve,) = report["curves"]
    assert curve["slider"] and max(curve["lines"]["max_box_acc"]) == pytest.approx(metrics["max_box_acc"])
    assert report["tables"][0]["rows"][0][0] == "red thing" and dict(report["settings"])["threshold"] == "0.4"


def test_score_maps_have_a_page_too(boxed):
    data, _, folder = boxed
    (folder / "maps").mkdir()
    for name, (x0, y0, x1, y1) in BOXES.items():
        np.save(folder / "maps" / f"{name}.png.npy", np.pad(np.ones((y1 - y0, x1 - x0)), [(y0, 64 - y1), (x0, 64 - x1)]))
    evaluate(folder / "out", *data, "--scores", folder / "maps", "--report")
    report, held = parts(folder / "out" / "report.html")
    assert [item["iou"] for item in report["items"]] == [1, 1, 1] and [item["right"] for item in report["items"]] == [None] * 3
    assert all(of["views"][0]["p"] is None and localization.to_picture(boxes_at(of["views"][0], 50)[0], of["views"][0]["s"], 64, 64).tolist() == of["truth"][0] for of in held)


def test_a_picture_that_is_missing_changes_no_figure_of_score_maps(boxed):
    (_, metadata, *_), _, folder = boxed
    (folder / "maps").mkdir()
    for name in BOXES:
        np.save(folder / "maps" / f"{name}.png.npy", np.eye(9))
    found = evaluate(folder / "out", "--metadata", metadata, "--scores", folder / "maps")
    shown = evaluate(folder / "shown", "--metadata", metadata, "--scores", folder / "maps", "--report")
    assert found == shown and found["pictures"] == 3
    report, held = parts(folder / "shown" / "report.html")
    assert len(report["items"]) == 3 and all(of["picture"] == "" for of in held)


def test_of_an_earlier_evaluation_no_drawing_stays(boxed):
    data, network, folder = boxed
    evaluate(folder / "out", *data, *network, "--report", "--report-pictures", "linked", "--overlays", "worst:2")
    assert len(os.listdir(folder / "out" / "worst")) == 2 and len(os.listdir(folder / "out" / "report-pictures")) == 3
    (folder / "out" / "worst" / "notes.txt").write_text("of somebody")
    evaluate(folder / "out", *data, *network)
    assert os.listdir(folder / "out" / "worst") == ["notes.txt"] and os.listdir(folder / "out" / "report-pictures") == []


def test_two_evaluations_beside_each_other_need_neither_network_nor_pictures(boxed, capsys):
    data, network, folder = boxed
    # Beside the red of one picture is fainter red, which only the lower threshold takes for its own.
    paint(str(folder / "set" / RED / "a.png"), red=BOXES["a"], green=(0, 62, 64, 64))
    with Image.open(folder / "set" / RED / "a.png") as image:
        pixels = np.array(image)
    pixels[BOXES["a"][1]:60, BOXES["a"][2]:62] = (180, 100, 100)
    Image.fromarray(pixels).save(folder / "set" / RED / "a.png")
    ious = {}
    for name, threshold in (("low", "0.2"), ("high", "0.9")):
        evaluate(folder / name, *data, *network, "--threshold", threshold)  # every evaluation keeps its maps
        assert not os.path.exists(folder / name / "report.html")
        with open(folder / name / "pictures.csv", encoding="utf-8") as file:
            ious[name] = {row["id"]: float(row["gt_known_iou"]) for row in csv.DictReader(file)}
    assert ious["low"][f"{RED}/a.png"] < 0.5 < ious["high"][f"{RED}/a.png"]
    os.rename(folder / "set", folder / "gone")
    os.unlink(network[1])
    arguments = ["--compare", str(folder / "low"), str(folder / "high"), "--report", "--out", str(folder / "both")]
    assert evaluate_program.main(arguments) == 0
    report, held = parts(folder / "both" / "report.html")
    assert report["runs"] == ["A", "B"] and report["rules"] == ["paper", "paper"]
    for item, of in zip(report["items"], held):
        assert [view["run"] for view in of["views"][:2]] == ["A", "B"] and of["views"][0]["b"] == of["views"][1]["b"]
        assert [view["t"] for view in of["views"][:2]] == [0.2, 0.9]
        # What each side is opened with is what its evaluation judged.
        assert [iou_of(view, of) for view in of["views"][:2]] == pytest.approx([ious[name][item["name"]] for name in ("low", "high")], abs=1e-4)
        assert item["change"] == pytest.approx(ious["low"][item["name"]] - ious["high"][item["name"]], abs=1e-4)
        assert of["picture"].startswith("data:image/jpeg")
    (changed,) = report["tables"]
    assert changed["title"].startswith("1 picture whose box is right in one only") and [row[0] for row in changed["rows"]] == [f"{RED}/a.png"]
    assert changed["rows"][0][1:] == pytest.approx([ious["low"][f"{RED}/a.png"], ious["high"][f"{RED}/a.png"],
                                                    ious["low"][f"{RED}/a.png"] - ious["high"][f"{RED}/a.png"]], abs=1e-4)
    assert {row[0] for row in report["figures"]} >= {"gt_known_localization", "max_box_acc"}
    assert ["threshold", "0.2   and   0.9"] in report["settings"] and "report: " in capsys.readouterr().out
    os.unlink(folder / "high" / "maps.npz")
    with pytest.raises(InputError, match="maps.npz; evaluate.py writes it, unless"):
        evaluate_program.main(arguments)


def iou_of(view, held):
    """That of the box that a view is opened with, and the picture's true ones."""
    return float(ops.iou(np.array(view["drawn"]), np.array(held["truth"])).max())


@pytest.mark.parametrize("how", [("--threshold", "0.385"), ("--boxes", "peak"), ("--boxes", "authors"), ("--threshold", "crossfit")])
def test_a_page_is_opened_with_the_boxes_of_its_table(boxed, how):
    """At a threshold between two steps of the slider, by another rule, and where halves of the pictures have thresholds of their own."""
    data, network, folder = boxed
    noise = np.random.default_rng(0)
    for name, box in BOXES.items():  # shades of red, so that every threshold has another box
        pixels = np.array(Image.open(folder / "set" / RED / f"{name}.png"))
        pixels[..., 0] = np.clip(pixels[..., 0] + 50 * noise.random(pixels.shape[:2]) * (pixels[..., 1] == 100), 0, 255)
        Image.fromarray(pixels).save(folder / "set" / RED / f"{name}.png")
    metrics = evaluate(folder / "own", *data, *network, *how, "--report")
    evaluate(folder / "other", *data, *network, "--threshold", "0.9")
    assert evaluate_program.main(["--compare", str(folder / "other"), str(folder / "own"), "--report", "--out", str(folder / "both")]) == 0
    with open(folder / "own" / "pictures.csv", encoding="utf-8") as file:
        ious = {row["id"]: float(row["gt_known_iou"]) for row in csv.DictReader(file)}
    for page, side in (("own", 0), ("both", 1)):
        report, held = parts(folder / page / "report.html")
        assert report["rules"][side] == metrics["boxes"]
        for item, of in zip(report["items"], held, strict=True):
            assert iou_of(of["views"][side], of) == pytest.approx(ious[item["name"]], abs=1e-4)
    thresholds = {view["t"] for of in held for view in of["views"] if view["run"] == "B"}
    if metrics["boxes"] != "authors":
        assert thresholds <= set(np.ravel(metrics["threshold"]))


def test_maps_of_another_version_are_named(boxed):
    data, network, folder = boxed
    evaluate(folder / "out", *data, *network)
    path = folder / "out" / "maps.npz"
    np.savez(path, **{name: array for name, array in np.load(path).items() if name not in ("drawn", "threshold")})
    with pytest.raises(InputError, match="maps.npz: has no drawn, threshold, as another version wrote it: judge again"):
        read_kept(str(folder / "out"))


def test_maps_are_kept_of_so_many_pictures_at_most(boxed):
    data, network, folder = boxed
    for most, kept in (("3", True), ("2", False), ("0", False)):  # of an earlier evaluation nothing stays
        evaluate(folder / "out", *data, *network, "--keep-maps", most)
        assert os.path.exists(folder / "out" / "maps.npz") == kept
    evaluate(folder / "out", *data, *network, "--threshold", "crossfit")
    assert sorted(one.name for one in read_kept(str(folder / "out"))) == [f"{RED}/{name}.png" for name in BOXES]


def test_what_is_kept_comes_back(tmp_path):
    every = [shown(number) for number in range(5)]
    write_kept(str(tmp_path), [])
    assert read_kept(str(tmp_path)) == []
    every[2].views, every[3].true_boxes, every[4].iou, every[4].right = [], [], None, None
    write_kept(str(tmp_path), every)
    for one, again in zip(every, read_kept(str(tmp_path)), strict=True):
        assert (one.name, one.size, one.picture, one.true, one.guess, one.right, one.iou) == (
            again.name, again.size, again.picture, again.true, again.guess, again.right, again.iou)
        assert np.array_equal(np.reshape(one.true_boxes, (-1, 4)), np.reshape(again.true_boxes, (-1, 4)))
        for view, other in zip(one.views, again.views, strict=True):
            np.testing.assert_array_equal(view.grid, other.grid)
            for array, read in zip(view.steps, other.steps):
                np.testing.assert_array_equal(array, read)
            assert (view.threshold, view.box) == (other.threshold, other.box)
            assert view.category == other.category and view.probability == pytest.approx(other.probability)


def test_damaged_maps_are_one_line(tmp_path):
    write_kept(str(tmp_path), [shown(number) for number in range(3)])
    path = tmp_path / "maps.npz"
    whole = dict(np.load(path))
    changes = [(name, array[:-1]) for name, array in whole.items()] + [
        ("count", np.zeros_like(whole["count"])), ("grid_size", whole["grid_size"] * 1000), ("category", whole["category"] + 99),
        ("picture_end", whole["picture_end"][::-1]), ("names", np.frombuffer(b'{"ids": 5}', np.uint8)), ("box", whole["box"].astype(float)),
        ("names", np.frombuffer(json.dumps({"ids": [[], 2, None], "categories": [[None, "a"]] * 3}).encode(), np.uint8)),
        ("size", np.zeros_like(whole["size"])), ("threshold", whole["threshold"] + 1), ("drawn", whole["drawn"] - 9)]
    for name, array in changes:
        np.savez(path, **whole | {name: array})
        with pytest.raises(InputError, match="maps.npz is damaged") as caught:
            read_kept(str(tmp_path))
        assert "\n" not in str(caught.value)
    np.savez(path, **whole | {"names": np.array([object()])})
    with pytest.raises(InputError, match="damaged"):
        read_kept(str(tmp_path))
    path.write_bytes(b"PK" + bytes(100))
    with pytest.raises(InputError, match="damaged"):
        read_kept(str(tmp_path))


@pytest.mark.parametrize("arguments, message", [
    (["x.jpg", "--report", "--resume"], "--report does not go with --resume"),
    (["x.jpg", "--report-pictures", "linked"], "--report-pictures does not go with no --report"),
    (["x.jpg", "--serve"], "a picture does not go with --serve"), (["--serve", "--maps", "npy"], "--maps does not go with --serve"),
    (["--host", "0.0.0.0"], "--host does not go with no --serve"), (["--allow-host", "x"], "--allow-host does not go with no --serve"), (["--serve", "99999"], "--serve is 99999")])
def test_options_that_would_change_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        cam_localization.parse_localize(arguments)


# ---------------------------------------------------------------- the server

@pytest.fixture
def server(boxed):
    localizer = localization.load(boxed[1][1])
    running = cam_localization.Server("127.0.0.1", 0, lambda pixels, classes: localizer(pixels, 2, classes or None), b"<!doctype html>the page",
                                      1_000_000, ["localhost:9000", "Cam.example.org"])
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join(10)


def ask(server, method="POST", path="/look", body=b"", **headers):
    """(status, body) of a request; underscores of headers are dashes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    port = server.server_address[1]
    sent = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value.replace("PORT", str(port)))
    connection.endheaders()
    connection.send(body)
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def test_a_dropped_picture_is_looked_at_and_not_written(server, boxed):
    folder = boxed[2]
    before = sorted(os.listdir(folder))
    with open(folder / "set" / RED / "a.png", "rb") as file:
        status, body, headers = ask(server, body=file.read(), X_Picture_Name="a%20%1B%5B2J.png", Origin="http://127.0.0.1:PORT")
    found = json.loads(body)
    assert status == 200 and found["item"]["name"] == "a \\x1b[2J.png" and found["seconds"] < 30
    views = found["held"]["views"]
    assert len(views) == 2 and found["names"][views[0]["c"]][0] == "red thing"
    np.testing.assert_allclose(boxes_at(views[0], 20)[0], BOXES["a"], atol=1)
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert sorted(os.listdir(folder)) == before
    assert ask(server, "GET", "/")[:2] == (200, b"<!doctype html>the page") and ask(server, "GET", "/etc/passwd")[0] == 404


def test_other_pages_and_other_names_are_refused(server):
    for headers in ({"Host": "evil.example"}, {"Host": "evil.example:PORT"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Origin": "https://127.0.0.1:PORT"}, {"Sec_Fetch_Site": "cross-site"}, {"Host": None}):
        for method, path in (("GET", "/"), ("POST", "/look")):
            status, body, _ = ask(server, method, path, b"x", **headers)
            assert status == 403 and b"asked by another page" in body, headers
    assert ask(server, "GET", "/", Host="localhost:PORT")[0] == 200


def test_what_is_refused_for_its_name_is_told_the_cure(server):
    """As browsers say it behind `ssh -L` with another port, and behind a proxy with TLS that hands `Host` on, or does not."""
    for headers, name in (({"Host": "localhost:9001"}, "localhost:9001"), ({"Origin": "https://proxy.example"}, "proxy.example"),
                          ({"Host": "proxy.example:81", "Origin": "https://proxy.example:81"}, "proxy.example:81"), ({"Host": "[::1]:9"}, "[::1]:9")):
        status, told, _ = ask(server, body=b"x", **headers)
        assert status == 403 and json.loads(told)["error"].endswith(f"; where that is {name}, start it with --allow-host {name}")
    for headers in ({"Host": "<b>x</b>"}, {"Origin": "null"}, {"Origin": "file://"}, {"Sec_Fetch_Site": "cross-site"}):
        status, told, _ = ask(server, "GET", "/", **headers)
        assert status == 403 and b"--allow-host" not in told


def test_names_that_are_allowed_are_answered(server):
    for headers in ({"Host": "localhost:9000", "Origin": "http://localhost:9000", "Sec_Fetch_Site": "same-origin"}, {"Host": "LOCALHOST:9000"},
                    {"Host": "cam.example.org", "Origin": "https://cam.example.org"}, {"Origin": "https://cam.example.org"}, {"Host": "cam.example.org:444"}):
        assert ask(server, "GET", "/", **headers)[0] == 200, headers
    for headers in ({"Host": "localhost:9001"}, {"Host": "localhost:9000", "Origin": "http://evil.example"}, {"Host": "xcam.example.org"},
                    {"Host": "cam.example.org", "Sec_Fetch_Site": "cross-site"}):
        assert ask(server, "GET", "/", **headers)[0] == 403, headers
    for name in ("http://localhost:9000", "localhost:9000/", "a b", ""):
        with pytest.raises(InputError, match="--allow-host .*as it stands in the browser's address"):
            cam_localization.Server("127.0.0.1", 0, None, b"", allowed=[name])


def test_many_clients_at_once_all_have_their_answers(boxed):
    """All of them come before the server takes the first one."""
    localizer = localization.load(boxed[1][1])
    running = cam_localization.Server("127.0.0.1", 0, lambda pixels, _: localizer(pixels, 1), b"")
    with open(boxed[2] / "set" / RED / "a.png", "rb") as file:
        picture = file.read()
    clients = [http.client.HTTPConnection("127.0.0.1", running.server_address[1], timeout=0.5) for _ in range(40)]
    for client in clients:
        client.connect()  # of a queue that is full, in vain
        client.sock.settimeout(60)
        client.request("POST", "/look", picture)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        answers = [client.getresponse() for client in clients]
        assert [answer.status for answer in answers] == [200] * 40
        assert all(json.loads(answer.read())["predictions"][0]["label"] == "red thing" for answer in answers)
    finally:
        running.shutdown()
        running.server_close()
        thread.join(10)


def test_a_refusal_is_heard_behind_what_was_not_read(server):
    """By a client that sends all of it before it listens."""
    for headers, status in (({"Host": "proxy.example"}, 403), ({"Content_Length": "40000000"}, 413), ({"Content_Type": "multipart/form-data; boundary=x"}, 415)):
        assert ask(server, body=bytes(8_000_000), **headers)[0] == status


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "AVIF", "JPEG2000", "GIF", "BMP"])
def test_every_form_of_picture_is_looked_at(server, boxed, kind):
    with Image.open(boxed[2] / "set" / RED / "a.png") as image:
        file = io.BytesIO()
        image.convert("RGB").save(file, kind)
    status, body, _ = ask(server, body=file.getvalue())
    found = json.loads(body)["predictions"][0]
    assert status == 200 and found["label"] == "red thing"
    np.testing.assert_allclose(found["box"], BOXES["a"], atol=2)


def test_the_page_lets_every_form_be_chosen():
    page = cam_localization.page_to_serve("x", cam_report.About()).decode()
    accepted, several = re.search(r'id="file" accept="([^"]*)"( multiple)', page).groups()
    for ending in cam_data.walking.ENDINGS:
        assert ending in accepted or mimetypes.types_map.get(ending, "").startswith("image/") and "image/*" in accepted, ending


def test_a_class_is_asked_for(server, boxed):
    """The answer is as localizations.json has it."""
    path = boxed[2] / "set" / RED / "b.png"
    with open(path, "rb") as file:
        picture = file.read()
    localizer = localization.load(boxed[1][1])
    blue, green = localizer(str(path), classes=["blue thing", "green thing"])
    status, body, _ = ask(server, path="/look?class=blue+thing&class=green%20thing", body=picture, X_Picture_Name="b.png")
    told = json.loads(body)
    assert status == 200 and (told["image"], told["width"], told["height"]) == ("b.png", 64, 64)
    assert told["predictions"] == [{"class": one.number, "wnid": one.wnid, "label": one.label, "probability": pytest.approx(one.probability),
                                    "box": list(one.box), "peak": list(one.peak)} for one in (blue, green)]
    assert [told["names"][view["c"]][0] for view in told["held"]["views"]] == ["blue thing", "green thing"]
    for path, message in (("/look?class=dragon", "no class of these weights is called 'dragon'"), ("/look?" + "class=0&" * 21, "at most 20")):
        status, body, _ = ask(server, path=path, body=picture)
        assert status == 422 and message in json.loads(body)["error"]


def test_hostile_uploads_are_one_line(server):
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    for body, headers, expected, message in (
            (b"no picture", {}, 422, "no JPEG, PNG, GIF, BMP"), (bomb, {}, 422, "megapixels"), (b"", {}, 411, "no picture"),
            (b"x", {"Content_Length": "99999999999"}, 413, "at most"), (b"x", {"Content_Length": "-5"}, 411, "no picture"),
            (b"x", {"Content_Length": None}, 411, "no picture"), (ops.encode_jpeg(np.zeros((9, 9, 3), np.uint8))[:-60], {}, 422, "")):
        status, told, _ = ask(server, body=body, **headers)
        error = json.loads(told)["error"]
        assert status == expected and message in error and "\n" not in error and "these bytes" not in error
    assert ask(server, "GET", "/")[0] == 200  # it is still there


def test_a_picture_that_comes_too_slowly_is_given_up(server, monkeypatch):
    monkeypatch.setattr("cam_localization.server.PATIENCE", 0.2)
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.putrequest("POST", "/look")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    began = time.monotonic()
    while not select.select([connection.sock], [], [], 0.05)[0] and time.monotonic() < began + 20:  # each byte in time by itself
        with contextlib.suppress(OSError):
            connection.send(b"x")
    answer = connection.getresponse()
    assert answer.status == 422 and b"took too long" in answer.read()
    connection.close()


@pytest.mark.parametrize("host, port, known", [
    ("127.0.0.1", 8765, {"127.0.0.1:8765", "localhost:8765"}), ("127.0.0.1", 80, {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}),
    ("MyBox", 8765, {"mybox:8765"}), ("0.0.0.0", 80, None), ("::", 80, None), ("::1", 8765, {"[::1]:8765"})])
def test_a_server_knows_its_names_as_browsers_say_them(host, port, known):
    assert names_of(host, port) == known


def test_a_fault_of_the_network_is_said_on_both_sides(server, capsys, monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(server, "look", fail)
    picture = io.BytesIO()
    Image.new("RGB", (9, 9)).save(picture, "PNG")
    status, body, _ = ask(server, body=picture.getvalue(), X_Picture_Name="a.png")
    assert status == 500 and json.loads(body)["error"] == "MemoryError: no room"
    assert capsys.readouterr().err == "localize.py: a.png: MemoryError: no room\n"


def test_classes_whose_first_name_is_one_stay_two():
    encoder = cam_report.Encoder()
    numbers = [encoder._number(one) for one in ((None, "crane"), (None, "crane, lifting device"), (None, "crane"), ("n1", "crane"))]
    assert numbers == [0, 1, 0, 2] and encoder.names == [
        ["crane", "", "crane"], ["crane, lifting device", "", "crane, lifting device"], ["crane (n1)", "n1", "crane"]]


def test_an_address_of_ipv6_is_served():
    try:
        running = cam_localization.Server("::1", 0, None, b"the page")
    except InputError:
        pytest.skip("this machine has no IPv6")
    thread = threading.Thread(target=running.handle_request)
    thread.start()
    with urllib.request.urlopen(running.address, timeout=20) as answer:
        assert running.address.startswith("http://[::1]:") and answer.read() == b"the page"
    thread.join(10)
    running.server_close()


def test_a_port_that_is_taken_is_one_line(server):
    with pytest.raises(InputError, match=f"--serve {server.server_address[1]} --host 127.0.0.1: cannot be listened on"):
        cam_localization.Server("127.0.0.1", server.server_address[1], None, b"")


@pytest.mark.slow
def test_ctrl_c_ends_the_server(tmp_path):
    """The program as it is started, and asked once."""
    running = subprocess.Popen([sys.executable, os.path.join(ROOT, "localize.py"), "--serve", "0", "--weights", "tiny-imagenet-100"],
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # where a shell's & ignores it
    said = running.stdout.readline()
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)", said)[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with open(os.path.join(ROOT, "samples", "coffee.jpg"), "rb") as file:
        connection.request("POST", "/look", file.read())
    assert connection.getresponse().status == 200
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0 and "ended" in out and "Traceback" not in err and time.monotonic() - began < 10
    assert os.listdir(tmp_path) == []


def test_classes_whose_names_begin_alike_are_told_apart_on_a_page(tmp_path):
    """In the table of what was taken for what, on the page, and where the network knows another class of the name, which no picture shows."""
    good, bad = Category(None, "Holz, gut"), Category(None, "Holz, schlecht")
    shown = [cam_report.Shown("a.png", (9, 9), b"", true=good, guess=bad, right=False)]
    assert cam_evaluation.page._confusions(shown)["rows"] == [["Holz, gut", "Holz, schlecht", 1]]
    encoder = cam_report.Encoder({good: "Holz, gut"})
    encoder.encode(cam_report.Shown("a.png", (9, 9), b"", true=good), "")
    assert encoder.names == [["Holz, gut", "", "Holz, gut"]]
