from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from f1rl.models.config import ModelConfig
from f1rl.models.tokenizer import FrameTokenizer, normalise_images
from f1rl.models.tokenizer_training import fit_tokenizer, start_tokenizer, tokenizer_metrics


@pytest.fixture
def tokenizer(small_values) -> FrameTokenizer:
    return FrameTokenizer(ModelConfig.from_dict(small_values).tokenizer).eval()


def textured(count: int, size: int = 32) -> torch.Tensor:
    """Smooth random pictures: coarse noise, up-sampled."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(count, 3, 5, 5, generator=generator)
    return (F.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def ignore(step: int, metrics: dict[str, float]) -> None:
    assert metrics["loss"] >= 0


def test_shapes_and_types(tokenizer):
    images = textured(3)
    tokens = tokenizer.encode(images)
    assert tokens.shape == (3, tokenizer.num_tokens)
    assert tokens.dtype == torch.int64
    decoded = tokenizer.decode(tokens)
    assert decoded.shape == images.shape
    assert decoded.dtype == torch.uint8


def test_pictures_are_normalised_exactly_once(tokenizer):
    black_white = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 32, 32)
    scaled = normalise_images(black_white, 32)
    assert scaled[0].unique().tolist() == [-1.0]
    assert scaled[1].unique().tolist() == [1.0]
    with pytest.raises(ValueError, match="uint8"):
        tokenizer.encode(scaled)
    assert normalise_images(black_white, 16).shape == (2, 3, 16, 16)


def test_tokens_do_not_depend_on_the_batch(tokenizer):
    images = textured(32)
    start_tokenizer(tokenizer, images)
    together = tokenizer.encode(images)
    one_by_one = torch.cat([tokenizer.encode(image[None]) for image in images])
    # Sums in another order may flip a token whose two nearest codes are equally near.
    assert (together == one_by_one).float().mean() > 0.999


def test_scale_inputs_are_those_of_partial_generation(tokenizer):
    tokens = tokenizer.encode(textured(5))
    whole = tokenizer.scale_inputs(tokens)
    assert whole.shape == (5, tokenizer.num_tokens - 1, tokenizer.config.codebook_dim)
    begin = 1
    for side in tokenizer.scales[1:]:
        torch.testing.assert_close(tokenizer.next_scale_input(tokens[:, :begin]), whole[:, begin - 1 :][:, : side**2])
        begin += side**2


def test_scale_inputs_do_not_know_what_is_predicted_from_them(tokenizer):
    tokens = tokenizer.encode(textured(1))
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % tokenizer.codebook_size  # the finest scale, 1 + 4 tokens in
    assert torch.equal(tokenizer.scale_inputs(tokens), tokenizer.scale_inputs(changed))
    changed[:, 1:5] = (changed[:, 1:5] + 1) % tokenizer.codebook_size
    first, second = tokenizer.scale_inputs(tokens), tokenizer.scale_inputs(changed)
    assert torch.equal(first[:, :4], second[:, :4])
    assert not torch.equal(first[:, 4:], second[:, 4:])


def test_a_single_scale_has_no_inputs(small_values):
    small_values["tokenizer"] |= {"image_size": 8, "scales": [1]}
    small_values["gen"]["history_side"] = 1
    tokenizer = FrameTokenizer(ModelConfig.from_dict(small_values).tokenizer)
    assert tokenizer.scale_inputs(torch.zeros(2, 1, dtype=torch.long)).shape == (2, 0, 8)


def test_fitting_improves_on_its_start_and_uses_the_codebook(tokenizer):
    images = textured(256)
    start_tokenizer(tokenizer, images)
    before = tokenizer_metrics(tokenizer, images)["psnr"]
    metrics = fit_tokenizer(tokenizer, images, steps=60, batch_size=32, lr=2e-3, seed=0, on_step=ignore)
    assert metrics["psnr"] > before + 0.5
    assert metrics["used_codes"] > tokenizer.codebook_size // 2
    assert metrics["perplexity"] > tokenizer.codebook_size / 4
    assert not tokenizer.training


def test_fitting_repeats_itself_and_leaves_the_global_seed_alone(small_values):
    def run() -> dict:
        torch.manual_seed(5)
        tokenizer = FrameTokenizer(ModelConfig.from_dict(small_values).tokenizer)
        state = torch.get_rng_state()
        fit_tokenizer(tokenizer, textured(64), steps=5, batch_size=8, lr=1e-3, seed=7, on_step=ignore)
        assert torch.equal(state, torch.get_rng_state())
        return tokenizer.state_dict()

    first, second = run(), run()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_callback_may_stop_the_fit(tokenizer):
    seen = []

    def stop(step: int, metrics: dict[str, float]) -> None:
        seen.append(step)
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_tokenizer(tokenizer, textured(8), steps=50, batch_size=4, lr=1e-3, seed=0, on_step=stop)
    assert seen == [0, 1, 2]


def test_nothing_to_fit_is_an_error(tokenizer):
    with pytest.raises(ValueError, match="0 pictures"):
        fit_tokenizer(tokenizer, textured(8)[:0], steps=5, batch_size=4, lr=1e-3, seed=0, on_step=ignore)


def test_every_weight_is_trained(tokenizer):
    output = tokenizer.train()(textured(4))
    torch.stack(list(output.losses.values())).sum().backward()
    missing = [name for name, p in tokenizer.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
