// A Hugging Face model's tokenizer files as a Vocabulary with a Pipeline. The format is that of the library tokenizers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/quote.h"
#include "files/json.h"
#include "text/pipeline_json.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

using files::Json;
using files::JsonKind;
using files::JsonValue;

constexpr u64 most_ids = 1 << 22;  // a table of all ids is made, with holes where the file has them

Result<Json> parse_file(std::string_view name, std::string_view text) {
  if (text.empty()) return Json();
  auto json = Json::parse(std::string(text));
  if (!json) return fail(json.error().code, std::string(name) + ": " + json.error().message);
  return json;
}

// A token is written as a text, or as an object with flags.
std::string_view token_text(JsonValue value) {
  if (value.is(JsonKind::object)) value = value["content"];
  return value.string().value_or(std::string_view());
}

class Loader {
 public:
  explicit Loader(const Json& json) : root_(json.root()) {}

  Result<Vocabulary> run() {
    PRONK_OK(load_model_kind());
    PRONK_OK(load_pieces());
    PRONK_OK(load_added());
    PRONK_OK(load_spellings());
    PRONK_OK(load_model());
    PRONK_OK(load_pipeline());
    PRONK_TRY(const Ends ends, read_post_processor(root_["post_processor"]));
    PRONK_OK(resolve(ends.prefix, out_.prefix));
    PRONK_OK(resolve(ends.suffix, out_.suffix));
    pipeline_.joins_bytes = pipeline_.decoder.joins_bytes;
    out_.pipeline = std::make_unique<const Steps>(std::move(pipeline_));
    return std::move(out_);
  }

 private:
  struct Added {
    std::string_view content;
    bool normalized = false;
    AddedTokens::Token token;
  };

  Status load_model_kind() {
    PRONK_TRY(model_, root_.object_at("model"));
    constexpr std::pair<std::string_view, PieceModel> models[] = {
        {"BPE", PieceModel::bpe},
        {"Unigram", PieceModel::unigram},
        {"WordPiece", PieceModel::word_piece},
        {"WordLevel", PieceModel::word_level},
    };
    const std::string_view untyped = model_["merges"].present()                     ? "BPE"
                                     : model_["vocab"].is(JsonKind::array)          ? "Unigram"
                                     : model_["max_input_chars_per_word"].present() ? "WordPiece"
                                                                                    : "WordLevel";
    PRONK_TRY(const std::string_view type, model_.string_or("type", untyped));
    for (const auto& [name, model] : models) {
      if (name != type) continue;
      pipeline_.model = model;
      return {};
    }
    return unsupported("the model", type);
  }

  Status load_pieces() {
    if (pipeline_.model == PieceModel::unigram) {
      PRONK_TRY(const JsonValue vocab, model_.array_at("vocab"));
      for (const JsonValue entry : vocab) {
        const bool is_pair = entry.is(JsonKind::array) && entry.count() == 2;
        if (!is_pair) return entry.error("a piece and its score are wanted");
        auto at = entry.begin();
        PRONK_TRY(const std::string_view piece, (*at).string());
        PRONK_TRY(const double score, (*++at).number());
        pieces_.emplace_back(piece, u32(pieces_.size()));
        out_.scores.push_back(score);
      }
      return check_ids();
    }
    PRONK_TRY(const JsonValue vocab, model_.object_at("vocab"));
    for (const JsonValue entry : vocab) {
      PRONK_TRY(const u64 id, entry.integer());
      if (id >= most_ids) return entry.error("the id " + std::to_string(id) + " is too large");
      pieces_.emplace_back(entry.key(), u32(id));
    }
    return check_ids();
  }

  Status check_ids() const { return pieces_.empty() ? fail("the model's vocab is empty") : Status{}; }

  Status load_added() {
    if (!root_["added_tokens"].has_value()) return {};
    PRONK_TRY(const JsonValue list, root_.array_at("added_tokens"));
    for (const JsonValue entry : list) {
      Added added;
      PRONK_TRY(added.content, entry.string_at("content"));
      PRONK_TRY(const u64 id, entry.integer_at("id"));
      if (added.content.empty()) return entry.error("an added token without content");
      if (id >= most_ids) return entry.error("the id " + std::to_string(id) + " is too large");
      added.token.id = u32(id);
      PRONK_TRY(added.token.control, entry.boolean_or("special", false));
      PRONK_TRY(added.normalized, entry.boolean_or("normalized", !added.token.control));
      PRONK_TRY(added.token.single_word, entry.boolean_or("single_word", false));
      PRONK_TRY(added.token.strips_left, entry.boolean_or("lstrip", false));
      PRONK_TRY(added.token.strips_right, entry.boolean_or("rstrip", false));
      added_.push_back(added);
    }
    return {};
  }

  // All tokens by id. An added token that the vocabulary has too is the vocabulary's, whatever id it is given.
  Status load_spellings() {
    u32 count = 0;
    for (const auto& [piece, id] : pieces_) count = std::max(count, id + 1);
    for (const Added& each : added_) count = std::max(count, each.token.id + 1);
    std::vector<std::string_view> spellings(count);
    out_.types.assign(count, TokenType::unused);
    for (const auto& [piece, id] : pieces_) {
      if (out_.types[id] != TokenType::unused) return fail("two pieces have the id " + std::to_string(id));
      spellings[id] = piece;
      out_.types[id] = TokenType::normal;
    }
    PRONK_OK(out_.spellings.load(spellings, "vocab"));
    bool adds = false;
    for (Added& each : added_) {
      if (const u32 id = out_.spellings.find(each.content); id != no_token) each.token.id = id;
      std::string_view& spelling = spellings[each.token.id];
      if (!spelling.empty() && spelling != each.content) {
        return fail("the added token " + quoted(each.content) + " has the id of " + quoted(spelling));
      }
      adds = adds || spelling.empty();
      spelling = each.content;
      out_.types[each.token.id] = each.token.control ? TokenType::control : TokenType::user_defined;
    }
    out_.unknown = no_token;
    if (!adds) return {};
    out_.spellings = Spellings();
    return out_.spellings.load(spellings, "vocab");
  }

  Status load_model() {
    PRONK_TRY(pipeline_.byte_fallback, model_.boolean_or("byte_fallback", false));
    for (u32 byte = 0; byte < 256; ++byte) out_.byte_tokens[byte] = out_.spellings.find(byte_spelling(u8(byte)));
    switch (pipeline_.model) {
      case PieceModel::bpe:
        return load_bpe();
      case PieceModel::unigram:
        return load_unigram();
      case PieceModel::word_piece: {
        PRONK_TRY(pipeline_.continuing_prefix, model_.string_or("continuing_subword_prefix", "##"));
        PRONK_TRY(const u64 longest, model_.integer_or("max_input_chars_per_word", 100));
        pipeline_.longest_word = u32(std::min<u64>(longest, 10000));
        return load_unknown("[UNK]");
      }
      case PieceModel::word_level:
        return load_unknown("<unk>");
    }
  }

  Status load_unknown(std::string_view fallback) {
    PRONK_TRY(const std::string_view unknown, model_.string_or("unk_token", fallback));
    if (unknown.empty()) return {};
    out_.unknown = out_.spellings.find(unknown);
    if (out_.unknown == no_token) return fail("unk_token " + quoted(unknown) + " is not in the vocabulary");
    return {};
  }

  Status load_bpe() {
    PRONK_TRY(pipeline_.ignores_merges, model_.boolean_or("ignore_merges", false));
    PRONK_TRY(pipeline_.fuses_unknown, model_.boolean_or("fuse_unk", false));
    PRONK_TRY(pipeline_.continuing_prefix, model_.string_or("continuing_subword_prefix", ""));
    PRONK_TRY(pipeline_.word_suffix, model_.string_or("end_of_word_suffix", ""));
    PRONK_TRY(const double dropout, model_.number_or("dropout", 0));
    if (dropout != 0) return unsupported("the model's", "dropout");
    PRONK_OK(load_unknown(""));
    PRONK_TRY(const JsonValue merges, model_.array_at("merges"));
    PRONK_OK(out_.merges.reserve(merges.count(), "merges"));
    for (const JsonValue entry : merges) PRONK_OK(load_merge(entry));
    return {};
  }

  Status load_merge(JsonValue entry) {
    std::string_view left, right;
    if (entry.is(JsonKind::array)) {
      if (entry.count() != 2) return entry.error("a merge of other than two parts");
      auto at = entry.begin();
      PRONK_TRY(left, (*at).string());
      PRONK_TRY(right, (*++at).string());
    } else {
      PRONK_TRY(const std::string_view both, entry.string());
      const u64 space = both.find(' ');
      if (space == std::string_view::npos || both.find(' ', space + 1) != std::string_view::npos) {
        return entry.error("the merge " + quoted(both) + " is not two parts with a space between");
      }
      left = both.substr(0, space);
      right = both.substr(space + 1);
    }
    const u64 prefix = pipeline_.continuing_prefix.size();
    if (right.size() < prefix) return entry.error("the merge's second part is shorter than the prefix");
    std::string joined(left);
    joined += right.substr(prefix);
    const Merge merge{out_.spellings.find(left), out_.spellings.find(right), out_.spellings.find(joined)};
    if (merge.left == no_token || merge.right == no_token || merge.result == no_token) {
      return entry.error("the merge of " + quoted(left) + " and " + quoted(right) + ": not all is in the vocabulary");
    }
    out_.merges.add(merge);
    return {};
  }

  Status load_unigram() {
    constexpr double unknown_penalty = 10;  // SentencePiece's kUnkPenalty
    double lowest = std::numeric_limits<double>::max();
    for (const double score : out_.scores) {
      if (!std::isfinite(score)) return fail("a score of the vocab is not finite");
      lowest = std::min(lowest, score);
    }
    out_.unknown_score = lowest - unknown_penalty;
    out_.scores.resize(out_.spellings.count(), lowest);
    PRONK_TRY(const u64 unknown, model_.integer_at("unk_id"));
    if (unknown >= pieces_.size()) return fail("unk_id is " + std::to_string(unknown) + ", which is no piece");
    out_.unknown = u32(unknown);
    const u32 pieces = u32(pieces_.size());
    std::vector<u32> ids;
    for (u32 id = 0; id < pieces; ++id) {
      if (!out_.spellings[id].empty() && out_.types[id] != TokenType::control && id != out_.unknown) ids.push_back(id);
    }
    out_.pieces = PrefixIndex(out_.spellings, std::move(ids));
    return {};
  }

  Status load_pipeline() {
    PRONK_OK(read_normalizer(root_["normalizer"], pipeline_.normalizer));
    PRONK_OK(read_pre_tokenizer(root_["pre_tokenizer"], pipeline_.pre_tokenizer));
    PRONK_TRY(pipeline_.decoder, read_decoder(root_["decoder"]));
    out_.strips_leading_space = pipeline_.decoder.strips_leading_space;
    for (const bool normalized : {false, true}) {
      std::vector<std::string> spellings;
      std::vector<AddedTokens::Token> tokens;
      for (const Added& each : added_) {
        if (each.normalized != normalized) continue;
        PRONK_TRY(std::string spelling, normalized ? normalize(each.content) : std::string(each.content));
        spellings.push_back(std::move(spelling));
        tokens.push_back(each.token);
      }
      PRONK_OK((normalized ? pipeline_.normalized_added : pipeline_.raw_added).load(spellings, std::move(tokens)));
    }
    return {};
  }

  Result<std::string> normalize(std::string_view text) const {
    Pieces pieces{std::string(text), {{0, u32(text.size())}}, true};
    for (const Step& step : pipeline_.normalizer) {
      PRONK_OK(apply(step, most_normalized_bytes(text.size()), pieces));
    }
    return std::move(pieces.text);
  }

  Status resolve(const std::vector<u64>& ids, std::vector<u32>& out) const {
    for (const u64 id : ids) {
      if (id >= out_.spellings.count()) return fail("post_processor: there is no token " + std::to_string(id));
      out.push_back(u32(id));
    }
    return {};
  }

  JsonValue root_, model_;
  Vocabulary out_;
  Steps pipeline_;
  std::vector<std::pair<std::string_view, u32>> pieces_;
  std::vector<Added> added_;
};

// The token that a key names in the configuration, or else in special_tokens_map.json.
u32 named_token(const Vocabulary& v, JsonValue config, JsonValue map, std::string_view key) {
  std::string_view text = token_text(config[key]);
  if (text.empty()) text = token_text(map[key]);
  return v.spellings.find(text);
}

// Ids where a generation ends, one or a list; what is no token is left out.
void add_ends(JsonValue value, Vocabulary& v) {
  const auto add = [&](JsonValue each) {
    if (const auto id = each.integer(); id && *id < v.spellings.count()) v.ends.push_back(u32(*id));
  };
  add(value);
  if (value.is(JsonKind::array)) {
    for (const JsonValue each : value) add(each);
  }
}

// What the configuration says of bos and eos goes before the post-processor.
Status load_additions(JsonValue config, Vocabulary& v) {
  const auto choose = [&](std::string_view key, u32 token, std::vector<u32>& where) -> Status {
    if (!config[key].has_value() || token == no_token) return {};
    PRONK_TRY(const bool adds, config.boolean_at(key));
    if (adds && where.empty()) where = {token};
    if (!adds && where == std::vector<u32>{token}) where.clear();
    return {};
  };
  PRONK_OK(choose("add_bos_token", v.bos, v.prefix));
  PRONK_OK(choose("add_eos_token", v.eos, v.suffix));
  v.add_bos = !v.prefix.empty();
  v.add_eos = !v.suffix.empty();
  return {};
}

// One template, or several of which one is called default.
std::string_view chat_template_in(JsonValue config) {
  const JsonValue value = config["chat_template"];
  for (const JsonValue each : value) {
    const bool is_default = value.is(JsonKind::array) && token_text(each["name"]) == "default";
    if (is_default) return token_text(each["template"]);
  }
  return value.string().value_or(std::string_view());
}

}  // namespace

Result<Vocabulary> load_vocabulary(const TokenizerFiles& files) {
  PRONK_TRY(const Json tokenizer, parse_file("tokenizer.json", files.tokenizer));
  PRONK_TRY(const Json config_file, parse_file("tokenizer_config.json", files.config));
  PRONK_TRY(const Json map_file, parse_file("special_tokens_map.json", files.special_tokens_map));
  PRONK_TRY(const Json generation, parse_file("generation_config.json", files.generation_config));
  auto loaded = Loader(tokenizer).run();
  if (!loaded) return fail(loaded.error().code, "tokenizer.json: " + loaded.error().message);
  Vocabulary& v = *loaded;
  const JsonValue config = config_file.root(), map = map_file.root();
  v.bos = named_token(v, config, map, "bos_token");
  if (v.bos == no_token) v.bos = named_token(v, config, map, "cls_token");
  if (v.bos == no_token && !v.prefix.empty()) v.bos = v.prefix[0];
  v.eos = named_token(v, config, map, "eos_token");
  add_ends(generation.root()["eos_token_id"], v);
  if (v.eos == no_token && !v.ends.empty()) v.eos = v.ends[0];
  if (v.eos != no_token) v.ends.push_back(v.eos);
  add_known_ends(v);
  PRONK_OK(load_additions(config, v));
  v.chat_template = files.chat_template.empty() ? std::string(chat_template_in(config)) : files.chat_template;
  return loaded;
}

}  // namespace pronk::text
