import contextlib
import itertools
import threading
import time
from fractions import Fraction

import flax.linen as nn
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.engine import Stylizer
from jaxstyle.media.film import FilmReader, FilmWriter, Frame
from jaxstyle.media.images import read_image
from jaxstyle.realtime.captures import Captures, Recording
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.frame_loop import Loop
from jaxstyle.realtime.frame_sinks import NullSink, SinkClosed
from jaxstyle.realtime.judging import JudgeSink
from jaxstyle.realtime.metrics import Metrics
from jaxstyle.realtime.scheduler import Scheduler

SIZE = (24, 32)


class Negative(nn.Module):
    stride = 4
    receptive_radius = 0

    @nn.compact
    def __call__(self, x):
        return -x


STYLIZER = Stylizer(Bundle(Negative(), {}, {}))


def picture(i, height=SIZE[0], width=SIZE[1]):
    """One grey level a frame: its number can be read off the picture."""
    return np.full((height, width, 3), i % 256, np.uint8)


class Film:
    live = False
    time_base = Fraction(1, 100)
    rate = Fraction(25)

    def __init__(self, frames):
        self.total = frames

    def __iter__(self):
        for i in range(self.total):
            yield Frame(picture(i), 4 * i, 4)


class Camera:
    """It delivers until it is closed. `fails_after`: with an error after so many frames."""

    live, total = True, None
    time_base = Fraction(1, 1000)
    rate = Fraction(30)

    def __init__(self, interval=0.002, fails_after=None, sizes=(SIZE,)):
        self.newest = 0
        self._interval = interval
        self._fails_after = fails_after
        self._sizes = itertools.cycle(sizes)
        self._closed = threading.Event()

    def __iter__(self):
        for i in itertools.count():
            if self._closed.wait(self._interval):
                return
            if i == self._fails_after:
                raise UserError("the camera is broken")
            self.newest = i
            yield Frame(picture(i, *next(self._sizes)), 33 * i, 33)

    def close(self):
        self._closed.set()


class Collecting(NullSink):
    """Keeps what it gets. seconds: what each frame takes it; then: called after each."""

    def __init__(self, *, live=False, seconds=0.0, then=lambda frames: None):
        super().__init__()
        self.live = live
        self.frames = []
        self.finished = False
        self._seconds = seconds
        self._then = then

    def write(self, frame):
        time.sleep(self._seconds)
        self.frames.append(frame)
        self._then(self.frames)

    def finish(self):
        self.finished = True


def numbers(sink):
    return [255 - int(frame.rgb[0, 0, 0]) for frame in sink.frames]


def run(source, sinks, controls=None, batch=1, **options):
    metrics = Metrics(time.monotonic())
    controls = controls or Controls(["negative"])
    scheduler = Scheduler(STYLIZER, live=source.live, batch=batch)
    Loop(source, scheduler, sinks, controls, metrics, **options).run()
    return metrics


@pytest.mark.parametrize("batch", [1, 4])
def test_of_a_film_every_frame_arrives_in_order_at_every_sink(batch):
    sinks = {"fast": Collecting(), "slow": Collecting(seconds=0.005)}
    metrics = run(Film(50), sinks, batch=batch)
    for name, sink in sinks.items():
        assert numbers(sink) == list(range(50))
        assert [frame.pts for frame in sink.frames] == list(range(0, 200, 4))
        assert sink.finished
        assert metrics.counts[f"out {name}"] == 50
    assert metrics.counts["in"] == metrics.counts["stylized"] == 50
    assert not any(n for what, n in metrics.counts.items() if what.startswith("dropped"))
    stages = metrics.report()["stages"]
    assert {"capture", "wait", "stylize", "present slow", "capture to slow"} <= set(stages)
    assert stages["present slow"]["p50_ms"] >= 5


def test_a_slow_viewer_of_a_live_source_sees_recent_frames():
    camera, controls = Camera(), Controls(["negative"])
    ages = []

    def look(frames):
        ages.append((camera.newest - numbers(viewer)[-1]) % 256)
        if len(frames) == 12:
            controls.act("quit")

    viewer = Collecting(live=True, seconds=0.04, then=look)
    metrics = run(camera, {"viewer": viewer}, controls)
    # In the time of one look the camera delivers about 20 frames. Had any waited, it would be many
    # times as old.
    assert max(ages) < 45
    assert metrics.counts["dropped at capture"] + metrics.counts["dropped before viewer"] > 50


def test_a_slow_recorder_does_not_hold_up_the_viewer():
    controls = Controls(["negative"])
    viewer = Collecting(
        live=True, then=lambda frames: controls.act("quit") if len(frames) == 60 else None
    )
    recorder = Collecting(seconds=0.05)
    run(Camera(), {"viewer": viewer, "recorder": recorder}, controls)
    assert len(viewer.frames) >= 60
    assert 0 < len(recorder.frames) < 40
    assert numbers(recorder) == sorted(numbers(recorder))


def test_max_frames_of_a_camera_counts_what_is_written(tmp_path):
    writer = FilmWriter(tmp_path / "a.mp4", time_base=Fraction(1, 1000), rate=Fraction(30))
    with Recording(writer) as sink:
        run(Camera(), {"film": sink}, max_frames=12)
    with FilmReader(tmp_path / "a.mp4") as film:
        assert len(list(film)) == 12


def test_a_stream_that_changes_its_size_is_recorded_in_one(tmp_path):
    writer = FilmWriter(tmp_path / "a.mp4", time_base=Fraction(1, 1000), rate=Fraction(30))
    with Recording(writer) as sink:
        run(Camera(sizes=[(24, 32), (60, 40)]), {"film": sink}, max_frames=10)
    with FilmReader(tmp_path / "a.mp4") as film:
        assert [frame.rgb.shape[:2] for frame in film] == [SIZE] * 10


def test_a_smaller_picture_fills_the_recording(tmp_path):
    """As when the quality controller makes frames smaller: the same picture, scaled up."""
    writer = FilmWriter(tmp_path / "a.mp4", time_base=Fraction(1, 1000), rate=Fraction(30))
    half = np.full((48, 64, 3), 40, np.uint8)
    half[:, 32:] = 200
    with Recording(writer) as recording:
        recording.write(Frame(half, 0, 33))
        recording.write(Frame(half[::2, ::2], 33, 33))
        recording.finish()
    with FilmReader(tmp_path / "a.mp4") as film:
        first, second = film
    difference = np.abs(first.rgb.astype(int) - second.rgb)
    assert difference[:, [*range(28), *range(36, 64)]].max() < 12


def test_what_is_recorded_when_the_camera_breaks_is_kept(tmp_path):
    recorded = threading.Semaphore(1)

    class InNoHurry(Camera):
        """Nothing is dropped of what it shows, on a busy machine either."""

        def __iter__(self):
            for frame in super().__iter__():
                recorded.acquire()
                yield frame

    class Telling(Recording):
        def write(self, frame):
            super().write(frame)
            recorded.release()

    writer = FilmWriter(tmp_path / "a.mp4", time_base=Fraction(1, 1000), rate=Fraction(30))
    with Telling(writer) as sink, pytest.raises(UserError, match="the camera is broken"):
        run(InNoHurry(fails_after=8), {"film": sink})
    with FilmReader(tmp_path / "a.mp4") as film:
        assert len(list(film)) == 8


def test_when_the_camera_hangs_a_run_that_has_all_its_frames_ends():
    class Hanging(Camera):
        def __iter__(self):
            yield from itertools.islice(super().__iter__(), 20)
            self._closed.wait()

    sink = Collecting()
    run(Hanging(interval=0.02), {"film": sink}, max_frames=5)
    assert len(sink.frames) == 5
    assert sink.finished


def test_when_one_sink_cannot_be_completed_the_others_are():
    class Unfinished(Collecting):
        def finish(self):
            raise UserError("the disk is full")

    sinks = {"disk": Unfinished(), "film": Collecting()}
    with pytest.raises(UserError, match="the disk is full"):
        run(Film(5), sinks)
    assert sinks["film"].finished


def test_a_broken_film_is_an_error_and_is_not_completed():
    class Broken(Film):
        def __iter__(self):
            yield from itertools.islice(super().__iter__(), 5)
            raise UserError("damaged near frame 5")

    sink = Collecting()
    with pytest.raises(UserError, match="damaged near frame 5"):
        run(Broken(50), {"film": sink})
    assert not sink.finished


class Full(Collecting):
    def write(self, frame):
        if len(self.frames) == 3:
            raise UserError("the disk is full")
        super().write(frame)


def test_of_several_live_sinks_one_may_fail(capsys):
    controls = Controls(["negative"])
    viewer = Collecting(
        live=True, then=lambda frames: controls.act("quit") if len(frames) == 40 else None
    )
    full = Full()
    with pytest.raises(UserError, match="the disk is full"):
        run(Camera(), {"viewer": viewer, "disk": full}, controls)
    assert len(viewer.frames) >= 40
    assert viewer.finished
    assert not full.finished
    assert "disk has failed, the others go on: the disk is full" in capsys.readouterr().err


class Met(str):
    """A sink's name; threads that look for it among others wait for each other, if they can."""

    threads = threading.Barrier(2, timeout=0.5)
    __hash__ = str.__hash__

    def __ne__(self, other):
        if threading.current_thread() is not threading.main_thread():
            with contextlib.suppress(threading.BrokenBarrierError):
                self.threads.wait()
        return str.__ne__(self, other)


def test_sinks_that_fail_at_once_both_count_as_failed(capsys):
    sinks = {Met("disk"): Full(), Met("other disk"): Full()}
    with pytest.raises(UserError, match="the disk is full"):
        run(Camera(), sinks, max_frames=50)
    assert not any(sink.finished for sink in sinks.values())
    # The second ended the run.
    assert capsys.readouterr().err.count("the others go on") == 1


def test_a_sink_that_fails_ends_batches_of_mixed_sizes():
    class Mixed(Film):
        def __iter__(self):
            for i in range(self.total):
                yield Frame(picture(i, 24 + 4 * (i % 3)), i, 1)

    with pytest.raises(UserError, match="the disk is full"):
        run(Mixed(200), {"disk": Full()}, batch=8)


@pytest.mark.parametrize("source", [Camera(), Film(1000)])
def test_the_only_sink_that_fails_ends_the_run(source):
    with pytest.raises(UserError, match="the disk is full"):
        run(source, {"disk": Full()})


class Scores(JudgeSink):
    def __init__(self):
        self.scored = 0
        self.finished = False

    def write(self, frame):
        self.scored += 1

    def finish(self):
        self.finished = True


def test_a_judge_alone_does_not_keep_a_live_run_going():
    scores = Scores()
    with pytest.raises(UserError, match="the disk is full"):
        run(Camera(), {"disk": Full(), "judge": scores}, max_frames=2000)
    assert scores.scored < 1000
    assert scores.finished


def test_a_viewer_who_leaves_ends_a_live_source_and_the_recording_is_complete():
    class Closed(Collecting):
        def write(self, frame):
            super().write(frame)
            if len(self.frames) == 5:
                raise SinkClosed

    recorder = Collecting()
    run(Camera(), {"viewer": Closed(live=True), "recorder": recorder})
    assert recorder.frames
    assert recorder.finished


def test_leaving_in_the_middle_of_a_film_that_is_written_interrupts_it():
    controls = Controls(["negative"])
    sink = Collecting(then=lambda frames: controls.act("quit") if len(frames) == 5 else None)
    with pytest.raises(KeyboardInterrupt):
        run(Film(10_000), {"film": sink}, controls)
    assert not sink.finished


def test_leaving_a_film_that_is_only_watched_is_no_error(tmp_path):
    controls = Controls(["negative"])
    viewer = Collecting(
        live=True, then=lambda frames: controls.act("quit") if len(frames) == 2 else None
    )
    captures = Captures(tmp_path, controls, Film.time_base, Film.rate, "")
    run(Film(10_000), {"viewer": viewer, "captures": captures}, controls)
    assert len(viewer.frames) < 100


def test_ctrl_c_ends_a_live_source_and_completes_the_recording(monkeypatch):
    sink = Collecting()

    class Interrupted(Controls):
        class finished:
            @staticmethod
            def wait(_):
                if len(sink.frames) > 5:
                    raise KeyboardInterrupt

            @staticmethod
            def is_set():
                return False

    controls = Controls(["negative"])
    controls.finished = Interrupted.finished
    run(Camera(), {"film": sink}, controls)
    assert sink.finished
    with pytest.raises(KeyboardInterrupt):
        run(Film(10_000), {"film": Collecting()}, controls)


def test_ctrl_c_while_a_film_is_watched_completes_what_was_recorded(tmp_path):
    controls = Controls(["negative"])
    viewer = Collecting(live=True)

    class Interrupted:
        @staticmethod
        def wait(_):
            if viewer.frames:
                controls.change({"recording": True})
            if len(viewer.frames) > 8:
                raise KeyboardInterrupt

        @staticmethod
        def is_set():
            return False

    controls.finished = Interrupted
    captures = Captures(tmp_path, controls, Film.time_base, Film.rate, "")
    with captures:
        run(Film(1000), {"viewer": viewer, "captures": captures}, controls)
    (recording,) = tmp_path.iterdir()
    with FilmReader(recording) as film:
        assert len(list(film)) >= 5


def test_an_error_of_the_window_completes_what_is_recorded():
    sink = Collecting()

    class Broken:
        @staticmethod
        def wait(_):
            if len(sink.frames) > 5:
                raise RuntimeError("the display is gone")

        @staticmethod
        def is_set():
            return False

    controls = Controls(["negative"])
    controls.finished = Broken
    with pytest.raises(RuntimeError, match="the display is gone"):
        run(Camera(), {"film": sink}, controls)
    assert sink.finished


def test_a_snapshot_while_paused_is_of_the_picture_that_is_seen(tmp_path):
    controls = Controls(["negative"])

    def pause(frames):
        if len(frames) == 5:
            controls.act("pause")
            threading.Timer(0.3, controls.act, ["snapshot"]).start()
            threading.Timer(0.8, controls.act, ["quit"]).start()

    viewer = Collecting(live=True, then=pause)
    captures = Captures(tmp_path, controls, Camera.time_base, Camera.rate, "")
    run(Camera(), {"viewer": viewer, "captures": captures}, controls)
    (snapshot,) = tmp_path.iterdir()
    np.testing.assert_array_equal(read_image(snapshot), viewer.frames[-1].rgb)


def test_a_film_that_is_watched_plays_at_its_own_pace():
    starts = []
    viewer = Collecting(live=True, then=lambda _: starts.append(time.monotonic()))
    run(Film(11), {"viewer": viewer})
    assert numbers(viewer) == list(range(11))
    assert starts[-1] - starts[0] > 0.3  # ten frames at 25 a second


def test_pausing_a_film_loses_no_frame():
    controls = Controls(["negative"])

    def pause(frames):
        if len(frames) == 5:
            controls.act("pause")
            threading.Timer(0.2, controls.act, ["pause"]).start()

    sink = Collecting(then=pause)
    run(Film(60), {"film": sink}, controls)
    assert numbers(sink) == list(range(60))


def test_while_a_live_source_is_paused_the_last_picture_stays():
    controls = Controls(["negative"])

    def pause(frames):
        if len(frames) == 5:
            controls.act("pause")
            threading.Timer(0.3, controls.act, ["quit"]).start()

    viewer = Collecting(live=True, then=pause)
    run(Camera(), {"viewer": viewer}, controls)
    assert 5 <= len(viewer.frames) <= 8  # those on their way arrive


def test_snapshots_and_recordings_are_made_while_it_runs(tmp_path):
    controls = Controls(["negative"])

    def press(frames):
        key = {5: "s", 6: "r", 40: "r", 60: "q"}.get(len(frames))
        if key:
            controls.press(key)

    viewer = Collecting(live=True, then=press)
    captures = Captures(tmp_path, controls, Camera.time_base, Camera.rate, "made by a test")
    with captures:
        run(Camera(interval=0.01), {"viewer": viewer, "captures": captures}, controls)
    (snapshot,) = tmp_path.glob("snapshot_*.png")
    assert snapshot.stat().st_size > 0
    (recording,) = tmp_path.glob("recording_*.mp4")
    with FilmReader(recording) as film:
        frames = list(film)
        assert 15 <= len(frames) <= 40
        assert frames[0].pts == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_recording_that_cannot_be_written_is_given_up_and_the_show_goes_on(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    controls = Controls(["negative"])

    def press(frames):
        key = {5: "r", 60: "q"}.get(len(frames))
        if key:
            controls.press(key)

    viewer = Collecting(live=True, then=press)
    captures = Captures(tmp_path / "file", controls, Camera.time_base, Camera.rate, "")
    run(Camera(), {"viewer": viewer, "captures": captures}, controls)
    assert "not kept: " in capsys.readouterr().err
    assert not controls.settings.recording
    assert len(viewer.frames) >= 60
