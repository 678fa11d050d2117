import cv2
import numpy as np
import pytest

from jaxstyle.data.scenes import clip
from jaxstyle.data.scenes.colors import Light
from jaxstyle.data.scenes.geometry import PATH, Body, Camera, Scene, Shape
from jaxstyle.data.scenes.render import Renderer
from jaxstyle.data.scenes.stage import polygon, rectangle

SIZE = (128, 128)
STILL = (0.0, 10.0, 0.0)
LIGHT = Light(
    "noon", (0.3,) * 3, (0.8,) * 3, (0.6,) * 3, (0.4,) * 3, (0.6, -0.8), False, 1.0, 1.0, (1.0,) * 3
)


def stage(bodies, contours, camera=None):
    """A backdrop behind one shape for each body; body and shape numbers are equal."""
    camera = camera or Camera(0.5, STILL, STILL, STILL, 0.0)
    backdrop = Shape([rectangle(-5, -5, 5, 5)], 0, 1, (0.5, 0.6, 0.8), (0.5, 0.6, 0.8))
    shapes = [backdrop] + [
        Shape([contour], i + 1, i + 2, (0.8, 0.3, 0.2), (0.8, 0.3, 0.2))
        for i, contour in enumerate(contours)
    ]
    return Renderer(Scene(camera, LIGHT, [Body(), *bodies], shapes), SIZE)


def flow_between(renderer, now, then):
    before, after = renderer.geometry(now), renderer.geometry(then)
    flow, occluded = renderer.flow(before, after)
    return flow, occluded, before.shapes[1::2, 1::2]


def test_a_sliding_square_moves_by_its_speed_and_covers_what_is_before_it():
    # 8 pixels to the right; one unit is 128 pixels; the square is 32 pixels high.
    square = rectangle(-0.125, -0.125, 0.125, 0.125)
    renderer = stage([Body(speed=0.0625)], [square])
    flow, occluded, shown = flow_between(renderer, 0.0, 1.0)
    assert np.abs(flow[shown == 1] - (8, 0)).max() < 1e-4
    assert np.abs(flow[shown == 0]).max() < 1e-4
    expected = np.zeros(SIZE, bool)
    expected[48:80, 80:88] = True
    # Rasterisation may move the border of the covered strip by a pixel.
    assert np.sum(occluded ^ expected) <= 32 + 2 * 10
    assert occluded[50:78, 81:87].all()
    assert not occluded[~cv2.dilate(expected.astype(np.uint8), np.ones((3, 3))).astype(bool)].any()


def test_what_leaves_the_picture_is_occluded():
    camera = Camera(0.5, STILL, (0.25, 4.0, 0.0), STILL, 0.0)  # looks 0.25 to the right in 1 s
    flow, occluded, _ = flow_between(stage([], [], camera), 0.0, 1.0)
    np.testing.assert_allclose(flow, np.broadcast_to((-32, 0), flow.shape), atol=1e-3)
    assert occluded[:, :32].all()
    assert not occluded[:, 32:].any()


def test_camera_travel_moves_the_ground_and_what_stands_on_it_in_perspective():
    camera = Camera(0.5, (0.2, 4.0, 0.0), STILL, STILL, 0.0)  # travels 0.2 to the right in 1 s
    ground = rectangle(-5, 0.0, 5, 2.0)
    post = rectangle(-0.05, -0.3, 0.05, 0.25)  # stands at row 0.25, 32 pixels below the horizon
    renderer = stage([Body(ground=True), Body(parallax=0.25)], [ground, post], camera)
    flow, _, shown = flow_between(renderer, 0.0, 1.0)
    rows = np.broadcast_to((np.arange(128) + 0.5 - 64)[:, None], SIZE)
    np.testing.assert_allclose(flow[..., 0][shown == 1], -0.2 * rows[shown == 1], atol=1e-3)
    np.testing.assert_allclose(flow[..., 0][shown == 2], -0.2 * 32, atol=1e-3)
    np.testing.assert_allclose(flow[..., 0][shown == 0], 0, atol=1e-3)


def test_a_limb_turns_about_the_joint_of_its_moving_parent():
    torso = Body(speed=0.1)
    arm = Body(parent=1, pivot=(0.0, 0.1), spin=np.pi / 2)
    renderer = stage(
        [torso, arm], [polygon((0, 0), (0.01, 0), (0, 0.01)), rectangle(0, 0.1, 0.2, 0.2)]
    )
    poses = renderer.scene.poses(1.0, SIZE)
    # After 1 s the torso is 0.1 further and the arm a quarter turn (x to y, clockwise) on.
    tip = poses[2] @ (0.2, 0.1, 1)
    np.testing.assert_allclose(tip[:2], (64 + 128 * 0.1, 64 + 128 * 0.3), atol=1e-9)


def test_travellers_come_back_after_one_path():
    body = Body(pivot=(0.3, 0.2), speed=0.5)
    np.testing.assert_allclose(body.motion(1.0), body.motion(1.0 + PATH / 0.5), atol=1e-9)


@pytest.mark.parametrize("seed", [3, 45, 65])
def test_flow_takes_each_frame_of_the_cel_to_the_next(seed):
    shot = clip(seed, 4)
    x, y = np.meshgrid(np.arange(256, dtype=np.float32), np.arange(256, dtype=np.float32))
    for t in range(3):
        dx, dy = shot.flow[t, ..., 0], shot.flow[t, ..., 1]
        warped = cv2.remap(
            shot.cel[t + 1], x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        error = np.abs(warped.astype(int) - shot.cel[t]).max(-1)
        steps = cv2.morphologyEx(shot.cel[t], cv2.MORPH_GRADIENT, np.ones((5, 5)))
        edges = steps.max(-1) > 12
        visible = ~shot.occluded[t]
        # Steps of the picture below 12 count as flat here, so they may be missed by as much.
        assert np.mean(error[visible & ~edges] < 14) > 0.99
        unmoved = np.abs(shot.cel[t + 1].astype(int) - shot.cel[t]).max(-1)
        moving = visible & (np.hypot(dx, dy) > 1)
        assert moving.sum() > 300
        assert error[moving].mean() < 0.6 * unmoved[moving].mean()
        assert np.mean(shot.occluded[t]) < 0.25


@pytest.mark.parametrize("seed", [3, 45, 65])
def test_dense_inverse_search_agrees_with_the_exact_flow(seed):
    shot = clip(seed, 2)
    before, after = (cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in shot.photo)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimate = search.calc(before, after, None)
    distance = np.linalg.norm(estimate - shot.flow[0], axis=-1)[~shot.occluded[0]]
    assert np.median(distance) < 0.5


def test_flow_over_several_frames_is_the_chain_of_the_steps_between():
    steps = clip(45, 6, (128, 128))
    shot = clip(45, 6, (128, 128), pairs=[(0, 5), (2, 3)])
    assert np.array_equal(shot.photo, steps.photo)
    assert np.array_equal(shot.cel, steps.cel)
    assert np.array_equal(shot.flow[1], steps.flow[2])
    assert np.array_equal(shot.occluded[1], steps.occluded[2])
    y, x = np.mgrid[:128, :128].astype(np.float32)
    end, seen = np.stack([x, y], -1), np.ones((128, 128), bool)
    for flow, occluded in zip(steps.flow, steps.occluded, strict=True):
        at = end[..., 0], end[..., 1]
        seen &= cv2.remap(occluded.astype(np.float32), *at, cv2.INTER_LINEAR) == 0
        end = end + cv2.remap(flow, *at, cv2.INTER_LINEAR)
    both = seen & ~shot.occluded[0]
    distance = np.linalg.norm(shot.flow[0] - (end - np.stack([x, y], -1)), axis=-1)
    moved = np.linalg.norm(shot.flow[0], axis=-1)
    assert both.mean() > 0.8
    assert np.median(moved[both]) > 0.5
    assert np.quantile(distance[both], 0.9) < 0.05
    assert np.mean(shot.occluded[0]) > np.mean(steps.occluded[0])


@pytest.mark.parametrize("pair", [(0, 3), (1, 1), (2, 0), (-1, 1)])
def test_flow_between_frames_that_a_clip_does_not_have_is_refused(pair):
    with pytest.raises(ValueError, match="clip of 3"):
        clip(45, 3, (32, 32), pairs=[pair])
