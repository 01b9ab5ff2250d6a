"""Counts tests in what a runner left behind; prints "PASSED FAILED SKIPPED".

usage: count_tests.py ctest JUNIT_XML GTEST_RESULTS_FOLDER    each suite's tests where GoogleTest wrote its results,
                                                              else the ctest entry itself (a crash, a timeout)
       count_tests.py vitest LOG                              sums the "Tests  1 failed | 9 passed" lines
       count_tests.py node LOG                                the "# pass 9" lines of node --test
"""
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count_gtest(path):
    passed = failed = skipped = 0
    for suite in json.loads(path.read_text(encoding="utf-8"))["testsuites"]:
        for test in suite["testsuite"]:
            if test.get("failures"):
                failed += 1
            elif test["result"] == "COMPLETED":
                passed += 1
            elif test["result"] == "SKIPPED":
                skipped += 1
    return passed, failed, skipped


def count_ctest(junit, results):
    totals = [0, 0, 0]
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        status, path = case.get("status"), Path(results) / (case.get("name").replace("/", "_") + ".json")
        found = count_gtest(path) if path.exists() else (0, 0, 0)
        if status == "run" and not path.exists():
            found = (1, 0, 0)
        elif status != "run" and found[1] == 0:
            found = (found[0], 1, found[2])
        totals = [total + part for total, part in zip(totals, found)]
    return totals


def count_vitest(log):
    text = re.sub(r"\x1b\[[0-9;]*m", "", Path(log).read_text(encoding="utf-8", errors="replace"))
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for line in re.findall(r"^\s*Tests\s+(.*)$", text, re.MULTILINE):
        for number, word in re.findall(r"(\d+) (passed|failed|skipped)", line):
            totals[word] += int(number)
    return totals["passed"], totals["failed"], totals["skipped"]


def count_node(log):
    text = Path(log).read_text(encoding="utf-8", errors="replace")
    return [sum(map(int, re.findall(rf"^# {word} (\d+)$", text, re.MULTILINE)))
            for word in ("pass", "fail", "skipped")]


counters = {"ctest": count_ctest, "vitest": count_vitest, "node": count_node}
try:
    print(*counters[sys.argv[1]](*sys.argv[2:]))
except (OSError, KeyError, ValueError, ElementTree.ParseError) as error:
    print(f"count_tests: {error}", file=sys.stderr)
    print(0, 1, 0)  # a runner that left nothing countable has failed
