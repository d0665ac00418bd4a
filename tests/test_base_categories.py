"""Classes are found by wnid, else by words, and never by number."""

import pytest

from cam_base import Category, InputError, find_class, match_classes

CRANES = [Category("n02012849", "crane"), Category("n03126707", "crane"), Category("n02123045", "tabby, tabby cat"),
          Category(None, "Espresso")]


def test_classes_are_matched_by_wnid_where_both_have_one():
    theirs = [Category("n03126707", "something else"), Category("n00000001", "tabby, tabby cat")]
    assert match_classes(CRANES, theirs).tolist() == [1, -1]


def test_without_a_wnid_the_label_decides_unless_it_stands_twice():
    theirs = [Category(None, "TABBY, tabby cat"), Category(None, "crane"), Category(None, "espresso")]
    assert match_classes(CRANES, theirs).tolist() == [2, -1, 3]
    assert match_classes([Category(None, "cat")], [Category("n02123045", "cat")]).tolist() == [0]


def test_a_synonym_will_do_unless_it_stands_twice():
    theirs = [Category(None, "tabby cat"), Category(None, "coffee, espresso"), Category(None, "crane, machine")]
    assert match_classes(CRANES, theirs).tolist() == [2, 3, -1]
    suits = [Category("n03710637", "maillot"), Category("n03710721", "maillot, tank suit")]
    assert match_classes(suits, [Category(None, label) for _, label in suits]).tolist() == [0, 1]


@pytest.mark.parametrize("name, number", [("n02123045", 2), ("tabby", 2), (" Tabby Cat ", 2), ("tabby, tabby cat", 2),
                                          ("espresso", 3), ("n03126707", 1)])
def test_a_class_is_found_by_wnid_label_or_synonym(name, number):
    assert find_class(CRANES, name) == number


def test_an_unknown_name_brings_the_nearest_and_a_double_one_the_wnids():
    with pytest.raises(InputError, match="called 'tabbi'; the nearest names are: tabby"):
        find_class(CRANES, "tabbi")
    with pytest.raises(InputError, match=r"2 classes; say which by wnid: n02012849 \(crane\), n03126707 \(crane\)"):
        find_class(CRANES, "crane")
    with pytest.raises(InputError, match="no class of these weights is called 'zzzzzz'$"):
        find_class(CRANES, "zzzzzz")
