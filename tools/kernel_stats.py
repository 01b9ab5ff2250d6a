"""What AMD's compiler makes of the kernels of weight formats, as CSV: exact figures that need no GPU.

usage: kernel_stats.py --tool KERNEL_STATS --mesa DIR [--pronk PATH] [--preset NAME] [--families A,B] [--candidates A,B] TYPE... > bench/kernels.csv
  --tool   the program kernel-stats, which takes WGSL through Tint and Mesa; its work folder gives SPIR-V and radv-stats
  --mesa   Mesa as the tool's own notes say
  --candidates  besides the default ones
  --time   instead of all that: instructions of every kernel of the models and the milliseconds of CPU time that the driver takes
           to compile it, the median of five times ten, with no cache; at last the mean. The machine has to be idle
  TYPE     formats that `pronk synth` writes, such as Q4_0; of each a model of the preset is made and removed again; or a GGUF
           file, for a format that it does not write

vector_a_weight: vector instructions of a matvec's innermost loop for each weight. loop_fma: v_fma_*, v_fmac_* and v_fma_mix*
are one FMA, v_pk_fma_* are two. fma_share: FMAs among the vector instructions of a GEMM's main loop, all of a step over k, where
a packed FMA counts as the two instructions whose work it does. issue_share: the same where it counts as one instruction. waves:
subgroups a SIMD, as the driver says.
"""
import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent


def stats_environment(mesa, family):
    script = f'RADV_FORCE_FAMILY={family}; . {mesa}/env-radv; env -0'
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    pairs = dict(line.split("=", 1) for line in run.stdout.split("\0") if "=" in line)
    return pairs | {"ENTRY": "dawn_entry_point", "RADV_DEBUG": "asm,nocache"}


def loops_of(assembly):
    """The mnemonics of each loop, a branch back to an earlier block; the one with most FMAs, then the smallest around it.
    For a processor that its disassembler does not know Mesa prints the instructions as ACO has them, "results = mnemonic"."""
    names, blocks, loops = [], {}, []
    for line in assembly.splitlines():
        if label := re.match(r"(BB\d+):?$", line):
            blocks[label[1]] = len(names)
        elif code := re.match(r"\s+(?:.* = )?([a-z]\w+)(.*)", line):
            names.append(code[1])
            names += re.findall(r":: (v_dual_\w+)", code[2])
            target = re.search(r"\bBB\d+\b", code[2])
            if code[1].startswith(("s_cbranch", "s_branch")) and target and target[0] in blocks:
                loops.append((blocks[target[0]], len(names)))
    inner = [l for l in loops if not any(o != l and l[0] <= o[0] and o[1] <= l[1] for o in loops)]
    if not inner:
        return [], []
    best = max(inner, key=lambda l: fmas(names[l[0]:l[1]]))
    around = [l for l in loops if l != best and l[0] <= best[0] and best[1] <= l[1]]
    outer = min(around, key=lambda l: l[1] - l[0], default=best)
    return names[best[0]:best[1]], names[outer[0]:outer[1]]


def count(names, *prefixes):
    return sum(n.startswith(prefixes) for n in names)


def packed(names):
    return count(names, "v_pk_fma")


def fmas(names):
    return sum("fma" in n for n in names) + packed(names)


def row_of(kernel, output):
    found = re.findall(r" (VGPRs|LDS size|Subgroups per SIMD|Instructions)=(\d+)", output)
    stat = dict(reversed(found))  # the first of each: later ones are of spills and of before scheduling
    inner, outer = loops_of(output)
    if not inner:
        return [stat["VGPRs"], stat["LDS size"], stat["Subgroups per SIMD"], stat["Instructions"], *7 * [""]]
    vector, fma = count(inner, "v_"), fmas(inner)
    row = [stat["VGPRs"], stat["LDS size"], stat["Subgroups per SIMD"], stat["Instructions"], vector, fma,
           count(inner, "ds_load", "ds_read"), count(inner, "buffer_load", "global_load"), "", "", ""]
    constant = {name: int(value) for name, value in re.findall(r"([A-Z]+(?:_[A-Z]+)?)=(\d+)", kernel)}
    if kernel.startswith("matvec"):
        row[8] = f"{vector / (32 * constant['ROWS'] * (2 if 'GATED' in kernel else 1)):.2f}"
    if kernel.startswith("gemm_TILE"):
        steps = 64 * constant["TILE_K"] // max(fma, 1)  # a thread makes 8 × 8 sums
        instructions, twice = count(outer, "v_") + (steps - 1) * vector, steps * packed(inner)
        row[9:] = [f"{steps * fma / (instructions + twice):.3f}", f"{(steps * fma - twice) / instructions:.3f}"]
    return row


def compile_milliseconds(program, spirv, environment):
    """A process that compiles a kernel eleven times takes so much longer than one that does it once."""
    def cpu_seconds(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([program, *times * [spirv]], check=True, capture_output=True, env=environment | {"RADV_DEBUG": "nocache"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return statistics.median(100 * (cpu_seconds(11) - cpu_seconds(1)) for _ in range(5))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--mesa", required=True)
    parser.add_argument("--pronk", default=str(root / "build/native/pronk"))
    parser.add_argument("--preset", default="qwen3-0.6b")
    parser.add_argument("--families", default="navi21,navi31,gfx1201,phoenix")
    parser.add_argument("--candidates", default="16x4x32+int8,8x8x32+int8,64x128+f16")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("types", nargs="+")
    arguments = parser.parse_args()
    print("family,kernel,instructions,compile_ms" if arguments.time else
          "family,kernel,vgprs,lds_bytes,waves,instructions,loop_vector,loop_fma,loop_lds_loads,loop_loads,"
          "vector_a_weight,fma_share,issue_share")
    with tempfile.TemporaryDirectory() as folder:
        dump, work, model = Path(folder, "wgsl"), Path(folder, "work"), Path(folder, "model.gguf")
        dump.mkdir()
        for name in arguments.types:
            quiet = {"check": True, "stdout": subprocess.DEVNULL}
            given = Path(name).resolve() if name.endswith(".gguf") else None
            if not given:
                subprocess.run([arguments.pronk, "synth", "--preset", arguments.preset, "--type", name, "--out", model], **quiet)
            dumping = [arguments.pronk, "kernels", "--dump", dump, "-m", given or model]
            subprocess.run(dumping, **quiet)
            for candidate in [] if arguments.time else arguments.candidates.split(","):  # a format need not have it
                subprocess.run([*dumping, "--candidate", candidate], **quiet | {"check": False, "stderr": subprocess.DEVNULL})
        kernels = [k for name in (["*"] if arguments.time else ["matvec*", "gemm*", "attention*"]) for k in sorted(dump.glob(name))]
        command = [arguments.tool, "--mesa", arguments.mesa, "--work", work, *kernels]
        subprocess.run(command, check=True, cwd=root / "web", stdout=subprocess.DEVNULL)
        for family in arguments.families.split(","):
            environment = os.environ | stats_environment(arguments.mesa, family)
            times = []
            for kernel in kernels:
                program, spirv = work / "radv-stats", work / f"{kernel.stem}.spv"
                run = subprocess.run([program, spirv], capture_output=True, text=True, env=environment)
                row = row_of(kernel.stem, run.stdout + run.stderr)
                if arguments.time:
                    times.append(compile_milliseconds(program, spirv, environment))
                    row = [row[3], f"{times[-1]:.1f}"]
                print(family, kernel.stem, *row, sep=",")
            if arguments.time:
                print(family, "mean", "", f"{statistics.mean(times):.2f}", sep=",")


if __name__ == "__main__":
    sys.exit(main())
