"""The progress line."""

from jaxgan.common.progress import Progress


def test_plain_lines_where_there_is_no_terminal(capsys):
    progress = Progress(100, 0)
    progress.show(10, "first")
    progress.show(11, "too soon")
    progress.show(100, "last", force=True)
    progress.say("a word")
    progress.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["first", "last", "a word"]
    assert lines[0].startswith("step 10/100")
