"""Where every run starts: it finds its place among the ranks, binds devices, and only then imports what is heavy."""

from __future__ import annotations

from typing import Any

from f1rl.config.schema import Config
from f1rl.launch.devices import setup_sapien_gpu, wait_without_spinning
from f1rl.launch.place import check_count, check_place, find_place, ranks_per_node
from f1rl.launch.spawn import run_ranks


def run(cfg: Config) -> dict[str, Any]:
    """Train as ``cfg`` says and return the final held-out metrics; none where other processes do the training.

    Raises:
        F1RLError: of the kind that fits; its exit code ends the process.
    """
    place = find_place()
    check_count(cfg)
    check_place(cfg, place)
    if place is None and ranks_per_node(cfg) > 1:
        run_ranks(cfg, ranks_per_node(cfg))
        return {}
    # SAPIEN and torch open devices and start threads when they are imported, so this comes before them.
    setup_sapien_gpu()
    wait_without_spinning()
    if place is not None:
        place.export()

    from f1rl.launch.training import train
    from f1rl.ranks import meet

    with meet(place.rank if place else 0, place.size if place else 1) as ranks:
        return train(cfg, ranks)
