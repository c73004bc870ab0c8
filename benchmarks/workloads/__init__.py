"""The workloads: one file each, with a function from sizes to cases."""

from collections.abc import Callable, Iterator

from benchmarks._case import Case
from benchmarks.workloads.w1_bimatrix import w1_cases
from benchmarks.workloads.w2_many_players import w2_cases
from benchmarks.workloads.w3_markov import w3_cases
from benchmarks.workloads.w4_large_zero_sum import w4_cases
from benchmarks.workloads.w5_poker import w5_cases
from benchmarks.workloads.w7_symmetric_chain import w7_cases

# Name, and the cases of a workload at a number of games; None stands for the published ones.
WORKLOADS: dict[str, Callable[[int | None], Iterator[Case]]] = {
    "W1": w1_cases,
    "W2": w2_cases,
    "W3": w3_cases,
    "W4": w4_cases,
    "W5": w5_cases,
    "W7": w7_cases,
}
