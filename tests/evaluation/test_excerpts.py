import numpy as np

from jaxstyle.evaluation.contents import Content
from jaxstyle.evaluation.excerpts import excerpt, strip
from jaxstyle.evaluation.footage import Footage, Motion

MOTION = Motion(1, (), np.zeros((0, 4, 4, 2), np.float32), np.zeros((0, 4, 4), bool))


def numbered(count, start=0, height=4, width=4):
    """Frames of levels start, start + 1, ..."""
    levels = np.arange(start, start + count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(levels, (count, height, width, 3))


def levels(images):
    return [int(image.mean()) for image in images]


def test_of_a_film_its_first_frames_and_pictures_from_all_of_it():
    frames = numbered(31)
    film = Content("film", (Footage("film", frames, motions=(MOTION,)),))
    found = excerpt(film, [frames])
    assert levels(found.frames) == [0, 1, 2, 3, 4]
    assert levels(found.pictures) == [0, 10, 20, 30]


def test_of_clips_a_picture_each_of_some_and_the_truth_beside():
    clips = [numbered(9, 10 * i) for i in range(7)]
    truth = [frames + 100 for frames in clips]
    footage = [Footage("", x, y, (MOTION,)) for x, y in zip(clips, truth, strict=True)]
    content = Content("scenes", tuple(footage))
    shown = strip(content, {"input": excerpt(content, clips)})
    assert levels(shown.pictures["input"]) == [0, 20, 40, 60]
    assert levels(shown.pictures["truth"]) == [100, 120, 140, 160]
    assert levels(shown.frames["truth"]) == [100, 101, 102, 103, 104]


def test_pictures_that_do_not_follow_one_another_make_no_strip():
    wide = numbered(2, height=90, width=1280)
    found = excerpt(Content("photos", (Footage("photos", wide),)), [wide])
    assert levels(found.pictures) == [0, 1]
    assert found.frames.shape == (1, 22, 320, 3)
