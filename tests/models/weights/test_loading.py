"""What a load accepts and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import published_f1
from f1rl.errors import CheckpointError
from f1rl.models.action_expert import ActionExpert
from f1rl.models.empty import empty_names
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.building import (
    fill_action_expert,
    holds_tokenizer,
    holds_world_model,
    world_model_from_files,
)
from f1rl.models.weights.files import find_files
from f1rl.models.weights.layouts import LAYOUTS
from f1rl.models.weights.loading import expected_entries, load_weights

K_PROJ = f"{published_f1.PREFIX}gemma_wm_expert.model.layers.0.self_attn.k_proj.weight"

misfits = pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, name: t.pop(name), "missing: {canonical}"),
        (lambda t, name: t.update({"surplus.weight": t[name].clone()}), "unknown: surplus.weight"),
        (lambda t, name: t.update({name: t[name][:, :-1]}), "{name}: shape {cut}, expected {whole}"),
        (lambda t, name: t.update({f"{name}s": t.pop(name)}), "unknown: {name}s (did it mean {canonical}?)"),
    ],
    ids=["missing", "extra", "misshaped", "renamed"],
)
"""A key that does not fit, and what is said of it."""


def load(config) -> tuple[F1Model, list]:
    tokenizer = None if holds_tokenizer(config.weights) else FrameTokenizer(config.tokenizer)
    return world_model_from_files(config, tokenizer, memory_backprop=True)


@pytest.mark.parametrize("layout", ["f1", "pi0", "pi0_base"])
def test_every_published_tensor_is_restored_exactly(layout, write, config_for):
    """Put back together by the names, what was loaded is what the file holds."""
    path, tensors = write(layout)
    config = config_for(source=str(path), layout=layout)
    model, (summary,) = load(config)
    whole = nn.ModuleDict(dict(model.named_children()) | {"act": ActionExpert(config)})
    fill_action_expert(whole["act"], config.weights)
    state, chosen, restored = whole.state_dict(), LAYOUTS[layout], {}
    for name, entry in expected_entries(chosen, whole).items():
        restored[name] = torch.cat([state[target].flatten() for target in entry.targets]).view(entry.shape)
    published = {chosen.spell(name): tensor for name, tensor in tensors.items()}
    aside = {name for name in published if name not in restored}
    assert all(torch.equal(restored[name], published[name]) for name in restored)
    assert {name.split(".")[-2] for name in aside} <= {"lm_head", "model", "quantize"}
    assert summary.total == len(tensors)
    assert summary.matched + sum(summary.aside.values()) == summary.total
    assert empty_names(model) == []


def test_the_summary_says_what_became_of_every_tensor(write, config_for):
    path, tensors = write("f1")
    _, (summary,) = load(config_for(source=str(path)))
    line = str(summary)
    assert f"{summary.matched} of {len(tensors)} matched" in line
    assert f"{summary.size:,} bytes" in line
    assert "2 left aside: output heads of experts that never speak" in line
    assert "they belong to act, which this model does not have" in line


@pytest.mark.parametrize("layout", ["f1", "pi0", "pi0_base"])
@misfits
def test_a_key_that_does_not_fit_is_named(layout, change, message, write, config_for):
    seen = []

    def changed(tensors: published_f1.Tensors) -> None:
        name = next(n for n in tensors if n.endswith("language_model.layers.1.self_attn.k_proj.weight") or
                    n.endswith("language_model.model.layers.1.self_attn.k_proj.weight"))  # fmt: skip
        seen.append(name)
        change(tensors, name)

    path, _ = write(layout, changed)
    with pytest.raises(CheckpointError) as error:
        load(config_for(source=str(path), layout=layout))
    name = seen[0]
    said = message.format(name=name, canonical=LAYOUTS[layout].spell(name), cut=(8, 23), whole=(8, 24))
    assert said in str(error.value)
    assert "model.weights.layout" in str(error.value)


def test_another_layout_is_refused(write, config_for):
    path, _ = write("pi0")
    with pytest.raises(CheckpointError, match=r"missing: model\.vae\.encoder\.conv_in\.weight"):
        load(config_for(source=str(path), layout="f1"))


def test_tied_tensors_may_be_saved_twice_but_not_differ(write, config_for):
    words = f"{published_f1.PREFIX}paligemma.language_model"

    def twice(tensors: published_f1.Tensors) -> None:
        tensors[f"{words}.model.embed_tokens.weight"] = tensors[f"{words}.lm_head.weight"].clone()

    path, _ = write("f1", twice)
    load(config_for(source=str(path)))

    def differing(tensors: published_f1.Tensors) -> None:
        tensors[f"{words}.model.embed_tokens.weight"] = tensors[f"{words}.lm_head.weight"] + 1

    path, _ = write("f1", differing)
    with pytest.raises(CheckpointError, match="twice, with different values"):
        load(config_for(source=str(path)))


def test_what_a_layout_does_not_hold_is_as_it_was_built(write, config_for):
    path, _ = write("pi0")
    config = config_for(source=str(path), layout="pi0")
    assert not holds_world_model(config.weights)
    assert not holds_tokenizer(config.weights)
    torch.manual_seed(0)
    model, _ = load(config)
    assert empty_names(model) == []
    assert model.gen.layers[0].self_attn.q_proj.weight.std() > 0


def test_vars_autoencoder_alone_is_read_from_its_pickle(var_file, config_for):
    path, tensors = var_file
    config = config_for(tokenizer=str(path))
    model, (summary,) = load(config)
    assert summary.aside == {"how often VAR's training used each code": 1}
    assert torch.equal(model.tokenizer.quantizer.codebook.weight, tensors["quantize.embedding.weight"])
    assert torch.equal(model.tokenizer.quantizer.code_sum, tensors["quantize.embedding.weight"])
    exact = {name: tensor.double() for name, tensor in tensors.items()}
    pixels = torch.rand(1, 3, 64, 64, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        latent = model.tokenizer.double()._to_latent(pixels)
    reference = published_f1.Vqvae(exact, list(config.tokenizer.scales)).latent(pixels)
    torch.testing.assert_close(latent, reference, atol=1e-5, rtol=1e-5)


@misfits
def test_a_key_of_vars_autoencoder_that_does_not_fit_is_named(change, message, var_file, config_for):
    path, tensors = var_file
    name = "encoder.conv_in.weight"
    whole = tuple(tensors[name].shape)
    change(tensors, name)
    torch.save(tensors, path)
    with pytest.raises(CheckpointError) as error:
        load(config_for(tokenizer=str(path)))
    cut = (whole[0], whole[1] - 1, *whole[2:])
    assert message.format(name=name, canonical=name, cut=cut, whole=whole) in str(error.value)


def test_part_of_the_weights_may_be_kept_in_half_precision(write, config_for):
    path, tensors = write("f1")
    config = config_for(source=str(path))
    model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
    load_weights(model, [path], LAYOUTS["f1"], half=("vlm.", "gen."))
    assert model.gen.layers[0].self_attn.k_proj.weight.dtype == torch.bfloat16
    assert torch.equal(model.gen.layers[0].self_attn.k_proj.weight, tensors[K_PROJ].bfloat16())
    assert model.frames.head.weight.dtype == torch.float32


def test_a_pickle_that_would_run_something_is_refused(tmp_path, config_for):
    class Runs:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was run",)

    path = tmp_path / "vae.pth"
    torch.save({"quant_conv.weight": Runs()}, path)
    with pytest.raises(CheckpointError, match="weights_only=True"):
        load(config_for(tokenizer=str(path)))
    assert not (tmp_path / "was run").exists()


def test_a_pickle_of_something_else_is_refused(tmp_path, config_for):
    path = tmp_path / "vae.pth"
    torch.save({"trainer": {"vae": torch.zeros(1)}}, path)
    with pytest.raises(CheckpointError, match="no flat list of tensors"):
        load(config_for(tokenizer=str(path)))


def test_a_damaged_file_is_refused(tmp_path, config_for):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"not a header")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load(config_for(source=str(path)))


def test_a_folder_gives_its_files(tmp_path):
    for number in (2, 1):
        save_file({f"t{number}": torch.zeros(1)}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    assert [path.name[:11] for path in find_files(str(tmp_path))] == ["model-00001", "model-00002"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"holds no \*\.safetensors, but nothing"):
        find_files(str(tmp_path / "empty"))


def test_a_source_that_is_nowhere_is_explained(monkeypatch):
    with pytest.raises(CheckpointError, match="neither a file or folder, nor owner/name"):
        find_files("weights of a friend")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/nothing-of-this-name", "nobody/nothing-of-this-name/vae.pth"):
        with pytest.raises(CheckpointError, match="not on this disk, and the hub did not give it"):
            find_files(name)
