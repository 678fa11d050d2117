import hashlib
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxstyle.errors import UserError
from jaxstyle.media.film import Color, FilmReader, FilmWriter, Frame

# Kr and Kb of ITU-T H.273, by matrix.
LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
COLORS = np.array([[200, 40, 30], [20, 180, 60], [40, 60, 220], [240, 240, 240], [10, 10, 10]])


def picture(i, width=64, height=48):
    """A smooth RGB image, different for every i: uint8 [height, width, 3]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = np.array([0.0, 2.0, 4.0], np.float32) + 0.2 * i
    wave = np.sin((x / width * 4)[..., None] + (y / height * 3)[..., None] + phase)
    return np.round(128 + 90 * wave).astype(np.uint8)


def yuv_of(rgb, matrix, full, bits):
    """Y'CbCr code values of one colour, by the formulas of H.273."""
    kr, kb = LUMA[matrix]
    r, g, b = np.asarray(rgb) / 255
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    peak, scale = 2**bits - 1, 2 ** (bits - 8)
    if full:
        values = y * peak, u * peak + 128 * scale, v * peak + 128 * scale
    else:
        values = (219 * y + 16) * scale, (224 * u + 128) * scale, (224 * v + 128) * scale
    return [min(round(value), peak) for value in values]


def write_patches(path, pix_fmt, matrix, full, size=(64, 48), tagged=True):
    """A lossless clip with one frame of each of COLORS."""
    bits = 10 if "10" in pix_fmt else 8
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", 25, {"qp": "0", "preset": "ultrafast"})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = *size, pix_fmt
        if tagged:
            context.colorspace, context.color_range = matrix, 2 if full else 1
        for i, rgb in enumerate(COLORS):
            frame = av.VideoFrame(*size, pix_fmt)
            for plane, value in zip(frame.planes, yuv_of(rgb, matrix, full, bits), strict=True):
                dtype = np.uint16 if bits > 8 else np.uint8
                plane.update(np.full(plane.buffer_size // dtype().itemsize, value, dtype).tobytes())
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def write_film(path, frames, **options):
    options = {"time_base": Fraction(1, 25), "rate": Fraction(25)} | options
    with FilmWriter(path, **options) as writer:
        for frame in frames:
            writer.write(frame)
        writer.finish()


def write_with_audio(path, *, seconds=2, tracks=("aac", "aac"), video=True):
    """A clip with pictures at 25/s and a tone in each audio track."""
    with av.open(str(path), "w") as output:
        if video:
            stream = output.add_stream("libx264", 25, width=64, height=48, pix_fmt="yuv420p")
        sounds = [output.add_stream(codec, 48000) for codec in tracks]
        output.metadata["title"] = "A title"
        half = {"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000)}
        output.set_chapters([half | {"metadata": {"title": "First half"}}])
        for number, sound in enumerate(sounds):
            sound.metadata["language"] = ("eng", "deu")[number]
        for i in range(25 * seconds if video else 0):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
            frame.pts = i
            output.mux(stream.encode(frame))
        for number, sound in enumerate(sounds):
            time = np.arange(48000 * seconds) / 48000
            tone = (0.3 * np.sin(2 * np.pi * 440 * (number + 1) * time)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
            frame.sample_rate, frame.pts = 48000, 0
            output.mux(sound.encode(frame))
        for stream in output.streams:
            output.mux(stream.encode(None))


def audio_packets(path):
    """Per audio stream: (hash of the bytes, seconds) of each packet."""
    with av.open(str(path)) as film:
        packets = {stream.index: [] for stream in film.streams.audio}
        for packet in film.demux():
            if packet.size and packet.stream.type == "audio":
                digest = hashlib.sha256(bytes(packet)).hexdigest()
                packets[packet.stream_index].append((digest, float(packet.pts * packet.time_base)))
        return list(packets.values())


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", LUMA)
def test_tagged_colors_are_read_by_formula(tmp_path, pix_fmt, matrix, full):
    path = tmp_path / "patches.mkv"
    write_patches(path, pix_fmt, matrix, full)
    with FilmReader(path) as film:
        for frame, rgb in zip(film, COLORS, strict=True):
            np.testing.assert_allclose(frame.rgb[20, 30].astype(int), rgb, atol=2)


@pytest.mark.parametrize(("size", "matrix"), [((640, 480), 6), ((1280, 720), 1)])
def test_untagged_colors_are_read_as_players_do_and_tagged_when_written(tmp_path, size, matrix):
    source, result = tmp_path / "patches.mkv", tmp_path / "result.mkv"
    write_patches(source, "yuv420p", matrix, full=False, size=size, tagged=False)
    with FilmReader(source) as film:
        for frame, rgb in zip(film, COLORS, strict=True):
            np.testing.assert_allclose(frame.rgb[20, 30].astype(int), rgb, atol=2)
    assert film.color.matrix == matrix
    write_film(result, [Frame(picture(0, *size), 0, 1)], color=film.color)
    with av.open(str(result)) as written:
        assert written.streams.video[0].codec_context.colorspace == matrix


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
@pytest.mark.parametrize("size", [(64, 48), (65, 47)])
def test_what_is_written_reads_back_with_size_color_and_shape(tmp_path, name, size):
    color = Color(matrix=6, primaries=6, transfer=6)
    aspect = Fraction(1) if name == "a.webm" else Fraction(4, 3)
    frames = [Frame(picture(i, *size), i, 1) for i in range(8)]
    write_film(tmp_path / name, frames, color=color, sample_aspect_ratio=aspect)
    with FilmReader(tmp_path / name) as film:
        read = list(film)
    assert (film.size, film.color, film.sample_aspect_ratio) == (size, color, aspect)
    assert len(read) == len(frames)
    for before, after in zip(frames, read, strict=True):
        difference = before.rgb.astype(int) - after.rgb
        assert np.abs(difference).mean() < 3
        assert np.abs(difference.mean(axis=(0, 1))).max() < 2
    with av.open(str(tmp_path / name)) as film:
        assert film.streams.video[0].codec_context.color_range == 1


def test_unequal_frame_times_a_late_start_and_the_last_duration_are_kept(tmp_path):
    times = [90000, 93003, 96006, 99009, 120000, 123003, 126006]
    frames = [
        Frame(picture(i), time, end - time)
        for i, (time, end) in enumerate(zip(times, [*times[1:], 180000], strict=True))
    ]
    clock = {"time_base": Fraction(1, 90000), "rate": Fraction(30000, 1001)}
    write_film(tmp_path / "a.mp4", frames, **clock)
    with FilmReader(tmp_path / "a.mp4") as film:
        read = list(film)
        assert [frame.pts * film.time_base for frame in read] == [Fraction(t, 90000) for t in times]
        assert read[-1].duration * film.time_base == Fraction(180000 - 126006, 90000)


def test_ntsc_rate_stays_a_rational(tmp_path):
    frames = [Frame(picture(i), 1001 * i, 1001) for i in range(30)]
    write_film(tmp_path / "a.mp4", frames, time_base=Fraction(1, 30000), rate=Fraction(30000, 1001))
    with FilmReader(tmp_path / "a.mp4") as film:
        assert film.rate == Fraction(30000, 1001)
        assert film.total == 30


def test_equal_timestamps_are_spread_instead_of_refused(tmp_path):
    write_film(tmp_path / "a.mp4", [Frame(picture(i), pts, 1) for i, pts in enumerate([0, 0, 1])])
    with FilmReader(tmp_path / "a.mp4") as film:
        assert len(list(film)) == 3


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_rotation_metadata_becomes_pixels(tmp_path, quarter_turns, flip):
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("libx264", 25, width=64, height=48, pix_fmt="yuv420p")
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        # Counterclockwise, then mirrored.
        stream.set_display_rotation(90 * quarter_turns, hflip=flip)
        frame = av.VideoFrame.from_ndarray(picture(0), format="rgb24")
        frame.pts = 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    expected = np.rot90(picture(0), quarter_turns)
    expected = expected[:, ::-1] if flip else expected
    with FilmReader(tmp_path / "a.mp4") as film:
        (read,) = film
    assert film.size == (expected.shape[1], expected.shape[0])
    assert film.sample_aspect_ratio == (Fraction(3, 4) if quarter_turns % 2 else Fraction(4, 3))
    assert np.abs(read.rgb.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("source_name", ["in.mp4", "in.mkv"])
def test_every_audio_track_is_copied_bit_for_bit(tmp_path, source_name, name):
    source = tmp_path / source_name
    write_with_audio(source)
    with FilmReader(source) as film:
        write_film(
            tmp_path / name, film, time_base=film.time_base, rate=film.rate, copy_from=source
        )
    for before, after in zip(audio_packets(source), audio_packets(tmp_path / name), strict=True):
        assert [digest for digest, _ in before] == [digest for digest, _ in after]
        np.testing.assert_allclose([t for _, t in before], [t for _, t in after], atol=1e-3)
    with av.open(str(tmp_path / name)) as film:
        assert [stream.language for stream in film.streams.audio] == ["eng", "deu"]
        assert [chapter["metadata"]["title"] for chapter in film.chapters()] == ["First half"]
        assert {key.lower(): value for key, value in film.metadata.items()}["title"] == "A title"


def test_cut_ends_sound_with_the_pictures(tmp_path):
    source = tmp_path / "in.mp4"
    write_with_audio(source)
    with FilmReader(source) as film:
        frames = [frame for frame, _ in zip(film, range(20), strict=False)]
        clock = {"time_base": film.time_base, "rate": film.rate}
    write_film(tmp_path / "out.mp4", frames, copy_from=source, cut=True, **clock)
    for track in audio_packets(tmp_path / "out.mp4"):
        assert 0.75 < track[-1][1] < 0.8


def test_sound_that_the_container_cannot_hold_is_refused_at_once(tmp_path):
    source = tmp_path / "in.mp4"
    write_with_audio(source, seconds=1)
    with pytest.raises(UserError, match=r"webm cannot hold the aac audio.*\.mkv"):
        FilmWriter(
            tmp_path / "out.webm", time_base=Fraction(1, 25), rate=Fraction(25), copy_from=source
        )
    assert sorted(tmp_path.iterdir()) == [source]


def test_an_exception_leaves_nothing_behind(tmp_path):
    def interrupted():
        yield Frame(picture(0), 0, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_film(tmp_path / "a.mp4", interrupted())
    with pytest.raises(UserError, match="not one frame"):
        write_film(tmp_path / "a.mp4", [])
    sizes = [Frame(picture(0), 0, 1), Frame(picture(1, 32, 32), 1, 1)]
    with pytest.raises(UserError, match="--size=64x48"):
        write_film(tmp_path / "a.mp4", sizes)
    assert not list(tmp_path.iterdir())


def noisy_film(path):
    rng = np.random.default_rng(0)
    frames = [Frame(rng.integers(0, 256, (96, 128, 3), np.uint8), 40 * i, 40) for i in range(30)]
    write_film(path, frames, time_base=Fraction(1, 1000))


def test_a_truncated_film_is_an_error_that_names_the_frame(tmp_path):
    for name in ["a.mp4", "a.mkv"]:
        path = tmp_path / name
        noisy_film(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
        with pytest.raises(UserError, match=r"damaged near frame 1\d"), FilmReader(path) as film:
            list(film)
        with FilmReader(path, keep_going=True) as film:
            assert 14 <= len(list(film)) <= 20
        assert film.damaged


def test_flipped_bits_are_an_error(tmp_path):
    path = tmp_path / "a.mp4"
    noisy_film(path)
    data = bytearray(path.read_bytes())
    for position in range(len(data) // 2, len(data) * 3 // 4, 500):
        data[position] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged near frame"), FilmReader(path) as film:
        list(film)


def test_what_is_no_film_is_refused(tmp_path):
    text, empty, sound = tmp_path / "text.mp4", tmp_path / "empty.mp4", tmp_path / "sound.mp4"
    text.write_text("this is not a film\n" * 100)
    empty.touch()
    write_with_audio(sound, seconds=1, video=False)
    for path, message in [
        (text, "film|moving pictures"),
        (empty, "0 bytes"),
        (sound, "no moving pictures"),
        (tmp_path / "missing.mp4", "no film at"),
    ]:
        with pytest.raises(UserError, match=message):
            FilmReader(path)


@pytest.mark.slow
def test_real_clips_survive_the_round_trip(tmp_path, media):
    for source in sorted((media / "video").glob("*/*")):
        if source.name in ("zero_bytes.webm", "intel_bottle-detection.mp4"):
            continue
        result = tmp_path / "out.mp4"
        with FilmReader(source) as film:
            frames = [frame for frame, _ in zip(film, range(24), strict=False)]
        write_film(
            result,
            frames,
            time_base=film.time_base,
            rate=film.rate,
            color=film.color,
            sample_aspect_ratio=film.sample_aspect_ratio,
            copy_from=source,
            cut=True,
        )
        with FilmReader(result) as written:
            read = list(written)
        assert written.size == film.size, source
        assert written.sample_aspect_ratio == film.sample_aspect_ratio, source
        assert written.color == film.color, source
        times = [frame.pts * film.time_base for frame in frames]
        assert [frame.pts * written.time_base for frame in read] == times, source
        for before, after in zip(audio_packets(source), audio_packets(result), strict=True):
            hashes = [digest for digest, _ in before]
            assert [digest for digest, _ in after] == hashes[: len(after)], source
        for before, after in zip(frames, read, strict=True):
            bias = (before.rgb.astype(int) - after.rgb).mean(axis=(0, 1))
            assert np.abs(bias).max() < 1.5, source


def test_names_with_a_colon_are_files_and_no_protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_with_audio("plain.mp4", seconds=1)
    Path("plain.mp4").rename("Naruto:01.mp4")
    with FilmReader("Naruto:01.mp4") as film:
        clock = {"time_base": film.time_base, "rate": film.rate}
        write_film("Naruto:02.mp4", film, copy_from="Naruto:01.mp4", **clock)
    with FilmReader("Naruto:02.mp4") as film:
        assert len(list(film)) == 25


@pytest.mark.slow
@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(-5, 4000), st.integers(1, 4000)), min_size=1, max_size=6),
)
@settings(max_examples=20)
def test_any_times_are_kept_but_for_those_that_do_not_rise(start, steps):
    """Steps and durations, in units of a clock of 90 kHz."""
    times = start + np.cumsum([0, *(step for step, _ in steps[:-1])]).clip(-start)
    frames = [
        Frame(picture(i, 16, 16), int(time), duration)
        for i, (time, (_, duration)) in enumerate(zip(times, steps, strict=True))
    ]
    expected = [frames[0].pts]
    for frame in frames[1:]:
        expected.append(max(frame.pts, expected[-1] + 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        write_film(path, frames, time_base=Fraction(1, 90000), rate=Fraction(30))
        with FilmReader(path) as film:
            found = [frame.pts * film.time_base for frame in film]
    assert found == [Fraction(time, 90000) for time in expected]
