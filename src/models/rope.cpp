#include "models/rope.h"

#include <algorithm>
#include <cmath>

#include "base/quote.h"

namespace pronk::models {
namespace {

// Dimension at which a wavelength makes `turns` rotations over the original context (arXiv 2309.00071, eq. 17–18).
double yarn_dimension(double turns, double rotated, double base, double original_context) {
  return rotated * std::log(original_context / (turns * 2 * M_PI)) / (2 * std::log(base));
}

// Fast pairs keep their frequency, slow ones are divided by the factor.
Status apply_yarn(const files::Metadata& metadata, const std::string& scaling, double base, double factor, u64 original,
                  graph::RopeTable& table) {
  PRONK_TRY(const double extrapolation, metadata.f64_or(scaling + "yarn_ext_factor", 1.0));
  PRONK_TRY(const double legacy, metadata.f64_or(scaling + "attn_factor", 1.0));
  PRONK_TRY(const double attention, metadata.f64_or(scaling + "yarn_attn_factor", legacy));
  PRONK_TRY(const double beta_fast, metadata.f64_or(scaling + "yarn_beta_fast", 32.0));
  PRONK_TRY(const double beta_slow, metadata.f64_or(scaling + "yarn_beta_slow", 1.0));
  const double rotated = table.rotated();
  PRONK_TRY(const bool whole, metadata.bool_or(scaling + "yarn_truncate", true));  // our own key
  const double first = yarn_dimension(beta_fast, rotated, base, double(original));
  const double last = yarn_dimension(beta_slow, rotated, base, double(original));
  const double low = std::max(0.0, whole ? std::floor(first) : first);
  const double high = std::min(rotated - 1.0, whole ? std::ceil(last) : last);
  for (u32 i = 0; i < table.frequency.size(); ++i) {
    const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
    const double keep = (1 - ramp) * extrapolation;  // share of the unscaled frequency
    table.frequency[i] *= (1 - keep) + keep * factor;
  }
  table.magnitude = attention * (extrapolation != 0 ? 1 + 0.1 * std::log(factor) : 1.0);
  return {};
}

// What turns often within the original context keeps its frequency, what hardly turns is divided by the factor, and
// between the two the frequency is interpolated (arXiv 2407.21783). GGUF files have the divisors in a tensor instead.
Status apply_llama3(const files::Metadata& metadata, const std::string& scaling, double factor,
                    graph::RopeTable& table) {
  PRONK_TRY(const double low, metadata.f64_at(scaling + "low_freq_factor"));
  PRONK_TRY(const double high, metadata.f64_at(scaling + "high_freq_factor"));
  PRONK_TRY(const u64 original, metadata.u64_at(scaling + "original_context_length"));
  if (!(high > low)) return fail("metadata key '" + scaling + "high_freq_factor' is not above the low one");
  for (double& frequency : table.frequency) {
    const double turns = double(original) * frequency / (2 * M_PI);
    const double keep = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    frequency *= keep + (1 - keep) / factor;
  }
  return {};
}

}  // namespace

Result<graph::RopeTable> read_rope_table(const files::Metadata& metadata, const std::string& arch, u32 rotated,
                                         double base, bool scaled) {
  const std::string scaling = arch + ".rope.scaling.";
  PRONK_TRY(std::string_view type, metadata.string_or(scaling + "type", "linear"));
  if (type != "none" && type != "linear" && type != "llama3" && type != "yarn" && type != "longrope") {
    return fail(ErrorCode::unsupported, "metadata key '" + scaling + "type' is " + quoted(type) + ": not supported");
  }
  PRONK_TRY(const double legacy, metadata.f64_or(arch + ".rope.scale_linear", 1.0));
  PRONK_TRY(double factor, metadata.f64_or(scaling + "factor", legacy));
  if (!scaled) type = "none";
  if (type == "none" || type == "longrope" || factor == 0) factor = 1;
  if (!(factor > 0)) return fail("metadata key '" + scaling + "factor' is not above 0");

  graph::RopeTable table;
  const double divisor = type == "llama3" ? 1 : factor;
  for (u32 i = 0; i < rotated / 2; ++i) table.frequency.push_back(std::pow(base, -2.0 * i / rotated) / divisor);
  if (type == "llama3") PRONK_OK(apply_llama3(metadata, scaling, factor, table));
  if (type == "yarn") {
    PRONK_TRY(const u64 trained, metadata.u64_or(arch + ".context_length", 2048));
    PRONK_TRY(const u64 original, metadata.u64_or(scaling + "original_context_length", trained));
    PRONK_OK(apply_yarn(metadata, scaling, base, factor, original, table));
  }
  bool finite = std::isfinite(table.magnitude);
  for (double frequency : table.frequency) finite = finite && std::isfinite(frequency);
  if (!finite) return fail("the rope metadata of '" + arch + "' gives frequencies that are not finite");
  return table;
}

}  // namespace pronk::models
