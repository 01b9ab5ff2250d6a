#!/usr/bin/env python3
"""Writes src/text/unicode_tables.cpp: character classes, lower case and decompositions, for src/text/unicode.h.

usage: tools/unicode_tables.py > src/text/unicode_tables.cpp

All comes from the unicodedata module of the Python that runs this; its Unicode version is written into the file.
"""
import sys
import unicodedata

# White_Space of PropList.txt, unchanged since Unicode 6.3; unicodedata does not offer the property.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
               0x205F, 0x3000}
# As CharClass of unicode.h; the last two are for runs in which upper and lower case alternate.
OTHER, UPPER, LOWER, LETTER, MARK, SPACING_MARK, DIGIT, NUMBER, PUNCTUATION, SYMBOL, SPACE, CONTROL = range(12)
EVEN_UPPER, ODD_UPPER = 12, 13
CLASSES = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Mn": MARK, "Nd": DIGIT, "Cn": OTHER, "L": LETTER, "M": SPACING_MARK,
           "N": NUMBER, "P": PUNCTUATION, "S": SYMBOL, "Z": SPACE, "C": CONTROL}
CODE_POINTS = range(sys.maxunicode + 1)
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)  # composed by rule, see unicode.cpp


def char_class(code_point):
    if code_point in WHITE_SPACE:
        return SPACE
    category = unicodedata.category(chr(code_point))
    return CLASSES.get(category, CLASSES[category[0]])


def class_changes():
    """(first, class) of each range; three or more letters whose case alternates are one range."""
    changes = []
    for code_point in CODE_POINTS:
        now = char_class(code_point)
        if not changes or changes[-1][1] != now:
            changes.append((code_point, now))
    merged, at = [], 0
    while at < len(changes):
        end = at
        while (end + 1 < len(changes) and changes[end + 1][0] - changes[end][0] == 1
               and changes[end][1] in (UPPER, LOWER)):
            end += 1
        if end - at < 3 or changes[end - 1][1] not in (UPPER, LOWER):
            merged.append(changes[at])
            at += 1
            continue
        first, now = changes[at]
        merged.append((first, EVEN_UPPER if (first % 2 == 0) == (now == UPPER) else ODD_UPPER))
        at = end
    return merged


def lower_ranges():
    """[first, last, step, distance] of the letters beyond ASCII that have one lower-case letter."""
    ranges = []
    for code_point in CODE_POINTS[0x80:]:
        lower = chr(code_point).lower()
        distance = ord(lower[0]) - code_point
        if not distance:
            continue
        last = ranges[-1] if ranges else None
        gap = code_point - last[1] if last else 0
        if last and last[3] == distance and (gap == last[2] or (last[0] == last[1] and gap <= 2)):
            last[1], last[2] = code_point, gap
        else:
            ranges.append([code_point, code_point, 1, distance])
    return ranges


def varint(value):
    out = []
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return out + [value]


def signed(value):
    return varint(2 * value if value >= 0 else -2 * value - 1)


def decompositions():
    """(code point, kind, parts) by code point; the kinds are those of unicode.h."""
    out = []
    for code_point in CODE_POINTS:
        fields = unicodedata.decomposition(chr(code_point)).split()
        if not fields or code_point in HANGUL_SYLLABLES:
            continue
        compatible = fields[0].startswith("<")
        parts = [int(field, 16) for field in fields[compatible:]]
        if compatible:
            kind = min(4 + len(parts), 15)
        elif len(parts) == 1:
            kind = 1
        else:
            composes = unicodedata.normalize("NFC", "".join(map(chr, parts))) == chr(code_point)
            kind = 3 if composes else 2
        out.append((code_point, kind, parts))
    return out


def pack_decompositions(entries):
    """Runs of code points in a row whose first parts are in a row too, and whose other parts are equal."""
    out, at, last, last_part = [], 0, 0, 0
    while at < len(entries):
        first, kind, parts = entries[at]
        end = at
        while (end + 1 < len(entries)
               and entries[end + 1] == (first + end + 1 - at, kind, [parts[0] + end + 1 - at] + parts[1:])):
            end += 1
        out += varint(first - last) + varint((end - at) << 4 | kind)
        if kind == 15:
            out += varint(len(parts))
        for part in parts:
            out += signed(part - last_part)
            last_part = part
        last, last_part = first + end - at, parts[0] + end - at
        at = end + 1
    return out


def pack_combining_classes():
    """(code points since the last run, as many more, class) of each run of one canonical combining class but 0."""
    out, last, code_point = [], 0, 0
    while code_point <= sys.maxunicode:
        now = unicodedata.combining(chr(code_point))
        end = code_point
        while now and end < sys.maxunicode and unicodedata.combining(chr(end + 1)) == now:
            end += 1
        if now:
            out += varint(code_point - last) + varint(end - code_point) + varint(now)
            last = end
        code_point = end + 1
    return out


def write_array(declaration, words):
    print(f"{declaration} = {{")
    line = "   "
    for word in words:
        if len(line) + len(word) + 2 > 120:
            print(line)
            line = "   "
        line += f" {word},"
    print(line)
    print("};")


def main():
    changes, lower = class_changes(), lower_ranges()
    decomposed, combining = pack_decompositions(decompositions()), pack_combining_classes()
    print("// Generated by tools/unicode_tables.py (its head says how to run it) from the Unicode Character Database,")
    print(f"// version {unicodedata.unidata_version}.")
    print('#include "text/unicode.h"\n')
    print("namespace pronk::text {\n")
    print(f'const std::string_view unicode_version = "{unicodedata.unidata_version}";\n')
    print("namespace {")
    write_array(f"constexpr u32 changes[{len(changes)}]", [f"{first << 4 | now:#x}" for first, now in changes])
    write_array(f"constexpr LowerRange lower[{len(lower)}]",
                [f"{{{first:#x}, {last:#x}, {step}, {distance}}}" for first, last, step, distance in lower])
    write_array(f"constexpr u8 decomposed[{len(decomposed)}]", map(str, decomposed))
    write_array(f"constexpr u8 combining[{len(combining)}]", map(str, combining))
    print("}  // namespace\n")
    print("const std::span<const u32> class_changes(changes);")
    print("const std::span<const LowerRange> lower_ranges(lower);")
    print("const std::span<const u8> packed_decompositions(decomposed);")
    print("const std::span<const u8> packed_combining_classes(combining);\n")
    print("}  // namespace pronk::text")


main()
