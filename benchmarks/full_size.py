r"""The full-size model on a GPU: frames per second and peak memory of training and acting, switch by switch.

Needs a CUDA device; random weights, so no network. **Not run yet at any size above tiny**, for want of a GPU; on a CPU
``--preset tiny`` runs every part, as the tests do. The exact commands::

    python -m benchmarks.full_size --preset f1 --plan                  # what it will need; allocates nothing
    python -m benchmarks.full_size --preset f1 --batch 1 --steps 7     # teacher window and student steps
    python -m benchmarks.full_size --preset f1 --batch 1 --steps 7 --each   # and each switch turned the other way
    python -m benchmarks.full_size --preset small --batch 8 --steps 8 --each
    python -m f1rl model=small trainer=auto trainer.precision=bf16-mixed phase.num_episodes=200   # a whole run
    python -m f1rl model=f1 model.weights.source=/data/f1 model.prompt.tokenizer=/data/paligemma \
        trainer.precision=bf16-mixed model.lora.base_dtype=bfloat16 phase.batch_size=1 phase.num_episodes=200
    python -m benchmarks.gpu_batch --scenes 64 256 1024                # the environment that feeds them

To be compared with the predecessor's real rates on one GPU: 1.4 frames/s for the teacher, 0.1 steps/s for the student.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import yaml

from benchmarks import machine
from f1rl.models.config import ModelConfig
from f1rl.models.explorer import Explorer, Situation
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.lora import add_adapters
from f1rl.models.plan import Work, plan_memory
from f1rl.models.tokenizer import FrameTokenizer

PRESETS = Path(__file__).parents[1] / "conf" / "model"
PREDECESSOR = {"teacher": 1.4, "student": 0.1}
"""Frames and steps per second on one GPU, from its logs."""
SWITCHES = ("full", "no-checkpointing", "compile", "no-history", "prefix-cache", "float32-base")
"""What ``--each`` changes, one at a time."""
_REAL = (True,) * 8 + (False,) * 24
_CAMERAS = 2


def configuration(preset: str, switch: str | None) -> ModelConfig:
    """Return a preset with one switch turned the other way."""
    config = ModelConfig.from_dict(yaml.safe_load((PRESETS / f"{preset}.yaml").read_text()))
    config = replace(config, prompt=replace(config.prompt, tokenizer=None))
    changes: dict[str | None, dict[str, Any]] = {
        None: {},
        "full": {"lora": replace(config.lora, r=0)},
        "no-checkpointing": {"activation_checkpointing": False},
        "compile": {"compile": True},
        "no-history": {"und_sees_history": False},
        "prefix-cache": {"und_sees_history": False, "prefix_cache": 64},
        "float32-base": {"lora": replace(config.lora, base_dtype="float32")},
    }
    base = {"lora": replace(config.lora, base_dtype="bfloat16")} if config.lora.r else {}
    return replace(config, **{**base, **changes[switch]})


def build(config: ModelConfig, device: str) -> F1Model:
    """Return a world model of random weights, adapted and rounded as the configuration says."""
    torch.manual_seed(0)
    with torch.device(device):
        model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
        if config.lora.r > 0:
            if config.lora.base_dtype == "bfloat16":
                model.vlm.bfloat16()
                model.gen.bfloat16()
            add_adapters(model, config.lora, [n for n in model.state_dict() if n.startswith(("vlm.", "gen."))])
    return model.to(device)


def random_inputs(config: ModelConfig, batch: int, steps: int, device: str) -> WorldModelInputs:
    """Return a window of noise."""
    lead, codes, length = (batch, steps), config.tokenizer.codebook_size, config.tokenizer.num_tokens
    side, n_obs = config.image_size, config.n_obs_img_steps
    with torch.device(device):
        return WorldModelInputs(
            image=torch.randint(256, (*lead, _CAMERAS, 3, side, side), dtype=torch.uint8),
            state=torch.randn(*lead, config.state_dim),
            prev_action=torch.rand(*lead, config.action_dim) * 2 - 1,
            action_history=torch.rand(*lead, n_obs, config.action_dim) * 2 - 1,
            token_history=torch.randint(codes, (*lead, n_obs, length)),
            is_first=torch.zeros(lead, dtype=torch.bool),
            target=torch.randint(codes, (*lead, length)),
        )


def rate(work: Callable[[], None], device: str, repeats: int) -> float:
    """Return how often ``work`` runs in a second, after two runs that do not count."""
    for _ in range(2):
        work()
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait(device)
    return repeats / (time.perf_counter() - start)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def teacher(config: ModelConfig, batch: int, steps: int, device: str, repeats: int) -> float:
    """Return frames per second of training windows: forward, backward, AdamW."""
    model, inputs = build(config, device).train(), random_inputs(config, batch, steps, device)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)

    def window() -> None:
        with torch.autocast(device, torch.bfloat16):
            logits = model(inputs, model.initial_memory(batch, device)).logits
            loss = F.cross_entropy(logits.flatten(0, 2).float(), inputs.target.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return batch * steps * rate(window, device, repeats)


def student(config: ModelConfig, batch: int, device: str, repeats: int) -> float:
    """Return steps per second of acting and learning: look, judge the last frame, decide, one update of the policy."""
    world, inputs = build(config, device).eval().requires_grad_(False), random_inputs(config, batch, 1, device)
    with torch.device(device):
        explorer = Explorer(config, "flow", _REAL, config.act.chunk, 0.6)
    optimizer = torch.optim.AdamW(explorer.parameters(), lr=1e-6)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16):
            with torch.no_grad():
                seen, _ = world.observe(inputs, world.initial_memory(batch, device))
                world.next_frame(seen, inputs.action_history[:, 0], inputs.target[:, 0])
            situation = Situation.of(seen)
            decision = explorer.decide(situation)
            loss = -explorer.log_prob(situation, decision.stored).mean() + explorer.value(situation).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return batch * rate(step, device, repeats)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return rates and peak memory of one configuration."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = configuration(arguments.preset, arguments.switch)
    planned = plan_memory(config, Work(arguments.batch, arguments.steps, _CAMERAS, mixed_precision=True))
    found: dict[str, Any] = {"preset": arguments.preset, "switch": arguments.switch, "planned": planned.as_dict()}
    if arguments.plan:
        return found
    works = {
        "teacher": lambda: teacher(config, arguments.batch, arguments.steps, device, arguments.repeats),
        "student": lambda: student(config, arguments.batch, device, arguments.repeats),
    }
    for name, work in works.items():
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        value = work()
        found[f"{name}_per_s"] = round(value, 3)
        found[f"{name}_against_predecessor"] = round(value / PREDECESSOR[name], 1)
        if device == "cuda":
            found[f"{name}_peak_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return {**found, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}


def main() -> int:
    """Measure and print one line of JSON for each configuration; return the number that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("tiny", "small", "f1"), default="f1")
    parser.add_argument("--batch", type=int, default=1, help="streams, and scenes of the student")
    parser.add_argument("--steps", type=int, default=7, help="steps of a window")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--plan", action="store_true", help="print what it would need, and stop")
    parser.add_argument("--switch", choices=SWITCHES, help="turn one switch the other way")
    parser.add_argument("--each", action="store_true", help="every switch in turn, each in a process of its own")
    arguments = parser.parse_args()
    if not torch.cuda.is_available() and arguments.preset != "tiny" and not arguments.plan:
        print("torch finds no CUDA device; nothing is measured (--preset tiny runs on a CPU, --plan anywhere)")
        return 1
    if not arguments.each:
        print(json.dumps(measure(arguments)), flush=True)
        return 0
    print(machine.describe())
    words = [word for word in sys.argv[1:] if word != "--each"]
    command = [sys.executable, "-m", "benchmarks.full_size", *words]
    runs = [command, *([*command, "--switch", switch] for switch in SWITCHES)]
    return sum(subprocess.run(run, check=False).returncode != 0 for run in runs)


if __name__ == "__main__":
    sys.exit(main())
