from __future__ import annotations

import logging
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from f1rl import cli, errors
from f1rl.config.compose import compose, groups
from f1rl.config.schema import Config
from f1rl_envs.errors import RendererError

HEAVY = {
    "torch",
    "lightning",
    "mani_skill",
    "sapien",
    "transformers",
    "diffusers",
    "gymnasium",
    "tensorboard",
    "wandb",
    "cv2",
}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Config]:
    """Replace the training itself by a list of the configurations that it was called with, in an empty directory."""
    seen: list[Config] = []
    stand_in(monkeypatch, lambda config: seen.append(config) or {})
    monkeypatch.chdir(tmp_path)
    return seen


def stand_in(monkeypatch: pytest.MonkeyPatch, run: Callable[[Config], dict]) -> None:
    module = types.ModuleType("f1rl.launch.run")
    module.run = run
    monkeypatch.setitem(sys.modules, "f1rl.launch.run", module)


def raises(error: BaseException) -> Callable[[Config], dict]:
    def run(config: Config) -> dict:
        raise error

    return run


def test_without_a_command_the_words_are_overrides(runs: list[Config]) -> None:
    assert cli.main(["env=toy", "bptt=off"]) == 0
    assert cli.main(["train", "env=toy", "bptt=off"]) == 0
    assert runs == [compose(["env=toy", "bptt=off"])] * 2


def test_a_single_run_leaves_directories_and_logging_to_the_program(runs: list[Config], tmp_path: Path) -> None:
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    assert cli.main(["env=toy"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)


def test_help_names_every_group_option_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for group, options in groups().items():
        assert f"{group} " in text
        assert ", ".join(options) in text
    assert all(command in text for command in cli.COMMANDS)
    assert all(f"\n  {code} " in text for code, _ in cli.EXIT_CODES)
    assert len(cli.EXAMPLES) == 5


def test_the_exit_codes_of_the_help_are_those_of_the_errors() -> None:
    kinds = errors.F1RLError.__subclasses__()
    assert {0, 1, *(kind.exit_code for kind in kinds)} == {code for code, _ in cli.EXIT_CODES}


@pytest.mark.parametrize("example", [line for line, _ in cli.EXAMPLES])
def test_the_examples_of_the_help_work(example: str, runs: list[Config]) -> None:
    words = example.split()[3:]
    in_this_process = ["hydra/launcher=basic"] if "-m" in words else []
    assert cli.main([*words, *in_this_process]) == 0
    assert runs


def test_cfg_shows_what_would_be_used(capsys: pytest.CaptureFixture[str], runs: list[Config]) -> None:
    assert cli.main(["--cfg", "job", "env=toy", "seed=4"]) == 0
    shown = capsys.readouterr().out
    assert "seed: 4" in shown
    assert "output_dir: outputs/${phase.name}_rl" in shown
    assert cli.main(["--cfg=job", "--resolve"]) == 0
    assert "output_dir: outputs/teacher_rl" in capsys.readouterr().out
    assert cli.main(["--cfg", "hydra"]) == 0
    assert "output_subdir: null" in capsys.readouterr().out
    assert cli.main(["--cfg", "all"]) == 0
    assert {"phase:", "hydra:"} <= set(capsys.readouterr().out.splitlines())
    assert runs == []


def test_a_shown_configuration_can_be_used_again(
    capsys: pytest.CaptureFixture[str], runs: list[Config], tmp_path: Path
) -> None:
    cli.main(["--cfg", "job", "--resolve", "env=toy", "bptt=4"])
    file = tmp_path / "config.yaml"
    file.write_text(capsys.readouterr().out)
    assert cli.main(["--config", str(file), "seed=9"]) == 0
    assert runs == [compose(["env=toy", "bptt=4", "seed=9", "name=teacher-toy-s0"])]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("f1rl ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["trainn"], "'trainn' is not a command; did you mean 'train'?"),
        (["teacher"], "'teacher' is not a command; did you mean phase=teacher?"),
        (["xyzzy"], "'xyzzy' is not a command; python -m f1rl --help lists them"),
        (["env=toy", "phase.num_episodes"], "'phase.num_episodes' is not an override like key=value"),
        (["--num_episodes", "3"], "'--num_episodes' is not an option; keys are written without dashes"),
        (["--multirn"], "'--multirn' is not an option; did you mean '--multirun'?"),
        (["--cfg", "jobs"], "invalid choice: 'jobs'"),
        (["bptt=4,8"], "'bptt=4,8' asks for several runs; add -m"),
        (["-m", "seed=1,2", "output_dir=here"], "a sweep gives each job its own output_dir"),
        (["-m", "--config", "config.yaml"], "--config names one run's file"),
    ],
)
def test_usage_errors(argv: list[str], message: str, runs: list[Config], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert runs == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("no"), 3),
        (errors.EnvironmentFailure("no"), 4),
        (RendererError("no"), 4),
        (errors.DivergedError("no"), 5),
        (errors.CheckpointError("no"), 6),
        (errors.Preempted("no"), 75),
        (errors.Interrupted("no"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_exit_code(
    error: BaseException,
    code: int,
    runs: list[Config],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in(monkeypatch, raises(error))
    assert cli.main(["env=toy"]) == code
    assert capsys.readouterr().err == f"f1rl: {error if str(error) else 'interrupted'}\n"
    assert cli.main(["env=toy", "logging=debug"]) == code
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_keeps_its_traceback(runs: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, raises(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main(["env=toy"])


def test_a_sweep_gives_each_job_its_directory(runs: list[Config], tmp_path: Path) -> None:
    words = ["env=toy", "debug=smoke", "bptt=4,off", "seed=range(1,3)", "hydra.sweep.dir=multirun/mine"]
    assert cli.main(["-m", "hydra/launcher=basic", *words]) == 0
    assert [(run.bptt.length, run.seed) for run in runs] == [(4, 1), (4, 2), (1, 1), (1, 2)]
    names = ["0_bptt=4,seed=1", "1_bptt=4,seed=2", "2_bptt=off,seed=1", "3_bptt=off,seed=2"]
    assert [run.output_dir for run in runs] == [str(tmp_path / "multirun/mine" / name) for name in names]
    written = {str(path.relative_to(tmp_path / "multirun/mine")) for path in (tmp_path / "multirun/mine").rglob("*")}
    assert written == {"multirun.yaml", *names}
    assert [path.name for path in tmp_path.iterdir()] == ["multirun"]


def test_a_sweep_can_take_every_option_of_a_group(runs: list[Config]) -> None:
    assert cli.main(["--multirun", "hydra/launcher=basic", "env=toy", "bptt=glob(*)"]) == 0
    assert [run.bptt.length for run in runs] == [4, 8, 16, 1]


def test_a_named_sweep_is_a_list_of_words(runs: list[Config]) -> None:
    assert cli.main(["-m", "hydra/launcher=basic", "env=toy", "sweep=bptt", "seed=7"]) == 0
    assert [(run.bptt.length, run.seed) for run in runs] == [(1, 7), (4, 7), (8, 7), (16, 7)]


@pytest.mark.parametrize("name", sorted({*groups()["sweep"]} - {"search"}))
def test_every_named_sweep_composes(name: str, runs: list[Config]) -> None:
    assert cli.main(["-m", "hydra/launcher=basic", "env=toy", f"sweep={name}"]) == 0
    assert len(runs) > 3


def test_a_named_sweep_needs_its_flag_and_its_name(runs: list[Config], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env=toy", "sweep=seeds"]) == 2
    assert "'sweep=seeds' asks for several runs; add -m" in capsys.readouterr().err
    assert cli.main(["-m", "env=toy", "sweep=seed"]) == 3
    assert "did you mean 'seeds'?" in capsys.readouterr().err
    assert runs == []


def test_a_mistake_in_any_job_is_found_before_the_first_starts(
    runs: list[Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["-m", "env=toy", "bptt=4,9"]) == 3
    assert "bptt=9: the group bptt has 4, 8, 16, off" in capsys.readouterr().err
    assert cli.main(["-m", "env=toy", "bptt.length=4,51", "+phase.foo=1"]) == 3
    assert runs == []
    assert list(tmp_path.iterdir()) == []


def test_a_failed_job_stops_no_other_and_the_sweep_fails_with_its_code(
    runs: list[Config], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(config: Config) -> dict:
        runs.append(config)
        if config.seed == 1:
            raise errors.DivergedError("the loss is not finite")
        return {}

    stand_in(monkeypatch, run)
    assert cli.main(["-m", "hydra/launcher=basic", "env=toy", "seed=0,1,2"]) == 5
    assert [config.seed for config in runs] == [0, 1, 2]
    assert "f1rl: job 1_seed=1 failed: the loss is not finite" in capsys.readouterr().err


def test_an_interrupted_job_ends_the_sweep(runs: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, lambda config: runs.append(config) or raises(errors.Interrupted("saved"))(config))
    with pytest.raises(SystemExit) as caught:
        cli.main(["-m", "hydra/launcher=basic", "env=toy", "seed=0,1,2"])
    assert caught.value.code == 130
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("argv", "code"), [(["--help"], 0), (["--cfg", "job"], 0), (["phase.lrr=3"], 3), (["trainn"], 2)]
)
def test_answers_come_without_loading_anything_heavy(argv: list[str], code: int) -> None:
    program = (
        "import sys; from f1rl.cli import main; code = main(sys.argv[1:]);"
        "print(); print(code, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True, timeout=60, check=True
    )
    got, *modules = done.stdout.splitlines()[-1].split()
    assert int(got) == code
    assert HEAVY & set(modules) == set()


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "f1rl", "--resolution"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("f1rl: '--resolution' is not an option")
