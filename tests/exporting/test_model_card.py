"""What a run's files say stays text in the card: a run may come from anybody."""

from jaxgan.exporting import model_card


def test_names_are_shown_literally():
    assert model_card._text("a|b](x)\n# c") == "a\\|b\\](x)\\\\n\\# c"
    assert model_card._cell("a | b\nc") == "a \\| b\\nc"
    assert model_card._block(["```\n# c"]) == "    ```\\n# c"
