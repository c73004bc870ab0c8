#!/bin/sh
# Runs one command as one of several processes that compute together, each with the devices of its machine.
#
#   HOSTS=2 HOST=0 FIRST=10.0.0.1:8476 sh launch.sh COMMAND ...     on the first machine
#   HOSTS=2 HOST=1 FIRST=10.0.0.1:8476 sh launch.sh COMMAND ...     on the second
#
# FIRST is an address of the first machine that all can reach, with a free port. Under Slurm one line does it on all:
#
#   srun --ntasks-per-node=1 sh launch.sh COMMAND ...
set -eu
if [ -n "${SLURM_PROCID:-}" ]; then
    HOSTS=$SLURM_NTASKS HOST=$SLURM_PROCID FIRST=${FIRST:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):8476}
fi
export HQRE_COORDINATOR="${FIRST:?HOST:PORT of the first machine}"
export HQRE_PROCESSES="${HOSTS:?number of machines}" HQRE_PROCESS="${HOST:?which one this is, from 0}"
exec "$@"
