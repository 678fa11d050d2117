"""Batches for training: sources in, an endless, resumable stream of uint8 batches out.

    source -> shuffle, anew each epoch -> crop -> this process's rows -> batch -> prefetch -> step

Several styles are several sources, which take turns; each batch says which images are of which.

Everything up to "batch" is a Grain `MapDataset`: a pure function from a batch number to a batch. So
the number of the next batch is the whole state of the stream, whatever the number of workers, and
the batches are the same ones, by however many processes they are loaded.
"""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import cv2
import grain
import numpy as np
from absl import flags

from jaxstyle.data import augment
from jaxstyle.data.sources import Source
from jaxstyle.errors import UserError

Batch = dict[str, np.ndarray]


class BatchIterator(Iterator[Batch]):
    """Iterates over `batches` for ever, preparing some ahead in threads or worker processes.

    `get_state()` is a small JSON-serialisable dict. After `set_state(state)`, also on an iterator
    made later with the same arguments, the stream goes on with the very batches that would have
    followed `get_state()`. The state does not depend on `workers`.
    """

    def __init__(self, batches: grain.MapDataset, workers: int):
        self._batches = batches
        self._workers = workers
        self._next_batch = 0
        # Started on the first request, so that restoring a state first costs no second start.
        self._running: grain.DatasetIterator | None = None

    def __next__(self) -> Batch:
        if self._running is None:
            if self._workers:
                # Grain's queues are part of a cycle once an error has come through them. Thrown
                # away amid a call of multiprocessing's resource tracker, as starting workers makes
                # many, they would call it again, which it does not allow.
                gc.collect()
            self._running = iter(_prefetched(self._batches[self._next_batch :], self._workers))
        batch = next(self._running)
        self._next_batch += 1
        return batch

    def get_state(self) -> dict[str, int]:
        """The position in the stream."""
        return {"next_batch": self._next_batch}

    def set_state(self, state: dict[str, int]) -> None:
        """Moves to a position returned by `get_state`."""
        self.close()
        self._next_batch = state["next_batch"]

    def close(self) -> None:
        """Stops threads and worker processes; a later request starts them again."""
        if self._running is not None:
            self._running.close()
            self._running = None


def make_loader(
    content: Source | None,
    style: Source | Sequence[Source],
    *,
    batch_size: int,
    image_size: int,
    seed: int,
    workers: int = 0,
    crop_scale: tuple[float, float] = (0.5, 1.0),
    paired: bool = False,
    guides: Sequence[Source] = (),
    native_content: bool = False,
    edge_smoothing: bool = False,
    process_index: int = 0,
    process_count: int = 1,
) -> BatchIterator:
    """An endless stream of {"content", "style"} batches, a pure function of its arguments.

    Each batch maps "content" and "style" to [n, image_size, image_size, 3] uint8 RGB, n being
    batch_size / process_count, and with `edge_smoothing` also "style_smooth" to the style images
    with blurred edges. Without content, "content" is missing; with several styles, "style_label" is
    int32 [n], the number of each style image's style; with guides, "guide" is what belongs to the
    content, in that style. Augmentation that needs no decoded original
    (flips, colour) is left to the device, see `augment`.

    Args:
      content: images to be stylized; None for a generator that makes images of noise.
      style: images in the style; or a list of several such sources, which take turns image by
        image, so that all are seen equally often, however many images each has.
      batch_size: images per batch, of all processes together.
      image_size: side of the square crops, pixels.
      seed: of order and crops, not negative.
      workers: processes that prepare batches; 0: threads of this process. With processes, a script
        that calls this needs the `if __name__ == "__main__":` guard, and all sources must pickle.
      crop_scale: range of the crop's side as a share of the image's shorter side.
      paired: content[i] and style[i] show the same scene, and get the same crop. Otherwise all
        sources are shuffled independently and may differ in length.
      guides: for each style a source of as many images as the content, guide[i] of the same scene
        as content[i], which gets the same crop.
      native_content: crops of the content, and of its guides, are cut out at their own scale.
      edge_smoothing: adds "style_smooth".
      process_index: which of the processes this is: it loads the n rows of every batch from row
        n * process_index on, and no others.
      process_count: number of processes that share the batches.

    Raises:
      UserError: an argument is out of range, there is no style, or paired sources are not one
        content and one style, or differ in length (or, on iteration, in image size); or, on
        iteration, content is too small to be cut at its own scale.
    """
    _check(batch_size, image_size, seed, workers, crop_scale)
    if not 0 <= process_index < process_count or batch_size % process_count:
        raise ValueError(f"process {process_index} of {process_count}, batches of {batch_size}")
    styles = _as_list(style)
    if not styles:
        raise UserError("name at least one style to train on")

    def seed_of(stream: int) -> int:
        return int(np.random.SeedSequence((seed, 0, stream)).generate_state(1)[0])

    crop = _Crop(image_size, crop_scale)
    content_crop = _Crop(image_size, None) if native_content else crop
    if guides and (paired or len(guides) != len(styles)):
        raise ValueError(f"{len(guides)} guides for {len(styles)} styles, paired={paired}")
    if guides:
        elements = _guided(content, styles, guides, content_crop, crop, seed_of)
    elif paired:
        pair = _checked_pair(content, styles)
        pairs = _pair_crops(*pair, content_crop, 0, seed_of)
        elements = pairs.map(_Named(("content", "style")))
    else:
        art = _art([_crops(s, crop, i, seed_of) for i, s in enumerate(styles, start=1)])
        elements = _in_turn(art)
        if content is not None:
            images = _crops(content, content_crop, 0, seed_of).map(_Named(("content",)))
            elements = _together(images, elements)

    if edge_smoothing:
        elements = elements.map(_with_smooth_edges)
    if process_count > 1:
        rows = _Rows(elements, batch_size, process_index, process_count)
        elements = grain.MapDataset.source(rows)
    # The stream has no end, so there is no remainder; but asked to keep it, Grain rounds the number
    # of batches up in floating point, and that of batches of 1 becomes more than an index holds.
    count = batch_size // process_count
    return BatchIterator(elements.batch(count, drop_remainder=True), workers)


def _crops(
    source: Source, crop: "_Crop", number: int, seed_of: Callable[[int], int]
) -> grain.MapDataset:
    """Random crops of the images of a source for ever; `number` tells the sources' seeds apart."""
    return _for_ever(grain.MapDataset.source(source), crop.image, number, seed_of)


def _pair_crops(
    content: Source, other: Source, crop: "_Crop", number: int, seed_of: Callable[[int], int]
) -> grain.MapDataset:
    """The same of pairs (content[i], other[i]), which get the same crop."""
    sources = [grain.MapDataset.source(source) for source in (content, other)]
    pairs = grain.experimental.ZipMapDataset(sources)
    return _for_ever(pairs, crop.pair, number, seed_of)


def _for_ever(
    images: grain.MapDataset, crop: Callable, number: int, seed_of: Callable[[int], int]
) -> grain.MapDataset:
    shuffled = images.shuffle(seed_of(2 * number)).repeat()
    return shuffled.random_map(crop, seed=seed_of(2 * number + 1))


def _guided(
    content: Source | None,
    styles: list[Source],
    guides: Sequence[Source],
    content_crop: "_Crop",
    crop: "_Crop",
    seed_of: Callable[[int], int],
) -> grain.MapDataset:
    """Elements {"content", "guide", "style"}, and "style_label" of several styles in turn."""
    elements = []
    art = _art([_crops(s, crop, i, seed_of) for i, s in enumerate(styles, start=1)])
    for number, (one, guide) in enumerate(zip(art, guides, strict=True), start=len(styles) + 1):
        pair = _checked_pair(content, [guide])
        pairs = _pair_crops(*pair, content_crop, number, seed_of)
        elements.append(_together(pairs.map(_Named(("content", "guide"))), one))
    return _in_turn(elements)


def _art(styles: list[grain.MapDataset]) -> list[grain.MapDataset]:
    """Elements {"style"} of one style, or {"style", "style_label"} of each of several."""
    if len(styles) == 1:
        return [styles[0].map(_Named(("style",)))]
    return [style.map(_Labelled(i)) for i, style in enumerate(styles)]


def _in_turn(elements: list[grain.MapDataset]) -> grain.MapDataset:
    return elements[0] if len(elements) == 1 else grain.MapDataset.mix(elements)


def _together(*parts: grain.MapDataset) -> grain.MapDataset:
    """Elements with the entries of all parts."""
    return grain.experimental.ZipMapDataset(parts).map(_merged)


def _merged(parts: tuple[Batch, ...]) -> Batch:
    return {name: value for part in parts for name, value in part.items()}


def _as_list(style: Source | Sequence[Source]) -> list[Source]:
    """All the sources; a list of images is one source."""
    if isinstance(style, list | tuple) and not any(isinstance(s, np.ndarray) for s in style[:1]):
        return list(style)
    return [cast(Source, style)]


class _Crop:
    """Random crops as Grain transformations; methods of an object, so that workers can unpickle."""

    def __init__(self, size: int, scale: tuple[float, float] | None):
        """scale: as in `augment.sample_crop`; None cuts at the image's own scale."""
        self.size = size
        self.scale = scale

    def image(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return augment.resized_crop(image, self._square(image, rng), self.size)

    def _square(self, image: np.ndarray, rng: np.random.Generator) -> tuple[int, int, int]:
        height, width = image.shape[:2]
        if self.scale:
            return augment.sample_crop(height, width, self.scale, rng)
        if min(height, width) < self.size:
            raise UserError(f"an image of {width}x{height} is too small to cut {self.size} out of")
        return augment.sample_square(height, width, self.size, rng)

    def pair(
        self, pair: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        content, style = pair
        if content.shape != style.shape:
            raise UserError(
                f"paired images must be of one size, got {content.shape[1]}x{content.shape[0]} "
                f"content and {style.shape[1]}x{style.shape[0]} style"
            )
        square = self._square(content, rng)
        return (
            augment.resized_crop(content, square, self.size),
            augment.resized_crop(style, square, self.size),
        )


class _Named:
    """An image, or a tuple of them, as a dict."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def __call__(self, images: np.ndarray | tuple[np.ndarray, ...]) -> Batch:
        images = images if isinstance(images, tuple) else (images,)
        return dict(zip(self.names, images, strict=True))


class _Labelled:
    """A style image with the number of its style."""

    def __init__(self, label: int):
        self.label = label

    def __call__(self, image: np.ndarray) -> Batch:
        return {"style": image, "style_label": np.asarray(self.label, np.int32)}


def _with_smooth_edges(element: Batch) -> Batch:
    return {**element, "style_smooth": augment.smooth_edges(element["style"])}


class _Rows:
    """Of every `batch_size` elements in turn those that are one process's part of the batch."""

    def __init__(self, elements: grain.MapDataset, batch_size: int, index: int, count: int):
        self._elements = elements
        self._batch_size = batch_size
        self._rows = batch_size // count
        self._first = index * self._rows

    def __len__(self) -> int:
        return len(self._elements) // self._batch_size * self._rows

    def __getitem__(self, i: int) -> Batch:
        batch, row = divmod(i, self._rows)
        return self._elements[batch * self._batch_size + self._first + row]


def _prefetched(batches: grain.MapDataset, workers: int) -> grain.IterDataset:
    """A handful of batches ahead: Grain's own default, 500, would fill the memory."""
    if workers == 0:
        threads = min(8, os.cpu_count() or 1)
        return batches.to_iter_dataset(
            grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2)
        )
    if not flags.FLAGS.is_parsed():
        # Grain's workers read absl flags; a script that does not use absl never parses them.
        flags.FLAGS.mark_as_parsed()
    in_worker = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    return batches.to_iter_dataset(in_worker).mp_prefetch(
        grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2), _start_worker
    )


def _start_worker(_index: int, _count: int) -> None:
    # Workers are the parallelism already; OpenCV's own threads would fight over the same cores.
    cv2.setNumThreads(1)
    # Signals reach the whole process group; the main process decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _check(
    batch_size: int,
    image_size: int,
    seed: int,
    workers: int,
    crop_scale: tuple[float, float],
) -> None:
    if batch_size < 1 or image_size < 1:
        raise UserError(
            f"batch_size and image_size must be at least 1, got {batch_size} and {image_size}"
        )
    if seed < 0 or workers < 0:
        raise UserError(f"seed and workers must not be negative, got {seed} and {workers}")
    low, high = crop_scale
    if not 0 < low <= high <= 1:
        raise UserError(f"crop_scale must be 0 < low <= high <= 1, got {low}, {high}")


def _checked_pair(content: Source | None, styles: list[Source]) -> tuple[Source, Source]:
    """The content and the only style. Raises `UserError` if they are not that, or no pairs."""
    if content is None or len(styles) > 1:
        raise UserError(
            f"paired training needs content and one style, got "
            f"{'no' if content is None else 'a'} content and {len(styles)} styles"
        )
    if len(content) != len(styles[0]):
        raise UserError(
            f"paired training needs as many style as content images, "
            f"got {len(content)} content and {len(styles[0])} style"
        )
    return content, styles[0]
