// Folders of servers, through the cache and without it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "commands.h"
#include "engine.h"
#include "logits.h"
#include "source.h"
#include "support/archs.h"
#include "support/files.h"
#include "support/folder_model.h"
#include "support/http_server.h"

namespace pronk {
namespace {

class RemoteFolder : public testing::Test {
 protected:
  void SetUp() override {
    cache_ = testing::TempDir() + "pronk-remote-XXXXXX";
    ASSERT_NE(::mkdtemp(cache_.data()), nullptr);
    put(folder_);
    url_ = server_.url("/m/");
  }
  void TearDown() override { std::filesystem::remove_all(cache_); }

  void put(const test::Folder& folder) {
    for (const auto& [name, text] : folder.texts) server_.put("/m/" + name, {text.begin(), text.end()});
    for (std::size_t i = 0; i < folder.weights.size(); ++i) {
      server_.put("/m/model-" + std::to_string(i + 1) + "-of-" + std::to_string(folder.weights.size()) + ".safetensors",
                  folder.weights[i]);
    }
  }

  // Of the model that the server has, or the error.
  Result<std::vector<float>> logits(const cli::SourceOptions& source) const {
    cli::EngineChoice choice{.location = url_, .backend = "cpu", .source = source};
    choice.options = {
        .context = 64, .kv = graph::KvType::f32, .activations = graph::Activations::f32, .threads = 1, .scoring = true};
    PRONK_TRY(const auto engine, cli::open_engine(choice));
    return test::score(*engine, test::some_tokens(20, 5, ModelSpec{}.vocab), false);
  }

  using ModelSpec = test::ModelSpec;
  const test::Folder folder_ = [] {
    test::Folder folder = test::folder_of({}, 2);
    folder.texts["tokenizer.json"] =
        R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})";
    return folder;
  }();
  test::HttpServer server_;
  std::string cache_, url_;
};

TEST_F(RemoteFolder, IsTheSameModel) {
  const auto model = test::open_folder(folder_);
  ASSERT_TRUE(model.has_value());
  const auto expected = logits({});
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  const auto kept = logits({.cache = cache_});
  ASSERT_TRUE(kept.has_value()) << kept.error().message;
  EXPECT_EQ(*kept, *expected);
  server_.take_requests();
  server_.stop();
  const auto offline = logits({.cache = cache_});
  ASSERT_TRUE(offline.has_value()) << offline.error().message;
  EXPECT_EQ(*offline, *expected);
}

// A folder of this machine and one of a server, kept or not, make the same file.
TEST_F(RemoteFolder, IsConvertedLikeOneAtHand) {
  const std::string here = cache_ + "/here/";
  std::filesystem::create_directories(here);
  const auto write = [&](const std::string& name, std::span<const char> bytes) {
    std::ofstream(here + name, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  };
  for (const auto& [name, text] : folder_.texts) write(name, text);
  for (std::size_t i = 0; i < folder_.weights.size(); ++i) {
    const auto& bytes = folder_.weights[i];
    write("model-" + std::to_string(i + 1) + "-of-2.safetensors",
          {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  const auto converted = [&](std::vector<const char*> arguments) {
    const std::string out = cache_ + "/out.gguf";
    arguments.insert(arguments.begin() + 1, out.c_str());
    std::filesystem::remove(out);
    const auto args = cli::parse_args(cli::convert_command, arguments);
    EXPECT_TRUE(args.has_value());
    const auto outcome = cli::convert_command.run(*args);
    EXPECT_TRUE(outcome.has_value()) << outcome.error().message;
    return test::read_file(out).value_or(std::vector<u8>());
  };
  for (const char* type : {"", "Q8_0"}) {
    std::vector<const char*> typed{here.c_str()};
    if (type[0]) typed.insert(typed.end(), {"--type", type});
    const auto expected = converted(typed);
    EXPECT_GT(expected.size(), 10'000u);
    typed[0] = url_.c_str();
    typed.push_back("--no-cache");
    EXPECT_EQ(converted(typed), expected);
  }
  const auto stored = converted({here.c_str()});
  const std::string config = url_ + "config.json";
  EXPECT_EQ(converted({config.c_str(), "--cache", cache_.c_str()}), stored);
  server_.stop();
  EXPECT_EQ(converted({url_.c_str(), "--cache", cache_.c_str()}), stored);
}

TEST_F(RemoteFolder, NamesWhatIsMissing) {
  server_.change([](auto& files, auto&) { files.erase("/m/model-2-of-2.safetensors"); });
  const auto without_weights = logits({});
  ASSERT_FALSE(without_weights.has_value());
  EXPECT_NE(without_weights.error().message.find("model-2-of-2.safetensors"), std::string::npos);
  server_.change([](auto& files, auto&) { files.erase("/m/config.json"); });
  const auto without_config = logits({});
  ASSERT_FALSE(without_config.has_value());
  EXPECT_EQ(without_config.error().message,
            url_ +
                " is no folder of a model: it has neither mlc-chat-config.json nor model.norm.weight.safetensors "
                "nor config.json");
  server_.stop();
  EXPECT_FALSE(logits({.cache = cache_}).has_value());
}

}  // namespace
}  // namespace pronk
