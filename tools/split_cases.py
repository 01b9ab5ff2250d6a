#!/usr/bin/env python3
"""Writes tests/text/split_cases.jsonl: how each pre-tokenizer's published expressions cut tricky texts.

usage: tools/split_cases.py > tests/text/split_cases.jsonl        (needs the PyPI package `regex`)

The expressions are read out of src/text/pre_tokenizer.cpp and run by another engine. One line for each text and way to
cut it: {"pre": names of the pre-tokenizers that cut it so, "words": [...]}; the words together are the text.
"""
import json
import pathlib
import re

import regex

TEXTS = [
    "Hello world, it's 2024! We'LL see; they've I'm you'd 'tis don'T",
    "a  b   c\td\n\ne \n f\r\ng\r\n\r\n  h   ",
    "   leading, trailing   ",
    "1 12 123 1234 12345 1234567 3.14159 1,000,000 0x1F ½ ² Ⅷ ٣٤٥٦ १२३४ 五六",
    "e\u0301te\u0301 Å n\u0303 \u0301alone हिन्दी भाषा ไทยมีสระ বাংলা ো",
    "naïveÉcole iPhoneXR McDonald's HTMLParser ÀÉÎ straße ǅungla ʰa ªb",
    "日本語のテキスト、中文文本。한국어 문장 カタカナ 々〇 𠀀𠀁",
    "مرحبا بالعالم، هَذَا؟ שלום עולם ۔ नमस्ते।",
    "😀👨\u200d👩\u200d👧🇩🇪❤️ x\ufe0f 🏳\ufe0f\u200d🌈!",
    "a\u00a0b\u3000c\u2028d\u0085e\u200bf\ufeffg\u1680h",
    "def f(x):\n    return x**2  # ok\n\n\tif (a&&b) {c[0]+=1;}\n",
    "https://example.com/a/b?c=1&d=%20#e foo@bar.org C:\\dir /usr/bin\n//x/\n",
    "!!!??? ... --- $5.00 +3 <a|b> ~c^ `d` “quoted” ‘s ’s … —",
    "\x00\x01\x1f\x7f\x1cA\u0378\U000e0100b",
    "one\r\rtwo \r three\n \n\n   four",
    "<sentinel:12> IMGIMGABCDZ IMGIMGABCDEZ  (x)    y",
    "12日3月 第1234567号 １２３４５ ㊿①②③④",
]


def unicode_space(pattern):
    """\\s of the regex module takes U+001C to U+001F for space, White_Space does not."""
    return pattern.replace(r"\s", r"\p{White_Space}").replace(r"\S", r"\P{White_Space}")


def read_table():
    """{pre-tokenizer: its expressions} out of the source."""
    path = pathlib.Path(__file__).parent.parent / "src/text/pre_tokenizer.cpp"
    source = path.read_text(encoding="utf-8")
    patterns = {}
    for name, body in re.findall(r"constexpr Rule (\w+) = \{(\s*R\"\(.*?)\};", source, re.S):
        pattern = "".join(re.findall(r"R\"\((.*?)\)\"(?=[\n,}]|$)", body, re.S))
        patterns[name] = regex.compile(unicode_space(pattern), regex.V1)
    table = {}
    rows = source[source.index("constexpr Row rows[]"):]
    for names, rules in re.findall(r"\{((?:\"[^\"]*\"\s*)+),\s*\{([^}]*)\}", rows[:rows.index("};")]):
        for name in "".join(re.findall(r"\"([^\"]*)\"", names)).split():
            table[name] = [patterns[rule.strip(" &\n")] for rule in rules.split(",")]
    return table


def cut(pattern, piece):
    start = 0
    for match in pattern.finditer(piece):
        if match.start() > start:
            yield piece[start:match.start()]
        if match.end() > match.start():
            yield match.group()
        start = match.end()
    if start < len(piece):
        yield piece[start:]


def split(patterns, text):
    pieces = [text]
    for pattern in patterns:
        pieces = [part for piece in pieces for part in cut(pattern, piece)]
    return tuple(pieces)


def main():
    table = read_table()
    for text in TEXTS:
        names = {}
        for name, patterns in table.items():
            names.setdefault(split(patterns, text), []).append(name)
        for words, same in names.items():
            print(json.dumps({"pre": " ".join(same), "words": words}, ensure_ascii=False))


main()
