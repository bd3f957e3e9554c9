from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from f1rl.errors import ConfigError
from f1rl.models.config import ModelConfig, PromptConfig
from f1rl.models.experts import prompt_tokens
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.tokenizer import FrameTokenizer
from model_support import kept_for_the_gradient

BOTH = pytest.mark.parametrize("und_sees_history", [False, True])


def steps(inputs: WorldModelInputs, part: slice) -> WorldModelInputs:
    return WorldModelInputs(**{f.name: getattr(inputs, f.name)[:, part] for f in fields(inputs)})


@BOTH
@pytest.mark.parametrize("history_side", [2, None])
def test_window_equals_single_steps(make_model, random_inputs, und_sees_history, history_side):
    model = make_model(und_sees_history=und_sees_history, gen__history_side=history_side).eval()
    inputs = random_inputs(model, 3, 5)
    inputs.is_first[0, 2] = inputs.is_first[2, 0] = True
    start = torch.randn_like(model.initial_memory(3, "cpu"))
    with torch.no_grad():
        together = model(inputs, start)
        memory, logits = start, []
        for t in range(5):
            output = model(steps(inputs, slice(t, t + 1)), memory)
            memory = output.memory
            logits.append(output.logits)
    torch.testing.assert_close(together.logits, torch.cat(logits, 1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.memory, memory, atol=1e-5, rtol=1e-5)


@BOTH
def test_some_steps_are_completed_later_as_if_all_had_been_at_once(make_model, random_inputs, und_sees_history):
    model = make_model(und_sees_history=und_sees_history).eval()
    inputs, rows = random_inputs(model, 3, 2), torch.tensor([4, 1])
    with torch.no_grad():
        whole, memory = model.observe(inputs, model.initial_memory(3, "cpu"))
        glanced, same_memory = model.glance(inputs, model.initial_memory(3, "cpu"))
        completed = model.include_past(glanced[rows])
        back = whole.updated(rows, completed)
    assert (glanced.past is not None) == und_sees_history
    assert torch.equal(memory, same_memory)
    assert torch.equal(completed.recalled, whole.recalled[rows])
    torch.testing.assert_close(completed.past.tokens, whole.past.tokens[rows])
    for mine, all_of, again in zip(completed.cache, whole.cache, back.cache, strict=True):
        for got, expected, updated in zip(mine, all_of, again, strict=True):
            torch.testing.assert_close(got, expected[rows], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(updated, expected, atol=1e-5, rtol=1e-5)


def test_an_episode_that_begins_mid_window_is_a_window_of_its_own(make_model, random_inputs):
    model = make_model().eval()
    inputs = random_inputs(model, 2, 6)
    inputs.is_first[:, 4] = True
    start = torch.randn_like(model.initial_memory(2, "cpu"))
    with torch.no_grad():
        together = model(inputs, start)
        before = model(steps(inputs, slice(0, 4)), start)
        after = model(steps(inputs, slice(4, 6)), model.initial_memory(2, "cpu"))
    torch.testing.assert_close(together.logits, torch.cat([before.logits, after.logits], 1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.memory, after.memory, atol=1e-5, rtol=1e-5)


def test_a_memory_that_is_not_finite_does_not_outlive_its_episode(make_model, random_inputs):
    model = make_model().eval()
    inputs = random_inputs(model, 1, 1)
    inputs.is_first[:] = True
    with torch.no_grad():
        output = model(inputs, torch.full_like(model.initial_memory(1, "cpu"), math.nan))
    assert output.logits.isfinite().all()


@BOTH
def test_greedy_prediction_is_the_teacher_forced_best_of_its_own_tokens(make_model, und_sees_history, random_inputs):
    model = make_model(und_sees_history=und_sees_history).eval()
    inputs = random_inputs(model, 2, 3)
    memory = model.initial_memory(2, "cpu")
    tokens, after = model.predict(replace(inputs, target=None), memory)
    assert tokens.shape == (2, 3, model.tokenizer.num_tokens)
    with torch.no_grad():
        forced = model(replace(inputs, target=tokens), memory)
    assert torch.equal(forced.logits.argmax(-1), tokens)
    torch.testing.assert_close(after, forced.memory)


def test_a_scale_is_predicted_without_seeing_itself_or_finer_scales(make_model, random_inputs):
    model = make_model().eval()
    inputs = random_inputs(model, 1, 1)
    memory = model.initial_memory(1, "cpu")
    with torch.no_grad():
        before = model(inputs, memory).logits
        changed = inputs.target.clone()
        changed[..., 1:5] = (changed[..., 1:5] + 1) % model.tokenizer.codebook_size
        after = model(replace(inputs, target=changed), memory).logits
    torch.testing.assert_close(before[:, :, :5], after[:, :, :5], atol=1e-6, rtol=0)
    assert not torch.allclose(before[:, :, 5:], after[:, :, 5:], atol=1e-4)


@BOTH
def test_every_trained_weight_gets_a_gradient(make_model, und_sees_history, random_inputs):
    model = make_model(und_sees_history=und_sees_history).train()
    inputs = random_inputs(model, 2, 3)
    output = model(inputs, model.initial_memory(2, "cpu"))
    F.cross_entropy(output.logits.flatten(0, 2), inputs.target.flatten()).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None] == []
    silent = {name for name, p in trained.items() if p.grad.abs().sum() == 0}
    # A shift of all keys leaves every attention as it was.
    assert {name for name in silent if "k_proj.bias" not in name} == set()
    assert all(not p.requires_grad for p in model.tokenizer.parameters())


def test_without_memory_all_weights_still_get_a_gradient(make_model, random_inputs):
    model = make_model(memory__enabled=False)
    inputs = random_inputs(model, 2, 3)
    output = model(inputs, model.initial_memory(2, "cpu"))
    output.logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_without_memory_the_past_has_no_influence(make_model, random_inputs):
    inputs = random_inputs(make_model(), 1, 2)
    other = replace(inputs, state=torch.cat([inputs.state[:, :1] + 1, inputs.state[:, 1:]], 1))
    for enabled in (True, False):
        model = make_model(memory__enabled=enabled).eval()
        memory = torch.randn_like(model.initial_memory(1, "cpu"))
        with torch.no_grad():
            first, second = model(inputs, memory).logits[:, 1], model(other, 2 * memory).logits[:, 1]
        assert torch.equal(first, second) is not enabled


@pytest.mark.parametrize("backprop", [True, False])
def test_gradient_of_the_last_step_reaches_the_first_through_the_memory(make_model, backprop, random_inputs):
    model = make_model(memory_backprop=backprop)
    inputs = random_inputs(model, 2, 6)
    inputs.state.requires_grad_(True)
    seen = []

    def keep(module, args, output):
        output.pooler_output.retain_grad()
        seen.append(output.pooler_output)

    features = model.vlm.get_image_features

    def recorded(pixels):
        output = features(pixels)
        keep(None, None, output)
        return output

    model.vlm.get_image_features = recorded
    output = model(inputs, model.initial_memory(2, "cpu"))
    F.cross_entropy(output.logits[:, -1].flatten(0, 1), inputs.target[:, -1].flatten()).backward()
    image_gradient = seen[0].grad.unflatten(0, (2, 6, 2))
    assert (inputs.state.grad[:, 0].abs().sum() > 0) == backprop
    assert (image_gradient[:, 0].abs().sum() > 0) == backprop
    assert inputs.state.grad[:, -1].abs().sum() > 0
    assert image_gradient[:, -1].abs().sum() > 0


def test_the_first_loss_is_that_of_guessing(tiny_values, random_inputs):
    config = ModelConfig.from_dict(tiny_values)
    model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
    inputs = random_inputs(model, 2, 2)
    with torch.no_grad():
        logits = model(inputs, model.initial_memory(2, "cpu")).logits
    loss = F.cross_entropy(logits.flatten(0, 2), inputs.target.flatten())
    assert abs(loss.item() - math.log(config.tokenizer.codebook_size)) < 0.1
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained < 3_000_000


def test_padding_has_no_influence(make_model, random_inputs):
    model = make_model().eval()
    inputs = random_inputs(model, 1, 2)
    for name in ("state", "prev_action", "action_history"):
        getattr(inputs, name)[..., 8:] = 0
    with torch.no_grad():
        before = model(inputs, model.initial_memory(1, "cpu")).logits
        model.state_token.weight[:, 8:] += 1
        model.action_token.weight[:, 8:] += 1
        width, pad = model.config.und.width, model.config.state_dim
        model.memory.gru.weight_ih_l0[:, width + 8 : width + pad] += 1
        model.memory.gru.weight_ih_l0[:, width + pad + 8 :] += 1
        after = model(inputs, model.initial_memory(1, "cpu")).logits
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", ["image", "state", "action_history", "token_history", "prev_action"])
def test_every_input_matters(make_model, name, random_inputs):
    model = make_model().eval()
    inputs = random_inputs(model, 1, 1)
    other = replace(inputs, **{name: getattr(random_inputs(model, 1, 1), name)})
    memory = model.initial_memory(1, "cpu")
    with torch.no_grad():
        assert not torch.equal(model(inputs, memory).logits, model(other, memory).logits)


@pytest.mark.parametrize("memory", [None, torch.zeros(2, 3, 12), torch.zeros(1, 2, 12)])
def test_a_memory_that_does_not_fit_is_refused(make_model, memory, random_inputs):
    model = make_model()
    inputs = random_inputs(model, 2, 1)
    with pytest.raises(ValueError, match="memory"):
        model(inputs, memory)
    with pytest.raises(ValueError, match="memory"):
        model.predict(inputs, memory)


def test_training_needs_a_target(make_model, random_inputs):
    model = make_model()
    with pytest.raises(ValueError, match=r"inputs\.target"):
        model(replace(random_inputs(model, 1, 1), target=None), model.initial_memory(1, "cpu"))


def test_training_mode_leaves_the_tokenizer_alone(make_model, random_inputs):
    model = make_model().train()
    assert model.training
    assert not any(module.training for module in model.tokenizer.modules())


def test_prompt_is_spelled_in_bytes_or_by_a_pretrained_tokenizer(tmp_path):
    assert prompt_tokens(PromptConfig("go", None)).tolist() == [2, ord("g") + 3, ord("o") + 3, ord("\n") + 3]
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"go": 5, "[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(tmp_path)
    assert prompt_tokens(PromptConfig("go", str(tmp_path))).tolist() == [5]
    with pytest.raises(ConfigError, match=r"model\.prompt\.tokenizer=.*nothing cannot be had(.|\n)*with null"):
        prompt_tokens(PromptConfig("go", str(tmp_path / "nothing")))


def test_the_model_learns_what_an_action_does(make_model, random_inputs):
    """The next frame's tokens are decided by a_t alone, so a model that is not given it cannot learn them."""
    model = make_model()
    inputs = random_inputs(model, 32, 1, cameras=1)
    inputs.action_history[:] = 0
    inputs.action_history[..., -1, 0] = torch.randint(2, (32, 1)) * 2.0 - 1
    inputs.target[:] = (inputs.action_history[..., -1, :1] > 0).long() * 3 + torch.arange(21)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(60):
        logits = model(inputs, model.initial_memory(32, "cpu")).logits
        loss = F.cross_entropy(logits.flatten(0, 2), inputs.target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3  # knowing all but the action leaves ln 2


def test_dropout_makes_predictions_differ_and_is_off_by_default(make_model, random_inputs):
    model = make_model().eval()
    inputs = random_inputs(model, batch=2, steps=1)
    seen, _ = model.observe(inputs, model.initial_memory(2, "cpu"))
    action, target = inputs.action_history[:, 0], inputs.target[:, 0]
    plain = model.next_frame(seen, action, target)
    assert torch.equal(plain, model.next_frame(seen, action, target))
    assert not torch.equal(model.next_frame(seen, action, target, dropout=0.3), plain)
    whole = model(inputs, model.initial_memory(2, "cpu")).logits[:, 0]
    assert torch.equal(whole, plain)


@BOTH
def test_layers_run_again_give_the_same_gradients(make_model, und_sees_history, random_inputs):
    gradients, inputs = [], random_inputs(make_model(), 2, 2)
    for again in (False, True):
        model = make_model(und_sees_history=und_sees_history, activation_checkpointing=again)
        output = model.train()(inputs, model.initial_memory(2, "cpu"))
        F.cross_entropy(output.logits.flatten(0, 2), inputs.target.flatten()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_layers_that_run_again_keep_less(make_model, random_inputs):
    plain, again = (make_model(activation_checkpointing=on, attention__layers=6) for on in (False, True))
    inputs = random_inputs(plain, 4, 4)
    assert kept_for_the_gradient(again, inputs) < 0.5 * kept_for_the_gradient(plain, inputs)


def test_kept_prefixes_are_those_of_a_new_pass(make_model, random_inputs):
    plain, keeping = make_model().eval(), make_model(prefix_cache=5).eval()
    keeping.vlm.requires_grad_(False)
    inputs = random_inputs(plain, 2, 3)
    memory = plain.initial_memory(2, "cpu")
    with torch.no_grad():
        expected = plain(inputs, memory).logits
    for _ in range(2):
        torch.testing.assert_close(keeping(inputs, memory).logits, expected, atol=1e-5, rtol=1e-5)
    kept = keeping._prefixes
    assert kept.misses == 6 + 1  # one of six had to make room, and was asked for again
    again = steps(inputs, slice(2, 3))
    keeping(again, memory)
    assert kept.misses == 7
    changed = replace(again, image=again.image ^ 1)
    keeping(changed, memory)
    assert kept.misses == 9


def test_prefixes_of_an_expert_that_learns_are_not_kept(make_model, random_inputs):
    model = make_model(prefix_cache=5)
    inputs = random_inputs(model, 2, 3)
    model(inputs, model.initial_memory(2, "cpu")).logits.sum().backward()
    assert model._prefixes.misses == 0
    assert model.vlm.language_model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0
