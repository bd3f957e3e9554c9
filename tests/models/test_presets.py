"""The presets under ``conf/model``: their keys and comments, and the published size of ``f1``, part by part."""

from __future__ import annotations

import pytest

from conf_comments import commented_keys
from f1rl.config.reference import field_docs
from f1rl.models.action_expert import ActionExpert
from f1rl.models.config import ModelConfig
from f1rl.models.empty import count_parameters, empty_names, empty_parameters, memory_of
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.typed import fields_of, sections
from model_support import PRESET_FOLDER, read_preset

PRESETS = ("tiny", "small", "f1")


@pytest.mark.parametrize("name", PRESETS)
def test_every_key_is_explained_in_the_words_of_the_schema(name):
    schema = dict(sections(ModelConfig))
    found = {
        (path, key): comment for path, key, comment in commented_keys((PRESET_FOLDER / f"{name}.yaml").read_text(), "")
    }
    expected = {(path, key): field_docs(schema[path])[key] for path in schema for key in fields_of(schema[path])}
    assert {(path.strip("."), key): text for (path, key), text in found.items()} == expected


@pytest.fixture(scope="module")
def full_size() -> tuple[F1Model, ActionExpert]:
    config = read_preset("f1")
    with empty_parameters():
        return F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True), ActionExpert(config)


def test_the_full_size_is_the_published_one_part_by_part(full_size):
    model, action = full_size
    sizes = {name: count_parameters(part) for name, part in model.named_children()}
    expert = count_parameters(action.expert)
    heads = count_parameters(action) - expert - count_parameters(action.memory_token)
    assert count_parameters(model.vlm.vision_tower) == 412_442_352
    assert count_parameters(model.vlm.language_model.embed_tokens) == 526_647_296
    assert sizes["vlm"] == 2_923_335_408
    assert sizes["gen"] == expert == 311_464_960
    assert sizes["tokenizer"] == 108_948_355
    assert sizes["frames"] == 5_664_000
    assert heads == 3_248_160
    published = sizes["vlm"] + sizes["gen"] + sizes["tokenizer"] + sizes["frames"] + expert + heads
    assert published == 3_664_125_843
    assert count_parameters(model) + count_parameters(action) - published == 18_104_320  # the memory and its tokens


def test_counting_takes_no_memory_and_loses_no_buffer(full_size):
    model, _ = full_size
    empty = set(empty_names(model))
    assert empty >= {name for name, _ in model.named_parameters()}
    assert {name for name, _ in model.named_buffers()} & empty == {"tokenizer.quantizer.code_sum"}  # of the codebook
    assert memory_of(model) > 12 * 2**30


def test_a_frame_of_the_full_size_has_680_tokens():
    assert read_preset("f1").tokenizer.num_tokens == 680
