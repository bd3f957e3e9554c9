"""Files of weights: found on disk or on the hub, looked into and read one tensor at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from f1rl.errors import CheckpointError

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:/(.+))?")
_KEYS = "(model.weights.source, or model.weights.tokenizer)"


def find_files(source: str) -> list[Path]:
    """Return the files of weights that ``source`` names, in order.

    Args:
        source: a file, a folder, ``owner/name`` on the hub, or ``owner/name/file`` there. What exists on disk is
            taken from there, without a network.

    Raises:
        CheckpointError: nothing of that name can be had.
    """
    path = Path(source).expanduser()
    if not path.exists():
        path = _download(source)
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.safetensors"))
    if not found:
        there = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        raise CheckpointError(f"{path} holds no *.safetensors, but {there}. Give the file itself {_KEYS}")
    return found


def _download(source: str) -> Path:
    match = _HUB_NAME.fullmatch(source)
    if match is None:
        raise CheckpointError(f"{source} is neither a file or folder, nor owner/name on the hub {_KEYS}")
    from huggingface_hub import hf_hub_download, snapshot_download

    repository, file = match.groups()
    try:
        if file:
            return Path(hf_hub_download(repository, file))
        return Path(snapshot_download(repository, allow_patterns=["*.safetensors"]))
    except (OSError, ValueError, RuntimeError) as error:  # what the hub's client raises without a network, or a name
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{source} is not on this disk, and the hub did not give it: {reason} Download it elsewhere and give the "
            f"path {_KEYS}"
        ) from error


@dataclass
class WeightFile:
    """One file: the names and shapes of its tensors, and the tensors themselves on demand."""

    path: Path
    shapes: dict[str, tuple[int, ...]] = field(init=False)
    """Of every tensor, by name; known without reading any from a safetensors file."""

    def __post_init__(self) -> None:
        """Look into the file.

        Raises:
            CheckpointError: it cannot be read, or is no flat list of tensors.
        """
        self._pickled: dict[str, Tensor] | None = None
        if self.path.suffix == ".safetensors":
            self.shapes = self._safetensors_shapes()
        else:
            self._pickled = _unpickle(self.path)
            self.shapes = {name: tuple(tensor.shape) for name, tensor in self._pickled.items()}

    def _safetensors_shapes(self) -> dict[str, tuple[int, ...]]:
        try:
            with safe_open(self.path, framework="pt") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{self.path} cannot be read as safetensors: {error}") from error

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every name with its tensor on the CPU; no more than one is held here at a time."""
        if self._pickled is not None:
            yield from self._pickled.items()
            return
        for name in self.shapes:
            # Opened anew for each: the file is mapped, and what has been read of it stays in memory until it is closed.
            with safe_open(self.path, framework="pt") as file:
                tensor = file.get_tensor(name)
            yield name, tensor
            del tensor


def _unpickle(path: Path) -> dict[str, Tensor]:
    """Read a file of ``torch.save`` without running anything in it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen unrelated types for damaged and foreign files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} cannot be read with weights_only=True: {reason}") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} is no flat list of tensors by name; give a file of weights {_KEYS}")
    return content
