"""What a held-out evaluation says, as tables: who predicts how well, the explorer beside chance, pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from f1rl.views.news import MediaFile

SCORES, BESIDE_CHANCE, SAMPLES = "eval/scores", "eval/beside_chance", "eval/samples"
"""Names under which the tables are logged."""

SCORE_COLUMNS = ("scale", "predictor", "loss", "accuracy", "psnr")
"""Side of the token map or ``all``, who predicts, nats per token, share of tokens, dB; None: not measured."""

CHANCE_COLUMNS = ("measure", "explorer", "random policy")
SAMPLE = "media/sample"
"""Name of the pictures that :data:`SAMPLES` shows."""
SAMPLE_COLUMNS = ("episode", "env_step", "predicted | true")

_PREDICTORS = {"world model": "", "copy last frame": "copy_last", "unigram": "unigram", "tokenizer": "tokenizer"}
_SCALE = re.compile(r"eval/loss_scale_(\d+)")
_CHANCE = "eval/random_policy_"
_NEWEST = 4  # pictures of a table


def score_rows(row: Mapping[str, Any]) -> list[list[Any]]:
    """Return who predicts how well, given an evaluation's ``eval/...`` numbers; no lines without anybody to compare."""
    sides = sorted(int(found.group(1)) for name in row if (found := _SCALE.fullmatch(name)))
    lines = []
    for scale in ("all", *sides):
        for label, key in _PREDICTORS.items():
            scores = _scores(row, key, "" if scale == "all" else f"_scale_{scale}")
            if any(score is not None for score in scores):
                lines.append([str(scale), label, *scores])
    return lines if len({predictor for _, predictor, *_ in lines}) > 1 else []


def chance_rows(row: Mapping[str, Any]) -> list[list[Any]]:
    """Return what an explorer reached beside what random actions did from the same seeds; else no lines."""
    names = [name.removeprefix(_CHANCE) for name in row if name.startswith(_CHANCE)]
    return [[name, row.get(f"eval/{name}"), row[f"{_CHANCE}{name}"]] for name in names]


def _scores(row: Mapping[str, Any], predictor: str, scale: str) -> tuple[Any, ...]:
    """Return loss, accuracy and PSNR: ``eval/copy_last_loss_scale_4``, but ``eval/psnr_copy_last``."""
    front, behind = (f"{predictor}_", f"_{predictor}") if predictor else ("", "")
    names = (f"{front}loss{scale}", f"{front}accuracy{scale}", f"psnr{behind}{scale}")
    return tuple(row.get(f"eval/{name}") for name in names)


def newest_samples(samples: Sequence[MediaFile], episode: int) -> list[MediaFile]:
    """Return the newest few of a segment's pictures, given in their order, of episodes up to ``episode``."""
    return [file for file in samples if file.clocks["episode"] <= episode][-_NEWEST:]
