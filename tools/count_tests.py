"""Counts tests in what a runner left behind; prints "PASSED FAILED SKIPPED", then why tests were skipped, a reason a line.

usage: count_tests.py ctest JUNIT_XML GTEST_RESULTS_FOLDER    each suite's tests where GoogleTest wrote its results,
                                                              else the ctest entry itself (a crash, a timeout)
       count_tests.py vitest LOG                              sums the "Tests  1 failed | 9 passed" lines; reasons are
                                                              lines "skipped: REASON" that tests print, and the notes
                                                              that the verbose reporter shows: "↓ a test [REASON]"
       count_tests.py node LOG                                the "# pass 9" lines of node --test in TAP
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

unknown = "no reason given"


# GoogleTest's message is the place in the source, then the reason.
def gtest_reason(element):
    lines = [line.strip() for line in (element.get("message") or "").splitlines()[1:] if line.strip()]
    return lines[0] if lines else unknown


def count_gtest(path):
    totals, reasons = [0, 0, 0], []
    for test in ElementTree.parse(path).getroot().iter("testcase"):
        if test.find("failure") is not None:
            totals[1] += 1
        elif test.get("result") == "completed":
            totals[0] += 1
        elif test.get("result") == "skipped":
            totals[2] += 1
            reasons += [gtest_reason(element) for element in test.findall("skipped")] or [unknown]
    return totals, reasons


def count_ctest(junit, results):
    totals, reasons = [0, 0, 0], []
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        status, path = case.get("status"), Path(results) / (case.get("name").replace("/", "_") + ".xml")
        found, why = count_gtest(path) if path.exists() else ([0, 0, 0], [])
        if status == "run" and not path.exists():
            found = [1, 0, 0]
        elif status != "run" and found[1] == 0:
            found[1] = 1
        totals = [total + part for total, part in zip(totals, found)]
        reasons += why
    return totals, reasons


def count_vitest(log):
    text = re.sub(r"\x1b\[[0-9;]*m", "", Path(log).read_text(encoding="utf-8", errors="replace"))
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for line in re.findall(r"^\s*Tests\s+(.*)$", text, re.MULTILINE):
        for number, word in re.findall(r"(\d+) (passed|failed|skipped)", line):
            totals[word] += int(number)
    notes = re.findall(r"^\s*↓ .*\[([^\]]+)\]$", text, re.MULTILINE)
    printed = re.findall(r"^skipped: (.+)$", text, re.MULTILINE)
    reasons = notes + printed if totals["skipped"] else []
    return list(totals.values()), reasons or [unknown] * (totals["skipped"] > 0)


def count_node(log):
    text = Path(log).read_text(encoding="utf-8", errors="replace")
    totals = [sum(map(int, re.findall(rf"^# {word} (\d+)$", text, re.MULTILINE))) for word in ("pass", "fail", "skipped")]
    reasons = [reason or unknown for reason in re.findall(r"^\s*ok .* # SKIP *(.*)$", text, re.MULTILINE)]
    return totals, reasons


counters = {"ctest": count_ctest, "vitest": count_vitest, "node": count_node}
try:
    totals, reasons = counters[sys.argv[1]](*sys.argv[2:])
    print(*totals)
    for reason in sorted(set(reasons)):
        print(reason)
except (OSError, KeyError, ValueError, ElementTree.ParseError) as error:
    print(f"count_tests: {error}", file=sys.stderr)
    print(0, 1, 0)  # a runner that left nothing countable has failed
