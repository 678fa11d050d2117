"""The default of every setting of a training run, and what it means.

A recipe in `configs/` starts from `default_config()` and changes what it needs to; the command line
changes the rest (`--config.steps=100`). The default is locked: a key that is not here is refused.
"""

from ml_collections import ConfigDict

# A schedule is a piecewise linear curve, ((fraction of the run, multiplier), ...), which the weight
# or the learning rate beside it is multiplied with.
CONSTANT = ((0.0, 1.0),)
SECOND_HALF_RAMP = ((0.5, 0.0), (1.0, 1.0))
LINEAR_DECAY = ((0.5, 1.0), (1.0, 0.0))


def default_config() -> ConfigDict:
    """Returns the locked default config: `realtime` trained unpaired on the embedded scenes."""
    config = ConfigDict()
    config.name = "anime"  # of the style; goes into the bundle
    config.description = ""  # what it looks like, in one line; goes into the bundle
    config.licence = ""  # of the trained model, as its data allow; goes into the bundle
    config.credits = ()  # whose data it is trained on, and their licences; goes into the bundle
    # The generator that training starts from, with the architecture of config.generator: a bundle,
    # or the name of a style that ships. Empty starts from random weights.
    config.start = ""
    config.seed = 0
    config.steps = 20_000
    config.batch_size = 8  # over all devices together
    config.image_size = 256  # pixels, of the square crops that are trained on
    config.devices = 0  # how many devices to use; 0 is all there are
    config.parallelism = "jit"  # or "pmap": the same step, mapped over the devices
    # So many micro-batches a step, one after another: less memory, the same gradients, but where
    # there is batch norm (dcgan, wgan_gp, progan).
    config.accumulation = 1
    # Knobs beside the weights of the single terms: all terms that hold on to the content, and all
    # that ask for the style, are multiplied by these.
    config.content_weight = 1.0
    config.style_weight = 1.0

    # Fields of the modules in jaxstyle/models; `name` chooses one. Another has other fields, so a
    # recipe replaces the whole entry: config.generator = ConfigDict({"name": "animegan2"}).
    # branches: its convolutions are trained as sums of several, and saved as one.
    config.generator = ConfigDict(
        {"name": "realtime", "size": "small", "branches": False, "dtype": "float32"}
    )
    config.discriminator = ConfigDict(
        {
            "name": "patch",
            "width": 64,
            "layers": 3,
            "norm": "layer",
            "spectral_norm": True,
            "dtype": "float32",
        }
    )

    # Progressive growing: the fraction of the run at which each stage begins, the first at 4
    # pixels, each twice as large as the last; and the share of a later stage in which it fades in.
    config.growth = ConfigDict({"stages": (), "fade": 0.5})

    # What jaxstyle.data.sources.open_source understands: a folder, a glob, a film, scenes:, tfds:
    config.data = ConfigDict(
        {
            "content": "scenes:photo?count=2000&first_seed=0",  # unused by generators of noise
            "style": "scenes:cel?count=2000&first_seed=100000",
            # For a generator of several styles: a source each, in place of `style`; their names.
            "styles": (),
            "style_names": (),
            "paired": False,  # content[i] and style[i], or images of the same name, belong together
            # A bundle whose results on the content become the style, paired; and the image that an
            # arbitrary-style teacher takes, or the name of the style of one that has several.
            "teacher": "",
            "teacher_style": "",
            "key_frames": 0,  # only so many frames of the content, evenly spaced; 0 is all
            # What paints the content, one for each style: what it makes is what the paired terms
            # compare with, while the style's pictures are there for all others. painter:NAME of
            # jaxstyle.guides.painters, or a bundle; for their options see
            # jaxstyle.guides.open_guide.
            "guides": (),
            "workers": 0,  # processes that load; 0 loads on threads of this one
            "crop_scale": (0.5, 1.0),  # side of the crop, relative to the image's shorter side
            # Shorter sides, in pixels, that every content image is scaled to; crops of it are then
            # cut out as they are, so that strokes and lines keep their width. () is by crop_scale.
            "content_sides": (),
            "flip": True,
            # Largest relative change of brightness, contrast and saturation of the content.
            "brightness": 0.0,
            "contrast": 0.0,
            "saturation": 0.0,
            # Noise on the content, but not on what belongs to it: of each image its own standard
            # deviation, up to this, in [-1, 1]. Learnt from pairs or a guide, the output is steady;
            # terms that compare with the content itself would ask for the noise.
            "noise": 0.0,
            # Decoded images are kept in memory, up to so many megabytes in all; 0 decodes them anew
            # each time.
            "memory": 1000,
            "cache_dir": "",  # for scenes and TFDS data sets; empty is ~/.cache/jaxstyle
        }
    )

    # The pretrained network that perceptual terms see through: vgg19, vgg16, pca_kd_vgg or
    # squeezenet; its weights, a file or an https:// address, and their SHA-256, which an address
    # needs. Those of pca_kd_vgg ship: it takes them without a name.
    # normalized: each layer is divided by its mean activation on the embedded scenes, so that
    # weights mean the same for every network and layer.
    config.features = ConfigDict(
        {"network": "vgg19", "weights": "", "sha256": "", "normalized": False}
    )

    config.losses = ConfigDict(
        {
            # kind: bce, lsgan, hinge or wgan; or relativistic, of pairs of real and fake (R3GAN),
            # which wants r1 and r2 and takes no real_weight. The discriminator's loss on real and
            # fake frames has weights, too, and there are further kinds of fakes: edge-smoothed
            # style frames, which teach it to ask for crisp lines (smooth_grey: in grey), and grey
            # style frames, so that colour counts. conditional: it sees the content beside the
            # result (pix2pix). pool: so many earlier results, of which it sees some instead of new
            # ones.
            # views: what is judged of a picture, each by a discriminator of its own: "color", as it
            # is; "grey", in a grey of random weights, so texture alone; "surface", smoothed, so
            # tones and shapes. augment: what discriminators see is changed at random, real or not
            # (DiffAugment): "color", "translation", "cutout"; of the paper's changes, a share of
            # augment_strength.
            "adversarial": {
                "kind": "lsgan",
                "weight": 1.0,
                "schedule": CONSTANT,
                "real_weight": 1.0,
                "fake_weight": 1.0,
                "smooth_weight": 0.0,
                "smooth_grey": False,
                "grey_weight": 0.0,
                "conditional": False,
                "pool": 0,
                "views": ("color",),
                "augment": (),
                "augment_strength": 1.0,
            },
            # On the discriminator. R1, of real frames, and R2, of fake ones, are computed in one of
            # `every` updates only, at `every` times the weight; the gradient penalty is WGAN-GP's.
            "r1": {"weight": 0.0, "schedule": CONSTANT, "every": 16},
            "r2": {"weight": 0.0, "schedule": CONSTANT, "every": 16},
            "gradient_penalty": {"weight": 0.0, "schedule": CONSTANT},
            # On the discriminator, ProGAN's: keeps the logits of real frames from drifting.
            "drift": {"weight": 0.0, "schedule": CONSTANT},
            # Content. layers: which feature maps of the generator, counted from the shallowest.
            # flip: the input of half the images is mirrored for the reference (FastCUT).
            "patch_nce": {
                "weight": 1.0,
                "schedule": CONSTANT,
                "layers": (0, 1, 3, 5),
                "patches": 256,
                "width": 256,
                "temperature": 0.07,
                "flip": False,
            },
            # Content and steadiness, by the features of `config.features`: neighbours differ in the
            # result as in the content (CCPL). positions: of each layer, each with eight neighbours;
            # width, temperature: as of patch_nce.
            "ccpl": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layers": ("relu2_1", "relu3_1", "relu4_1"),
                "positions": 32,
                "width": 64,
                "temperature": 0.07,
            },
            # Content, by the features of `config.features`: mean absolute or squared difference, or
            # LPIPS with the linear heads in a file. target: what the output is to look like,
            # content; where data are paired, style; where there are guides, guide; of AnimeGANv3,
            # support, its smoothed picture.
            "perceptual": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layers": ("conv4_4",),
                "squared": False,
                "target": "content",
            },
            "lpips": {"weight": 0.0, "schedule": CONSTANT, "heads": "", "target": "content"},
            # A second generator translates back (CycleGAN); a frame of the target stays as it is.
            "cycle": {"weight": 0.0, "schedule": CONSTANT},
            "identity": {"weight": 0.0, "schedule": CONSTANT},
            # Colours of the content. space: yuv (AnimeGANv2) or lab (AnimeGANv3).
            "color": {"weight": 0.0, "schedule": CONSTANT, "space": "yuv"},
            # squared: AnimeGAN's, which favours blur; otherwise flat tones with crisp edges.
            "total_variation": {"weight": 0.0, "schedule": CONSTANT, "squared": False},
            # L1 to what the generator of config.start makes of the content, of means of 3x3 pixels:
            # shapes and tones stay, the finest detail is free.
            "anchor": {"weight": 0.0, "schedule": CONSTANT},
            # Flats stay flat: gradients of the output where the content's are small; those of
            # `scale`, in [-1, 1], count 1/e.
            "flat": {"weight": 0.0, "schedule": CONSTANT, "scale": 0.03},
            # What the output has beyond [-1, 1], where it is clipped.
            "range": {"weight": 0.0, "schedule": CONSTANT},
            # Style, by features: Gram matrices (grey: of the style in grey, so of its texture
            # alone), with a weight for each layer.
            "gram": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layers": ("conv4_4",),
                "layer_weights": (1.0,),
                "grey": False,
            },
            # The same of the whole batch at once: what the pictures of the style have in common.
            # Relative to the style's, so that layers count alike.
            "batch_gram": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layers": ("relu1_1", "relu2_1", "relu3_1"),
            },
            # Means and deviations (AdaIN).
            "statistics": {"weight": 0.0, "schedule": CONSTANT, "layers": ("relu4_1",)},
            # Style, arbitrary: the result's style code is nearer its own style's than the others'
            # of the batch (MicroAST).
            "style_contrast": {"weight": 0.0, "schedule": CONSTANT},
            # AnimeGANv3's second tail, with its own discriminator: the weights of its terms. layer:
            # where its perceptual terms compare.
            "support": {
                "weight": 0.0,
                "schedule": CONSTANT,
                "layer": "conv4_4",
                "adversarial": 1.0,
                "perceptual": 0.5,
                "gram": 1.0,  # of features less their means
                "gram_layers": ("conv2_2", "conv3_3", "conv4_4"),
                "gram_layer_weights": (0.1, 5.0, 25.0),
                "superpixels": 0.2,
                "color": 10.0,
                "total_variation": 1e-3,
                # Of its discriminator; smooth: edge-smoothed style frames as fakes.
                "real_weight": 0.5,
                "fake_weight": 1.0,
                "smooth_weight": 2.0,
            },
            # ... and what the main tail learns from it: L1 to the support's picture, smoothed.
            "smoothed_support": {"weight": 0.0, "schedule": CONSTANT},
            # Colours of the style: sliced Wasserstein distance between batches of block means.
            "palette": {"weight": 0.0, "schedule": CONSTANT, "block": 8},
            # Textures of the style, and at the coarsest scale its colours: sliced Wasserstein
            # distance between the 7x7 patches of batches, at each level of a Laplacian pyramid,
            # along so many random directions.
            "patches": {"weight": 0.0, "schedule": CONSTANT, "projections": 16},
            # Temporal. pixels: the largest shift; the standard deviation of the warp's motion.
            # noise: the standard deviation of that on the second view, in [-1, 1].
            "shift": {"weight": 0.0, "schedule": SECOND_HALF_RAMP, "pixels": 16, "noise": 0.0},
            "warp": {"weight": 0.0, "schedule": SECOND_HALF_RAMP, "pixels": 4.0, "noise": 0.02},
            # Paired data or guides only: mean absolute difference from the paired style frame, or
            # the guide's, of pixels and of the differences of neighbouring pixels.
            "paired_l1": {"weight": 0.0, "schedule": CONSTANT},
            "paired_gradient": {"weight": 0.0, "schedule": CONSTANT},
        }
    )

    # kind: adam, or muon, which turns the step of each convolution into one of all directions alike
    # (Jordan et al. 2024), with Adam for the rest; b1 is the momentum of either.
    adam = {"kind": "adam", "learning_rate": 2e-4, "schedule": LINEAR_DECAY, "b1": 0.5, "b2": 0.999}
    config.optimizer = ConfigDict({"generator": dict(adam), "discriminator": dict(adam)})
    config.ema_decay = 0.999  # of the averaged generator that samples and bundles use
    # Steps at first in which the generator only learns to reproduce, and their learning rate.
    config.initial_steps = 0
    config.initial_learning_rate = 2e-4
    config.generator_every = 1  # update the generator every so many steps
    config.discriminator_every = 1

    config.log_every = 50
    config.sample_every = 500
    config.checkpoint_every = 1000
    config.keep_checkpoints = 3
    config.judge = True  # the bundle carries the discriminator, for `stylize --judge`
    config.tensorboard = False  # also write event files; needs the extra `tensorboard`

    # How good it is by now, on what it is not trained on; figures as in jaxstyle.evaluate, which
    # has more. every: steps, and at the end; 0 is never. content, style: as --content and --style
    # there; empty is held-out scenes where scenes are trained on, else frames of the training data.
    # count: scenes or pictures. best: the figure by which best.safetensors is chosen.
    config.evaluation = ConfigDict(
        {"every": 0, "content": "", "style": "", "count": 24, "size": 256, "best": "swd"}
    )
    return config.lock()
