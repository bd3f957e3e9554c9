"""Exported weights load back, and are what the published layout holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import published_f1
from f1rl.checkpoint import Checkpoint, save_checkpoint
from f1rl.config.compose import compose
from f1rl.errors import CheckpointError, UsageError
from f1rl.models.config import ModelConfig
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.building import world_model_from_files
from f1rl.tools.export import main
from f1rl.typed import to_tree

PRESET = Path(__file__).parents[2] / "conf" / "model" / "tiny.yaml"


def small(published: bool) -> dict:
    values = yaml.safe_load(PRESET.read_text())
    values["attention"] |= {"layers": 2, "heads": 2, "head_dim": 8}
    values["und"] |= {"width": 24, "mlp_width": 32}
    values["und"]["vision"] |= {"width": 16, "mlp_width": 16, "heads": 2}
    values["gen"] |= {"width": 16, "mlp_width": 24}
    return published_f1.sizes(values) if published else values


@pytest.fixture(params=[False, True], ids=["own", "published"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, F1Model, bool]:
    """A run directory with a checkpoint of a random world model."""
    config = ModelConfig.from_dict(small(request.param))
    torch.manual_seed(0)
    model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
    whole = to_tree(replace(compose([]), model=config))
    path = tmp_path / "run" / "checkpoint-7"
    path.parent.mkdir()
    (path.parent / "run.json").write_text("{}")
    save_checkpoint(path, Checkpoint(model.state_dict(), {"config": whole}, {}))
    return path.parent, model, request.param


def test_the_export_loads_back_bit_for_bit(run, tmp_path, capsys):
    directory, model, published = run
    folder = tmp_path / "out"
    assert main([str(directory), str(folder)]) == 0
    config = compose([], source=folder / "config.yaml")
    assert config.model.weights.source == str(folder)
    again, (summary,) = world_model_from_files(config.model, None, memory_backprop=True)
    state = model.state_dict()
    assert summary.matched == summary.total == len(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    assert (folder / "names.json").exists() == published
    assert f"{len(state)} tensors" in capsys.readouterr().out


def test_the_published_layout_has_the_published_names_and_shapes(run, tmp_path, capsys):
    directory, model, published = run
    folder = tmp_path / "out"
    if not published:
        with pytest.raises(CheckpointError, match="--layout f1rl"):
            main([str(directory), str(folder), "--layout", "f1"])
        assert not folder.exists()
        return
    main([str(directory), str(folder), "--layout", "f1"])
    written = load_file(folder / "model.safetensors")
    expected = published_f1.f1_tensors(small(published=True))
    spelled = {f"model.{name}" if name.startswith("vae.") else name: t for name, t in expected.items()}
    aside = ("lm_head", "mask_embedding", "lvl_1L", "ema_vocab_hit_SV", ".gemma_expert.", "model.action", "state_proj")
    words = f"{published_f1.PREFIX}paligemma.language_model.lm_head.weight"
    wanted = {name: t.shape for name, t in spelled.items() if name == words or not any(a in name for a in aside)}
    assert {name: tensor.shape for name, tensor in written.items()} == wanted
    config = compose([], source=folder / "config.yaml").model
    again, _ = world_model_from_files(config, None, memory_backprop=True)
    assert all(torch.equal(a, b) for a, b in zip(again.vlm.parameters(), model.vlm.parameters(), strict=True))
    assert "left out" in capsys.readouterr().out
    names = json.loads((folder / "names.json").read_text())
    assert names["gen.norm.weight"] == f"{published_f1.PREFIX}gemma_wm_expert.model.norm.weight"
    query = "tokenizer.encoder.mid_block.attentions.0.to_k.weight"
    assert names[query] == "model.vae.encoder.mid.attn_1.qkv.weight[1]"


def test_a_folder_in_use_and_a_missing_checkpoint_are_refused(run, tmp_path):
    directory, _, _ = run
    with pytest.raises(UsageError, match="not an empty folder"):
        main([str(directory), str(tmp_path)])
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        main([str(tmp_path / "nowhere"), str(tmp_path / "out")])
    with pytest.raises(UsageError, match="export --help"):
        main([str(directory), str(tmp_path / "out"), "--layout", "gguf"])
