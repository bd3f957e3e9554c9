"""Check of the batch system."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from f1rl.tools.doctor.child import CommandError, output_of
from f1rl.tools.doctor.result import Result, none, ok, warn

QUESTIONS = {
    "sbatch": ["sbatch", "--version"],
    "scontrol": ["scontrol", "ping"],
    "sinfo": ["sinfo", "--noheader", "--format=%R (%D)"],
}
"""What each command is asked; only the last two ask the controller."""
OPERATORS = "tell the cluster's operators; SLURM_CONF names the configuration that was used, if it is set"


def slurm(deadline: float = 10.0) -> Result:
    """Find SLURM's commands and ask its controller, which has ``deadline`` seconds for each answer."""
    missing = [name for name in QUESTIONS if shutil.which(name) is None]
    if len(missing) == len(QUESTIONS):
        return none("SLURM", "not installed; runs start on this machine")
    if missing:
        return warn("SLURM", f"{' and '.join(missing)} not found", "install slurm-client, or correct PATH")
    answers = {}
    for name, question in QUESTIONS.items():
        try:
            answers[name] = output_of(question, deadline)
        except CommandError as error:
            return warn("SLURM", f"{' '.join(question)} {error}", OPERATORS)
    version, partitions = answers["sbatch"], ", ".join(answers["sinfo"].splitlines())
    if " UP" not in answers["scontrol"]:
        return warn("SLURM", f"{version}: {answers['scontrol']}", OPERATORS)
    if find_spec("submitit") is None:
        return warn("SLURM", f"{version}, but submitit is not installed", "pip install -e '.[slurm]'")
    return ok("SLURM", f"{version}; partitions (nodes): {partitions}")
