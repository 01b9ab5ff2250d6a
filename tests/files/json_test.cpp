#include "files/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

namespace pronk::files {
namespace {

using namespace std::string_literals;

Json parse(std::string text) {
  Result<Json> json = Json::parse(std::move(text));
  EXPECT_TRUE(json.has_value()) << json.error().message;
  return json ? std::move(*json) : std::move(*Json::parse("null"));
}

std::string error_of(std::string text) {
  const Result<Json> json = Json::parse(std::move(text));
  return json ? "no error" : json.error().message;
}

TEST(Json, ReadsEveryKind) {
  const Json json = parse(
      R"( {"n": null, "t": true, "f": false, "i": 42, "d": -1.5e2, "s": "x", "a": [1, [], "b"], "o": {"k": {}}} )");
  const JsonValue root = json.root();
  EXPECT_EQ(root.count(), 8u);
  EXPECT_TRUE(root["n"].is(JsonKind::null));
  EXPECT_FALSE(root["n"].has_value());
  EXPECT_TRUE(root["n"].present());
  EXPECT_FALSE(root["none"].present());
  EXPECT_TRUE(*root["t"].boolean());
  EXPECT_FALSE(*root["f"].boolean());
  EXPECT_EQ(*root["i"].integer(), 42u);
  EXPECT_EQ(*root["d"].number(), -150);
  EXPECT_EQ(*root["s"].string(), "x");
  EXPECT_EQ(root["a"].count(), 3u);
  EXPECT_TRUE(root["o"]["k"].is(JsonKind::object));
  EXPECT_EQ(root["o"]["k"].count(), 0u);
  EXPECT_FALSE(root["o"]["x"]["y"].present());
}

TEST(Json, IteratesInTheOrderOfTheText) {
  const Json json = parse(R"({"b": [1, {"x": [2]}, 3], "a": 4, "": 5})");
  std::string keys;
  for (const JsonValue member : json.root()) keys += std::string(member.key()) + ",";
  EXPECT_EQ(keys, "b,a,,");
  u64 kinds = 0;
  for (const JsonValue element : json.root()["b"]) {
    kinds = 10 * kinds + u64(element.kind());
    EXPECT_EQ(element.key(), "");
  }
  EXPECT_EQ(kinds, 363u);
  for (const JsonValue nothing : json.root()["a"]) FAIL() << nothing.key();
}

TEST(Json, DecodesStrings) {
  const Json json = parse(
      R"(["\"\\\/\b\f\n\r\t", "\u0041\u00e9\u20AC\ud83d\ude00|", "é€😀", "a\u0000b", "", "\u0080\u07ff\u0800\uffff"])");
  std::vector<std::string> strings;
  for (const JsonValue value : json.root()) strings.emplace_back(*value.string());
  EXPECT_EQ(strings[0], "\"\\/\b\f\n\r\t");
  EXPECT_EQ(strings[1], "Aé€😀|");
  EXPECT_EQ(strings[2], "é€😀");
  EXPECT_EQ(strings[3], "a\0b"s);
  EXPECT_EQ(strings[4], "");
  EXPECT_EQ(strings[5], "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
}

TEST(Json, ReadsNumbersAsStrtodDoes) {
  std::mt19937_64 random(7);
  std::vector<std::string> numbers = {"0",
                                      "-0",
                                      "1e308",
                                      "1.7976931348623157e308",
                                      "9007199254740993",
                                      "4503599627370497.5",
                                      "1e-308",
                                      "1e-400",
                                      "0e99999",
                                      "2.2250738585072014e-308",
                                      "0.1",
                                      "123456789012345678901234567890123456789012345678901234567890"};
  for (u32 i = 0; i < 20000; ++i) {
    std::string digits = std::to_string(random() >> random() % 64);
    if (i % 2) digits += "." + std::to_string(random() >> random() % 64);
    if (i % 3) digits += "e" + std::to_string(i64(random() % 560) - 290);
    numbers.push_back((i % 5 ? "" : "-") + digits);
  }
  for (const std::string& text : numbers) {
    const double expected = std::strtod(text.c_str(), nullptr);
    const Json json = parse(text);
    const Result<double> value = json.root().number();
    if (std::isinf(expected)) {
      EXPECT_EQ(value.error().message, "the value at byte 0 is beyond the range of a number");
    } else {
      EXPECT_EQ(*value, expected) << text;
      EXPECT_EQ(std::signbit(*value), text[0] == '-');
    }
  }
}

TEST(Json, ChecksTheRangeOfIntegers) {
  const Json json = parse(
      R"({"max": 18446744073709551615, "over": 18446744073709551616, "minus": -1, "half": 1.5, "e": 1e3, "s": "1"})");
  const JsonValue root = json.root();
  EXPECT_EQ(*root["max"].integer(), ~u64{0});
  EXPECT_EQ(root["over"].integer().error().message, "'over' does not fit 64 bits");
  EXPECT_EQ(root["minus"].integer().error().message, "'minus' is negative");
  EXPECT_EQ(root["half"].integer().error().message, "'half' is not a whole number");
  EXPECT_EQ(root["e"].integer().error().message, "'e' is not a whole number");
  EXPECT_EQ(root["s"].integer().error().message, "'s' is a string, not a whole number");
}

TEST(Json, LooksUpByTypeWithFallback) {
  const Json json = parse(R"({"i": 3, "d": 0.5, "b": true, "s": "x", "a": [], "o": {}, "null": null})");
  const JsonValue root = json.root();
  EXPECT_EQ(*root.integer_at("i"), 3u);
  EXPECT_EQ(*root.number_at("i"), 3.0);
  EXPECT_EQ(*root.number_or("d", 9), 0.5);
  EXPECT_TRUE(*root.boolean_at("b"));
  EXPECT_EQ(*root.string_at("s"), "x");
  EXPECT_TRUE(root.array_at("a").has_value());
  EXPECT_TRUE(root.object_at("o").has_value());
  EXPECT_EQ(*root.integer_or("none", 7), 7u);
  EXPECT_EQ(*root.integer_or("null", 7), 7u);
  EXPECT_EQ(*root.string_or("none", "y"), "y");
  EXPECT_FALSE(*root.boolean_or("none", false));
  EXPECT_EQ(root.integer_at("none").error().message, "'none' is missing");
  EXPECT_EQ(root.integer_at("null").error().message, "'null' is missing");
  EXPECT_EQ(root.integer_or("s", 7).error().message, "'s' is a string, not a whole number");
  EXPECT_EQ(root.array_at("o").error().message, "'o' is an object, not an array");
  EXPECT_EQ(root["a"].integer_at("x").error().message, "'x' is missing");
  EXPECT_EQ(JsonValue().string().error().message, "what is not there is absent, not a string");
}

TEST(Json, RefusesWhatIsNoJson) {
  EXPECT_EQ(error_of(""), "JSON: the text ends where a value should stand, at byte 0");
  EXPECT_EQ(error_of("  "), "JSON: the text ends where a value should stand, at byte 2");
  EXPECT_EQ(error_of("{} x"), "JSON: 'x' in place of the end of the text at byte 3");
  EXPECT_EQ(error_of("{}\0"s), "JSON: '\\x00' in place of the end of the text at byte 2");
  EXPECT_EQ(error_of("\xef\xbb\xbf{}"), "JSON: '\\xef' in place of a value at byte 0");
  EXPECT_EQ(error_of("[1,]"), "JSON: ']' in place of a value at byte 3");
  EXPECT_EQ(error_of("[1 2]"), "JSON: '2' in place of ',' or ']' at byte 3");
  EXPECT_EQ(error_of("{\"a\" 1}"), "JSON: '1' in place of ':' at byte 5");
  EXPECT_EQ(error_of("{\"a\":1,}"), "JSON: '}' in place of a key at byte 7");
  EXPECT_EQ(error_of("{1:1}"), "JSON: '1' in place of a key at byte 1");
  EXPECT_EQ(error_of("[1}"), "JSON: '}' in place of ',' or ']' at byte 2");
  EXPECT_EQ(error_of("[,1]"), "JSON: ',' in place of a value at byte 1");
  EXPECT_EQ(error_of("// no"), "JSON: '/' in place of a value at byte 0");
  EXPECT_EQ(error_of("tru"), "JSON: 't' in place of a value at byte 0");
  EXPECT_EQ(error_of("[1"), "JSON: the text ends where ',' or ']' should stand, at byte 2");
}

TEST(Json, RefusesWrongNumbersAndStrings) {
  for (const char* number : {"01", "-", "+1", "1.", ".5", "1e", "1e+", "-a", "NaN", "Infinity", "0x1", "1_0"}) {
    EXPECT_NE(error_of(number), "no error") << number;
  }
  EXPECT_EQ(error_of("\"a"), "JSON: the text ends where the end of a string should stand, at byte 2");
  EXPECT_EQ(error_of("\"a\n\""), "JSON: a control character in a string at byte 2");
  EXPECT_EQ(error_of("\"\0\""s), "JSON: a control character in a string at byte 1");
  EXPECT_EQ(error_of("\"\\x\""), "JSON: 'x' in place of an escape at byte 2");
  EXPECT_EQ(error_of("\"\\\0\""s), "JSON: '\\x00' in place of an escape at byte 2");
  EXPECT_EQ(error_of("\"\\u12g4\""), "JSON: 'g' in place of a hexadecimal digit at byte 5");
  for (const char* lone :
       {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")", "\"\\ud800"}) {
    EXPECT_TRUE(error_of(lone).starts_with("JSON: a lone surrogate at byte ")) << lone;
  }
  for (const char* bytes : {"\x80", "\xc1\x81", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3\x28"}) {
    EXPECT_EQ(error_of("\"" + std::string(bytes) + "\""), "JSON: bytes that are not UTF-8 at byte 1");
  }
}

TEST(Json, RefusesAKeyThatStandsTwice) {
  EXPECT_EQ(error_of(R"({"a": 1, "b": {"a": 2}, "\u0061": 3})"),
            "JSON: the key 'a' stands twice in the object that ends at byte 35");
  std::string many = "{";
  for (u32 i = 0; i < 100000; ++i) many += "\"" + std::to_string(i) + "\": [{}],";
  EXPECT_EQ(parse(many + "\"x\": 0}").root().count(), 100001u);
  EXPECT_TRUE(error_of(many + "\"77\": 0}").starts_with("JSON: the key '77' stands twice"));
}

TEST(Json, RefusesDeepNesting) {
  const auto nested = [](u32 depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(error_of(nested(max_json_depth)), "no error");
  EXPECT_EQ(error_of(nested(max_json_depth + 1)), "JSON: arrays and objects nested deeper than 100 at byte 100");
  EXPECT_NE(error_of(std::string(20000, '[')), "no error");
  std::string objects;
  for (u32 i = 0; i < 9000; ++i) objects += "{\"a\":";
  EXPECT_NE(error_of(objects), "no error");
}

TEST(Json, EndsWithinTheTextWhereverItIsCut) {
  const std::string text = R"({"a": [1.5e3, "\ud83d\ude00é", true, null], "b": {"c": -0}})";
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_NE(error_of(text.substr(0, length)), "no error") << length;
}

}  // namespace
}  // namespace pronk::files
