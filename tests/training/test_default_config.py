import math

import pytest
from ml_collections import ConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.losses import adversarial
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.training.config_checks import check_config


def changed(**changes) -> ConfigDict:
    config = default_config()
    config.update_from_flattened_dict(changes)
    return config


def test_the_default_is_sound():
    config = default_config()
    check_config(config)
    build_generator(config.generator)
    build_discriminator(config.discriminator)


def test_the_default_is_a_new_one_each_time():
    default_config().losses.warp.weight = 5.0
    assert default_config().losses.warp.weight == 0.0
    config = default_config()
    config.optimizer.generator.learning_rate = 1.0
    assert config.optimizer.discriminator.learning_rate == 2e-4


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(AttributeError, match="stepz"):
        default_config().stepz = 3


@pytest.mark.parametrize("kind", adversarial.KINDS)
def test_every_adversarial_loss_can_be_chosen(kind):
    check_config(changed(**{"losses.adversarial.kind": kind}))


ROUND_SCHEDULE = ((0.0, 0.0), (0.1, 1.0), (1.0, 0.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 32),
        ("ema_decay", 0.0),
        ("data.crop_scale", (1.0, 1.0)),
        ("data.guides", ("painter:oil",)),
        ("data.content_sides", (256, 480)),
        ("losses.color.schedule", ROUND_SCHEDULE),
        ("losses.r1.every", 1),
        ("initial_steps", 100),
        ("data.noise", 0.1),
        ("data.memory", 0),
        ("losses.patches.weight", 0.5),
        ("optimizer.generator.kind", "muon"),
    ],
)
def test_sound_values_pass(name, value):
    check_config(changed(**{name: value}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((f"{name}", (0, -1)) for name in (
            "steps", "batch_size", "generator_every", "discriminator_every", "log_every",
            "sample_every", "checkpoint_every", "keep_checkpoints", "losses.r1.every",
            "losses.r2.every", "losses.patch_nce.patches", "losses.patch_nce.width",
        )),
        *((name, (-1,)) for name in ("seed", "devices", "initial_steps", "evaluation.every")),
        ("evaluation.count", (0,)),
        ("evaluation.size", (63,)),
        ("evaluation.best", ("swdd", "")),
        *((f"losses.{name}.weight", (-0.5,)) for name in default_config().losses),
        ("losses.adversarial.smooth_weight", (-1.0,)),
        ("losses.adversarial.kind", ("l2",)),
        ("losses.patch_nce.temperature", (0.0, -1.0)),
        ("image_size", (0, 8, 100)),
        ("content_weight", (-1.0,)),
        ("initial_learning_rate", (-1e-4,)),
        ("growth.fade", (0.0, 1.5)),
        ("growth.stages", ((0.5,), (0.0, 0.0), (0.0, 1.0))),
        ("data.key_frames", (-1, 3)),
        ("data.teacher_style", ("picture.png",)),
        ("data.style_names", (("one",),)),
        ("data.guides", (("painter:oil", "painter:cel"),)),
        ("data.content_sides", ((255,), (256, 320.0), ("256",))),
        ("losses.adversarial.pool", (2,)),
        ("losses.adversarial.grey_weight", (-1.0,)),
        ("losses.adversarial.views", ((), ("colour",), ("grey", "grey"))),
        ("losses.adversarial.augment", (("flip",), ("color", "color"))),
        ("losses.adversarial.augment_strength", (0.0, 1.5)),
        ("losses.color.space", ("hsv",)),
        ("losses.perceptual.target", ("style", "guide", "neither")),
        ("losses.lpips.target", ("guide", "support")),
        ("losses.perceptual.layers", ((), (3,))),
        ("losses.ccpl.layers", ((), (3,))),
        ("losses.ccpl.positions", (0, -1)),
        ("losses.ccpl.width", (0,)),
        ("losses.ccpl.temperature", (0.0, -1.0)),
        ("losses.batch_gram.layers", ((), (3,))),
        ("losses.gram.layer_weights", ((1.0, 2.0),)),
        ("losses.support.color", (-1.0,)),
        ("ema_decay", (-0.1, 1.0)),
        ("data.crop_scale", ((0.0, 1.0), (0.8, 0.5), (0.5, 1.1), (0.5,), (0.2, 0.5, 1.0))),
        ("losses.shift.pixels", (0, 8, 20)),
        ("losses.patch_nce.layers", ((), ("a",), (1.5,))),
        ("losses.palette.block", (0, 7)),
        ("losses.warp.noise", (-0.1,)),
        ("losses.shift.noise", (-0.1,)),
        ("losses.flat.scale", (0.0, -0.1)),
        ("losses.patches.projections", (0, -1)),
        ("data.brightness", (-0.1, 1.0, 5.0)),
        ("data.noise", (-0.1,)),
        ("data.memory", (-1,)),
        ("optimizer.generator.learning_rate", (-1e-4,)),
        ("optimizer.discriminator.b1", (1.0, -0.1)),
        ("optimizer.generator.kind", ("sgd", "")),
        ("optimizer.discriminator.kind", ("Muon",)),
    ],
)  # fmt: skip
def test_values_that_cannot_work_are_refused_by_name(name, values):
    for value in values:
        with pytest.raises(UserError) as error_info:
            check_config(changed(**{name: value}))
        message = str(error_info.value)
        assert message.startswith(f"config.{name} is {value}")
        assert "\n" not in message


@pytest.mark.parametrize(
    "schedule",
    [
        (),
        ((0.5, 1.0), (0.2, 0.0)),
        ((-0.1, 1.0),),
        ((0.0, 1.0), (1.5, 0.0)),
        ((math.nan, 1.0),),
        (1.0,),
        (("a", 1.0),),
    ],
)
@pytest.mark.parametrize("owner", ["losses.warp", "optimizer.discriminator"])
def test_schedules_that_are_none_are_refused(owner, schedule):
    with pytest.raises(UserError, match=f"schedule of {owner.split('.')[1]}"):
        check_config(changed(**{f"{owner}.schedule": schedule}))


def test_a_shift_must_leave_something_to_compare():
    small = {"image_size": 32, "losses.shift.pixels": 16}
    check_config(changed(**small))  # off
    check_config(changed(**small | {"image_size": 48, "losses.shift.weight": 1.0}))
    with pytest.raises(UserError, match=r"losses\.shift\.pixels is 16"):
        check_config(changed(**small | {"losses.shift.weight": 1.0}))


def test_patches_need_pictures_of_two_scales():
    small = {"image_size": 16}
    check_config(changed(**small))  # off
    check_config(changed(**{"image_size": 32, "losses.patches.weight": 1.0}))
    with pytest.raises(
        UserError, match=r"image_size is 16; it must be 32 or more where losses\.pat"
    ):
        check_config(changed(**small, **{"losses.patches.weight": 1.0}))


def test_a_step_that_updates_neither_network_is_refused():
    check_config(changed(generator_every=2, discriminator_every=3))
    with pytest.raises(UserError, match="generator_every is 2"):
        check_config(changed(generator_every=2, discriminator_every=4))


def test_a_paired_loss_needs_paired_data():
    check_config(changed(**{"losses.paired_l1.weight": 1.0, "data.paired": True}))
    with pytest.raises(UserError, match=r"data\.paired is False"):
        check_config(changed(**{"losses.paired_l1.weight": 1.0}))


def test_pairs_of_real_and_fake_have_no_weight_of_the_real():
    relativistic = {"losses.adversarial.kind": "relativistic"}
    check_config(changed(**relativistic, **{"losses.adversarial.fake_weight": 2.0}))
    with pytest.raises(
        UserError, match=r"real_weight is 2\.0; it must be 1 where it is relativistic"
    ):
        check_config(changed(**relativistic, **{"losses.adversarial.real_weight": 2.0}))


def test_an_anchor_needs_a_start():
    check_config(changed(**{"losses.anchor.weight": 1.0, "start": "soft.safetensors"}))
    check_config(changed(start="soft.safetensors"))
    with pytest.raises(UserError, match=r"config\.start is empty; .* where losses\.anchor is on"):
        check_config(changed(**{"losses.anchor.weight": 1.0}))


def test_guides_are_what_paired_losses_compare_with():
    guided = {"data.guides": ("painter:oil",), "losses.paired_gradient.weight": 1.0}
    check_config(changed(**guided))
    check_config(changed(**guided, **{"losses.perceptual.target": "guide", "data.key_frames": 9}))
    with pytest.raises(UserError, match=r"losses\.perceptual\.target is style"):
        check_config(changed(**guided, **{"losses.perceptual.target": "style"}))


@pytest.mark.parametrize("given", [{"data.paired": True}, {"data.teacher": "slow.safetensors"}])
def test_guides_are_for_content_that_has_no_partner(given):
    with pytest.raises(UserError, match=r"data\.guides is .* empty where data are paired or have"):
        check_config(changed(**given, **{"data.guides": ("painter:oil",)}))


def test_each_style_has_a_guide_or_none_has():
    styles = {"data.styles": ("paintings/", "prints/")}
    check_config(changed(**styles))
    check_config(changed(**styles, **{"data.guides": ("painter:oil", "painter:woodblock")}))
    with pytest.raises(UserError, match=r"data\.guides is .* must be one for each style, 2 in all"):
        check_config(changed(**styles, **{"data.guides": ("painter:oil",)}))


def test_content_of_pairs_is_not_scaled_alone():
    sides = {"data.content_sides": (256, 480)}
    check_config(changed(**sides, **{"data.teacher": "slow.safetensors"}))
    with pytest.raises(UserError, match=r"data\.content_sides is .* empty where data are paired"):
        check_config(changed(**sides, **{"data.paired": True}))


def test_keys_are_checked_at_every_depth():
    config = ConfigDict(default_config().to_dict())
    config.losses.warp.speed = 3
    with pytest.raises(UserError, match=r"no setting losses\.warp\.speed; there are: noise"):
        check_config(config)
    config = ConfigDict(default_config().to_dict())
    del config.data["flip"]
    with pytest.raises(UserError, match=r"lacks data\.flip"):
        check_config(config)


def test_networks_may_have_settings_of_their_own():
    config = default_config()
    config.generator = ConfigDict({"name": "animegan2"})
    check_config(config)
