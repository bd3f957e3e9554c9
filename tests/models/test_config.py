from __future__ import annotations

import copy

import pytest

from f1rl.models.config import ModelConfig


def _set(values: dict, key: str, value: object) -> dict:
    changed = copy.deepcopy(values)
    *parents, last = key.split(".")
    section = changed
    for parent in parents:
        section = section[parent]
    section[last] = value
    return changed


def test_tiny_is_consistent(tiny_values):
    config = ModelConfig.from_dict(tiny_values)
    assert config.tokenizer.scales == tuple(tiny_values["tokenizer"]["scales"])
    assert config.n_obs_img_steps == 4


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("image_size", 0, "model.image_size"),
        ("n_pred_img_steps", 2, "model.n_pred_img_steps"),
        ("tokenizer.image_size", 60, "model.tokenizer.image_size"),
        ("tokenizer.scales", [1, 2, 3], "latent grid"),
        ("tokenizer.scales", [2, 1, 4], "model.tokenizer.scales"),
        ("tokenizer.scales", [], "model.tokenizer.scales"),
        ("tokenizer.norm_groups", 7, "model.tokenizer.norm_groups"),
        ("tokenizer.phi_ratio", 1.5, "model.tokenizer.phi_ratio"),
        ("tokenizer.codebook_size", 1, "model.tokenizer.codebook_size"),
        ("attention.kv_heads", 3, "model.attention.kv_heads"),
        ("attention.head_dim", 33, "model.attention.head_dim"),
        ("und.vision.patch_size", 15, "model.und.vision.patch_size"),
        ("und.vision.heads", 5, "model.und.vision.heads"),
        ("und.vocab_size", 100, "model.und.vocab_size"),
        ("prompt.text", "", "model.prompt.text"),
        ("gen.history_side", 9, "model.gen.history_side"),
        ("gen.width", "96", "model.gen.width"),
        ("memory.enabled", 1, "model.memory.enabled"),
        ("tokenizer.scales", 4, "model.tokenizer.scales"),
        ("tokenizer.widths", [32, 4.5, 96], "model.tokenizer.widths must be a list of a whole number"),
        ("memory", None, "model.memory"),
    ],
)
def test_a_bad_value_names_its_key(tiny_values, key, value, named):
    with pytest.raises(ValueError, match="model") as error:
        ModelConfig.from_dict(_set(tiny_values, key, value))
    assert named in str(error.value)


def test_all_contradictions_are_reported_at_once(tiny_values):
    values = _set(_set(tiny_values, "attention.kv_heads", 3), "und.vision.patch_size", 15)
    with pytest.raises(ValueError, match=r"model\.attention\.kv_heads") as error:
        ModelConfig.from_dict(values)
    assert "model.und.vision.patch_size" in str(error.value)


def test_unknown_and_missing_keys(tiny_values):
    with pytest.raises(ValueError, match=r"did you mean model\.memory\.hidden\?"):
        ModelConfig.from_dict(_set(tiny_values, "memory.hiddn", 3))
    del tiny_values["gen"]["width"]
    with pytest.raises(ValueError, match=r"model\.gen\.width"):
        ModelConfig.from_dict(tiny_values)


def test_a_null_tokenizer_and_a_whole_number_for_a_float_are_fine(tiny_values):
    config = ModelConfig.from_dict(_set(tiny_values, "attention.rope_theta", 10000))
    assert config.attention.rope_theta == 10000.0
    assert config.prompt.tokenizer is None
