"""Runs cmake/embed_wgsl.py (its path is the argument) on small files and looks at what it writes."""
import subprocess
import sys
import tempfile
from pathlib import Path


def embed(files):
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder)
        for name, text in files.items():
            (src / name).parent.mkdir(parents=True, exist_ok=True)
            (src / name).write_text(text)
        run = subprocess.run([sys.executable, sys.argv[1], folder, str(src / "out.cpp"), *(str(src / n) for n in files)],
                             capture_output=True, text=True, timeout=60)
        return run, (src / "out.cpp").read_text() if run.returncode == 0 else ""


run, out = embed({"kernels/b/two.wgsl": "  fn f() { // why\n\n    /* a /* nested */ b\n */ return; }\n",
                  "formats/q.wgsl": "const a = 6 / 2; // half\n// only a comment\n"})
assert run.returncode == 0, run.stderr
assert 'R"wgsl(fn f() {\nreturn; }\n)wgsl"' in out, out
assert 'R"wgsl(const a = 6 / 2;\n)wgsl"' in out, out
assert out.index('"b/two"') < out.index('"formats/q"'), out

run, _ = embed({"kernels/open.wgsl": "fn f() { /* no end }"})
assert run.returncode != 0 and "does not end" in run.stderr, run.stderr
print("ok")
