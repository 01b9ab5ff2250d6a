#include "sources/assemble.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "files/safetensors.h"
#include "formats/pieces.h"

namespace pronk::sources {

namespace {

using files::Stored;
using files::TensorInfo;
using files::TensorPart;

constexpr u64 most_experts = 1 << 16, most_heads = 1 << 16;  // each is a part or more
constexpr u64 most_padded = 4096;                            // rows, each a part
constexpr u32 bf16_type = 30;
constexpr u32 mxfp4_type = 39, mxfp4_weights = 32, mxfp4_codes = 16, mxfp4_bytes = 17;

std::unexpected<Error> bad(const NamedTensor& tensor, std::string_view what) {
  return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.theirs) + " " + std::string(what));
}

// Rows, or the numbers of a vector.
u64 rows_of(const TensorInfo& tensor) { return tensor.dims == 1 ? tensor.shape[0] : tensor.rows(); }
u64 row_bytes(const TensorInfo& tensor) { return tensor.bytes / rows_of(tensor); }

TensorPart whole_part(const TensorInfo& tensor) {
  return {.file = tensor.file, .offset = tensor.offset, .bytes = tensor.bytes};
}

// So that files are read from their start to their end.
std::pair<u32, u64> first_byte(const TensorInfo& tensor) {
  return tensor.parts.empty() ? std::pair(tensor.file, tensor.offset)
                              : std::pair(tensor.parts[0].file, tensor.parts[0].offset);
}

// The name with one word in place of another in it, which it has.
std::string replaced(std::string name, std::string_view from, std::string_view to) {
  const auto at = name.find(from);
  return at == name.npos ? name : name.replace(at, from.size(), to);
}

class Assembly {
 public:
  Assembly(const Family& family, const files::Metadata& metadata) : family_(family), metadata_(metadata) {}

  Status add(NamedTensor tensor);
  Result<std::vector<TensorInfo>> finish();

 private:
  using Rule = Status (Assembly::*)(NamedTensor&);
  struct NamedRule {
    std::string_view name;
    Rule apply;
  };
  static const NamedRule rules[];
  struct Stack {
    std::string of;  // "expert", "head" or "stream"
    u32 count = 0;   // that there must be
    std::vector<NamedTensor> all;
  };

  // Those that change a tensor; add() goes on with it.
  Status transpose(NamedTensor& t);
  Status transpose_by_turns(NamedTensor& t);
  Status by_inputs(NamedTensor& t);
  Status logs(NamedTensor& t);
  Status column(NamedTensor& t);
  Status flat(NamedTensor& t);
  // Those that take it.
  Status stack_experts(NamedTensor& t);
  Status stack_heads(NamedTensor& t);
  Status stack_streams(NamedTensor& t);
  Status pad(NamedTensor& t);
  Status halve(NamedTensor& t);
  Status interleaved(NamedTensor& t);
  Status ternary(NamedTensor& t);
  Status add_ternary(const std::string& name, const NamedTensor& codes, const NamedTensor& scale);
  Status blocks(NamedTensor& t);
  Status grouped(NamedTensor& t) { return by_groups(t, false); }
  Status split(NamedTensor& t) { return by_groups(t, true); }
  Status by_groups(NamedTensor& t, bool split);
  Status latent(NamedTensor& t);
  Status qkvz(NamedTensor& t);

  Result<u32> number(std::string_view key) const;
  Result<u32> number_of_heads(std::string_view key) const;
  void add_rows(const TensorInfo& from, std::string name, u64 per_group, std::span<const std::pair<u64, u64>> ranges,
                u64 groups);
  Status stack(NamedTensor& t, std::string_view of, u32 dims, u32 count);
  static Status check_stack(const std::string& name, const Stack& stack);
  Status add_blocks(const std::string& name, const NamedTensor& codes, const NamedTensor& scales);

  const Family& family_;
  const files::Metadata& metadata_;
  bool taken_ = false;  // the tensor at hand is kept below in another form
  std::vector<TensorInfo> done_;
  std::map<std::string, Stack> stacks_;
  std::map<std::string, std::pair<std::vector<NamedTensor>, std::vector<NamedTensor>>> blocks_;  // codes, scales
};

const Assembly::NamedRule Assembly::rules[] = {
    {"transposed", &Assembly::transpose},  {"transposed_by_turns", &Assembly::transpose_by_turns},
    {"by_inputs", &Assembly::by_inputs},   {"logs", &Assembly::logs},
    {"column", &Assembly::column},         {"flat", &Assembly::flat},
    {"stacked", &Assembly::stack_experts}, {"heads", &Assembly::stack_heads},
    {"streams", &Assembly::stack_streams}, {"padded", &Assembly::pad},
    {"halves", &Assembly::halve},          {"interleaved", &Assembly::interleaved},
    {"blocks", &Assembly::blocks},         {"ternary", &Assembly::ternary},
    {"grouped", &Assembly::grouped},       {"split", &Assembly::split},
    {"latent", &Assembly::latent},         {"qkvz", &Assembly::qkvz},
};

// Rules are for all layers.
std::string_view name_in_layer(std::string_view name) {
  if (!name.starts_with("blk.")) return name;
  return name.substr(name.find('.', 4) + 1);
}

Status Assembly::add(NamedTensor t) {
  // A shared expert that is alone is no expert.
  if (number("expert_count").value_or(1) == 0) t.tensor.name = replaced(std::move(t.tensor.name), "_shexp", "");
  std::string_view rest = find_pair(family_.made, name_in_layer(t.tensor.name));
  taken_ = false;
  if (t.number && rest != "stacked" && rest != "heads" && rest != "streams")
    return bad(t, "is of one expert: not supported");
  const bool codes = (rest == "blocks" || rest == "ternary") && t.tensor.weights() == t.tensor.bytes;
  if (t.tensor.type == files::no_ggml_type && !codes)
    return fail(ErrorCode::unsupported,
                "tensor " + quoted(t.theirs) + " has a type or a shape that pronk does not run");
  while (!rest.empty() && !taken_) {
    const std::string_view word = rest.substr(0, rest.find('+'));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const auto rule = std::ranges::find(rules, word, &NamedRule::name);
    CHECK(rule != std::end(rules));
    PRONK_OK((this->*rule->apply)(t));
  }
  if (!taken_) done_.push_back(std::move(t.tensor));
  return {};
}

Result<u32> Assembly::number(std::string_view key) const {
  return metadata_.u32_at(std::string(family_.architecture) + "." + std::string(key));
}

Result<u32> Assembly::number_of_heads(std::string_view key) const {
  PRONK_TRY(const u32 heads, number(key));
  if (heads == 0 || heads > most_heads) return fail(ErrorCode::bad_model, quoted(key) + " is out of range");
  return heads;
}

// A matrix, or one for each expert.
Status Assembly::transpose(NamedTensor& t) {
  TensorInfo& tensor = t.tensor;
  if (tensor.dims != 2 && tensor.dims != 3) return bad(t, "is no matrix");
  if (tensor.bytes == 0 || tensor.shape[2] > most_experts) return bad(t, "has no experts, or too many");
  TensorPart part = whole_part(tensor);
  part.bytes /= tensor.shape[2];
  part.stored = Stored::columns;
  part.row = tensor.bytes / tensor.weights() * tensor.shape[1];
  part.rows = tensor.shape[0];
  std::swap(tensor.shape[0], tensor.shape[1]);
  for (u64 expert = 0; expert < tensor.shape[2]; ++expert) {
    tensor.parts.push_back(part);
    part.offset += part.bytes;
  }
  return {};
}

// As older and newer libraries write them.
Status Assembly::by_inputs(NamedTensor& t) {
  const bool down = t.tensor.name.find("down") != std::string::npos;
  PRONK_TRY(const u32 inputs, number(down ? "expert_feed_forward_length" : "embedding_length"));
  return t.tensor.shape[0] == inputs ? Status() : transpose(t);
}

// Transposed, and of the rows every second one is of "gate" and the others of "up".
Status Assembly::transpose_by_turns(NamedTensor& t) {
  PRONK_OK(transpose(t));
  if (t.tensor.shape[1] % 2 != 0) return bad(t, "has an odd number of columns");
  for (const auto& [name, stored] : {std::pair("gate", Stored::even_columns), std::pair("up", Stored::odd_columns)}) {
    TensorInfo made = t.tensor;
    made.name = replaced(made.name, "gate_up", name);
    made.shape[1] /= 2;
    made.bytes /= 2;
    for (TensorPart& part : made.parts) {
      part.rows /= 2;
      part.stored = stored;
    }
    done_.push_back(std::move(made));
  }
  taken_ = true;
  return {};
}

Status Assembly::logs(NamedTensor& t) {
  t.tensor.stored = Stored::logs;
  return {};
}

Status Assembly::column(NamedTensor& t) {
  if (t.tensor.dims != 1) return bad(t, "is no vector");
  t.tensor.shape = {1, t.tensor.shape[0], 1, 1};
  t.tensor.dims = 2;
  return {};
}

Status Assembly::flat(NamedTensor& t) {
  TensorInfo& tensor = t.tensor;
  if (tensor.dims < 2 || tensor.shape[1] != 1) return bad(t, "has more than one row");
  std::rotate(tensor.shape.begin() + 1, tensor.shape.begin() + 2, tensor.shape.end());
  --tensor.dims;
  return {};
}

// ---- Experts, and norms of heads

Status Assembly::stack_experts(NamedTensor& t) {
  if (!t.number) return {};  // all are in one
  PRONK_TRY(const u32 count, number("expert_count"));
  return stack(t, "expert", 2, count);
}

Status Assembly::stack_heads(NamedTensor& t) {
  if (!t.number) return {};
  const bool of_q = t.tensor.name.find("attn_q") != std::string::npos;
  PRONK_TRY(const u32 count, number(of_q ? "attention.head_count" : "attention.head_count_kv"));
  return stack(t, "head", 1, count);
}

Status Assembly::stack_streams(NamedTensor& t) {
  if (!t.number) return {};
  PRONK_TRY(const u32 streams, number("altup.num_inputs"));
  return stack(t, "stream", 2, std::max(streams, 1u) - 1);
}

Status Assembly::pad(NamedTensor& t) {
  TensorInfo& tensor = t.tensor;
  PRONK_TRY(const u32 rows, number("vocab_size"));
  if (tensor.dims != 2 || tensor.bytes == 0) return bad(t, "is no matrix");
  if (tensor.shape[1] >= rows) return {};
  if (rows - tensor.shape[1] > most_padded) return bad(t, "has too few rows");
  const u64 row = row_bytes(tensor);
  tensor.parts.push_back(whole_part(tensor));
  for (; tensor.shape[1] < rows; ++tensor.shape[1])
    tensor.parts.push_back({.file = tensor.file, .offset = tensor.offset, .bytes = row});
  tensor.bytes = row * rows;
  return {};
}

Status Assembly::stack(NamedTensor& t, std::string_view of, u32 dims, u32 count) {
  const std::string one(of);
  if (*t.number >= count)
    return bad(t, "is of one " + one + " more than the " + std::to_string(count) + " that there are");
  if (t.tensor.dims != dims) return bad(t, dims == 1 ? "is no vector" : "is no matrix");
  taken_ = true;
  Stack& stack = stacks_[t.tensor.name];
  stack.of = one;
  stack.count = count;
  stack.all.push_back(std::move(t));
  return {};
}

Status Assembly::check_stack(const std::string& name, const Stack& stack) {
  const auto& [of, count, all] = stack;
  for (u32 i = 0; i < all.size(); ++i) {
    const NamedTensor& each = all[i];
    if (*each.number != i) break;
    if (each.tensor.type != all[0].tensor.type || each.tensor.shape != all[0].tensor.shape)
      return bad(each, "differs from that of " + of + " 0 in type or shape");
  }
  for (u32 i = 0; i < count; ++i) {
    if (i >= all.size() || *all[i].number > i)
      return fail(ErrorCode::bad_model, of + " " + std::to_string(i) + " of " + quoted(name) + " is missing");
    if (*all[i].number < i) return bad(all[i], "is there twice");
  }
  return {};
}

// Of each expert, or of the whole where there are none.
Status Assembly::halve(NamedTensor& t) {
  const TensorInfo& tensor = t.tensor;
  if ((tensor.dims != 2 && tensor.dims != 3) || tensor.shape[1] % 2 != 0 || !tensor.name.contains("gate_up"))
    return bad(t, "has an odd number of rows, or is no matrix");
  if (tensor.shape[2] > most_experts) return bad(t, "has too many experts");
  const u64 half = tensor.shape[1] / 2, first = half, none = 0;
  const std::pair<u64, u64> gate[] = {{none, half}}, up[] = {{first, half}};
  add_rows(tensor, replaced(tensor.name, "gate_up", "gate"), tensor.shape[1], gate, tensor.shape[2]);
  add_rows(tensor, replaced(tensor.name, "gate_up", "up"), tensor.shape[1], up, tensor.shape[2]);
  taken_ = true;
  return {};
}

// A tensor of `ranges` of rows, each from all groups of `per_group` rows in turn.
void Assembly::add_rows(const TensorInfo& from, std::string name, u64 per_group,
                        std::span<const std::pair<u64, u64>> ranges, u64 groups) {
  TensorInfo made{.name = std::move(name), .type = from.type, .shape = from.shape, .dims = from.dims};
  const u64 row = row_bytes(from);
  u64 rows = 0;
  for (const auto& [first, count] : ranges) {
    for (u64 group = 0; group < groups; ++group)
      made.parts.push_back(
          {.file = from.file, .offset = from.offset + (group * per_group + first) * row, .bytes = count * row});
    rows += groups * count;
  }
  made.bytes = rows * row;
  if (from.dims == 3) rows /= groups;
  made.shape[from.dims == 1 ? 0 : 1] = rows;
  done_.push_back(std::move(made));
}

// A vector for each expert.
Status Assembly::interleaved(NamedTensor& t) {
  const TensorInfo& tensor = t.tensor;
  if (tensor.dims != 2 || tensor.shape[0] % 2 != 0) return bad(t, "has an odd number of columns");
  TensorPart part = whole_part(tensor);
  part.row = tensor.bytes / tensor.weights();
  part.rows = tensor.weights() / 2;
  for (const auto& [name, stored] : {std::pair("gate", Stored::even_rows), std::pair("up", Stored::odd_rows)}) {
    TensorInfo made{
        .name = replaced(tensor.name, "gate_up", name), .type = tensor.type, .shape = tensor.shape, .dims = 2};
    made.shape[0] /= 2;
    made.bytes = tensor.bytes / 2;
    part.stored = stored;
    made.parts = {part};
    done_.push_back(std::move(made));
  }
  taken_ = true;
  return {};
}

Status Assembly::blocks(NamedTensor& t) {
  const std::string name = t.tensor.name.substr(0, t.tensor.name.rfind('.'));
  if (t.tensor.weights() != t.tensor.bytes) return bad(t, "is not of bytes");
  auto& [codes, scales] = blocks_[name];
  (t.tensor.name.ends_with(".blocks") ? codes : scales).push_back(std::move(t));
  taken_ = true;
  return {};
}

// Of a matrix of floats nothing.
Status Assembly::ternary(NamedTensor& t) {
  const bool scale = t.tensor.name.ends_with("_scale");
  if (!scale && t.tensor.weights() != t.tensor.bytes) return {};
  auto& [codes, scales] = blocks_[t.tensor.name.substr(0, t.tensor.name.rfind('.'))];
  (scale ? scales : codes).push_back(std::move(t));
  taken_ = true;
  return {};
}

// codes [row, rows / 4]
Status Assembly::add_ternary(const std::string& name, const NamedTensor& codes, const NamedTensor& scale) {
  const u64 columns = codes.tensor.shape[0];
  if (codes.tensor.bytes == 0 || columns % formats::ternary_weights != 0)
    return bad(codes, "has rows that are no whole blocks: not supported");
  if (scale.tensor.type != bf16_type || scale.tensor.weights() != 1) return bad(scale, "is not one number of bf16");
  TensorInfo made{.name = name + ".weight", .type = formats::ternary_type, .dims = 2};
  TensorPart part = whole_part(codes.tensor);
  part.scales = files::ScalesPlace{scale.tensor.file, scale.tensor.offset, scale.tensor.bytes};
  part.stored = Stored::quarters;
  part.row = columns / formats::ternary_weights * formats::ternary_bytes;
  part.rows = 4 * codes.tensor.shape[1];
  made.shape = {columns, part.rows, 1, 1};
  made.bytes = part.row * part.rows;
  made.parts = {part};
  done_.push_back(std::move(made));
  return {};
}

// codes [16, row / 32, rows, experts], scales without the first of these
Status Assembly::add_blocks(const std::string& name, const NamedTensor& codes, const NamedTensor& scales) {
  const auto [bytes, blocks, rows, experts] = codes.tensor.shape;
  if (codes.tensor.dims != 4 || bytes != mxfp4_codes) return bad(codes, "is not of blocks of 16 bytes");
  if (scales.tensor.shape != std::array<u64, 4>{blocks, rows, experts, 1})
    return bad(scales, "does not fit its blocks");
  if (codes.tensor.bytes == 0 || experts > most_experts) return bad(codes, "has no experts, or too many");
  TensorPart part = whole_part(codes.tensor);
  part.bytes /= experts;
  part.scales = files::ScalesPlace{scales.tensor.file, scales.tensor.offset, scales.tensor.bytes / experts};
  part.row = blocks * mxfp4_bytes;
  TensorInfo made{.name = name + ".weight", .type = mxfp4_type, .dims = 3};
  const auto add = [&](std::string of, Stored stored, u64 made_rows) {
    made.name = std::move(of);
    made.shape = {blocks * mxfp4_weights, made_rows, experts, 1};
    made.bytes = part.row * made_rows * experts;
    made.parts.clear();
    for (u64 expert = 0; expert < experts; ++expert) {
      TensorPart each = part;
      each.offset += expert * part.bytes;
      each.scales->offset += expert * part.scales->bytes;
      each.stored = stored;
      each.rows = made_rows;
      made.parts.push_back(each);
    }
    done_.push_back(made);
  };
  if (name.find("gate_up") == std::string::npos) {
    add(made.name, Stored::whole, rows);
    return {};
  }
  if (rows % 2 != 0) return bad(codes, "has an odd number of rows");
  const std::string both = made.name;
  add(replaced(both, "gate_up", "gate"), Stored::even_rows, rows / 2);
  add(replaced(both, "gate_up", "up"), Stored::odd_rows, rows / 2);
  return {};
}

// ---- Heads

Status Assembly::by_groups(NamedTensor& t, bool split) {
  PRONK_TRY(const u32 heads, number_of_heads("attention.head_count"));
  PRONK_TRY(const u32 dim, number("attention.key_length"));
  PRONK_TRY(const u32 groups, metadata_.has(std::string(family_.architecture) + ".attention.head_count_kv")
                                  ? number_of_heads("attention.head_count_kv")
                                  : Result<u32>(heads));
  if (heads % groups != 0 || t.tensor.dims > 2 || rows_of(t.tensor) != (heads + 2ull * groups) * dim)
    return bad(t, "does not fit the numbers of heads");
  const u64 each = u64(heads / groups) * dim, group = each + 2 * dim;
  const std::pair<u64, u64> ranges[] = {{0, each}, {each, dim}, {each + dim, dim}};
  const std::string_view names[] = {"attn_q.", "attn_k.", "attn_v."};
  for (u32 i = 0; split && i < 3; ++i)
    add_rows(t.tensor, replaced(t.tensor.name, "attn_qkv.", names[i]), group, std::span(ranges).subspan(i, 1), groups);
  if (!split) add_rows(t.tensor, t.tensor.name, group, ranges, groups);
  taken_ = true;
  return {};
}

Status Assembly::latent(NamedTensor& t) {
  PRONK_TRY(const u32 heads, number_of_heads("attention.head_count"));
  PRONK_TRY(const u32 key, number("attention.key_length_mla"));
  PRONK_TRY(const u32 rotated, number("rope.dimension_count"));
  PRONK_TRY(const u32 value, number("attention.value_length_mla"));
  const u64 unrotated = key < rotated ? 0 : key - rotated, head = unrotated + value;
  const TensorInfo& from = t.tensor;
  if (unrotated == 0 || value == 0 || from.dims != 2 || from.shape[1] != heads * head)
    return bad(t, "does not fit the numbers of heads");
  const u64 row = row_bytes(from), latent = from.shape[0];
  TensorInfo keys{.name = replaced(from.name, "attn_kv_b", "attn_k_b"),
                  .type = from.type,
                  .shape = {unrotated, latent, heads, 1},
                  .dims = 3,
                  .bytes = heads * unrotated * row};
  TensorInfo values = keys;
  values.name = replaced(from.name, "attn_kv_b", "attn_v_b");
  values.shape = {latent, value, heads, 1};
  values.bytes = heads * value * row;
  for (u64 h = 0; h < heads; ++h) {
    const u64 at = from.offset + h * head * row;
    keys.parts.push_back({.file = from.file,
                          .offset = at,
                          .bytes = unrotated * row,
                          .stored = Stored::columns,
                          .row = row / latent * unrotated,
                          .rows = latent});
    values.parts.push_back({.file = from.file, .offset = at + unrotated * row, .bytes = value * row});
  }
  done_.push_back(std::move(keys));
  done_.push_back(std::move(values));
  taken_ = true;
  return {};
}

Status Assembly::qkvz(NamedTensor& t) {
  PRONK_TRY(const u32 groups, number_of_heads("ssm.group_count"));
  PRONK_TRY(const u32 key, number("ssm.state_size"));
  PRONK_TRY(const u32 inner, number("ssm.inner_size"));
  if (inner % groups != 0 || t.tensor.dims != 2 || t.tensor.shape[1] != 2ull * groups * key + 2ull * inner)
    return bad(t, "does not fit the numbers of heads");
  const u64 each = inner / groups, group = 2 * (key + each);
  const std::pair<u64, u64> qkv[] = {{0, key}, {key, key}, {2 * key, each}}, z[] = {{2 * key + each, each}};
  add_rows(t.tensor, replaced(t.tensor.name, "attn_qkvz", "attn_qkv"), group, qkv, groups);
  add_rows(t.tensor, replaced(t.tensor.name, "attn_qkvz", "attn_gate"), group, z, groups);
  taken_ = true;
  return {};
}

// ---- The end

Result<std::vector<TensorInfo>> Assembly::finish() {
  for (auto& [name, stack] : stacks_) {
    std::ranges::sort(stack.all, {}, [](const NamedTensor& each) { return *each.number; });
    PRONK_OK(check_stack(name, stack));
    TensorInfo made = stack.all[0].tensor;
    made.shape[made.dims++] = stack.all.size();
    made.bytes *= stack.all.size();
    for (const NamedTensor& each : stack.all) made.parts.push_back(whole_part(each.tensor));
    done_.push_back(std::move(made));
  }
  for (const auto& [name, both] : blocks_) {
    const auto& [codes, scales] = both;
    if (codes.size() != 1 || scales.size() != 1)
      return fail(ErrorCode::bad_model, quoted(name) + " has not one tensor of blocks and one of scales");
    PRONK_OK(codes[0].tensor.dims == 2 ? add_ternary(name, codes[0], scales[0])
                                       : add_blocks(name, codes[0], scales[0]));
  }
  const auto made = [](const TensorInfo& tensor) { return !tensor.parts.empty(); };
  if (std::ranges::any_of(done_, made))
    std::ranges::sort(done_, {}, first_byte);  // else they are in their source's order
  return std::move(done_);
}

}  // namespace

Result<std::vector<TensorInfo>> assemble(std::vector<NamedTensor> tensors, const Family& family,
                                         const files::Metadata& metadata) {
  Assembly assembly(family, metadata);
  for (NamedTensor& tensor : tensors) PRONK_OK(assembly.add(std::move(tensor)));
  return assembly.finish();
}

}  // namespace pronk::sources
