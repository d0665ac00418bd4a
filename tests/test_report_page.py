"""report.html in a browser: its slider's boxes are Python's, it can be filtered and steered, and nothing in it is taken for code."""

import json
import os
import re
import threading
import time

import numpy as np
import pytest
from coloured import CLASSES as COLOUR_CLASSES
from coloured import SIDE, Colours, paint
from small_reports import CLASSES, NASTY, browser_or_skip, errors, heat_map, opened, picture_of, save_report, shown

import cam_localization
import localization
import ops
from cam_base import InputError, Preprocessing
from cam_report import About, PageWriter, view
from localization.boxes import paper_boxes, to_picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    driver = browser_or_skip()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return save_report(str(tmp_path_factory.mktemp("report")), 30, names=["first.jpg", "second.jpg", NASTY])


def run(browser, script, *arguments):
    return browser.execute_script(script, *arguments)


def text(browser, id):
    return browser.find_element("id", id).text


def give(browser, **values):
    """Give controls values, as a person does."""
    for id, value in values.items():
        run(browser, "const one = document.getElementById(arguments[0]); one.value = arguments[1]; one.dispatchEvent(new Event('input'))", id, str(value))


def press(browser, key):
    browser.switch_to.active_element.send_keys(key)


def hooks(browser, path, tmp_path):
    """The page with what its script knows made known to the test."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    assert page.count("\nprepareServing();\n") == 1
    copy = tmp_path / "hooked.html"
    copy.write_text(page.replace("\nprepareServing();\n", "\nprepareServing();\nwindow.page = {items, load, boxesAt, bestIou, rint};\n"))
    opened(browser, str(copy))
    assert run(browser, "return window.page.items.length") > 0


def test_the_sliders_boxes_are_pythons(browser, report, tmp_path):
    """On 60 maps, at every step: the box, all segments, the peak's segment, and the IoU."""
    path, shown = report
    hooks(browser, path, tmp_path)
    compared = 0
    for number, one in enumerate(shown):
        found = run(browser, """
            const item = page.load(arguments[0]);
            return item.views.map(view => Array.from({length: 100}, (_, step) => {
              const boxes = page.boxesAt(view, item, step);
              return [boxes, view.peakAt[step], page.bestIou(boxes[0], item.truth)];
            }));""", number)
        for place, steps in enumerate(found):
            own = heat_map(10 * number + place)
            for step, (boxes, peak, overlap) in enumerate(steps):
                expected = paper_boxes(own[None], one.size, step / 100)[0]
                assert boxes[0] == expected.tolist(), (number, place, step)
                segments = [segment.box for segment in ops.segments(own, step / 100)]
                np.testing.assert_array_equal(boxes, to_picture(segments, own.shape, *one.size))
                assert boxes[peak] == paper_boxes(own[None], one.size, step / 100, "peak")[0].tolist()
                assert overlap == pytest.approx(float(ops.iou(expected, one.true_boxes).max()), abs=1e-12)
            compared += 1
    assert compared == 60 and not errors(browser)
    assert [run(browser, "return page.rint(arguments[0])", value) for value in (0.5, 1.5, 2.5, 2.4999, 3.51)] == [0, 2, 2, 2, 4]


def test_filters_and_orders(browser, report):
    path, shown = report
    opened(browser, path)
    names = lambda: [one.text.split("\n")[-1] for one in browser.find_elements("css selector", ".cell")]  # noqa: E731
    assert text(browser, "count") == "30 of 30" and names()[:3] == ["first.jpg", "second.jpg", NASTY]
    give(browser, right="0")
    wrong = [one for one in shown if not one.right]
    assert text(browser, "count") == f"{len(wrong)} of 30" and 0 < len(wrong) < 30
    give(browser, right="")
    browser.find_element("id", "search").send_keys("tabby")
    assert text(browser, "count") == f"{sum(CLASSES[1] in (one.true, one.guess) for one in shown)} of 30"
    browser.find_element("id", "search").clear()
    browser.find_element("id", "search").send_keys("picture-0007")
    assert names() == ["picture-0007.jpg"]
    give(browser, search="", low="0.3", high="0.6")
    inside = [one for one in shown if 0.3 <= one.iou <= 0.6]
    assert text(browser, "count") == f"{len(inside)} of 30"
    give(browser, order="worst")
    assert names()[0] == min(inside, key=lambda one: one.iou).name
    assert not errors(browser)


def test_keys_links_and_the_slider(browser, report):
    path, shown = report
    opened(browser, path, "#id=picture-0005.jpg&t=0.25&c=2")
    assert text(browser, "name") == "picture-0005.jpg" and text(browser, "t") == "0.25"
    pressed = lambda: [one.get_attribute("aria-pressed") for one in browser.find_elements("css selector", "#tabs button")]  # noqa: E731
    assert pressed() == ["false", "true"]
    box = paper_boxes(heat_map(51)[None], (480, 640), 0.25)[0].tolist()
    assert f"box {', '.join(map(str, box))}" in text(browser, "caption")
    press(browser, "1")
    assert pressed() == ["true", "false"]
    press(browser, "t")
    assert not browser.find_element("id", "truth").is_selected()
    press(browser, "\ue014")  # right arrow
    assert text(browser, "name") == "picture-0006.jpg" and "id=picture-0006.jpg" in browser.current_url
    press(browser, "\ue012")
    press(browser, "\ue012")
    assert text(browser, "name") == "picture-0004.jpg"
    give(browser, threshold=60)
    expected = paper_boxes(heat_map(40)[None], (480, 640), 0.6)[0].tolist()
    assert f"box {', '.join(map(str, expected))}" in text(browser, "caption") and "t=0.60" in browser.current_url
    press(browser, "\ue00c")  # Escape
    assert not browser.find_element("id", "view").get_attribute("open") and not errors(browser)


def test_each_side_of_a_comparison_has_its_own_threshold(browser, tmp_path):
    """Opened with the box that each side judged, its slider at its threshold; a slider moves its own side alone."""
    one = shown(7)
    own = [heat_map(70), heat_map(71)]
    judged = [(0.2, paper_boxes(own[0][None], one.size, 0.2)[0]), (0.725, paper_boxes(own[1][None], one.size, 0.725, "peak")[0])]
    one.views = [view(one.true, None, ops.upsample(maps, 12), maps, run, *how) for maps, run, how in zip(own, "AB", judged)]
    path = str(tmp_path / "report.html")
    with PageWriter(path, "A and B") as page:
        page.add(one)
        page.finish(About(["A", "B"], ["paper", "peak"]))

    def said(caption, box):
        return f"box {', '.join(map(str, box))} IoU {float(ops.iou(np.array(box), np.array(one.true_boxes)).max()):.3f}" in text(browser, caption)

    opened(browser, path, "#id=picture-0007.jpg")
    assert (text(browser, "t"), text(browser, "t2")) == ("0.20", "0.7250") and browser.current_url.endswith("jpg&c=1")
    assert said("caption", judged[0][1]) and said("caption2", judged[1][1])
    assert [one.text for one in browser.find_elements("css selector", ".slider")] == ["Threshold A", "Threshold B"]
    give(browser, threshold2=50)
    moved = paper_boxes(own[1][None], one.size, 0.5, "peak")[0]
    assert said("caption", judged[0][1]) and said("caption2", moved) and "&t=,0.50&" in browser.current_url
    link = browser.current_url.partition("#")[2]
    browser.find_element("id", "reset").click()
    assert said("caption2", judged[1][1]) and not browser.find_element("id", "reset").is_enabled()
    opened(browser, path, "#" + link)
    assert (text(browser, "t"), text(browser, "t2")) == ("0.20", "0.50") and said("caption2", moved)
    browser.find_element("id", "peak").click()  # now both by the segment with the peak
    assert said("caption", paper_boxes(own[0][None], one.size, 0.2, "peak")[0]) and not errors(browser)


def test_a_page_is_opened_with_the_box_that_was_written(browser, report):
    """Whatever the slider's own box at that threshold would be."""
    path, _ = report
    opened(browser, path, "#id=picture-0005.jpg&c=2")
    assert text(browser, "t") == "0.30" and "box 9, 9, 99, 99" in text(browser, "caption")
    give(browser, threshold=30)
    assert f"box {', '.join(map(str, paper_boxes(heat_map(51)[None], (480, 640), 0.3)[0]))}" in text(browser, "caption") and not errors(browser)


def test_what_is_drawn_is_the_box_and_the_map(browser, report):
    """White where the box is, green where the true one is, the picture's own colours without the map."""
    path, _ = report
    opened(browser, path, "#id=picture-0003.jpg&t=0.40&c=1")
    time.sleep(0.3)
    give(browser, opacity=0, threshold=40)
    drawn = picture_of(browser.find_element("id", "stage")).astype(int)
    scale = drawn.shape[1] / 640
    x0, y0, x1, y1 = paper_boxes(heat_map(30)[None], (480, 640), 0.4)[0] * scale
    white = (drawn > 230).all(-1)
    rows, columns = np.nonzero(white)
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], [x0, y0, x1, y1], atol=2)
    green = (drawn[..., 1] > 200) & (drawn[..., 0] < 60)
    rows, columns = np.nonzero(green)
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.array([120, 80, 320, 240]) * scale, atol=3)


def test_names_and_labels_are_no_code(browser, report):
    path, _ = report
    opened(browser, path, "#id=" + NASTY.replace(" ", "%20").replace("=", "%3D"))
    assert text(browser, "name") == NASTY and "<b>bold</b> & co" in text(browser, "view")
    assert not browser.find_elements("css selector", "img[src='x'], b")
    assert browser.title == "A <report> & more"
    press(browser, "\ue00c")
    browser.find_element("css selector", "[data-part=settings]").click()
    assert "<script>alert(2)</script>" in text(browser, "settings")
    with open(path, encoding="utf-8") as file:
        assert NASTY not in file.read()
    assert not errors(browser)


def test_a_name_that_utf_8_cannot_hold_is_shown_and_linked(browser, tmp_path):
    path, _ = save_report(str(tmp_path), 3, names=["first.jpg", "\udcff.jpg"])
    opened(browser, path, "#id=first.jpg")
    press(browser, "\ue014")  # right arrow
    assert text(browser, "caption") and "%EF%BF%BD.jpg" in browser.current_url
    press(browser, "\ue014")
    assert text(browser, "name") == "picture-0002.jpg" and not errors(browser)


def test_curves_and_tables_steer_the_gallery(browser, report):
    path, _ = report
    opened(browser, path)
    browser.find_element("css selector", "[data-part=figures]").click()
    assert "gt_known_localization" in text(browser, "figures") and "0.4000 to 0.6000" in text(browser, "figures")
    from selenium.webdriver import ActionChains
    drawing = browser.find_element("css selector", ".curve svg")
    ActionChains(browser).move_to_element(drawing).perform()
    said = browser.find_element("css selector", ".curve output").text
    threshold, value = map(float, re.fullmatch(r"threshold ([\d.]+): max_box_acc ([\d.]+)", said).groups())
    assert value == pytest.approx(0.99 - threshold)
    drawing.click()
    assert browser.find_element("css selector", ".curve output").text == f"the slider is at {threshold:.2f}"
    browser.find_element("xpath", "//button[text()='tench']").click()
    assert browser.find_element("id", "search").get_attribute("value") == "tench" and "10 of 30" in text(browser, "count")
    browser.find_element("css selector", ".cell").click()
    assert text(browser, "t") == f"{threshold:.2f}" and not errors(browser)


def test_the_view_is_saved_as_a_picture(browser, report):
    path, _ = report
    opened(browser, path, "#id=picture-0003.jpg")
    time.sleep(0.3)
    run(browser, "HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href]; }")
    browser.find_element("id", "export").click()
    name, address = run(browser, "return window.saved")
    assert name == "picture-0003.jpg.png" and address.startswith("data:image/png;base64,iVBOR") and len(address) > 10_000


@pytest.mark.parametrize("size, scheme", [((1200, 800), "light"), ((1200, 800), "dark"), ((390, 800), "light")])
def test_nothing_serious_is_found_by_axe(browser, report, size, scheme):
    from axe_core_python.selenium import Axe
    path, _ = report
    browser.set_window_size(*size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        for fragment, part in (("", "pictures"), ("", "figures"), ("", "settings"), ("#id=picture-0003.jpg", None)):
            opened(browser, path, fragment)
            if part:
                browser.find_element("css selector", f"[data-part={part}]").click()
            found = Axe().run(browser)["violations"]
            serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]
            assert not serious, (part, serious)
            assert run(browser, "return document.documentElement.scrollWidth <= window.innerWidth")
    finally:
        browser.set_window_size(1200, 800)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_thousand_pictures_open_and_scroll(browser, tmp_path):
    """In a time like that of a blank page of as many bytes; of all cells only those in sight are there."""
    path, _ = save_report(str(tmp_path), 1000)
    with open(path, "rb") as file:
        size = len(file.read())
    blank = tmp_path / "blank.html"
    blank.write_bytes(b"<!doctype html><title>blank</title><script type='text/plain'>" + b"x" * size + b"</script>")

    def seconds(file):
        took = []
        for _ in range(5):
            browser.get("about:blank")
            began = time.perf_counter()
            browser.get(f"file://{file}")
            took.append(time.perf_counter() - began)
        return sorted(took)[2]

    plain, page = seconds(blank), seconds(path)
    assert text(browser, "count") == "1000 of 1000"
    print(f"{size / 1e6:.1f} MB: {page:.2f} s, a blank page of as much {plain:.2f} s")
    assert page < 6 * plain, (page, plain, size)
    assert 4 < len(browser.find_elements("css selector", ".cell")) < 60
    run(browser, "document.getElementById('gallery').scrollTop = 1e9")
    time.sleep(0.5)
    last = [one.text.split("\n")[-1] for one in browser.find_elements("css selector", ".cell")]
    assert "picture-0999.jpg" in last and len(last) < 60 and not errors(browser)


def test_a_picture_that_is_dropped_is_shown(browser, tmp_path):
    """By the program's own server: a picture, one more of its name, and what is none."""
    localizer = localization.Localizer(Colours(), COLOUR_CLASSES, Preprocessing(size=SIDE, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0)))
    page = cam_localization.page_to_serve("Where a network sees its classes", About())
    server = cam_localization.Server("127.0.0.1", 0, lambda pixels, classes: localizer(pixels, 2, classes or None), page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        paint(str(tmp_path / "red.png"), red=(4, 8, 40, 50))
        (tmp_path / "bad.jpg").write_text("no picture")
        browser.get(server.address)
        chooser = browser.find_element("id", "file")
        for count in (1, 2):
            chooser.send_keys(str(tmp_path / "red.png"))
            wait(lambda count=count: text(browser, "count").startswith(f"{count} of {count}"))
            assert text(browser, "name") == ("red.png" if count == 1 else "red.png (2)") and "red thing" in text(browser, "caption")
            press(browser, "\ue00c")
        asked = browser.find_element("id", "asked")
        asked.send_keys("green thing\n")  # Enter: the latest once more
        wait(lambda: text(browser, "count") == "3 of 3")
        assert "green thing" in text(browser, "caption") and "1 green thing" in text(browser, "tabs") and "red" not in text(browser, "tabs")
        press(browser, "\ue00c")
        asked.clear()
        assert not errors(browser)
        paint(str(tmp_path / "green.webp"), green=(4, 8, 40, 50))
        chooser.send_keys("\n".join(str(tmp_path / name) for name in ("red.png", "bad.jpg", "green.webp")))
        wait(lambda: text(browser, "count") == "5 of 5")
        assert not browser.find_element("id", "view").get_attribute("open")  # of several none
        assert "bad.jpg: cannot be read as a picture" in text(browser, "dropped") and "422" in errors(browser)[0]["message"]
        names = [one.text.split("\n")[-1] for one in browser.find_elements("css selector", ".cell")]
        assert names == ["red.png", "red.png (2)", "red.png (3)", "red.png (4)", "green.webp"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def wait(happened, seconds=20):
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_linked_pictures_lie_beside_the_page(browser, tmp_path):
    path, shown = save_report(str(tmp_path), 5, linked=True)
    files = sorted(os.listdir(tmp_path / "report-pictures"))
    assert files == [f"{number:06}.jpg" for number in range(1, 6)]
    opened(browser, path, "#id=picture-0003.jpg")
    time.sleep(0.3)
    assert picture_of_size(browser) == (320, 240) and not errors(browser)


def picture_of_size(browser):
    return tuple(run(browser, "const one = new Image(); one.src = JSON.parse(document.getElementById('item-3').textContent).picture; "
                              "return one.decode().then(() => [one.naturalWidth, one.naturalHeight])"))


def test_a_page_that_is_not_finished_is_not_there(tmp_path):
    path = str(tmp_path / "report.html")
    with pytest.raises(InputError), PageWriter(path, "x"):
        raise InputError("stopped")
    with PageWriter(path, "x"):
        pass
    assert os.listdir(tmp_path) == []
    with PageWriter(path, "x") as page:
        page.finish(About())
    assert json.loads(re.search(r'id="report">(.*?)</script>', open(path, encoding="utf-8").read())[1])["items"] == []
