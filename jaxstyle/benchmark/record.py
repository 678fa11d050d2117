"""benchmark.json: what it holds, writing it, reading an earlier one."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.benchmark.machine import describe_machine, versions
from jaxstyle.errors import UserError
from jaxstyle.files.atomic_file import write_whole

FORMAT = "jaxstyle-benchmark-1"


def document(cells: Sequence[dict], *, date: str, seconds: float) -> dict:
    """The content of benchmark.json.

    cells: as from `cells.measure_cell`. date: when the run began, ISO 8601. seconds: of calls for
    each figure.
    """
    found = versions()
    for cell in cells:
        for name, contestant in cell["contestants"].items():
            if name != "jaxstyle" and "version" in contestant:
                found[name] = contestant["version"]
    accelerators = [cell["device"] for cell in cells if cell["device"] not in (None, "cpu")]
    return {
        "format": FORMAT,
        "date": date,
        "command": ["python", "-m", "jaxstyle.benchmark", *sys.argv[1:]],
        "seconds": seconds,
        "machine": describe_machine() | {"accelerator": (accelerators or [None])[0]},
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": found,
        "cells": list(cells),
    }


def write_document(path: Path, content: dict) -> None:
    """Writes benchmark.json. Raises `UserError` if that cannot be."""
    write_whole(path, json.dumps(content, indent=1, allow_nan=False).encode())


def read_document(path: Path) -> dict:
    """Reads an earlier run's benchmark.json. Raises `UserError` if it is none."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a benchmark.json of format {FORMAT}")
    return content


def machine_changes(earlier: dict, now: dict) -> list[str]:
    """What differs between the machines of two documents, as "cpu: THEN, now NOW"."""
    then, now = earlier["machine"], now["machine"]
    return [
        f"{name}: {then.get(name)}, now {now[name]}"
        for name in ("cpu", "cores", "memory_gib", "accelerator")
        if then.get(name) != now[name]
    ]
