import pickle
import threading
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest

from jaxstyle.data.video import VideoFrames
from jaxstyle.errors import UserError
from jaxstyle.media.film import FilmReader, upright_rgb


def write_clip(path, *, frames=60, codec="libx264", options=None, pts=None, turn=0, seed=0):
    """Noise that changes its base every 25 frames, in several groups of pictures with B-frames."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            codec, 25, options or {"g": "12", "bf": "3"}, time_base=Fraction(1, 1000)
        )
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if turn:
            stream.set_display_rotation(turn)
        for i in range(frames):
            rgb = rng.integers(0, 64, (48, 64, 3), np.uint8) + np.uint8(7 * i % 190)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = 40 * i if pts is None else pts[i]
            frame.time_base = Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def decoded_in_order(path):
    """By PyAV alone, without any index."""
    with av.open(str(path)) as film:
        return [upright_rgb(frame) for frame in film.decode(video=0)]


def assert_random_access_equals(frames, expected, seed=0):
    assert len(frames) == len(expected)
    order = np.random.default_rng(seed).integers(0, len(expected), 60).tolist()
    for i in [*order, 0, len(expected) - 1, 0, 1, 2]:
        np.testing.assert_array_equal(frames[i], expected[i])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_any_order_gives_the_frames_of_sequential_decoding(tmp_path, name):
    write_clip(tmp_path / name)
    assert_random_access_equals(VideoFrames(tmp_path / name), decoded_in_order(tmp_path / name))


def test_open_groups_of_pictures_decode_from_the_keyframe_before(tmp_path):
    options = {"g": "12", "bf": "3", "x264-params": "open-gop=1"}
    write_clip(tmp_path / "a.mp4", options=options)
    assert_random_access_equals(
        VideoFrames(tmp_path / "a.mp4"), decoded_in_order(tmp_path / "a.mp4")
    )


def test_tiny_groups_of_pictures(tmp_path):
    write_clip(tmp_path / "a.mp4", options={"g": "2", "bf": "1"})
    assert_random_access_equals(
        VideoFrames(tmp_path / "a.mp4"), decoded_in_order(tmp_path / "a.mp4")
    )


def test_unequal_frame_times_and_a_late_start(tmp_path):
    pts = (5000 + np.cumsum(np.random.default_rng(0).integers(10, 400, 60))).tolist()
    write_clip(tmp_path / "a.mp4", pts=pts)
    assert_random_access_equals(
        VideoFrames(tmp_path / "a.mp4"), decoded_in_order(tmp_path / "a.mp4")
    )


def test_containers_without_timestamps(tmp_path):
    with av.open(str(tmp_path / "a.avi"), "w") as output:
        stream = output.add_stream("mpeg4", 25, {"g": "10"}, width=64, height=48)
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * i, np.uint8))
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert_random_access_equals(
        VideoFrames(tmp_path / "a.avi"), decoded_in_order(tmp_path / "a.avi")
    )


def test_frames_are_upright(tmp_path):
    write_clip(tmp_path / "plain.mp4")
    write_clip(tmp_path / "turned.mp4", turn=90)
    plain, turned = VideoFrames(tmp_path / "plain.mp4"), VideoFrames(tmp_path / "turned.mp4")
    np.testing.assert_array_equal(turned[30], np.rot90(plain[30]))


def test_several_films_follow_one_another(tmp_path):
    paths = [tmp_path / f"{seed}.mp4" for seed in range(10)]
    for seed, path in enumerate(paths):
        write_clip(path, frames=6, seed=seed)
    assert_random_access_equals(
        VideoFrames(paths), [frame for path in paths for frame in decoded_in_order(path)]
    )


def test_indices_are_those_of_a_list(tmp_path):
    write_clip(tmp_path / "a.mp4", frames=10)
    frames = VideoFrames(tmp_path / "a.mp4")
    np.testing.assert_array_equal(frames[-1], frames[9])
    with pytest.raises(IndexError):
        frames[10]


def test_a_returned_frame_is_the_callers_own(tmp_path):
    write_clip(tmp_path / "a.mp4", frames=3)
    frames = VideoFrames(tmp_path / "a.mp4")
    before = frames[1].copy()
    frames[1][:] = 0
    np.testing.assert_array_equal(frames[1], before)


def test_pickles_small_and_works_from_many_threads(tmp_path):
    write_clip(tmp_path / "a.mp4")
    expected = decoded_in_order(tmp_path / "a.mp4")
    frames = VideoFrames(tmp_path / "a.mp4")
    frames[7]
    data = pickle.dumps(frames)
    assert len(data) < 3000
    copy = pickle.loads(data)
    failures = []

    def check(seed):
        try:
            assert_random_access_equals(copy, expected, seed)
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=check, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_missing_or_broken_film_is_an_error_in_words(tmp_path):
    with pytest.raises(UserError, match="no film at"):
        VideoFrames(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(UserError):
        VideoFrames(tmp_path / "text.mp4")


@pytest.mark.slow
def test_real_clips(media):
    for path in sorted((media / "video").glob("*/*")):
        if path.stat().st_size == 0:
            continue
        frames = VideoFrames(path)
        sample = [frame for frame, _ in zip(FilmReader(path), range(24), strict=False)]
        expected = [zlib.crc32(frame.rgb) for frame in sample]
        for i in np.random.default_rng(0).permutation(len(expected))[:12].tolist():
            assert zlib.crc32(frames[i]) == expected[i], (path, i)
        assert frames[-1].shape == frames[0].shape
