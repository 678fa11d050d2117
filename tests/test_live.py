"""`jaxstyle live`: where it looks and where it shows, if it is not told."""

import pytest

from jaxstyle import stylize
from jaxstyle.live import main


@pytest.fixture
def asked(monkeypatch):
    """What stylizing is asked for, in place of doing it."""
    calls = []
    monkeypatch.setattr(stylize, "run", lambda args: calls.append(args) or 0)
    return calls


@pytest.mark.parametrize(
    ("line", "source", "sink"),
    [
        ("", "0", "window"),
        ("2", "2", "window"),
        ("http", "0", "http"),
        ("1 virtual", "1", "virtual"),
        ("--model=cel 1 http", "1", "http"),
        ("1 --model=cel http", "1", "http"),
        ("rtsp://camera/stream http://0.0.0.0:8000", "rtsp://camera/stream", "http://0.0.0.0:8000"),
        ("http://camera/stream", "http://camera/stream", "window"),
    ],
)
def test_the_first_camera_in_a_window_unless_told_otherwise(asked, line, source, sink):
    assert main(line.split()) == 0
    assert (asked[0].source, asked[0].sink) == (source, sink)


def test_the_options_are_those_of_stylize(asked):
    main(["--model=cel", "--model=starry", "--sink=show.mp4", "--fps=30", "--strength=0.5"])
    (args,) = asked
    assert args.model == ["cel", "starry"]
    assert args.more_sinks == ["show.mp4"]
    assert (args.fps, args.strength) == (30, 0.5)


def test_a_file_is_no_place_to_watch(asked, capsys):
    with pytest.raises(SystemExit) as end:
        main(["0", "film.mp4", "--model=cel"])
    assert end.value.code == 2
    assert "film.mp4 shows nothing live" in capsys.readouterr().err
    assert asked == []
