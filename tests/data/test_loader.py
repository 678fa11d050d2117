import gc
import json
import multiprocessing
import multiprocessing.queues
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

import jaxstyle
from jaxstyle.data.loader import make_loader
from jaxstyle.errors import UserError

pytestmark = pytest.mark.slow


def flat_images(count: int, first: int = 0, size: int = 20) -> list[np.ndarray]:
    """Image i is filled with the value first + i, so that a batch tells what was read."""
    return [np.full((size, size, 3), first + i, np.uint8) for i in range(count)]


def gradients(count: int, height: int = 40, width: int = 60) -> list[np.ndarray]:
    """Every pixel knows where it is (red = row, green = column) and whose it is (blue)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.uint8)
    return [np.stack([y, x, np.full_like(x, i)], axis=-1) for i in range(count)]


def take(loader, count):
    return [next(loader) for _ in range(count)]


def values(batches, name):
    return [int(image[0, 0, 0]) for batch in batches for image in batch[name]]


def assert_equal_batches(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


OPTIONS = {"batch_size": 3, "image_size": 8, "seed": 0}


def test_shapes_and_types():
    loader = make_loader(gradients(4), gradients(5), edge_smoothing=True, **OPTIONS)
    batch = next(loader)
    loader.close()
    assert set(batch) == {"content", "style", "style_smooth"}
    for images in batch.values():
        assert images.shape == (3, 8, 8, 3)
        assert images.dtype == np.uint8


def test_each_epoch_covers_every_image_once_in_a_new_order():
    content, style = flat_images(6), flat_images(9, first=100)
    loader = make_loader(content, style, **OPTIONS)
    batches = take(loader, 6)
    loader.close()
    epochs = np.array(values(batches, "content")).reshape(3, 6)
    for epoch in epochs:
        assert sorted(epoch) == list(range(6))
    assert len({tuple(epoch) for epoch in epochs}) == 3
    style_epochs = np.array(values(batches, "style")).reshape(2, 9)
    for epoch in style_epochs:
        assert sorted(epoch) == list(range(100, 109))


def test_content_and_style_are_shuffled_independently():
    loader = make_loader(flat_images(50), flat_images(50), **OPTIONS | {"batch_size": 50})
    (batch,) = take(loader, 1)
    loader.close()
    order = np.array(values([batch], "content")), np.array(values([batch], "style"))
    assert np.mean(order[0] == order[1]) < 0.2


def test_crops_of_one_image_differ_from_epoch_to_epoch():
    loader = make_loader(gradients(1), gradients(1), **OPTIONS | {"batch_size": 8})
    (batch,) = take(loader, 1)
    loader.close()
    assert len({image.tobytes() for image in batch["content"]}) > 4


def test_the_seed_decides():
    first, again, other = (
        take(make_loader(gradients(9), gradients(9), **OPTIONS | {"seed": seed}), 2)
        for seed in (1, 1, 2)
    )
    assert_equal_batches(first, again)
    assert not np.array_equal(first[0]["content"], other[0]["content"])


def test_pairs_keep_their_partner_and_their_crop():
    content = gradients(10)
    style = [255 - image for image in content]
    loader = make_loader(
        content, style, paired=True, crop_scale=(0.2, 0.9), **OPTIONS | {"image_size": 36}
    )
    for batch in take(loader, 5):
        # Resampling rounds each side on its own.
        mirrored = 255 - batch["style"].astype(int)
        assert np.abs(batch["content"] - mirrored).max() <= 1
    loader.close()


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(UserError, match="3 content and 4 style"):
        make_loader(flat_images(3), flat_images(4), paired=True, **OPTIONS)
    loader = make_loader(flat_images(3), flat_images(3, size=21), paired=True, **OPTIONS)
    with pytest.raises(UserError, match="20x20 content and 21x21 style"):
        next(loader)
    loader.close()


def guided(styles=2, count=5):
    """Content whose pixels know where they are and whose; guide k is what its negative is, less k;
    the pictures of style k are of value 100 + k."""
    content = gradients(count)
    return {
        "content": content,
        "style": [flat_images(3 + k, first=100) for k in range(styles)],
        "guides": [[255 - k - image for image in content] for k in range(styles)],
    }


def test_the_guide_gets_the_crop_of_its_content_and_a_label_its_own_guide():
    sources = guided()
    for k, style in enumerate(sources["style"]):
        style[:] = flat_images(len(style), first=100 * (k + 1))
    loader = make_loader(**sources, edge_smoothing=True, **OPTIONS | {"batch_size": 4})
    batches = take(loader, 5)
    loader.close()
    assert set(batches[0]) == {"content", "guide", "style", "style_label", "style_smooth"}
    for batch in batches:
        assert batch["style_label"].tolist() == [0, 1, 0, 1]
        labels = batch["style_label"].reshape(-1, 1, 1, 1)
        # Resampling rounds each side on its own.
        negative = 255 - labels - batch["guide"].astype(int)
        assert np.abs(batch["content"] - negative).max() <= 1
        assert (batch["style"] // 100 == labels + 1).all()
    for label in (0, 1):
        shown = [batch["content"][i, 0, 0, 2] for batch in batches for i in (label, label + 2)]
        # Every style sees all of the content before any of it comes again, each in its own order.
        assert sorted(shown[:5]) == sorted(shown[5:]) == list(range(5))


def test_one_style_with_a_guide_has_no_label():
    loader = make_loader(**guided(styles=1), **OPTIONS)
    batch = next(loader)
    loader.close()
    assert set(batch) == {"content", "guide", "style"}
    assert np.abs(255 - batch["guide"].astype(int) - batch["content"]).max() <= 1


def test_native_crops_keep_the_scale_of_the_content_and_its_guide():
    loader = make_loader(**guided(styles=1), native_content=True, **OPTIONS | {"image_size": 36})
    for batch in take(loader, 4):
        for axis, channel in ((1, 0), (2, 1)):
            places = batch["content"][..., channel].astype(int)
            assert (np.diff(places, axis=axis) == 1).all()
        np.testing.assert_array_equal(batch["guide"], 255 - batch["content"])
    loader.close()


def test_without_guides_too_only_the_content_is_cut_at_its_own_scale():
    loader = make_loader(gradients(3), gradients(3), native_content=True, **OPTIONS)
    batch = next(loader)
    loader.close()
    steps = {name: np.diff(batch[name][..., 0].astype(int), axis=1).mean() for name in batch}
    assert steps["content"] == 1
    assert steps["style"] > 2  # of 20 to 40 pixels, 8 are made


def test_content_too_small_to_be_cut_at_its_own_scale_is_refused():
    options = OPTIONS | {"image_size": 41}
    loader = make_loader(**guided(styles=1), native_content=True, **options)
    with pytest.raises(UserError, match="an image of 60x40 is too small to cut 41 out of"):
        next(loader)
    loader.close()


def test_guides_that_do_not_fit_are_refused():
    sources = guided()
    with pytest.raises(ValueError, match="1 guides for 2 styles"):
        make_loader(**sources | {"guides": sources["guides"][:1]}, **OPTIONS)
    with pytest.raises(ValueError, match="paired=True"):
        make_loader(**sources, **OPTIONS | {"paired": True})
    with pytest.raises(UserError, match="5 content and 4 style"):
        make_loader(**sources | {"guides": [g[:4] for g in sources["guides"]]}, **OPTIONS)


def test_guided_batches_resume_and_processes_share_them():
    options = OPTIONS | {"batch_size": 6, "native_content": True}
    through = make_loader(**guided(), **options)
    expected = take(through, 4)
    through.close()
    parts = []
    for index in range(2):
        loader = make_loader(**guided(), process_index=index, process_count=2, **options)
        loader.set_state({"next_batch": 2})
        parts.append(take(loader, 2))
        loader.close()
    for batch, first, second in zip(expected[2:], *parts, strict=True):
        together = {name: np.concatenate([first[name], second[name]]) for name in batch}
        assert_equal_batches([together], [batch])


def test_without_content_batches_hold_style_only():
    style = flat_images(6, first=100)
    loader = make_loader(None, style, edge_smoothing=True, **OPTIONS)
    alone = take(loader, 4)
    loader.close()
    assert set(alone[0]) == {"style", "style_smooth"}
    beside = make_loader(flat_images(4), style, **OPTIONS)
    assert values(alone, "style") == values(take(beside, 4), "style")
    beside.close()


def test_several_styles_take_turns_and_are_labelled():
    styles = [flat_images(count, first=first) for count, first in ((3, 100), (8, 120), (5, 140))]
    loader = make_loader(flat_images(4), styles, edge_smoothing=True, **OPTIONS | {"batch_size": 4})
    batches = take(loader, 18)
    loader.close()
    assert set(batches[0]) == {"content", "style", "style_label", "style_smooth"}
    assert batches[0]["style_label"].dtype == np.int32
    assert batches[0]["style_label"].shape == (4,)
    labels = np.concatenate([batch["style_label"] for batch in batches])
    assert labels.tolist() == [0, 1, 2] * 24
    shown = np.array(values(batches, "style"))
    assert ((shown - 100) // 20 == labels).all()
    # Each style goes through all of its images before any comes again.
    for label, source in enumerate(styles):
        epochs = shown[labels == label][: 24 // len(source) * len(source)].reshape(-1, len(source))
        for epoch in epochs:
            assert sorted(epoch) == [image[0, 0, 0] for image in source]


def test_one_style_in_a_list_is_one_style():
    style = flat_images(5)
    (batch,) = take(make_loader(flat_images(4), [style], **OPTIONS), 1)
    assert set(batch) == {"content", "style"}
    assert_equal_batches([batch], take(make_loader(flat_images(4), style, **OPTIONS), 1))


def test_several_styles_resume():
    styles = [gradients(5), gradients(3)]
    through = make_loader(None, styles, **OPTIONS)
    expected = take(through, 7)
    through.close()
    loader = make_loader(None, styles, workers=1, **OPTIONS)
    loader.set_state({"next_batch": 3})
    assert_equal_batches(take(loader, 4), expected[3:])
    loader.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_continues_with_the_very_batches_that_would_have_followed(workers):
    sources = gradients(7), gradients(5)
    through = make_loader(*sources, **OPTIONS)
    expected = take(through, 9)
    through.close()

    loader = make_loader(*sources, workers=workers, **OPTIONS)
    assert_equal_batches(take(loader, 4), expected[:4])
    saved = json.loads(json.dumps(loader.get_state()))
    assert_equal_batches(take(loader, 2), expected[4:6])
    loader.set_state(saved)
    assert_equal_batches(take(loader, 5), expected[4:])
    loader.close()

    # Another process, another number of workers: the state means the same.
    restarted = make_loader(*sources, workers=0 if workers else 1, **OPTIONS)
    restarted.set_state(saved)
    assert_equal_batches(take(restarted, 2), expected[4:6])
    restarted.close()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("style", [flat_images(7, first=100), [gradients(5), gradients(3)]])
def test_processes_load_disjoint_parts_of_the_very_batches_of_one(style, workers):
    options = OPTIONS | {"batch_size": 6}
    alone = make_loader(flat_images(11), style, **options)
    whole = take(alone, 5)
    alone.close()
    parts = []
    for index in range(3):
        loader = make_loader(
            flat_images(11), style, process_index=index, process_count=3, workers=workers, **options
        )
        loader.set_state({"next_batch": 2})
        parts.append(take(loader, 3))
        loader.close()
    for batch, *of_processes in zip(whole[2:], *parts, strict=True):
        for name, images in batch.items():
            together = np.concatenate([part[name] for part in of_processes])
            np.testing.assert_array_equal(together, images)


def test_processes_see_everything_once_an_epoch():
    options = OPTIONS | {"batch_size": 4, "process_count": 2}
    seen = []
    for index in range(2):
        loader = make_loader(flat_images(12), flat_images(4), process_index=index, **options)
        seen += values(take(loader, 3), "content")
        loader.close()
    assert sorted(seen) == list(range(12))


def test_a_batch_that_processes_cannot_share_is_a_mistake():
    with pytest.raises(ValueError, match="process 0 of 2, batches of 3"):
        make_loader(flat_images(4), flat_images(4), process_count=2, **OPTIONS)


def test_no_style_is_refused():
    with pytest.raises(UserError, match="at least one style"):
        make_loader(flat_images(4), [], **OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"crop_scale": (0.0, 1.0)}, "crop_scale"),
        ({"crop_scale": (0.5, 1.5)}, "crop_scale"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        make_loader(flat_images(4), flat_images(4), **OPTIONS | wrong)


def test_an_error_in_a_worker_reaches_the_caller_and_leaves_nothing_to_later_workers(monkeypatch):
    """Thrown away while they start, its queues would enter multiprocessing's resource tracker anew,
    which it warns of."""
    sources = flat_images(3), flat_images(3, size=21)
    loader = make_loader(*sources, paired=True, workers=1, **OPTIONS)
    gc.disable()
    try:
        with pytest.raises(UserError, match="20x20 content and 21x21 style"):
            next(loader)
        loader.close()
        queues = [
            weakref.ref(item)
            for item in gc.get_objects()
            if type(item) is multiprocessing.queues.Queue
        ]
        left = []

        def start(batches, workers):
            left.extend(queue() for queue in queues if queue())
            return [batches[0]]

        monkeypatch.setattr("jaxstyle.data.loader._prefetched", start)
        next(make_loader(flat_images(3), flat_images(3), workers=1, **OPTIONS))
        assert left == []
    finally:
        gc.enable()


def test_workers_run_from_a_plain_script_and_start_no_jax_backend(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import numpy as np
from jax._src import xla_bridge
from jaxstyle.data.loader import make_loader

class Source:
    def __len__(self):
        return 4
    def __getitem__(self, index):
        # In a worker, every pixel says whether importing this far has started a JAX backend.
        return np.full((9, 9, 3), xla_bridge.backends_are_initialized(), np.uint8)

if __name__ == "__main__":
    loader = make_loader(Source(), Source(), batch_size=2, image_size=8, seed=0, workers=2)
    print([int(next(loader)["content"].max()) for _ in range(3)])
    loader.close()
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(Path(jaxstyle.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "[0, 0, 0]", done.stderr


def test_a_signal_to_the_whole_process_group_leaves_the_workers_to_the_main_process():
    loader = make_loader(gradients(4), gradients(4), workers=1, **OPTIONS)
    next(loader)
    (worker,) = multiprocessing.active_children()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    take(loader, 20)
    assert worker.is_alive()
    loader.close()
    assert not worker.is_alive()


def test_a_batch_may_be_a_single_image():
    """As CycleGAN and FastCUT train; the stream is as endless as that of larger batches."""
    images = [np.full((8, 8, 3), i, np.uint8) for i in range(3)]
    batches = make_loader(images, images, batch_size=1, image_size=8, seed=0)
    found = [int(next(batches)["content"].mean()) for _ in range(6)]
    batches.close()
    assert sorted(found) == [0, 0, 1, 1, 2, 2]
