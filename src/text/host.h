// What the modules of engines leave to their host, as few models need it: defined in text/no_host.cpp for whoever has
// it, and in wasm/text_host.cpp. Internal to src/text.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "files/metadata.h"
#include "text/vocabulary.h"

namespace pronk::text {

// Keys of pronk's own in a GGUF file.
constexpr std::string_view nfc_key = "pronk.tokenizer.nfc";  // bool: texts are put into that form first
// A tokenizer.json, which then says how texts are encoded and decoded, and what of its files it does not say.
constexpr std::string_view json_key = "pronk.tokenizer.json";
constexpr std::string_view prefix_key = "pronk.tokenizer.prefix";  // ids around a text; suffix too
constexpr std::string_view suffix_key = "pronk.tokenizer.suffix";
constexpr std::string_view ends_key = "pronk.tokenizer.ends";  // ids that end an answer
constexpr std::string_view strips_space_key = "pronk.tokenizer.strips_leading_space";
constexpr std::string_view joins_bytes_key = "pronk.tokenizer.joins_bytes";

// Gives a vocabulary that has its spellings and types the pipeline of the tokenizer.json in the metadata; who has more
// of that file than its pipeline takes all from it.
Status load_json_pipeline(const files::Metadata& metadata, Vocabulary& out);

// Appends a text in NFC.
void append_composed(std::string_view text, std::string& out);

}  // namespace pronk::text
