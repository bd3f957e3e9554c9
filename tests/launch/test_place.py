"""Which rank a process is, by what its launcher set."""

from __future__ import annotations

import pytest

from f1rl.config.compose import compose
from f1rl.errors import ConfigError
from f1rl.launch.place import Place, check_count, check_place, find_place

SRUN = {
    "SLURM_JOB_ID": "20007", "SLURM_STEP_ID": "1", "SLURM_STEP_NODELIST": "gpu[03-05],login", "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "2(x4)",
}  # fmt: skip
TORCHRUN = {
    "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
}  # fmt: skip
SUBMITIT = {
    "SUBMITIT_LOCAL_GLOBALID": "1", "SUBMITIT_LOCAL_LOCALID": "1", "SUBMITIT_LOCAL_NTASKS": "2",
    "SUBMITIT_LOCAL_JOB_ID": "7",
}  # fmt: skip


def test_every_launcher_is_understood() -> None:
    assert find_place(SRUN) == Place(3, 8, 1, 2, "gpu03", 15038)
    assert find_place(TORCHRUN) == Place(1, 2, 1, 2, "host", 29500)
    assert find_place(SUBMITIT) == Place(1, 2, 1, 2, "127.0.0.1", 15007)
    assert find_place({}) is None


def test_the_innermost_launcher_counts() -> None:
    assert find_place(SRUN | TORCHRUN).address == "host"


def test_a_batch_scripts_own_process_is_alone() -> None:
    assert find_place({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"}) is None


def test_a_shell_that_srun_opened_is_no_rank() -> None:
    assert find_place(SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}) is None


@pytest.mark.parametrize("nodes", ["node1", "node1,node2", "node[1-2]", "node[1,3-4]"])
def test_the_ranks_meet_on_the_first_node(nodes: str) -> None:
    assert find_place(SRUN | {"SLURM_STEP_NODELIST": nodes}).address == "node1"


def test_what_is_exported_is_found_again() -> None:
    environment: dict[str, str] = {}
    place = find_place(SRUN)
    place.export(environment)
    assert find_place(environment) == place
    assert environment["GROUP_RANK"] == "1"


def test_another_number_of_processes_than_configured_is_refused() -> None:
    config = compose(["trainer=ddp", "trainer.num_nodes=4", "phase.num_episodes=64"])
    check_place(config, find_place(SRUN))
    with pytest.raises(ConfigError, match=r"2 processes were started.*trainer\.devices=2 and trainer\.num_nodes=4"):
        check_place(config, find_place(TORCHRUN))
    with pytest.raises(ConfigError, match="nothing started a process on the other machines"):
        check_place(config, None)


@pytest.mark.parametrize("word", ["phase=student", "env=maniskill"])
def test_every_gpu_is_refused_where_one_process_trains(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    config = compose([word, "trainer.devices=auto"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    check_count(config)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError, match=rf"trainer\.devices=auto is 2 on this machine, and {word} "):
        check_count(config)
