"""PyTorch's caching allocator on the sizes and bursts of benches/benches/allocate_free_card.rs, in the same columns."""

import sys
import time

import torch

BURST = 32
SIZES = {
    "4 KiB": [4 << 10],
    "64 KiB": [64 << 10],
    "1 MiB": [1 << 20],
    "16 MiB": [16 << 20],
    "mixed": [9_216, 37_888, 151_552, 602_112, 1_310_720, 4_816_896, 11_010_048, 22_020_096],
}


def burst(sizes, allocate, free):
    begun = time.perf_counter_ns()
    buffers = []
    for turn in range(BURST):
        call = time.perf_counter_ns()
        # The allocator itself: a tensor's own construction is left out.
        buffers.append(torch.cuda.caching_allocator_alloc(sizes[turn % len(sizes)]))
        allocate.append(time.perf_counter_ns() - call)
    for turn in range(BURST):
        call = time.perf_counter_ns()
        torch.cuda.caching_allocator_delete(buffers[turn * 13 % BURST])
        free.append(time.perf_counter_ns() - call)
    torch.cuda.synchronize()
    return time.perf_counter_ns() - begun


def main():
    rounds = int(sys.argv[1])
    print("contender,sizes,ns a pair,allocate p50,p99,p99.9,free p50,p99,p99.9")
    for name, sizes in SIZES.items():
        burst(sizes, [], [])
        allocate, free = [], []
        total = sum(burst(sizes, allocate, free) for _ in range(rounds))
        figures = [total // len(allocate)]
        for calls in (sorted(allocate), sorted(free)):
            figures += [calls[int((len(calls) - 1) * share)] for share in (0.5, 0.99, 0.999)]
        print(",".join(["PyTorch (Python call included)", name, *map(str, figures)]))


main()
