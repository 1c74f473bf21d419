"""Read a GPU's machine code (SASS): what its loops hold, and how long a warp alone takes for one.

The model runs one warp through a loop, instruction by instruction in order, as the control bits
beside each instruction ask (stall counts, and barriers that loads and special functions report to),
with published latencies. It knows no other warps, caches or bank conflicts: it finds what a step
waits for, and says nothing of how many steps a full GPU takes in a second.
Source of the latencies: Luo et al., arXiv 2402.13499 (Hopper); of the control bits: Jia et al.,
arXiv 1804.06826, Section 2, which hold from Volta to Blackwell.
"""

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

LATENCIES = {"MUFU": 18, "SHFL": 23, "LDS": 29, "LDSM": 33, "STS": 20, "BAR": 20, "LDC": 30}
ELSEWHERE = 14  # of other instructions that report to a barrier: conversions, 64-bit integers
L2, DRAM = 263, 479  # of a load from global memory
READ = 12  # until an instruction has read its operands
# Cycles until the unit of a quarter of a multiprocessor takes the next instruction of a warp.
INTERVALS = {"MUFU": 8, "I2F": 8, "F2I": 8, "F2F": 8, "LDG": 2, "STG": 2, "LDS": 2, "STS": 2}
INTERVALS |= {"SHFL": 2, "LDL": 2, "STL": 2}

LINE = re.compile(r"/\*([0-9a-f]+)\*/\s+(.*?);\s+/\* 0x([0-9a-f]{16}) \*/")
SECOND = re.compile(r"^\s+/\* 0x([0-9a-f]{16}) \*/")
LABEL = re.compile(r"^(\.L_x_\d+):")


@dataclass(frozen=True)
class Instruction:
    """One instruction and its control bits."""

    address: int
    text: str
    control: int

    @property
    def name(self) -> str:
        """What it does, with its suffixes: LDG.E.128."""
        words = self.text.split()
        return words[1] if words[0].startswith("@") else words[0]

    @property
    def kind(self) -> str:
        """The same without them: LDG."""
        return self.name.split(".")[0]

    @property
    def stall(self) -> int:
        """Cycles until the next instruction of the warp may issue."""
        return max(self.control & 15, 1)

    @property
    def reports(self) -> int:
        """The barrier that is released when the result is there; 7 is none."""
        return self.control >> 5 & 7

    @property
    def reads(self) -> int:
        """The barrier that is released when the operands were read; 7 is none."""
        return self.control >> 8 & 7

    @property
    def waits(self) -> list[int]:
        """The barriers that have to be released first."""
        return [barrier for barrier in range(6) if self.control >> 11 >> barrier & 1]


@dataclass
class Loop:
    """The instructions of an innermost loop."""

    body: list[Instruction]
    counts: Counter = field(init=False)

    def __post_init__(self) -> None:
        self.counts = Counter(instruction.kind for instruction in self.body)
        self.counts["EX2"] = sum(i.name == "MUFU.EX2" for i in self.body)

    def cycles(self, load: int = L2, times: int = 8) -> float:
        """Cycles of one iteration for a warp alone, when each load takes ``load`` cycles."""
        clock, waiting, free, ends = 0, {b: [0] for b in range(6)}, Counter(), []
        for _ in range(times):
            for instruction in self.body:
                kind = instruction.kind
                for barrier in instruction.waits:
                    clock = max(clock, *waiting[barrier])
                if kind == "DEPBAR" and (found := re.search(r"SB(\d), (\w+)", instruction.text)):
                    barrier, left = int(found[1]), int(found[2], 0)
                    clock = max(clock, *sorted(waiting[barrier])[: -left or None])
                clock = max(clock, free[kind])
                free[kind] = clock + INTERVALS.get(kind, 1)
                latency = load if kind in ("LDG", "LDL") else LATENCIES.get(kind, ELSEWHERE)
                for barrier, after in ((instruction.reports, latency), (instruction.reads, READ)):
                    if barrier < 6:
                        waiting[barrier] = [t for t in waiting[barrier] if t > clock] or [0]
                        waiting[barrier].append(clock + after)
                clock += instruction.stall
                if kind == "BAR":
                    clock += LATENCIES["BAR"]
            ends.append(clock)
        half = times // 2
        return (ends[-1] - ends[half - 1]) / (times - half)


@dataclass(frozen=True)
class Code:
    """What a compiled kernel is made of."""

    registers: int
    stack: int  # bytes a thread; above 0, registers are spilled
    shared: int  # bytes a block
    instructions: list[Instruction]
    loops: list[Loop]


def read(cubin: bytes) -> Code:
    """Take a compiled kernel apart, by the tools that come with Triton."""
    import triton

    tools = Path(triton.__file__).parent / "backends/nvidia/bin"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        usage = _run(tools / "cuobjdump", "--dump-resource-usage", file)
        listing = _run(tools / "nvdisasm", "-c", "-hex", file)
    registers, stack, shared = (
        int(re.findall(rf"{name}:(\d+)", usage)[-1]) for name in ("REG", "STACK", "SHARED")
    )
    instructions, labels = _parse(listing)
    return Code(registers, stack, shared, instructions, _loops(instructions, labels))


def _run(*command) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _parse(listing: str) -> tuple[list[Instruction], dict[str, int]]:
    """All instructions, and the number of the one behind each label."""
    instructions, labels, first = [], {}, None
    for line in listing.splitlines():
        if label := LABEL.match(line):
            labels[label[1]] = len(instructions)
        elif found := LINE.search(line):
            first = int(found[1], 16), found[2].strip()
        elif (second := SECOND.match(line)) and first:
            control = int(second[1], 16) >> 41 & (1 << 21) - 1
            instructions.append(Instruction(*first, control))
            first = None
    return instructions, labels


def _loops(instructions: list[Instruction], labels: dict[str, int]) -> list[Loop]:
    """Loops without a loop in them, in the order of the code."""
    ranges = set()
    for at, instruction in enumerate(instructions):
        target = re.search(r"\((\.L_x_\d+)\)", instruction.text)
        if instruction.kind == "BRA" and target and labels[target[1]] < at:
            ranges.add((labels[target[1]], at))
    inner = [
        (first, last)
        for first, last in sorted(ranges)
        if not any(first <= f and b <= last and (f, b) != (first, last) for f, b in ranges)
    ]
    return [Loop(instructions[first : last + 1]) for first, last in inner]
