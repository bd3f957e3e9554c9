"""The last words of a run: how good the world model is, and which files were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from f1rl.records.training_log import TrainingLog

_FILES = (
    ("run.json", "identity, versions, devices, timings"),
    ("config.yaml", "the resolved configuration"),
    ("episode_metrics.jsonl", "one record per episode"),
    ("training_log.json", "configuration, histories, best checkpoint"),
    ("samples", "predicted and true frames"),
    ("videos", "head | true wrist | predicted wrist"),
    ("dataset", "recorded episodes"),
    ("tensorboard", "curves: tensorboard --logdir"),
    ("logs", "messages"),
)


def print_summary(console: Console, run_dir: Path, history: TrainingLog) -> dict[str, Any]:
    """Print the final held-out evaluation and the files of the run; return the evaluation."""
    final = history.val[-1]
    console.print(_comparison(final))
    for name, against in (("action_sensitivity", "shuffled actions"), ("memory_gain", "an empty memory")):
        value, error = final[f"val_{name}"], final[f"val_{name}_stderr"]
        console.print(f"{name.replace('_', ' ')}: {value:+.4f} +- {error:.4f} nats per token lost with {against}")
    console.print(f"\nfiles in {run_dir}/")
    for name, what in _FILES:
        path = run_dir / name
        if path.exists():
            count = f" ({len(list(path.iterdir()))})" if path.is_dir() else ""
            console.print(f"  {name + ('/' if path.is_dir() else '') + count:<28}{what}", highlight=False)
    checkpoints = sorted(run_dir.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    console.print(f"  {', '.join(p.name for p in checkpoints)}", highlight=False)
    return final


def _comparison(final: dict[str, Any]) -> Table:
    table = Table(title=f"held-out episodes, after {final['episode']} episodes of training")
    for column in ("", "cross-entropy", "accuracy", "PSNR (dB)"):
        table.add_column(column, justify="left" if not column else "right")
    rows = (
        ("world model", "val_loss", "val_accuracy", "val_psnr"),
        ("copy last frame", "val_copy_last_loss", "val_copy_last_accuracy", "val_psnr_copy_last"),
        ("unigram", "val_unigram_loss", "val_unigram_accuracy", None),
        ("tokenizer (ceiling)", None, None, "val_psnr_tokenizer"),
    )
    for label, loss, accuracy, psnr in rows:
        cells = [f"{final[key]:.{digits}f}" if key else "" for key, digits in ((loss, 4), (accuracy, 3), (psnr, 2))]
        table.add_row(label, *cells)
    return table
