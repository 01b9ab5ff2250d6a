// The program as others call it: exact forms, exit status, one line on stderr.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/bytes.h"
#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "formats/format.h"
#include "support/files.h"
#include "support/gguf.h"
#include "support/random_blocks.h"

namespace pronk {
namespace {

struct Ran {
  int status = -1;
  std::string out;  // with stderr behind it
};

Ran run(const std::string& arguments, const std::string& redirect = " 2>&1") {
  Ran ran;
  std::FILE* pipe = ::popen(("timeout 1500 " PRONK_BINARY_DIR "/pronk " + arguments + redirect).c_str(), "r");
  if (!pipe) return ran;
  char part[65536];
  while (const std::size_t count = std::fread(part, 1, sizeof part, pipe)) ran.out.append(part, count);
  const int status = ::pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

std::string temporary(const std::string& name) { return testing::TempDir() + "pronk-cli-test-" + name; }

std::string write_file(const std::string& name, const std::vector<u8>& bytes) {
  const std::string path = temporary(name);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  return path;
}

TEST(Cli, HelpAndVersion) {
  EXPECT_EQ(run("--help").status, 0);
  EXPECT_NE(run("--help").out.find("\n  inspect"), std::string::npos);
  EXPECT_EQ(run("--version").out.substr(0, 6), "pronk ");
  for (const char* command : {"inspect", "dequant", "synth"}) {
    const Ran help = run(std::string(command) + " --help");
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("--help"), std::string::npos);
  }
}

TEST(Cli, BadUsageIsStatus2AndOneLine) {
  const std::map<std::string, std::string> cases = {
      {"", "pronk: a command is missing; pronk --help lists them\n"},
      {"nonsense", "pronk: unknown command 'nonsense'; pronk --help lists them\n"},
      {"inspect", "pronk inspect: FILE is missing\n"},
      {"inspect a b", "pronk inspect: unexpected argument 'b'\n"},
      {"inspect a --what", "pronk inspect: unknown option '--what'\n"},
      {"inspect a --json --json", "pronk inspect: --json is given twice\n"},
      {"inspect a --json=1", "pronk inspect: --json takes no value\n"},
      {"dequant --type F16 --in x", "pronk dequant: --out is missing\n"},
      {"dequant --type", "pronk dequant: --type needs a value\n"},
      {"synth --preset nothing",
       "pronk synth: --preset is 'nothing', not one of smollm2-135m|qwen2.5-0.5b|qwen3-0.6b|"
       "llama-3.2-1b|llama-3.2-3b|llama-3.1-8b|"
       "gemma-3-270m|gemma-3-1b|qwen3.5-0.8b|lfm2-350m|granite-4.0-h-350m|smollm3-3b|ministral-3-3b|gpt-oss-20b|"
       "qwen3-30b-a3b\n"},
      {"synth --seed 1x", "pronk synth: --seed is '1x', not a whole number\n"},
  };
  for (const auto& [arguments, message] : cases) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 2) << arguments;
    EXPECT_EQ(ran.out, message) << arguments;
  }
}

TEST(Cli, FailuresAreStatus1AndOneLine) {
  const std::string text = write_file("text.gguf", {'h', 'e', 'l', 'l', 'o'});
  const std::map<std::string, std::string> cases = {
      {"inspect /nowhere/x.gguf", "pronk: /nowhere/x.gguf: No such file or directory\n"},
      {"inspect /dev/null", "pronk: /dev/null: not a regular file\n"},
      {"inspect " + text, "pronk: " + text + ": magic: not a GGUF file\n"},
      {"dequant --type Q8_0 --in " + text + " --out /nowhere/y",
       "pronk: " + text + ": 5 bytes are not a multiple of the 34 bytes in a block of Q8_0\n"},
      {"synth --preset smollm2-135m --type Q4_0 --out /nowhere/y", "pronk: /nowhere/y: No such file or directory\n"},
      {"synth --preset smollm2-135m --type Q4_K --out /nowhere/y",
       "pronk: tensor 'token_embd.weight' has rows of 576 weights, not a multiple of the 256 in a block of Q4_K\n"},
      {"synth --preset smollm2-135m --type Q4_0 --out /dev/full", "pronk: /dev/full: No space left on device\n"},
  };
  for (const auto& [arguments, message] : cases) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 1) << arguments;
    EXPECT_EQ(ran.out, message) << arguments;
  }
}

std::vector<u8> sample() {
  files::GgufWriter writer;
  writer.add_string("name", "caf\xc3\xa9 \xff");  // the last byte is not UTF-8
  writer.add_u64("big", ~u64{0});
  writer.add_i32("minus", -3);
  writer.add_f32("half", 0.5f);
  writer.add_bool("yes", true);
  writer.add_i32s("short", std::vector<i32>(16, 7));
  writer.add_strings("long", std::vector<std::string>(17, "w"));
  writer.add_tensor("a", 0, std::vector<u64>{4, 3});
  writer.add_tensor("b", 12, std::vector<u64>{256, 2});
  return test::write_gguf(writer);
}

TEST(CliInspect, SaysWhatIsInTheWay) {
  const Ran sampled = run("inspect --support " + write_file("sample.gguf", sample()));
  EXPECT_EQ(sampled.status, 1);
  EXPECT_NE(sampled.out.find("pronk: not supported: "), std::string::npos) << sampled.out;
  const std::string box = std::string(PRONK_SOURCE_DIR) + "/models/pronk-box.gguf";
  EXPECT_EQ(run("inspect --support " + box).out, "supported: architecture llama\n");
  const auto json = nlohmann::json::parse(run("inspect --support --json " + box).out, nullptr, false);
  EXPECT_EQ(json["supported"], true);
  EXPECT_EQ(json["missing"], "");
}

TEST(CliInspect, ListsArchitectures) {
  const auto names = nlohmann::json::parse(run("inspect --architectures --json").out, nullptr, false);
  ASSERT_TRUE(names.is_array());
  for (const char* name : {"llama", "gemma3", "qwen35", "gpt-oss", "deepseek2", "bert"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
  EXPECT_NE(run("inspect --architectures").out.find("llama\n"), std::string::npos);
  EXPECT_EQ(run("inspect --architectures x").status, 2);
}

TEST(CliInspect, Json) {
  const Ran ran = run("inspect --json " + write_file("sample.gguf", sample()));
  ASSERT_EQ(ran.status, 0) << ran.out;
  const auto json = nlohmann::json::parse(ran.out, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << ran.out;
  const auto& metadata = json["metadata"];
  EXPECT_EQ(metadata["name"], "caf\xc3\xa9 \xef\xbf\xbd");
  EXPECT_EQ(metadata["big"], ~u64{0});
  EXPECT_EQ(metadata["minus"], -3);
  EXPECT_EQ(metadata["half"], 0.5);
  EXPECT_EQ(metadata["yes"], true);
  EXPECT_EQ(metadata["short"], nlohmann::json(std::vector<int>(16, 7)));
  EXPECT_EQ(metadata["long"]["type"], "string");
  EXPECT_EQ(metadata["long"]["count"], 17);
  EXPECT_EQ(metadata["long"]["head"], nlohmann::json(std::vector<std::string>(16, "w")));
  ASSERT_EQ(json["tensors"].size(), 2u);
  const auto& b = json["tensors"][1];
  EXPECT_EQ(b["name"], "b");
  EXPECT_EQ(b["type"], "Q4_K");
  EXPECT_EQ(b["shape"], nlohmann::json({256, 2}));
  EXPECT_EQ(b["bytes"], 288);
  EXPECT_EQ(u64(b["offset"]), u64(json["tensors"][0]["offset"]) + 64);
  EXPECT_EQ(json["totals"]["tensors"], 2);
  EXPECT_EQ(json["totals"]["parameters"], 12 + 512);
  EXPECT_EQ(json["totals"]["bytes"], 48 + 288);
  EXPECT_EQ(json["totals"]["by_type"], nlohmann::json({{"F32", 48}, {"Q4_K", 288}}));
}

TEST(CliInspect, Text) {
  const Ran ran = run("inspect " + write_file("sample.gguf", sample()));
  ASSERT_EQ(ran.status, 0) << ran.out;
  for (const char* line : {"string[17] [\"w\", ", "…]", "u64 18446744073709551615", "[256,2]", "288 bytes",
                           "2 tensors, 524 weights, 336 bytes"}) {
    EXPECT_NE(ran.out.find(line), std::string::npos) << line << "\n" << ran.out;
  }
}

TEST(CliInspect, OpensAllSplitsFromAnyOne) {
  for (u16 number : {u16{0}, u16{1}}) {
    files::GgufWriter writer;
    writer.add_u16("split.no", number);
    writer.add_u16("split.count", 2);
    writer.add_i32("split.tensors.count", 2);
    writer.add_tensor(number == 0 ? "first" : "second", 0, std::vector<u64>{8});
    write_file(number == 0 ? "split-00001-of-00002.gguf" : "split-00002-of-00002.gguf", test::write_gguf(writer));
  }
  for (const char* name : {"split-00001-of-00002.gguf", "split-00002-of-00002.gguf"}) {
    const Ran ran = run("inspect --json " + temporary(name));
    ASSERT_EQ(ran.status, 0) << ran.out;
    const auto json = nlohmann::json::parse(ran.out, nullptr, false);
    EXPECT_EQ(json["tensors"].size(), 2u);
  }
  std::remove(temporary("split-00002-of-00002.gguf").c_str());
  const Ran ran = run("inspect " + temporary("split-00001-of-00002.gguf"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.out.find("split-00002-of-00002.gguf: No such file or directory"), std::string::npos) << ran.out;
}

TEST(CliDequant, EqualsTheCodec) {
  for (const formats::Format& format : formats::table()) {
    const u64 blocks = 5 * 65536 / format.block_weights / 2;  // more than one part, and a rest
    const std::vector<u8> raw = test::random_blocks(format, blocks, 1);
    std::vector<float> weights(blocks * format.block_weights);
    format.decode(raw.data(), blocks, weights.data());
    const std::string out = temporary("dequant.f32");
    const std::string in = write_file("dequant.raw", raw);
    const Ran ran = run("dequant --type " + std::string(format.name) + " --in " + in + " --out " + out);
    ASSERT_EQ(ran.status, 0) << ran.out;
    const auto bytes = test::read_file(out);
    ASSERT_EQ(bytes->size(), weights.size() * 4);
    EXPECT_EQ(std::memcmp(bytes->data(), weights.data(), bytes->size()), 0) << format.name;
  }
}

files::Gguf synth_header(const std::string& preset) {
  const Ran ran = run("synth --preset " + preset + " --type Q4_0 --out /dev/stdout", " 2>/dev/null | head -c 16777216");
  const std::span<const u8> bytes(reinterpret_cast<const u8*>(ran.out.data()), ran.out.size());
  Result<files::GgufPrefix> parsed = files::parse_gguf(bytes, std::nullopt);
  EXPECT_TRUE(parsed && parsed->gguf) << preset << (parsed ? "" : parsed.error().message);
  return std::move(*parsed->gguf);
}

TEST(CliSynth, EveryPresetHasItsModelsShape) {
  struct Shape {
    const char* preset;
    u64 parameters;  // by the models' cards: matrices, norms and biases, rope factors
    u32 layers, vocabulary;
  };
  constexpr Shape shapes[] = {
      {"smollm2-135m", 134515008, 30, 49152},        {"qwen2.5-0.5b", 494032768, 24, 151936},
      {"qwen3-0.6b", 596049920, 28, 151936},         {"llama-3.2-1b", 1235814400 + 32, 16, 128256},
      {"llama-3.2-3b", 3212749824 + 64, 28, 128256}, {"llama-3.1-8b", 8030261248 + 64, 32, 128256},
  };
  for (const Shape& shape : shapes) {
    const files::Gguf gguf = synth_header(shape.preset);
    u64 parameters = 0;
    for (const files::TensorInfo& tensor : gguf.tensors) parameters += tensor.weights();
    EXPECT_EQ(parameters, shape.parameters) << shape.preset;
    const std::string arch(*gguf.metadata.string_at("general.architecture"));
    EXPECT_EQ(*gguf.metadata.u32_at(arch + ".block_count"), shape.layers);
    EXPECT_EQ((*gguf.metadata.strings_at("tokenizer.ggml.tokens"))->count(), shape.vocabulary);
  }
}

TEST(CliSynth, VocabularyIsWhole) {
  for (const char* preset : {"smollm2-135m", "qwen2.5-0.5b", "llama-3.2-1b"}) {
    const files::Gguf gguf = synth_header(preset);
    const files::Array& tokens = **gguf.metadata.strings_at("tokenizer.ggml.tokens");
    const files::Array& types = **gguf.metadata.integers_at("tokenizer.ggml.token_type");
    const files::Array& merges = **gguf.metadata.strings_at("tokenizer.ggml.merges");
    std::set<std::string_view> known;
    for (u64 i = 0; i < tokens.count(); ++i) EXPECT_TRUE(known.insert(tokens.string(i)).second) << tokens.string(i);
    u64 specials = 0;
    for (u64 i = 0; i < types.count(); ++i) specials += types.integer(i) == 3;
    EXPECT_EQ(merges.count() + 256 + specials, tokens.count());
    for (u64 i = 0; i < merges.count(); ++i) {
      const std::string merge(merges.string(i));
      const std::size_t space = merge.find(' ');
      ASSERT_NE(space, merge.npos);
      const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
      EXPECT_TRUE(known.contains(left) && known.contains(right) && known.contains(left + right)) << merge;
    }
    for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"}) {
      EXPECT_EQ(types.integer(*gguf.metadata.u32_at(key)), 3) << key;
    }
  }
}

double deviation(const files::Gguf& gguf, const std::vector<u8>& file, const char* name, double& mean) {
  const files::TensorInfo& tensor = *gguf.find(name);
  const formats::Format& format = *formats::find(tensor.type);
  std::vector<float> weights(tensor.weights());
  format.decode(file.data() + tensor.offset, weights.size() / format.block_weights, weights.data());
  double sum = 0, squares = 0;
  for (float weight : weights) {
    sum += weight;
    squares += double(weight) * weight;
  }
  mean = sum / double(weights.size());
  return std::sqrt(squares / double(weights.size()) - mean * mean);
}

TEST(CliSynth, WeightsAreSaneAndRepeatForASeed) {
  const std::string path = temporary("synth.gguf");
  std::vector<std::vector<u8>> files;
  for (const char* seed : {"", " --seed 0", " --seed 1"}) {
    ASSERT_EQ(run("synth --preset smollm2-135m --type Q4_0 --out " + path + seed).status, 0);
    files.push_back(*test::read_file(path));
  }
  std::remove(path.c_str());
  EXPECT_TRUE(files[0] == files[1]);
  EXPECT_FALSE(files[0] == files[2]);
  ASSERT_EQ(files[0].size(), files[2].size());
  const Result<files::GgufPrefix> parsed = files::parse_gguf(files[0], files[0].size());
  ASSERT_TRUE(parsed && parsed->gguf);
  double mean = 0;
  EXPECT_NEAR(deviation(*parsed->gguf, files[0], "blk.3.ffn_down.weight", mean), 1 / std::sqrt(1536.0), 0.001);
  EXPECT_NEAR(mean, 0, 0.001);
  EXPECT_NEAR(deviation(*parsed->gguf, files[0], "blk.29.attn_norm.weight", mean), 0.05, 0.01);
  EXPECT_NEAR(mean, 1, 0.02);
}

}  // namespace
}  // namespace pronk
