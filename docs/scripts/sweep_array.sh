#!/bin/sh
# A share of a sweep for each task of a Slurm array: sbatch sweep_array.sh CONFIG.toml DIR
# Tasks wait for nobody. One that is killed is queued again, and does what is missing of its share.
#SBATCH --array=0-9
#SBATCH --cpus-per-task=2
#SBATCH --requeue
set -eu
exec hqre sweep "$1" --out "$2" --process-id "${SLURM_ARRAY_TASK_ID:?is set by sbatch: sbatch $0 CONFIG.toml DIR}" \
    --num-processes "$SLURM_ARRAY_TASK_COUNT"
