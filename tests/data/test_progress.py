import re
from threading import Event

from negmerge.data.progress import IMAGES, Progress, counted


def test_images_are_counted_as_they_pass(capsys):
    assert list(counted("cats", iter("abc"), 4)) == ["a", "b", "c"]
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"cats: 3 of 4 images \(75 %\), \d+ images/s, 0:00:\d\d left", line)


def test_lines_are_told_while_it_lasts():
    lines, told = [], Event()

    def write(line):
        lines.append(line)
        if len(lines) == 3:
            told.set()

    with Progress("cats", 1, 2, seconds=0.01, write=write, unit=IMAGES):
        assert told.wait(60)
    assert all(line.startswith("cats: 1 of 2 images (50 %), ") for line in lines)
