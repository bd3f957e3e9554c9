"""The customary snippets and every view, on real runs: one that ended, one that goes on and is then killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e_support import Launcher, lines, wait_until

FOLLOW = """
tail -n +1 outputs/teacher_rl/episode_metrics.jsonl | jq '.'
tail -n +1 outputs/teacher_rl/episode_metrics.jsonl | jq '{episode, avg_loss, episode_reward}'
tail -1 outputs/teacher_rl/episode_metrics.jsonl | jq '.'
"""

MEANS = r"""
cat outputs/teacher_rl/episode_metrics.jsonl | jq -s '
  "Episodes: \(length)\n" +
  "Avg Loss: \(map(.avg_loss) | add / length)\n" +
  "Avg Acc: \(map(.avg_acc) | add / length)\n" +
  "Avg Reward: \(map(.episode_reward) | add / length)"
'
"""

DATA_FRAME = """
import json
import pandas as pd

metrics = []
with open('outputs/teacher_rl/episode_metrics.jsonl') as f:
    for line in f:
        metrics.append(json.loads(line))

df = pd.DataFrame(metrics)

import matplotlib.pyplot as plt
plt.plot(df['episode'], df['avg_loss'])
plt.xlabel('Episode')
plt.ylabel('Average Loss')
plt.title('Training Loss over Episodes')
plt.savefig('training_loss.png')

print(f"Mean loss: {df['avg_loss'].mean():.4f}")
print(f"Mean accuracy: {df['avg_acc'].mean():.4f}")
print(f"Mean reward: {df['episode_reward'].mean():.4f}")
"""

LOG = """
import json

with open('outputs/qwen3vl_grpo/training_log.json', 'r') as f:
    log = json.load(f)

config = log['config']
print(f"Model: {config['model_path']}")
print(f"Learning Rate: {config['learning_rate']}")

train_history = log['train_history']
final_loss = train_history[-1]['loss']
final_reward = train_history[-1]['reward']
print(f"Final Loss: {final_loss:.4f}")
print(f"Final Reward: {final_reward:.4f}")

val_history = log['val_history']
if val_history:
    best_val_reward = max(entry['val_reward'] for entry in val_history)
    print(f"Best Val Reward: {best_val_reward:.4f}")

if 'best_checkpoint' in log:
    best = log['best_checkpoint']
    print(f"Best Checkpoint: {best['path']}")
    print(f"Best Val Reward: {best['val_reward']:.4f}")
"""

CURVE = """
import json
import matplotlib.pyplot as plt

with open('outputs/qwen3vl_grpo/training_log.json', 'r') as f:
    log = json.load(f)

train_history = log['train_history']
steps = [entry['step'] for entry in train_history]
rewards = [entry['reward'] for entry in train_history]

plt.figure(figsize=(10, 6))
plt.plot(steps, rewards, linewidth=2)
plt.xlabel('Step')
plt.ylabel('Reward')
plt.title('Training Reward Curve')
plt.grid(True, alpha=0.3)
plt.savefig('reward_curve.png', dpi=150)
"""


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """Return a directory from which the run is seen under the names that the snippets use."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "teacher_rl").symlink_to(finished)
    (tmp_path / "outputs" / "qwen3vl_grpo").symlink_to(finished)
    return tmp_path


def python(place: Path, *arguments: str) -> str:
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(
    shutil.which("jq") is None and "CI" not in os.environ, reason="there is no jq; make setup installs it"
)
def test_the_jq_snippets(place: Path) -> None:
    def bash(script: str) -> str:
        script = f"set -e -o pipefail\n{script}"
        return subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True, check=True).stdout

    assert bash(FOLLOW).count('"episode"') == 24 + 24 + 1
    means = json.loads(bash(MEANS)).splitlines()
    assert means[0] == "Episodes: 24"
    assert 0 < float(means[1].removeprefix("Avg Loss: ")) < 20
    assert means[3] == "Avg Reward: 0"


def test_the_python_snippets(place: Path) -> None:
    assert python(place, "-c", DATA_FRAME).startswith("Mean loss: ")
    text = python(place, "-c", LOG)
    assert "Model: from scratch\nLearning Rate: 0.003\n" in text
    assert "checkpoint-" in text
    python(place, "-c", CURVE)
    assert {"training_loss.png", "reward_curve.png"} <= {path.name for path in place.iterdir()}


def test_the_customary_commands(place: Path, repository: Path) -> None:
    visualize = str(repository / "scripts" / "visualize_training_log.py")
    log = "outputs/qwen3vl_grpo/training_log.json"
    assert "Training History: 24 entries" in python(place, visualize, "--log", log, "--no-plot")
    python(place, visualize, "--log", log, "--output", "plots/")
    assert {"loss_curve.png", "reward_curve.png", "lr_curve.png"} <= {path.name for path in (place / "plots").iterdir()}
    python(place, visualize, "--log", log, "--export-csv", "--output", "exports/")
    assert {path.name for path in (place / "exports").iterdir()} == {"train_history.csv", "val_history.csv"}
    compare = str(repository / "scripts" / "compare_experiments.py")
    python(place, compare, "--logs", log, "outputs/teacher_rl/training_log.json", "--output", "comparison_report.html")
    assert (place / "comparison_report.html").exists()


def test_a_run_is_read_while_it_goes_on_and_after_it_was_killed(launcher: Launcher) -> None:
    run = launcher.directory / "outputs" / "teacher_rl"
    process = launcher.start("phase.num_episodes=100000")
    try:
        wait_until(lambda: lines(run / "episode_metrics.jsonl") >= 10, process)
        going_on = json.loads(launcher.plain("runs", "--json").stdout)[0]
        assert (going_on["status"], going_on["total"]) == ("training", 100000)
        assert going_on["done"] >= 10
        summary = launcher.plain("report", str(run), "--html")
        assert "Status: training\n" in summary.stdout, summary.stderr
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with (run / "episode_metrics.jsonl").open("ab") as file:
        file.write(b'{"episode": 11, "avg')
    assert json.loads(launcher.plain("runs", "--json").stdout)[0]["status"] == "dead"
    killed = launcher.plain("report", str(run), "--plots", "--csv", "--html")
    assert "Status: dead (its process is gone" in killed.stdout, killed.stderr
    assert launcher.plain("compare", str(run)).returncode == 0
