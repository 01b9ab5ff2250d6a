// The model in the box answers as tests/golden/box.json says, on the CPU and on WebGPU. web/test does the same.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <cmath>

#include "support/engine_driver.h"
#include "support/files.h"
#include "text/tokenizer.h"

namespace pronk {
namespace {

using nlohmann::json;

// FIPS 180-4.
std::string sha256(std::vector<u8> bytes) {
  std::array<u32, 64> k;
  std::array<u32, 8> h;
  const auto fraction = [](double root) { return u32(u64((root - double(u64(root))) * 0x1p32)); };
  for (u32 prime = 2, count = 0; count < 64; ++prime) {
    bool is_prime = true;
    for (u32 d = 2; d * d <= prime; ++d) is_prime &= prime % d != 0;
    if (!is_prime) continue;
    if (count < 8) h[count] = fraction(std::sqrt(double(prime)));
    k[count++] = fraction(std::cbrt(double(prime)));
  }
  const u64 bits = bytes.size() * 8;
  bytes.push_back(0x80);
  while (bytes.size() % 64 != 56) bytes.push_back(0);
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(u8(bits >> shift));
  for (std::size_t block = 0; block < bytes.size(); block += 64) {
    std::array<u32, 64> w;
    for (u32 i = 0; i < 16; ++i) {
      const u8* at = &bytes[block + 4 * i];
      w[i] = u32(at[0]) << 24 | u32(at[1]) << 16 | u32(at[2]) << 8 | at[3];
    }
    for (u32 i = 16; i < 64; ++i) {
      const u32 s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const u32 s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, last] = h;
    for (u32 i = 0; i < 64; ++i) {
      const u32 s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const u32 t1 = last + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i];
      const u32 t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      last = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<u32, 8> sum = {a, b, c, d, e, f, g, last};
    for (u32 i = 0; i < 8; ++i) h[i] += sum[i];
  }
  std::string text;
  for (const u32 word : h) {
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  }
  return text;
}

class BoxModel : public testing::Test {
 protected:
  void SetUp() override {
    auto file = test::read_file(PRONK_SOURCE_DIR "/models/pronk-box.gguf");
    const auto golden = test::read_file(PRONK_SOURCE_DIR "/tests/golden/box.json");
    if (!file && !golden) GTEST_SKIP() << "no models/pronk-box.gguf";
    ASSERT_TRUE(file) << "models/pronk-box.gguf is missing";
    ASSERT_TRUE(golden) << "run tools/golden_box.py";
    json_ = json::parse(*golden, nullptr, false);
    ASSERT_TRUE(json_.is_object()) << "run tools/golden_box.py";
    ASSERT_EQ(json_.at("sha256"), sha256(*file)) << "run tools/golden_box.py";
    ASSERT_EQ(json_.at("cases").size(), 6u);
    files_ = {std::move(*file)};
  }

  void expect_answers(std::unique_ptr<gpu::Device> device) {
    const auto engine = test::load(files_, {}, std::move(device));
    ASSERT_TRUE(engine) << engine.error().message;
    const text::Tokenizer& tokenizer = (*engine)->model().tokenizer();
    for (const json& golden : json_.at("cases")) {
      SCOPED_TRACE(golden.at("prompt").get<std::string>());
      const auto prompt = tokenizer.encode(golden.at("prompt").get<std::string>(), {.parse_special = true});
      ASSERT_TRUE(prompt) << prompt.error().message;
      EXPECT_EQ(*prompt, golden.at("prompt_tokens").get<std::vector<u32>>());
      const auto tokens = test::generate(**engine, *prompt, {.max_tokens = golden.at("most").get<u32>()});
      ASSERT_TRUE(tokens) << tokens.error().message;
      EXPECT_EQ(*tokens, golden.at("tokens").get<std::vector<u32>>());
      text::StreamDecoder decoder(tokenizer);
      std::string said;
      for (const u32 token : *tokens) said += decoder.push(token);
      EXPECT_EQ(said + decoder.finish(), golden.at("text").get<std::string>());
    }
  }

  json json_;
  test::ModelFiles files_;
};

TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(sha256({'a', 'b', 'c'}), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::vector<u8>(1000, 'x')), "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f");
}

TEST_F(BoxModel, AnswersOnTheCpu) { expect_answers(nullptr); }

TEST_F(BoxModel, AnswersOnWebGpu) {
  auto device = gpu::create_native_device();
  if (!device) GTEST_SKIP() << device.error().message;
  expect_answers(std::move(*device));
}

}  // namespace
}  // namespace pronk
