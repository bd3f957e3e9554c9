r"""The full-size model on a GPU: rates and peak memory of training, acting and predicting, switch by switch.

Needs a CUDA device; random weights, so no network. **Not run yet at any size above tiny**, for want of a GPU; on a CPU
``--preset tiny`` runs every part, as the tests do. ``python -m benchmarks --gpu`` runs all that needs a GPU; the exact
commands of this module::

    python -m benchmarks.full_size --preset f1 --plan                       # what it will need; allocates nothing
    python -m benchmarks.full_size --preset f1 --batch 1 --steps 7          # teacher window, student step, prediction
    python -m benchmarks.full_size --preset f1 --batch 1 --steps 7 --each   # and each switch turned the other way
    python -m benchmarks.full_size --preset small --batch 8 --steps 8 --each
    python -m benchmarks.full_size --preset small --batch 8 --steps 8 --switch compile --beside   # both in one run
    python -m benchmarks.weight_loading --preset f1 --folder /data/scratch  # 15 GB written, loaded, deleted

and of whole runs::

    python -m f1rl model=small trainer=auto trainer.precision=bf16-mixed phase.num_episodes=200
    python -m f1rl model=f1 model.weights.source=/data/f1 model.prompt.tokenizer=/data/paligemma \
        trainer.precision=bf16-mixed model.lora.base_dtype=bfloat16 phase.batch_size=1 phase.num_episodes=200
    python -m f1rl phase=student model=f1 model.weights.source=/data/f1 model.prompt.tokenizer=/data/paligemma \
        model.lora.base_dtype=bfloat16 policy=flow phase.batch_size=8 phase.num_episodes=96

To be compared with the predecessor's real rates on one GPU: 1.4 frames/s for the teacher, 0.1 steps/s for the student.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import yaml
from torch import Tensor

from benchmarks import machine
from benchmarks.noise import random_inputs
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
SWITCHES = ("full", "no-checkpointing", "compile", "no-history", "prefix-cache", "no-kv-cache", "float32-base")
"""What ``--each`` changes, one at a time."""
_REAL = (True,) * 8 + (False,) * 24
_CAMERAS = 2

Run = Callable[[], None]
"""Does the work that is timed, once."""


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    config: ModelConfig
    batch: int
    """Streams, and scenes of the student."""
    steps: int
    """Of a window."""
    device: str
    precision: str
    """Of the teacher's window and of whatever a world model predicts."""
    kv_cache: bool = True
    """Keys and values of the prefix are kept over denoising steps and scales, as the models always do."""

    def arithmetic(self) -> torch.autocast:
        """Return the context in which a trainer of that precision computes."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16-mixed")


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
        "no-kv-cache": {},
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


def teacher(setting: Setting) -> tuple[Run, int]:
    """Return the training of a window (forward, backward, AdamW), and its number of frames."""
    config, batch, device = setting.config, setting.batch, setting.device
    model = build(config, device).train()
    inputs = random_inputs(config, batch, setting.steps, _CAMERAS, device)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)

    def window() -> None:
        with setting.arithmetic():
            logits = model(inputs, model.initial_memory(batch, device)).logits
            loss = F.cross_entropy(logits.flatten(0, 2).float(), inputs.target.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return window, batch * setting.steps


def student(setting: Setting) -> tuple[Run, int]:
    """Return acting and learning (look, judge the last frame, decide, one update of the policy), and the steps in it.

    Without kept keys and values every denoising step would look again.
    """
    config, batch, device = setting.config, setting.batch, setting.device
    world = build(config, device).eval().requires_grad_(False)
    inputs = random_inputs(config, batch, 1, _CAMERAS, device)
    with torch.device(device):
        explorer = Explorer(config, "flow", _REAL, config.act.chunk, 0.6)
    optimizer = torch.optim.AdamW(explorer.parameters(), lr=1e-6)
    looks = 1 if setting.kv_cache else config.act.denoising_steps

    def step() -> None:
        with torch.no_grad():
            for _ in range(looks):
                seen, _ = world.observe(inputs, world.initial_memory(batch, device))
            world.next_frame(seen, inputs.action_history[:, 0], inputs.target[:, 0])
        situation = Situation.of(seen)
        decision = explorer.decide(situation)
        loss = -explorer.log_prob(situation, decision.stored).mean() + explorer.value(situation).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, batch


def prediction(setting: Setting) -> tuple[Run, int]:
    """Return the generation of next frames, scale by scale, and their number."""
    config, batch, device = setting.config, setting.batch, setting.device
    world = build(config, device).eval()
    inputs = random_inputs(config, batch, 1, _CAMERAS, device)
    generate = F1Model.predict if setting.kv_cache else predict_without_cache

    def frames() -> None:
        with setting.arithmetic():
            generate(world, inputs, world.initial_memory(batch, device))

    return frames, batch


@torch.no_grad()
def predict_without_cache(world: F1Model, inputs: WorldModelInputs, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return what :meth:`F1Model.predict` does, with a pass over all tokens for every scale."""
    tokens = torch.zeros_like(inputs.target).flatten(0, 1)
    sizes = [0, *(side * side for side in world.config.tokenizer.scales)]
    ends = torch.tensor(sizes).cumsum(0).tolist()
    for begin, end in pairwise(ends):
        seen, after = world.observe(inputs, memory)
        logits = world.next_frame(seen, inputs.action_history.flatten(0, 1), tokens)
        tokens[:, begin:end] = logits[:, begin:end].argmax(-1)
    return tokens.unflatten(0, inputs.is_first.shape), after


WORKS = {"teacher": teacher, "student": student, "prediction": prediction}


def seconds(run: Run, device: str) -> float:
    """Return how long ``run`` takes."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def setting_of(arguments: argparse.Namespace, switch: str | None) -> Setting:
    """Return what the command line asks for, with ``switch`` turned the other way."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = configuration(arguments.preset, switch)
    kept = switch != "no-kv-cache"
    return Setting(config, arguments.batch, arguments.steps, device, arguments.precision, kept)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return rates and peak memory of one configuration."""
    setting = setting_of(arguments, arguments.switch)
    mixed = setting.precision == "bf16-mixed"
    planned = plan_memory(setting.config, Work(setting.batch, setting.steps, _CAMERAS, mixed_precision=mixed))
    found: dict[str, Any] = {"preset": arguments.preset, "switch": arguments.switch, "planned": planned.as_dict()}
    if arguments.plan:
        return found
    for name in arguments.works:
        if setting.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        run, count = WORKS[name](setting)
        for _ in range(2):  # these do not count
            run()
        value = count / statistics.median(seconds(run, setting.device) for _ in range(arguments.repeats))
        found[f"{name}_per_s"] = round(value, 3)
        if name in PREDECESSOR:
            found[f"{name}_against_predecessor"] = round(value / PREDECESSOR[name], 1)
        if setting.device == "cuda":
            found[f"{name}_peak_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return {**found, "device": torch.cuda.get_device_name() if setting.device == "cuda" else "cpu"}


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how much faster each work is with the switch than without, in turn in one run, so that noise hits both."""
    settings = [setting_of(arguments, switch) for switch in (None, arguments.switch)]
    found: dict[str, Any] = {"preset": arguments.preset, "switch": arguments.switch}
    for name in arguments.works:
        runs = [WORKS[name](setting)[0] for setting in settings]
        first = [seconds(run, settings[0].device) for run in runs]
        for run in runs:
            run()
        pairs = [[seconds(run, settings[0].device) for run in runs] for _ in range(arguments.repeats)]
        ratios = sorted(plain / switched for plain, switched in pairs)
        quarter = len(ratios) // 4
        found[name] = {
            "speedup": round(statistics.median(ratios), 3),
            "middle_half": [round(ratios[quarter], 3), round(ratios[-1 - quarter], 3)],
            "first_s": [round(value, 1) for value in first],
        }
    return found


def main() -> int:
    """Measure and print one line of JSON for each configuration; return the number that failed."""
    arguments = _parse()
    if not torch.cuda.is_available() and arguments.preset != "tiny" and not arguments.plan:
        print("torch finds no CUDA device; nothing is measured (--preset tiny runs on a CPU, --plan anywhere)")
        return 1
    if not arguments.each:
        print(json.dumps(compare(arguments) if arguments.beside else measure(arguments)), flush=True)
        return 0
    print(machine.describe())
    words = [word for word in sys.argv[1:] if word != "--each"]
    command = [sys.executable, "-m", "benchmarks.full_size", *words]
    runs = [command, *([*command, "--switch", switch] for switch in SWITCHES)]
    return sum(subprocess.run(run, check=False).returncode != 0 for run in runs)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("tiny", "small", "f1"), default="f1")
    parser.add_argument("--batch", type=int, default=1, help="streams, and scenes of the student")
    parser.add_argument("--steps", type=int, default=7, help="steps of a window")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--precision", choices=("bf16-mixed", "32-true"), default="bf16-mixed")
    parser.add_argument("--works", choices=tuple(WORKS), nargs="+", default=list(WORKS))
    parser.add_argument("--plan", action="store_true", help="print what it would need, and stop")
    parser.add_argument("--switch", choices=SWITCHES, help="turn one switch the other way")
    parser.add_argument("--beside", action="store_true", help="with and without the switch in turn; print the ratio")
    parser.add_argument("--each", action="store_true", help="every switch in turn, each in a process of its own")
    arguments = parser.parse_args()
    if arguments.beside and arguments.switch is None:
        parser.error("--beside compares a preset with --switch SWITCH; name one")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
