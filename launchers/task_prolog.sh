#!/bin/sh
# SLURM task prolog: runs in every task before its program; lines "export X=Y" enter the program's environment. The rule
# is that of get_physical_gpu_id in src/f1rl/launch/devices.py: entry (local rank) of CUDA_VISIBLE_DEVICES.
# Use it in scripts of your own with: srun --task-prolog=/absolute/path/launchers/task_prolog.sh ...
rank=${LOCAL_RANK:-${SLURM_LOCALID:-0}}
visible=$(printf '%s' "${CUDA_VISIBLE_DEVICES:-}" | tr ',' '\n' | sed 's/[[:space:]]//g; /^-1$/,$d; /^$/d')
[ -n "$visible" ] || exit 0
case $(printf '%s' "$visible" | tr -d '\n') in
    *[!0-9]*) exit 0 ;; # UUIDs: there is no index to give
esac
count=$(printf '%s\n' "$visible" | wc -l)
device=$(printf '%s\n' "$visible" | sed -n "$((rank % count + 1))p")
device=$(printf '%s' "$device" | sed 's/^0*\([0-9]\)/\1/')
for name in VK_DEVICE_INDEX SAPIEN_DEVICE_INDEX EGL_DEVICE_ID; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || echo "export $name=$device"
done
