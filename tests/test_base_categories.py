"""Classes are found by wnid, else by words, and never by number."""

import pytest

from cam_base import Category, InputError, classes_called, match_classes, short_names
from weights.ilsvrc import categories

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
    assert classes_called(CRANES, name) == [number]


def test_an_unknown_name_brings_the_nearest_and_a_double_one_both():
    with pytest.raises(InputError, match="called 'tabbi'; the nearest names are: tabby"):
        classes_called(CRANES, "tabbi")
    assert classes_called(CRANES, "crane") == [0, 1]
    with pytest.raises(InputError, match="no class of these weights is called 'zzzzzz'$"):
        classes_called(CRANES, "zzzzzz")


ANIMALS = [Category("n01698640", "American alligator, Alligator mississippiensis"), Category("n02124075", "Egyptian cat"),
           Category("n02123045", "tabby, tabby cat"), Category("n02099601", "golden retriever"),
           Category("n09246464", "cliff, drop, drop-off"), Category("n02963159", "cardigan"), Category(None, "2810"),
           Category(None, "coast, seacoast"), Category("n01514668", "cock")]


@pytest.mark.parametrize("name, numbers", [
    ("alligator", [0]), ("Alligator", [0]), ("golden_retriever", [3]), ("retriever", [3]), ("drop-off", [4]), ("2810", [6]), ("the cock", [8]),
    ("egyptian", [1]), ("  golden   retriever", [3]), ("coast", [7]), ("cock", [8]), ("n02123045", [2]), ("4", [4]), (4, [4]), ("cat", [1, 2])])
def test_words_of_a_name_will_do(name, numbers):
    assert classes_called(ANIMALS, name) == numbers


@pytest.mark.parametrize("name, message", [
    ("cardi", "is called 'cardi'; the nearest names are: cardigan"), ("281", "there is no class 281"), (9, "no class 9; the network's are 0 to 8"),
    (-1, "no class -1"), ("n99999999", "no class of these weights has the wnid 'n99999999'$"), ("", "no class"), ("  ", "no class"), ("_", "no class"),
    ("seacoas", "nearest names are: seacoast"), ("ats", "no class")])
def test_letters_and_numbers_are_no_words(name, message):
    with pytest.raises(InputError, match=message):
        classes_called(ANIMALS, name)


@pytest.mark.parametrize("name, numbers", [
    ("cat", [281, 282, 283, 284, 285, 383]),         # not the lesser panda ("bear cat, cat bear"), catamaran, polecat, cockatoo
    ("elephant", [385, 386]), ("crane", [134, 517]), ("dragon", [48]),          # not the dragonfly
    ("a snake", [52, 53, 54, 55, 56, 57, 58, 59, 60, 62, 65]),                   # not the dragonfly ("snake doctor") nor the snake fence
    ("bear", [105, 294, 295, 296, 297, 388, 850]), ("golden retriever", [207]), ("281", [281])])
def test_ilsvrcs_classes_are_found_as_people_call_them(name, numbers):
    assert classes_called(categories(1000), name) == numbers


def test_a_word_that_is_misspelt_brings_the_nearest_of_ilsvrc():
    for name, near in (("elefant", "elephant$"), ("siamise cat", "siamese cat"), ("cats", "cat, ")):
        with pytest.raises(InputError, match=f"the nearest names are: {near}"):
            classes_called(categories(1000), name)


def test_short_names_are_all_different():
    assert short_names(ANIMALS)[:3] == ["American alligator", "Egyptian cat", "tabby"]
    assert short_names([Category(None, "Holz, gut"), Category(None, "Holz, schlecht"), Category(None, "Stein, rot")]) == ["Holz, gut", "Holz, schlecht", "Stein"]
    assert short_names([Category(None, label) for label in ("a, b, c", "a, b, d", "a, e", "a", "f", "f")]) == ["a, b, c", "a, b, d", "a, e", "a", "f (4)", "f (5)"]
    ilsvrc = short_names(categories(1000))
    assert len(set(ilsvrc)) == 1000 and ilsvrc[638:640] == ["maillot", "maillot, tank suit"]
    assert [ilsvrc[number] for number in (134, 517, 281)] == ["crane (n02012849)", "crane (n03126707)", "tabby"]


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
