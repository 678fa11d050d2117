"""What options of commands may be: here, because the tables behind them take seconds to import.

tests/test_choices.py holds them against these tables.
"""

# `jaxstyle.models.DTYPES`: of a generator's computation.
DTYPES = ("float32", "bfloat16")
# `jaxstyle.convert.layouts.LAYOUTS`: the generators whose published weights are known.
PUBLISHED_KINDS = ("animegan2", "microast")
# `jaxstyle.benchmark.measured_models.MODELS`: the generators that stylize images.
MEASURED_MODELS = (
    *("nano", "tiny", "small", "base"),  # sizes of realtime
    *("multistyle", "animegan2", "animegan3", "microast", "resnet"),
)
# `jaxstyle.commands.run_export.HOW_TO_RUN`: what a model can be exported as.
EXPORT_FORMATS = ("onnx", "stablehlo")
# What an exported StableHLO program can run on.
PLATFORMS = ("cpu", "cuda", "tpu")
# Of the perceptual hashes by which `jaxstyle.preparation.duplicates` compares frames.
HASH_BITS = 64
# Frames of a film that an accelerator computes together. On a CPU, one alone keeps all cores busy.
ACCELERATOR_BATCH = 8
# The files that benchmarks write.
BENCHMARK_RESULTS, BENCHMARK_PLOT = "benchmark.json", "benchmark.png"
TRAINING_RESULTS, TRAINING_PLOT = "training.json", "training.png"
INPUT_RESULTS = "input.json"
