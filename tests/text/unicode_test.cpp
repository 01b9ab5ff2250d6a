#include "text/unicode.h"

#include <gtest/gtest.h>

namespace pronk::text {
namespace {

using namespace std::string_literals;

TEST(Unicode, classes) {
  using enum CharClass;
  const std::pair<u32, CharClass> known[] = {
      {0, control},       {'\t', space},         {'\r', space},         {0x1c, control},     {' ', space},
      {'!', punctuation}, {'$', symbol},         {'+', symbol},         {'0', digit},        {'9', digit},
      {'A', upper},       {'_', punctuation},    {'`', symbol},         {'z', lower},        {0x7f, control},
      {0x85, space},      {0xa0, space},         {0xaa, letter},        {0xab, punctuation}, {0xb2, number},
      {0xd7, symbol},     {0xe9, lower},         {0xff, lower},         {0x100, upper},      {0x101, lower},
      {0x137, lower},     {0x138, lower},        {0x139, upper},        {0x13a, lower},      {0x1c5, upper},
      {0x301, mark},      {0x378, other},        {0x488, spacing_mark}, {0x663, digit},      {0x93e, spacing_mark},
      {0x4e2d, letter},   {0x1680, space},       {0x200b, control},     {0x2028, space},     {0x2163, number},
      {0x3000, space},    {0x3001, punctuation}, {0xac00, letter},      {0xe000, control},   {0xfeff, control},
      {0xfffd, symbol},   {0x1f600, symbol},     {0x1d7ce, digit},      {0x20000, letter},   {0x10fffd, control},
      {0x10ffff, other},
  };
  for (const auto& [code_point, wanted] : known) EXPECT_EQ(class_of(code_point), wanted) << std::hex << code_point;
  EXPECT_LT(class_changes.size_bytes() + lower_ranges.size_bytes(), 15000u);
}

TEST(Unicode, lower_case) {
  const std::pair<u32, u32> known[] = {
      {'A', 'a'},      {'z', 'z'},       {'@', '@'},         {'[', '['},         {0xb5, 0xb5},     {0xc0, 0xe0},
      {0xd7, 0xd7},    {0x100, 0x101},   {0x101, 0x101},     {0x130, 0x69},      {0x178, 0xff},    {0x1c4, 0x1c6},
      {0x1c5, 0x1c6},  {0x410, 0x430},   {0x10a0, 0x2d00},   {0x1e9e, 0xdf},     {0x2126, 0x3c9},  {0x212a, 'k'},
      {0xa7ae, 0x26a}, {0xff21, 0xff41}, {0x10400, 0x10428}, {0x1e921, 0x1e943}, {0x4e2d, 0x4e2d}, {0x10ffff, 0x10ffff},
  };
  for (const auto& [code_point, wanted] : known) EXPECT_EQ(lower_case(code_point), wanted) << std::hex << code_point;
}

TEST(Unicode, base_chars) {
  const std::pair<u32, std::vector<u32>> known[] = {
      {'a', {'a'}},
      {0xe9, {'e'}},
      {0x301, {}},                 // a mark alone
      {0x344, {}},                 // marks that decompose
      {0x1ed7, {'o'}},             // two marks
      {0x212b, {'A'}},             // the Angstrom sign
      {0x93e, {0x93e}},            // a spacing mark stays
      {0x9cb, {0x9c7, 0x9be}},     // and decomposes into two
      {0xac00, {0x1100, 0x1161}},  // Hangul syllables
      {0xd55c, {0x1112, 0x1161, 0x11ab}},
      {0xd7a3, {0x1112, 0x1175, 0x11c2}},
      {0xf900, {0x8c48}},
      {0x10ffff, {0x10ffff}},
  };
  for (const auto& [code_point, wanted] : known) {
    const BaseChars found = base_chars(code_point);
    EXPECT_EQ(std::vector<u32>(found.chars, found.chars + found.count), wanted) << std::hex << code_point;
  }
}

TEST(Unicode, decodes_well_formed) {
  for (u32 code_point : {0u, 0x7fu, 0x80u, 0x7ffu, 0x800u, 0xd7ffu, 0xe000u, 0xffffu, 0x10000u, 0x10ffffu}) {
    std::string text;
    append_utf8(code_point, text);
    const DecodedChar c = decode_char(text, 0);
    EXPECT_EQ(c.code_point, code_point);
    EXPECT_EQ(c.bytes, text.size());
  }
}

TEST(Unicode, ill_formed_is_one_byte) {
  for (const std::string& text :
       {"\x80"s, "\xc0\x80"s, "\xe0\x80\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s,
        "\xe2\x82"s, "\xf0\x9f\x98"s, "\xc3"s, "\xe2\x28\xa1"s}) {
    const DecodedChar c = decode_char(text, 0);
    EXPECT_EQ(c.code_point, 0xfffdu);
    EXPECT_EQ(c.bytes, 1u);
  }
}

// The example of the Unicode standard, table 3-8 of section 3.9.
TEST(Unicode, replaces_maximal_subparts) {
  std::string bytes = "\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", out;
  take_utf8(bytes, true, out);
  EXPECT_EQ(out, "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd");
  EXPECT_EQ(bytes, "");
}

TEST(Unicode, keeps_an_unfinished_character) {
  std::string bytes = "x\xf0\x9f\x98", out;
  take_utf8(bytes, false, out);
  EXPECT_EQ(out, "x");
  EXPECT_EQ(bytes, "\xf0\x9f\x98");
  bytes += "\x80";
  take_utf8(bytes, false, out);
  EXPECT_EQ(out, "x\U0001f600");
  bytes = "\xf0\x9f\x41";
  out.clear();
  take_utf8(bytes, false, out);
  EXPECT_EQ(out,
            "\ufffd"
            "A");
}

}  // namespace
}  // namespace pronk::text
