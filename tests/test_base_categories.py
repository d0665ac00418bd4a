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
    with pytest.raises(InputError, match=r"2 classes, or part of it; say which by wnid or number: n02012849 \(crane\), n03126707 \(crane\)$"):
        find_class(CRANES, "crane")
    with pytest.raises(InputError, match="no class of these weights is called 'zzzzzz'$"):
        find_class(CRANES, "zzzzzz")


ANIMALS = [Category("n01698640", "American alligator, Alligator mississippiensis"), Category("n02124075", "Egyptian cat"),
           Category("n02123045", "tabby, tabby cat"), Category("n02099601", "golden retriever"),
           Category("n09246464", "cliff, drop, drop-off"), Category("n02963159", "cardigan"), Category(None, "2810"),
           Category(None, "coast, seacoast"), Category("n01514668", "cock")]


@pytest.mark.parametrize("name, number", [
    ("alligator", 0), ("Alligator", 0), ("golden_retriever", 3), ("retriever", 3), ("cardi", 5), ("drop-off", 4), ("2810", 6),
    ("egyptian", 1), ("  golden   retriever", 3), ("coast", 7), ("cock", 8), ("n02123045", 2)])
def test_a_part_of_a_name_will_do_where_it_is_of_one_class(name, number):
    """Words before letters: "drop" is of one class."""
    assert find_class(ANIMALS, name) == number


def test_parts_of_several_names_are_listed_and_a_number_is_no_part():
    with pytest.raises(InputError, match=r"'cat' is the name of 2 classes.*n02124075 \(Egyptian cat\), n02123045 \(tabby"):
        find_class(ANIMALS, "cat")  # and not "coast"
    with pytest.raises(InputError, match="no class of these weights is called '281'"):
        find_class(ANIMALS, "281")
    with pytest.raises(InputError, match="30 classes.*, and 18 more$"):
        find_class([Category(None, f"dog {number}") for number in range(30)], "dog")
    with pytest.raises(InputError, match="no class of these weights has the wnid 'n99999999'$"):
        find_class(ANIMALS, "n99999999")
    for empty in ("", "  ", "_"):
        with pytest.raises(InputError, match="no class"):
            find_class(ANIMALS, empty)


def test_classes_that_differ_in_case_alone_match_themselves():
    letters = [Category(None, "A"), Category(None, "a"), Category(None, "b")]
    assert match_classes(letters, letters).tolist() == [0, 1, 2]
    assert match_classes(letters, [Category(None, "B"), Category(None, "c")]).tolist() == [2, -1]


def test_numbers_and_underscores_of_folders_are_no_part_of_a_name():
    ours = [Category(None, "Laysan Albatross"), Category(None, "Black footed Albatross")]
    theirs = [Category(None, "001.Black_footed_Albatross"), Category(None, "002.Laysan_Albatross")]
    assert match_classes(ours, theirs).tolist() == [1, 0] and match_classes(theirs, ours).tolist() == [1, 0]


def test_twenty_thousand_classes_are_matched_at_once():
    many = [Category(None, f"class {number}, number {number}") for number in range(20_000)]
    assert match_classes(many, many[::-1]).tolist() == list(range(20_000))[::-1]
