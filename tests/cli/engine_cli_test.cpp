// logits, embed, generate, plan and perplexity as programs call them: exact forms, and numbers worked out another way.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "cpu/executor.h"
#include "support/archs.h"
#include "support/encoder_model.h"
#include "support/engine_driver.h"
#include "support/files.h"
#include "support/graph_gguf.h"

namespace pronk::test {
namespace {

using nlohmann::json;

// One folder with a model and a text for the whole suite; both back ends where there is an adapter.
class EngineCli : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = testing::TempDir() + "pronk-engine-cli-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    const ModelFiles files = model_files({.arch = "qwen2", .context = 64, .matrix = "Q8_0"});
    write("model.gguf", {reinterpret_cast<const char*>(files[0].data()), files[0].size()});
    const ModelFiles splits = model_files({.arch = "qwen2", .context = 64, .matrix = "Q8_0", .splits = 2});
    for (u32 i = 0; i < 2; ++i) {
      write(i == 0 ? "split-00001-of-00002.gguf" : "split-00002-of-00002.gguf",
            {reinterpret_cast<const char*>(splits[i].data()), splits[i].size()});
    }
    write_encoder("encoder.gguf", {});
    write_encoder("reranker.gguf", {.pooling = graph::Pooling::rank, .scores = 3});
    std::string text;
    for (u32 i = 0; i < 40; ++i) text += "word " + std::to_string(i * i);
    write("text", text);
    const auto device = gpu::create_native_device();
    backends_ = {"cpu"};
    if (device) backends_.push_back("webgpu");
  }
  static void TearDownTestSuite() {
    for (const char* name : {"model.gguf", "split-00001-of-00002.gguf", "split-00002-of-00002.gguf", "encoder.gguf",
                             "reranker.gguf", "text", "out", "err", "logits"}) {
      std::remove(path(name).c_str());
    }
    ::rmdir(folder_.c_str());
  }

  static std::string path(const std::string& name) { return folder_ + "/" + name; }
  static void write(const std::string& name, std::string_view bytes) {
    std::ofstream(path(name), std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  }
  static void write_encoder(const std::string& name, const EncoderSpec& spec) {
    const std::vector<u8> file = encoder_file(spec);
    write(name, {reinterpret_cast<const char*>(file.data()), file.size()});
  }
  static std::string read(const std::string& name) {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Exit status; the output is in out and err.
  static int run(const std::string& arguments) {
    const std::string command =
        "timeout 1500 " PRONK_BINARY_DIR "/pronk " + arguments + " > " + path("out") + " 2> " + path("err");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  static json run_json(const std::string& arguments) {
    EXPECT_EQ(run(arguments), 0) << arguments << "\n" << read("err");
    const std::string out = read("out");
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1) << out;
    const json parsed = json::parse(out, nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << out;
    return parsed;
  }
  // On the CPU: drivers may have something to say of their own.
  static void expect_error(const std::string& arguments, int status, const std::string& part) {
    EXPECT_EQ(run(arguments), status) << arguments;
    const std::string err = read("err");
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    EXPECT_NE(err.find(part), std::string::npos) << err;
  }
  static std::string model() { return " -m " + path("model.gguf"); }

  // Rows of logits by the double reference.
  static std::vector<double> reference(const std::vector<u32>& tokens) {
    const auto loaded = load_model(path("model.gguf"));
    EXPECT_TRUE(loaded.has_value());
    cpu::Executor<double> executor(loaded->model.graph, loaded->weights(), u32(tokens.size()), graph::KvType::f32);
    const auto rows = executor.run(tokens, 0, true);
    return {rows.begin(), rows.end()};
  }

  // Rows of hidden states, or of scores, by the double reference.
  static std::vector<double> hidden_states(const std::string& file, const std::vector<u32>& tokens) {
    auto loaded = load_model(path(file));
    EXPECT_TRUE(loaded.has_value());
    loaded->model.graph = graph::without_logits(std::move(loaded->model.graph));
    cpu::Executor<double> executor(loaded->model.graph, loaded->weights(), u32(tokens.size()), graph::KvType::f32);
    const auto rows = executor.run(tokens, 0, true);
    return {rows.begin(), rows.end()};
  }
  static double relative_error(const std::vector<float>& values, const std::vector<double>& expected) {
    return archs::relative_error(values, std::vector<float>(expected.begin(), expected.end()));
  }

  static std::set<std::string> keys(const json& object) {
    std::set<std::string> names;
    for (const auto& [key, value] : object.items()) names.insert(key);
    return names;
  }

  static inline std::string folder_;
  static inline std::vector<std::string> backends_;
};

// What was measured is stored, exported, imported and used; damaged files are refused, and ignored at load.
TEST_F(EngineCli, Tune) {
  if (backends_.size() == 1) GTEST_SKIP() << "no WebGPU adapter";
  const std::string cache = " --cache " + path("tuned"), generate = "generate --backend webgpu -p word -n 4" + model();
  ASSERT_EQ(run("tune --seconds 1 --export " + path("choices") + model() + cache), 0) << read("err");
  std::string choices = read("choices");  // of whatever there was time for
  EXPECT_TRUE(choices.starts_with("pronk tuning 1\nadapter ")) << choices;
  std::size_t end = 0;
  for (u32 line = 0; line < 3; ++line) end = choices.find('\n', end) + 1;
  choices = choices.substr(0, end) + "matvec Q8_0 64x64 = 16x2x32\nend 1\n";
  write("choices", choices);
  ASSERT_EQ(run(generate + cache), 0) << read("err");
  const std::string text = read("out");

  std::filesystem::path stored;
  for (const auto& entry : std::filesystem::directory_iterator(path("tuned"))) {
    if (entry.path().filename().string().starts_with("tuning-")) stored = entry.path();
  }
  ASSERT_FALSE(stored.empty());
  std::filesystem::remove(stored);
  ASSERT_EQ(run("tune --import " + path("choices") + cache), 0) << read("err");
  std::ifstream imported(stored);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(imported), {}), choices);
  write("choices", choices.substr(0, choices.size() - 7));  // without its last line
  EXPECT_EQ(run("tune --import " + path("choices") + cache), 1);
  EXPECT_NE(read("err").find("tuning file"), std::string::npos) << read("err");
  std::ofstream(stored) << "no tuning at all";
  EXPECT_EQ(run(generate + cache), 0) << read("err");
  EXPECT_EQ(read("out"), text);
  std::filesystem::remove_all(path("tuned"));
  std::remove(path("choices").c_str());
}

TEST_F(EngineCli, Logits) {
  const std::vector<double> expected = reference({1, 2, 3, 299, 7});
  for (const std::string& backend : backends_) {
    for (const char* how : {" --kv f32", " --kv f32 --by-steps", " --kv f16", ""}) {
      for (const char* name : {"model.gguf", "split-00002-of-00002.gguf"}) {
        if (name[0] == 's' && how[0] != 0) continue;
        ASSERT_EQ(run("logits -m " + path(name) + " --tokens 1,2,3,299,7 --out " + path("logits") + " --backend " +
                      backend + how + " --activations f32"),
                  0)
            << read("err");
        const std::string bytes = read("logits");
        ASSERT_EQ(bytes.size(), expected.size() * 4);
        double difference = 0, size = 0;
        for (u64 i = 0; i < expected.size(); ++i) {
          float value = 0;
          std::memcpy(&value, bytes.data() + 4 * i, 4);
          difference += (value - expected[i]) * (value - expected[i]);
          size += expected[i] * expected[i];
        }
        EXPECT_LE(std::sqrt(difference / size), std::strstr(how, "f32") ? 1e-5 : 1e-3) << backend << how;
      }
    }
  }
  expect_error("logits" + model() + " --tokens 1,300 --backend cpu --out " + path("logits"), 1,
               "token 300 is not below the vocabulary size 300");
  expect_error("logits" + model() + " --backend cpu --tokens 1,,2 --out " + path("logits"), 2, "--tokens");
  expect_error("logits" + model() + " --tokens 1,2", 2, "--out is missing");
}

TEST_F(EngineCli, ThreadsAndInstructionSetsAreChosen) {
  const std::string generate = "generate" + model() + " --tokens 1,2,3 -n 8 --json --backend cpu";
  std::string text;
  for (const char* threads : {" -t 1", " --threads 3", " -t 64", ""}) {
    ASSERT_EQ(run(generate + threads), 0) << read("err");
    const std::string generated = json::parse(read("out")).at("text").dump();
    if (!text.empty()) EXPECT_EQ(generated, text) << threads;
    text = generated;
  }
  expect_error(generate + " -t 0", 2, "-t");
  expect_error(generate + " --threads many", 2, "--threads");
  ASSERT_EQ(::setenv("PRONK_CPU_ISA", "abacus", 1), 0);
  expect_error(generate, 1, "PRONK_CPU_ISA is 'abacus'; this machine has ");
  ::unsetenv("PRONK_CPU_ISA");
}

TEST_F(EngineCli, KernelsAreWrittenAsFiles) {
  const std::string kernels = "kernels" + model() + " --dump ";
  const std::string dump = path("dump");
  for (const char* variant : {"core", "subgroups"}) {
    ASSERT_EQ(run(kernels + dump + " --variant " + variant), 0) << read("err");
    std::istringstream names(read("out"));
    u32 files = 0, with_subgroups = 0;
    for (std::string name; std::getline(names, name); ++files) {
      const std::string text = read("dump/" + name);
      EXPECT_NE(text.find("@compute"), text.npos) << name;
      with_subgroups += text.starts_with("enable subgroups;");
    }
    EXPECT_GE(files, 10u);
    EXPECT_EQ(with_subgroups > 0, std::string_view(variant) == "subgroups");
  }
  ASSERT_EQ(run(kernels + dump + " --candidate 32x2x32"), 0) << read("err");
  EXPECT_NE(read("out").find("matvec_LANES=32_ROWS=2_TILE=32_TOKENS=1"), std::string::npos) << read("out");
  expect_error(kernels + dump + " --candidate 33x2x32", 1, "no kernel of the model has a candidate 33x2x32");
  std::filesystem::remove_all(dump);
  expect_error(kernels + path("model.gguf"), 1, "cannot make the folder '" + path("model.gguf") + "'");
  expect_error("kernels" + model(), 2, "--dump is missing");
}

TEST_F(EngineCli, EmbedPoolsHiddenStates) {
  const std::string exact = " --tokens 1,2,299,7,7 --kv f32 --activations f32 --json --backend ";
  for (const auto& [file, width] : {std::pair{"encoder.gguf", 32u}, {"model.gguf", 64u}}) {
    const std::vector<double> rows = hidden_states(file, {1, 2, 299, 7, 7});
    ASSERT_EQ(rows.size(), 5 * width);
    std::vector<double> mean(width);
    for (u32 i = 0; i < rows.size(); ++i) mean[i % width] += rows[i] / 5;
    double squares = 0;
    for (double value : mean) squares += value * value;
    std::vector<double> unit = mean;
    for (double& value : unit) value /= std::sqrt(squares);
    const std::pair<const char*, std::vector<double>> cases[] = {
        {"", mean},  // of the encoder, because its file says so; of the other, because it says nothing
        {" --pooling mean --normalize", unit},
        {" --pooling cls", {rows.begin(), rows.begin() + width}},
        {" --pooling last", {rows.end() - width, rows.end()}},
        {" --pooling none", rows},
    };
    for (const std::string& backend : backends_) {
      for (const auto& [how, expected] : cases) {
        SCOPED_TRACE(file + backend + how);
        const json out = run_json("embed -m " + path(file) + exact + backend + how + " --out " + path("logits"));
        const auto values = archs::read_floats(path("logits"));
        ASSERT_EQ(values.size(), expected.size());
        EXPECT_LE(relative_error(values, expected), 1e-5);
        EXPECT_EQ(out["tokens"], 5);
        EXPECT_EQ(out["width"], width);
        const bool each = std::strstr(how, "none");
        ASSERT_EQ(keys(out), (std::set<std::string>{"tokens", "pooling", "width", each ? "embeddings" : "embedding"}));
        EXPECT_EQ((each ? out["embeddings"][0] : out["embedding"]).get<std::vector<float>>(),
                  std::vector<float>(values.begin(), values.begin() + width));
      }
    }
  }
}

TEST_F(EngineCli, EmbedGivesARerankersScores) {
  const std::vector<double> rows = hidden_states("reranker.gguf", {1, 2, 3});
  ASSERT_EQ(rows.size(), 9u);
  for (const std::string& backend : backends_) {
    const json out = run_json("embed -m " + path("reranker.gguf") +
                              " --tokens 1,2,3 --kv f32 --activations f32 --json --backend " + backend);
    EXPECT_LE(relative_error(out["scores"], {rows.begin(), rows.begin() + 3}), 1e-5) << backend;
  }
  expect_error("embed -m " + path("reranker.gguf") + " --tokens 1 --json --backend cpu --pooling mean", 1, "reranker");
}

TEST_F(EngineCli, EmbedTakesTextAsTheTokenizerMakesIt) {
  const auto header = open_model({*read_file(path("encoder.gguf"))});
  ASSERT_TRUE(header);
  const auto tokens = (*header)->tokenizer().encode("some words");
  ASSERT_TRUE(tokens);
  std::string ids;
  for (const u32 token : *tokens) ids += (ids.empty() ? "" : ",") + std::to_string(token);
  const std::string command = "embed -m " + path("encoder.gguf") + " --json --backend cpu";
  EXPECT_EQ(run_json(command + " -p 'some words'"), run_json(command + " --tokens " + ids));
}

TEST_F(EngineCli, EncodersMakeNoText) {
  const std::string encoder = " -m " + path("encoder.gguf") + " --backend cpu";
  for (const std::string& command : {std::string("generate -p a"), std::string("bench"),
                                     "logits --tokens 1 --out " + path("logits"), "perplexity -f " + path("text")}) {
    expect_error(command + encoder, 1, "the model is an encoder");
  }
  expect_error("embed" + encoder + " --json", 2, "either -p TEXT or --tokens IDS");
  expect_error("embed" + encoder + " --tokens 1", 2, "--out FILE, --json or both");
  expect_error("embed" + encoder + " --tokens 1 --json --ctx 41", 1,
               "context length 41 is above the 40 positions that the model knows");
  EXPECT_EQ(run_json("plan" + encoder + " --json")["context_length"], 40);
  const json plan = run_json("plan" + encoder + " --json --ctx 7 --allocate");
  EXPECT_EQ(plan["total"], plan["allocated"]["total"]);
}

// Vectors of one small model for each architecture that makes embeddings, where they are.
TEST_F(EngineCli, EmbeddingsAreAsExpected) {
  if (!archs::index().is_object()) GTEST_SKIP() << "no " << archs::folder;
  u32 compared = 0;
  for (const json& entry : archs::index()["models"]) {
    if (!entry.contains("embedding")) continue;
    for (const json& sequence : entry["sequences"]) {
      std::string ids;
      for (const u32 token : sequence["tokens"]) ids += (ids.empty() ? "" : ",") + std::to_string(token);
      const auto expected = archs::read_floats(archs::folder + std::string(sequence["file"]));
      for (const std::string& backend : backends_) {
        if (backend == "webgpu" && sequence != entry["sequences"].back()) continue;  // compiling kernels takes its time
        const json out = run_json("embed -m " + archs::folder + std::string(entry["file"]) + " --tokens " + ids +
                                  " --kv f32 --activations f32 --json --backend " + backend);
        const std::vector<float> vector = out["embedding"];
        EXPECT_LE(archs::relative_error(vector, expected), double(sequence["tolerance"]["f32"]))
            << entry["name"] << " " << sequence["tag"] << " " << backend;
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 20u);
}

TEST_F(EngineCli, GenerateParsesSpecialTokensWhenAsked) {
  const std::string arguments =
      "generate -m " PRONK_SOURCE_DIR "/models/pronk-box.gguf -p '<|im_start|><|im_end|>' -n 1 --backend cpu --json";
  const u32 plain = run_json(arguments)["prompt_tokens"], special = run_json(arguments + " --special")["prompt_tokens"];
  EXPECT_EQ(special, 2u);
  EXPECT_GT(plain, 6u);
}

TEST_F(EngineCli, BenchMeasuresEachPhaseAtEachDepth) {
  for (const std::string& backend : backends_) {
    const json out = run_json("bench" + model() + " -p 6 -n 4 -d 0,9 -r 2 --json --backend " + backend);
    ASSERT_EQ(out["results"].size(), 4u);
    for (u32 i = 0; i < 4; ++i) {
      const json& one = out["results"][i];
      EXPECT_EQ(one["phase"], i % 2 == 0 ? "prefill" : "decode");
      EXPECT_EQ(one["depth"], i < 2 ? 0 : 9);
      EXPECT_EQ(one["tokens"], i % 2 == 0 ? 6 : 4);
      ASSERT_EQ(one["each"].size(), 2u);
      const double first = one["each"][0], second = one["each"][1], mean = one["tokens_per_second"];
      EXPECT_GT(std::min(first, second), 0);
      EXPECT_NEAR(mean, (first + second) / 2, 1e-9 * mean);
      EXPECT_EQ(one["bytes_per_token"] > 0, i % 2 == 1);
      EXPECT_GT(one["multiply_adds_per_token"], 0);
      EXPECT_EQ(one["share"].is_null(), backend != "cpu");
      if (backend == "cpu") EXPECT_GT(one["share"], 0);
    }
    EXPECT_EQ(out["results"][3]["weight_bytes_per_token"], out["results"][1]["weight_bytes_per_token"]);
    EXPECT_GT(out["results"][3]["bytes_per_token"], out["results"][1]["bytes_per_token"]);  // the cache
    for (const char* key : {"threads", "read_bytes_per_second", "multiply_adds_per_second", "instruction_set"}) {
      EXPECT_EQ(out.at(key).is_null(), backend != "cpu") << key;
    }
  }
  expect_error("bench" + model() + " --backend cpu --kernels", 2, "--kernels needs a GPU");
  EXPECT_EQ(run("bench" + model() + " -p 6 -n 0 -r 1 --csv --backend cpu"), 0);
  const std::string csv = read("out");
  EXPECT_EQ(csv.find("phase,depth,tokens,"), 0u);
  EXPECT_NE(csv.find("\nprefill,0,6,1,"), std::string::npos) << csv;
  expect_error("bench" + model() + " --backend cpu -d 1,,2", 2, "-d is '1,,2', not numbers of tokens");
  expect_error("bench" + model() + " --backend cpu -p 0 -n 0", 2, "-p and -n are both 0");
  expect_error("bench" + model() + " --backend cpu --json --csv", 2, "either --json or --csv");
}

// Of a GPU, where the adapter can time them.
TEST_F(EngineCli, BenchTimesEachKernel) {
  if (backends_.size() == 1) GTEST_SKIP() << "no WebGPU adapter";
  const std::string command = "bench" + model() + " -p 6 -n 4 -d 0,9 -r 1 --backend webgpu --kernels --json";
  if (run(command) != 0) {
    EXPECT_NE(read("err").find("the adapter has no timestamp queries"), std::string::npos) << read("err");
    GTEST_SKIP() << read("err");
  }
  const json out = json::parse(read("out"));
  EXPECT_TRUE(out.at("threads").is_null());
  EXPECT_GT(out.at("read_bytes_per_second"), 0);
  EXPECT_GT(out.at("multiply_adds_per_second"), 0);
  EXPECT_GT(out["results"][0]["share"], 0);
  ASSERT_EQ(out["kernels"].size(), 2u);
  for (const json& kernels : out["kernels"]) {
    EXPECT_EQ(kernels["prefilled"], 5);
    for (const bool decode : {false, true}) {
      double shares = 0, dispatches = 0, picks = 0;
      for (const json& kernel : kernels[decode ? "decode" : "prefill"]) {
        const double count = kernel["dispatches"].get<double>();
        shares += kernel["share"].get<double>();
        dispatches += count;
        if (kernel["kernel"].get<std::string>().starts_with("sample_pick")) picks += count;
      }
      EXPECT_NEAR(shares, 1, 1e-6);
      EXPECT_EQ(dispatches, std::floor(dispatches));  // of a token, or of the chunk, whole
      EXPECT_EQ(picks, decode ? 1 : 0);
    }
  }
}

TEST_F(EngineCli, GenerateJsonHasItsExactForm) {
  std::vector<json> tokens;
  for (const std::string& backend : backends_) {
    const json out =
        run_json("generate" + model() + " --tokens 5,6,7 -n 20 --ignore-eos --json --backend " + backend + " --kv f32");
    EXPECT_EQ(keys(out),
              (std::set<std::string>{"prompt_tokens", "tokens", "text", "finish_reason", "timings", "counters"}));
    EXPECT_EQ(out["prompt_tokens"], 3);
    EXPECT_EQ(out["tokens"].size(), 20u);
    EXPECT_TRUE(out["text"].is_string());
    EXPECT_EQ(out["finish_reason"], "length");
    EXPECT_EQ(keys(out["timings"]), (std::set<std::string>{"load_ms", "prefill_tps", "decode_tps"}));
    for (const auto& [key, value] : out["timings"].items()) EXPECT_GT(value.get<double>(), 0) << key;
    const json& counters = out["counters"];
    EXPECT_EQ(keys(counters), (std::set<std::string>{"dispatches_per_token", "submits_per_token",
                                                     "buffers_created_after_load", "bind_groups_created_after_load",
                                                     "pipelines_created_after_load", "readback_bytes_per_token"}));
    for (const char* kind : {"buffers", "bind_groups", "pipelines"})
      EXPECT_EQ(counters[std::string(kind) + "_created_after_load"], 0);
    const bool gpu = backend == "webgpu";
    EXPECT_EQ(counters["readback_bytes_per_token"], gpu ? 4 : 0);
    EXPECT_EQ(counters["submits_per_token"], gpu ? 1 : 0);
    EXPECT_LE(counters["dispatches_per_token"], gpu ? 8 * 2 + 6 : 0);
    tokens.push_back(out["tokens"]);
  }
  EXPECT_EQ(tokens.front(), tokens.back());  // on both back ends
}

TEST_F(EngineCli, GenerateStreamsTheSameText) {
  for (const std::string& backend : backends_) {
    const std::string arguments = "generate" + model() +
                                  " -p word -n 12 --temp 0.9 --top-k 40 --top-p 0.95 --min-p 0.01 --backend " +
                                  backend + " --seed 3";
    const json out = run_json(arguments + " --json");
    ASSERT_EQ(run(arguments), 0) << read("err");
    const std::string text = out["text"];
    if (text.find("\xef\xbf\xbd") == text.npos) EXPECT_EQ(read("out"), text + "\n");
    EXPECT_NE(run_json(arguments + "4 --json")["tokens"], out["tokens"]);  // another seed
  }
}

TEST_F(EngineCli, GenerateEndsForItsReasons) {
  for (const std::string& backend : backends_) {
    const std::string base = "generate" + model() + " --tokens 5,6,7 --ignore-eos --json --backend " + backend;
    EXPECT_EQ(run_json(base + " -n 0")["tokens"], json::array());
    const json full = run_json(base + " -n 100 --ctx 16");
    EXPECT_EQ(full["finish_reason"], "context");
    EXPECT_EQ(full["tokens"].size(), 14u);
    EXPECT_EQ(full["counters"]["buffers_created_after_load"], 0);
  }
  expect_error("generate" + model() + " --tokens 1,2,3 --ctx 2 --backend cpu", 1,
               "the prompt has 3 tokens, more than the context length 2");
  expect_error("generate" + model() + " -n 3", 2, "either -p TEXT or --tokens IDS");
  expect_error("generate" + model() + " -p a --tokens 1", 2, "either -p TEXT or --tokens IDS");
  expect_error("generate" + model() + " --tokens 1 --temp -1", 2, "--temp");
}

// Unasked, software that plays a GPU is none; who names the back end gets any.
TEST_F(EngineCli, SoftwareIsTakenOnlyWhereItIsAskedFor) {
  const auto hardware = gpu::create_native_device({.hardware_only = true});
  for (const char* backend : {"", " --backend auto"}) {
    const json out = run_json("generate" + model() + " --tokens 5,6,7 -n 4 --ignore-eos --json" + backend);
    EXPECT_EQ(out["counters"]["submits_per_token"], hardware ? 1 : 0);
    const std::string note = "pronk: " + (hardware ? "" : hardware.error().message) + "; running on the CPU\n";
    if (!hardware) EXPECT_TRUE(read("err").ends_with(note)) << read("err");  // drivers may have their say before
  }
}

TEST_F(EngineCli, PlanEqualsTheAllocation) {
  for (const std::string& backend : backends_) {
    for (const char* context : {"", " --ctx 33", " --ctx 2000 --kv f32"}) {
      const json out = run_json("plan" + model() + " --allocate --json --backend " + backend + context);
      u64 sum = 0;
      for (const char* kind : {"weights", "kv_cache", "activations", "parameters", "staging", "readback"}) {
        EXPECT_EQ(out[kind], out["allocated"][kind]) << kind;
        sum += out[kind].get<u64>();
      }
      EXPECT_EQ(out["total"], sum);
      EXPECT_EQ(out["allocated"]["total"], sum);
    }
    EXPECT_FALSE(run_json("plan" + model() + " --json --backend " + backend).contains("allocated"));
    ASSERT_EQ(run("plan" + model() + " --allocate --backend " + backend), 0);
    EXPECT_NE(read("out").find("kv_cache"), std::string::npos);
  }
}

TEST_F(EngineCli, PerplexityEqualsADirectComputation) {
  const auto model_header = open_model({*read_file(path("model.gguf"))});
  ASSERT_TRUE(model_header);
  const auto tokens = (*model_header)->tokenizer().encode(read("text"));
  ASSERT_TRUE(tokens);
  ASSERT_GT(tokens->size(), 100u);
  for (const u32 context : {64u, 23u}) {
    double total = 0;
    u64 counted = 0;
    for (u64 begin = 0; begin < tokens->size(); begin += context) {
      const std::vector<u32> window(tokens->begin() + i64(begin),
                                    tokens->begin() + i64(std::min<u64>(begin + context, tokens->size())));
      const std::vector<double> logits = reference(window);
      for (u64 i = 0; i + 1 < window.size(); ++i, ++counted) {
        const double* row = &logits[i * 300];
        double sum = 0;
        for (u32 token = 0; token < 300; ++token) sum += std::exp(row[token]);
        total += std::log(sum) - row[window[i + 1]];
      }
    }
    for (const std::string& backend : backends_) {
      const json out = run_json("perplexity" + model() + " -f " + path("text") + " --ctx " + std::to_string(context) +
                                " --kv f32 --activations f32 --json --backend " + backend);
      EXPECT_EQ(keys(out), (std::set<std::string>{"perplexity", "tokens"}));
      EXPECT_EQ(out["tokens"], counted);
      EXPECT_NEAR(out["perplexity"].get<double>() / std::exp(total / double(counted)), 1, 1e-5) << backend;
    }
  }
  expect_error("perplexity" + model() + " -f " + path("text") + " --ctx 1 --backend cpu", 1,
               "the context length leaves no token to predict");
  expect_error("perplexity" + model() + " -f " + path("nothing") + " --backend cpu", 1, "nothing");
}

}  // namespace
}  // namespace pronk::test
