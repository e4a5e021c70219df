"""Names of labels in any script are drawn so that they can be told apart."""

import numpy as np
import pytest

from jaxgan.reporting.images import tag_sheet, text, titled
from jaxgan.reporting.lettering import lettered


def test_english_is_set_in_the_font_of_the_sheets():
    line, font = lettered("step 500")
    assert line == "step 500"
    assert font.getname()[0] != "DejaVu Sans"


@pytest.mark.parametrize(("one", "other"), [("Äpfel", "Öpfel"), ("яблоко", "яблоки"), ("日", "本")])
def test_two_labels_look_different(one, other):
    assert not np.array_equal(text(one, 18, 200), text(other, 18, 200))


def test_letters_that_no_font_has_are_escaped():
    assert lettered("Ä 日本")[0] == "Ä \\u65e5\\u672c"


@pytest.mark.parametrize("name", ["New\xa0York", "two\nlines", "\udcff", "tab\t", ""])
def test_a_name_that_cannot_be_printed_is_drawn_too(name):
    picture = titled(np.zeros((4, 200, 3), np.uint8), f"{name} - a + b")
    assert picture.shape == (22, 200, 3)
    assert (picture[:18] > 100).any()
    assert tag_sheet([None], [[f"{name}x"]], [[f"{name}x"]]).shape[2] == 3
