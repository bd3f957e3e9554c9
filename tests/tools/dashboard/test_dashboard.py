"""The dashboard of a W&B project: printed without a server, saved to one on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from f1rl import cli
from f1rl.config.compose import compose_tree
from f1rl.records.clocks import Clocks
from f1rl.tools.dashboard.panels import SECTIONS
from wandb_support import wandb_server

PANELS = [panel for section in SECTIONS for panel in section.panels]


def run(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "f1rl", "dashboard", *words]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def sections_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return spec["section"]["panelBankConfig"]["sections"]


def test_it_is_printed_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard", "--print", "--entity", "us"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["name"], printed["project"], printed["entity"]) == ("f1rl", "f1rl", "us")
    titles = [section["title"] for section in printed["sections"]]
    assert [title.split(",")[0] for title in titles] == [
        "Health", "World model", "Explorer", "Adversary", "Throughput", "Sweep",
    ]  # fmt: skip
    first = printed["sections"][0]["panels"][0]
    assert first == {
        "title": "Health (0 to 100)", "metrics": ["health/score"], "kind": "curves", "clock": "env_step",
    }  # fmt: skip


def test_w_and_b_is_sent_all_of_it() -> None:
    told = json.loads(run("--print", "json", "--project", "mine", env={"WANDB_BASE_URL": "http://127.0.0.1:9"}).stdout)
    assert told["project"] == "mine"
    sent = [panel for section in sections_of(told["spec"]) for panel in section["panels"]]
    assert len(sent) == len(PANELS)
    by_title = {panel["config"].get("chartTitle"): panel["config"] for panel in sent}
    for panel in PANELS:
        if panel.kind == "curves" and "*" not in panel.metrics[0]:
            assert by_title[panel.title]["metrics"] == list(panel.metrics)
            assert by_title[panel.title]["xAxis"] == panel.clock
    assert by_title["Loss by scale"]["metricRegex"] == "^(eval/loss_scale_.*)$"
    assert by_title["Held-out loss by group: mean and deviation"]["groupBy"] == "group"
    columns = [column["accessor"] for column in by_title["Held-out loss by settings"]["columns"]]
    assert (columns[0], columns[-1]) == ("config:phase.value.learning_rate", "summary:eval/loss")
    kinds = {panel["viewType"] for panel in sent}
    assert {"Parameter Importance", "Parallel Coordinates Plot", "Media Browser", "Weave"} < kinds


def test_clocks_and_settings_are_those_of_runs() -> None:
    assert {panel.clock for panel in PANELS} <= Clocks().as_dict().keys()
    tree = compose_tree(["logger=wandb"])
    for key in {key for panel in PANELS for key in panel.settings}:
        assert OmegaConf.select(tree, key) is not None, key


def test_it_is_saved_and_its_address_is_printed() -> None:
    with wandb_server() as uploads:
        done = run("--name", "Curiosity", env=uploads.environment())
        assert done.returncode == 0, done.stderr
        (view,) = uploads.views
        assert done.stdout == f"{uploads.url}/me/f1rl?nw={view['name'].split('-')[1]}\n"
        assert (view["entityName"], view["projectName"], view["displayName"]) == ("me", "f1rl", "Curiosity")
        assert len(sections_of(json.loads(view["spec"]))) == len(SECTIONS)
        uploads.refused = "upsertView"
        refused = run(env=uploads.environment())
    assert refused.returncode == 4
    assert refused.stderr.startswith("f1rl: W&B did not save the dashboard: ")
    assert "permission denied" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_server_that_does_not_answer_and_a_missing_key() -> None:
    done = run(env={"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "local-" + "0" * 40})
    assert done.returncode == 4
    assert done.stderr.startswith("f1rl: nothing was saved: http://127.0.0.1:9 does not answer")
    with wandb_server() as uploads:
        done = run(env={"WANDB_BASE_URL": uploads.url, "WANDB_API_KEY": ""})
    assert done.returncode == 4
    assert "there is no API key" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_loads_nothing_of_w_and_b() -> None:
    code = (
        "import sys\nfrom f1rl import cli\n"
        "try:\n    cli.main(['dashboard', '--help'])\nexcept SystemExit:\n"
        "    sys.exit(bool({'wandb', 'wandb_workspaces', 'torch'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
