"""Adapters on a world model with loaded weights: what is trained, saved, loaded back and merged."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from peft import LoraConfig as PeftConfig
from peft import inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from f1rl.checkpoint import load_model_weights, own_state
from f1rl.errors import CheckpointError, ConfigError
from f1rl.models.config import LoraConfig, ModelConfig, WeightsConfig
from f1rl.models.f1 import F1Model
from f1rl.models.lora import merge_adapters, save_adapter
from f1rl.models.weights.building import world_model_from_files

IN_FULL = ("memory", "memory_token", "state_token", "action_token", "frames")
LORA = LoraConfig(4, 8, 0.0, ("q_proj", "down_proj"), ("gen",), IN_FULL, "float32", False)
ORIGIN = Path("checkpoint-1")


@pytest.fixture
def base(make_model, tmp_path) -> Path:
    path = tmp_path / "base.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in make_model().state_dict().items()}, path)
    return path


@pytest.fixture
def make_adapted(make_model, base):
    config = make_model().config

    def make(lora: LoraConfig = LORA, source: Path = base) -> F1Model:
        changed = replace(config, weights=WeightsConfig(str(source), "f1rl", None), lora=lora)
        torch.manual_seed(1)
        return world_model_from_files(changed, None, memory_backprop=True)[0]

    return make


def train(model: F1Model, inputs, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        logits = model(inputs, model.initial_memory(2, "cpu")).logits
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 2), inputs.target.flatten()).backward()
        optimizer.step()


@torch.no_grad()
def logits_of(model: F1Model, inputs) -> torch.Tensor:
    return model.eval()(inputs, model.initial_memory(2, "cpu")).logits


def test_it_begins_as_its_base(make_model, make_adapted, random_inputs):
    model = make_model()
    inputs = random_inputs(model, 2, 2)
    adapted = make_adapted()
    torch.testing.assert_close(logits_of(adapted, inputs), logits_of(model, inputs))


def test_what_is_trained_is_exactly_what_is_named(make_adapted, random_inputs):
    model = make_adapted()
    adapters = {
        f"gen.layers.{i}.{place}.lora_{letter}.default.weight"
        for i in range(2)
        for place in ("self_attn.q_proj", "mlp.down_proj")
        for letter in "AB"
    }
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    in_full = {name for name, _ in model.named_parameters() if name.split(".")[0] in IN_FULL}
    assert trained == adapters | in_full
    before = copy.deepcopy(model.state_dict())
    train(model, random_inputs(model, 2, 2))
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved <= trained
    assert moved >= adapters


def test_a_checkpoint_holds_what_is_trained_and_loads_back(make_adapted, random_inputs):
    model = make_adapted()
    inputs = random_inputs(model, 2, 2)
    train(model, inputs)
    state = own_state(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(state) == trained | {"base_fingerprint"}
    again = make_adapted()
    load_model_weights(again, state, ORIGIN)
    assert torch.equal(logits_of(again, inputs), logits_of(model, inputs))


def test_a_checkpoint_that_lacks_something_is_refused(make_adapted):
    state = own_state(make_adapted())
    del state["gen.layers.0.mlp.down_proj.lora_B.default.weight"]
    with pytest.raises(CheckpointError, match=r"missing: gen\.layers\.0\.mlp\.down_proj\.lora_B"):
        load_model_weights(make_adapted(), state, ORIGIN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 2}, r"lora_A\.default\.weight: shape"),
        ({"target_modules": ("q_proj",)}, r"unknown: gen\..*down_proj"),
        ({"modules_to_save": IN_FULL[1:]}, r"unknown: memory\."),
    ],
)
def test_other_settings_do_not_fit(make_adapted, change, message):
    state = own_state(make_adapted())
    with pytest.raises(CheckpointError, match=message):
        load_model_weights(make_adapted(replace(LORA, **change)), state, ORIGIN)


def test_adapters_of_another_base_are_refused(make_adapted, base, tmp_path):
    state, other = own_state(make_adapted()), tmp_path / "other.safetensors"
    tensors = load_file(base)
    tensors["gen.layers.1.mlp.up_proj.weight"][0, 0] += 1
    save_file(tensors, other)
    with pytest.raises(CheckpointError, match="adapters of other weights"):
        load_model_weights(make_adapted(source=other), state, ORIGIN)


def test_a_base_in_half_precision_is_the_same_base(make_adapted, random_inputs):
    state = own_state(make_adapted())
    half = make_adapted(replace(LORA, base_dtype="bfloat16"))
    load_model_weights(half, state, ORIGIN)
    assert half.vlm.language_model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
    assert (
        half.frames.head.weight.dtype == half.gen.layers[0].mlp.down_proj.lora_A.default.weight.dtype == torch.float32
    )
    inputs = random_inputs(half, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        train(half, inputs)
    exact = logits_of(make_adapted(), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        fresh = logits_of(make_adapted(replace(LORA, base_dtype="bfloat16")), inputs)
    assert (fresh - exact).abs().mean() < 0.05 * exact.std()
    # Evaluations and explorers run outside of a trainer's mixed precision.
    plain = logits_of(make_adapted(replace(LORA, base_dtype="bfloat16")), inputs)
    assert plain.dtype == torch.float32
    assert (plain - exact).abs().mean() < 0.05 * exact.std()


def test_merged_it_computes_the_same_without_adapters(make_model, make_adapted, random_inputs):
    model = make_adapted()
    inputs = random_inputs(model, 2, 2)
    train(model, inputs)
    expected = logits_of(model, inputs)
    merge_adapters(model)
    assert model.state_dict().keys() == make_model().state_dict().keys()
    torch.testing.assert_close(logits_of(model, inputs), expected, atol=1e-5, rtol=1e-5)


def test_the_adapter_is_written_as_peft_reads_it(make_model, make_adapted, random_inputs, tmp_path):
    model = make_adapted()
    inputs = random_inputs(model, 2, 2)
    train(model, inputs)
    save_adapter(model, model.config, tmp_path / "adapter")
    plain, settings = make_model(), PeftConfig.from_pretrained(str(tmp_path / "adapter"))
    assert (settings.r, settings.lora_alpha, settings.base_model_name_or_path) == (4, 8, model.config.weights.source)
    inject_adapter_in_model(settings, plain)
    stored = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    result = set_peft_model_state_dict(plain, {name.removeprefix("base_model.model."): t for name, t in stored.items()})
    assert not result.unexpected_keys
    plain.load_state_dict(load_file(tmp_path / "adapter" / "modules.safetensors"), strict=False)
    torch.testing.assert_close(logits_of(plain, inputs), logits_of(model, inputs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_modules": ("qkv_proj",)}, "target_modules names qkv_proj(.|\n)*there are down_proj, gate_proj"),
        ({"modules_to_save": ("memry",)}, "modules_to_save names memry, which is none of: vlm, gen, frames, memory"),
    ],
)
def test_a_name_that_the_model_does_not_have_is_refused(make_adapted, change, message):
    with pytest.raises(ConfigError, match=message):
        make_adapted(replace(LORA, **change))


def test_four_bits_need_their_package(make_adapted, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"bitsandbytes(.|\n)*\.\[qlora\]"):
        make_adapted(replace(LORA, load_in_4bit=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": -1}, "model.lora.r is -1"),
        ({"lora_alpha": 0}, "model.lora.lora_alpha is 0"),
        ({"lora_dropout": 1.0}, "model.lora.lora_dropout is 1.0"),
        ({"parts": []}, "model.lora.parts is empty"),
        ({"parts": ["act"]}, "must be a list of one of vlm, gen"),
        ({"r": 4}, "model.weights.source is null"),
    ],
)
def test_the_configuration_says_what_is_wrong(tiny_values, change, message):
    tiny_values["lora"] |= {"r": 8, **change}
    if change != {"r": 4}:
        tiny_values["weights"]["source"] = "somewhere"
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        ModelConfig.from_dict(tiny_values)
