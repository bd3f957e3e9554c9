"""Studies of Optuna that several searches share."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from f1rl.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_TRIES, _PAUSE = 20, 0.25  # seconds


def is_search(parsed: Iterable[Override]) -> bool:
    """Return whether the words of a sweep choose a sweeper that waits for results before it chooses again."""
    sweepers = [str(word.value()) for word in parsed if word.key_or_group == "hydra/sweeper"]
    return bool(sweepers) and sweepers[-1] != "basic"


def prepare_storage(parsed: Iterable[Override]) -> None:
    """Make the tables of the storage that a search names, if it does.

    Searches that begin at the same moment all want to make them, which Optuna takes for an error in all but one.

    Args:
        parsed: the words of a sweep.

    Raises:
        ConfigError: the storage cannot be used.
    """
    given = [word.value() for word in parsed if word.key_or_group == "hydra.sweeper.storage"]
    if not given or not isinstance(given[-1], str):
        return
    from optuna.storages import get_storage
    from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

    for tries_left in reversed(range(_TRIES)):
        try:
            get_storage(given[-1])
        except (SQLAlchemyError, ImportError, ValueError) as error:
            may_be_another = isinstance(error, IntegrityError | OperationalError)
            if not (may_be_another and tries_left):
                first = str(error).partition("\n")[0]
                raise ConfigError(f"hydra.sweeper.storage={given[-1]} cannot be used: {first}") from error
            time.sleep(_PAUSE)
        else:
            return
