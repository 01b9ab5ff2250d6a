// Which file of a repository is meant; `gguf_choices.json` holds for the web package, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "hub.h"
#include "source.h"
#include "support/files.h"
#include "support/http_server.h"

namespace pronk {
namespace {

using nlohmann::json;

TEST(Hub, ChoosesTheModelThatIsMeant) {
  const auto bytes = test::read_file(PRONK_SOURCE_DIR "/tests/cli/gguf_choices.json");
  ASSERT_TRUE(bytes.has_value());
  for (const json& one : json::parse(*bytes)) {
    const auto choice = cli::choose_gguf("o/r", one["paths"].get<std::vector<std::string>>(), one.value("type", ""));
    EXPECT_EQ(choice.value_or(""), one.value("choice", "")) << one;
    EXPECT_EQ(choice ? "" : choice.error().message, one.value("error", "")) << one;
  }
}

TEST(Hub, KnowsItsNames) {
  const auto name = cli::parse_hub_name("hf:o/r@v1:Q4_K_M");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->repo + " " + name->revision + " " + name->type + name->path, "o/r v1 Q4_K_M");
  for (const char* bad : {"hf:o/r:", "hf:o/:Q4_K_M", "hf:o/r:Q4_K_M/m.gguf", "hf:o/r@:Q4_K_M"}) {
    EXPECT_FALSE(cli::parse_hub_name(bad)) << bad;
  }
}

TEST(Hub, ListsARepository) {
  test::HttpServer server;
  ::setenv("PRONK_HF_ENDPOINT", server.url("").c_str(), 1);
  const auto list = [&](std::string_view text) {
    server.put("/api/models/o/r/tree/main?recursive=1", {text.begin(), text.end()});
  };
  const std::string folder = server.url("/o/r/resolve/main/");
  const auto found = [](const char* name) {
    const auto location = cli::find_location(name, {});
    return location ? *location : location.error().message;
  };
  EXPECT_EQ(found("hf:o/r"), folder);  // the server gives no list
  EXPECT_EQ(found("hf:o/r:Q8_0"), server.url("") + " gives no list of the files of o/r");
  list(R"([{"type": "directory", "path": "x.gguf"}, {"type": "file", "path": "x.gguf/m-Q8_0.gguf"},
           {"type": "file", "path": "config.json"}, {"type": "file", "path": "x.gguf/y.safetensors"}])");
  EXPECT_EQ(found("hf:o/r"), folder + "x.gguf/m-Q8_0.gguf");
  EXPECT_EQ(found("hf:o/r/config.json"), folder + "config.json");
  list(R"([{"path": "model.safetensors"}, {"path": "m-Q8_0.gguf"}])");
  EXPECT_EQ(found("hf:o/r"), folder);
  EXPECT_EQ(found("hf:o/r:q8_0"), folder + "m-Q8_0.gguf");
  list(R"([{"path": 7}])");
  EXPECT_NE(found("hf:o/r").find("recursive=1: 'path'"), std::string::npos) << found("hf:o/r");
  server.stop();
  EXPECT_EQ(found("hf:o/r"), folder);  // as the cache may have it
  ::unsetenv("PRONK_HF_ENDPOINT");
}

// Without a network a name stands for what was downloaded by it.
TEST(Hub, KnowsWhatTheCacheHas) {
  std::string cache = testing::TempDir() + "pronk-hub-XXXXXX";
  ASSERT_NE(::mkdtemp(cache.data()), nullptr);
  test::HttpServer server;
  ::setenv("PRONK_HF_ENDPOINT", server.url("").c_str(), 1);
  const std::string r = server.url("/o/r/resolve/main/"), s = server.url("/o/s/resolve/main/");
  const std::string q8 = r + "m-Q8_0-0000";
  std::vector<std::string> urls{r + "m-Q4_K_M.gguf", q8 + "1-of-00002.gguf",  q8 + "2-of-00002.gguf",
                                s + "config.json",   s + "model.safetensors", s + "tokenizer.json"};
  for (const std::string& url : urls) {
    server.put(url.substr(server.url("").size()), {1, 2, 3});
    ASSERT_TRUE(cli::read_whole(url, {.cache = cache}, true).value().has_value());
  }
  server.stop();
  const auto location = [&](const std::string& name) {
    const auto found = cli::find_location(name, cache);
    return found ? *found : found.error().message;
  };
  EXPECT_EQ(location("hf:o/r"), urls[0]);
  EXPECT_EQ(location("hf:o/r:Q8_0"), urls[1]);
  EXPECT_EQ(location("hf:o/s"), s);
  EXPECT_EQ(location("hf:o/t"), server.url("/o/t/resolve/main/"));
  const auto cached = [&](const std::string& name) {
    auto found = cli::find_cached(name, cache);
    if (!found) return std::vector{found.error().message};
    std::ranges::sort(*found);
    return *found;
  };
  const std::vector<std::string> split(urls.begin() + 1, urls.begin() + 3), folder(urls.begin() + 3, urls.end());
  EXPECT_EQ(cached("hf:o/r"), std::vector{urls[0]});
  EXPECT_EQ(cached("hf:o/r:q8_0"), split);
  EXPECT_EQ(cached(urls[2]), split);
  EXPECT_EQ(cached("hf:o/s"), folder);
  EXPECT_EQ(cached(s), folder);
  EXPECT_EQ(cached("hf:o/s/config.json"), std::vector{urls[3]});
  EXPECT_EQ(cached("hf:o/t"), std::vector<std::string>{"the cache has nothing of 'hf:o/t'"});
  EXPECT_EQ(cached("hf:o/s/x.json"), std::vector{"the cache has no '" + s + "x.json'"});
  EXPECT_EQ(cached("hf:o/r:Q2_K")[0].find("o/r has no model of type Q2_K"), 0u);
  ::unsetenv("PRONK_HF_ENDPOINT");
  std::filesystem::remove_all(cache);
}

}  // namespace
}  // namespace pronk
