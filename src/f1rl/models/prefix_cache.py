"""Keeps what a frozen understanding expert made of pictures that come again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock

import torch
from torch import Tensor

from f1rl.models.joint_attention import Cache

Understand = Callable[[Tensor], tuple[Cache, Tensor]]
"""From ``image uint8 [N, C, 3, H, W]`` to the keys and values of ``N`` prefixes, and their pooled outputs."""
_Entry = tuple[list[tuple[Tensor, Tensor]], Tensor]


class PrefixCache:
    """The newest ``size`` prefixes, by the contents of their pictures.

    Only for an understanding expert that neither learns nor sees the past frames: then a prefix depends on its pictures
    alone, and is the same at every update.
    """

    def __init__(self, size: int) -> None:
        """Start empty."""
        self.size, self.hits, self.misses = size, 0, 0
        self._lock = Lock()  # groups of scenes are played in threads of their own
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __deepcopy__(self, memo: dict[int, object]) -> PrefixCache:
        """Return an empty one of the same size: a copy of the model may have other weights."""
        return PrefixCache(self.size)

    @torch.no_grad()
    def __call__(self, image: Tensor, understand: Understand) -> tuple[Cache, Tensor]:
        """Return what ``understand(image)`` returns, and call it for unknown pictures only."""
        keys = [blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in image.cpu()]
        with self._lock:
            found = {key: self._entries[key] for key in keys if key in self._entries}
            rows = {key: row for row, key in enumerate(keys) if key not in found}
            self.misses += len(rows)
            self.hits += len(keys) - len(rows)
        if rows:
            cache, pooled = understand(image[list(rows.values())])
            for place, key in enumerate(rows):
                found[key] = ([(k[place], v[place]) for k, v in cache], pooled[place])
        with self._lock:
            for key in keys:
                self._entries[key] = found[key]
                self._entries.move_to_end(key)
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
        layers = zip(*(found[key][0] for key in keys), strict=True)
        cache = [tuple(map(torch.stack, zip(*layer, strict=True))) for layer in layers]
        return cache, torch.stack([found[key][1] for key in keys])
