"""What the programs say: the option that was meant, and tables of which nothing is cut."""

import io

import pytest
from rich.console import Console

import evaluate
import localize
import probe
import train_loop
from cam_base import InputError, terminal
from cam_base.terminal import Table, show
from weights.__main__ import main as weights_main


@pytest.mark.parametrize("main, arguments, near", [
    (localize.main, ["cat.jpg", "--mask"], "--masks or --maps"),
    (localize.main, ["--treshold", "0.3"], "--threshold"),
    (localize.main, ["--class_names", "x.txt"], "--class-names or --class"),
    (localize.main, ["--image-size", "224"], "--size"),
    (train_loop.main, ["--lr", "0.1"], "--learning-rate"),
    (train_loop.main, ["--lr=0.1"], "--learning-rate"),
    (train_loop.main, ["--wd", "0.1"], "--weight-decay"),
    (train_loop.main, ["--epoch", "3"], "--epochs"),
    (evaluate.main, ["--weight", "x"], "--weights"),
    (probe.main, ["--data", "x", "--classifer", "svm"], "--classifier or --classes"),
    (weights_main, ["convert", "x", "--out", "y.npz", "--center-crop", "3"], "--centre-crop"),
    (weights_main, ["inspect", "x", "--tensor"], "--tensors")])
def test_an_unknown_option_brings_the_nearest(main, arguments, near):
    with pytest.raises(InputError, match=rf"unrecognized arguments: .*; the nearest is {near} \(--help lists the options\)$"):
        main(arguments)


def test_an_option_like_none_brings_none():
    with pytest.raises(InputError, match=r"unrecognized arguments: --xyzzy \(--help"):
        localize.main(["--xyzzy"])


@pytest.mark.parametrize("width", [40, 80, 1000])
def test_no_cell_of_a_table_is_cut(monkeypatch, width):
    printed = io.StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=printed, width=width, markup=False))
    table = Table("picture", "class", "box")
    names = ["a" * 30, "short"]
    for name in names:
        table.add(name, "b" * 50, "c" * 20)
    show(table)
    said = printed.getvalue()
    assert "…" not in said and [said.count(letter) for letter in "bc"] == [100 + 1, 40 + 2]  # and those of the headings
    assert all(name in said for name in names) == (width > 60)
