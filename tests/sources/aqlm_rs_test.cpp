// Folders of AQLM.rs: the logits of their weights, whichever layout, and errors that say what is wrong.
#include "sources/aqlm_rs.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/half.h"
#include "commands.h"
#include "gpu/native.h"
#include "logits.h"
#include "source.h"
#include "support/base64.h"
#include "support/files.h"
#include "support/folder_model.h"

namespace pronk {
namespace {

using nlohmann::json;
using test::FolderTensor;

template <class Number>
std::vector<u8> bytes_of(const std::vector<Number>& numbers) {
  std::vector<u8> bytes(numbers.size() * sizeof(Number));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

FolderTensor floats(std::string name, std::vector<u64> shape, const std::vector<float>& values) {
  return {std::move(name), "F32", std::move(shape), bytes_of(values)};
}

// A model of random weights twice: as AQLM.rs stores it, and what its weights are.
struct Small {
  static constexpr u64 width = 128, keys = 64, ff = 96, layers = 2, ranks = 260, vocab = ranks + 256;

  explicit Small(bool second_layout) {
    embedding(second_layout);
    for (u64 layer = 0; layer < layers; ++layer) {
      const std::string stem = "model.layers." + std::to_string(layer) + ".";
      norm(stem + "input_layernorm");
      matrix(stem + "self_attn.q_proj", width, width);
      matrix(stem + "self_attn.k_proj", keys, width);
      matrix(stem + "self_attn.v_proj", keys, width);
      matrix(stem + "self_attn.o_proj", width, width);
      norm(stem + "post_attention_layernorm");
      matrix(stem + "mlp.gate_proj", ff, width);
      matrix(stem + "mlp.up_proj", ff, width);
      matrix(stem + "mlp.down_proj", width, ff);
    }
    norm("model.norm");
    bytes("lm_head", second_layout ? "lm_head.0.1" : "lm_head");
  }

  std::vector<FolderTensor> stored, plain;

 private:
  float uniform(float most) { return most * (2 * float(random() >> 8) / float(1 << 24) - 1); }
  std::vector<float> uniforms(u64 count, float most) {
    std::vector<float> out(count);
    for (float& value : out) value = uniform(most);
    return out;
  }
  std::vector<u8> codes(u64 count) {
    std::vector<u8> out(count);
    for (u8& code : out) code = u8(random() >> 24);
    return out;
  }

  void norm(const std::string& stem) {
    std::vector<float> weights = uniforms(width, 0.5f);
    for (float& weight : weights) weight += 1;
    stored.push_back(floats(stem + ".weight", {width}, weights));
    plain.push_back(stored.back());
  }

  void matrix(const std::string& stem, u64 rows, u64 cols) {
    const u64 groups = cols / 8;
    const std::vector<u8> code = codes(groups * 2 * rows);
    std::vector<float> books = uniforms(2 * 256 * 8, 0.3f);
    for (float& number : books) number = f16_to_f32(f32_to_f16(number));  // as those that were trained are
    const std::vector<float> scales = uniforms(rows, 0.5f);
    std::vector<float> weights(rows * cols);
    for (u64 row = 0; row < rows; ++row) {
      for (u64 col = 0; col < cols; ++col) {
        float sum = 0;
        for (u64 book = 0; book < 2; ++book)
          sum += books[(book * 256 + code[(col / 8 * 2 + book) * rows + row]) * 8 + col % 8];
        weights[row * cols + col] = scales[row] * sum;
      }
    }
    stored.push_back({stem + ".codes_120", "U8", {groups, 2, rows}, code});
    stored.push_back(floats(stem + ".codebooks", {2, 256, 1, 8}, books));
    stored.push_back(floats(stem + ".scales", {rows, 1, 1, 1}, scales));
    plain.push_back(floats(stem + ".weight", {rows, cols}, weights));
  }

  void bytes(const std::string& name, const std::string& stem) {
    const std::vector<u8> numbers = codes(vocab * width);
    std::vector<float> most = uniforms(width, 0.3f), weights(vocab * width);
    for (float& each : most) each = std::fabs(each) + 0.01f;
    for (u64 i = 0; i < weights.size(); ++i) weights[i] = float(i8(numbers[i])) * most[i % width] / 127;
    stored.push_back({stem + ".weight_int8", "I8", {vocab, width}, numbers});
    stored.push_back(floats(stem + ".weight_max_values", {width}, most));
    plain.push_back(floats(name + ".weight", {vocab, width}, weights));
  }

  void embedding(bool second_layout) {
    constexpr u32 bits[16] = {0xbf800000, 0xbf3239b1, 0xbf066b30, 0xbeca32a0, 0xbe91a24d, 0xbe3d353f,
                              0xbdba7871, 0x00000000, 0x3da2faff, 0x3e24cae3, 0x3e7c04dd, 0x3ead033a,
                              0x3ee1a4b8, 0x3f1007ab, 0x3f3913b3, 0x3f800000};
    if (!second_layout) return bytes("model.embed_tokens", "model.embed_tokens");
    const std::vector<u8> code = codes(vocab * width / 2);
    const std::vector<float> scales = uniforms(vocab * width / 64, 1);
    std::vector<float> weights(vocab * width);
    for (u64 i = 0; i < weights.size(); ++i)
      weights[i] = scales[i / 64] * std::bit_cast<float>(bits[i % 2 == 0 ? code[i / 2] >> 4 : code[i / 2] & 15]);
    stored.push_back({"model.embed_tokens.weight_nf4", "U8", {vocab, width / 2}, code});
    stored.push_back(floats("model.embed_tokens.weight_scales", {scales.size()}, scales));
    plain.push_back(floats("model.embed_tokens.weight", {vocab, width}, weights));
  }

  std::mt19937 random{7};
};

// Without the keys that AQLM.rs says by heart, or with them.
json config() {
  return {{"model_type", "llama"},
          {"num_hidden_layers", Small::layers},
          {"hidden_size", Small::width},
          {"intermediate_size", Small::ff},
          {"num_attention_heads", Small::width / 64},
          {"num_key_value_heads", Small::keys / 64},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 500000},
          {"vocab_size", Small::vocab},
          {"tie_word_embeddings", true}};  // whatever it says, there is a head
}

std::string small_ranks() {
  std::string lines;
  u32 rank = 0;
  const auto add = [&](const std::string& token) {
    lines += test::base64(token) + " " + std::to_string(rank++) + "\n";
  };
  for (u32 byte = 0; byte < 256; ++byte) add(std::string(1, char(byte)));
  for (const char* token : {"he", "ll", "hell", "o w"}) add(token);
  return lines;
}

class AqlmRs : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "pronk-aqlm-rs-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name + "/";
    folder_ = root_ + "model/";
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, std::string_view bytes) const {
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  }
  void write(const FolderTensor& tensor) const {
    const std::vector<u8> file = test::safetensors_file({tensor});
    write(folder_ + tensor.name + ".safetensors", {reinterpret_cast<const char*>(file.data()), file.size()});
  }
  void write(const Small& model) const {
    for (const FolderTensor& tensor : model.stored) write(tensor);
    write(folder_ + "tokenizer.model", small_ranks());
  }
  // The same model as Hugging Face's libraries would write it.
  std::string write_plain(const Small& model) const {
    const std::string folder = root_ + "plain/";
    std::filesystem::create_directory(folder);
    const std::vector<u8> file = test::safetensors_file(model.plain);
    json other = config();
    other["tie_word_embeddings"] = false;
    write(folder + "config.json", other.dump());
    write(folder + "model.safetensors", {reinterpret_cast<const char*>(file.data()), file.size()});
    return folder;
  }

  static std::vector<float> logits(const std::string& path, const char* backend, std::span<const u32> tokens) {
    const auto got = test::logits_of_path(path, backend, tokens, false);
    EXPECT_TRUE(got.has_value()) << got.error().message;
    return got ? *got : std::vector<float>();
  }
  std::string error() const {
    const auto opened = cli::open_headers(folder_, {});
    const std::string text = opened ? "" : opened.error().message;
    return text.starts_with(folder_) ? text.substr(folder_.size()) : text;
  }

  std::string root_, folder_;
};

TEST_F(AqlmRs, GivesTheLogitsOfItsWeights) {
  const std::vector<u32> tokens = test::some_tokens(20, 5, Small::vocab);
  const bool gpu = gpu::create_native_device().has_value();
  for (const bool second : {false, true}) {
    SCOPED_TRACE(second);
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    const Small model(second);
    write(model);
    const std::vector<float> expected = logits(write_plain(model), "cpu", tokens);
    EXPECT_LT(test::largest_difference(logits(folder_, "cpu", tokens), expected), 1e-4);
    if (gpu) EXPECT_LT(test::largest_difference(logits(folder_, "webgpu", tokens), expected), 1e-4);
  }
  if (!gpu) GTEST_SKIP() << "no device";
}

TEST_F(AqlmRs, IsWhatAConfigurationSaysThatItIs) {
  const std::vector<u32> tokens = test::some_tokens(20, 5, Small::vocab);
  const Small model(true);
  write(model);
  const std::vector<float> usual = logits(folder_, "cpu", tokens);
  write(folder_ + "config.json", config().dump());
  EXPECT_EQ(logits(folder_, "cpu", tokens), usual);
  json other = config();
  other["rope_scaling"] = {{"rope_type", "llama3"},
                           {"factor", 8},
                           {"low_freq_factor", 1},
                           {"high_freq_factor", 4},
                           {"original_max_position_embeddings", 32}};
  write(folder_ + "config.json", other.dump());
  EXPECT_GT(test::largest_difference(logits(folder_, "cpu", tokens), usual), 1e-3);
  other["num_hidden_layers"] = 1;
  write(folder_ + "config.json", other.dump());
  EXPECT_GT(test::largest_difference(logits(folder_, "cpu", tokens), usual), 1e-3);
}

// Its hidden states are those after the last norm, and not what the head multiplies.
TEST_F(AqlmRs, KeepsHiddenStatesAsTheyAre) {
  const std::vector<u32> tokens = test::some_tokens(9, 5, Small::vocab);
  const auto hidden = [&](const std::string& path) {
    cli::EngineChoice choice{.location = path, .backend = "cpu"};
    choice.options = {.context = 16,
                      .kv = graph::KvType::f32,
                      .activations = graph::Activations::f32,
                      .threads = 1,
                      .embedding = true};
    const auto engine = cli::open_engine(choice);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    return *test::score(**engine, tokens, false);
  };
  const Small model(false);
  write(model);
  const auto got = hidden(folder_), expected = hidden(write_plain(model));
  ASSERT_EQ(got.size(), tokens.size() * Small::width);
  EXPECT_LT(test::largest_difference(got, expected), 1e-4);
}

TEST_F(AqlmRs, IsTheSameFileByConvert) {
  const Small model(true);
  write(model);
  const std::string out = root_ + "out.gguf";
  const char* const arguments[] = {folder_.c_str(), out.c_str()};
  const auto args = cli::parse_args(cli::convert_command, arguments);
  ASSERT_TRUE(args && cli::convert_command.run(*args));
  const std::vector<u32> tokens = test::some_tokens(20, 5, Small::vocab);
  EXPECT_EQ(logits(out, "cpu", tokens), logits(folder_, "cpu", tokens));
  u64 stored = 0;
  for (const FolderTensor& tensor : model.stored) stored += tensor.data.size();
  EXPECT_LT(std::filesystem::file_size(out), stored + 40000);  // the tokenizer, and scales of the head
  const auto opened = cli::read_tokenizer(out, {}), folder = cli::read_tokenizer(folder_, {});
  ASSERT_TRUE(opened && folder);
  EXPECT_EQ(*opened->encode("hello world"), *folder->encode("hello world"));
}

TEST_F(AqlmRs, NamesWhatIsWrong) {
  const Small model(false);
  const std::string stem = "model.layers.1.mlp.up_proj.", file_end = ".safetensors: ";
  const auto stored = [&](const std::string& name) {
    return *std::ranges::find(model.stored, name, &FolderTensor::name);
  };
  const auto error_of = [&](FolderTensor changed, const std::string& name = "") {
    write(model);
    const std::vector<u8> file = test::safetensors_file({changed});
    const std::string to = name.empty() ? changed.name : name;
    write(folder_ + to + ".safetensors", {reinterpret_cast<const char*>(file.data()), file.size()});
    std::string text = error();
    write(model);
    return text;
  };
  const auto changed = [&](const std::string& name, std::string dtype, std::vector<u64> shape) {
    FolderTensor tensor = stored(name);
    tensor.dtype = std::move(dtype);
    tensor.shape = std::move(shape);
    return tensor;
  };
  EXPECT_EQ(error_of(changed(stem + "codes_120", "I8", {16, 2, 96})),
            stem + "codes_120" + file_end + "tensor '" + stem + "codes_120' is I8 [16, 2, 96], not U8 of 3 dimensions");
  EXPECT_EQ(error_of(changed(stem + "codes_120", "U8", {16, 192})),
            stem + "codes_120" + file_end + "tensor '" + stem + "codes_120' is U8 [16, 192], not U8 of 3 dimensions");
  EXPECT_EQ(error_of(changed(stem + "codes_120", "U8", {32, 1, 96})),
            ": tensor '" + stem + "codes_120' is U8 [32, 1, 96], not codes of two books, [groups, 2, rows]");
  EXPECT_NE(error_of(changed(stem + "codes_120", "U8", {96, 2, 16})), "");
  EXPECT_EQ(error_of(changed(stem + "codebooks", "F32", {2, 128, 1, 16})),
            ": tensor '" + stem + "codebooks' is F32 [2, 128, 1, 16], not F32 [2, 256, 1, 8]");
  EXPECT_NE(error_of(floats(stem + "scales", {95}, std::vector<float>(95))), "");
  EXPECT_EQ(error_of(floats("model.embed_tokens.weight_max_values", {127}, std::vector<float>(127))),
            ": tensor 'token_embd.column_scales' has shape [127, 1], the model needs 128 numbers");
  EXPECT_EQ(error_of(stored(stem + "scales"), "lm_head.weight_int8"),
            "lm_head.weight_int8.safetensors: holds 1 tensors, not 'lm_head.weight_int8' and nothing else");
  EXPECT_EQ(error_of(floats("model.norm.weight", {2, 64}, std::vector<float>(128))),
            "model.norm.weight" + file_end + "tensor 'model.norm.weight' is F32 [2, 64], not F32 of 1 dimensions");
  EXPECT_EQ(error_of(changed("lm_head.weight_int8", "I8", {Small::vocab * 8, 16})),
            ": tensor 'lm_head.weight_int8' is I8 [4128, 16], not rows of a multiple of 32");
  const std::string keys = "model.layers.0.self_attn.k_proj.codes_120";
  EXPECT_EQ(error_of(changed(keys, "U8", {64, 2, 16})),
            ": tensor '" + keys + "' is U8 [64, 2, 16], not rows of whole heads");
  EXPECT_EQ(error(), "");
  std::filesystem::remove(folder_ + stem + "scales.safetensors");
  EXPECT_NE(error().find(stem + "scales.safetensors: No such file"), std::string::npos);
}

TEST_F(AqlmRs, NamesWhatIsWrongInTheSecondLayout) {
  const Small model(true);
  write(model);
  write(floats("model.embed_tokens.weight_scales", {100}, std::vector<float>(100)));
  EXPECT_EQ(error(), ": tensor 'model.embed_tokens.weight_scales' is F32 [100], not a number for each 64 weights");
  write(model);
  write(
      FolderTensor{"model.embed_tokens.weight_nf4", "U8", {Small::vocab * 4, 16}, std::vector<u8>(Small::vocab * 64)});
  EXPECT_EQ(error(), ": tensor 'model.embed_tokens.weight_nf4' is U8 [2064, 16], not rows of a multiple of 32 bytes");
}

// What a model is can be told by its files only for those that are published, and small ones.
TEST_F(AqlmRs, WantsAConfigurationOfUnknownModels) {
  write(Small(false));
  write(floats("model.norm.weight", {4096}, std::vector<float>(4096)));
  EXPECT_EQ(error(),
            ": a model of 2 layers and width 4096 is none of those that are known: a config.json must say "
            "what it is");
  write(floats("model.norm.weight", {100}, std::vector<float>(100)));
  EXPECT_EQ(error(),
            ": a model of 2 layers and width 100 is none of those that are known: a config.json must say "
            "what it is");
  const auto weight_files = [](u64 width) {
    sources::AqlmRs source;
    const std::vector<u8> norm =
        test::safetensors_file({floats("model.norm.weight", {width}, std::vector<float>(width))});
    EXPECT_TRUE(source.add_file("model.norm.weight.safetensors", {norm.begin(), norm.end()}));
    if (source.weight_files().empty()) {
      EXPECT_EQ(source.header().error().message,
                "nothing says how many layers the model of width 192 has: a config.json must");
    }
    return source.weight_files().size();
  };
  EXPECT_EQ(weight_files(4096), 5u + 32 * 23);  // of a server that does not say which files it has
  EXPECT_EQ(weight_files(2048), 5u + 16 * 23);
  EXPECT_EQ(weight_files(192), 0u);
}

// ---- ../shared/vectors/sources, which not every machine has

std::vector<float> exact(const std::string& path) {
  const auto bytes = test::read_file(path);
  std::vector<float> numbers(bytes ? bytes->size() / sizeof(float) : 0);
  if (bytes) std::memcpy(numbers.data(), bytes->data(), numbers.size() * sizeof(float));
  return numbers;
}

TEST_F(AqlmRs, GivesTheExactLogits) {
  const std::string shared = test::shared_path("vectors/sources/aqlm-rs/");
  const auto text = test::read_file(shared + "index.json");
  if (!text) GTEST_SKIP() << "no " << shared << "index.json on this machine";
  const bool gpu = gpu::create_native_device().has_value();
  for (const json& entry : json::parse(*text)["models"]) {
    const std::string from = shared + std::string(entry["dir"]);
    json scaled = config();
    for (const auto& [key, of] : std::map<std::string, std::string>{{"num_hidden_layers", "layers"},
                                                                    {"hidden_size", "embd"},
                                                                    {"intermediate_size", "ff"},
                                                                    {"num_attention_heads", "heads"},
                                                                    {"num_key_value_heads", "kv_heads"},
                                                                    {"vocab_size", "vocab"},
                                                                    {"rope_scaling", "llama3_rope_scaling"}})
      scaled[key] = entry[of];
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(from, folder_);
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    write(folder_ + "config.json", scaled.dump());
    for (const json& sequence : entry["sequences"]) {
      SCOPED_TRACE(from + " " + std::string(sequence["tag"]));
      const std::vector<u32> tokens = sequence["tokens"];
      const auto plain = exact(shared + std::string(sequence["exact_file"])),
                 llama3 = exact(shared + std::string(sequence["llama3rope_file"]));
      ASSERT_GT(plain.size(), 0u);
      for (const char* backend : {"cpu", "webgpu"}) {
        if (backend == std::string("webgpu") && !gpu) continue;
        EXPECT_LE(test::largest_difference(logits(from, backend, tokens), plain), 1e-4) << backend;
        EXPECT_LE(test::largest_difference(logits(folder_, backend, tokens), llama3), 1e-4) << backend;
      }
    }
  }
  if (!gpu) GTEST_SKIP() << "no device";
}

}  // namespace
}  // namespace pronk
