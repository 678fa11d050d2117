from jaxstyle.realtime.quality_controller import QualityController

SIZES = [(640, 360), (452, 256), (320, 180)]


def observe(controller, seconds_at_full_size, frames):
    """Frames whose time goes by their pixels; the sizes that were chosen, without repetitions."""
    sizes = [controller.size]
    for _ in range(frames):
        share = controller.size[0] * controller.size[1] / (640 * 360)
        if controller.observe(seconds_at_full_size * share):
            sizes.append(controller.size)
    return sizes


def test_frames_that_are_fast_enough_keep_their_size():
    assert observe(QualityController(SIZES, fps=30), 0.03, 1000) == SIZES[:1]


def test_the_size_falls_until_the_rate_holds():
    assert observe(QualityController(SIZES, fps=30), 0.05, 1000) == SIZES[:2]
    assert observe(QualityController(SIZES, fps=30), 0.1, 1000) == SIZES


def test_the_smallest_size_is_the_last():
    assert observe(QualityController(SIZES, fps=30), 10.0, 1000) == SIZES


def test_one_slow_frame_decides_nothing():
    controller = QualityController(SIZES, fps=30)
    for _ in range(100):
        assert not any(controller.observe(seconds) for seconds in [0.01] * 6 + [1.0])


def test_the_size_comes_back_when_there_is_time_again():
    controller = QualityController(SIZES, fps=30)
    observe(controller, 0.05, 100)
    assert observe(controller, 0.01, 1000) == [SIZES[1], SIZES[0]]


def test_sizes_do_not_flap():
    """At the smaller size there seems to be room for the larger one, which then is too slow."""
    controller = QualityController(SIZES[:2], fps=30)
    changes = sum(
        controller.observe(0.04 if controller.size == SIZES[0] else 0.01) for _ in range(5000)
    )
    assert 3 <= changes <= 13
