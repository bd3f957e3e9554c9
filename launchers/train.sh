#!/usr/bin/env bash
# train.sh PHASE [GPUS [ENVS_PER_GPU]] [options]: the command line of the guides, in terms of python -m f1rl.
#
#   bash launchers/train.sh teacher 4 2 --num_episodes 10000
#   bash launchers/train.sh student 1 8 --teacher_path outputs/teacher_rl/checkpoint-5000
#
#   PHASE          teacher, student or adversarial
#   GPUS           training processes, one for each GPU; on a machine without, processes on its CPU   [1]
#                  student and adversarial train in one process, which then has the workers of all
#   ENVS_PER_GPU   environment workers of each training process                                       [1]
#   --auto_resume           go on from the newest checkpoint (resume=auto)
#   --resume PATH           go on from a checkpoint (resume=PATH)
#   --KEY VALUE             phase.KEY=VALUE, e.g. --num_episodes, --batch_size, --learning_rate, --teacher_path,
#                           --teacher_checkpoint, --student_checkpoint
#   group=option key=value  words of python -m f1rl itself
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
    printf 'train.sh: %s\n' "$*" >&2
    exit 2
}

usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

case ${1:-} in
    teacher | student | adversarial) words=("phase=$1") ;;
    -h | --help) usage && exit 0 ;;
    *) die "the first word must be teacher, student or adversarial; got '${1:-}' (train.sh --help)" ;;
esac
shift
numbers=()
while [[ ${#numbers[@]} -lt 2 && ${1:-} =~ ^[0-9]+$ ]]; do
    [ "$1" -gt 0 ] || die "GPUS and ENVS_PER_GPU must be at least 1; got $1"
    numbers+=("$1")
    shift
done
gpus=${numbers[0]:-1} workers=${numbers[1]:-1}
if [[ ${words[0]} != phase=teacher && $gpus -gt 1 ]]; then
    workers=$((gpus * workers)) gpus=1
    printf 'train.sh: %s trains in one process, on one GPU; it gets %d environment workers\n' "${words[0]}" "$workers" >&2
fi
words+=("rollout.num_workers=$workers" "trainer.devices=$gpus")
[ "$gpus" -eq 1 ] || words+=("trainer.strategy=ddp")

while [ $# -gt 0 ]; do
    case $1 in
        --auto_resume) words+=("resume=auto") ;;
        --*)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
                --resume) words+=("resume=$2") ;;
                *) words+=("phase.${1#--}=$2") ;;
            esac
            shift
            ;;
        *=*) words+=("$1") ;;
        *) die "'$1' is neither an option nor a word like key=value (train.sh --help)" ;;
    esac
    shift
done

python=$root/.venv/bin/python
[ -x "$python" ] || python=python
exec "${PYTHON:-$python}" -m f1rl "${words[@]}"
