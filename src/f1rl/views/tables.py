"""What a held-out evaluation says, as tables: who predicts how well at which scale, and the newest pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from f1rl.views.news import MediaFile

SCORES, SAMPLES = "eval/scores", "eval/samples"
"""Names under which the tables are logged."""

SCORE_COLUMNS = ("scale", "predictor", "loss", "accuracy", "psnr")
"""Side of the token map or ``all``, who predicts, nats per token, share of tokens, dB; None: not measured."""

SAMPLE_COLUMNS = ("episode", "env_step", "predicted | true")

_PREDICTORS = {"world model": "", "copy last frame": "copy_last", "unigram": "unigram", "tokenizer": "tokenizer"}
_SCALE = re.compile(r"eval/loss_scale_(\d+)")
_NEWEST = 4  # pictures of a table


def score_rows(row: Mapping[str, Any]) -> list[list[Any]]:
    """Return the lines of the table of an evaluation, given its ``eval/...`` numbers; none if nothing predicts."""
    sides = sorted(int(found.group(1)) for name in row if (found := _SCALE.fullmatch(name)))
    lines = []
    for scale in ("all", *sides):
        for label, key in _PREDICTORS.items():
            scores = _scores(row, key, "" if scale == "all" else f"_scale_{scale}")
            if any(score is not None for score in scores):
                lines.append([str(scale), label, *scores])
    return lines


def _scores(row: Mapping[str, Any], predictor: str, scale: str) -> tuple[Any, ...]:
    """Return loss, accuracy and PSNR: ``eval/copy_last_loss_scale_4``, but ``eval/psnr_copy_last``."""
    front, behind = (f"{predictor}_", f"_{predictor}") if predictor else ("", "")
    names = (f"{front}loss{scale}", f"{front}accuracy{scale}", f"psnr{behind}{scale}")
    return tuple(row.get(f"eval/{name}") for name in names)


def newest_samples(files: Sequence[MediaFile]) -> list[MediaFile]:
    """Return the newest few pictures of predictions among the ``files`` of a segment, in their order."""
    return [file for file in files if file.name == "media/sample"][-_NEWEST:]
