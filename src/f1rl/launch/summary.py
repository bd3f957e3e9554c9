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

EXPLORER_ROWS = (
    ("reward", "reward (scaled and weighted)"),
    ("reward_memory", "memory term"),
    ("reward_uncertainty", "uncertainty term"),
    ("reward_surprise", "surprise term"),
    ("task_return", "task's return"),
    ("success", "success rate"),
    ("contact_rate", "share of steps with a contact"),
    ("object_displacement", "displacement of objects (m)"),
    ("voxels", "end-effector voxels"),
    ("coverage", "end-effector voxels of all episodes together"),
    ("loss", "world model's loss on what it saw"),
)


def print_summary(console: Console, run_dir: Path, history: TrainingLog) -> dict[str, Any]:
    """Print the final held-out evaluation and the files of the run; return the evaluation."""
    final = history.val[-1]
    if "val_random_policy_reward" in final:
        console.print(_against_chance(final))
    else:
        print_world_model(console, final)
    console.print(f"\nfiles in {run_dir}/")
    for name, what in _FILES:
        path = run_dir / name
        if path.exists():
            count = f" ({len(list(path.iterdir()))})" if path.is_dir() else ""
            console.print(f"  {name + ('/' if path.is_dir() else '') + count:<28}{what}", highlight=False)
    checkpoints = sorted(run_dir.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    console.print(f"  {', '.join(p.name for p in checkpoints)}", highlight=False)
    return final


def print_world_model(console: Console, final: dict[str, Any]) -> None:
    """Print an evaluation of a world model, beside the predictors that know nothing of actions."""
    console.print(_comparison(final))
    for name, against in (("action_sensitivity", "shuffled actions"), ("memory_gain", "an empty memory")):
        value, error = final[f"val_{name}"], final[f"val_{name}_stderr"]
        console.print(f"{name.replace('_', ' ')}: {value:+.4f} +- {error:.4f} nats per token lost with {against}")


def _against_chance(final: dict[str, Any]) -> Table:
    """Return a table of what the explorer and chance did on the same seeds."""
    table = Table(title=f"held-out seeds, after {final['episode']} episodes of training, means per episode")
    for column in ("", "explorer", "random policy"):
        table.add_column(column, justify="left" if not column else "right")
    for name, label in EXPLORER_ROWS:
        if f"val_{name}" in final:
            table.add_row(label, *(f"{final[f'val_{prefix}{name}']:.4f}" for prefix in ("", "random_policy_")))
    if "val_explorer_loss" in final:
        table.add_row("world model's loss on the first explorer's episodes", f"{final['val_explorer_loss']:.4f}", "")
    return table


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
