"""Generators and discriminators: Flax Linen modules, one architecture a file.

To add one, write its module and name it in the table below; a recipe then chooses it by
`config.generator = ConfigDict({"name": ..., <fields of the module>})`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxstyle.errors import UserError
from jaxstyle.models.animegan2 import AnimeGan2, AnimeGan2Discriminator
from jaxstyle.models.animegan3 import AnimeGan3, AnimeGan3Discriminator
from jaxstyle.models.dcgan import DcganDiscriminator, DcganGenerator
from jaxstyle.models.microast import MicroAst
from jaxstyle.models.patch import PatchDiscriminator
from jaxstyle.models.progan import ProganDiscriminator, ProganGenerator
from jaxstyle.models.projected import ProjectedDiscriminator
from jaxstyle.models.realtime import Realtime
from jaxstyle.models.resnet import ResnetGenerator
from jaxstyle.models.wgan_gp import WganGpCritic, WganGpGenerator

GENERATORS: dict[str, type[nn.Module]] = {
    "animegan2": AnimeGan2,
    "animegan3": AnimeGan3,
    "dcgan": DcganGenerator,
    "microast": MicroAst,
    "progan": ProganGenerator,
    "realtime": Realtime,
    "resnet": ResnetGenerator,
    "wgan_gp": WganGpGenerator,
}
DISCRIMINATORS: dict[str, type[nn.Module]] = {
    "animegan2": AnimeGan2Discriminator,
    "animegan3": AnimeGan3Discriminator,
    "dcgan": DcganDiscriminator,
    "patch": PatchDiscriminator,
    "progan": ProganDiscriminator,
    "projected": ProjectedDiscriminator,
    "wgan_gp": WganGpCritic,
}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def _build(table: dict[str, type[nn.Module]], kind: str, config: Mapping[str, Any]) -> nn.Module:
    config = dict(config)
    name = config.pop("name", None)
    if name not in table:
        raise UserError(f"no {kind} named {name!r}; there are: {', '.join(sorted(table))}")
    module = table[name]
    fields = {f.name for f in dataclasses.fields(module)} - {"parent", "name"}
    unknown = sorted(set(config) - fields)
    if unknown:
        raise UserError(
            f"{kind} {name!r} has no option {unknown[0]!r}; "
            f"its options: {', '.join(sorted(fields))} (a recipe replaces the whole entry)"
        )
    if "dtype" in config:
        if config["dtype"] not in DTYPES:
            raise UserError(f"dtype is {config['dtype']!r}; there are: {', '.join(DTYPES)}")
        config["dtype"] = DTYPES[config["dtype"]]
    for option, value in config.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise UserError(f"{option} of {kind} {name!r} is {value}; it must be at least 1")
    try:
        return module(**config)
    except ValueError as error:
        raise UserError(f"{kind} {name!r}: {error}") from error


def build_generator(config: Mapping[str, Any]) -> nn.Module:
    """Returns the generator that `config` names, e.g. `{"name": "realtime", "size": "small"}`.

    Its `__call__(x, return_features=False)` takes float [N, H, W, 3] in [-1, 1] with H and W
    multiples of its `stride`; some take a condition after x, or noise instead of it, see
    `jaxstyle.models.examples`. `dtype` ("float32" or "bfloat16") is that of the computation;
    parameters and statistics are float32. An unknown name or option raises `UserError`.
    """
    return _build(GENERATORS, "generator", config)


def build_discriminator(config: Mapping[str, Any]) -> nn.Module:
    """Returns the discriminator that `config` names, e.g. `{"name": "patch", "layers": 2}`.

    Its `__call__(x, update_stats=False)` takes float [N, H, W, 3] in [-1, 1] and gives float32
    logits [N, h, w, K], K being 1 or the number of styles. `couples_images` says that the images of
    a batch influence each other's. One that `takes` "features" is given a dict of feature maps, and
    gives one of logits. An unknown name or option raises `UserError`.
    """
    return _build(DISCRIMINATORS, "discriminator", config)
