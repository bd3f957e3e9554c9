"""The tables of a held-out evaluation."""

from __future__ import annotations

from pathlib import Path

import wandb

from f1rl.views.news import MediaFile
from f1rl.views.tables import BESIDE_CHANCE, SAMPLES, SCORES, chance_rows, newest_samples, score_rows
from f1rl.views.wandb_tables import EvaluationTables
from records_support import add_media


def test_everybody_who_predicts_has_a_line_at_every_scale() -> None:
    row = {
        "eval/loss": 3.0,
        "eval/accuracy": 0.5,
        "eval/psnr": 20.0,
        "eval/loss_scale_1": 1.0,
        "eval/loss_scale_16": 4.0,
    }
    row |= {"eval/accuracy_scale_1": 0.75, "eval/copy_last_loss": 5.0, "eval/copy_last_loss_scale_16": 6.0}
    row |= {"eval/psnr_copy_last": 18.0, "eval/psnr_tokenizer": 25.0, "eval/number": 1, "env_step": 10}
    assert score_rows(row) == [
        ["all", "world model", 3.0, 0.5, 20.0],
        ["all", "copy last frame", 5.0, None, 18.0],
        ["all", "tokenizer", None, None, 25.0],
        ["1", "world model", 1.0, 0.75, None],
        ["16", "world model", 4.0, None, None],
        ["16", "copy last frame", 6.0, None, None],
    ]
    assert score_rows({"eval/loss": 1.0, "eval/accuracy": 0.5, "eval/number": 1}) == []  # nobody to compare with


def test_an_explorer_stands_beside_chance() -> None:
    row = {"eval/reward": 1.0, "eval/random_policy_reward": 0.5, "eval/loss": 4.0, "eval/random_policy_loss": 3.0}
    assert chance_rows(row) == [["reward", 1.0, 0.5], ["loss", 4.0, 3.0]]
    assert chance_rows({"eval/loss": 4.0}) == []


def test_the_newest_pictures_are_shown() -> None:
    files = [MediaFile("media/sample", Path(f"{n}.png"), {"episode": n}) for n in range(9)]
    assert [file.clocks["episode"] for file in newest_samples(files, 5)] == [2, 3, 4, 5]


def test_pictures_are_logged_with_the_evaluation_that_they_belong_to(tmp_path: Path) -> None:
    add_media(tmp_path)
    picture = tmp_path / "samples" / "episode_0010_pred_vs_gt.png"

    def sample(episode: int) -> MediaFile:
        return MediaFile("media/sample", picture, {"episode": episode, "env_step": 10 * episode, "segment": 0})

    def evaluation(number: int) -> dict[str, float]:
        clocks = {"episode": 10 * number, "env_step": 100 * number, "segment": 0}
        return {**clocks, "eval/number": number, "eval/loss": 3.0, "eval/unigram_loss": 5.0}

    tables = EvaluationTables(wandb)
    assert tables.scores({"episode": 1, "train/avg_loss": 2.0}) == {}
    assert tables.scores(evaluation(1))[SCORES].data == [
        ["all", "world model", 3.0, None, None],
        ["all", "unigram", 5.0, None, None],
    ]
    explorer = {**evaluation(1), "eval/random_policy_loss": 4.0}
    assert tables.scores(explorer)[BESIDE_CHANCE].data == [["loss", 3.0, 4.0]]
    assert list(tables.pictures([evaluation(1)], [sample(8)], last=False)) == []  # that of episode 10 may still come
    (row,) = tables.pictures([], [sample(10)], last=False)
    assert (row["eval/number"], row["env_step"], [line[0] for line in row[SAMPLES].data]) == (1, 100, [8, 10])
    assert list(tables.pictures([], [sample(12)], last=False)) == []
    assert list(tables.pictures([evaluation(2)], [], last=False)) == []
    rows = list(tables.pictures([evaluation(3)], [sample(25)], last=True))
    assert [(row["eval/number"], len(row[SAMPLES].data)) for row in rows] == [(2, 3), (3, 4)]
    assert list(tables.pictures([], [], last=True)) == []
