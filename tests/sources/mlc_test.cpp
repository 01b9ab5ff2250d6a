// Folders as MLC's compiler writes them.
#include "sources/mlc.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/half.h"
#include "formats/pieces.h"
#include "logits.h"
#include "sha256.h"
#include "source.h"
#include "support/bad_sources.h"
#include "support/folder_model.h"
#include "support/http_server.h"

namespace pronk {
namespace {

using nlohmann::json;
using test::ModelSpec;

// The tensors of a small Llama in MLC's layout, one a shard and the last first, so that scales come before codes.
struct MlcTensor {
  std::string name, dtype, format;
  std::vector<u64> shape;
  std::vector<u8> data;
};

template <class Number>
std::vector<u8> bytes_of(const std::vector<Number>& numbers) {
  std::vector<u8> bytes(numbers.size() * sizeof(Number));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

// The same weights twice: as MLC has them, and as the floats that they are.
struct Twice {
  std::vector<MlcTensor> mlc;
  std::vector<test::FolderTensor> plain;

  bool halves;  // scales and vectors: f16, else bf16
  std::mt19937 random{11};

  u16 stored(float x) const { return halves ? f32_to_f16(x) : f32_to_bf16(x); }
  float read(u16 bits) const { return halves ? f16_to_f32(bits) : bf16_to_f32(bits); }
  std::string dtype() const { return halves ? "float16" : "float32"; }

  void vector(const std::string& name, u64 count) {
    std::vector<u16> bits(count);
    std::vector<float> floats(count);
    for (u64 i = 0; i < count; ++i) {
      bits[i] = stored(0.8f + float(random() % 512) / 1024);
      floats[i] = read(bits[i]);
    }
    mlc.push_back({name, dtype(), "f32-to-bf16", {count}, bytes_of(bits)});
    plain.push_back({name, "F32", {count}, bytes_of(floats)});
  }

  // parts: the names and rows of what one matrix of MLC's holds.
  void matrix(const std::string& stem, u64 cols, const std::vector<std::pair<std::string, u64>>& parts) {
    u64 rows = 0;
    for (const auto& [name, count] : parts) rows += count;
    std::vector<u32> words(rows * cols / 8);
    std::vector<u16> scales(rows * cols / 32);
    for (u32& word : words) word = u32(random());
    for (u16& scale : scales) scale = stored((float(random() % 1024) - 512) / 2048 / std::sqrt(float(cols)));
    std::vector<float> floats(rows * cols);
    for (u64 i = 0; i < floats.size(); ++i) {
      floats[i] = (float(words[i / 8] >> 4 * (i % 8) & 15) - 7) * read(scales[i / 32]);
    }
    mlc.push_back({stem + ".q_weight", "uint32", "f32-to-bf16", {rows, cols / 8}, bytes_of(words)});
    mlc.push_back({stem + ".q_scale", dtype(), "f32-to-bf16", {rows, cols / 32}, bytes_of(scales)});
    u64 first = 0;
    for (const auto& [name, count] : parts) {
      const auto begin = floats.begin() + std::ptrdiff_t(first * cols);
      plain.push_back({name + ".weight",
                       "F32",
                       {count, cols},
                       bytes_of(std::vector<float>(begin, begin + std::ptrdiff_t(count * cols)))});
      first += count;
    }
  }
};

Twice small_llama(const ModelSpec& spec, bool halves) {
  Twice model{.mlc = {}, .plain = {}, .halves = halves};
  const u64 q = spec.heads * spec.dim, kv = spec.kv_heads * spec.dim;
  model.matrix("model.embed_tokens", spec.width, {{"model.embed_tokens", spec.vocab}});
  for (u32 i = 0; i < spec.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".", attention = layer + "self_attn.";
    model.vector(layer + "input_layernorm.weight", spec.width);
    model.matrix(attention + "qkv_proj", spec.width,
                 {{attention + "q_proj", q}, {attention + "k_proj", kv}, {attention + "v_proj", kv}});
    model.matrix(attention + "o_proj", q, {{attention + "o_proj", spec.width}});
    model.vector(layer + "post_attention_layernorm.weight", spec.width);
    model.matrix(layer + "mlp.gate_up_proj", spec.width,
                 {{layer + "mlp.gate_proj", spec.feed_forward}, {layer + "mlp.up_proj", spec.feed_forward}});
    model.matrix(layer + "mlp.down_proj", spec.feed_forward, {{layer + "mlp.down_proj", spec.width}});
  }
  model.vector("model.norm.weight", spec.width);
  return model;
}

json mlc_config(const ModelSpec& spec, const std::string& quantization) {
  json config = test::folder_config(spec);
  config["position_embedding_base"] = config["rope_theta"];
  config["context_window_size"] = config["max_position_embeddings"];
  config.erase("rope_theta");
  config.erase("max_position_embeddings");
  config.erase("model_type");
  return {{"model_type", spec.arch}, {"quantization", quantization}, {"model_config", config}};
}

test::Folder mlc_folder(const ModelSpec& spec, const std::vector<MlcTensor>& tensors, const std::string& quantization,
                        const std::string& cache_name) {
  test::Folder folder{.texts = {{"mlc-chat-config.json", mlc_config(spec, quantization).dump()}}, .weights = {}};
  json shards = json::array();
  for (auto tensor = tensors.rbegin(); tensor != tensors.rend(); ++tensor) {
    const u64 bytes = tensor->data.size();
    shards.push_back({{"dataPath", "params_shard_" + std::to_string(shards.size()) + ".bin"},
                      {"format", "raw-shard"},
                      {"nbytes", bytes},
                      {"records",
                       {{{"name", tensor->name},
                         {"shape", tensor->shape},
                         {"dtype", tensor->dtype},
                         {"format", tensor->format},
                         {"nbytes", bytes},
                         {"byteOffset", 0}}}}});
    folder.weights.push_back(tensor->data);
  }
  folder.texts[cache_name] = json{{"records", shards}}.dump();
  return folder;
}

ModelSpec small_spec() { return {.width = 64, .feed_forward = 96, .vocab = 304, .tied = true}; }

Result<std::vector<float>> logits_of(const test::Folder& folder, std::span<const u32> tokens,
                                     std::unique_ptr<gpu::Device> device, bool mapped = false) {
  PRONK_TRY(const auto model, test::open_folder(folder));
  LoadOptions options{
      .context = 64, .kv = graph::KvType::f32, .activations = graph::Activations::f32, .threads = 1, .scoring = true};
  PRONK_TRY(auto engine, Engine::create(model, options, std::move(device)));
  for (u32 i = 0; mapped && i < folder.weights.size(); ++i) PRONK_OK(engine->map(i, folder.weights[i]));
  PRONK_OK(test::feed(*engine, folder.weights, [](u64 fits) { return std::min<u64>(fits, 1001); }));
  PRONK_OK(test::wait_ready(*engine));
  EXPECT_EQ(engine->allocated(), engine->planned());
  return test::score(*engine, tokens, false);
}

std::string md5_of(std::span<const u8> bytes) {
  u8 digest[16];
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_md5(), nullptr) == 1);
  return cli::hex(digest);
}

class Mlc : public testing::TestWithParam<bool> {};

TEST_P(Mlc, GivesTheLogitsOfItsWeights) {
  const ModelSpec spec = small_spec();
  const Twice model = small_llama(spec, GetParam());
  const std::vector<u32> tokens = test::some_tokens(20, 5, spec.vocab);
  test::Folder plain{.texts = {{"config.json", test::folder_config(spec).dump()}}, .weights = {}};
  test::add_shards(plain, model.plain, 1);
  const auto expected = logits_of(plain, tokens, nullptr);
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  const test::Folder folder = mlc_folder(spec, model.mlc, GetParam() ? "q4f16_1" : "q4f32_1",
                                         GetParam() ? "tensor-cache.json" : "ndarray-cache.json");
  for (const bool mapped : {false, true}) {
    const auto got = logits_of(folder, tokens, nullptr, mapped);
    ASSERT_TRUE(got.has_value()) << got.error().message;
    EXPECT_LT(test::largest_difference(*got, *expected), 2e-5);
  }
  auto device = gpu::create_native_device();
  if (!device) GTEST_SKIP() << device.error().message;
  const auto got = logits_of(folder, tokens, std::move(*device));
  ASSERT_TRUE(got.has_value()) << got.error().message;
  EXPECT_LT(test::largest_difference(*got, *expected), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Sources, Mlc, testing::Bool(),
                         [](const auto& info) { return info.param ? "q4f16" : "q4f32"; });

std::string error_of(const test::Folder& folder) {
  const auto model = test::open_folder(folder);
  return model ? "" : model.error().message;
}

TEST(MlcFolder, NamesWhatItDoesNotRun) {
  const ModelSpec spec = small_spec();
  const Twice model = small_llama(spec, true);
  EXPECT_EQ(error_of(mlc_folder(spec, model.mlc, "q3f16_1", "tensor-cache.json")),
            "mlc-chat-config.json: 'quantization' is 'q3f16_1': not supported");
  test::Folder folder = mlc_folder(spec, model.mlc, "q4f16_1", "tensor-cache.json");
  folder.texts.erase("tensor-cache.json");
  folder.weights.clear();
  EXPECT_EQ(error_of(folder), "tensor-cache.json is missing");
  ModelSpec gemma = spec;
  gemma.arch = "gemma3";
  EXPECT_EQ(error_of(mlc_folder(gemma, model.mlc, "q4f16_1", "tensor-cache.json")),
            "mlc-chat-config.json: 'model_type' is 'gemma3': not supported");
}

TEST(MlcFolder, HasEachByteOnce) {
  const ModelSpec spec = small_spec();
  test::Folder folder = mlc_folder(spec, small_llama(spec, true).mlc, "q4f16_1", "tensor-cache.json");
  json list = json::parse(folder.texts["tensor-cache.json"]);
  json& records = list["records"][0]["records"];
  json twice = records[0];
  twice["name"] = "model.other.weight";
  twice["byteOffset"] = 2;
  twice["shape"] = {1};
  twice["nbytes"] = 2;
  records.insert(records.begin(), twice);
  folder.texts["tensor-cache.json"] = list.dump();
  EXPECT_EQ(error_of(folder), "tensor-cache.json: tensor 'model.other.weight' lies in another one of its shard");
}

TEST(MlcFolder, QuantizesNoVector) {
  const ModelSpec spec = small_spec();
  Twice model = small_llama(spec, true);
  std::erase_if(model.mlc, [](const MlcTensor& tensor) { return tensor.name == "model.norm.weight"; });
  model.matrix("model.norm", 64, {{"model.norm", 1}});
  EXPECT_EQ(error_of(mlc_folder(spec, model.mlc, "q4f16_1", "tensor-cache.json")),
            "tensor 'output_norm.weight' is quantized, which vectors are not");
}

// What opening a folder on the disk or on a server says; empty: it is a model.
std::string error_at(const std::string& location, const cli::SourceOptions& options) {
  cli::EngineChoice choice{.location = location, .backend = "cpu", .source = options};
  choice.options = {.context = 64, .threads = 1};
  const auto engine = cli::open_engine(choice);
  return engine ? "" : engine.error().message;
}

// The hash of no byte, which every hash is that is taken too late.
constexpr std::string_view empty_md5 = "d41d8cd98f00b204e9800998ecf8427e";

TEST(MlcFolder, HasShardsWithTheHashesThatItTells) {
  const ModelSpec spec = small_spec();
  const Twice model = small_llama(spec, true);
  test::Folder folder = mlc_folder(spec, model.mlc, "q4f16_1", "tensor-cache.json");
  const std::string path = testing::TempDir() + "pronk-md5/", cache = testing::TempDir() + "pronk-md5-cache";
  std::filesystem::create_directories(path);
  test::HttpServer server;
  json list = json::parse(folder.texts["tensor-cache.json"]);
  const auto store = [&] {
    folder.texts["tensor-cache.json"] = list.dump();
    for (const auto& [name, text] : folder.texts) {
      std::ofstream(path + name) << text;
      server.put("/m/" + name, {text.begin(), text.end()});
    }
    for (u64 i = 0; i < folder.weights.size(); ++i) {
      const std::string name = list["records"][i]["dataPath"];
      const auto& bytes = folder.weights[i];
      std::ofstream(path + name, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), i64(bytes.size()));
      server.put("/m/" + name, bytes);
    }
  };
  for (u64 i = 0; i < folder.weights.size(); ++i) list["records"][i]["md5sum"] = md5_of(folder.weights[i]);
  list["records"][0].erase("md5sum");
  store();
  EXPECT_EQ(error_at(path, {}), "");
  EXPECT_EQ(error_at(server.url("/m/"), {}), "");
  EXPECT_EQ(error_at(server.url("/m/"), {.cache = cache}), "");
  std::filesystem::remove_all(cache);

  const std::string shard = list["records"][2]["dataPath"], good = list["records"][2]["md5sum"];
  list["records"][2]["md5sum"] = empty_md5;
  store();
  const std::string wanted = shard + ": the bytes have MD5 " + good + ", published is " + std::string(empty_md5);
  EXPECT_EQ(error_at(path, {}), "");  // what is at hand is not hashed
  EXPECT_EQ(error_at(server.url("/m/"), {}), server.url("/m/") + wanted);
  for (int time = 0; time < 2; ++time)  // what is wrong is not kept
    EXPECT_EQ(error_at(server.url("/m/"), {.cache = cache}),
              "'" + server.url("/m/") + shard + "'" + wanted.substr(shard.size()) + "; the download is removed");
  list["records"][2]["md5sum"] = "d41d8cd9";
  store();
  EXPECT_EQ(error_at(path, {}), path + ": tensor-cache.json: 'md5sum' is 'd41d8cd9', not 32 hex digits");
  std::filesystem::remove_all(path);
  std::filesystem::remove_all(cache);
}

// ---- ../shared/vectors/sources, which not every machine has

template <class Number>
std::vector<Number> numbers_of(const std::string& path) {
  const auto text = test::read_file(path);
  std::vector<Number> numbers(text ? text->size() / sizeof(Number) : 0);
  if (text) std::memcpy(numbers.data(), text->data(), numbers.size() * sizeof(Number));
  return numbers;
}

TEST(MlcTensors, AreExact) {
  const std::string folder = test::shared_path("vectors/sources/mlc/");
  const auto text = test::read_file(folder + "index.json");
  if (!text) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  const json index = json::parse(*text);
  EXPECT_EQ(index["tensors"].size(), 5u);
  for (const json& entry : index["tensors"]) {
    const std::string stem = folder + "tensors/" + std::string(entry["name"]);
    SCOPED_TRACE(stem);
    const bool halves = entry["q_scale"]["dtype"] == "float16";
    const formats::Format& format = *formats::find(halves ? "Q4_0" : "Q4_0_BF16");
    const formats::Pieces& pieces = *formats::find_pieces(format.ggml_type);
    const auto codes = numbers_of<u8>(stem + ".q_weight.bin"), scales = numbers_of<u8>(stem + ".q_scale.bin");
    const auto exact = numbers_of<double>(stem + ".w.f64.bin");
    const u64 count = codes.size() / 16, rows = entry["out_features"], cols = entry["in_features"];
    ASSERT_EQ(scales.size(), count * 2);
    ASSERT_EQ(exact.size(), rows * cols);
    std::vector<u8> blocks(count * 18);
    pieces.place(1, scales.data(), count, blocks.data());
    pieces.place(0, codes.data(), count, blocks.data());
    std::vector<float> weights(count * 32);
    format.decode(blocks.data(), count, weights.data());
    for (u64 i = 0; i < exact.size(); ++i) {
      ASSERT_EQ(double(weights[i / cols * (count / rows * 32) + i % cols]), exact[i]) << i;
    }
  }
}

// All of a file that a server has.
Status read_from_server(const std::vector<u8>& bytes, std::string_view md5) {
  test::HttpServer server;
  server.put("/shard", bytes);
  PRONK_TRY(const auto source, cli::open_source(server.url("/shard"), {.md5 = std::string(md5)}));
  std::vector<u8> read(bytes.size());
  PRONK_OK(source->read(0, read, read.size()));
  return source->finish();
}

// A cache and its shards alone, as `bad` has them; empty: no error.
std::string error_of_cache(const std::string& folder) {
  sources::Mlc source;
  const auto cache = test::read_file(folder + "tensor-cache.json");
  if (!cache) return "no cache";
  if (Status added = source.add_file("tensor-cache.json", {cache->begin(), cache->end()}); !added)
    return added.error().message;
  for (u32 file = 0; file < source.weight_files().size(); ++file) {
    const std::string path = folder + source.weight_files()[file];
    const auto shard = test::read_file(path);
    if (!shard) return "no shard";
    if (const auto added = source.add_header(*shard, shard->size()); !added) return added.error().message;
    if (const Status whole = read_from_server(*shard, source.weight_md5(file)); !whole) return whole.error().message;
  }
  return "";
}

TEST(MlcFolder, IsTakenAndRefusedAsItShould) {
  const auto sources = test::bad_sources("mlc/");
  if (sources.empty()) GTEST_SKIP() << "../shared/vectors/sources/bad is not on this machine";
  EXPECT_EQ(sources.size(), 26u);
  for (const auto& source : sources) {
    test::expect_verdict(source, error_of_cache(source.path));
  }
}

}  // namespace
}  // namespace pronk
