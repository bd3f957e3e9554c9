from __future__ import annotations

from pathlib import Path

import pytest

from f1rl.config.check import ARMS, AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE
from f1rl.config.compose import compose
from f1rl.errors import ConfigError
from f1rl_envs.sim import embodiments


def phase_of(key: str) -> str:
    """Return the override that chooses a phase in which ``key`` means something."""
    return (
        "phase=adversarial" if key.split(".")[:2] in (["phase", "rewards"], ["phase", "adversary"]) else "phase=teacher"
    )


def problems_of(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines() if line.startswith("  - ")]


@pytest.mark.parametrize("key", [key for key in AT_LEAST_ONE if key != "camera.resolution"])
def test_counts_start_at_one(key: str) -> None:
    assert f"{key} must be at least 1; got 0" in problems_of(phase_of(key), f"{key}=0")


@pytest.mark.parametrize("key", POSITIVE)
def test_rates_and_times_are_positive_and_finite(key: str) -> None:
    assert problems_of(phase_of(key), f"{key}=0") == [f"{key} must be above 0; got 0.0"]
    assert f"{key} must be above 0; got inf" in problems_of(phase_of(key), f"{key}=inf")


@pytest.mark.parametrize("key", NOT_NEGATIVE)
def test_other_numbers_are_not_negative(key: str) -> None:
    assert problems_of(phase_of(key), f"{key}=-1")[0].startswith(f"{key} must be 0 or more; got -1")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["phase.betas=[0.9,1.0]"], "phase.betas must lie in [0, 1); got [0.9, 1.0]"),
        (["phase.min_lr_ratio=2"], "phase.min_lr_ratio must be from 0 to 1; got 2.0"),
        (["camera.resolution=128"], "camera.resolution and model.image_size must be equal; got 128 and 64"),
        (["camera.names=[head]"], "camera.names must contain wrist"),
        (["camera.names=[wrist,wrist]"], "camera.names names a camera twice"),
        (["env.sim_freq=205"], "env.sim_freq must be a multiple of env.control_freq"),
        (["env.control_freq=0"], "env.control_freq must be at least 1; got 0"),
        (["env.render_device=gpu"], "env.render_device must be auto, cpu or cuda:N; got 'gpu'"),
        (["embodiment.single_arm=false"], "embodiment.single_arm must be true with embodiment.arms=['franka']"),
        (["embodiment=dual_franka", "embodiment.single_arm=true"], "embodiment.single_arm must be false"),
        (["embodiment=dual_franka", "embodiment.distance=null"], "embodiment.distance must be given for a pair"),
        (["embodiment.distance=0.5"], "embodiment.distance must be null for a single arm; got 0.5"),
        (["embodiment.arms=[]"], "embodiment.arms must name one arm, or the left and the right one of a pair"),
        (
            ["embodiment.arms=[ur6]"],
            "embodiment.arms must name arms out of franka, xarm7, ur5, so101, vx300s; got 'ur6'; did",
        ),
        (["randomization.num_objects=[6,3]"], "randomization.num_objects must be [least, most]"),
        (
            ["control=ee_pose", "control.planner=null"],
            "control.planner must be ompl or curobo for control.mode=ee_pose",
        ),
        (["control.planner=ompl"], "control.planner means nothing to control.mode=delta_qpos"),
        (["env.variant=cue"], "env.variant means nothing to env.id=random_exploration"),
        (["env=toy", "env.sim_freq=200"], "env.sim_freq means nothing to env.id=toy"),
        (["env=toy", "env.variant=null"], "env.variant must be given for env.id=toy; got null"),
        (["bptt.length=51"], "bptt.length must be at most env.max_steps; got 51 and 50"),
        (["bptt=off", "bptt.memory_backprop=true"], "bptt.memory_backprop=true needs bptt.sequential_training=true"),
        (["trainer.strategy=ddp"], "trainer.strategy=ddp needs trainer.devices or trainer.num_nodes above 1"),
        (["trainer=cpu", "trainer.precision=16-mixed"], "trainer.precision=16-mixed needs a GPU"),
        (["rollout.online_fraction=1.5"], "rollout.online_fraction must be from 0 to 1; got 1.5"),
        (["rollout=offline"], "rollout.online_fraction=0 needs recorded episodes"),
        (["rollout.datasets=[a]"], "rollout.datasets is not read with rollout.online_fraction=1"),
        (["rollout=mixed", "rollout.datasets=[a,a]"], "rollout.datasets names a dataset twice"),
        (
            ["rollout=mixed", "rollout.datasets=[a,b]", "rollout.dataset_weights=[1]"],
            "rollout.dataset_weights must give each of rollout.datasets one number above 0; got [1.0] for 2 datasets",
        ),
        (
            ["rollout=mixed", "rollout.datasets=[a,b]", "rollout.dataset_weights=[1,0]"],
            "rollout.dataset_weights must give",
        ),
        (
            ["rollout=offline", "rollout.datasets=[a]", "rollout.record.enabled=true"],
            "rollout.record.enabled=true has nothing to record",
        ),
        (["rollout=record", "trainer=ddp"], "rollout.record.enabled=true needs trainer.devices=1"),
        (["phase.teacher_path=x"], "phase.teacher_path is for phase=student, not for phase=teacher"),
        (["phase=student", "phase.teacher_checkpoint=x"], "phase.teacher_checkpoint is for phase=adversarial"),
        (["phase=student", "phase.rewards=null"], "phase.rewards must be given for phase.name=student"),
        (["phase=student", "policy.exec_horizon=5"], "policy.exec_horizon must be at most model.act.chunk = 4; got 5"),
        (["phase=student", "algo=grpo", "algo.num_generations=5"], "algo.num_generations must be 2 or more and divide"),
        (["phase=student", "phase.accumulate_grad_batches=2"], "phase.accumulate_grad_batches must be 1"),
        (["phase=student", "trainer.precision=bf16-mixed"], "phase=student needs trainer.precision=32-true"),
        (["phase=adversarial", "rollout.overlap=true"], "rollout.overlap=true is for phase=student"),
        (["phase=adversarial", "phase.adversary.buffer_size=8"], "phase.adversary.buffer_size must hold a rollout"),
        (
            ["phase=adversarial", "phase.adversary.fresh_fraction=0.9"],
            "phase.adversary.fresh_fraction and random_fraction must add up to 1 at most; got 0.9 and 0.25",
        ),
        (["phase=adversarial", "phase.adversary.random_episodes=0"], "phase.adversary.random_fraction above 0 needs"),
        (["resume=auto", "overwrite=true"], "resume and overwrite exclude each other"),
        (["trainer=ddp", "env=maniskill", "phase.num_episodes=24"], "env=maniskill needs trainer.devices=1"),
        (["trainer.num_nodes=2", "env=maniskill"], "env=maniskill needs trainer.devices=1"),
        (["trainer=ddp", "phase=student"], "phase=student trains in one process; set trainer.devices=1"),
        (["trainer.num_nodes=2", "trainer.devices=auto", "phase=adversarial"], "phase=adversarial trains in one"),
        (["trainer=ddp", "phase.num_episodes=25"], "phase.num_episodes must be a multiple of trainer.devices x"),
        (["trainer.num_nodes=3"], "phase.num_episodes must be a multiple of trainer.devices x trainer.num_nodes"),
        (["rollout=record", "trainer.num_nodes=2"], "rollout.record.enabled=true needs trainer.devices=1"),
    ],
)
def test_contradictions(overrides: list[str], problem: str) -> None:
    found = problems_of(*overrides)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_the_arms_are_those_of_the_environments() -> None:
    assert set(ARMS) == set(embodiments.ARMS)


def test_all_contradictions_are_reported_at_once() -> None:
    found = problems_of("phase.num_episodes=0", "camera.resolution=32", "trainer.strategy=ddp", "bptt.length=60")
    assert [problem.split()[0] for problem in found] == [
        "phase.num_episodes",
        "camera.resolution",
        "bptt.length",
        "trainer.strategy=ddp",
    ]


def test_what_is_allowed(tmp_path: Path) -> None:
    assert compose([f"resume={tmp_path}"]).resume == str(tmp_path)
    assert compose(["rollout.num_workers=auto", "trainer.devices=auto"]).trainer.devices == "auto"
    assert compose(["env.render_device=cuda:1"]).env.render_device == "cuda:1"
    assert compose(["phase.warmup_steps=0", "randomization.num_objects=[0,0]"]).phase.warmup_steps == 0
