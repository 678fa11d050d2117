"""The processes that are measured against each other: finding, starting, asking, ending them."""

import importlib.util
import json
import os
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TextIO, cast

from jaxstyle.errors import UserError

_WORKERS = Path(__file__).parent / "workers"
# PyTorch's are part of the checkout, and not installed.
PEERS_FOLDER = Path(__file__).parents[2] / "peers"
_SECONDS_TO_END = 5.0
_ENVIRONMENT = {
    # Else JAX would take most of a GPU's memory from the contestants beside it.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    # For peers, which import `serve` and may run where jaxstyle is not installed.
    "PYTHONPATH": os.pathsep.join([str(_WORKERS), *filter(None, [os.environ.get("PYTHONPATH")])]),
}

# By the peer's name: its worker, and the packages that has to import.
PEERS = {
    "torch": (PEERS_FOLDER / "torch_worker.py", ("torch", "numpy")),
    "torch-compile": (PEERS_FOLDER / "torch_worker.py", ("torch", "numpy")),
    "onnxruntime": (_WORKERS / "onnx_worker.py", ("onnxruntime", "numpy")),
    "openvino": (_WORKERS / "onnx_worker.py", ("openvino", "numpy")),
}
# Those that train, in the same form.
TRAINING_PEERS = {
    "torch": (PEERS_FOLDER / "torch_training_worker.py", ("torch", "numpy")),
    "torch-compile": (PEERS_FOLDER / "torch_training_worker.py", ("torch", "numpy")),
}
# Those that read what jaxstyle exports.
ONNX_PEERS = frozenset(("onnxruntime", "openvino"))


class ContestantFailed(Exception):
    """A contestant cannot take part in a cell; the message is one line."""


class Worker:
    """One contestant's process, alive until `close` or the end of this one, however it ends.

    command: what to run. log: the file that takes what it says on stderr. environment: variables
    that it has beside those of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] = types.MappingProxyType({}),
    ):
        self.name = name
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, **_ENVIRONMENT, **environment},
            )
        # Pipes, as it was asked for.
        self._orders = cast(TextIO, self._process.stdin)
        self._replies = cast(TextIO, self._process.stdout)

    def ask(self, **order: Any) -> dict:
        """Sends an order (see `workers.serve`) and waits for the reply.

        Raises `ContestantFailed` if the worker reports an error, or dies.
        """
        try:
            print(json.dumps(order), file=self._orders, flush=True)
        except BrokenPipeError:
            raise self._death() from None
        line = self._replies.readline()
        if not line:
            raise self._death()
        reply = json.loads(line)
        if "error" in reply:
            raise ContestantFailed("out of memory" if reply["out_of_memory"] else reply["error"])
        return reply

    def close(self) -> None:
        """Ends the process."""
        self._replies.close()
        try:
            self._orders.close()  # the worker ends with it
            self._process.wait(_SECONDS_TO_END)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _death(self) -> ContestantFailed:
        status = self._process.wait()
        if status == -9:
            return ContestantFailed("out of memory (the system killed it)")
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return ContestantFailed(lines[-1] if lines else f"ended with status {status}")


def peer_commands(
    peers: Sequence[str],
    interpreters: Sequence[str],
    known: Mapping[str, tuple[Path, Sequence[str]]] = PEERS,
) -> dict[str, list[str]]:
    """How to start each peer's worker: by the first interpreter that has its packages.

    known: the peers that there are, in the form of `PEERS`. Raises `UserError` for an unknown peer,
    and where no interpreter has it.
    """
    commands = {}
    for peer in peers:
        if peer not in known:
            raise UserError(f"no peer named {peer!r}; there are: {', '.join(known)}")
        script, packages = known[peer]
        python = next((p for p in interpreters if _has(p, packages)), None)
        if python is None:
            needed = " ".join(packages)
            raise UserError(
                f"peer {peer} is not installed for {', '.join(interpreters)}: pip install {needed} "
                "there, or name an interpreter that has it with --peer_python"
            )
        if peer in ONNX_PEERS and importlib.util.find_spec("onnx") is None:
            raise UserError(f"peer {peer} needs an export: pip install 'jaxstyle[onnx]'")
        if not script.exists():
            raise UserError(
                f"peer {peer} is part of jaxstyle's checkout and is not installed: run this there"
            )
        commands[peer] = [python, str(script), peer]
    return commands


def own_command(worker: str = "workers.jaxstyle_worker") -> list[str]:
    """How to start jaxstyle's own worker, a module below `jaxstyle.benchmark`."""
    return [sys.executable, "-m", f"jaxstyle.benchmark.{worker}"]


def _has(python: str, packages: Sequence[str]) -> bool:
    code = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    try:
        return subprocess.run([python, "-c", code, *packages]).returncode == 0
    except OSError as error:
        raise UserError(f"--peer_python={python} does not run: {error.strerror}") from error
