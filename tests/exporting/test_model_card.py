"""What a run's files say stays text in the card: a run may come from anybody."""

from jaxgan.exporting import model_card


def test_names_are_shown_literally():
    assert model_card._text("a|b](x)\n# c") == "a\\|b\\](x)\\\\n\\# c"
    protocol = "<img src=x> [click](javascript:x) | b\nc"
    row = model_card._table(("protocol",), [(model_card._text(protocol),)]).splitlines()[-1]
    assert row == "| \\<img src=x\\> \\[click\\](javascript:x) \\| b\\\\nc |"
    assert model_card._block(["```\n# c"]) == "    ```\\n# c"
