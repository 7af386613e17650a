#!/usr/bin/env python3
"""Makes a mix in which the engines interleave out of one in which they take turns.

    interleave.py INPUT.csv.zst OUTPUT.csv.zst KIND SEED ACCESSES

The recorded mix runs one engine's step after the other's. Here each engine's own events stay in their order, and the engines
meet in another way, drawn from SEED, until ACCESSES weights were read or an engine has no events left:

    fine     one to four reads at a time, each engine at a speed of its own
    bursts   as fine, but each engine is at work for a while and idle for a while, both at random
    steps    whole steps of the engines that are at work, at random
    turns    whole steps of the engines that are at work, one after the other

All weights are known from the start; one engine's later installations are its first. Needs the program `zstd`.
"""
import random
import subprocess
import sys


def streams(lines):
    """Weights, and each engine's events with the places where its steps end."""
    first, same, known, events, ends, owner, last = {}, {}, [], {}, {}, {}, None
    for line in lines:
        _, thread, op, name, size, stream, tag = line.rstrip("\n").split(",", 6)
        if op == "load":
            same[name] = first.setdefault((thread, tag, size), name)
        if op in ("load", "share"):
            known.append((thread, op, same[name], size, stream, tag))
        elif op in ("alloc", "free", "access"):
            thread = owner.setdefault(name, thread) if op != "access" else thread
            own = events.setdefault(thread, [])
            if last not in (None, thread):
                ends.setdefault(last, set()).add(len(events[last]) - 1)
            last = thread
            own.append((thread, op, same.get(name, name) if op == "access" else name, size, stream, tag))
    return list(dict.fromkeys(known)), events, ends


class Engine:
    """One engine's events, and when it is at work."""

    def __init__(self, events, ends, rng):
        self.events, self.ends, self.at = events, ends, 0
        self.speed = 0.3 + 2 * rng.random()
        self.burst, self.idle = 500 + 6000 * rng.random(), 1500 + 25000 * rng.random()
        self.working, self.left = rng.random() < 0.5, 0.0
        self.left = rng.expovariate(1 / (self.burst if self.working else self.idle))

    def run(self, reads, whole_step):
        """The next events: a step, or some reads and what lies between them."""
        while self.at < len(self.events) and reads > 0:
            event, ends = self.events[self.at], self.at in self.ends
            self.at += 1
            yield event
            reads -= ends if whole_step else event[1] == "access"


def interleave(engines, kind, rng, accesses):
    now, turn = 0, 0
    while now < accesses and all(engine.at < len(engine.events) for engine in engines):
        for engine in engines:
            if not engine.working and engine.left <= now:
                engine.working, engine.left = True, rng.expovariate(1 / engine.burst)
        working = [engine for engine in engines if engine.working or kind == "fine"]
        if not working:
            soonest = min(engines, key=lambda engine: engine.left)
            soonest.working, soonest.left = True, rng.expovariate(1 / soonest.burst)
            continue
        turn += 1
        engine = working[turn % len(working)] if kind == "turns" else rng.choices(working, [e.speed for e in working])[0]
        before = now
        for event in engine.run(1 if kind in ("steps", "turns") else rng.randint(1, 4), kind in ("steps", "turns")):
            now += event[1] == "access"
            yield event
        engine.left -= now - before if engine.working else 0
        if engine.working and engine.left <= 0:
            engine.working, engine.left = False, now + rng.expovariate(1 / engine.idle)


def main():
    source, target, kind, seed, accesses = sys.argv[1:]
    text = subprocess.run(["zstd", "-qdc", source], check=True, capture_output=True, text=True).stdout
    lines = text.splitlines(keepends=True)
    heads = [line for line in lines if line.startswith("#")]
    known, events, ends = streams(line for line in lines if line[0] not in "#t")
    rng = random.Random(f"{kind} {seed}")
    engines = [Engine(events[thread], ends.get(thread, set()), rng) for thread in sorted(events)]
    out = [*heads, f"# interleaved: {kind} {seed} {accesses} (tests/traces/interleave.py)\n"]
    out.append("t_us,thread,op,id,bytes,stream,tag\n")
    out += [",".join(("0", *event)) + "\n" for event in known]
    out += [f"{time},{','.join(event)}\n" for time, event in enumerate(interleave(engines, kind, rng, int(accesses)), 1)]
    subprocess.run(["zstd", "-q", "-f", "--ultra", "-22", "-o", target], check=True, input="".join(out), text=True)


if __name__ == "__main__":
    main()
