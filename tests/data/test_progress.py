import re
from threading import Event

import pytest

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


def test_what_stops_the_images_stops_the_lines(capsys):
    def items():
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(counted("cats", items(), 4))
    assert capsys.readouterr().out.startswith("cats: 1 of 4 images")
