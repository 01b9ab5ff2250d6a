#include "sources/huggingface_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/quote.h"

namespace pronk::sources {

namespace {

using files::GgufWriter;
using files::JsonKind;
using files::JsonValue;

struct Key {
  std::string_view config, gguf;
  bool whole;     // else any number
  bool required;  // else it may have no default
};

constexpr u32 most_layers = 1 << 16, most_head = 1 << 16;
constexpr u64 most_members = 10000;  // of config.json: each look-up is a walk over them
constexpr std::string_view kv_heads_key = "num_key_value_heads", rotated_layers_key = "no_rope_layers";
constexpr std::string_view sparsity_key = "activation_sparsity_pattern";

constexpr Key keys[] = {
    {"num_hidden_layers", "block_count", true, true},
    {"hidden_size", "embedding_length", true, true},
    {"intermediate_size", "feed_forward_length", true, true},
    {"num_attention_heads", "attention.head_count", true, true},
    {kv_heads_key, "attention.head_count_kv", true, false},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", false, false},
    {"layer_norm_eps", "attention.layer_norm_epsilon", false, false},
};

// Keys that change what a model computes and have no counterpart: nothing, null and false only, unless the family knows
// them.
constexpr std::string_view unknown_when_set[] = {"use_sliding_window",
                                                 "attn_logit_softcapping",
                                                 "use_bidirectional_attention",
                                                 "qk_layernorm",
                                                 "add_cross_attention",
                                                 "is_decoder",
                                                 "clip_qkv",
                                                 "conv_bias",
                                                 "use_cla",
                                                 "attn_layer_indices",
                                                 "rotary_emb_scale_base",
                                                 "rotary_scaling_factor"};

// Models around a decoder whose text sees what comes behind it.
constexpr std::string_view not_causal[] = {"paligemma", "diffusion_gemma"};

// What of MLC's models pronk runs, and the keys that they have under other names.
constexpr std::string_view mlc_types[] = {"llama", "qwen2", "qwen3"};
constexpr std::string_view mlc_quantizations[] = {"q0f16", "q0f32", "q4f16_1", "q4f32_1"};
constexpr Pairs mlc_names = "rope_theta position_embedding_base max_position_embeddings context_window_size";

// Numbers are compared as such, both read by one reader: std::from_chars of doubles is 17 kB, gzipped.
bool is_value(JsonValue value, std::string_view wanted) {
  if (const auto number = value.number()) {
    const auto json = files::Json::parse(std::string(wanted));
    const auto wanted_number = json ? json->root().number() : std::unexpected(json.error());
    return wanted_number && *wanted_number == *number;
  }
  if (const auto flag = value.boolean()) return wanted == (*flag ? "true" : "false");
  return value.string().value_or("") == wanted;
}

std::unexpected<Error> unsupported(std::string_view key, std::string_view value) {
  return fail(ErrorCode::unsupported, quoted(key) + " is " + quoted(value) + ": not supported");
}

constexpr u32 ranking = 4;  // pooling_type: a network on the first token gives scores

bool ranks(JsonValue architectures) {
  for (const JsonValue name : architectures) {
    if (name.string().value_or("").ends_with("ForSequenceClassification")) return true;
  }
  return false;
}

Result<std::vector<i32>> integers(JsonValue array) {
  std::vector<i32> numbers;
  for (const JsonValue each : array) {
    PRONK_TRY(const u64 number, each.integer());
    if (number > 0x7fffffff) return each.error("is out of range");
    numbers.push_back(i32(number));
  }
  return numbers;
}

// That by which all but the first of so many layers slide.
Result<u32> period_of(const std::vector<i32>& slides) {
  u32 period = 1;
  while (period < slides.size() && slides[period] != 0) ++period;
  for (u32 i = 0; i < slides.size(); ++i) {
    if ((slides[i] != 0) != (i % period != 0)) return fail(ErrorCode::unsupported, "'layer_types' has no period");
  }
  return period;
}

Result<std::vector<float>> floats(JsonValue array) {
  PRONK_OK(array.array());
  std::vector<float> numbers;
  for (const JsonValue each : array) {
    PRONK_TRY(const double number, each.number());
    numbers.push_back(float(number));
  }
  return numbers;
}

// Where the normal distribution's integral is p.
double normal_quantile(double p) {
  double low = -40, high = 40;
  for (u32 i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < p ? low : high) = middle;
  }
  return low;
}

Result<std::string_view> rope_type(JsonValue rope) {
  PRONK_TRY(const std::string_view old_name, rope.string_or("type", "default"));
  return rope.string_or("rope_type", old_name);
}

// The first of two that has a value.
JsonValue either(JsonValue first, JsonValue second) { return first.has_value() ? first : second; }

}  // namespace

Result<Config> Config::read(JsonValue root) {
  PRONK_OK(root.object());
  const JsonValue text = root["text_config"], given = text.is(JsonKind::object) ? text : root;
  for (const JsonValue around = root["model_type"]; const std::string_view type : not_causal) {
    if (text.is(JsonKind::object) && around.string().value_or("") == type) return unsupported("model_type", type);
  }
  PRONK_TRY(const std::string_view type, given.string_at("model_type"));
  PRONK_TRY(Config config, of_type(type == "llama_aqlm" ? "llama" : type, given));  // as the first AQLM models have it
  PRONK_OK(config.read_rest(root));
  PRONK_OK(config.read_quantization(either(root["quantization_config"], root["aqlm"])));
  return config;
}

Result<Config> Config::read_mlc(JsonValue root) {
  PRONK_OK(root.object());
  PRONK_TRY(const std::string_view type, root.string_at("model_type"));
  PRONK_TRY(const std::string_view quantization, root.string_at("quantization"));
  if (std::ranges::find(mlc_types, type) == std::end(mlc_types)) return unsupported("model_type", type);
  if (std::ranges::find(mlc_quantizations, quantization) == std::end(mlc_quantizations))
    return unsupported("quantization", quantization);
  PRONK_TRY(const JsonValue given, root.object_at("model_config"));
  PRONK_TRY(Config config, of_type(type, given));
  PRONK_OK(config.read_rest(given));
  return config;
}

Result<Config> Config::of_type(std::string_view type, JsonValue given) {
  if (given.count() > most_members) return given.error("has " + std::to_string(given.count()) + " members");
  Config config;
  config.given_ = given;
  config.family_ = find_family(type);
  if (!config.family_) return unsupported("model_type", type);
  PRONK_TRY(config.defaults_, files::Json::parse(std::string(config.family_->defaults)));
  Pairs variants = config.family_->variants;
  for (std::string_view key = take_word(variants); !key.empty(); key = take_word(variants)) {
    const std::string_view variant = take_word(variants);
    if (const auto equals = key.find('='); equals != key.npos) {
      if (is_value(config[key.substr(0, equals)], key.substr(equals + 1))) return of_type(variant, given);
      continue;
    }
    const JsonValue value = config[key];
    const bool zero = value.is(JsonKind::null) || !value.boolean().value_or(true) || value.integer().value_or(1) == 0;
    if (value.present() && zero) return of_type(variant, given);
  }
  return config;
}

Status Config::read_rest(JsonValue root) {
  const JsonValue tied = either(root["tie_word_embeddings"], (*this)["tie_word_embeddings"]);
  if (tied.has_value()) {
    PRONK_TRY(tied_, tied.boolean());
  }
  // Classes of models that see as well tie where those of their text alone do not.
  may_be_tied_ = !tied.has_value() && root["text_config"].is(JsonKind::object);
  PRONK_OK(check_refused(root));
  PRONK_TRY(vocab_, whole("vocab_size"));
  PRONK_OK(check_only());
  return check();
}

// Keys that may have one value.
Status Config::check_only() const {
  Pairs rest = family_->only;
  for (std::string_view key = take_word(rest); !key.empty(); key = take_word(rest)) {
    const std::string_view wanted = take_word(rest);
    const JsonValue value = (*this)[key];
    if (value.has_value() && !is_value(value, wanted))
      return fail(ErrorCode::unsupported, quoted(key) + " is not " + quoted(wanted) + ": not supported");
  }
  return {};
}

Status Config::check_refused(JsonValue root) const {
  for (const JsonValue scope : {root, given_}) {
    for (const std::string_view key : unknown_when_set) {
      const JsonValue value = scope[key];
      if (value.string().value_or("") == "vision") continue;  // of pictures only
      const bool known = !find_pair(family_->keys, key).empty() || !find_pair(family_->variants, key).empty();
      if (value.has_value() && value.boolean().value_or(true) && !known)
        return fail(ErrorCode::unsupported, quoted(key) + " is set: not supported");
    }
  }
  return {};
}

// null is a value that the class takes instead of its default.
JsonValue Config::operator[](std::string_view key) const {
  for (const JsonValue scope : {given_, defaults_.root()}) {
    for (const std::string_view name : {find_pair(family_->aliases, key), key, find_pair(mlc_names, key)}) {
      if (!name.empty() && scope[name].present()) return scope[name];
    }
  }
  return defaults_.root()[key];
}

Result<u32> Config::whole(std::string_view key) const {
  const JsonValue value = (*this)[key];
  if (const std::string_view factors = find_pair(family_->computed, key); !value.has_value() && !factors.empty())
    return sum_of(factors);
  if (!value.has_value()) return fail(ErrorCode::bad_model, quoted(key) + " is missing");
  PRONK_TRY(const u64 number, value.integer());
  if (number > ~u32{0}) return value.error("is out of range");
  return u32(number);
}

Result<u32> Config::sum_of(std::string_view products) const {
  u64 sum = 0;
  for (std::string_view rest = products; !rest.empty();) {
    const std::string_view each = rest.substr(0, rest.find('+'));
    rest.remove_prefix(std::min(rest.size(), each.size() + 1));
    PRONK_TRY(const u32 number, product(each));
    sum += number;
  }
  if (sum > ~u32{0}) return fail(ErrorCode::bad_model, quoted(products) + " is out of range");
  return u32(sum);
}

Result<u32> Config::product(std::string_view factors) const {
  u64 number = 1;
  for (std::string_view rest = factors; !rest.empty();) {
    const std::string_view factor = rest.substr(0, rest.find('*'));
    rest.remove_prefix(std::min(rest.size(), factor.size() + 1));
    u32 value = 0;
    const bool digits = factor[0] >= '0' && factor[0] <= '9';
    if (digits) {
      std::from_chars(factor.data(), factor.data() + factor.size(), value);
    } else {
      PRONK_TRY(value, whole(factor));
    }
    number *= value;
    if (number > ~u32{0}) return fail(ErrorCode::bad_model, quoted(factor) + " is out of range");
  }
  return u32(number);
}

Status Config::read_quantization(JsonValue quantization) {
  if (!quantization.has_value()) return {};
  PRONK_OK(quantization.object());
  PRONK_TRY(const std::string_view method, quantization.string_or("quant_method", quantization.key()));
  if (method == family_->quantization) {
    if (quantization["use_rms_norm"].boolean().value_or(false))
      return fail(ErrorCode::unsupported, "'use_rms_norm' is set: not supported");
    Pairs rest = family_->quantized_only;
    for (std::string_view key = take_word(rest); !key.empty(); key = take_word(rest)) {
      const std::string_view wanted = take_word(rest);
      if (!is_value(quantization[key], wanted))
        return fail(ErrorCode::unsupported, quoted(key) + " is not " + quoted(wanted) + ": not supported");
    }
    return {};
  }
  if (method != "aqlm") return unsupported("quant_method", method);
  PRONK_TRY(const u64 group, quantization.integer_at("in_group_size"));
  PRONK_TRY(const u64 rows, quantization.integer_at("out_group_size"));
  PRONK_TRY(const u64 count, quantization.integer_at("num_codebooks"));
  PRONK_TRY(const u64 bits, quantization.integer_at("nbits_per_codebook"));
  if (rows != 1 || bits == 0 || bits > 16) {
    return fail(ErrorCode::unsupported, "AQLM of groups of " + std::to_string(rows) + " rows and codes of " +
                                            std::to_string(bits) + " bits is not supported");
  }
  books_ = {group, u64{1} << bits, count};
  return {};
}

Status Config::check() const {
  const JsonValue activation = either((*this)["hidden_activation"], (*this)["hidden_act"]);
  PRONK_TRY(const std::string_view name, activation.string());
  return has_word(family_->activations, name) ? check_steps() : unsupported(activation.key(), name);
}

// Those of a state space are not clamped: [0, infinity], for which there are two spellings.
Status Config::check_steps() const {
  const JsonValue limits = (*this)["time_step_limit"];
  if (!limits.has_value()) return {};
  PRONK_OK(limits.array());
  JsonValue first, last;
  for (const JsonValue each : limits) {
    if (!first.present()) first = each;
    last = either(each["__float__"], each);
  }
  if (limits.count() == 2 && first.number().value_or(1) == 0 && last.string().value_or("") == "Infinity") return {};
  return fail(ErrorCode::unsupported, "'time_step_limit' is not 0 and infinity: not supported");
}

Status Config::write(GgufWriter& header) const {
  header.add_string("general.architecture", family_->architecture);
  PRONK_OK(write_numbers(header));
  PRONK_OK(write_own(header));
  PRONK_OK(write_heads(header));
  PRONK_OK(write_windows(header));
  PRONK_OK(write_rotated_layers(header));
  if (has_word(family_->keys, sparsity_key)) PRONK_OK(write_sparsity(header));
  if (family_->encoder && ranks(given_["architectures"])) {
    header.add_u32(full("pooling_type"), ranking);
  } else if (pooling_) {
    header.add_u32(full("pooling_type"), *pooling_);
  }
  for (u32 i = 0; i < dense_.size(); ++i) {
    const std::string module = "dense_" + std::to_string(i + 2);
    header.add_u32(full(module + "_feat_in"), dense_[i].inputs);
    header.add_u32(full(module + "_feat_out"), dense_[i].outputs);
  }
  return write_rope(header);
}

Status Config::write_numbers(GgufWriter& header) const {
  for (const Key& key : keys) {
    const JsonValue value = (*this)[key.config];
    const bool computed = !find_pair(family_->computed, key.config).empty();
    if (!value.has_value() && !key.required && !computed) continue;
    if (key.config == kv_heads_key && (!family_->recurrent.empty() || global_kv_heads().has_value())) continue;
    if (!value.has_value() && !computed) return fail(ErrorCode::bad_model, quoted(key.config) + " is missing");
    if (key.config == "intermediate_size") {
      PRONK_OK(write_hidden_widths(header));
    } else if (key.whole) {
      PRONK_TRY(const u32 number, whole(key.config));
      header.add_u32(full(key.gguf), number);
    } else {
      PRONK_TRY(const double number, value.number());
      header.add_f64(full(key.gguf), number);
    }
  }
  return {};
}

// One for all layers, one for each, or twice as much in the layers that have no keys and values of their own.
Status Config::write_hidden_widths(GgufWriter& header) const {
  const std::string key = full("feed_forward_length");
  if (const JsonValue widths = (*this)["intermediate_size"]; widths.is(JsonKind::array)) {
    PRONK_TRY(const std::vector<i32> numbers, integers(widths));
    header.add_i32s(key, numbers);
    return {};
  }
  PRONK_TRY(const u32 given, whole("intermediate_size"));
  PRONK_TRY(const u32 width, adjusted_width(given));
  if ((*this)["use_double_wide_mlp"].boolean().value_or(false)) {
    PRONK_TRY(const u32 layers, whole("num_hidden_layers"));
    PRONK_TRY(const u32 shared, whole("num_kv_shared_layers"));
    if (width > 1 << 30) return fail(ErrorCode::bad_model, "'intermediate_size' is out of range");
    std::vector<i32> widths(std::min(layers, most_layers), i32(width));
    std::fill(widths.end() - std::min<std::ptrdiff_t>(shared, std::ssize(widths)), widths.end(), i32(2 * width));
    header.add_i32s(key, widths);
  } else {
    header.add_u32(key, width);
  }
  return {};
}

// As LFM2's classes do it.
Result<u32> Config::adjusted_width(u32 width) const {
  if (!(*this)["block_auto_adjust_ff_dim"].boolean().value_or(false)) return width;
  PRONK_TRY(const u32 multiple, whole("block_multiple_of"));
  PRONK_TRY(const double factor, (*this)["block_ffn_dim_multiplier"].number());
  const double scaled = factor * std::floor(2.0 * width / 3);
  if (multiple == 0 || !(scaled >= 0 && scaled < 1e9))
    return fail(ErrorCode::bad_model, "'block_multiple_of' is out of range");
  return u32(std::ceil(std::floor(scaled) / multiple)) * multiple;
}

// Numbers and flags as the family's table has them; null turns off what 0 does.
Status Config::write_own(GgufWriter& header) const {
  Pairs rest = family_->keys;
  for (std::string_view theirs = take_word(rest); !theirs.empty(); theirs = take_word(rest)) {
    const std::string key = full(take_word(rest));
    const JsonValue value = (*this)[theirs];
    if (!value.has_value() && !find_pair(family_->computed, theirs).empty()) {
      PRONK_TRY(const u32 number, whole(theirs));
      header.add_u32(key, number);
      continue;
    }
    if (!value.present() || (value.is(JsonKind::null) && theirs == rotated_layers_key) || theirs == sparsity_key)
      continue;
    if (value.is(JsonKind::null)) {
      header.add_u32(key, 0);
    } else if (const auto whole_numbers = integers(value); value.is(JsonKind::array) && whole_numbers) {
      header.add_i32s(key, *whole_numbers);
    } else if (value.is(JsonKind::array)) {
      PRONK_TRY(const std::vector<float> numbers, floats(value));
      for (u32 i = 0; i < numbers.size(); ++i) header.add_f64(key + "." + std::to_string(i), double(numbers[i]));
    } else if (const auto flag = value.boolean()) {
      header.add_bool(key, *flag);
    } else if (value.integer()) {
      PRONK_TRY(const u32 number, whole(theirs));
      header.add_u32(key, number);
    } else {
      PRONK_TRY(const double number, value.number());
      header.add_f64(key, number);
    }
  }
  return {};
}

Result<u32> Config::head_width() const {
  PRONK_TRY(const u32 heads, whole("num_attention_heads"));
  PRONK_TRY(const u32 width, whole("hidden_size"));
  if (heads == 0) return fail(ErrorCode::bad_model, "'num_attention_heads' is 0");
  return (*this)["head_dim"].has_value() ? whole("head_dim") : width / heads;
}

// Of layers without a window, whose values are their keys.
JsonValue Config::global_kv_heads() const {
  return (*this)["attention_k_eq_v"].boolean().value_or(false) ? (*this)["num_global_key_value_heads"] : JsonValue();
}

Status Config::write_heads(GgufWriter& header) const {
  PRONK_TRY(const u32 head, head_width());
  const bool two_widths = (*this)["global_head_dim"].has_value();  // of layers without a window, and of those with one
  PRONK_TRY(const u32 global, two_widths ? whole("global_head_dim") : head);
  for (const char* length : {"attention.key_length", "attention.value_length"}) {
    header.add_u32(full(length), global);
    if (two_widths) header.add_u32(full(length + std::string("_swa")), head);
  }
  if (const JsonValue scalar = (*this)["query_pre_attn_scalar"]; scalar.has_value()) {
    PRONK_TRY(const double number, scalar.number());
    if (!(number > 0)) return scalar.error("is not above 0");
    header.add_f64(full("attention.scale"), 1 / std::sqrt(number));
  }
  return {};
}

Status Config::write_windows(GgufWriter& header) const {
  PRONK_TRY(const u32 context, whole("max_position_embeddings"));
  if (context <= family_->first_position) return fail(ErrorCode::bad_model, "'max_position_embeddings' is too small");
  header.add_u32(full("context_length"), context - family_->first_position);
  if (family_->first_position > 0 && (*this)["pad_token_id"].has_value()) {
    PRONK_TRY(const u32 pad, whole("pad_token_id"));  // positions are counted from it
    if (pad + 1 != family_->first_position) return unsupported("pad_token_id", std::to_string(pad));
  }
  const JsonValue types = (*this)["layer_types"];
  if (types.has_value()) PRONK_OK(write_layer_types(types, header));
  if (!types.has_value() && !family_->recurrent.empty()) PRONK_OK(write_attention_layers(header));
  const JsonValue use = (*this)["use_sliding_window"];
  if (!(*this)["sliding_window"].has_value() || (use.has_value() && !use.boolean().value_or(true))) return {};
  PRONK_TRY(const u32 window, whole("sliding_window"));
  if (family_->windows == Windows::none) {
    return fail(ErrorCode::unsupported, "'sliding_window' is set: not supported");
  }
  header.add_u32(full(family_->windows == Windows::all ? "attention.window_of_all" : "attention.sliding_window"),
                 window);
  const JsonValue period = (*this)["sliding_window_pattern"];
  if (!types.has_value() && period.has_value()) {
    PRONK_TRY(const u32 layers, whole("sliding_window_pattern"));
    header.add_u32(full("attention.sliding_window_pattern"), layers);
  }
  return {};
}

Status Config::write_layer_types(JsonValue types, GgufWriter& header) const {
  PRONK_OK(types.array());
  std::vector<i32> slides, kv_heads;
  for (const JsonValue type : types) {
    PRONK_TRY(const std::string_view name, type.string());
    const bool recurs = has_word(family_->recurrent, name);
    if (!family_->recurrent.empty()) {
      PRONK_TRY(const u32 heads, whole(kv_heads_key));
      kv_heads.push_back(recurs ? 0 : i32(heads));
    }
    if (recurs || (!family_->recurrent.empty() && name == "attention")) continue;
    const bool window = name == "sliding_attention";
    const bool known = (window ? family_->windows != Windows::none : name == "full_attention") &&
                       (family_->windows != Windows::all || window == (*this)["sliding_window"].has_value());
    if (!known) return unsupported("layer_types", name);
    slides.push_back(window);
    if (global_kv_heads().has_value()) {
      PRONK_TRY(const u32 heads, whole(window ? kv_heads_key : "num_global_key_value_heads"));
      kv_heads.push_back(i32(heads));
    }
  }
  if (!kv_heads.empty()) header.add_i32s(full("attention.head_count_kv"), kv_heads);
  const std::string key = full("attention.sliding_window_pattern");
  if (family_->windows == Windows::some) header.add_i32s(key, slides);
  if (family_->windows == Windows::after) {
    PRONK_TRY(const u32 period, period_of(slides));
    header.add_u32(key, period);
  }
  return {};
}

// Which layers are attention, where layer_types does not say: numbers of them, or each so-manieth.
Status Config::write_attention_layers(GgufWriter& header) const {
  const JsonValue numbers = (*this)["full_attn_idxs"], interval = (*this)["full_attention_interval"];
  if (!numbers.has_value() && !interval.has_value()) return {};
  PRONK_TRY(const u32 layers, whole("num_hidden_layers"));
  PRONK_TRY(const u32 heads, whole(kv_heads_key));
  std::vector<i32> kv_heads;
  if (numbers.has_value()) {
    PRONK_TRY(const std::vector<i32> attends, integers(numbers));
    kv_heads.assign(std::min(layers, most_layers), 0);
    for (const i32 layer : attends) {
      if (u32(layer) >= kv_heads.size()) return numbers.error("is out of range");
      kv_heads[u32(layer)] = i32(heads);
    }
  } else {
    PRONK_TRY(const u32 period, whole("full_attention_interval"));
    if (period == 0) return interval.error("is 0");
    for (u32 i = 0; i < std::min(layers, most_layers); ++i) kv_heads.push_back((i + 1) % period == 0 ? i32(heads) : 0);
  }
  header.add_i32s(full("attention.head_count_kv"), kv_heads);
  return {};
}

// How many standard deviations above the mean the share lies of activations that do not count; −∞: all count.
Status Config::write_sparsity(GgufWriter& header) const {
  PRONK_TRY(const u32 layers, whole("num_hidden_layers"));
  const JsonValue given = (*this)[sparsity_key];
  std::vector<float> shares(std::min(layers, most_layers), 0.0f);
  if (given.is(JsonKind::array)) {
    PRONK_TRY(shares, floats(given));
  } else if (given.has_value()) {
    PRONK_TRY(const double share, given.number());
    std::ranges::fill(shares, float(share));
  } else if (layers > 10) {  // as its class has it
    std::fill_n(shares.begin(), 10, 0.95f);
  }
  for (float& share : shares) {
    if (!(share >= 0 && share < 1)) return given.error("is not from 0 to below 1");
    share = share == 0 ? -INFINITY : float(normal_quantile(double(share)));
  }
  header.add_f32s(full("activation_sparsity_scale"), shares);
  return {};
}

// Each so-manieth layer does not rotate, where there is no list of them.
Status Config::write_rotated_layers(GgufWriter& header) const {
  const std::string_view key = find_pair(family_->keys, rotated_layers_key);
  const JsonValue interval = (*this)["no_rope_layer_interval"];
  if (key.empty() || !interval.has_value() || (*this)[rotated_layers_key].has_value()) return {};
  PRONK_TRY(const u32 layers, whole("num_hidden_layers"));
  PRONK_TRY(const u32 period, whole("no_rope_layer_interval"));
  if (period == 0) return interval.error("is 0");
  std::vector<i32> rotated;
  for (u32 i = 0; i < std::min(layers, most_layers); ++i) rotated.push_back((i + 1) % period != 0);
  header.add_i32s(full(key), rotated);
  return {};
}

// What the class has for all of it counts only where neither key says anything, and then with its own base.
JsonValue Config::rope() const {
  const JsonValue scaling = given_["rope_scaling"], parameters = given_["rope_parameters"];
  const bool empty = scaling.is(JsonKind::object) && scaling.count() == 0;
  if (scaling.has_value() && !empty) return scaling;
  return parameters.has_value() ? parameters : defaults_.root()["rope_parameters"];
}

// Of kinds of layers where they differ.
Status Config::write_rope(GgufWriter& header) const {
  const JsonValue parameters = rope();
  const JsonValue scaling = either(parameters["full_attention"], parameters);
  const JsonValue theta = either(scaling["rope_theta"], (*this)["rope_theta"]);
  if (!theta.has_value()) return {};
  PRONK_TRY(double base, theta.number());
  const JsonValue alpha = scaling["alpha"];  // the base of another head size (NTK)
  const bool dynamic = rope_type(scaling).value_or("") == "dynamic";
  if (alpha.has_value() && dynamic && has_word(family_->rope_types, "alpha")) {
    PRONK_TRY(const double number, alpha.number());
    PRONK_TRY(const double head, head_width());
    base *= std::pow(number, head / (head - 2));
  }
  header.add_f64(full("rope.freq_base"), base);
  const JsonValue local = either(parameters["sliding_attention"]["rope_theta"], (*this)["rope_local_base_freq"]);
  if (local.has_value()) {
    PRONK_TRY(const double local_base, local.number());
    header.add_f64(full("rope.freq_base_swa"), local_base);
  }
  if (const JsonValue kind = (*this)["position_embedding_type"]; kind.has_value() && !family_->recurrent.empty())
    header.add_bool(full("rope.scaling.finetuned"), kind.string().value_or("") == "rope");
  if (family_->halves) header.add_bool(full("rope.halves"), true);
  const JsonValue share = either(scaling["partial_rotary_factor"], (*this)["partial_rotary_factor"]);
  if (share.has_value() && rope_type(scaling).value_or("") != "proportional") {
    PRONK_TRY(const double rotated, share.number());
    PRONK_TRY(const u32 head, head_width());
    if (!(rotated > 0 && rotated <= 1)) return share.error("is not between 0 and 1");
    header.add_u32(full("rope.dimension_count"), u32(head * rotated));
  }
  const JsonValue of_windows = parameters["sliding_attention"];
  if (of_windows.is(JsonKind::object)) {
    PRONK_TRY(const std::string_view type, rope_type(of_windows));
    if (type != "default") return unsupported("sliding_attention", type);
  }
  return scaling.has_value() ? write_rope_scaling(scaling, header) : Status();
}

Status Config::write_rope_scaling(JsonValue rope, GgufWriter& header) const {
  constexpr Key numbers[] = {
      {"factor", "factor", false, true},
      {"original_max_position_embeddings", "original_context_length", true, false},
      {"low_freq_factor", "low_freq_factor", false, false},
      {"high_freq_factor", "high_freq_factor", false, false},
      {"beta_fast", "yarn_beta_fast", false, false},
      {"beta_slow", "yarn_beta_slow", false, false},
  };
  PRONK_OK(rope.object());
  PRONK_TRY(const std::string_view type, rope_type(rope));
  if (type == "default" || type == "dynamic") return {};  // that begins to scale behind the context
  // Sections of positions that a text has alike.
  if (type == "mrope" && has_word(family_->rope_types, type)) return {};
  if (type == "proportional" && has_word(family_->rope_types, type)) return write_proportional_rope(rope, header);
  if (long_rope()) return write_long_rope(rope, header);
  if (type != "linear" && type != "llama3" && type != "yarn") return unsupported("rope_type", type);
  const std::string prefix = full("rope.scaling.");
  PRONK_TRY(const bool truncate, rope.boolean_or("truncate", true));
  if (!truncate) header.add_bool(prefix + "yarn_truncate", false);
  header.add_string(prefix + "type", type);
  for (const Key& key : numbers) {
    if (!rope[key.config].has_value() && !key.required) continue;
    if (key.whole) {
      PRONK_TRY(const u64 number, rope.integer_at(key.config));
      header.add_u64(prefix + std::string(key.gguf), number);
    } else {
      PRONK_TRY(const double number, rope.number_at(key.config));
      header.add_f64(prefix + std::string(key.gguf), number);
    }
  }
  if (const JsonValue beta = rope["llama_4_scaling_beta"]; beta.has_value()) {
    PRONK_TRY(const double number, beta.number());
    header.add_f64(full("attention.temperature_scale"), number);
  }
  return type == "yarn" ? write_yarn_magnitude(rope, header) : Status();
}

bool Config::long_rope() const {
  const auto type = either(rope()["rope_type"], rope()["type"]).string();
  return type && (*type == "longrope" || *type == "su");
}

Result<u32> Config::original_context() const {
  constexpr std::string_view key = "original_max_position_embeddings";
  const JsonValue original = either(rope()[key], (*this)[key]);
  if (!original.has_value()) return fail(ErrorCode::bad_model, quoted(key) + " is missing");
  PRONK_TRY(const u64 length, original.integer());
  if (length < 2 || length > ~u32{0}) return original.error("is out of range");
  return u32(length);
}

// Divisors of the frequencies, within the original context and beyond it (arXiv 2402.13753).
Status Config::write_long_rope(JsonValue rope, GgufWriter& header) const {
  const std::string prefix = full("rope.scaling.");
  PRONK_TRY(const u32 original, original_context());
  PRONK_TRY(const u32 context, whole("max_position_embeddings"));
  PRONK_TRY(const double factor, rope.number_or("factor", double(context) / original));
  const double proposed = factor > 1 ? std::sqrt(1 + std::log(factor) / std::log(double(original))) : 1;
  PRONK_TRY(const double magnitude, rope.number_or("attention_factor", proposed));
  PRONK_TRY(const std::vector<float> short_factors, floats(rope["short_factor"]));
  PRONK_TRY(const std::vector<float> long_factors, floats(rope["long_factor"]));
  header.add_string(prefix + "type", "longrope");
  header.add_f64(prefix + "attn_factor", magnitude);
  header.add_u32(prefix + "original_context_length", original);
  header.add_f32s(prefix + "short_factors", short_factors);
  header.add_f32s(prefix + "long_factors", long_factors);
  return {};
}

// A share of the pairs rotates, with the frequencies of whole heads.
Status Config::write_proportional_rope(JsonValue rope, GgufWriter& header) const {
  constexpr float never = 1e30f;
  PRONK_TRY(const u32 head, (*this)["global_head_dim"].has_value() ? whole("global_head_dim") : head_width());
  PRONK_TRY(const double share, rope.number_or("partial_rotary_factor", 1));
  if (!(share > 0 && share <= 1)) return rope["partial_rotary_factor"].error("is not between 0 and 1");
  if (head > most_head) return fail(ErrorCode::bad_model, "'global_head_dim' is out of range");
  std::vector<float> divisors(head / 2, never);
  std::fill_n(divisors.begin(), u32(share * head / 2), 1.0f);
  header.add_f32s(full("rope.scaling.short_factors"), divisors);
  return {};
}

// The factor on cosines and sines. GGUF's is multiplied by what the paper proposes.
Status Config::write_yarn_magnitude(JsonValue rope, GgufWriter& header) const {
  PRONK_TRY(const double factor, rope.number_at("factor"));
  PRONK_TRY(const double scale, rope.number_or("mscale", 0));
  PRONK_TRY(const double divisor, rope.number_or("mscale_all_dim", 0));
  const double logarithm = factor > 1 ? 0.1 * std::log(factor) : 0;
  const double proposed =
      scale != 0 && divisor != 0 ? (1 + scale * logarithm) / (1 + divisor * logarithm) : 1 + logarithm;
  if (family_->latent && divisor != 0) {  // it scales q · k instead
    if (scale != divisor) return fail(ErrorCode::unsupported, "'mscale' is not 'mscale_all_dim': not supported");
    header.add_f64(full("rope.scaling.yarn_log_multiplier"), 0.1 * divisor);
  }
  PRONK_TRY(const double magnitude, rope.number_or("attention_factor", proposed));
  header.add_f64(full("rope.scaling.yarn_attn_factor"), magnitude / (1 + 0.1 * std::log(factor)));
  return {};
}

}  // namespace pronk::sources
