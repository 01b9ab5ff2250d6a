#include "cpu/executor.h"

namespace pronk::cpu {
namespace {

using graph::Graph;
using graph::ValueId;
using graph::WeightId;

// Weights that operations read as numbers, not as matrices.
template <class Visit>
void each_vector(const Graph& graph, u32 context, const Visit& visit) {
  for (const auto& op : graph.ops) {
    const auto* embed = std::get_if<graph::Embed>(&op);
    const auto* matmul = std::get_if<graph::MatMul>(&op);
    const WeightId matrix = embed ? embed->table : matmul ? matmul->weight : WeightId::none;
    graph::for_each_weight(op, [&](WeightId id) {
      if (id != matrix) visit(id);
    });
  }
  for (const graph::RopeTable& table : graph.ropes) {
    if (table.factors_at(context) != WeightId::none) visit(table.factors_at(context));
  }
}

u64 numbers_of(const graph::Weight& weight) { return u64(weight.rows) * weight.cols; }

// Books and scales of additive formats: visit(table, the first matrix that it is of).
template <class Visit>
void each_table(const Graph& graph, const Visit& visit) {
  std::vector<bool> seen(graph.weights.size());
  for (const graph::Weight& weight : graph.weights) {
    for (const WeightId id : {weight.books, weight.scales}) {
      if (id == WeightId::none || seen[u32(id)]) continue;
      seen[u32(id)] = true;
      visit(id, weight);
    }
  }
}

constexpr u32 part_elements = 1 << 13;  // of an elementwise operation, that a thread takes at a time

bool quantizes_with(graph::Activations activations, u64 element_bytes) {
  return activations == graph::Activations::q8 && element_bytes == sizeof(float);
}

// Whether a table of `matrix` is books that its products want as integers.
bool rounds_books(WeightId table, const graph::Weight& matrix, bool quantizes, const Kernels& kernels) {
  return quantizes && table == matrix.books && takes_quants(kernels, *matrix.format, matrix.cols);
}

}  // namespace

template <class Real>
Workspace Executor<Real>::workspace_of(const Graph& graph, u32 chunk, u32 logit_rows, graph::Activations activations,
                                       const Kernels& kernels) {
  return plan_workspace(graph, chunk, logit_rows, quantizes_with(activations, sizeof(Real)), kernels, sizeof(Real));
}

template <class Real>
Executor<Real>::Executor(const Graph& graph, std::vector<const u8*> weights, u32 context_length, graph::KvTypes kv,
                         u32 chunk, u32 logit_rows, graph::Activations activations, const Kernels& kernels, u32 threads)
    : graph_(graph),
      weights_(std::move(weights)),
      context_length_(context_length),
      chunk_(chunk),
      causal_(graph.causal()),
      kernels_(kernels),
      pool_(threads),
      workspace_(workspace_of(graph, chunk, logit_rows, activations, kernels)),
      states_(graph, context_length, kv, chunk),
      products_(workspace_.products, kernels, quantizes_with(activations, sizeof(Real)), chunk, pool_),
      attention_scratch_(workspace_.attention, threads),
      route_scratch_(workspace_.experts, workspace_.expert_groups),
      arena_(to_size(workspace_.arena.buffer_bytes[0] / sizeof(Real))),
      logits_(to_size(u64(graph[graph.output].width) * logit_rows)),
      vectors_(graph.weights.size()),
      tables_(graph.weights.size()),
      rounded_books_(graph.weights.size()),
      cosines_(graph.ropes.size()),
      sums_(threads, std::vector<Real>(to_size(workspace_.sums))) {
  CHECK(weights_.size() == graph.weights.size() && chunk > 0 && workspace_.tail < graph.ops.size());
  bool makes_output = false;
  graph::for_each_operand(graph.ops.back(), [](ValueId) {}, [&](ValueId out) { makes_output = out == graph.output; });
  CHECK(makes_output);
  for (u32 i = 0; i < graph.values.size(); ++i) slices_.push_back(graph::slice_of(graph.values, ValueId(i)));
  for (std::size_t i = 0; i < cosines_.size(); ++i) {
    cosines_[i].resize(to_size(u64(chunk) * graph.ropes[i].frequency.size()));
  }
  sines_ = cosines_;
  each_vector(graph, context_length, [&](WeightId id) {
    const graph::Weight& weight = graph[id];
    CHECK(numbers_of(weight) < 1ull << 32);
    vectors_[u32(id)].resize(to_size(numbers_of(weight)));
    decode_row(Matrix{weight.format, weights_[u32(id)], 1, u32(numbers_of(weight))}, 0, vectors_[u32(id)].data());
    for (Real& number : vectors_[u32(id)]) number += Real(weight.added);
  });
  const bool quantizes = quantizes_with(activations, sizeof(Real));
  each_table(graph, [&](WeightId id, const graph::Weight& matrix) {
    const graph::Weight& weight = graph[id];
    std::vector<float> numbers(to_size(numbers_of(weight)));
    decode_row(Matrix{weight.format, weights_[u32(id)], 1, u32(numbers.size())}, 0, numbers.data());
    if (!rounds_books(id, matrix, quantizes, kernels)) {
      tables_[u32(id)] = std::move(numbers);
      return;
    }
    RoundedBooks& books = rounded_books_[u32(id)];
    books.steps.resize(numbers.size());
    books.step = formats::round_books(numbers, formats::additive_books(*matrix.format), books.steps.data());
  });
}

template <class Real>
Footprint Executor<Real>::footprint(const Graph& graph, u32 context_length, graph::KvTypes kv, u32 chunk,
                                    u32 logit_rows, graph::Activations activations, const Kernels& kernels,
                                    u32 threads) {
  Footprint result{.kv_cache = States<Real>::bytes(graph, context_length, kv, chunk)};
  const Workspace w = workspace_of(graph, chunk, logit_rows, activations, kernels);
  const u64 reals = u64(graph[graph.output].width) * logit_rows + threads * w.sums;
  result.activations = w.arena.buffer_bytes[0] + reals * sizeof(Real) + w.attention.bytes<Real>(threads) +
                       w.products.bytes(kernels.quant_bytes, sizeof(Real)) +
                       RouteScratch<Real>::bytes(w.experts, w.expert_groups);
  std::vector<bool> counted(graph.weights.size());
  each_vector(graph, context_length, [&](WeightId id) {
    if (!counted[u32(id)]) result.parameters += numbers_of(graph[id]) * sizeof(Real);
    counted[u32(id)] = true;
  });
  const bool quantizes = quantizes_with(activations, sizeof(Real));
  each_table(graph, [&](WeightId id, const graph::Weight& matrix) {
    const bool rounded = rounds_books(id, matrix, quantizes, kernels);
    result.parameters += numbers_of(graph[id]) * (rounded ? sizeof(i16) : sizeof(float));
  });
  for (const graph::RopeTable& table : graph.ropes) {
    result.parameters += 2 * u64(chunk) * table.frequency.size() * sizeof(Real);
  }
  return result;
}

template <class Real>
Footprint Executor<Real>::allocated() const {
  const auto all = [](const auto& vectors) {
    u64 sum = 0;
    for (const auto& v : vectors) sum += v.size() * sizeof(v[0]);
    return sum;
  };
  Footprint result{.kv_cache = states_.bytes()};
  const u64 reals = arena_.size() + logits_.size();
  result.activations =
      reals * sizeof(Real) + attention_scratch_.bytes() + products_.bytes() + route_scratch_.bytes() + all(sums_);
  result.parameters = all(vectors_) + all(tables_) + all(cosines_) + all(sines_);
  for (const RoundedBooks& books : rounded_books_) result.parameters += books.steps.size() * sizeof(i16);
  return result;
}

// ---- Runs

template <class Real>
void Executor<Real>::begin(std::span<const u32> tokens, u32 position, Logits wanted) {
  CHECK(!tokens.empty() && position <= context_length_ && tokens.size() <= context_length_ - position);
  CHECK(causal_ || tokens.size() <= chunk_);
  states_.begin(position);
  run_tokens_ = tokens;
  run_position_ = position;
  wanted_ = wanted;
  next_chunk_ = 0;
  const u64 logits = logits_of(tokens.size()) * graph_[graph_.output].width;
  if (logits_.size() < logits) logits_.resize(to_size(logits));
  begin_chunk();
}

template <class Real>
u64 Executor<Real>::logits_of(u64 tokens) const {
  return wanted_ == Logits::all ? tokens : wanted_ == Logits::last ? 1 : 0;
}

template <class Real>
void Executor<Real>::begin_chunk() {
  const u64 first = next_chunk_;
  tokens_ = run_tokens_.subspan(first, std::min<u64>(chunk_, run_tokens_.size() - first));
  position_ = u32(run_position_ + first);
  next_chunk_ = first + tokens_.size();
  const u32 count = u32(tokens_.size());
  const bool all = wanted_ == Logits::all, last = next_chunk_ == run_tokens_.size();
  tail_next_ = count - (all || last ? u32(logits_of(count)) : 0);
  first_logit_ = all ? u32(first) : 1 - count;
  pass_ = {0, count};
  op_ = part_ = 0;
  end_op_ = workspace_.tail;
  products_.forget();
  find_angles();
}

// The tail for the next tokens whose logits are wanted, or the next chunk; false when there is none.
template <class Real>
bool Executor<Real>::begin_next() {
  if (finished()) return false;
  if (tail_next_ == tokens_.size()) {
    begin_chunk();
    return true;
  }
  pass_ = {tail_next_, std::min(workspace_.tail_rows, u32(tokens_.size()) - tail_next_)};
  tail_next_ += pass_.count;
  op_ = workspace_.tail;
  end_op_ = graph_.ops.size();
  products_.forget();  // other rows than before
  return true;
}

template <class Real>
bool Executor<Real>::finished() const {
  return op_ == end_op_ && tail_next_ == tokens_.size() && next_chunk_ == run_tokens_.size();
}

template <class Real>
bool Executor<Real>::advance(u64 multiply_adds) {
  const u64 budget = multiply_adds > ~u64{0} / pool_.threads() ? ~u64{0} : multiply_adds * pool_.threads();
  for (u64 done = 0; done < budget;) {
    if (op_ == end_op_) {
      if (!begin_next()) return true;
      continue;
    }
    const graph::PlainOp& next = graph_.ops[op_];
    if (graph::writes_state(next)) states_.stand_at(States<Real>::nowhere);
    const u64 made = std::visit([&](const auto& op) { return step(op, budget - done); }, next);
    done += made;
    work_.multiply_adds += made;
    if (part_ != 0) continue;
    op_ += workspace_.together[op_];
    if (op_ == workspace_.tail) states_.stand_at(u32(position_ + tokens_.size()));
    if (op_ == graph_.ops.size()) work_.logit_rows += pass_.count;
  }
  return finished();
}

template <class Real>
std::span<const Real> Executor<Real>::logits() const {
  return std::span(logits_).first(to_size(logits_of(run_tokens_.size()) * graph_[graph_.output].width));
}

template <class Real>
std::span<const Real> Executor<Real>::run(std::span<const u32> tokens, u32 position, bool all_logits) {
  begin(tokens, position, all_logits ? Logits::all : Logits::last);
  while (!advance(~u64{0})) {
  }
  return logits();
}

// The angles of this chunk's positions, in double whatever Real is.
template <class Real>
void Executor<Real>::find_angles() {
  for (std::size_t i = 0; i < graph_.ropes.size(); ++i) {
    const graph::RopeTable& table = graph_.ropes[i];
    const Real* factors = vector(table.factors_at(context_length_));
    const std::vector<double>& frequency = table.frequency_at(context_length_);
    const u64 pairs = frequency.size();
    for (u64 t = 0; t < tokens_.size(); ++t) {
      for (u64 pair = 0; pair < pairs; ++pair) {
        const double angle = double(position_ + t) * frequency[pair] / (factors ? double(factors[pair]) : 1.0);
        cosines_[i][t * pairs + pair] = Real(std::cos(angle) * table.magnitude);
        sines_[i][t * pairs + pair] = Real(std::sin(angle) * table.magnitude);
      }
    }
  }
}

// ---- Operands

template <class Real>
Rows<Real> Executor<Real>::rows(ValueId id) {
  const u32 width = graph_[id].width;
  if (id == graph_.output) {
    return {logits_.data() + u64(first_logit_ + pass_.first) * width, pass_.count, width, width};
  }
  const graph::Slice slice = slices_[u32(id)];
  const u32 stride = graph::row_stride(graph_[slice.root].width);
  const u64 first = workspace_.in_tail[u32(slice.root)] ? 0 : pass_.first;
  const u64 place = workspace_.arena.ranges[u32(slice.root)].offset / sizeof(Real);
  return {arena_.data() + place + first * stride + slice.column, pass_.count, width, stride};
}

template <class Real>
Matrix Executor<Real>::matrix(WeightId id) const {
  const graph::Weight& weight = graph_[id];
  Matrix matrix{weight.format, weights_[u32(id)], weight.rows, weight.cols};
  if (weight.books == WeightId::none) return matrix;
  const u32 entries = graph_[weight.books].rows / u32(formats::additive_books(*weight.format));
  const RoundedBooks& rounded = rounded_books_[u32(weight.books)];
  matrix.tables = {.books = tables_[u32(weight.books)].data(),
                   .scales = tables_[u32(weight.scales)].data() + weight.first_row,
                   .entries = entries,
                   .steps = rounded.steps.data(),
                   .step = rounded.step};
  return matrix;
}

template <class Real>
std::span<const Real> Executor<Real>::numbers(WeightId id) const {
  return id == WeightId::none ? std::span<const Real>() : std::span<const Real>(vectors_[u32(id)]);
}

// ---- Operations

template <class Real>
template <class RowWork>
u64 Executor<Real>::by_rows(Rows<Real> out, const RowWork& work) {
  const u32 rows = out.elements() < 2 * part_elements ? out.count : std::max(1u, part_elements / out.width);
  pool_.run_ranges(out.count, rows, [&](u32 first, u32 end, u32) {
    work(first, end - first);
    clear_padding(out.some(first, end - first));
  });
  return out.elements();
}

template <class Real>
template <class HeadWork>
u64 Executor<Real>::by_heads(u32 heads, u64 cost, u64 budget, const HeadWork& work) {
  const u64 count = std::clamp<u64>(budget / std::max<u64>(cost, 1), 1, heads - part_);
  pool_.run(u32(count), [&](u32 i, u32 thread) { work(u32(part_) + i, thread); });
  part_ += count;
  if (part_ == heads) part_ = 0;
  return cost * count;
}

template <class Real>
u64 Executor<Real>::step(const graph::Embed& op, u64) {
  const Matrix table = matrix(op.table);
  const Rows<Real> out = rows(op.out);
  return by_rows(out, [&](u32 first, u32 count) {
    for (u32 t = first; t < first + count; ++t) {
      const u32 row = op.by_position ? position() + t : tokens_[pass_.first + t];
      CHECK(row < table.rows);
      decode_row(table, row, out[t]);
    }
  });
}

template <class Real>
u64 Executor<Real>::step(const graph::Norm& op, u64) {
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  return by_rows(out, [&](u32 first, u32 count) {
    norm<Real>(op, x.some(first, count), numbers(op.weight), numbers(op.bias), out.some(first, count));
  });
}

template <class Real>
u64 Executor<Real>::step(const graph::MatMul& op, u64 budget) {
  const Rows<Real> x = rows(op.x), chosen = op.chosen == ValueId::none ? Rows<Real>{} : rows(op.chosen);
  const u32 count = workspace_.together[op_];
  std::array<ProductCall<Real>, most_together> calls;
  for (u32 i = 0; i < count; ++i) {
    const graph::MatMul& product = std::get<graph::MatMul>(graph_.ops[op_ + i]);
    calls[i] = {&product, matrix(product.weight), vector(product.bias), x, chosen, rows(product.out)};
  }
  return products_.step(std::span(calls).first(count), part_, budget);
}

template <class Real>
u64 Executor<Real>::step(const graph::Rope& op, u64) {
  const graph::RopeTable& table = graph_[op.table];
  const u64 pairs = table.frequency.size();
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  return by_rows(out, [&](u32 first, u32 count) {
    const u64 at = (pass_.first + first) * pairs;
    const Angles<Real> angles{cosines_[u32(op.table)].data() + at, sines_[u32(op.table)].data() + at};
    rope<Real>(x.some(first, count), table, op.head, op.first, angles, out.some(first, count));
  });
}

template <class Real>
u64 Executor<Real>::step(const graph::StoreKv& op, u64) {
  const Rows<Real> k = rows(op.k), v = op.v == ValueId::none ? Rows<Real>{} : rows(op.v);
  KvCache<Real>& cache = states_.cache(op.state);
  const u64 elements = k.elements() + v.elements();
  const u32 step = elements < 2 * part_elements ? k.count : std::max(1u, part_elements / (k.width + v.width));
  pool_.run_ranges(k.count, step, [&](u32 first, u32 end, u32 thread) {
    const Rows<Real> values = v.data ? v.some(first, end - first) : v;
    cache.store(position() + first, k.some(first, end - first), values, attention_scratch_.threads[thread].keys.data());
  });
  cache.stored(position() + k.count);
  return elements;
}

template <class Real>
u64 Executor<Real>::step(const graph::Attention& op, u64 budget) {
  const AttentionCall<Real> call{.op = op,
                                 .cache = states_.cache(op.state),
                                 .sinks = vector(op.sinks),
                                 .q = rows(op.q),
                                 .position = position(),
                                 .run = {run_position_, u32(run_position_ + run_tokens_.size())},
                                 .out = rows(op.out),
                                 .kernels = &kernels_};
  AttentionScratch<Real>& scratch = attention_scratch_;
  const AttentionCut cut = call.cut();
  if (part_ == 0) {
    check_fits(call, cut, scratch);
    begin_attention(call, {0, cut.tokens}, scratch);
  }
  u64 made = 0;
  while (part_ < cut.units()) {
    u64 end = part_, cost = made;
    const u64 end_of_round = (part_ / cut.of_round() + 1) * cut.of_round();
    for (; end < end_of_round; ++end) {
      const u64 next = cut.unit(end).pairs() * call.pair_cost();
      if (cost > 0 && cost + next > budget) break;
      cost += next;
    }
    if (end == part_) return made;
    pool_.run(u32(end - part_), [&](u32 i, u32 thread) { attend(call, cut, part_ + i, thread, scratch); });
    if (end == end_of_round) end_round(call, cut, scratch);
    part_ = end;
    made = cost;
  }
  part_ = 0;
  by_rows(call.out, [&](u32 first, u32 count) { end_attention(call, {first, first + count}, scratch); });
  return made;
}

template <class Real>
u64 Executor<Real>::step(const graph::Map& op, u64) {
  const Rows<Real> a = rows(op.a), out = rows(op.out);
  Rows<const Real> b;
  if (op.b != ValueId::none) b = rows(op.b);
  if (op.weight != WeightId::none) b = {vector(op.weight), a.count, u32(numbers(op.weight).size()), 0};
  if (out.count == 1 && !b.data && out.width >= 2 * part_elements) {  // one row of logits
    pool_.run_ranges(out.width, part_elements, [&](u32 first, u32 end, u32) {
      map<Real>(op, a.columns(first, end - first), {}, out.columns(first, end - first));
    });
    clear_padding(out);
    return out.elements();
  }
  return by_rows(out, [&](u32 first, u32 count) {
    const Rows<const Real> of_b = b.data ? b.some(first, count) : b;
    if (!gate_by_vectors(op, a.some(first, count), of_b, out.some(first, count)))
      map<Real>(op, a.some(first, count), of_b, out.some(first, count));
  });
}

// False where no kernel does it.
template <class Real>
bool Executor<Real>::gate_by_vectors(const graph::Map& op, Rows<const Real> a, Rows<const Real> b, Rows<Real> out) {
  if constexpr (std::is_same_v<Real, float>) {
    const bool silu = op.function == graph::Function::silu_gate;
    const bool gelu = op.function == graph::Function::gelu_tanh_gate;
    const bool whole_vectors = op.b != ValueId::none && b.width == a.width && op.out != graph_.output;
    if (whole_vectors && (silu || gelu)) {
      kernels_.gate(a, b, silu ? 1 : 1.5957691216f, silu ? 0 : 0.044715f, out);  // 2 √(2/π)
      return true;
    }
  }
  return false;
}

template <class Real>
u64 Executor<Real>::step(const graph::PositionScale& op, u64) {
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  return by_rows(out, [&](u32 first, u32 count) {
    position_scale<Real>(op, x.some(first, count), position() + first, out.some(first, count));
  });
}

template <class Real>
u64 Executor<Real>::step(const graph::TakeColumns& op, u64) {
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  return by_rows(out,
                 [&](u32 first, u32 count) { take_columns<Real>(op, x.some(first, count), out.some(first, count)); });
}

template <class Real>
u64 Executor<Real>::step(const graph::JoinColumns& op, u64) {
  const Rows<Real> a = rows(op.a), b = rows(op.b), out = rows(op.out);
  return by_rows(out, [&](u32 first, u32 count) {
    join_columns<Real>(op, a.some(first, count), b.some(first, count), out.some(first, count));
  });
}

template <class Real>
u64 Executor<Real>::step(const graph::Route& op, u64) {
  const Rows<Real> logits = rows(op.logits), chosen = rows(op.chosen), weights = rows(op.weights);
  route<Real>(op, logits, vector(op.bias), vector(op.expert_scale), route_scratch_, chosen, weights);
  clear_padding(chosen);
  clear_padding(weights);
  return logits.elements() + chosen.elements() + weights.elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::WeightedSum& op, u64) {
  const Rows<Real> x = rows(op.x), weights = rows(op.weights), out = rows(op.out);
  by_rows(out, [&](u32 first, u32 count) {
    weighted_sum<Real>(x.some(first, count), weights.some(first, count), out.some(first, count));
  });
  return x.elements();
}

template <class Real>
u64 Executor<Real>::step(const graph::KeepLargest& op, u64) {
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  return by_rows(out,
                 [&](u32 first, u32 count) { keep_largest<Real>(op, x.some(first, count), out.some(first, count)); });
}

template <class Real>
u64 Executor<Real>::step(const graph::Conv1d& op, u64) {
  const Rows<Real> x = rows(op.x), out = rows(op.out);
  const u32 kernel = graph_[op.weight].cols;
  const std::span<const Real> weight = numbers(op.weight);
  const u32 step = std::max(1u, part_elements / (out.count * kernel));
  pool_.run_ranges(out.width, step, [&](u32 first, u32 end, u32) {
    const u32 count = end - first;
    conv1d<Real>(x.columns(first, count), weight.subspan(u64(first) * kernel, u64(count) * kernel),
                 op.bias == WeightId::none ? nullptr : vector(op.bias) + first, states_.carried(op.state) + first,
                 out.width, out.columns(first, count));
  });
  clear_padding(out);
  return out.elements() * kernel;
}

template <class Real>
u64 Executor<Real>::step(const graph::DeltaRule& op, u64 budget) {
  const Rows<Real> q = rows(op.q), k = rows(op.k), v = rows(op.v), out = rows(op.out);
  const Rows<Real> decay = rows(op.decay), beta = rows(op.beta);
  const u32 keys = k.width / op.key_heads, values = v.width / op.value_heads;
  const u64 matrix = u64(keys) * values;
  Real* state = states_.carried(op.state);
  const u64 made = by_heads(op.value_heads, 4 * matrix * v.count, budget, [&](u32 head, u32 thread) {
    const u32 key_head = op.neighbours_share ? head / (op.value_heads / op.key_heads) : head % op.key_heads;
    delta_rule_head<Real>(q.columns(key_head * keys, keys), k.columns(key_head * keys, keys),
                          v.columns(head * values, values), decay.columns(head, 1), beta.columns(head, 1),
                          state + head * matrix, sums_[thread].data(), out.columns(head * values, values));
  });
  if (part_ == 0) clear_padding(out);
  return made;
}

template <class Real>
u64 Executor<Real>::step(const graph::Scan& op, u64 budget) {
  const Rows<Real> x = rows(op.x), dt = rows(op.dt), b = rows(op.b), c = rows(op.c), out = rows(op.out);
  const u32 width = x.width / op.heads, size = b.width / op.groups;
  const std::span<const Real> a = numbers(op.a);
  CHECK(a.size() == op.heads || a.size() == u64(op.heads) * size);
  const u32 decays = u32(a.size() / op.heads);  // of a head
  Real* state = states_.carried(op.state);
  const u64 made = by_heads(op.heads, 3 * u64(width) * size * x.count, budget, [&](u32 head, u32) {
    const u32 first = head / (op.heads / op.groups) * size;
    scan_head<Real>(x.columns(head * width, width), dt.columns(head, 1), b.columns(first, size), c.columns(first, size),
                    a.subspan(u64(head) * decays, decays), state + u64(head) * width * size,
                    out.columns(head * width, width));
  });
  if (part_ == 0) clear_padding(out);
  return made;
}

template class Executor<float>;
template class Executor<double>;

}  // namespace pronk::cpu
