// The field's vocabularies and expected ids of ../shared/vectors/tokens, where that folder is there.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fixtures.h"
#include "support/files.h"

namespace pronk::text {
namespace {

using nlohmann::json;

const std::string vectors = test::shared_path("vectors/tokens/");

std::vector<u8> read_bytes(const std::string& path) {
  auto bytes = test::read_file(path);
  EXPECT_TRUE(bytes.has_value()) << path << " is not there";
  return bytes ? *bytes : std::vector<u8>{};
}

std::string read_text(const std::string& path) {
  const std::vector<u8> bytes = read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

Tokenizer load_file(const std::string& path) {
  const std::vector<u8> bytes = read_bytes(path);
  auto prefix = files::parse_gguf(bytes, bytes.size());
  if (!prefix || !prefix->gguf) std::abort();
  auto tokenizer = Tokenizer::from_metadata(prefix->gguf->metadata);
  if (!tokenizer) {
    ADD_FAILURE() << path << ": " << tokenizer.error().message;
    std::abort();
  }
  return std::move(*tokenizer);
}

// The same vocabulary under another pre-tokenizer.
Tokenizer load_with_pre(const std::string& path, std::string_view pre) {
  const std::vector<u8> bytes = read_bytes(path);
  auto prefix = files::parse_gguf(bytes, bytes.size());
  if (!prefix || !prefix->gguf) std::abort();
  files::GgufWriter writer;
  const files::Metadata& metadata = prefix->gguf->metadata;
  for (u64 i = 0; i < metadata.size(); ++i) {
    if (metadata.key(i) != "tokenizer.ggml.pre") writer.add_entry(metadata.raw(i));
  }
  writer.add_string("tokenizer.ggml.pre", pre);
  return Fixture::load(writer);
}

struct VectorFile {
  const char* name;  // of tricky.<name>.json
  const char* gguf;  // below shared/
};
std::ostream& operator<<(std::ostream& out, const VectorFile& file) { return out << file.name; }

class Vectors : public testing::TestWithParam<VectorFile> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(vectors)) GTEST_SKIP() << "../shared/vectors/tokens is not there";
  }
};

constexpr VectorFile vector_files[] = {
    {"smollm", "vectors/tokens/vocab-smollm.gguf"},
    {"qwen2", "vectors/tokens/ggml-vocab-qwen2.gguf"},
    {"llama-spm", "vectors/tokens/ggml-vocab-llama-spm.gguf"},
    {"phi-3", "vectors/tokens/ggml-vocab-phi-3.gguf"},
    {"stories260K", "models/stories260K.gguf"},
};
INSTANTIATE_TEST_SUITE_P(All, Vectors, testing::ValuesIn(vector_files));

// The vocabularies that llama.cpp has texts and ids for: <gguf>.inp and .out.
class LlamaCppVectors : public Vectors {};
INSTANTIATE_TEST_SUITE_P(All, LlamaCppVectors, testing::Values(vector_files[1], vector_files[2], vector_files[3]));

TEST_P(Vectors, tricky_texts) {
  const Tokenizer tokenizer = load_file(test::shared_path(GetParam().gguf));
  const json texts = json::parse(read_text(vectors + "tricky.json"));
  const json expected = json::parse(read_text(vectors + "tricky." + GetParam().name + ".json"));
  ASSERT_EQ(texts.size(), expected["cases"].size());
  EXPECT_EQ(tokenizer.vocab_size(), expected["n_vocab"].get<u32>());
  const bool byte_level = expected["kind"] == "byte-level BPE";
  for (const json& wanted : expected["cases"]) {
    const auto is_named = [&](const json& text) { return text["name"] == wanted["name"]; };
    const json& entry = *std::find_if(texts.begin(), texts.end(), is_named);
    const std::string hex = entry["utf8_hex"];
    std::string text;
    for (u64 i = 0; i < hex.size(); i += 2) text += char(std::stoi(hex.substr(i, 2), nullptr, 16));
    SCOPED_TRACE(wanted["name"].get<std::string>());
    const Ids ids = wanted["ids"];
    EXPECT_EQ(encode(tokenizer, text, {false, Tokenizer::Bos::off}), ids);
    EXPECT_EQ(encode(tokenizer, text, {true, Tokenizer::Bos::off}), wanted.value("ids_parse_special", ids));
    EXPECT_EQ(encode(tokenizer, text, {false, Tokenizer::Bos::automatic}), wanted.value("ids_add_special", ids));
    if (byte_level) {
      EXPECT_EQ(tokenizer.decode(ids), text);
    }
  }
}

void expect_texts(const Tokenizer& tokenizer, const std::string& path) {
  const std::string texts = read_text(path + ".inp"), lines = read_text(path + ".out");
  constexpr std::string_view separator = "\n__ggml_vocab_test__\n";
  u64 count = 0;
  for (u64 at = 0, line = 0; line < lines.size(); ++count) {
    const u64 end = std::min(texts.find(separator, at), texts.size());
    const u64 line_end = lines.find('\n', line);
    Ids wanted;
    std::istringstream numbers(lines.substr(line, line_end - line));
    for (u32 id; numbers >> id;) wanted.push_back(id);
    const std::string text = texts.substr(at, end - at);
    EXPECT_EQ(encode(tokenizer, text, {false, Tokenizer::Bos::off}), wanted) << testing::PrintToString(text);
    at = std::min(end + separator.size(), texts.size());
    line = line_end + 1;
  }
  EXPECT_GE(count, 40u);
}

TEST_P(LlamaCppVectors, texts) {
  const std::string path = test::shared_path(GetParam().gguf);
  expect_texts(load_file(path), path);
}

// The ids of qwen35 are those of Qwen2's vocabulary.
TEST(Qwen35Vectors, texts) {
  if (!std::filesystem::exists(vectors)) GTEST_SKIP() << "../shared/vectors/tokens is not there";
  expect_texts(load_with_pre(vectors + "ggml-vocab-qwen2.gguf", "qwen35"), vectors + "ggml-vocab-qwen35.gguf");
}

// Every token alone, through the streaming decoder, gives valid UTF-8 that is nothing but the token's own.
TEST_P(Vectors, every_piece_streams) {
  const Tokenizer tokenizer = load_file(test::shared_path(GetParam().gguf));
  std::string all, streamed;
  StreamDecoder decoder(tokenizer, true);
  for (u32 id = 0; id < tokenizer.vocab_size(); ++id) {
    tokenizer.append_piece(id, all, true);
    streamed += decoder.push(id);
  }
  streamed += decoder.finish();
  EXPECT_GT(streamed.size(), all.size() / 2);
  EXPECT_NO_THROW(json(streamed).dump());  // throws on what is not UTF-8
}

TEST_P(Vectors, ends_and_template) {
  const Tokenizer tokenizer = load_file(test::shared_path(GetParam().gguf));
  ASSERT_TRUE(tokenizer.eos().has_value());
  EXPECT_TRUE(tokenizer.is_end(*tokenizer.eos()));
  for (const char* spelling : {"<|im_end|>", "<|endoftext|>", "</s>", "<|end|>"}) {
    if (const auto id = tokenizer.find(spelling)) {
      EXPECT_TRUE(tokenizer.is_end(*id)) << spelling;
    }
  }
  EXPECT_FALSE(tokenizer.is_end(tokenizer.vocab_size()));
}

}  // namespace
}  // namespace pronk::text
