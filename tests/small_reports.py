"""Reports of made-up maps, and a browser to open them in."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

import ops
from cam_base import Category
from cam_report import About, PageWriter, Shown, small_picture, view

CLASSES = [Category("n01440764", "tench, Tinca tinca"), Category("n02123045", "tabby, tabby cat"), Category(None, "<b>bold</b> & co")]
NASTY = "<img src=x onerror=alert(1)>.jpg"


def browser_or_skip():
    """Headless Chromium by Selenium; skips, saying why, where there is none, unless $CAM_BROWSER says that it is required."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        assert os.environ.get("CAM_BROWSER") != "required", "no Chromium, or no chromedriver"
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,800"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def heat_map(number, side=48):
    rng = np.random.default_rng(number)
    return ops.normalise(ops.upsample(rng.normal(size=(5, 5)).astype(np.float32), side), "max")


def shown(number, name=None, views=2):
    """A picture with true box, a map of its class and of a guess, every third of which is wrong."""
    rng = np.random.default_rng(number)
    pixels = np.full((240, 320, 3), 60 + number % 150, np.uint8)
    pixels[40:120, 60:160] = rng.integers(0, 255, 3)
    maps = [heat_map(10 * number + place) for place in range(views)]
    true, guess = CLASSES[number % 3], CLASSES[number % 3 if number % 3 else 1]
    found = [view((true, guess)[place % 2], 0.9 - 0.1 * place - 0.001 * (number % 100), ops.upsample(one, 12), one, None, 0.3, (9, 9, 99, 99) if place else None)
             for place, one in enumerate(maps)]
    return Shown(name or f"picture-{number:04}.jpg", (480, 640), small_picture(pixels), found, [[120, 80, 320, 240]], true, guess,
                 true == guess, (number * 37 % 100) / 100)


def save_report(folder, count, linked=False, names=()):
    """Write a report of so many pictures; returns (its path, what it shows)."""
    every = [shown(number, names[number] if number < len(names) else None) for number in range(count)]
    path = os.path.join(folder, "report.html")
    thresholds = [step / 100 for step in range(100)]
    about = About(figures=[("gt_known_localization", "0.5000", "0.4000 to 0.6000", "higher")],
                  curves=[{"title": "accuracy", "axis": "threshold", "x": thresholds, "lines": {"max_box_acc": thresholds[::-1]}, "slider": True}],
                  tables=[{"title": "Classes, worst first", "columns": ["class", "pictures"], "rows": [["tench", 3]], "filter": "search", "note": "a class chooses its pictures"}],
                  settings=[("weights", "<script>alert(2)</script>")], commands=["python evaluate.py"])
    with PageWriter(path, "A <report> & more", linked) as page:
        for one in every:
            page.add(one)
        page.finish(about)
    return path, every


def opened(browser, path, fragment=""):
    browser.get("about:blank")
    browser.get("file://" + path + fragment)
    return browser


def errors(browser):
    """What the console was told of errors."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def picture_of(element):
    """A canvas as pixels, uint8 [H, W, 3]."""
    import base64
    import io
    text = element.parent.execute_script("return arguments[0].toDataURL('image/png')", element)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGB"))
