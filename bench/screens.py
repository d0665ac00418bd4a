"""The pictures of the README: strips, a full overlay, and the table, of the sample photographs.

    python bench/screens.py
"""

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image
from rich.console import Console
from rich.text import Text

import localize


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=ROOT / "docs", type=Path, help="folder to write to")
    docs = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        table = run("--out", f"{folder}/strips")
        strips = [Image.open(path).convert("RGB") for path in sorted(Path(folder, "strips").glob("*.jpg"))]
        stacked(strips).save(docs / "samples.jpg", quality=85)
        run("--out", f"{folder}/full", "--overlay", "full", "--class", "espresso", str(ROOT / "samples" / "coffee.jpg"))
        Image.open(f"{folder}/full/overlays/1/coffee.jpg").save(docs / "full.jpg", quality=90)
        photograph_page(folder, docs)
    console = Console(record=True, width=max(map(len, table.splitlines())), file=io.StringIO())
    console.print(Text(f"$ python localize.py\n{table}".replace(f"{folder}/strips", "out")))
    # Fonts of the reader's own: none is fetched.
    svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="localize.py"), flags=re.DOTALL)
    (docs / "table.svg").write_text(svg, encoding="utf-8")


def photograph_page(folder, docs):
    """report.html in Chromium, where there is one."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        print("no Chromium: docs/report.png stays as it is")
        return
    run("--out", f"{folder}/page", "--overlay", "none", "--report")
    subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                    f"--user-data-dir={folder}/chromium", "--virtual-time-budget=3000", "--window-size=1100,720",
                    f"--screenshot={folder}/page.png", f"file://{folder}/page/report.html#id=coffee.jpg&t=0.30&c=2"],
                   check=True, stderr=subprocess.DEVNULL)
    Image.open(f"{folder}/page.png").convert("RGB").quantize(256).save(docs / "report.png", optimize=True)


def run(*arguments):
    """What localize.py prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = localize.main([*arguments])
    assert status == 0, os.strerror(status)
    return printed.getvalue().rstrip()


def stacked(pictures, gap=8):
    """One below the other."""
    whole = Image.new("RGB", (max(picture.width for picture in pictures), sum(picture.height + gap for picture in pictures) - gap), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height + gap
    return whole


if __name__ == "__main__":
    main()
