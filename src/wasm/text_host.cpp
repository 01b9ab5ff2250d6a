// What of a text the host does: it has Unicode's tables, and pronk-folder.wasm has the steps of a tokenizer.json.
#include "text/host.h"

#include <algorithm>

namespace pronk::text {
namespace {

#define PRONK_IMPORT(name) __attribute__((import_module("pronk"), import_name(name)))

extern "C" {
PRONK_IMPORT("text_tokenizer") void host_tokenizer(const char* json, u32 size);  // for the calls that follow
// These return the size of their result, or -1 less that of the message of an error; text_take() then copies it.
PRONK_IMPORT("text_encode") i32 host_encode(const char* text, u32 size, u32 control);  // u32 ids
PRONK_IMPORT("text_decode") i32 host_decode(u32 id, u32 first);
PRONK_IMPORT("text_compose") i32 host_compose(const char* text, u32 size);
PRONK_IMPORT("text_take") void host_take(void* into);
}

Status append(i32 answer, std::string& out) {
  const u64 before = out.size();
  out.resize(before + u32(answer < 0 ? -1 - answer : answer));
  host_take(out.data() + before);
  return answer < 0 ? fail(out.substr(before)) : Status();
}

struct HostPipeline final : Pipeline {
  Status encode(const Vocabulary&, std::string_view text, bool control, std::vector<u32>& out) const override {
    std::string ids;
    PRONK_OK(append(host_encode(text.data(), u32(text.size()), control), ids));
    const auto* const first = reinterpret_cast<const u32*>(ids.data());
    out.insert(out.end(), first, first + ids.size() / sizeof(u32));
    return {};
  }
  void decode(const Vocabulary&, u32 id, bool first, std::string& out) const override {
    if (const Status done = append(host_decode(id, first), out); !done)
      out.resize(out.size() - done.error().message.size());
  }
};

}  // namespace

Status load_json_pipeline(const files::Metadata& metadata, Vocabulary& out) {
  PRONK_TRY(const std::string_view json, metadata.string_at(json_key));
  host_tokenizer(json.data(), u32(json.size()));
  auto pipeline = std::make_unique<HostPipeline>();
  PRONK_TRY(pipeline->joins_bytes, metadata.bool_or(joins_bytes_key, false));
  out.pipeline = std::move(pipeline);
  return {};
}

void append_composed(std::string_view text, std::string& out) {
  const bool ascii = std::ranges::all_of(text, [](char c) { return u8(c) < 0x80; });
  if (ascii || !append(host_compose(text.data(), u32(text.size())), out)) out += text;
}

}  // namespace pronk::text
