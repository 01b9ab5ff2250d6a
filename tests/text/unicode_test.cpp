#include "text/unicode.h"

#include <gtest/gtest.h>

namespace pronk::text {
namespace {

using namespace std::string_literals;

TEST(Unicode, classes) {
  using enum CharClass;
  const std::pair<u32, CharClass> known[] = {
      {0, other},        {'\t', space},      {'\r', space},         {0x1c, other},
      {' ', space},      {'!', punctuation}, {'$', other},          {'+', other},
      {'0', number},     {'9', number},      {'A', letter},         {'_', punctuation},
      {'`', other},      {'z', letter},      {0x7f, other},         {0x85, space},
      {0xa0, space},     {0xaa, letter},     {0xab, punctuation},   {0xb2, number},
      {0xd7, other},     {0xe9, letter},     {0x301, other},        {0x663, number},
      {0x4e2d, letter},  {0x1680, space},    {0x200b, other},       {0x2028, space},
      {0x2163, number},  {0x3000, space},    {0x3001, punctuation}, {0xac00, letter},
      {0xe000, other},   {0xfeff, other},    {0xfffd, other},       {0x1f600, other},
      {0x1d7ce, number}, {0x20000, letter},  {0x10ffff, other},
  };
  for (const auto& [code_point, wanted] : known) EXPECT_EQ(class_of(code_point), wanted) << std::hex << code_point;
  EXPECT_LT(class_changes.size() * sizeof(u32), 10000u);
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
