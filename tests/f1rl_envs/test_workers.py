"""The workers against real processes that are killed, stopped, hang, crash and raise."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from env_configs import changed
from env_configs import toy as toy_config
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.errors import EnvError, WorkerError
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.workers import EpisodeWorkers
from processes import is_running, open_descriptors, wait_for

TOY = toy_config(camera__resolution=32, max_steps=12)


@pytest.fixture
def misbehaving():
    """Return a function that makes the configuration of an environment of the module ``misbehaving``."""
    return lambda name, **keys: TOY | {"id": f"misbehaving:{name}"} | keys


def workers(config=TOY, num_workers=1, **changes):
    settings = {"start_timeout": 60.0, "step_timeout": 30.0, "max_restarts": 3, "log_dir": None}
    return EpisodeWorkers(config, num_workers, **(settings | changes))


def requests(number):
    return [EpisodeRequest(index, seed=100 + index, scene_seed=index // 3) for index in range(number)]


def collect(pool, asked):
    for request in asked:
        pool.submit(request)
    return [pool.next(timeout=60) for _ in asked]


def in_process(asked, config=TOY):
    env, spec = registry.make(config), registry.spec(config)
    return [collect_episode(env, spec, request) for request in asked]


def assert_same(episodes, expected):
    assert [episode.request for episode in episodes] == [episode.request for episode in expected]
    for episode, reference in zip(episodes, expected, strict=True):
        for name in ("image", "state", "action", "reward"):
            assert np.array_equal(getattr(episode, name), getattr(reference, name)), name
        ends = (episode.terminated, episode.truncated, episode.info)
        assert ends == (reference.terminated, reference.truncated, reference.info)


@pytest.mark.parametrize(("num_workers", "slots"), [(1, 1), (1, 4), (2, 2), (3, 1)])
def test_any_number_of_workers_gives_the_same_episodes_in_order(num_workers, slots):
    asked = requests(14)
    with workers(num_workers=num_workers, slots_per_worker=slots) as pool:
        episodes = collect(pool, asked)
        assert pool.restarts == 0
    assert_same(episodes, in_process(asked))
    assert all(episode.attempts == 1 and episode.seconds > 0 for episode in episodes)
    assert {episode.worker for episode in episodes} == set(range(num_workers))


def test_delivered_arrays_are_the_callers_own():
    asked = requests(6)
    with workers(slots_per_worker=1) as pool:
        first = collect(pool, asked[:1])
        collect(pool, asked[1:])
    assert_same(first, in_process(asked[:1]))


def test_free_counts_what_can_be_collected_without_the_caller(misbehaving):
    asked = requests(5)
    with workers(slots_per_worker=3) as pool:
        assert pool.free == 3
        for request in asked:
            pool.submit(request)
        assert pool.free == 0
        wait_for(lambda: pool.workers[0].receive() and not pool.workers[0].unfinished)
        started = time.monotonic()
        done = [pool.next(timeout=0) for _ in range(3)]
        assert time.monotonic() - started < 0.5, "three episodes were ready"
        done += [pool.next(timeout=60) for _ in range(2)]
        assert pool.free == 3
        with pytest.raises(EnvError, match=r"no episode submitted; call submit\(\) first"):
            pool.next()
    assert_same(done, in_process(asked))


def test_next_gives_up_after_its_timeout_and_loses_nothing(misbehaving):
    config = misbehaving("slow", sleep=0.1)
    with workers(config) as pool:
        pool.submit(requests(1)[0])
        with pytest.raises(TimeoutError, match=r"episode 0 was not finished within 0\.2 s"):
            pool.next(timeout=0.2)
        assert_same([pool.next(timeout=60)], in_process(requests(1)))


def test_waiting_sleeps(misbehaving):
    with workers(misbehaving("slow", sleep=0.1)) as pool:
        busy = time.process_time()
        collect(pool, requests(1))
        assert time.process_time() - busy < 0.2


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_is_replaced_and_the_others_go_on(misbehaving, kill, caplog):
    asked = requests(8)
    with workers(misbehaving("slow", sleep=0.03), num_workers=2, slots_per_worker=2) as pool:
        for request in asked:
            pool.submit(request)
        wait_for(lambda: pool.status()[0]["stage"] == "step" and pool.status()[0]["episode"] >= 0)
        victim, other = pool.status()
        os.kill(victim["pid"], kill)
        episodes = [pool.next(timeout=60) for _ in asked]
        after = pool.status()
        assert (pool.restarts, after[0]["restarts"], after[1]["restarts"]) == (1, 1, 0)
        assert after[0]["pid"] != victim["pid"]
        assert after[1]["pid"] == other["pid"]
        assert after[0]["rss_mb"] > 1
    assert_same(episodes, in_process(asked))
    assert [e.request.index for e in episodes if e.attempts == 2] == [victim["episode"]]
    assert f"worker 0 was killed by {kill.name}" in caplog.text


def test_a_stopped_worker_is_replaced_at_its_deadline(misbehaving, caplog):
    asked = requests(3)
    with workers(misbehaving("slow", sleep=0.03), step_timeout=0.6) as pool:
        for request in asked:
            pool.submit(request)
        wait_for(lambda: pool.status()[0]["stage"] == "step")
        os.kill(pool.status()[0]["pid"], signal.SIGSTOP)
        episodes = [pool.next(timeout=60) for _ in asked]
        assert pool.restarts == 1
    assert_same(episodes, in_process(asked))
    assert "step_timeout is 0.6 s" in caplog.text


def test_a_worker_stopped_while_idle_is_replaced_once_something_is_asked():
    with workers(step_timeout=0.6) as pool:
        collect(pool, requests(1))
        wait_for(lambda: pool.status()[0]["stage"] == "idle")
        os.kill(pool.status()[0]["pid"], signal.SIGSTOP)
        assert_same(collect(pool, requests(2)), in_process(requests(2)))
        assert pool.restarts == 1


def test_a_long_pause_of_the_caller_is_no_deadline():
    asked = requests(2)
    with workers(step_timeout=0.7) as pool:
        for request in asked:
            pool.submit(request)
        wait_for(lambda: pool.status()[0]["stage"] == "idle")
        time.sleep(1.2)
        assert_same([pool.next(timeout=60) for _ in asked], in_process(asked))
        assert pool.restarts == 0


@pytest.mark.parametrize("name", ["raises", "exits", "crashes", "hangs"])
def test_a_fault_that_passes_costs_one_restart(misbehaving, tmp_path, name):
    asked = requests(4)
    config = misbehaving(name, once=str(tmp_path / "done"), seed=102)
    with workers(config, step_timeout=1.0) as pool:
        episodes = collect(pool, asked)
        assert pool.restarts == 1
    assert_same(episodes, in_process(asked))
    assert [episode.attempts for episode in episodes] == [1, 1, 2, 1]


@pytest.mark.parametrize(
    ("name", "cause", "words"),
    [
        ("raises", "exited with code 1", "KeyError: 'the drawer is stuck'"),
        ("exits", "exited with code 7", "it wrote nothing"),
        ("crashes", "was killed by SIGSEGV", "Fatal Python error: Segmentation fault"),
        (
            "hangs",
            "gave no sign of life for .*step_timeout is 0.8 s",
            r"Stacks of a worker that hangs:\n(.*\n)+.*hang_in_the_driver",
        ),
    ],
)
def test_a_fault_that_stays_ends_in_one_error_that_tells_all(misbehaving, tmp_path, name, cause, words):
    pool = workers(misbehaving(name), step_timeout=0.8, max_restarts=2, log_dir=tmp_path / "logs")
    processes = [worker["pid"] for worker in pool.status()]
    with pytest.raises(WorkerError) as raised:
        collect(pool, requests(3))
    message = str(raised.value)
    assert re.search(f"worker 0 {cause}", message)
    assert "in stage 'step', step 4 of episode 0 (EpisodeRequest(index=0, seed=100, scene_seed=0))" in message
    assert "all of max_restarts=2 restarts are used up" in message
    assert re.search(words, message)
    log = tmp_path / "logs" / "worker_0.log"
    assert str(log) in message
    assert log.is_file()
    assert not any(map(is_running, processes))
    with pytest.raises(EnvError, match="closed"):
        pool.submit(requests(1)[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unbuildable", "ValueError: the table has no legs"),
        ("liar", r"spaces of shape .*64, 64.* but its spec says .*32, 32"),
        ("blind", "no Vulkan driver was found"),
    ],
)
def test_what_would_fail_again_is_not_tried_again(misbehaving, name, words):
    with (
        workers(misbehaving(name)) as pool,
        pytest.raises(WorkerError, match=f"(?s)could not build .*{words}") as error,
    ):
        collect(pool, requests(1))
    assert pool.restarts == 0
    log = Path(str(error.value).split("Its log is ")[1].split(";")[0])
    assert log.is_file(), "logs that an error names are kept"
    log.unlink()
    log.parent.rmdir()


def test_what_is_observed_beyond_the_spec_does_not_matter(misbehaving):
    with workers(misbehaving("generous")) as pool:
        assert_same(collect(pool, requests(1)), in_process(requests(1)))


def test_a_start_that_hangs_has_its_own_deadline(misbehaving, tmp_path):
    with (
        workers(misbehaving("stillborn"), start_timeout=1.5, max_restarts=0, log_dir=tmp_path) as pool,
        pytest.raises(WorkerError, match=r"(?s)start_timeout is 1.5 s\) in stage 'scene'.*hang_in_the_driver"),
    ):
        collect(pool, requests(1))


def test_wrong_settings_are_refused_before_any_process_starts(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(ValueError, match="variant is 'x' but must be one of"):
        workers(TOY | {"variant": "x"})
    with pytest.raises(ValueError, match="num_workers is 0"):
        workers(num_workers=0)
    with pytest.raises(EnvError, match=r"need \d+ MiB of memory but only \d+ MiB are free; lower num_workers"):
        workers(changed(TOY, camera__resolution=512, max_steps=60_000), num_workers=1000)


def test_a_process_that_cannot_be_started_is_one_clear_error(monkeypatch, tmp_path):
    descriptors = open_descriptors()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python"))
    with pytest.raises(EnvError, match=r"worker 0 could not be started: .*no_python"):
        workers()
    assert open_descriptors() == descriptors
    monkeypatch.undo()
    with workers() as pool:
        pool.submit(requests(1)[0])
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python"))
        os.kill(pool.status()[0]["pid"], signal.SIGKILL)
        with pytest.raises(EnvError, match=r"worker 0 could not be started: .*no_python"):
            pool.next(timeout=60)
        assert pool.status() == []


def test_output_goes_to_the_log_and_the_process_is_alone_on_its_core(misbehaving, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    with workers(misbehaving("talker"), log_dir=tmp_path / "logs") as pool:
        (episode,) = collect(pool, requests(1))
    assert episode.info == {"success": 0.0, "OMP_NUM_THREADS": 1.0, "LP_NUM_THREADS": 0.0, "torch": 0.0}
    log = (tmp_path / "logs" / "worker_0.log").read_text()
    assert "driver says hello" in log
    assert "warning of the simulator" in log
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_signals_that_end_a_run_are_the_parents_business(misbehaving):
    asked = requests(2)
    with workers(misbehaving("slow", sleep=0.03)) as pool:
        for request in asked:
            pool.submit(request)
        wait_for(lambda: pool.status()[0]["stage"] == "step")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(pool.status()[0]["pid"], number)
        episodes = [pool.next(timeout=60) for _ in asked]
        assert pool.restarts == 0
        assert os.getpgid(pool.status()[0]["pid"]) != os.getpgid(0), "Ctrl-C must not reach the worker"
    assert_same(episodes, in_process(asked))


def test_close_leaves_no_process_no_memory_and_no_file(misbehaving, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files, descriptors = set(os.listdir("/dev/shm")), open_descriptors()
    pool = workers(misbehaving("slow", sleep=0.05), num_workers=2)
    for request in requests(6):
        pool.submit(request)
    wait_for(lambda: pool.status()[0]["stage"] == "step")
    processes = [worker["pid"] for worker in pool.status()]
    pool.close()
    pool.close()
    assert not any(map(is_running, processes))
    assert psutil.Process().children(recursive=True) == []
    assert set(os.listdir("/dev/shm")) == files
    assert open_descriptors() == descriptors
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("f1rl_workers")] == []


PARENT = """
import sys, time
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.workers import EpisodeWorkers
if __name__ == "__main__":
    pool = EpisodeWorkers({config!r}, 2, start_timeout=60, step_timeout=30, max_restarts=0, log_dir={logs!r})
    for index in range(4):
        pool.submit(EpisodeRequest(index, index, 0))
    pool.next()
    print(*[worker["pid"] for worker in pool.status()], flush=True)
    {ending}
"""


def start_parent(tmp_path, config, ending):
    (tmp_path / "parent.py").write_text(PARENT.format(config=config, logs=str(tmp_path / "logs"), ending=ending))
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-W", "error", str(tmp_path / "parent.py")]
    parent = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_no_worker_outlives_a_killed_parent(misbehaving, tmp_path, state):
    files = set(os.listdir("/dev/shm"))
    parent, processes = start_parent(tmp_path, misbehaving("slow", sleep=0.02), "time.sleep(3600)")
    assert len(processes) == 2
    assert all(map(is_running, processes))
    if state == "stopped":
        os.kill(processes[0], signal.SIGSTOP)
    parent.kill()
    parent.communicate()
    wait_for(lambda: not any(map(is_running, processes)), seconds=5)
    assert set(os.listdir("/dev/shm")) == files


@pytest.mark.parametrize(("ending", "code"), [("pass", 0), ("sys.exit(3)", 3), ("raise KeyboardInterrupt", -2)])
def test_a_parent_that_forgets_to_close_ends_quietly(misbehaving, tmp_path, ending, code):
    parent, processes = start_parent(tmp_path, misbehaving("slow", sleep=0.02), ending)
    _, errors = parent.communicate(timeout=20)
    assert parent.returncode == code
    assert "leaked" not in errors
    assert errors == "" or ending.startswith("raise")
    assert len(processes) == 2
    assert not any(map(is_running, processes))
