// Which file of a repository is meant; `gguf_choices.json` holds for the web package, too.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "hub.h"
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
    const auto location = cli::find_location(name);
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

}  // namespace
}  // namespace pronk
