"""Trained models for other programs: `python -m jaxstyle.export MODEL OUT`.

    bundle, style -> inference (what is exported) -> stablehlo | onnx -> comparison -> file

onnx.py walks through the traced function and gives each operation to a table: onnx_operations.py
has JAX's primitives, onnx_blocks.py the named building blocks of `jaxstyle.models.layers`. A new
model that needs another operation gets one more small function there.
"""
