"""The engine: uint8 frames in, stylized uint8 frames out, in one compiled function."""

import functools
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import Bundle
from jaxstyle.inference.settings import Settings
from jaxstyle.inference.styles import conditions_of, shown_styles, styles_of

# How much a pixel's neighbourhood may change, in [-1, 1] units, and still count as standing still.
# Sensor noise of 3 of 255 levels averages to a tenth of this over the neighbourhood.
_STILL = 4 / 127.5
_NEIGHBOURHOOD = 5
_WHITE = 255

Array = jax.Array | np.ndarray  # on the device, or on its way there


class Look(NamedTuple):
    """What a person has set, as float32 values that the compiled function takes.

    strength: as in `Settings`, [N], one for each frame. mix, smoothing: scalars, as there.
    split: a scalar; the input is shown left of this column.
    """

    strength: Array
    mix: Array
    smoothing: Array
    split: Array


class Shown(NamedTuple):
    """A bundle that is shown, and which of its styles.

    parameters: of its generator. conditions: of its K styles, a pytree of float32 leaves [K, ...];
    None if it has but one. weights: float32 [K], of sum 1.
    """

    parameters: Any
    conditions: Any
    weights: Array


class State(NamedTuple):
    """What smoothing remembers of the last frame.

    frame: uint8 [H, W, 3], as it came. output: float32 [H, W, 3] in [-1, 1], as it was shown.
    known: float32 scalar, 0 while there was none or smoothing was off, then 1.
    """

    frame: Array
    output: Array
    known: Array


def initial_state(height: int, width: int) -> State:
    """The state before the first frame, in host memory."""
    frame = np.zeros((height, width, 3), np.uint8)
    return State(frame, np.zeros(frame.shape, np.float32), np.zeros((), np.float32))


def stylize(
    generator: nn.Module,
    parameters: dict,
    frames: jax.Array,
    strength: jax.Array,
    condition: Any = None,
) -> jax.Array:
    """Stylizes uint8 RGB frames [N, H, W, 3] of any H and W; returns uint8 of the same shape.

    strength: float32 scalar s; the result is x + s (G(x) - x): 0 gives the frames, 1 the style.
    condition: what a conditioned generator takes, float32 leaves [N or 1, ...].
    """
    x = _normalized(frames)
    return _quantized(_blended(x, _generated(generator, parameters, x, condition), strength))


def stylize_next(
    generators: Sequence[nn.Module],
    shown: Sequence[Shown],
    state: State,
    frames: jax.Array,
    look: Look,
) -> tuple[State, jax.Array]:
    """One step of a film: `stylize` with style mix, temporal smoothing and split view.

    generators: one, or two whose outputs are mixed by `look.mix`; shown: what of each.
    frames: consecutive uint8 [N, H, W, 3]; the result has the same shape.
    """
    x = _normalized(frames)
    outputs = [
        _generated(generator, one.parameters, x, _mixed(one.conditions, one.weights))
        for generator, one in zip(generators, shown, strict=True)
    ]
    y = outputs[0]
    if len(outputs) == 2:
        y = y + look.mix * (outputs[1] - y)
    output = _blended(x, y, look.strength.reshape(-1, 1, 1, 1))
    state, output = lax.cond(
        look.smoothing > 0,
        functools.partial(_smoothed, amount=look.smoothing),
        lambda state, _, output: (state._replace(known=jnp.float32(0)), output),
        state,
        frames,
        output,
    )
    columns = jnp.arange(frames.shape[2], dtype=jnp.float32)[None, None, :, None]
    shown_frames = jnp.where(columns < look.split, frames, _quantized(output))
    is_line = (look.split > 0) & (jnp.abs(columns - look.split) < 1)
    return state, jnp.where(is_line, jnp.uint8(_WHITE), shown_frames)


def _generated(generator: nn.Module, parameters: dict, x: Array, condition: Any) -> jax.Array:
    height, width = x.shape[1:3]
    # Edge padding, as reflection needs a frame larger than its pad.
    pad_height, pad_width = -height % generator.stride, -width % generator.stride
    padded = jnp.pad(x, ((0, 0), (0, pad_height), (0, pad_width), (0, 0)), mode="edge")
    inputs = (padded,) if condition is None else (padded, condition)
    y: Any = generator.apply({"params": parameters}, *inputs)
    return y[:, :height, :width].astype(jnp.float32)


def _mixed(conditions: Any, weights: Array) -> Any:
    """The weighted sum of the rows of every leaf, [K, ...] -> [1, ...]."""

    def mixed(leaf: jax.Array) -> jax.Array:
        # Not a matrix product, which accelerators round: a style alone is to be exactly that.
        weighted = leaf * weights.reshape(-1, *[1] * (leaf.ndim - 1))
        return weighted.sum(axis=0, keepdims=True)

    return jax.tree.map(mixed, conditions)


def _blended(x: Array, y: Array, strength: Array) -> jax.Array:
    return jnp.clip(x + strength * (y - x), -1.0, 1.0)


def _normalized(frames: Array) -> Array:
    return frames.astype(jnp.float32) / 127.5 - 1.0


def _quantized(output: jax.Array) -> jax.Array:
    return jnp.round((output + 1.0) * 127.5).astype(jnp.uint8)


def _smoothed(
    state: State, frames: jax.Array, outputs: jax.Array, amount: Array
) -> tuple[State, jax.Array]:
    """Blends each output with the one before it where the input stands still."""

    def blend(state: State, now: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
        frame, output = now
        change = _normalized(frame) - _normalized(state.frame)
        window = (_NEIGHBOURHOOD, _NEIGHBOURHOOD, 1)
        # The mean of the signed change: noise cancels out in it, and motion does not.
        mean = lax.reduce_window(change, 0.0, lax.add, window, (1, 1, 1), "SAME")
        mean = jnp.abs(mean).max(axis=-1, keepdims=True) / _NEIGHBOURHOOD**2
        kept = state.known * amount * jnp.exp(-jnp.square(mean / _STILL))
        output = output + kept * (state.output - output)
        return State(frame, output, jnp.float32(1)), output

    return lax.scan(blend, state, (frames, outputs))


class Stylizer:
    """The styles of one or more bundles on the device, compiled once per shape of their input.

    Programs depend on architectures, not on weights: bundles of one kind share theirs, and so do
    all styles of a bundle and their mixes. `dtype`, that of the computation, is by default
    bfloat16 on an accelerator, and on a CPU that of the bundle.

    style_images: uint8 [H, W, 3] of any size, each a style of every bundle that takes its style
    from an image; they are encoded here, once. styles: see `styles.styles_of`.

    Raises `UserError` if bundles and style images do not go together, or if parameters are not
    finite: they would show black frames.
    """

    def __init__(
        self,
        bundles: Bundle | Sequence[Bundle],
        dtype: DTypeLike | None = None,
        style_images: Sequence[np.ndarray] | None = None,
    ):
        bundles = [bundles] if isinstance(bundles, Bundle) else list(bundles)
        images = list(style_images or [])
        self.styles = styles_of(bundles, len(images))
        if dtype is None and jax.default_backend() != "cpu":
            dtype = jnp.bfloat16
        for bundle in bundles:
            leaves = jax.tree.leaves(bundle.parameters)
            if not all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves):
                raise UserError("the model holds NaN or infinite weights: its training diverged")
        self.generators = [
            bundle.generator.clone(dtype=dtype) if dtype else bundle.generator for bundle in bundles
        ]
        # The first generator of each kind stands for all of them.
        self._kinds = [self.generators.index(generator) for generator in self.generators]
        self._parameters = [jax.device_put(bundle.parameters) for bundle in bundles]
        self._conditions = [jax.device_put(conditions_of(bundle, images)) for bundle in bundles]
        self._programs: dict[tuple, jax.stages.Compiled] = {}
        self._idle_state: State | None = None
        self._compiling = threading.Lock()

    @property
    def receptive_radius(self) -> int | None:
        """How far around a pixel the input matters to it, in pixels; None: everywhere."""
        radii = [getattr(generator, "receptive_radius", None) for generator in self.generators]
        known = [radius for radius in radii if radius is not None]
        return max(known) if len(known) == len(radii) else None

    def __call__(self, frames: np.ndarray | jax.Array, strength: float = 1.0) -> jax.Array:
        """Stylizes uint8 [N, H, W, 3]; returns at once with the result still being computed.

        A new shape compiles (seconds); a new strength does not. `np.asarray` on the result waits.
        """
        # Without smoothing nothing in the state counts, but a new one would be uploaded each time.
        if self._idle_state is None or self._idle_state.frame.shape != frames.shape[1:]:
            self._idle_state = initial_state(*frames.shape[1:3])
        settings = Settings(strength=strength)
        self._idle_state, result = self.step(self._idle_state, frames, settings)
        return result

    def step(
        self,
        state: State,
        frames: np.ndarray | jax.Array,
        settings: Settings,
        strengths: Sequence[float] | None = None,
    ) -> tuple[State, jax.Array]:
        """Stylizes the next uint8 frames [N, H, W, 3] of a film; uses up `state`, gives the next.

        `settings.split` counts in widths of the frames. strengths: one for each frame, in place of
        the one in the settings. Returns before the result is there.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(f"frames are {frames.dtype} {frames.shape}, not uint8 [N, H, W, 3]")
        shown = self._shown(settings)
        program = self._programs.get(self._key(settings, frames.shape))
        if program is None:
            program = self._compiled(settings, frames.shape)
        if strengths is None:
            strengths = [settings.strength] * len(frames)
        look = Look(
            np.asarray(strengths, np.float32),
            np.asarray(settings.mix, np.float32),
            np.asarray(settings.smoothing, np.float32),
            np.asarray(settings.split * frames.shape[2], np.float32),
        )
        return program(shown, state, frames, look)

    def prepare(self, shape: tuple[int, int, int, int], settings: Settings) -> None:
        """Compiles what `step` needs for frames of this shape, with these styles."""
        self._compiled(settings, shape)

    def is_ready(self, shape: tuple[int, int, int, int], settings: Settings) -> bool:
        """Whether `step` would start at once, without compiling."""
        return self._key(settings, shape) in self._programs

    def _shown(self, settings: Settings) -> tuple[Shown, ...]:
        return tuple(
            Shown(self._parameters[i], self._conditions[i], weights)
            for i, weights in shown_styles(self.styles, settings)
        )

    def _key(self, settings: Settings, shape: tuple[int, ...]) -> tuple:
        kinds = (self._kinds[i] for i, _ in shown_styles(self.styles, settings))
        return tuple(kinds), shape

    def _compiled(self, settings: Settings, shape: tuple[int, ...]) -> jax.stages.Compiled:
        key = self._key(settings, shape)
        # One compilation at a time: two that need the same program would both do the work.
        with self._compiling:
            if key not in self._programs:
                kinds, _ = key
                generators = [self.generators[i] for i in kinds]
                function = jax.jit(
                    functools.partial(stylize_next, generators), donate_argnames="state"
                )
                scalar = np.zeros((), np.float32)
                strengths = np.zeros(shape[:1], np.float32)
                self._programs[key] = function.lower(
                    self._shown(settings),
                    initial_state(*shape[1:3]),
                    jax.ShapeDtypeStruct(shape, np.uint8),
                    Look(strengths, scalar, scalar, scalar),
                ).compile()
        return self._programs[key]


def keep_compiled_programs() -> None:
    """Has JAX store what it compiles in ~/.cache/jaxstyle/compiled, so the next start is quick.

    JAX_COMPILATION_CACHE_DIR names another folder. For entry points, before the first compilation.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Not beside the rendered scenes, so that a person can clear either.
        folder = Path.home() / ".cache" / "jaxstyle" / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # A second, JAX's default, is most of the time that a small generator takes to start.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
